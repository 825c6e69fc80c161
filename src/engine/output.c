#include "engine/internal.h"

#include "base/clock.h"
#include "base/thread.h"
#include "base/utf8.h"

#include <stdio.h>

/* What the logits of a step mean: tokens drawn and prompts scored (on the workers, one row of logits an item), then taken
 * over in order on the engine thread: text, stop strings, ends, events. */

static void draw_one(sl_engine *g, sl__draw *d, void *scratch) {
    sl__sequence *s = d->sequence;
    const sl_request *r = s->request;
    int vocab = g->config.model->hp.vocab;
    float *logits = g->logits + (size_t)d->logit * (size_t)vocab;
    if (d->score) {
        sl_score(logits, vocab, s->prompt[d->position + 1], r->prompt_logprobs, &d->result);
        return;
    }
    bool early = s->generated_count < r->min_tokens;
    sl_history h = {s->counts, s->seen};
    sl_sample(&s->sampling, &h, logits, vocab, early ? r->banned : g->hidden, early ? r->banned_count : g->hidden_count,
              (uint64_t)s->generated_count, scratch, &d->result);
}

static void draw_region(void *ctx, int self) {
    sl_engine *g = ctx;
    void *scratch = g->scratch + (size_t)self * g->scratch_bytes;
    for (int i; (i = sl_workers_take(g->workers, self)) < g->draws;) draw_one(g, &g->draw[i], scratch);
    sl_workers_barrier(g->workers, self);
}

void sl__output_draws(sl_engine *g) {
    if (g->draws) sl_workers_run(g->workers, draw_region, g);
}

/* --- ends --- */

static void leave(sl_engine *g, sl__sequence *s) {
    sl__scheduler_remove(s);
    sl__sequence_release(s, &g->pages);
    s->state = SL__ENDED;
}

static void close_choice(sl_engine *g, sl_request *r, int finish) {
    if (finish > r->finish) r->finish = finish;
    sl__news(g, r);
    if (--r->open) return;
    sl__account_end(g, r, sl_clock_ns());
    sl__request_leave(g, r);
}

static bool emit(sl_engine *g, sl_request *r, const sl_event *ev) {
    sl__news(g, r);
    return sl__request_emit(r, ev);
}

void sl__sequence_end(sl_engine *g, sl__sequence *s, int finish, int stop, int32_t stop_token) {
    sl_request *r = s->request;
    if (sl_finish_good(finish)) sl__sequence_publish(s, &g->pages);
    leave(g, s);
    sl_buffer_clear(&g->text);
    if (stop < 0) { /* what was held back turned out to be no stop string, and no character will be completed */
        sl_detokenize_end(&s->detokenizer, &s->held.text);
        sl__held_flush(&s->held, &g->text);
    }
    sl_event ev = {.kind = SL_EVENT_FINISH, .choice = s->choice, .token = -1, .text = g->text.data, .text_len = g->text.len,
                   .finish = finish, .stop = stop, .stop_token = stop_token};
    if (!emit(g, r, &ev)) {
        r->slow = true;
        finish = SL_FINISH_SLOW_CLIENT;
    }
    close_choice(g, r, finish);
}

void sl__request_drop(sl_engine *g, sl_request *r, int finish) {
    for (int i = 0; i < r->choices && r->open; i++) {
        sl__sequence *s = &r->sequence[i];
        if (s->state == SL__ENDED) continue;
        leave(g, s);
        sl_event ev = {.kind = SL_EVENT_FINISH, .choice = i, .token = -1, .finish = finish, .stop = -1, .stop_token = -1};
        if (finish == SL_FINISH_ERROR) emit(g, r, &ev);
        close_choice(g, r, finish);
    }
}

/* --- events --- */

static sl_event token_event(const sl__draw *d, sl_event_kind kind, int32_t token, bool logprob) {
    return (sl_event){.kind = kind, .choice = d->sequence->choice, .token = token, .logprob = d->result.logprob,
                      .has_logprob = logprob, .top_count = logprob ? d->result.top_count : 0, .top = d->result.top,
                      .finish = -1, .stop = -1, .stop_token = -1};
}

/* The row gave nothing that could be handed out: an error instead of an empty or invented text. */
static void fail_sequence(sl_engine *g, const sl__draw *d) {
    char why[160];
    snprintf(why, sizeof why,
             d->result.not_finite ? "the model computed no finite logits at position %d: they hold a NaN or an infinity; its weights "
                                    "or its hyperparameters are broken"
                                  : "no token can be drawn at position %d: all are forbidden", d->position + 1);
    sl__request_failed(d->sequence->request, why);
    sl__sequence_end(g, d->sequence, SL_FINISH_ERROR, -1, -1);
}

static void accept_score(sl_engine *g, const sl__draw *d) {
    sl__sequence *s = d->sequence;
    sl_request *r = s->request;
    int at = d->position + 1;
    if (at < s->scored) return;
    if (d->result.not_finite) {
        fail_sequence(g, d);
        return;
    }
    sl_event ev = token_event(d, SL_EVENT_PROMPT_TOKEN, s->prompt[at], true);
    if (!emit(g, r, &ev)) r->slow = true;
    s->scored = at + 1;
}

/* The first prompt token has no log probability: nothing stands before it. */
static void accept_first_prompt_token(sl_engine *g, sl__sequence *s) {
    sl_event ev = {.kind = SL_EVENT_PROMPT_TOKEN, .choice = s->choice, .token = s->prompt[0], .finish = -1, .stop = -1, .stop_token = -1};
    if (!emit(g, s->request, &ev)) s->request->slow = true;
    s->scored = 1;
}

static bool is_stop_token(const sl_request *r, int32_t token) {
    for (int i = 0; i < r->stop_tokens; i++)
        if (r->stop_token[i] == token) return true;
    return false;
}

/* The stop string that is spelled by this token alone, or -1. */
static int stop_spelled(const sl_request *r, int32_t token) {
    for (int i = 0; r->stops.token && i < r->stops.count; i++)
        if (r->stops.token[i] == token) return i;
    return -1;
}

/* The token's text to what is held, and what can be shown of that to g->text. Returns the stop string that was completed. */
static int take_text(sl_engine *g, sl__sequence *s, int32_t token, bool match) {
    const sl_request *r = s->request;
    const sl_tokenizer *t = g->config.tokenizer;
    size_t known = s->held.text.len;
    if (r->stops.hidden && sl_tokenizer_special(t, token)) {
        sl_tokenizer_piece(t, token, &g->text);
        sl__held_hide(&s->held, g->text.data, g->text.len);
        sl_buffer_clear(&g->text);
    } else {
        sl_detokenize(t, &s->detokenizer, token, r->skip_special, &s->held.text);
        s->characters += sl_utf8_count(s->held.text.data + known, s->held.text.len - known);
    }
    return sl__stops_feed(&r->stops, &s->held, known, match, &g->text);
}

/* The token is itself a stop string: what was held back is shown, and the token where stop strings are. */
static void take_stop(sl_engine *g, sl__sequence *s, int32_t token) {
    sl_detokenize_end(&s->detokenizer, &s->held.text);
    sl__held_flush(&s->held, &g->text);
    if (s->request->stops.keep) sl_tokenizer_piece(g->config.tokenizer, token, &g->text);
}

static void remember(sl__sequence *s, int32_t token) {
    s->generated[s->generated_count++] = token;
    if (s->counts && s->counts[token] < UINT16_MAX) s->counts[token]++;
    if (s->seen) s->seen[token / 8] |= (uint8_t)(1 << token % 8);
}

static void accept_token(sl_engine *g, sl__draw *d) {
    sl__sequence *s = d->sequence;
    sl_request *r = s->request;
    int32_t token = d->result.token;
    if (token < 0) {
        fail_sequence(g, d);
        return;
    }
    bool early = s->generated_count < r->min_tokens;
    bool eos = !r->ignore_eos && sl_tokenizer_ends(g->config.tokenizer, token), stop_token = is_stop_token(r, token);
    int stop = stop_spelled(r, token);
    remember(s, token);
    s->state = SL__DECODE;
    sl__account_token(g, s, sl_clock_ns());
    sl_event ev = token_event(d, SL_EVENT_TOKEN, token, s->sampling.logprobs >= 0);
    bool last = eos || stop_token || stop >= 0;
    ev.begin = s->characters + sl_detokenize_broken(g->config.tokenizer, &s->detokenizer, last ? -1 : token, r->skip_special);
    sl_buffer_clear(&g->text);
    if (stop >= 0) take_stop(g, s, token);
    else if (!last) stop = take_text(g, s, token, !early);
    ev.text = g->text.data;
    ev.text_len = g->text.len;
    if (!emit(g, r, &ev)) {
        r->slow = true;
        return;
    }
    if (stop >= 0) sl__sequence_end(g, s, SL_FINISH_STOP, stop, -1);
    else if (eos || stop_token) sl__sequence_end(g, s, SL_FINISH_STOP, -1, eos ? -1 : token);
    else if (s->generated_count == r->max_tokens) sl__sequence_end(g, s, SL_FINISH_LENGTH, -1, -1);
}

/* Rows of a sequence that the step computed, by kind. */
static void count_rows(sl_engine *g, const sl__sequence *s) {
    for (int p = s->computed; p < s->computed + s->rows; p++) {
        if (p < s->peak) g->count.rows[SL_ROWS_RECOMPUTED]++;
        else if (p >= s->prompt_len) g->count.rows[SL_ROWS_DECODE]++;
        else g->count.rows[SL_ROWS_PREFILL]++;
        if (p >= s->peak && p < s->prompt_len && s->choice % s->request->n == 0) g->count.prompt_tokens++;
    }
}

void sl__output_accept(sl_engine *g) {
    SL_ON_THREAD(ENGINE);
    for (int i = 0; i < g->sequences; i++) {
        sl__sequence *s = g->in_step[i];
        count_rows(g, s);
        s->computed += s->rows;
        if (s->peak < s->computed) s->peak = s->computed;
        if (s->scored == 0) accept_first_prompt_token(g, s);
    }
    for (int i = 0; i < g->draws; i++) {
        sl__draw *d = &g->draw[i];
        if (d->sequence->state == SL__ENDED || d->sequence->request->slow) continue;
        if (d->score) accept_score(g, d);
        else accept_token(g, d);
    }
    for (int i = 0; i < g->sequences; i++) {
        sl__sequence *s = g->in_step[i];
        if (s->state == SL__ENDED) continue;
        if (s->request->slow) sl__request_drop(g, s->request, SL_FINISH_SLOW_CLIENT);
        else if (s->request->max_tokens == 0 && s->computed == s->prompt_len) sl__sequence_end(g, s, SL_FINISH_LENGTH, -1, -1);
        else sl__sequence_publish(s, &g->pages); /* only now: nothing that the step gave was wrong */
    }
}

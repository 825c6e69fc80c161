#include "engine/internal.h"

#include "base/alloc.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/thread.h"

#include <stdio.h>
#include <string.h>

/* Most memory that one request may reserve for its output: an unstreamed one gets room for its worst case. */
#define OUTPUT_MOST ((size_t)64 << 20)
/* Of a streamed one: a client that lets so much pile up, and so many tokens of each choice, is too slow. */
#define STREAM_RING ((size_t)256 << 10)
#define STREAM_EVENTS 128

/* --- making --- */

static sl_status no_memory(sl_error *e) { return sl_fail(e, SL_NOMEM, "no memory for the request"); }

sl_status sl_context_fits(int ctx, size_t prompt, int64_t max_tokens, sl_error *e) {
    if (prompt <= (size_t)ctx && max_tokens <= ctx - (int64_t)prompt) return SL_OK;
    return sl_fail_param(e, SL_TOO_LONG, "prompt", /* OpenAI's words: clients look for them */
                         "This model's maximum context length is %d tokens. However, you requested %zu tokens (%zu in the prompt, "
                         "%lld in the completion).", ctx, prompt + (size_t)max_tokens, prompt, (long long)max_tokens);
}

static sl_status check(const sl_engine_config *c, const sl_request_spec *s, sl_error *e) {
    if (s->prompts < 1 || s->n < 1 || s->prompts > SL_MAX_CHOICES || s->n > SL_MAX_CHOICES || s->prompts * s->n > SL_MAX_CHOICES)
        return sl_fail_param(e, SL_INVALID, "n", "n: %d prompts times %d choices is more than %d sequences", s->prompts, s->n,
                             SL_MAX_CHOICES);
    if (s->stops < 0 || s->stops > SL_MAX_STOPS || s->stop_tokens < 0 || s->stop_tokens > SL_MAX_STOP_TOKENS)
        return sl_fail_param(e, SL_INVALID, "stop", "stop: more than %d strings or %d tokens", SL_MAX_STOPS, SL_MAX_STOP_TOKENS);
    for (int i = 0; i < s->stops; i++)
        if (s->stop_len[i] == 0 || s->stop_len[i] > SL_MAX_STOP_BYTES)
            return sl_fail_param(e, SL_INVALID, "stop", "stop: a string must have 1 to %d bytes", SL_MAX_STOP_BYTES);
    int vocab = c->model->hp.vocab;
    for (int i = 0; i < s->stop_tokens; i++)
        if (s->stop_token[i] < 0 || s->stop_token[i] >= vocab)
            return sl_fail_param(e, SL_INVALID, "stop_token_ids", "stop_token_ids: %d is not in the vocabulary", s->stop_token[i]);
    for (int i = 0; i < s->sampling.bias_count; i++)
        if (s->sampling.bias[i].token < 0 || s->sampling.bias[i].token >= vocab)
            return sl_fail_param(e, SL_INVALID, "logit_bias", "logit_bias: %d is not in the vocabulary", s->sampling.bias[i].token);
    if (s->max_tokens < 0 || s->min_tokens < 0)
        return sl_fail_param(e, SL_INVALID, "max_tokens", "max_tokens: must not be negative");
    for (int i = 0; i < s->prompts; i++) {
        if (s->prompt_len[i] < 1) return sl_fail_param(e, SL_INVALID, "prompt", "prompt: must not be empty");
        sl_status st = sl_context_fits(c->ctx, s->prompt_len[i], s->max_tokens, e);
        if (st) return st;
        size_t total = s->prompt_len[i] + (size_t)s->max_tokens;
        if ((total + SL_PAGE - 1) / SL_PAGE > (size_t)c->kv_pages)
            return sl_fail_param(e, SL_TOO_LONG, "prompt", "prompt: %zu tokens and %d to generate need more than the %d pages of %d positions",
                                 s->prompt_len[i], s->max_tokens, c->kv_pages, SL_PAGE);
        for (size_t k = 0; k < s->prompt_len[i]; k++)
            if (s->prompt[i][k] < 0 || s->prompt[i][k] >= vocab)
                return sl_fail_param(e, SL_INVALID, "prompt", "prompt: token %d is not in the vocabulary", s->prompt[i][k]);
    }
    return SL_OK;
}

static void *copied(sl_arena *a, const void *p, size_t count, size_t size) {
    void *to = sl_arena_array(a, SL_MEM_REQUEST, count + 1, size);
    if (to && count) memcpy(to, p, count * size);
    return to;
}

/* What may not be drawn before min_tokens: the hidden ids, the ends, the request's stop tokens. */
static bool ban(sl_request *r, const sl_engine *g) {
    if (r->min_tokens == 0) {
        r->banned = g->hidden;
        r->banned_count = g->hidden_count;
        return true;
    }
    int32_t *ids = sl_arena_array(r->arena, SL_MEM_REQUEST,
                                  (size_t)(g->hidden_count + g->end_count + r->stop_tokens + r->stops.count) + 1, sizeof *ids);
    if (!ids) return false;
    int n = 0;
    for (int i = 0; i < g->hidden_count; i++) ids[n++] = g->hidden[i];
    for (int i = 0; i < g->end_count; i++) ids[n++] = g->ends[i];
    for (int i = 0; i < r->stop_tokens; i++) ids[n++] = r->stop_token[i];
    for (int i = 0; r->stops.token && i < r->stops.count; i++)
        if (r->stops.token[i] >= 0) ids[n++] = r->stops.token[i];
    r->banned = ids;
    r->banned_count = n;
    return true;
}

static bool copy_stops(sl_request *r, const sl_request_spec *s) {
    const char **text = sl_arena_array(r->arena, SL_MEM_REQUEST, (size_t)s->stops + 1, sizeof *text);
    size_t *len = copied(r->arena, s->stop_len, (size_t)s->stops, sizeof *len);
    r->stop_token = copied(r->arena, s->stop_token, (size_t)s->stop_tokens, sizeof *s->stop_token);
    r->stop_tokens = s->stop_tokens;
    if (!text || !len || !r->stop_token) return false;
    for (int i = 0; i < s->stops; i++) {
        text[i] = sl_arena_copy(r->arena, SL_MEM_REQUEST, s->stop[i], s->stop_len[i]);
        if (!text[i]) return false;
        if (len[i] > r->stops.longest) r->stops.longest = len[i];
    }
    r->stops.text = text;
    r->stops.len = len;
    r->stops.count = s->stops;
    r->stops.keep = s->include_stop;
    return true;
}

/* Which special tokens stop string i names, as the tokenizer reads it. false: no memory. */
static bool name_special(const sl__stops *s, int i, const sl_tokenizer *t, bool *ret_special, int32_t *ret_token) {
    sl_ids ids = {0};
    sl_error e;
    bool ok = sl_tokenizer_encode(t, s->text[i], s->len[i], SL_MARKUP, false, s->len[i] + 16, &ids, &e) == SL_OK;
    *ret_token = sl_tokenizer_special_id(t, s->text[i], s->len[i]);
    *ret_special = *ret_token >= 0;
    for (size_t k = 0; ok && k < ids.count; k++) *ret_special = *ret_special || sl_tokenizer_special(t, ids.id[k]);
    sl_free(ids.id);
    return ok;
}

static bool find_special(sl_request *r, const sl_tokenizer *t) {
    sl__stops *s = &r->stops;
    bool *special = sl_arena_array(r->arena, SL_MEM_REQUEST, (size_t)s->count + 1, sizeof *special), any = false;
    int32_t *token = sl_arena_array(r->arena, SL_MEM_REQUEST, (size_t)s->count + 1, sizeof *token);
    if (!special || !token) return false;
    for (int i = 0; i < s->count; i++) {
        if (!name_special(s, i, t, &special[i], &token[i])) return false;
        any = any || special[i];
    }
    if (!any) return true;
    s->special = special;
    s->token = token;
    s->hidden = r->skip_special;
    return true;
}

/* Counts of the penalties, with what the prompt brings. */
static bool make_history(sl_request *r, sl__sequence *s, int vocab) {
    const sl_sampling_params *p = &s->sampling;
    if (p->presence != 0 || p->frequency != 0) {
        s->counts = sl_arena_array(r->arena, SL_MEM_REQUEST, (size_t)vocab, sizeof *s->counts);
        if (!s->counts) return false;
    }
    if (p->repetition != 1) {
        s->seen = sl_arena_array(r->arena, SL_MEM_REQUEST, (size_t)vocab / 8 + 1, 1);
        if (!s->seen) return false;
        for (int i = 0; i < s->prompt_len; i++) s->seen[s->prompt[i] / 8] |= (uint8_t)(1 << s->prompt[i] % 8);
    }
    return true;
}

/* A generated text goes on after its prompt and keeps its leading space, if the prompt has any text. */
static bool has_text(const sl_request *r, const sl_tokenizer *t, const int32_t *prompt, size_t len) {
    if (!r->skip_special) return true;
    for (size_t i = 0; i < len; i++)
        if (!sl_tokenizer_special(t, prompt[i])) return true;
    return false;
}

/* Text that a sequence may hold back, with the token that comes to it. */
static size_t text_room(const sl_engine *g) { return (size_t)SL_MAX_STOP_BYTES + 4 * sl_tokenizer_longest(g->config.tokenizer) + 64; }

static bool reserve_held(sl__sequence *q, size_t text) {
    return sl_buffer_reserve(&q->held.text, text) && (!q->request->stops.hidden || sl_buffer_reserve(&q->held.hidden, text));
}

static bool make_sequences(sl_request *r, const sl_engine *g, const sl_request_spec *s) {
    sl_sampling_params p = s->sampling;
    p.bias = copied(r->arena, s->sampling.bias, (size_t)s->sampling.bias_count, sizeof *p.bias);
    r->sequence = sl_arena_array(r->arena, SL_MEM_REQUEST, (size_t)r->choices, sizeof *r->sequence);
    if (!p.bias || !r->sequence) return false;
    size_t text = text_room(g);
    for (int i = 0; i < s->prompts; i++) {
        const int32_t *prompt = copied(r->arena, s->prompt[i], s->prompt_len[i], sizeof *prompt);
        if (!prompt) return false;
        bool started = has_text(r, g->config.tokenizer, prompt, s->prompt_len[i]);
        for (int j = 0; j < s->n; j++) {
            sl__sequence *q = &r->sequence[i * s->n + j];
            size_t pages = (s->prompt_len[i] + (size_t)s->max_tokens + SL_PAGE - 1) / SL_PAGE;
            *q = (sl__sequence){.request = r, .slot = -1, .read = -1, .answer_page = -1, .choice = i * s->n + j, .prompt = prompt,
                                .prompt_len = (int)s->prompt_len[i],
                                .sampling = p, .scored = s->prompt_logprobs >= 0 ? 0 : (int)s->prompt_len[i],
                                .detokenizer.started = started};
            q->sampling.seed = p.seed + (uint64_t)(s->own_seeds ? q->choice : j);
            q->generated = sl_arena_array(r->arena, SL_MEM_REQUEST, (size_t)s->max_tokens + 1, sizeof *q->generated);
            q->page = sl_arena_array(r->arena, SL_MEM_REQUEST, pages, sizeof *q->page);
            if (g->pages.windows.kept.total) {
                q->window = sl_arena_array(r->arena, SL_MEM_REQUEST, pages, sizeof *q->window);
                if (!q->window) return false;
            }
            if (!q->generated || !q->page || !reserve_held(q, text) || !make_history(r, q, g->config.model->hp.vocab))
                return false;
        }
    }
    return true;
}

/* Bytes of one event's record with so many alternatives and so much text. */
static size_t record_bytes(int tops, size_t text) {
    return sizeof(sl__record) + (size_t)tops * sizeof(sl_logprob) + text + 16; /* 16: the ring's head and rounding */
}

/* The most bytes of records that may be unread, and the largest record. SIZE_MAX / 4: more than can be counted. */
static size_t output_bytes(const sl_engine *g, const sl_request_spec *s, size_t *ret_largest) {
    size_t longest = 3 * sl_tokenizer_longest(g->config.tokenizer); /* a bad byte becomes three */
    int tops = s->sampling.logprobs > 0 ? s->sampling.logprobs : 0, prompt_tops = s->prompt_logprobs > 0 ? s->prompt_logprobs : 0;
    size_t total = 0, part;
    *ret_largest = record_bytes(tops > prompt_tops ? tops : prompt_tops, longest + SL_MAX_STOP_BYTES + 16);
    for (int i = 0; i < s->prompts; i++) {
        size_t one = record_bytes(0, SL_MAX_STOP_BYTES + 16);
        if (!sl_mul((size_t)s->max_tokens, record_bytes(tops, longest), &part) || !sl_add(one, part, &one) ||
            (s->prompt_logprobs >= 0 && (!sl_mul(s->prompt_len[i], record_bytes(prompt_tops, 0), &part) || !sl_add(one, part, &one))) ||
            !sl_mul(one, (size_t)s->n, &part) || !sl_add(total, part, &total))
            return SIZE_MAX / 4;
    }
    size_t waiting = (size_t)(s->prompts * s->n) * STREAM_EVENTS * record_bytes(tops, 0);
    if (waiting < STREAM_RING) waiting = STREAM_RING;
    return s->stream && total > waiting ? waiting : total;
}

/* What is made for each choice, and for each prompt once. check() has bounded every factor. */
static size_t sequence_bytes(const sl_engine *g, const sl_request_spec *s) {
    size_t vocab = (size_t)g->config.model->hp.vocab, each = sizeof(sl__sequence) + 4 * text_room(g) + 512, total = 0;
    const sl_sampling_params *p = &s->sampling;
    each += ((size_t)s->max_tokens + 1) * sizeof(int32_t);
    if (p->presence != 0 || p->frequency != 0) each += vocab * sizeof(uint16_t);
    if (p->repetition != 1) each += vocab / 8 + 1;
    for (int i = 0; i < s->prompts; i++) {
        size_t pages = (s->prompt_len[i] + (size_t)s->max_tokens) / SL_PAGE + 1;
        if (g->pages.windows.kept.total) pages *= 2;
        total += s->prompt_len[i] * sizeof(int32_t) + (size_t)s->n * (each + pages * sizeof(int32_t));
    }
    total += (size_t)p->bias_count * sizeof(sl_logit_bias) + (size_t)s->stops * SL_MAX_STOP_BYTES;
    total += (size_t)(g->hidden_count + g->end_count) * sizeof(int32_t);
    return total + total / 3 + 131072; /* ends of the arena's chunks stay unused */
}

/* Memory is counted before it is taken. */
static sl_status reserve(sl_request *r, sl_engine *g, const sl_request_spec *s, size_t *ret_ring, sl_error *e) {
    size_t largest, output = output_bytes(g, s, &largest);
    size_t ring = sl__ring_size(output, largest), sequences = sequence_bytes(g, s);
    uint64_t most = g->config.request_memory, ring_most = OUTPUT_MOST < most ? OUTPUT_MOST : most;
    if ((!s->stream && output > ring_most) || !ring || sequences + ring > most)
        return sl_fail_param(e, SL_TOO_MUCH, "max_tokens",
                             "max_tokens: the answers could take %zu MiB of memory, more than the %zu MiB of one request; ask for "
                             "fewer choices or tokens, or stream", (output + sequences) >> 20, (size_t)ring_most >> 20);
    if (atomic_load(&g->request_bytes) + sequences + ring > most) {
        sl_metrics_add(g->config.metrics, SL_METRIC_REJECTED, SL_REJECT_QUEUE_FULL, 1);
        return sl_fail(e, SL_FULL, "the requests that are there take all memory that there is for them");
    }
    r->bytes = sequences + ring;
    atomic_fetch_add(&g->request_bytes, r->bytes);
    *ret_ring = ring;
    return SL_OK;
}

sl_status sl_request_new(const sl_engine *engine, const sl_request_spec *s, sl_request **ret, sl_error *e) {
    sl_status st = check(&engine->config, s, e);
    if (st) return st;
    sl_request *r = sl_calloc(1, sizeof *r);
    if (!r) return no_memory(e);
    r->engine = (sl_engine *)(uintptr_t)engine;
    r->user = s->user;
    r->arrived = s->arrived;
    r->stream = s->stream;
    r->prompts = s->prompts;
    r->n = s->n;
    r->choices = r->open = s->prompts * s->n;
    r->max_tokens = s->max_tokens;
    r->min_tokens = s->min_tokens;
    r->prompt_logprobs = s->prompt_logprobs;
    r->ignore_eos = s->ignore_eos;
    r->skip_special = s->skip_special;
    r->finish = -1;
    r->differs_at = -1;
    r->salt = s->cache_salt ? sl_hash_bytes(s->cache_salt, s->cache_salt_len) : 0;
    for (int i = 0; i < s->prompts; i++) r->prompt_tokens += (int64_t)s->prompt_len[i];
    snprintf(r->id, sizeof r->id, "%s", s->id ? s->id : "");
    r->arena = sl_arena_new();
    size_t ring = 0;
    st = r->arena ? reserve(r, r->engine, s, &ring, e) : no_memory(e);
    if (st) goto fail;
    if (!copy_stops(r, s) || !find_special(r, engine->config.tokenizer) || !ban(r, engine) || !make_sequences(r, engine, s)) {
        st = no_memory(e);
        goto fail;
    }
    r->ring.size = ring;
    r->ring.data = sl_aligned(64, ring);
    if (!r->ring.data) {
        st = no_memory(e);
        goto fail;
    }
    *ret = r;
    return SL_OK;
fail:
    sl_request_free(r);
    return st;
}

void sl_request_free(sl_request *r) {
    SL_ON_THREAD(LOOP);
    if (!r) return;
    for (int i = 0; r->sequence && i < r->choices; i++) sl__held_done(&r->sequence[i].held);
    sl_free(r->ring.data);
    sl_arena_free(r->arena);
    atomic_fetch_sub(&r->engine->request_bytes, r->bytes);
    sl_free(r);
}

/* --- the loop's side --- */

void *sl_request_user(const sl_request *r) { return r->user; }

bool sl_request_next(sl_request *r, sl_event *ret) {
    SL_ON_THREAD(LOOP);
    const sl__record *rec = sl__ring_next(&r->ring);
    if (!rec) return false;
    const sl_logprob *top = (const sl_logprob *)(const void *)(rec + 1);
    *ret = (sl_event){.kind = (sl_event_kind)rec->kind,
                      .choice = rec->choice,
                      .token = rec->token,
                      .logprob = rec->logprob,
                      .has_logprob = rec->has_logprob != 0,
                      .top_count = rec->top_count,
                      .top = top,
                      .text = (const char *)(top + rec->top_count),
                      .text_len = rec->text_len,
                      .begin = rec->begin,
                      .finish = rec->finish,
                      .stop = rec->stop,
                      .stop_token = rec->stop_token};
    return true;
}

void sl_request_cancel(sl_request *r, sl_cancel why) {
    SL_ON_THREAD(LOOP);
    int no = 0;
    if (!atomic_compare_exchange_strong(&r->cancelled, &no, (int)why)) return;
    sl_mailbox_poke(r->engine->inbox);
}

bool sl_request_over(const sl_request *r) { return r->over; }

int sl_request_finish(const sl_request *r) { return r->over ? r->finish : -1; } /* before, the engine writes it */

const char *sl_request_failure(const sl_request *r) { return r->over ? r->failure : ""; }

static double seconds_between(uint64_t from, uint64_t to) { return from && to > from ? (double)(to - from) / 1e9 : 0; }

sl_usage sl_request_usage(const sl_request *r) {
    return (sl_usage){.prompt_tokens = r->prompt_tokens,
                      .generated_tokens = r->over ? sl__request_generated(r) : 0,
                      .cached_tokens = atomic_load(&r->cached_tokens),
                      .differs_at = atomic_load(&r->differs_at),
                      .queue_seconds = seconds_between(r->arrived, atomic_load(&r->started_at)),
                      .first_token_seconds = seconds_between(r->arrived, atomic_load(&r->first_at)),
                      .total_seconds = seconds_between(r->arrived, atomic_load(&r->ended_at))};
}

/* --- the engine's side --- */

void sl__request_take(sl_engine *g, sl_request *r) {
    SL_ON_THREAD(ENGINE);
    r->next = g->requests;
    if (r->next) r->next->prev = r;
    g->requests = r;
    for (int i = 0; i < r->choices; i++) {
        sl__sequence *s = &r->sequence[i];
        s->born = g->born++;
        s->salt = g->config.prefix_cache ? r->salt : r->sequence[i - i % r->n].born; /* off: each prompt is on its own */
        sl__scheduler_wait(&g->scheduler, s);
    }
}

int64_t sl__request_generated(const sl_request *r) {
    int64_t sum = 0;
    for (int i = 0; i < r->choices; i++) sum += r->sequence[i].generated_count;
    return sum;
}

void sl__request_leave(sl_engine *g, sl_request *r) {
    *(r->prev ? &r->prev->next : &g->requests) = r->next;
    if (r->next) r->next->prev = r->prev;
}

bool sl__request_emit(sl_request *r, const sl_event *ev) {
    SL_ON_THREAD(ENGINE);
    size_t tops = (size_t)ev->top_count * sizeof *ev->top, bytes = sizeof(sl__record) + tops + ev->text_len;
    sl__record *rec = sl__ring_reserve(&r->ring, bytes);
    if (!rec) return false;
    *rec = (sl__record){.kind = (int32_t)ev->kind,
                        .choice = ev->choice,
                        .token = ev->token,
                        .finish = ev->finish,
                        .stop = ev->stop,
                        .stop_token = ev->stop_token,
                        .top_count = ev->top_count,
                        .text_len = (uint32_t)ev->text_len,
                        .begin = (uint32_t)ev->begin,
                        .logprob = ev->logprob,
                        .has_logprob = ev->has_logprob};
    if (tops) memcpy(rec + 1, ev->top, tops);
    if (ev->text_len) memcpy((char *)(rec + 1) + tops, ev->text, ev->text_len);
    sl__ring_commit(&r->ring, bytes);
    return true;
}

void sl__request_failed(sl_request *r, const char *why) {
    if (!r->failure[0]) snprintf(r->failure, sizeof r->failure, "%s", why);
}

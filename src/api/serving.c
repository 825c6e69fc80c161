#include "api/serving.h"
#include "api/pieces.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/*   sl__serving_begin ──small──► read, tokenise ────────────────► submit ──► held until news from the engine
 *                       └─large──► text thread ─► [text_back] ─► submit ─┘
 *   news [sl__servings_news] ──plain──► collect … all ended ──► sl_http_reply, or, large, sl_http_stream piece by piece
 *                              └─stream─► sl_http_stream at the first event; http pulls with `fill`
 *   client gone [on_gone] ──► the engine's request is cancelled
 *   http is through [on_over], request over, text job back ──► `release` logs and frees it */

/* --- its end --- */

static void write_log(const sl__serving *x) {
    sl_usage u = x->request ? sl_request_usage(x->request) : (sl_usage){0};
    int finish = x->request ? sl_request_finish(x->request) : -1;
    if (finish < 0 && x->cut == SL_CANCEL_TIMEOUT) finish = SL_FINISH_TIMEOUT_QUEUE;
    if (finish < 0 && !x->http_status) finish = SL_FINISH_CANCELLED_QUEUE;
    const sl_log_field fields[] = {
        {.key = "id", .kind = SL_LOG_STRING, .s = x->id},
        {.key = "status", .kind = SL_LOG_INT, .i = x->http_status ? x->http_status : 499},
        {.key = "finish", .kind = SL_LOG_STRING, .s = finish >= 0 ? sl_finish_names[finish] : "refused"},
        {.key = "choices", .kind = SL_LOG_INT, .i = x->ask.choices},
        {.key = "prompt_tokens", .kind = SL_LOG_INT, .i = x->ask.prompt_tokens},
        {.key = "cached_tokens", .kind = SL_LOG_INT, .i = u.cached_tokens},
        {.key = "generated_tokens", .kind = SL_LOG_INT, .i = u.generated_tokens},
        {.key = "queue_seconds", .kind = SL_LOG_REAL, .r = u.queue_seconds},
        {.key = "first_token_seconds", .kind = SL_LOG_REAL, .r = u.first_token_seconds},
        {.key = "seconds", .kind = SL_LOG_REAL, .r = (double)((x->over ? x->over : sl_clock_ns()) - x->arrived) / 1e9},
        {.key = "prefix_differs_at", .kind = SL_LOG_INT, .i = u.differs_at}, /* last: only if something known did */
    };
    int count = (int)(sizeof fields / sizeof fields[0]);
    sl_log_event(SL_LOG_INFO, x->answer.writer->name, fields, x->request && u.differs_at >= 0 ? count : count - 1);
}

/* What it keeps for its answer, counted in the api's total. */
static void hold(sl__serving *x, size_t more, size_t less) {
    x->held += more - less;
    x->api->answer_bytes += more - less;
}

static void free_answer(sl__serving *x) {
    sl__answer_free(&x->answer);
    sl__ask_drop(&x->ask, true);
    hold(x, 0, x->held);
}

/* A holder will not touch it any more (0: perhaps nobody does); after the last one it is freed. */
static void release(sl__serving *x, unsigned holder) {
    x->holders &= ~holder;
    if (x->holders) return;
    write_log(x);
    if (x->prev) x->prev->next = x->next;
    else x->api->servings = x->next;
    if (x->next) x->next->prev = x->prev;
    x->api->live--;
    sl_request_free(x->request);
    free_answer(x);
    sl__ask_done(&x->ask);
    sl_free(x);
}

static void cancel(sl__serving *x, sl_cancel why) {
    if (!x->cut) x->cut = (int)why;
    atomic_store(&x->job.cancelled, true);
    if (x->request) sl_request_cancel(x->request, why);
}

/* --- what the client is told --- */

/* Why it did not end as it should; returns the HTTP status that says so. Its request is over, it has none, or it was cut off
 * here: until it is over, the engine's own reason is not known. */
static int failure(const sl__serving *x, const char **ret_why) {
    int finish = x->request ? sl_request_finish(x->request) : -1;
    *ret_why = x->request ? sl_request_failure(x->request) : "";
    if (x->cut == SL_CANCEL_TIMEOUT) return *ret_why = "the request took longer than the server allows", 504;
    if ((*ret_why)[0]) return 500;
    if (finish == SL_FINISH_SLOW_CLIENT) return *ret_why = "the client read too slowly: the request was cancelled", 500;
    if (x->api->draining) return *ret_why = "the server is stopping: the request was cancelled", 503;
    return *ret_why = "the request was cancelled", 500;
}

/* It was refused (the ask's error), or, once it was taken, failed. What was cut off here may still be the text thread's. */
static void tell_error(sl__serving *x) {
    const char *why;
    if (!x->cut && x->ask.status) {
        x->http_status = sl__refuse(x->api, x->http, &x->ask.error);
        return;
    }
    x->http_status = failure(x, &why);
    sl__reply_error(x->api, x->http, x->http_status, NULL, x->http_status == 504 ? "timeout" : x->http_status == 503 ? "draining" : NULL,
                    why);
}

static void add_ignored(sl__serving *x) {
    if (x->ask.fields.ignored[0]) sl_http_add_header(x->http, "x-sluice-ignored", x->ask.fields.ignored);
}

static void tell_head(sl__serving *x) {
    x->http_status = 200;
    add_ignored(x);
    sl_http_stream(x->http, 200, "text/event-stream; charset=utf-8");
}

static void count_cached(sl__serving *x) { x->answer.cached = sl_request_usage(x->request).cached_tokens; }

static void tell_whole(sl__serving *x) {
    sl__answer *a = &x->answer;
    sl_buffer body = {.failed = sl__answer_failed(a)};
    x->http_status = 200;
    count_cached(x);
    add_ignored(x);
    if (!body.failed && sl__answer_size(a) > SL_ONE_PIECE) {
        sl_http_stream(x->http, 200, "application/json");
        return;
    }
    while (!body.failed && a->writer->whole(a, &body)) continue;
    sl__reply_json(x->http, 200, &body);
    free_answer(x);
}

/* Every change of stage. */
static void turn(sl__serving *x, sl__turn what) {
    sl__step step = sl__stage_step(x->stage, what);
    assert(step.to != SL__STAGES);
    x->stage = step.to;
    switch (step.tell) {
    case SL__TELL_NOTHING: break;
    case SL__TELL_ERROR: tell_error(x); break;
    case SL__TELL_WHOLE: tell_whole(x); break;
    case SL__TELL_HEAD: tell_head(x); break;
    case SL__TELL_MORE:
        if (sl_http_streaming(x->http)) sl_http_resume(x->http);
        break;
    }
}

/* --- http asks --- */

/* Writes an event for each token that came. A token's finish goes into the same event. */
static void fill_tokens(sl__serving *x, sl_buffer *out) {
    sl_event ev;
    sl__answer *a = &x->answer;
    int open = -1; /* a choice whose token was collected but not written: its finish may follow at once */
    size_t before = out->len;
    while (out->len - before < SL_SLICE && sl_request_next(x->request, &ev)) {
        bool end = ev.kind == SL_EVENT_FINISH && ev.finish <= SL_FINISH_LENGTH;
        if (open >= 0 && (open != ev.choice || !end)) {
            a->writer->chunk(a, open, out);
            open = -1;
        }
        sl__answer_collect(a, &ev);
        if (end) {
            a->writer->chunk(a, ev.choice, out);
            open = -1;
        } else if (ev.kind == SL_EVENT_TOKEN) {
            open = ev.choice;
        }
    }
    if (open >= 0) a->writer->chunk(a, open, out);
}

static bool silent(const sl__serving *x, uint64_t now) {
    uint64_t most = (uint64_t)x->api->config.ping_seconds * SL_SECOND;
    return most && now - x->told > most;
}

/* The next piece of a stream, or of a large whole answer; false: the answer has ended. */
static bool fill(void *ctx, sl_buffer *out) {
    sl__serving *x = ctx;
    sl__answer *a = &x->answer;
    const char *why;
    if (!x->ask.fields.stream) return a->writer->whole(a, out);
    size_t before = out->len;
    count_cached(x);
    fill_tokens(x, out);
    bool over = sl_request_over(x->request);
    if (a->ended == a->choices && !a->broken) {
        if (x->ask.fields.include_usage) a->writer->usage(a, out);
    } else if (x->cut == SL_CANCEL_TIMEOUT || (over && out->len == before)) { /* broken: the reason comes with the request's end */
        int status = failure(x, &why);
        a->writer->error(status, why, out);
    } else {
        uint64_t now = sl_clock_ns();
        if (out->len == before && silent(x, now)) sl_buffer_puts(out, ": ping\n\n");
        if (out->len != before) x->told = now;
        return true;
    }
    a->writer->end(out);
    return false;
}

static void on_gone(void *ctx) {
    sl__serving *x = ctx;
    turn(x, SL__HANG_UP);
    cancel(x, SL_CANCEL_CLIENT);
}

static void on_over(void *ctx) {
    sl__serving *x = ctx;
    turn(x, SL__HTTP_OVER);
    x->http = NULL;
    x->over = sl_clock_ns();
    cancel(x, SL_CANCEL_CLIENT);
    release(x, SL__BY_HTTP);
}

static const sl_http_hooks hooks = {on_gone, fill, on_over};

/* --- the engine has news --- */

#define TURN 16384 /* bytes that are collected in one turn of the loop */

/* The answers that are being put together take all the memory that they may have. */
static void refuse_answer(sl__serving *x) {
    x->ask.status = sl__answer_crowded(x->api, x->held, &x->ask.error);
    turn(x, SL__FAILURE);
    cancel(x, SL_CANCEL_CLIENT);
    free_answer(x);
}

static void read_later(sl__serving *x) {
    if (!(x->holders & SL__BY_UNREAD)) {
        x->holders |= SL__BY_UNREAD;
        x->next_unread = x->api->unread;
        x->api->unread = x;
    }
    sl__wake(x->api);
}

/* Some of the events; the rest in the next turn of the loop: each may be kilobytes of log probabilities. */
static void news_plain(sl__serving *x) {
    sl_event ev;
    size_t bytes = 0;
    bool more = true;
    sl__answer *a = &x->answer;
    while (bytes < TURN && (more = sl_request_next(x->request, &ev))) {
        if (x->stage != SL__ASKED) continue; /* nobody will read it */
        sl__choice *ch = &a->choice[ev.choice];
        size_t before = sl__answer_bytes(ch);
        sl__answer_collect(a, &ev);
        hold(x, sl__answer_bytes(ch), before);
        bytes += 64 + ev.text_len + 32 * (size_t)ev.top_count;
    }
    if (x->stage != SL__ASKED) return;
    if (x->api->answer_bytes > sl__api_bounds(x->api).answers) refuse_answer(x);
    else if (more) read_later(x);
    else if (a->ended == a->choices && !a->broken) turn(x, SL__WHOLE);
    else if (sl_request_over(x->request)) turn(x, SL__FAILURE);
}

static void news_stream(sl__serving *x) {
    bool failed = sl_request_over(x->request) && sl_request_finish(x->request) > SL_FINISH_LENGTH;
    turn(x, failed ? SL__FAILURE : SL__NEWS);
}

void sl__servings_news(sl_api *a) {
    SL_ON_THREAD(LOOP);
    if (!a->engine) return;
    sl__serving *unread = a->unread;
    a->unread = NULL;
    for (sl__serving *x = unread, *next; x; x = next) {
        next = x->next_unread;
        x->holders &= ~(unsigned)SL__BY_UNREAD; /* unless there is still more */
        news_plain(x);
        release(x, 0);
    }
    for (sl_request *r = sl_engine_take_ready(a->engine), *next; r; r = next) {
        next = sl_request_ready_next(r);
        sl__serving *x = sl_request_user(r);
        if (x->ask.fields.stream) news_stream(x);
        else news_plain(x);
        if (sl_request_over(r)) release(x, SL__BY_ENGINE);
    }
}

/* --- on its way to the engine --- */

static sl_status submit(sl__serving *x, sl_error *e) {
    sl__ask *q = &x->ask;
    const sl__fields *f = &q->fields;
    uint64_t seed = (uint64_t)f->seed;
    if (!f->has_seed && getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) seed = x->arrived;
    const int32_t **prompt = sl_arena_array(q->arena, SL_MEM_REQUEST, (size_t)q->prompts, sizeof *prompt);
    size_t *prompt_len = sl_arena_array(q->arena, SL_MEM_REQUEST, (size_t)q->prompts, sizeof *prompt_len);
    if (!prompt || !prompt_len) return sl_fail(e, SL_NOMEM, "out of memory");
    for (int i = 0; i < q->prompts; i++) {
        prompt[i] = q->prompt[i].ids.id;
        prompt_len[i] = q->prompt[i].ids.count;
    }
    sl_request_spec spec = {
        .prompt = prompt,
        .prompt_len = prompt_len,
        .prompts = q->prompts,
        .n = (int)f->n,
        .sampling = {.temperature = (float)f->temperature,
                     .top_p = (float)f->top_p,
                     .min_p = (float)f->min_p,
                     .top_k = (int32_t)f->top_k,
                     .presence = (float)f->presence,
                     .frequency = (float)f->frequency,
                     .repetition = (float)f->repetition,
                     .seed = seed,
                     .bias = f->bias,
                     .bias_count = f->bias_count,
                     .logprobs = (int)f->logprobs},
        .own_seeds = !f->has_seed,
        .max_tokens = (int)f->max_tokens,
        .min_tokens = (int)f->min_tokens,
        .stop = f->stop,
        .stop_len = f->stop_len,
        .stops = f->stops,
        .stop_token = f->stop_token,
        .stop_tokens = f->stop_tokens,
        .include_stop = f->include_stop,
        .ignore_eos = f->ignore_eos,
        .skip_special = f->skip_special,
        .prompt_logprobs = f->echo ? (int)f->logprobs : -1,
        /* Whoever did not say how long an answer may be needs no room for the longest: it is read while it comes. */
        .stream = f->stream || q->open_ended,
        .cache_salt = f->cache_salt,
        .cache_salt_len = f->cache_salt_len,
        .id = x->id,
        .arrived = x->arrived,
        .user = x,
    };
    sl_request *r;
    sl_status st = sl__answer_begin(&x->answer, q, x->answer.writer, x->id, e);
    if (!st) st = sl_request_new(x->api->engine, &spec, &r, e);
    if (st) return st;
    st = sl_engine_submit(x->api->engine, r, e);
    if (st) {
        sl_request_free(r);
        return st;
    }
    x->request = r;
    x->holders |= SL__BY_ENGINE;
    sl__ask_drop(q, false);
    hold(x, sl__ask_bytes(q), 0);
    return SL_OK;
}

/* The ask is read and tokenised, or was refused at that. */
static void prepared(sl__serving *x) {
    sl__ask *q = &x->ask;
    if (!q->status) q->status = submit(x, &q->error);
    turn(x, q->status ? SL__FAILURE : SL__TO_ENGINE);
}

/* A place in the queue is looked for before anything is done for a request. Those that the text thread still has will want
 * theirs too. */
static bool queue_full(sl_api *a, sl_error *e) {
    if (!sl_engine_full(a->engine, a->preparing)) return false;
    sl_metrics_add(a->config.metrics, SL_METRIC_REJECTED, SL_REJECT_QUEUE_FULL, 1);
    sl_fail(e, SL_FULL, "the queue is full: %d requests are waiting", sl_engine_waiting(a->engine) + a->preparing);
    return true;
}

static void text_run(sl__job *job) {
    SL_ON_THREAD(TEXT);
    sl__serving *x = (sl__serving *)job;
    x->ask.pause = sl__text_pause;
    x->ask.pause_arg = x->api;
    if (x->ask.body) sl__ask_read(&x->ask);
    sl__ask_tokenize(&x->ask);
}

static void text_back(sl__job *job) {
    sl__serving *x = (sl__serving *)job;
    x->api->preparing--;
    if (x->stage == SL__READING && atomic_load(&job->cancelled)) turn(x, SL__FAILURE);
    else if (x->stage == SL__READING) prepared(x);
    sl__servings_drain(x->api);
    release(x, SL__BY_TEXT);
}

static void text_give_up(sl__job *job) { turn((sl__serving *)job, SL__FAILURE); }

static sl__serving *new_serving(sl_api *a, sl_http_exchange *http, const sl__reader *reader, const sl__writer *writer) {
    sl__serving *x = sl_calloc(1, sizeof *x);
    size_t len;
    char *body = x ? sl_http_take_body(http, &len) : NULL;
    if (!x || sl__ask_begin(&x->ask, a, reader, body, len) != SL_OK) {
        sl_free(x);
        return NULL;
    }
    x->job = (sl__job){.run = text_run, .back = text_back, .give_up = text_give_up, .bytes = len};
    x->api = a;
    x->http = http;
    x->holders = SL__BY_HTTP;
    x->arrived = x->told = sl_http_arrived(http);
    x->answer.writer = writer;
    x->answer.created = sl_clock_unix();
    snprintf(x->id, sizeof x->id, "%s%s", writer->prefix, sl_http_request_id(http));
    x->next = a->servings;
    if (x->next) x->next->prev = x;
    a->servings = x;
    a->live++;
    return x;
}

/* The text thread goes on with it, or it is refused. */
static void prepare_elsewhere(sl__serving *x) {
    sl_error err;
    sl_status refused = sl__text_submit(x->api, &x->job, &err); /* once it is taken, the ask is the text thread's */
    if (refused) {
        x->ask.status = refused;
        x->ask.error = err;
        turn(x, SL__FAILURE);
        return;
    }
    x->holders |= SL__BY_TEXT;
    x->api->preparing++;
    turn(x, SL__TO_TEXT);
}

/* Reads and tokenises at once what is small. */
static void prepare(sl__serving *x) {
    sl__ask *q = &x->ask;
    bool large = q->body_len > q->reader->inline_body;
    if (!large) {
        sl__ask_read(q);
        large = !q->status && q->text_bytes > SL_INLINE_TEXT;
    }
    if (large) {
        prepare_elsewhere(x);
        return;
    }
    sl__ask_tokenize(q);
    prepared(x);
}

void sl__serving_begin(sl_api *a, sl_http_exchange *http, const sl__reader *reader, const sl__writer *writer) {
    SL_ON_THREAD(LOOP);
    sl_error err;
    sl__serving *x = NULL;
    if (a->draining) {
        sl_fail(&err, SL_CANCELLED, "the server is draining; try another one");
        sl_metrics_add(a->config.metrics, SL_METRIC_REJECTED, SL_REJECT_DRAINING, 1);
    } else if (!queue_full(a, &err)) {
        x = new_serving(a, http, reader, writer);
        if (!x) sl_fail(&err, SL_NOMEM, "out of memory");
    }
    if (!x) {
        sl__refuse(a, http, &err);
        return;
    }
    prepare(x);
    if (x->stage != SL__TOLD) {
        sl_http_hold(http, &hooks, x);
        return;
    }
    turn(x, SL__HTTP_OVER); /* answered at once: http calls no hook */
    release(x, SL__BY_HTTP);
}

/* --- all of them --- */

/* Comments into silent streams, heads of streams that wait for their first token, deadlines. */
void sl__servings_tick(sl_api *a) {
    uint64_t now = sl_clock_ns(), limit = (uint64_t)a->config.request_timeout * SL_SECOND;
    for (sl__serving *x = a->servings; x; x = x->next) {
        if (x->cut) continue; /* its end is on the way */
        if (limit && now - x->arrived > limit) {
            cancel(x, SL_CANCEL_TIMEOUT);
            turn(x, SL__DEADLINE);
        } else if (x->request && x->ask.fields.stream && silent(x, now)) {
            turn(x, SL__SILENCE);
        }
    }
}

void sl__servings_drain(sl_api *a) {
    if (a->draining && a->preparing == 0 && a->engine) sl_engine_drain(a->engine);
}

void sl__servings_cancel(sl_api *a) {
    for (sl__serving *x = a->servings; x; x = x->next) cancel(x, SL_CANCEL_SHUTDOWN);
}

#include "api/completion.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* POST /v1/completions: one sl__completion a request.
 *
 *   sl__completions_post ──small──► parse, tokenise ──────────────► submit ──► held until news from the engine
 *                        └─large──► text thread ─► prepared ─► submit ─┘
 *   news [sl__completions_news] ──plain──► collect … all ended ──► sl_http_reply, or, large, sl_http_stream piece by piece
 *                               └─stream─► sl_http_stream at the first event; http pulls with `fill`
 *   client gone [on_gone] ──► the engine's request is cancelled
 *   exchange over [on_over], request over, text job back ──► retire frees it and writes the log line */

static void unlink_completion(sl__completion *c) {
    if (c->prev) c->prev->next = c->next;
    else c->api->completions = c->next;
    if (c->next) c->next->prev = c->prev;
}

static void write_log(const sl__completion *c) {
    sl_usage u = sl__answer_usage(c);
    int finish = c->request ? sl_request_finish(c->request) : -1;
    const sl_log_field fields[] = {
        {.key = "id", .kind = SL_LOG_STRING, .s = c->id},
        {.key = "status", .kind = SL_LOG_INT, .i = c->answered ? c->http_status : 499},
        {.key = "finish", .kind = SL_LOG_STRING, .s = finish >= 0 ? sl_finish_names[finish]
                                                        : c->timed_out ? sl_finish_names[SL_FINISH_TIMEOUT_QUEUE]
                                                        : c->answered ? "refused" : sl_finish_names[SL_FINISH_CANCELLED_QUEUE]},
        {.key = "choices", .kind = SL_LOG_INT, .i = c->choices},
        {.key = "prompt_tokens", .kind = SL_LOG_INT, .i = c->prompt_tokens},
        {.key = "generated_tokens", .kind = SL_LOG_INT, .i = u.generated_tokens},
        {.key = "queue_seconds", .kind = SL_LOG_REAL, .r = u.queue_seconds},
        {.key = "first_token_seconds", .kind = SL_LOG_REAL, .r = u.first_token_seconds},
        {.key = "seconds", .kind = SL_LOG_REAL, .r = (double)((c->over ? c->over : sl_clock_ns()) - c->arrived) / 1e9},
    };
    sl_log_event(SL_LOG_INFO, "completion", fields, (int)(sizeof fields / sizeof fields[0]));
}

/* What the completion keeps for its answer, counted in the api's total. */
static void hold(sl__completion *c, size_t more, size_t less) {
    c->held += more - less;
    c->api->answer_bytes += more - less;
}

static void free_answer(sl__completion *c) {
    sl__answer_free(c);
    sl__completion_drop_prompts(c, true);
    hold(c, 0, c->held);
}

/* Frees it once nobody holds it. */
static void retire(sl__completion *c) {
    if (c->x || c->in_text || c->unread || (c->request && !sl_request_over(c->request))) return;
    write_log(c);
    unlink_completion(c);
    c->api->live--;
    sl_request_free(c->request);
    free_answer(c);
    sl_free(c->body);
    sl_arena_free(c->arena);
    sl_free(c);
}

static void cancel(sl__completion *c, sl_cancel why) {
    atomic_store(&c->job.cancelled, true);
    if (c->request) sl_request_cancel(c->request, why);
}

static void on_gone(void *ctx) {
    sl__completion *c = ctx;
    c->gone = true;
    cancel(c, SL_CANCEL_CLIENT);
}

static void on_over(void *ctx) {
    sl__completion *c = ctx;
    c->x = NULL;
    c->over = sl_clock_ns();
    cancel(c, SL_CANCEL_CLIENT);
    retire(c);
}

static void refuse(sl__completion *c, const sl_error *err) {
    if (!c->x || c->answered || c->gone) return;
    c->answered = true;
    c->http_status = sl__refuse(c->api, c->x, err);
}

/* Why it did not end as it should; returns the HTTP status that says so. Its request is over, it has none, or it was cut off
 * here: until it is over, the engine's own reason is not known. */
static int failure(const sl__completion *c, const char **ret_why) {
    int finish = c->request ? sl_request_finish(c->request) : -1;
    *ret_why = c->request ? sl_request_failure(c->request) : "";
    if (c->timed_out) return *ret_why = "the request took longer than the server allows", 504;
    if ((*ret_why)[0]) return 500;
    if (finish == SL_FINISH_SLOW_CLIENT) return *ret_why = "the client read too slowly: the request was cancelled", 500;
    if (c->api->draining) return *ret_why = "the server is stopping: the request was cancelled", 503;
    return *ret_why = "the request was cancelled", 500;
}

/* Writes an event for each token that came. A token's finish goes into the same event. */
static void fill_tokens(sl__completion *c, sl_buffer *out) {
    sl_event ev;
    int open = -1; /* a choice whose token was collected but not written: its finish may follow at once */
    size_t before = out->len;
    while (out->len - before < 16384 && sl_request_next(c->request, &ev)) {
        bool end = ev.kind == SL_EVENT_FINISH && ev.finish <= SL_FINISH_LENGTH;
        if (open >= 0 && (open != ev.choice || !end)) {
            sl__answer_chunk(c, open, out);
            open = -1;
        }
        sl__answer_collect(c, &ev);
        if (end) {
            sl__answer_chunk(c, ev.choice, out);
            open = -1;
        } else if (ev.kind == SL_EVENT_TOKEN) {
            open = ev.choice;
        }
    }
    if (open >= 0) sl__answer_chunk(c, open, out);
}

/* The next piece of a stream, or of a large whole answer; false: the answer has ended. */
static bool fill(void *ctx, sl_buffer *out) {
    sl__completion *c = ctx;
    const char *why;
    if (!c->fields.stream) return sl__answer_more(c, out);
    size_t before = out->len;
    fill_tokens(c, out);
    bool over = sl_request_over(c->request);
    bool complete = c->ended == c->choices;
    if (out->len != before) c->sent = sl_clock_ns();
    if (complete && !c->broken) {
        if (c->fields.include_usage) sl__answer_usage_chunk(c, out);
    } else if (c->timed_out || (over && out->len == before)) { /* broken: the reason comes with the request's end */
        int status = failure(c, &why);
        sl__answer_error_chunk(status, why, out);
    } else {
        if (c->ping_due && out->len == before) {
            sl_buffer_puts(out, ": ping\n\n");
            c->sent = sl_clock_ns();
        }
        c->ping_due = false;
        return true;
    }
    sl_buffer_puts(out, "data: [DONE]\n\n");
    return false;
}

static const sl_http_hooks hooks = {on_gone, fill, on_over};

static void add_ignored(sl__completion *c) {
    if (c->fields.ignored[0]) sl_http_add_header(c->x, "x-sluice-ignored", c->fields.ignored);
}

static void begin_stream(sl__completion *c) {
    c->answered = true;
    c->http_status = 200;
    c->sent = sl_clock_ns();
    add_ignored(c);
    sl_http_stream(c->x, 200, "text/event-stream; charset=utf-8");
}

/* The engine failed a request before anything was sent, it took too long, or the drain came to its end. */
static void fail(sl__completion *c) {
    const char *why;
    if (!c->x || c->answered || c->gone) return;
    c->answered = true;
    c->http_status = failure(c, &why);
    sl__reply_error(c->api, c->x, c->http_status, NULL, c->http_status == 504 ? "timeout" : c->http_status == 503 ? "draining" : NULL,
                    why);
}

#define TURN 16384 /* bytes that are collected in one turn of the loop */

static void answer_whole(sl__completion *c) {
    sl_buffer body = {0};
    c->answered = true;
    c->http_status = 200;
    add_ignored(c);
    if (!sl__answer_failed(c) && sl__answer_size(c) > SL_ONE_PIECE) {
        sl_http_stream(c->x, 200, "application/json");
        return;
    }
    body.failed = sl__answer_failed(c);
    while (!body.failed && sl__answer_more(c, &body)) continue;
    sl__reply_json(c->x, 200, &body);
    free_answer(c);
}

/* The answers that are being put together take all the memory that they may have. */
static void refuse_answer(sl__completion *c) {
    sl_error err;
    sl__answer_crowded(c->api, c->held, &err);
    cancel(c, SL_CANCEL_CLIENT);
    refuse(c, &err);
    free_answer(c);
}

/* Some of the events; the rest in the next turn of the loop: each may be kilobytes of log probabilities. */
static void news_plain(sl__completion *c) {
    sl_event ev;
    size_t bytes = 0;
    bool more = true;
    while (bytes < TURN && (more = sl_request_next(c->request, &ev))) {
        if (c->answered || !c->x || c->gone) continue; /* nobody will read it */
        sl__choice *ch = &c->choice[ev.choice];
        size_t before = sl__answer_bytes(ch);
        sl__answer_collect(c, &ev);
        hold(c, sl__answer_bytes(ch), before);
        bytes += 64 + ev.text_len + 32 * (size_t)ev.top_count;
    }
    if (c->answered || !c->x || c->gone) return;
    if (c->api->answer_bytes > sl__api_bounds(c->api).answers) {
        refuse_answer(c);
    } else if (more) {
        if (!c->unread) {
            c->unread = true;
            c->next_unread = c->api->unread;
            c->api->unread = c;
        }
        sl__wake(c->api);
    } else if (c->ended == c->choices && !c->broken && !c->timed_out) {
        answer_whole(c);
    } else if (sl_request_over(c->request)) {
        fail(c);
    }
}

static void news_stream(sl__completion *c) {
    if (!c->x || c->gone) return;
    if (c->answered) {
        if (sl_http_streaming(c->x)) sl_http_resume(c->x);
    } else if (sl_request_over(c->request) && sl_request_finish(c->request) > SL_FINISH_LENGTH) {
        fail(c); /* nothing was sent yet: an honest status */
    } else {
        begin_stream(c);
    }
}

void sl__completions_news(sl_api *a) {
    SL_ON_THREAD(LOOP);
    if (!a->engine) return;
    sl__completion *unread = a->unread;
    a->unread = NULL;
    for (sl__completion *c = unread, *next; c; c = next) {
        next = c->next_unread;
        c->unread = false;
        news_plain(c);
        retire(c);
    }
    for (sl_request *r = sl_engine_take_ready(a->engine), *next; r; r = next) {
        next = sl_request_ready_next(r);
        sl__completion *c = sl_request_user(r);
        if (c->fields.stream) news_stream(c);
        else news_plain(c);
        retire(c);
    }
}

/* sl_request_new and submit; false: refused. */
static bool submit(sl__completion *c) {
    uint64_t seed = (uint64_t)c->fields.seed;
    if (!c->fields.has_seed && getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) seed = c->arrived;
    const int32_t **prompt = sl_arena_array(c->arena, SL_MEM_REQUEST, (size_t)c->prompts, sizeof *prompt);
    size_t *prompt_len = sl_arena_array(c->arena, SL_MEM_REQUEST, (size_t)c->prompts, sizeof *prompt_len);
    if (!prompt || !prompt_len) {
        c->status = sl_fail(&c->error, SL_NOMEM, "out of memory");
        return false;
    }
    for (int i = 0; i < c->prompts; i++) {
        prompt[i] = c->prompt[i].ids.id;
        prompt_len[i] = c->prompt[i].ids.count;
    }
    const sl__fields *f = &c->fields;
    sl_request_spec spec = {
        .prompt = prompt,
        .prompt_len = prompt_len,
        .prompts = c->prompts,
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
        .stream = f->stream,
        .id = c->id,
        .arrived = c->arrived,
        .user = c,
    };
    sl_request *r;
    c->status = sl_request_new(c->api->engine, &spec, &r, &c->error);
    if (c->status) return false;
    c->status = sl_engine_submit(c->api->engine, r, &c->error);
    if (c->status) {
        sl_request_free(r);
        return false;
    }
    c->request = r;
    sl__completion_drop_prompts(c, false);
    hold(c, sl__completion_prompt_bytes(c), 0);
    return true;
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
    sl__completion *c = (sl__completion *)job;
    if (c->body) sl__completion_parse(c);
    sl__completion_tokenize(c, sl__text_pause, c->api);
}

static void text_back(sl__job *job) {
    sl__completion *c = (sl__completion *)job;
    c->in_text = false;
    c->api->preparing--;
    if (c->x && !c->answered && !c->gone) {
        if (atomic_load(&job->cancelled)) fail(c);
        else if (c->status || !submit(c)) refuse(c, &c->error);
    }
    sl__completions_drain(c->api);
    retire(c);
}

static void text_give_up(sl__job *job) { fail((sl__completion *)job); }

static sl__completion *new_completion(sl_api *a, sl_http_exchange *x) {
    sl__completion *c = sl_calloc(1, sizeof *c);
    if (!c) return NULL;
    c->arena = sl_arena_new();
    if (!c->arena) {
        sl_free(c);
        return NULL;
    }
    c->job = (sl__job){.run = text_run, .back = text_back, .give_up = text_give_up};
    c->api = a;
    c->x = x;
    c->arrived = sl_http_arrived(x);
    c->created = sl_clock_unix();
    snprintf(c->id, sizeof c->id, "cmpl-%s", sl_http_request_id(x));
    c->body = sl_http_take_body(x, &c->body_len);
    c->job.bytes = c->body_len;
    if (!c->body) {
        sl_arena_free(c->arena);
        sl_free(c);
        return NULL;
    }
    c->next = a->completions;
    if (c->next) c->next->prev = c;
    a->completions = c;
    a->live++;
    return c;
}

/* false: it was refused. */
static bool prepare_elsewhere(sl__completion *c) {
    c->in_text = true;
    sl_error err;
    sl_status refused = sl__text_submit(c->api, &c->job, &err); /* once it is taken, c is the text thread's */
    if (!refused) {
        c->api->preparing++;
        return true;
    }
    c->in_text = false;
    c->status = refused;
    c->error = err;
    return false;
}

void sl__completions_post(void *api, sl_http_exchange *x) {
    SL_ON_THREAD(LOOP);
    sl_api *a = api;
    sl_error err;
    bool draining = a->draining;
    if (draining) {
        sl_fail(&err, SL_CANCELLED, "the server is draining; try another one");
        sl_metrics_add(a->config.metrics, SL_METRIC_REJECTED, SL_REJECT_DRAINING, 1);
    }
    if (draining || queue_full(a, &err)) {
        sl__refuse(a, x, &err);
        return;
    }
    sl__completion *c = new_completion(a, x);
    if (!c) {
        sl_fail(&err, SL_NOMEM, "out of memory");
        sl__refuse(a, x, &err);
        return;
    }
    bool large = c->body_len > SL_INLINE_BODY;
    if (!large) {
        sl__completion_parse(c);
        large = !c->status && c->text_bytes > SL_INLINE_TEXT;
    }
    if (!large) sl__completion_tokenize(c, NULL, NULL);
    if (!c->status && (large ? prepare_elsewhere(c) : submit(c))) {
        sl_http_hold(x, &hooks, c);
        return;
    }
    refuse(c, &c->error);
    c->x = NULL; /* answered at once: http calls no hook */
    retire(c);
}

/* Once a second: comments into silent streams, headers of streams that wait for their first token, deadlines.
 * While the text thread has a completion, its fields may not be read. */
void sl__completions_tick(sl_api *a) {
    uint64_t now = sl_clock_ns();
    for (sl__completion *c = a->completions; c; c = c->next) {
        if (!c->x || c->gone) continue;
        uint64_t limit = (uint64_t)a->config.request_timeout * SL_SECOND;
        if (limit && now - c->arrived > limit && !c->timed_out) {
            c->timed_out = true;
            cancel(c, SL_CANCEL_TIMEOUT);
            if (!c->answered) fail(c);
            else if (sl_http_streaming(c->x)) sl_http_resume(c->x);
            continue;
        }
        uint64_t silence = (uint64_t)a->config.ping_seconds * SL_SECOND;
        if (!c->request || c->timed_out || !c->fields.stream || !silence) continue;
        if (!c->answered && now - c->arrived > silence) {
            begin_stream(c);
            c->ping_due = true;
        } else if (c->answered && sl_http_streaming(c->x) && now - c->sent > silence) {
            c->ping_due = true;
            sl_http_resume(c->x);
        }
    }
}

void sl__completions_drain(sl_api *a) {
    if (a->draining && a->preparing == 0 && a->engine) sl_engine_drain(a->engine);
}

void sl__completions_cancel(sl_api *a) {
    for (sl__completion *c = a->completions; c; c = c->next) cancel(c, SL_CANCEL_SHUTDOWN);
}

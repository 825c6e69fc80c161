/* rig.h: an engine on a reference checkpoint, and clients that keep everything they are told. */
#ifndef SL_TEST_RIG_H
#define SL_TEST_RIG_H

#include "cli/load.h"
#include "engine/internal.h"
#include "kernels/kernels.h"

#include <check.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct rig {
    sl_loaded l;
    sl_engine_config config;
    sl_engine *g;
    sem_t news;
    atomic_bool hold; /* the engine waits where it said that there is news */
    unsigned dawdle; /* microseconds between two requests of the ready list */
} rig;

static inline void rig_wake(void *arg) {
    rig *g = arg;
    sem_post(&g->news);
    while (atomic_load(&g->hold)) usleep(100);
}

static inline void rig_load(rig *g, const char *checkpoint) {
    char path[512];
    sl_error e = {0};
    *g = (rig){.config = {.threads = 1, .ctx = 256, .max_sequences = 16, .queue = 100, .token_gap_ms = 500, .kv_pages = 128,
                          .kv_window_pages = 128, .states = 40,
                           .prefix_cache = true}};
    snprintf(path, sizeof path, "%s/reference/checkpoints/%s", getenv("SLUICE_TESTS"), checkpoint);
    ck_assert_int_eq(sl_kernels_choose(getenv("SLUICE_TIER"), &e), SL_OK);
    ck_assert_msg(sl_load(path, &g->l, &e) == SL_OK, "%s", e.message);
    sem_init(&g->news, 0, 0);
    g->config.model = g->l.model;
    g->config.tokenizer = g->l.tokenizer;
    g->config.wake = rig_wake;
    g->config.wake_arg = g;
}

static inline void rig_start(rig *g) {
    sl_error e = {0};
    ck_assert_msg(sl_engine_new(&g->config, &g->g, &e) == SL_OK, "%s", e.message);
}

/* No page and no slot of state may be held any more. */
static inline void rig_stop(rig *g) {
    ck_assert_int_eq(sl_engine_live(g->g), 0);
    ck_assert_int_eq(sl_engine_waiting(g->g), 0);
    ck_assert_int_eq(sl__kept_available(&g->g->pages.kept), g->g->pages.kept.total);
    ck_assert_int_eq(sl__kept_available(&g->g->pages.windows.kept), g->g->pages.windows.kept.total);
    ck_assert_int_eq(sl__kept_available(&g->g->pages.states.kept), g->g->pages.states.kept.total);
    ck_assert_ptr_null(sl_engine_take_ready(g->g));
    g->g = sl_engine_free(g->g);
}

static inline void rig_unload(rig *g) {
    sl_unload(&g->l);
    sem_destroy(&g->news);
}

/* What one choice was told. */
typedef struct told {
    char *log, *text; /* events as bytes; text alone */
    size_t log_len, text_len;
    int tokens, scores, finish, stop;
    int32_t stop_token, id[256];
    float logprob[256], score[256]; /* score i: of prompt token i */
} told;

typedef struct client {
    sl_request *r;
    int choices, ended, finish;
    bool over;
    char failure[160];
    sl_usage usage;
    told *choice;
} client;

static inline void keep(char **to, size_t *len, const void *data, size_t n) {
    *to = realloc(*to, *len + n + 1);
    if (n) memcpy(*to + *len, data, n);
    *len += n;
    (*to)[*len] = 0;
}

static inline void client_hear(client *c, const sl_event *ev) {
    told *t = &c->choice[ev->choice];
    int32_t fixed[] = {(int32_t)ev->kind, ev->token, ev->has_logprob, ev->top_count, ev->finish, ev->stop, ev->stop_token};
    if (t->finish >= 0) ck_abort_msg("an event after the end");
    keep(&t->log, &t->log_len, fixed, sizeof fixed);
    if (ev->has_logprob) keep(&t->log, &t->log_len, &ev->logprob, sizeof ev->logprob);
    keep(&t->log, &t->log_len, ev->top, (size_t)ev->top_count * sizeof *ev->top);
    keep(&t->log, &t->log_len, ev->text, ev->text_len);
    keep(&t->text, &t->text_len, ev->text, ev->text_len);
    if (ev->kind == SL_EVENT_TOKEN && t->tokens < 256) {
        t->logprob[t->tokens] = ev->logprob;
        t->id[t->tokens++] = ev->token;
    } else if (ev->kind == SL_EVENT_PROMPT_TOKEN && t->scores < 256) {
        t->score[t->scores++] = ev->logprob;
    } else if (ev->kind == SL_EVENT_FINISH) {
        t->finish = ev->finish;
        t->stop = ev->stop;
        t->stop_token = ev->stop_token;
        c->ended++;
    }
}

static inline client *client_new(rig *g, sl_request_spec spec) {
    client *c = calloc(1, sizeof *c);
    sl_error e = {0};
    c->choices = spec.prompts * spec.n;
    c->choice = calloc((size_t)c->choices, sizeof *c->choice);
    for (int i = 0; i < c->choices; i++) c->choice[i].finish = -1;
    spec.user = c;
    ck_assert_msg(sl_request_new(g->g, &spec, &c->r, &e) == SL_OK, "%s", e.message);
    return c;
}

static inline sl_status client_submit(rig *g, client *c) {
    sl_error e = {0};
    return sl_engine_submit(g->g, c->r, &e);
}

/* Takes what is ready, once. Returns how many requests ended. */
static inline int rig_take(rig *g) {
    int ended = 0;
    static const char *const none = "";
    for (sl_request *r = sl_engine_take_ready(g->g), *next; r; r = next) {
        next = sl_request_ready_next(r);
        if (g->dawdle) usleep(g->dawdle);
        client *c = sl_request_user(r);
        sl_event ev;
        while (sl_request_next(r, &ev)) client_hear(c, &ev);
        if (!sl_request_over(r)) { /* how it ends is the engine's until then: nothing is read of it (ThreadSanitizer looks) */
            ck_assert_int_eq(sl_request_finish(r), -1);
            ck_assert_str_eq(sl_request_failure(r), none);
            continue;
        }
        c->over = true;
        c->finish = sl_request_finish(r);
        c->usage = sl_request_usage(r);
        snprintf(c->failure, sizeof c->failure, "%s", sl_request_failure(r));
        sl_request_free(r);
        c->r = NULL;
        ended++;
    }
    return ended;
}

/* Until so many more requests have ended; a minute at most without news. */
static inline void rig_wait(rig *g, int requests) {
    requests -= rig_take(g);
    while (requests > 0) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 60;
        if (sem_timedwait(&g->news, &until)) ck_abort_msg("no news for a minute, %d requests are missing", requests);
        requests -= rig_take(g);
    }
}

static inline client *rig_ask(rig *g, const sl_request_spec *spec) {
    client *c = client_new(g, *spec);
    ck_assert_int_eq(client_submit(g, c), SL_OK);
    rig_wait(g, 1);
    return c;
}

static inline client *client_free(client *c) {
    sl_request_free(c->r); /* refused */
    for (int i = 0; i < c->choices; i++) {
        free(c->choice[i].log);
        free(c->choice[i].text);
    }
    free(c->choice);
    free(c);
    return NULL;
}

/* A plain request for one prompt. The pointers are the caller's. */
typedef struct asked {
    int32_t id[256];
    const int32_t *prompt;
    size_t len;
    const char *stop[4];
    size_t stop_len[4];
    int32_t stop_token[4];
    sl_logit_bias bias[4];
    sl_request_spec spec;
} asked;

static inline void ask(asked *a, int prompt, int max_tokens) {
    *a = (asked){.len = (size_t)prompt};
    for (int i = 0; i < prompt; i++) a->id[i] = 3 + i * 7 % 200;
    a->spec = (sl_request_spec){.prompts = 1, .n = 1, .max_tokens = max_tokens, .prompt_logprobs = -1, .ignore_eos = true, .skip_special = true,
                                .sampling = {.top_p = 1, .repetition = 1, .logprobs = -1}};
    a->prompt = a->id;
    a->spec.prompt = &a->prompt;
    a->spec.prompt_len = &a->len;
    a->spec.stop = a->stop;
    a->spec.stop_len = a->stop_len;
    a->spec.stop_token = a->stop_token;
    a->spec.sampling.bias = a->bias;
}

static inline void ask_stop(asked *a, const char *stop) {
    a->stop[a->spec.stops] = stop;
    a->stop_len[a->spec.stops++] = strlen(stop);
}

static inline int pick(uint32_t *x, int n) {
    *x = *x * 1664525u + 1013904223u;
    return (int)(*x >> 8) % n;
}

/* The i-th of many different requests. vocab: ids below it are used. */
static inline void ask_any(asked *a, unsigned i, int vocab) {
    uint32_t x = i * 2654435761u + 12345;
    ask(a, 1 + pick(&x, pick(&x, 3) ? 40 : 180), 1 + pick(&x, 50));
    for (size_t k = 0; k < a->len; k++) a->id[k] = pick(&x, vocab);
    sl_sampling_params *p = &a->spec.sampling;
    p->temperature = pick(&x, 3) ? 0.3f + (float)pick(&x, 12) / 10 : 0;
    p->seed = (uint64_t)pick(&x, 1000);
    p->logprobs = pick(&x, 4) - 1;
    if (!pick(&x, 3)) p->top_k = 1 + pick(&x, 50);
    if (!pick(&x, 3)) p->top_p = 0.5f + (float)pick(&x, 5) / 10;
    if (!pick(&x, 4)) p->min_p = 0.02f;
    if (!pick(&x, 4)) p->frequency = 0.4f;
    if (!pick(&x, 4)) p->presence = 0.6f;
    if (!pick(&x, 4)) p->repetition = 1.2f;
    if (!pick(&x, 5)) a->bias[p->bias_count++] = (sl_logit_bias){pick(&x, vocab), -5};
    if (!pick(&x, 4)) a->spec.prompt_logprobs = pick(&x, 3);
    if (!pick(&x, 4)) a->spec.n = 1 + pick(&x, 4);
    if (!pick(&x, 4)) ask_stop(a, "e");
    if (!pick(&x, 4)) ask_stop(a, "th");
    if (!pick(&x, 4)) a->stop_token[a->spec.stop_tokens++] = pick(&x, vocab);
    if (!pick(&x, 4)) a->spec.min_tokens = pick(&x, 10);
    a->spec.include_stop = !pick(&x, 3);
    a->spec.ignore_eos = !pick(&x, 3);
    a->spec.skip_special = pick(&x, 3) > 0;
    a->spec.stream = pick(&x, 2);
}

#endif

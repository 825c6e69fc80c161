/* internal.h: what the files of engine/ share: the request's inside, the engine's inside.
 * Engine thread, save what a line says otherwise. */
#ifndef SL_ENGINE_INTERNAL_H
#define SL_ENGINE_INTERNAL_H

#include "base/arena.h"
#include "base/mailbox.h"
#include "engine/engine.h"
#include "engine/ring.h"
#include "engine/scheduler.h"
#include "engine/sequence.h"
#include "experts/stats.h"

#include <pthread.h>
#include <stdatomic.h>

/* A record of the output ring; its alternatives and its text follow. */
typedef struct sl__record {
    int32_t kind, choice, token, finish, stop, stop_token, top_count;
    uint32_t text_len, begin;
    float logprob;
    uint32_t has_logprob;
} sl__record;

struct sl_request {
    sl_mail mail; /* first: how it comes in */
    sl_arena *arena;
    sl_engine *engine;
    void *user;
    bool stream;

    /* constant after sl_request_new */
    uint64_t bytes; /* of all that belongs to it, counted in the engine's request_bytes */
    int prompts, n, choices, max_tokens, min_tokens, prompt_logprobs;
    const int32_t *stop_token;
    int stop_tokens;
    bool ignore_eos, skip_special;
    const int32_t *banned; /* before min_tokens: what cannot be shown, ends and stop tokens */
    int banned_count;
    sl__stops stops;
    char id[160];
    uint64_t salt; /* the hash of cache_salt; 0: it has none */

    /* loop → engine */
    atomic_int cancelled; /* sl_cancel; 0: no */
    uint64_t arrived; /* sl_clock_ns; where the latencies that a client sees begin */

    /* engine */
    sl__sequence *sequence; /* [choices] */
    struct sl_request *prev, *next; /* the engine's list of requests that did not end */
    int open;               /* choices that did not end */
    bool started, first_token, slow;
    bool compared;          /* differs_at is known */
    int finish;             /* the worst so far; -1 */
    struct sl_request *news_next; /* the list of requests with news of this step */
    bool in_news;
    char failure[160];

    /* engine → loop: news.c */
    struct sl_request *ready_next;
    atomic_int news;               /* sl__news_state */

    /* loop */
    struct sl_request *taken_next; /* not ready_next: the engine may make it ready again before the loop comes to it */
    bool over;
    sl__ring ring;
    _Atomic int64_t cached_tokens, differs_at; /* as in sl_usage */
    int64_t prompt_tokens;
    _Atomic uint64_t started_at, first_at, ended_at; /* sl_clock_ns, 0: not yet */
};

/* A row of logits to be used after the forward pass: the draw of a token, or the score of a prompt token. */
typedef struct sl__draw {
    sl__sequence *sequence;
    int position; /* of the row in its sequence */
    int logit;
    bool score;
    sl_sampled result;
} sl__draw;

struct sl_engine {
    sl_engine_config config;
    sl_arena *arena;
    sl_workers *workers;
    sl_expert_stats *stats;
    sl_forward *forward;
    pthread_t thread;
    bool runs;
    sl_mailbox *inbox;
    atomic_bool stop, draining;
    _Atomic uint64_t request_bytes; /* of all requests that are not freed; the loop writes */
    _Atomic int live, waiting; /* requests that were accepted and did not end; of them those without a first step */
    _Atomic int batched;       /* sequences in the batch */

    sl__scheduler scheduler;
    sl__pages pages;
    sl_request *requests; /* taken, and not ended; newest first */
    uint64_t born;
    int32_t *hidden; /* ids that stand for nothing: rows of the embedding above the tokenizer's count */
    int hidden_count;
    int32_t *ends;   /* ids that end a generation */
    int end_count;

    /* the step */
    sl_step_row *row;             /* [max_rows] */
    sl_step_sequence *pages_of;   /* [max_sequences] */
    sl__sequence **in_step;       /* [max_sequences] */
    sl__draw *draw;               /* [max_logit_rows] */
    int max_rows, max_logit_rows, rows, sequences, draws;
    float *logits;
    uint8_t *scratch;             /* [threads][scratch_bytes] of sampling */
    size_t scratch_bytes;
    sl_buffer text;               /* what an event shows; memory reserved */

    sl_request *news;             /* requests with events of this step */
    _Atomic(sl_request *) ready;  /* the ready list, newest first */

    /* counted in a step, put into the metrics at its end */
    struct {
        int rows[SL_ROWS_COUNT];
        int prompt_tokens, generated, preemptions; /* prompt_tokens: computed, of the first choice of each prompt */
        int reused, looked_up, cached;             /* prompt tokens of all sequences; cached: of the first choice of each prompt */
    } count;
    /* When a place in the batch is likely to be free: sl__account_wait. */
    double mean_held;          /* seconds from first step to end of requests that ended well, moving average; 0: none yet */
    uint64_t place_freed;      /* sl_clock_ns when a place was last free */
    _Atomic uint64_t retry_ms; /* engine writes, loop reads */

    /* for sl_engine_stuck_ns */
    _Atomic uint64_t busy_since; /* sl_clock_ns; 0: idle */
    _Atomic uint64_t seen_progress, seen_at;
};

/* request.c */
void sl__request_take(sl_engine *g, sl_request *r);                        /* makes its sequences wait */
void sl__request_leave(sl_engine *g, sl_request *r);                       /* its last choice ended */
int64_t sl__request_generated(const sl_request *r);                        /* tokens of all choices */
bool sl__request_emit(sl_request *r, const sl_event *ev);                  /* false: the ring is full */
void sl__request_failed(sl_request *r, const char *why);

/* output.c: what the logits of a step mean */
void sl__output_draws(sl_engine *g);                                       /* samples and scores, on the workers */
void sl__output_accept(sl_engine *g);                                      /* tokens to sequences, events to requests */
void sl__sequence_end(sl_engine *g, sl__sequence *s, int finish, int stop, int32_t stop_token);
void sl__request_drop(sl_engine *g, sl_request *r, int finish);            /* ends every open choice: cancelled, slow, failed */

/* account.c */
void sl__account_step(sl_engine *g, double seconds);                       /* rows 0: only the gauges */
void sl__account_wait(sl_engine *g, uint64_t now);                         /* after the scheduler decided the step */
void sl__account_lookup(sl_engine *g, sl__sequence *s);                    /* it enters; its prompt counts once, if it may reuse pages */
void sl__account_reused(sl_engine *g, sl__sequence *s, int tokens);        /* took over so many that it never computed */
void sl__account_token(sl_engine *g, sl__sequence *s, uint64_t now);
void sl__account_enter(sl_engine *g, sl_request *r, uint64_t now);          /* a sequence enters the batch: its first step, if it is the first */
void sl__account_end(sl_engine *g, sl_request *r, uint64_t now);

/* news.c */
typedef enum sl__news_state { SL__NEWS_NONE, SL__NEWS_READY, SL__NEWS_LAST } sl__news_state;
void sl__news(sl_engine *g, sl_request *r);  /* the request has something for the loop */
void sl__news_publish(sl_engine *g);         /* end of a step: hands it over and wakes the loop */

#endif

/* engine.h: the thread that owns sequences, KV pages and the batch.
 * sl_engine_submit, _take_ready, _drain and the snapshot are called by one other thread (the loop; `run`, `bench` and tests
 * pass their own); everything else happens on the engine thread.
 *
 * Two hand-overs: requests come in through a base/mailbox without a capacity of its own, as sl_engine_submit counts who waits
 * and refuses beyond config.queue; news goes out through the ready list (intrusive, at most one entry a request, never full),
 * followed by one wake(wake_arg) a step. The engine knows neither libuv nor HTTP. */
#ifndef SL_ENGINE_ENGINE_H
#define SL_ENGINE_ENGINE_H

#include "base/error.h"
#include "base/workers.h"
#include "engine/request.h"
#include "experts/stats.h"
#include "forward/forward.h"
#include "metrics/metrics.h"
#include "model/model.h"
#include "text/tokenizer.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct sl_engine_config {
    const sl_model *model;
    const sl_tokenizer *tokenizer;
    sl_metrics *metrics;     /* may be NULL */
    int threads;             /* engine thread and workers together */
    int worker_nice;         /* how much nicer engine thread and workers are than the thread that makes the engine */
    int ctx;                 /* positions of the longest sequence */
    int max_sequences;       /* in the batch */
    int queue;               /* requests that may wait */
    int token_gap_ms;        /* target: longest wait between tokens because of others' prompts */
    sl_kv_type kv_type;
    int kv_pages;
    int kv_window_pages;     /* pages of layers with a window below ctx (forward/kv.h), where there are any: sl_engine_window_pages_for */
    int states;              /* slots of state, at least 1 where the model keeps one: a sequence in the batch has one, the others are
                              * kept for who goes on there */
    bool prefix_cache;       /* full pages are kept after their request; false: only the choices of one prompt have pages in common */
    int max_step_rows;       /* rows of a step; 0: chosen */
    uint64_t request_memory; /* bytes of all requests together: prompts, output rings, penalty counts; 0: 128 MiB */
    void (*wake)(void *arg); /* called on the engine thread after the ready list got entries */
    void *wake_arg;
} sl_engine_config;

/* Memory that an engine with this config will take: for the plan, before anything is allocated. */
typedef struct sl_engine_plan {
    uint64_t kv_bytes, state_bytes, workspace_bytes, sequence_bytes;
    uint64_t request_bytes; /* the most that requests take; kept by refusing more */
} sl_engine_plan;
sl_engine_plan sl_engine_plan_for(const sl_engine_config *c);

/* How many window pages an engine with this config needs; both 0: no layer has a window below ctx. */
typedef struct sl_engine_window_pages {
    int least;   /* one sequence of ctx positions goes on with so many; an engine with fewer is refused */
    int running; /* all sequences of the batch hold together, while one step computes a prompt: others can only be kept */
} sl_engine_window_pages;
sl_engine_window_pages sl_engine_window_pages_for(const sl_engine_config *c);

sl_status sl_engine_new(const sl_engine_config *c, sl_engine **ret, sl_error *e); /* starts the thread */
sl_engine *sl_engine_free(sl_engine *g); /* cancels what is left, joins; every request must be freed before */

/* SL_OK: accepted, it will end in exactly one way. SL_FULL: the queue is full. SL_CANCELLED: draining. */
sl_status sl_engine_submit(sl_engine *g, sl_request *r, sl_error *e);

/* With `more` others that will come, would one more request be refused because the queue is full? Any thread. */
bool sl_engine_full(const sl_engine *g, int more);

/* Requests with news since the last call, linked by sl_request_ready_next; each at most once. NULL: none. */
sl_request *sl_engine_take_ready(sl_engine *g);
sl_request *sl_request_ready_next(sl_request *r); /* read it before handling r, which may free r */

void sl_engine_drain(sl_engine *g); /* refuse new requests from now on; accepted ones go on */
/* Any thread: requests that were accepted and did not end; of them those in the queue, which had no step yet; and those that
 * run, the rest: in the batch, or put out of it for a while as pages ran out. The metrics and /health use the same. */
int sl_engine_live(const sl_engine *g);
int sl_engine_waiting(const sl_engine *g);
int sl_engine_running(const sl_engine *g);

/* Any thread: nanoseconds since some work item finished while there was work; 0 when idle. For /livez. */
uint64_t sl_engine_stuck_ns(const sl_engine *g);
/* Seconds until a place is likely to be free for one more request, 1 … 60: for Retry-After. Any thread. */
int sl_engine_retry_after(const sl_engine *g);

/* What an expert did since the start. Only while no request is live: from the submitting thread, after the last one was over. */
sl_expert_totals sl_engine_expert(const sl_engine *g, int layer, int expert);

const sl_engine_config *sl_engine_config_of(const sl_engine *g);

#endif

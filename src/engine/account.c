#include "engine/internal.h"

#include "base/clock.h"

#include <string.h>

/* What the engine counts. All of it happens between sl_metrics_begin and sl_metrics_end, which the engine's loop calls: so a
 * scrape shows it with the step that it belongs to. */

/* Weight of one more request in the mean time that a place is held. */
#define LEARN 0.1

static double seconds(uint64_t from, uint64_t to) { return to > from ? (double)(to - from) / (double)SL_SECOND : 0; }

void sl__account_enter(sl_engine *g, sl_request *r, uint64_t now) {
    if (r->started) return;
    r->started = true;
    atomic_store(&r->started_at, now);
    atomic_fetch_sub(&g->waiting, 1);
    sl_metrics_observe(g->config.metrics, SL_METRIC_QUEUE_TIME, 0, seconds(r->arrived, now));
}

void sl__account_lookup(sl_engine *g, sl__sequence *s) {
    if (s->looked_up || !g->config.prefix_cache || s->request->prompt_logprobs >= 0) return;
    s->looked_up = true;
    g->count.looked_up += s->prompt_len;
}

void sl__account_reused(sl_engine *g, sl__sequence *s, int tokens) {
    sl_request *r = s->request;
    if (!s->looked_up) return; /* a choice that shares its prompt while the cache is off, or whose prompt was scored */
    g->count.reused += tokens;
    if (s->choice % r->n > 0) return;
    g->count.cached += tokens;
    atomic_fetch_add(&r->cached_tokens, tokens);
}

void sl__account_token(sl_engine *g, sl__sequence *s, uint64_t now) {
    sl_request *r = s->request;
    sl_metrics *m = g->config.metrics;
    g->count.generated++;
    if (s->last_token) sl_metrics_observe(m, SL_METRIC_ITL, 0, seconds(s->last_token, now));
    s->last_token = now;
    if (!r->first_token) {
        r->first_token = true;
        atomic_store(&r->first_at, now);
        sl_metrics_observe(m, SL_METRIC_TTFT, 0, seconds(r->arrived, now));
    }
}

/* What a place in the batch is held for: from the first step to the end of requests that ended by themselves. Those that
 * were cancelled say nothing about it, and time in the queue is not time in the batch. */
static void learn_service(sl_engine *g, const sl_request *r, uint64_t now) {
    if (!r->started) return;
    g->place_freed = now;
    if (!sl_finish_good(r->finish)) return;
    double held = seconds(atomic_load(&r->started_at), now);
    g->mean_held = g->mean_held > 0 ? g->mean_held + LEARN * (held - g->mean_held) : held;
}

/* With `running` requests that hold their places for `mean_held` each, one ends every mean_held / running. When the clients
 * have changed (longer answers than before, or the first ones ever) that is too little, so it is no less than the time in
 * which nobody ended: who has waited so long for a place must expect about as long again. */
void sl__account_wait(sl_engine *g, uint64_t now) {
    bool full = g->scheduler.waiting.first || g->scheduler.batch.count >= g->config.max_sequences;
    double wait = 0;
    if (full) {
        double idle = seconds(g->place_freed, now);
        int running = sl_engine_running(g);
        wait = running ? g->mean_held / running : 0;
        if (wait < idle) wait = idle;
    } else {
        g->place_freed = now;
    }
    sl_metrics_set(g->config.metrics, SL_METRIC_EXPECTED_WAIT, 0, wait);
    atomic_store(&g->retry_ms, (uint64_t)(wait * 1000));
}

/* Does its life tell how long requests take and how large they are? Not if it never ran, or its client or a shutdown ended
 * it before its time: storms of hang-ups would flatter the latencies. One that ran into the server's limit does. */
static bool ran(const sl_request *r) {
    return r->started && (sl_finish_good(r->finish) || r->finish == SL_FINISH_ERROR || r->finish == SL_FINISH_TIMEOUT_PREFILL ||
                          r->finish == SL_FINISH_TIMEOUT_DECODE);
}

void sl__account_end(sl_engine *g, sl_request *r, uint64_t now) {
    sl_metrics *m = g->config.metrics;
    atomic_store(&r->ended_at, now);
    if (!r->started) atomic_fetch_sub(&g->waiting, 1);
    atomic_fetch_sub(&g->live, 1);
    double took = seconds(r->arrived, now);
    learn_service(g, r, now);
    sl_metrics_add(m, SL_METRIC_FINISHED, r->finish, 1);
    if (!ran(r)) return;
    sl_metrics_observe(m, SL_METRIC_E2E, 0, took);
    sl_metrics_observe(m, SL_METRIC_REQUEST_PROMPT, 0, (double)r->prompt_tokens);
    sl_metrics_observe(m, SL_METRIC_REQUEST_GENERATION, 0, (double)sl__request_generated(r));
}

void sl__account_step(sl_engine *g, double took) {
    sl_metrics *m = g->config.metrics;
    atomic_store(&g->batched, g->scheduler.batch.count);
    sl_metrics_set(m, SL_METRIC_RUNNING, 0, sl_engine_running(g));
    sl_metrics_set(m, SL_METRIC_WAITING, 0, sl_engine_waiting(g));
    sl__kept *p = &g->pages.kept, *w = &g->pages.windows.kept, *x = &g->pages.states.kept;
    int saved = g->pages.states.count;
    double pages = 1 - (double)sl__kept_available(p) / p->total, windows = w->total ? 1 - (double)sl__kept_available(w) / w->total : 0;
    sl_metrics_set(m, SL_METRIC_KV_USAGE, 0, windows > pages ? windows : pages); /* whoever scales by it wants the scarcer kind */
    sl_metrics_set(m, SL_METRIC_KV_PAGES_USAGE, SL_PAGES_FULL, pages);
    sl_metrics_set(m, SL_METRIC_KV_PAGES_USAGE, SL_PAGES_WINDOW, windows);
    sl_metrics_set(m, SL_METRIC_PREFIX_PAGES, 0, p->kept_count);
    sl_metrics_add(m, SL_METRIC_PREFIX_EVICTED, 0, p->evicted);
    sl_metrics_set(m, SL_METRIC_WINDOW_PAGES, 0, w->kept_count);
    sl_metrics_add(m, SL_METRIC_WINDOW_EVICTED, 0, w->evicted);
    sl_metrics_set(m, SL_METRIC_STATE_USAGE, 0, x->total ? (double)(x->total - x->free_count - saved) / x->total : 0);
    sl_metrics_set(m, SL_METRIC_STATE_SAVED, 0, saved);
    sl_metrics_add(m, SL_METRIC_STATE_EVICTED, 0, x->evicted);
    p->evicted = w->evicted = x->evicted = 0;
    sl_metrics_add(m, SL_METRIC_PREFIX_HITS, 0, g->count.reused);
    sl_metrics_add(m, SL_METRIC_PREFIX_QUERIES, 0, g->count.looked_up);
    sl_metrics_add(m, SL_METRIC_PROMPT_TOKENS, SL_SOURCE_CACHED, g->count.cached);
    sl_metrics_add(m, SL_METRIC_PREEMPTIONS, 0, g->count.preemptions);
    if (g->rows) {
        int decode = g->count.rows[SL_ROWS_DECODE];
        int phase = decode == g->rows ? SL_PHASE_DECODE : decode == 0 ? SL_PHASE_PREFILL : SL_PHASE_MIXED;
        for (int i = 0; i < SL_ROWS_COUNT; i++) sl_metrics_add(m, SL_METRIC_STEP_ROWS_TOTAL, i, g->count.rows[i]);
        sl_metrics_observe(m, SL_METRIC_STEP_SECONDS, phase, took);
        sl_metrics_observe(m, SL_METRIC_STEP_ROWS, 0, g->rows);
        sl_metrics_add(m, SL_METRIC_PROMPT_TOKENS, SL_SOURCE_COMPUTED, g->count.prompt_tokens);
        sl_metrics_add(m, SL_METRIC_GENERATION_TOKENS, 0, g->count.generated);
    }
    memset(&g->count, 0, sizeof g->count);
}

/* --- what was counted, from any thread --- */

int sl_engine_live(const sl_engine *g) { return atomic_load(&g->live); }
int sl_engine_waiting(const sl_engine *g) { return atomic_load(&g->waiting); }

int sl_engine_running(const sl_engine *g) {
    int running = atomic_load(&g->live) - atomic_load(&g->waiting);
    return running > 0 ? running : 0; /* one may have been submitted between the two */
}

int sl_engine_retry_after(const sl_engine *g) {
    uint64_t seconds = (atomic_load(&g->retry_ms) + 999) / 1000;
    return seconds < 1 ? 1 : seconds > 60 ? 60 : (int)seconds;
}

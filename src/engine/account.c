#include "engine/internal.h"

#include "base/clock.h"

#include <string.h>

/* What the engine counts, put into the metrics between sl_metrics_begin and sl_metrics_end, which the engine's loop holds. */

static double seconds(uint64_t from, uint64_t to) { return to > from ? (double)(to - from) / (double)SL_SECOND : 0; }

void sl__account_enter(sl_engine *g, sl_request *r, uint64_t now) {
    if (r->running++ == 0) g->running++;
    if (r->started) return;
    r->started = true;
    atomic_store(&r->started_at, now);
    atomic_fetch_sub(&g->waiting, 1);
    sl_metrics_observe(g->config.metrics, SL_METRIC_QUEUE_TIME, 0, seconds(r->submitted, now));
}

void sl__account_leave(sl_engine *g, sl_request *r) {
    if (--r->running == 0) g->running--;
}

void sl__account_token(sl_engine *g, sl__sequence *s, uint64_t now) {
    sl_request *r = s->request;
    sl_metrics *m = g->config.metrics;
    g->count.generated++;
    atomic_fetch_add_explicit(&r->generated_tokens, 1, memory_order_relaxed);
    if (s->last_token) sl_metrics_observe(m, SL_METRIC_ITL, 0, seconds(s->last_token, now));
    s->last_token = now;
    if (!r->first_token) {
        r->first_token = true;
        atomic_store(&r->first_at, now);
        sl_metrics_observe(m, SL_METRIC_TTFT, 0, seconds(r->submitted, now));
    }
}

void sl__account_end(sl_engine *g, sl_request *r, uint64_t now) {
    sl_metrics *m = g->config.metrics;
    atomic_store(&r->ended_at, now);
    if (!r->started) atomic_fetch_sub(&g->waiting, 1);
    atomic_fetch_sub(&g->live, 1);
    double took = seconds(r->submitted, now);
    g->mean_seconds = g->mean_seconds > 0 ? g->mean_seconds + 0.2 * (took - g->mean_seconds) : took;
    sl_metrics_add(m, SL_METRIC_FINISHED, r->finish, 1);
    sl_metrics_observe(m, SL_METRIC_E2E, 0, took);
    sl_metrics_observe(m, SL_METRIC_REQUEST_PROMPT, 0, (double)r->prompt_tokens);
    sl_metrics_observe(m, SL_METRIC_REQUEST_GENERATION, 0, (double)atomic_load(&r->generated_tokens));
}

void sl__account_step(sl_engine *g, double took) {
    sl_metrics *m = g->config.metrics;
    atomic_store(&g->batched, g->scheduler.batch.count);
    sl_metrics_set(m, SL_METRIC_RUNNING, 0, g->running);
    sl_metrics_set(m, SL_METRIC_WAITING, 0, atomic_load(&g->live) - g->running);
    sl_metrics_set(m, SL_METRIC_KV_USAGE, 0, (double)(g->pages.total - g->pages.free_count) / g->pages.total);
    double wait = g->mean_seconds * atomic_load(&g->waiting) / g->config.max_sequences;
    atomic_store(&g->retry_ms, (uint64_t)(wait * 1000));
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

/* stats.h: which expert did what, and how long it took.
 * Workers write their own cache lines during a step; the engine thread folds them at its end, so that every scrape shows
 * whole steps: in every layer the experts' tokens sum to experts per token times sluice_rows_total. */
#ifndef SL_EXPERTS_STATS_H
#define SL_EXPERTS_STATS_H

#include "base/error.h"
#include "metrics/metrics.h"

#include <stddef.h>
#include <stdint.h>

typedef struct sl_expert_stats sl_expert_stats;

/* metrics may be NULL (tests, `run`): totals are kept all the same. */
sl_status sl_expert_stats_new(int layers, int experts, int workers, sl_metrics *metrics, sl_expert_stats **ret,
                              sl_error *e);
size_t sl_expert_stats_bytes(int layers, int experts, int workers); /* what it will take: for the memory plan */
sl_expert_stats *sl_expert_stats_free(sl_expert_stats *s);

/* During a step. s NULL: nothing happens.
 * One participant, between two barriers: the expert runs in this step, for so many rows. Once a (layer, expert) and step. */
void sl_expert_stats_group(sl_expert_stats *s, int layer, int expert, int rows);
/* Any participant, its own counters: a gate and up item, from when to when; time spent in a down item. Nanoseconds. */
void sl_expert_stats_up(sl_expert_stats *s, int self, int layer, int expert, uint64_t began, uint64_t ended);
void sl_expert_stats_down(sl_expert_stats *s, int self, int layer, int expert, uint64_t spent);

/* Engine thread, after every step, between sl_metrics_begin and sl_metrics_end when there are metrics. Without a step since
 * the last call it only lets the minute of the imbalance pass. */
void sl_expert_stats_fold(sl_expert_stats *s);
/* The same at a given time, nanoseconds: tests. */
void sl_expert_stats_fold_at(sl_expert_stats *s, uint64_t now);

typedef struct sl_expert_totals {
    uint64_t tokens;      /* rows routed to it */
    uint64_t groups;      /* steps in which it ran */
    double compute;       /* core seconds spent in it */
    double latency;       /* seconds from the first to the last of its gate and up items, summed over its groups */
} sl_expert_totals;
sl_expert_totals sl_expert_stats_get(const sl_expert_stats *s, int layer, int expert); /* engine thread, between steps */

#endif

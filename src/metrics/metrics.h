/* metrics.h: what is counted, and its Prometheus text.
 * Any thread, by the writer that list.h names for each metric:
 *   LOOP    the loop thread, which also renders.
 *   ENGINE  the engine thread, only between sl_metrics_begin and sl_metrics_end, in cells that nobody else reads; _end
 *           publishes a copy of all of them at once, so a scrape shows whole steps. Neither side ever waits for the other.
 *   ANY     atomic, any thread.
 *   READ    computed when scraped (process_*, throttling, dropped log lines; at most a second old).
 *
 * Invariants
 *   1. All label values exist from the start, at 0, so that rate() sees the first event; nothing is created later. One exception:
 *      of SL_METRIC_REQUESTS, 27 codes at each of 17 endpoints of which few ever occur, a series is shown from its first answer
 *      on, but for the codes that alerts and dashboards divide at the endpoints that they watch (200, 429, 500, 503, 504).
 *   2. Counting allocates nothing and takes a number for what is counted. Only sl_metrics_request_slot, once an HTTP request,
 *      looks for an endpoint by its path. */
#ifndef SL_METRICS_METRICS_H
#define SL_METRICS_METRICS_H

#include "base/buffer.h"
#include "base/error.h"
#include "metrics/list.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum sl_metric {
#define X(symbol, name, kind, labels, writer, help) SL_METRIC_##symbol,
    SL_METRIC_LIST(X)
#undef X
        SL_METRIC_COUNT
} sl_metric;

typedef struct sl_metrics sl_metrics;

typedef struct sl_metrics_config {
    int layers, experts;          /* sizes of the label sets; 0 for a dense model: no expert series */
    const bool *routed;           /* [layers] a layer that does not route has no expert series; NULL: all route */
    const char *const *endpoints; /* [endpoint_count] values of the label endpoint, without "other", which is added last */
    const bool *watched;          /* [endpoint_count] by alerts, see invariant 1; NULL: none */
    int endpoint_count;
    const char *const *finish;    /* [finish_count] values of the label reason of SL_METRIC_FINISHED; a slot is an index */
    int finish_count;
    bool experts_in_metrics;      /* --metrics-experts: per-expert series in the main page too */
    /* Label values of the gauges that are always 1. */
    const char *model, *family, *type, *version, *tier, *kv_type;
    int experts_per_token;
    int kv_block_size, kv_blocks;
} sl_metrics_config;

sl_status sl_metrics_new(const sl_metrics_config *c, sl_metrics **ret, sl_error *e);
sl_metrics *sl_metrics_free(sl_metrics *m);
size_t sl_metrics_bytes(int layers, int experts, int endpoints); /* what it takes at most: for the plan */

/* Engine thread. What is counted between the two is seen together, after _end, or not at all. */
void sl_metrics_begin(sl_metrics *m);
void sl_metrics_end(sl_metrics *m);

/* slot: index of the label set, row-major over the metric's labels in list.h's order; 0 without labels. m NULL: nothing
 * happens, so that library code need not ask. */
void sl_metrics_add(sl_metrics *m, sl_metric id, int slot, double x);
void sl_metrics_set(sl_metrics *m, sl_metric id, int slot, double x);
void sl_metrics_observe(sl_metrics *m, sl_metric id, int slot, double x);
/* For tests, in the thread that scrapes; what was published: a counter or gauge; a histogram's observations, their sum into *ret_sum. */
double sl_metrics_get(sl_metrics *m, sl_metric id, int slot);
double sl_metrics_observed(sl_metrics *m, sl_metric id, int slot, double *ret_sum);

/* Slot of (endpoint, HTTP status) of SL_METRIC_REQUESTS; unknown ones count as "other". */
int sl_metrics_request_slot(const sl_metrics *m, const char *endpoint, int status);

/* A scrape: a consistent copy taken at once, then rendered piece by piece, each piece well under a millisecond. It must not
 * outlive the registry. */
typedef struct sl_scrape sl_scrape;
typedef enum sl_scrape_page { SL_SCRAPE_MAIN, SL_SCRAPE_EXPERTS } sl_scrape_page;
sl_scrape *sl_scrape_begin(sl_metrics *m, sl_scrape_page page); /* loop thread; NULL: out of memory */
bool sl_scrape_more(sl_scrape *s, sl_buffer *out);              /* appends a piece; false: that was the last */
sl_scrape *sl_scrape_free(sl_scrape *s);

#endif

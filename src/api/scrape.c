#include "api/handlers.h"
#include "api/internal.h"

#include "base/alloc.h"

/* GET /metrics and /metrics/experts: a copy taken at once, rendered piece by piece as the socket takes it. */

typedef struct scrape {
    sl_scrape *pages;
} scrape;

static bool fill(void *ctx, sl_buffer *out) { return sl_scrape_more(((scrape *)ctx)->pages, out); }

static void on_over(void *ctx) {
    scrape *s = ctx;
    sl_scrape_free(s->pages);
    sl_free(s);
}

static const sl_http_hooks hooks = {NULL, fill, on_over};

static void serve(sl_api *a, sl_http_exchange *x, sl_scrape_page page) {
    scrape *s = sl_calloc(1, sizeof *s);
    sl_metrics_set(a->config.metrics, SL_METRIC_READY, 0, sl__ready(a));
    sl_metrics_set(a->config.metrics, SL_METRIC_DRAINING, 0, a->leaving);
    if (s) s->pages = sl_scrape_begin(a->config.metrics, page);
    if (!s || !s->pages) {
        sl_free(s);
        sl__reply_error(a, x, 503, NULL, NULL, "out of memory");
        return;
    }
    sl_http_hold(x, &hooks, s);
    sl_http_stream(x, 200, "text/plain; version=0.0.4; charset=utf-8");
}

void sl__metrics_get(void *api, sl_http_exchange *x) { serve(api, x, SL_SCRAPE_MAIN); }
void sl__metrics_experts_get(void *api, sl_http_exchange *x) { serve(api, x, SL_SCRAPE_EXPERTS); }

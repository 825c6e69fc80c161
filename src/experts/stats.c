#include "experts/stats.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#define LINE 64 /* bytes of a cache line */
/* The last minute is kept as WINDOWS sums of rows, one for each ten seconds; the oldest one is forgotten as a new one begins. */
#define WINDOWS 6
#define WINDOW_NS (UINT64_C(10) * SL_SECOND)

/* What one worker did for one expert in this step. */
typedef struct work {
    uint64_t spent;        /* ns in items */
    uint64_t began, ended; /* of its gate and up items; ended 0: it had none */
} work;

/* Experts that ran in this step, in the order of layers. */
typedef struct ran {
    int32_t layer, expert, rows;
} ran;

struct sl_expert_stats {
    int layers, experts, workers;
    sl_metrics *metrics;
    size_t stride;            /* bytes from one worker's slots to the next one's: whole cache lines */
    char *work;               /* [workers] of work [layers][experts] */
    ran *ran;                 /* [layers * experts] */
    int ran_count;
    sl_expert_totals *totals; /* [layers][experts] */
    int *touched;             /* [layers] in this step */
    /* The last minute, in rows. */
    uint64_t *window;         /* [WINDOWS][layers][experts] */
    uint64_t *minute;         /* [layers][experts]: sum over the windows */
    uint64_t *minute_sum, *minute_most; /* [layers]: over the experts */
    int current;
    uint64_t turn;            /* when the current window ends, ns; 0: not begun */
};

static size_t slot(const sl_expert_stats *s, int layer, int expert) {
    return (size_t)layer * (size_t)s->experts + (size_t)expert;
}

static work *slots_of(const sl_expert_stats *s, int worker) {
    return (work *)(void *)(s->work + s->stride * (size_t)worker);
}

static size_t stride_of(size_t pairs) { return (pairs * sizeof(work) + 2 * LINE - 1) / LINE * LINE; }

size_t sl_expert_stats_bytes(int layers, int experts, int workers) {
    size_t pairs = (size_t)layers * (size_t)experts;
    return sizeof(sl_expert_stats) + stride_of(pairs) * (size_t)workers +
           pairs * (sizeof(ran) + sizeof(sl_expert_totals) + (WINDOWS + 1) * sizeof(uint64_t)) +
           (size_t)layers * (sizeof(int) + 2 * sizeof(uint64_t));
}

sl_status sl_expert_stats_new(int layers, int experts, int workers, sl_metrics *metrics, sl_expert_stats **ret,
                              sl_error *e) {
    size_t pairs = (size_t)layers * (size_t)experts;
    sl_expert_stats *s = sl_calloc(1, sizeof *s);
    if (!s) return sl_fail(e, SL_NOMEM, "no memory for the experts' statistics");
    s->layers = layers;
    s->experts = experts;
    s->workers = workers;
    s->metrics = metrics;
    s->stride = stride_of(pairs); /* a line between two workers, even for no pairs */
    s->work = sl_aligned(LINE, s->stride * (size_t)workers);
    s->ran = sl_calloc(pairs + 1, sizeof *s->ran);
    s->totals = sl_calloc(pairs + 1, sizeof *s->totals);
    s->touched = sl_calloc((size_t)layers + 1, sizeof *s->touched);
    s->window = sl_calloc(WINDOWS * pairs + 1, sizeof *s->window);
    s->minute = sl_calloc(pairs + 1, sizeof *s->minute);
    s->minute_sum = sl_calloc((size_t)layers + 1, sizeof *s->minute_sum);
    s->minute_most = sl_calloc((size_t)layers + 1, sizeof *s->minute_most);
    if (!s->work || !s->ran || !s->totals || !s->touched || !s->window || !s->minute || !s->minute_sum ||
        !s->minute_most) {
        sl_expert_stats_free(s);
        return sl_fail(e, SL_NOMEM, "no memory for the statistics of %d x %d experts", layers, experts);
    }
    memset(s->work, 0, s->stride * (size_t)workers);
    *ret = s;
    return SL_OK;
}

sl_expert_stats *sl_expert_stats_free(sl_expert_stats *s) {
    if (!s) return NULL;
    sl_free(s->work);
    sl_free(s->ran);
    sl_free(s->totals);
    sl_free(s->touched);
    sl_free(s->window);
    sl_free(s->minute);
    sl_free(s->minute_sum);
    sl_free(s->minute_most);
    sl_free(s);
    return NULL;
}

void sl_expert_stats_group(sl_expert_stats *s, int layer, int expert, int rows) {
    if (!s) return;
    assert(s->ran_count < s->layers * s->experts); /* a fold follows every step */
    s->ran[s->ran_count++] = (ran){layer, expert, rows};
}

void sl_expert_stats_up(sl_expert_stats *s, int self, int layer, int expert, uint64_t began, uint64_t ended) {
    if (!s) return;
    work *w = &slots_of(s, self)[slot(s, layer, expert)];
    w->spent += ended - began;
    if (!w->ended || began < w->began) w->began = began;
    if (ended > w->ended) w->ended = ended;
}

void sl_expert_stats_down(sl_expert_stats *s, int self, int layer, int expert, uint64_t spent) {
    if (!s) return;
    slots_of(s, self)[slot(s, layer, expert)].spent += spent;
}

/* Sums the workers' slots of one expert and clears them. */
static work collect(sl_expert_stats *s, size_t at) {
    work sum = {0};
    for (int i = 0; i < s->workers; i++) {
        work *w = &slots_of(s, i)[at];
        sum.spent += w->spent;
        if (w->ended && (!sum.ended || w->began < sum.began)) sum.began = w->began;
        if (w->ended > sum.ended) sum.ended = w->ended;
        *w = (work){0};
    }
    return sum;
}

static void count(sl_expert_stats *s, const ran *r) {
    size_t at = slot(s, r->layer, r->expert);
    int id = (int)at;
    work w = collect(s, at);
    double compute = (double)w.spent / (double)SL_SECOND, latency = (double)(w.ended - w.began) / (double)SL_SECOND;
    sl_expert_totals *t = &s->totals[at];
    t->tokens += (uint64_t)r->rows;
    t->groups++;
    t->compute += compute;
    t->latency += latency;
    sl_metrics_add(s->metrics, SL_METRIC_EXPERT_TOKENS, id, r->rows);
    sl_metrics_add(s->metrics, SL_METRIC_EXPERT_GROUPS, id, 1);
    sl_metrics_add(s->metrics, SL_METRIC_EXPERT_COMPUTE, id, compute);
    sl_metrics_add(s->metrics, SL_METRIC_EXPERT_GROUP_SECONDS, id, latency);
    sl_metrics_observe(s->metrics, SL_METRIC_EXPERT_LATENCY, r->layer, latency);
    s->touched[r->layer]++;
    s->window[(size_t)s->current * (size_t)s->layers * (size_t)s->experts + at] += (uint64_t)r->rows;
    s->minute[at] += (uint64_t)r->rows;
    s->minute_sum[r->layer] += (uint64_t)r->rows;
    if (s->minute[at] > s->minute_most[r->layer]) s->minute_most[r->layer] = s->minute[at];
}

/* Forgets the oldest window and makes it the current one. */
static void next_window(sl_expert_stats *s) {
    size_t pairs = (size_t)s->layers * (size_t)s->experts;
    s->current = (s->current + 1) % WINDOWS;
    uint64_t *oldest = s->window + (size_t)s->current * pairs;
    for (int l = 0; l < s->layers; l++) {
        s->minute_sum[l] = s->minute_most[l] = 0;
        for (int e = 0; e < s->experts; e++) {
            size_t at = slot(s, l, e);
            s->minute[at] -= oldest[at];
            s->minute_sum[l] += s->minute[at];
            if (s->minute[at] > s->minute_most[l]) s->minute_most[l] = s->minute[at];
        }
    }
    memset(oldest, 0, pairs * sizeof *oldest);
}

static void set_imbalance(sl_expert_stats *s, int layer) {
    double even = (double)s->minute_sum[layer] / s->experts;
    sl_metrics_set(s->metrics, SL_METRIC_EXPERT_IMBALANCE, layer, even > 0 ? (double)s->minute_most[layer] / even : 0);
}

void sl_expert_stats_fold_at(sl_expert_stats *s, uint64_t now) {
    if (!s || !s->experts) return;
    if (!s->turn) s->turn = now + WINDOW_NS;
    bool turned = now >= s->turn, step = s->ran_count > 0;
    for (int i = 0; now >= s->turn && i < WINDOWS; i++, s->turn += WINDOW_NS) next_window(s);
    if (now >= s->turn) s->turn = now + WINDOW_NS;
    for (int i = 0; i < s->ran_count; i++) count(s, &s->ran[i]);
    s->ran_count = 0;
    for (int l = 0; l < s->layers; l++) {
        if (turned || s->touched[l]) set_imbalance(s, l);
        if (step) sl_metrics_set(s->metrics, SL_METRIC_EXPERTS_TOUCHED, l, s->touched[l]);
        s->touched[l] = 0;
    }
}

void sl_expert_stats_fold(sl_expert_stats *s) { sl_expert_stats_fold_at(s, sl_clock_ns()); }

sl_expert_totals sl_expert_stats_get(const sl_expert_stats *s, int layer, int expert) {
    return s->totals[slot(s, layer, expert)];
}

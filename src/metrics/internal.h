/* internal.h: what the registry and the renderer share: the list as data, and where the cells of a metric lie.
 * Any thread: constant after sl_metrics_new, but for the cells, which have the writer that list.h names. */
#ifndef SL_METRICS_INTERNAL_H
#define SL_METRICS_INTERNAL_H

#include "base/arena.h"
#include "base/machine.h"
#include "metrics/metrics.h"

#include <stdatomic.h>
#include <stddef.h>

typedef enum sl__kind {
    SL__KIND_COUNTER,
    SL__KIND_GAUGE,
    SL__KIND_INFO,
    SL__KIND_SECONDS,
    SL__KIND_LATENCY,
    SL__KIND_TOKENS,
    SL__KIND_ROWS,
    SL__KIND_COUNT
} sl__kind;

typedef enum sl__labels {
    SL__LABELS_NONE,
    SL__LABELS_ENDPOINT_CODE,
    SL__LABELS_FINISH,
    SL__LABELS_REJECT,
    SL__LABELS_ROWS,
    SL__LABELS_SOURCE,
    SL__LABELS_PAGES,
    SL__LABELS_PHASE,
    SL__LABELS_LAYER,
    SL__LABELS_LAYER_EXPERT,
    SL__LABELS_CONFIG,
} sl__labels;

typedef enum sl__writer { SL__WRITER_ENGINE, SL__WRITER_LOOP, SL__WRITER_ANY, SL__WRITER_READ } sl__writer;

typedef struct sl__metric {
    const char *name;
    sl__kind kind;
    sl__labels labels;
    sl__writer writer;
    const char *help;
} sl__metric;

extern const sl__metric sl__metric_list[SL_METRIC_COUNT];

/* The bounds of a histogram kind; text is what is printed for le. */
typedef struct sl__bound {
    double le;
    const char *text;
} sl__bound;

typedef struct sl__bounds {
    const sl__bound *bound; /* [count], ascending */
    int count;              /* 0: not a histogram */
} sl__bounds;

extern const sl__bounds sl__kind_bounds[SL__KIND_COUNT];

/* The values of the label code: every status that is answered, by us or by the HTTP library for us; beside them "other".
 * 499: the client was gone before there was an answer. */
#define SL__CODE_LIST(X)                                                                                               \
    X(200) X(204) X(400) X(401) X(403) X(404) X(405) X(406) X(408) X(409) X(411) X(413) X(414) X(415) X(417) X(421)    \
    X(422) X(429) X(431) X(499) X(500) X(501) X(503) X(504) X(505) X(507)
enum {
#define X(code) +1
    SL__CODES = 1 SL__CODE_LIST(X)
#undef X
};
extern const char *const sl__code_text[SL__CODES];
bool sl__code_watched(int code); /* index of a code whose series are there before it is answered, see metrics.h */

/* Copies of the engine's cells as they were at the end of a step. There are three: one that the engine fills, one that the
 * reader has, and the newest between the two. Each side swaps its own for the one between by a single atomic exchange, so
 * neither waits, even if the other is not running for long, and no copy is ever written while it is read. */
typedef struct sl__shadow {
    double *copy[3];      /* [cell_count] each, laid out as the cells; only the engine blocks are used */
    _Atomic unsigned between; /* number of a copy, and SL__FRESH if it is newer than the reader's */
    unsigned filled;      /* engine thread: its own copy */
    unsigned read;        /* reader (the loop thread): its own copy */
    bool counting;        /* engine thread: between begin and end */
    bool changed;         /* engine thread: something was counted since the last end */
} sl__shadow;
#define SL__FRESH 4u

/* Reader: the newest copy; it stays as it is until the next call. */
const double *sl__shadow_read(sl_metrics *m);

/* A counter or gauge has one cell a slot. A histogram has count + 2 cells a slot: observations up to each bound (not yet
 * summed up), those beyond the last, the sum of what was observed.
 *
 *     cells:  [engine, per step ...][loop ...][any ...][read ...][engine, per layer and expert ...]
 *
 * Each block starts on a cache line of its own. The per-expert block is last, so that a page without it copies a prefix. */
struct sl_metrics {
    sl_arena *arena;
    int layers, experts;
    const bool *routed; /* [layers] those with expert series */
    bool experts_in_metrics;
    int endpoints;               /* with "other" */
    const char **endpoint;       /* [endpoints] as given */
    const char **endpoint_label; /* [endpoints] escaped, in quotes */
    const bool *watched;         /* [endpoints] */
    int finishes;
    const char **finish_label;   /* [finishes] escaped, in quotes */
    const char *info[SL_METRIC_COUNT]; /* labels of the INFO gauges, ready to print */
    int slots[SL_METRIC_COUNT];
    size_t first[SL_METRIC_COUNT]; /* first cell */
    size_t step_cells, expert_first, cell_count;
    double *cells;          /* [cell_count] where is counted; the two engine blocks are the engine thread's alone */
    sl__shadow shadow;      /* of the two engine blocks, for who reads */
    sl_process_usage usage; /* loop thread: read at most once a second */
    uint64_t usage_at;
};

int sl__metric_cells(sl_metric id); /* a slot */

#endif

/* internal.h: what the files of forward/ share: the state of a forward pass, its phases, and each phase's functions.
 * Engine thread between steps; during a step all participants, who meet at the barriers of sl__phase.
 *
 * A block is six phases. Each is a list of items, and a tail that finishes every row when the items are done:
 *
 *     q k v    panels of the three matrices            | row: bias, norm, clip, rope, keys and values into pages
 *     attend   (rows, KV head, spans)                  | row: quantised for the output matrix
 *     output   panels                                  | row: x += y, norm, quantised      | dense: the one group
 *     router   (rows, experts)        sparse only      | row: pick                         | groups, items
 *     up       (group, range of ff)
 *     down     ranges of the result, over the groups   | row: x += y, norm of the next block, quantised */
#ifndef SL_FORWARD_INTERNAL_H
#define SL_FORWARD_INTERNAL_H

#include "experts/ffn.h"
#include "experts/router.h"
#include "forward/forward.h"
#include "forward/kv.h"

#include <stdatomic.h>

/* Rows of one sequence that attend together. */
typedef struct sl__chunk {
    int row, rows;  /* of the step */
    int pages;      /* up to the last row's position */
    int parts;      /* items a KV head; 1: one item goes through all spans */
    int first_item;
    int partial;    /* first of its partial results, when parts > 1; each has [row][head] of a span */
    int counter;    /* first of its kv_heads counters, when parts > 1 */
} sl__chunk;

typedef struct sl__attention {
    sl__chunk *chunk; /* [max_rows] */
    int chunks, items;
    int queries;        /* most in an item: (row, head) pairs */
    int max_partials;   /* (row, span) pairs */
    int max_counters;
    sl_attend *partial_state; /* [max_partials][heads] */
    float *partial_acc;       /* [max_partials][heads][head_dim] */
    atomic_int *counter;      /* [max_counters] parts that are done */
} sl__attention;

/* What one participant needs for itself. */
typedef struct sl__worker {
    void *gemm;        /* scratch of the kernels */
    float *ffn;        /* SL_FFN_SCRATCH floats */
    float *acc;        /* [queries][head_dim]: one span */
    float **acc_row;   /* [queries] */
    uint8_t *ready;    /* [queries][sl_query_bytes(head_dim)]: queries as the KV type wants them */
    sl_query *query;   /* [queries] */
    sl_attend *state, *total; /* [queries] of a span, of all spans so far */
    int *count;        /* [queries] */
} sl__worker;

struct sl_forward {
    sl_forward_config c;
    const sl_model *m;
    const sl_kernel_table *k;
    sl_arena *arena;
    int participants;
    int group;          /* query heads a KV head */
    sl_kv kv;

    /* Constant after start. */
    float *frequency;             /* [rope_dims / 2] */
    const float **router;         /* [layers]: [experts][width] in float; NULL in a dense layer */
    bool *ffn_quantised;          /* [layers]: does its gate or up read quantised activations? */

    /* The step. Rows are the step's unless said. */
    const sl_step *step;
    int logit_rows;
    int32_t *logit_row;  /* [max_logit_rows]: row of the step */
    float *x;            /* [rows][width]: the residual stream */
    float *y;            /* [rows][width]: what a half block adds to it */
    sl_planes h;         /* [rows][width]: normed */
    float *q;            /* [rows][heads * head_dim] */
    float *kk, *v;       /* [rows][kv_heads * head_dim] */
    sl_planes a;         /* [rows][heads * head_dim]: attention's result */
    float *cosines, *sines; /* [rows][rope_dims / 2] */
    float *scores;       /* [rows][experts] */
    int32_t *expert;     /* [rows][experts_used] */
    float *weight;       /* [rows][experts_used] */
    float *shared_weight; /* [rows] */
    sl_groups groups;
    sl_ffn ffn;
    sl__attention attention;
    float *logits;       /* [logit rows][vocab] */
    sl__worker *worker;  /* [participants] */
    atomic_int done;     /* items of the current phase that are done */
};

static inline int sl__least(int a, int b) { return a < b ? a : b; }

/* One phase: items, then the tail of every row, then `once`. Few rows: whoever ends the last item does the rest before
 * the phase's only barrier. Many rows: the tail is work for all, after a barrier of its own. tail and once may be NULL. */
typedef void sl__item_fn(sl_forward *f, int layer, int self, int item);
typedef void sl__row_fn(sl_forward *f, int layer, int row);
typedef void sl__once_fn(sl_forward *f, int layer);
void sl__phase(sl_forward *f, int layer, int self, int items, sl__item_fn *item, sl__row_fn *tail, sl__once_fn *once);

/* rope.c */
void sl__rope_frequencies(const sl_hparams *hp, const float *divisors, float *frequency);
void sl__rope_angles(const sl_hparams *hp, const float *frequency, int position, float *cosines, float *sines);

/* attention.c */
void sl__attention_sizes(const sl_forward_config *c, sl__attention *a); /* the max_… fields and queries */
void sl__attention_plan(sl_forward *f);                                 /* of the step; engine thread */
sl__item_fn sl__attend_item;

/* block.c */
void sl__block(sl_forward *f, int layer, int self);
void sl__embed(sl_forward *f, int self);

/* output.c */
void sl__output(sl_forward *f, int self);
sl__row_fn sl__finish_row; /* tail of the last block */

#endif

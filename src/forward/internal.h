/* internal.h: what the files of forward/ share: the state of a forward pass, its phases, and each phase's functions.
 * Engine thread between steps; during a step all participants of the worker pool, who meet at the barriers of sl__phase.
 *
 * A block is a mixer and a feed-forward part. Both are lists of phases, those of the mixer by its kind. A phase is a list of
 * items that the participants share, then something for every row, then something once:
 *
 *     phase    items                             every row, after them                     once, after that
 *   attention
 *     q k v    ranges of the matrices            bias, norm, clip, rope; its keys and
 *                                                values into its page
 *     attend   (chunk of rows, KV head, spans)   times its gate, quantised for the output
 *                                                matrix
 *   gated delta net
 *     in       ranges of the matrices            sorted by kind of head; decay and
 *                                                strength
 *     convolve (row, some of its heads)
 *     recur    (sequence, value head, columns)   norm, times its gate, quantised for
 *                                                the output matrix
 *   any mixer
 *     output   ranges of the matrix              x += y; norm, quantised for the router    dense layer: the one group and
 *                                                and the feed-forward networks             its items
 *   feed-forward part                          (twice up and down where a dense network stands beside the experts: first its own)
 *     router   (rows, experts), if it routes     experts and weights are picked            groups and their items
 *     up       (group, range of its ff)
 *     down     ranges of the result, each        x += y; norm, quantised for the next
 *              over all groups                   block (or the output)
 *   what a layer has of a token for itself, if it does
 *     gate     ranges of the matrix              times that, quantised
 *     project  ranges of the matrix              x += norm of y; norm, as after down
 *
 * x is the residual stream, y what the part computed. */
#ifndef SL_FORWARD_INTERNAL_H
#define SL_FORWARD_INTERNAL_H

#include "experts/ffn.h"
#include "experts/router.h"
#include "forward/forward.h"
#include "forward/kv.h"
#include "forward/state.h"

#include <stdatomic.h>

/* Rows of one sequence, next to each other in the step, that attend together: a page is read once for all of them. */
typedef struct sl__chunk {
    int row, rows;  /* first row of the step, how many */
    int first_page, pages; /* the first one that is seen, and how many there are up to the last row's position, those before it too */
    int first_span, spans; /* likewise, but spans are those from the first one on */
    int parts;      /* items for each KV head, each with about as many spans; 1: one item has all spans */
    int first_item; /* of kv_heads * parts */
    int partial;    /* when parts > 1: first of its rows * spans places in the partial results, [span][row] */
    int counter;    /* when parts > 1: first of its kv_heads counters */
} sl__chunk;

/* How a step is cut into items in the layers that have the same heads and the same window. */
typedef struct sl__attention_plan {
    int heads, kv_heads, head_dim, group; /* group: query heads that share a KV head */
    int queries;              /* most (row, query head) pairs in an item */
    int max_partials;         /* places for the partial results of (span, row) pairs */
    int max_counters;
    sl_planes result;         /* [rows][heads * head_dim]; plans share its memory */
    sl__chunk *chunk;         /* [max_rows] */
    int chunks, items;        /* of the step */
} sl__attention_plan;

typedef struct sl__attention {
    sl__attention_plan *plan; /* [layers]; of those that have the same heads and window only the first one's is made */
    int *same;                /* [layers] whose plan is the layer's; -1: it has no attention */
    sl_attend *partial_state; /* [max_partials][heads] of the layer's plan */
    float *partial_acc;       /* [max_partials][heads][head_dim] */
    atomic_int *counter;      /* [max_counters] parts of a (chunk, KV head) that have ended */
} sl__attention;

/* Rows of one sequence, next to each other in the step. */
typedef struct sl__run {
    int sequence, row, rows;
} sl__run;

/* Of the layers that are gated delta nets. channels: sl_delta_channels. */
typedef struct sl__delta {
    const float **taps; /* [layers] to [delta_taps][channels] */
    float *zeros;       /* [channels] */
    sl__run *run;       /* [max_sequences] */
    int runs;           /* of the step */
    float *mixed;       /* [rows][channels + value_heads * value_dim] where the matrices give heads in another order; else NULL */
    float *x, *y;       /* [rows][channels] before and after the convolution */
    float *gate;        /* [rows][value_heads * value_dim] */
    float *gates;       /* [rows][2 * value_heads] strengths and decays as the matrices give them */
    float *strength, *decay; /* [rows][value_heads] */
    sl_planes out;      /* [rows][value_heads * value_dim] */
} sl__delta;

/* What one participant needs for itself. */
typedef struct sl__worker {
    void *gemm;        /* scratch of the kernels */
    float *ffn;        /* [SL_FFN_SCRATCH] */
    float *acc;        /* [queries][head_dim] of the layer's plan: values added up in one span */
    float **acc_row;   /* [queries] where each query's values are added up */
    uint8_t *ready;    /* [queries][sl_query_bytes(head_dim)] queries as the KV type wants them */
    sl_query *query;   /* [queries] */
    sl_attend *state, *total; /* [queries] softmax of one span, of all spans so far */
    int *first, *count; /* [queries] positions first … count - 1 of the current page are those that each query sees */
} sl__worker;

struct sl_forward {
    sl_forward_config c;
    const sl_model *m;        /* c.model */
    const sl_kernel_table *k; /* sl_kernels() */
    sl_arena *arena;
    sl_kv kv;
    sl_state state;

    /* Constant after start. */
    float *frequency, *window_frequency; /* [rope_dims / 2]; [window_rope_dims / 2] of layers with a window, where they have others */
    float rope_attention; /* factor on cosine and sine */
    const float **router; /* [layers] to [experts][width] in float; NULL in a dense layer */
    bool *ffn_quantised;  /* [layers] does its gate or up read quantised activations? With experts: theirs, or the shared one's */
    float *ones;          /* [largest head_dim] the weight of a norm that has none; NULL: there is no such norm */

    /* The step. Rows are the step's unless said. */
    const sl_step *step;
    int logit_rows;
    int32_t *logit_row;     /* [max_logit_rows] row of the step, ascending */
    float *x;               /* [rows][width] the residual stream */
    float *y;               /* [rows][width] what a part adds to it */
    sl_planes h;            /* [rows][width] a part's input: normed x; at the end [logit rows][width] */
    float *q;               /* [rows][heads * head_dim], of the layer at work, as all that has heads */
    float *kk, *v;          /* [rows][kv_heads * head_dim] keys, values */
    float *both;            /* [rows][heads][2 * head_dim] q and gate, where one matrix gives both */
    float *gate;            /* [rows][heads * head_dim] of attention's result, where the family has one */
    sl_planes a;            /* [rows][heads * head_dim] attention's result, in the widest layer; of one layer, its plan's `result` */
    float *cosines, *sines; /* [rows][rope_dims / 2] */
    float *window_cosines, *window_sines; /* [rows][window_rope_dims / 2]; the same as those where such layers have no others */
    float *own;             /* [rows][layers * layer_input] what layers have of a token for themselves; NULL: nothing */
    float *own_projected;   /* likewise, of the token's row */
    float *own_gate;        /* [rows][layer_input] */
    sl_planes own_gated;    /* [rows][layer_input] */
    float *beside;          /* [rows][width] what dense networks gave that stand beside experts; NULL: there are none */
    float *router_x;        /* [rows][width] what the router reads, where that is not h; NULL: it always is */
    float *scores;          /* [rows][experts] */
    int32_t *expert;        /* [rows][experts_used] */
    float *weight;          /* [rows][experts_used] */
    float *shared_weight;   /* [rows] */
    sl_groups groups;
    sl_ffn ffn;
    sl__attention attention;
    sl__delta delta;
    float *logits;          /* [logit rows][vocab] */
    sl__worker *worker;     /* [threads] */
    atomic_int ended;       /* items of the current phase that have ended, where somebody wants to know (sl__phase) */
};

/* The pages of a sequence of the step, in the layer. */
static inline const int32_t *sl__pages_of(const sl_forward *f, int layer, int sequence) {
    const sl_step_sequence *s = &f->step->sequence[sequence];
    return f->kv.layer[layer].kind == SL_KV_WINDOWED ? s->window : s->page;
}

static inline int sl__least(int a, int b) { return a < b ? a : b; }

/* phase.c: one phase for all participants: `items` (at least one) items, then the tail of every row, then `once`. tail and
 * once may be NULL. With few rows, whoever ends the last item does the rest, before the phase's only barrier. With many
 * rows the tail is work for all, after a barrier of its own. */
typedef void sl__item_fn(sl_forward *f, int layer, int self, int item);
typedef void sl__row_fn(sl_forward *f, int layer, int row);
typedef void sl__once_fn(sl_forward *f, int layer);
void sl__phase(sl_forward *f, int layer, int self, int items, sl__item_fn *item, sl__row_fn *tail, sl__once_fn *once);

/* product.c: the items of one or several products that a phase computes, one after the other, each cut into ranges of
 * output rows: out [rows][w->rows] = x [rows][w->cols] times w. An item says which output rows it has made. */
typedef struct sl__product {
    const sl_matrix *w;
    const sl_planes *x;
    float *out;
} sl__product;
int sl__product_items(const sl_forward *f, const sl__product *p, int count);
sl_range sl__product_item(sl_forward *f, int self, const sl__product *p, int count, int rows, int item);

/* stream.c: row `to` of h = the norm of row `row` of the stream, quantised if wanted; y = its norm, for a row; and x += y, times the
 * model's factor, for a row. bias NULL: none. */
void sl__stream_norm(sl_forward *f, int row, const float *weight, const float *bias, int to, bool quantised);
void sl__stream_norm_added(sl_forward *f, int row, const float *weight);
void sl__stream_norm_to(sl_forward *f, int row, const float *weight, float *to); /* likewise, but to `to` [width] */
void sl__stream_add(sl_forward *f, int row);

/* rope.c: the frequencies, [rope_dims / 2] or [window_rope_dims / 2], at start; a row's angles' cosines and sines in a step, of as
 * many frequencies. divisors [rope_dims / 2] of the file; NULL: none. ctx: positions of the longest sequence. factor: on cosine and sine. */
bool sl__rope_is_long(const sl_hparams *hp, int ctx); /* divided rope: do the divisors for long sequences hold? */
void sl__rope_frequencies(const sl_hparams *hp, const float *divisors, int ctx, float *frequency);
void sl__rope_window_frequencies(const sl_hparams *hp, float *frequency);
void sl__rope_angles(const float *frequency, int count, float factor, int position, float *cosines, float *sines);

/* attention.c */
sl__attention_plan sl__attention_sizes(const sl_forward *f, int layer); /* heads, queries and the max_… fields, from config and model */
void sl__attend_plan(sl_forward *f); /* chunks and items of the step, in every plan; engine thread */
sl__item_fn sl__attend_item;
static inline const sl__attention_plan *sl__plan_of(const sl_forward *f, int layer) { return &f->attention.plan[f->attention.same[layer]]; }

/* A kind of mixer. input makes a row of h from the stream; mix runs its phases up to what the output matrix is multiplied by, which
 * `result` has then, [rows][layer's o.cols], quantised where that matrix wants it. */
typedef struct sl__mixer {
    sl__row_fn *input;
    void (*mix)(sl_forward *f, int layer, int self);
    const sl_planes *(*result)(const sl_forward *f, int layer);
} sl__mixer;
extern const sl__mixer sl__mixer_attention, sl__mixer_delta; /* mixer_attention.c, mixer_delta.c */
void sl__delta_plan(sl_forward *f); /* the step's runs; engine thread */

/* mixer.c and feed_forward.c, the parts of a block. A part's input must stand in h for every row before its phases begin;
 * its result stands in y when the tail of its last phase runs, which is the caller's. */
sl__row_fn sl__mixer_input;
void sl__mix(sl_forward *f, int layer, int self, sl__row_fn *tail, sl__once_fn *once);
sl__row_fn sl__mixer_result; /* completes a row of y: first in that tail */
sl__row_fn sl__feed_forward_input;
sl__row_fn sl__feed_forward_result; /* likewise */
sl__once_fn *sl__feed_forward_begin(const sl_forward *f, int layer); /* must run once before its phases; NULL: nothing */
void sl__feed_forward(sl_forward *f, int layer, int self, sl__row_fn *tail);

/* inputs.c: between phases, where somebody wants to know what matrices are multiplied by (config.multiplied): before the output
 * phase of the mixer, and between up and down. Nothing otherwise. */
void sl__tell_mixer_inputs(sl_forward *f, int layer, int self, const sl_planes *result); /* what `o` is multiplied by */
void sl__tell_feed_forward_inputs(sl_forward *f, int layer, int self, bool routed); /* routed: of the experts' groups */
void sl__tell_own_embedding(sl_forward *f, int self); /* before own.c's first phase */
void sl__tell_own_inputs(sl_forward *f, int layer, int self); /* between its other two */

/* own.c: what layers have of a token for themselves. begin: x0 is a row's embedding; its own inputs, and h made ready for their part of it,
 * whose phase is sl__own_embed. enter: h made ready for a layer's phases, which add to the stream and end with `tail`. */
void sl__own_begin(sl_forward *f, int row, int token);
void sl__own_embed(sl_forward *f, int self);
sl__row_fn sl__own_enter;
void sl__own(sl_forward *f, int layer, int self, sl__row_fn *tail);
sl__row_fn sl__own_result; /* first in that tail */

/* block.c */
void sl__embed(sl_forward *f, int self); /* tokens to the stream, and the first block's input */
void sl__block(sl_forward *f, int layer, int self);

/* output.c */
void sl__output_input(sl_forward *f, int row); /* after the last block: the norm of a row that wants logits */
void sl__output(sl_forward *f, int self);

#endif

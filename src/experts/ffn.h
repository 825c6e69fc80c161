/* ffn.h: the feed-forward networks of a layer over its groups: gate and up, activation, down, sum.
 * Workers: one participant plans; then any of them does any item, and writes h, the result, its own scratch and counters.
 *
 * Two phases with a barrier between them:
 *   up    an item is (group, range of its ff): h = the activation of gate x and up x, each with its bias if there is one:
 *         silu(gate x) * (up x); quantised where down wants it
 *         Where weights are on the inputs (weighs_input), gate x and up x of a routed expert are multiplied by the row's weight a:
 *         gate (a x) = a (gate x). So x need be quantised but once for all its experts, and the rounding is a like one.
 *   down  an item is a range of output values, over all groups in ascending expert number:
 *         y = 0; y = fma(weight, down h (+ bias), y) for each group; the weight is 1 where it was on the input. So a row's sum
 *         never depends on who else is in the step.
 *
 * Rows of a group are taken in blocks that fit the scratch. Neither blocks nor ranges change a bit. */
#ifndef SL_EXPERTS_FFN_H
#define SL_EXPERTS_FFN_H

#include "experts/groups.h"
#include "experts/stats.h"
#include "kernels/ranges.h"

/* Rows of a group that are taken together when there are many: as many as use an unpacked panel of weights. */
#define SL_FFN_ROWS 128
/* Floats of scratch for each participant: two halves, for the gate and up results of an item. A half holds SL_FFN_ROWS rows
 * by 6 * SL_PANEL = 384 output values, or fewer rows of longer ranges: [rows][range]. Down uses one half. */
#define SL_FFN_SCRATCH ((size_t)2 * SL_FFN_ROWS * 6 * SL_PANEL)

typedef struct sl_ffn {
    /* Set once. */
    const sl_groups *groups;
    const sl_planes *x; /* [rows][width], normed; quantised where gate or up wants it */
    float *y;           /* [rows][width] */
    int width, threads;
    sl_activation activation;
    float alpha, limit; /* of SL_ACTIVATION_CLAMPED */
    bool weighs_input;  /* a routed expert's weight is on its input */
    sl_expert_stats *stats; /* NULL: nothing is counted */
    /* For a layer of a step, by the caller. */
    int layer, rows;
    /* By sl_ffn_plan. */
    int up_range, down_range; /* lengths in output rows, multiples of SL_PANEL; the last range may be shorter */
    int *first_item;    /* [most groups + 1] memory by the caller; i: first item of the gate and up phase that group i has;
                           groups->count: how many items there are */
} sl_ffn;

/* One participant, when the groups are complete: cuts the items, counts the groups. */
void sl_ffn_plan(sl_ffn *f);

static inline int sl_ffn_up_items(const sl_ffn *f) { return f->first_item[f->groups->count]; }
static inline int sl_ffn_down_items(const sl_ffn *f) { return sl_range_count(f->width, f->down_range); }

/* scratch: SL_FFN_SCRATCH floats; gemm_scratch as the kernels want it. */
void sl_ffn_up(const sl_ffn *f, int self, int item, float *scratch, void *gemm_scratch);
void sl_ffn_down(const sl_ffn *f, int self, int item, float *scratch, void *gemm_scratch);

/* The weights on the inputs of a group, [n]; NULL: there are none. */
static inline const float *sl_ffn_input_weights(const sl_ffn *f, const sl_group *g) {
    return f->weighs_input && g->expert >= 0 ? g->weight : NULL;
}

/* Does a feed-forward network read quantised activations? */
bool sl_ffn_quantised(const sl_ffn_weights *w);

#endif

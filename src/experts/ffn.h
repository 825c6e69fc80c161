/* ffn.h: the feed-forward networks of a layer over its groups: gate and up, activation, down, sum.
 * Workers: any participant does any item; writes h, the result, its own scratch and its own counters.
 *
 * Two phases with a barrier between them:
 *   up    an item is (group, range of its ff): h = silu(gate x) * (up x), quantised where down wants it
 *   down  an item is a range of output values, over all groups in ascending expert number:
 *         y = 0; y = fma(weight, down h, y) for each group. So a row's sum never depends on who else is in the step.
 *
 * Ranges are multiples of SL_PANEL and blocks of rows bound the scratch; neither changes a bit. */
#ifndef SL_EXPERTS_FFN_H
#define SL_EXPERTS_FFN_H

#include "experts/groups.h"
#include "experts/stats.h"

/* Rows of a group that are taken together when there are many, and floats a worker: for them two ranges of 6 * SL_PANEL. */
#define SL_FFN_ROWS 128
#define SL_FFN_SCRATCH ((size_t)2 * SL_FFN_ROWS * 6 * SL_PANEL)

typedef struct sl_ffn {
    const sl_groups *groups;
    const sl_planes *x; /* [rows][width], normed; quantised where gate or up wants it */
    float *y;           /* [rows][width] */
    int rows, width;
    int participants;
    int up_range, down_range, down_items;
    int layer;
    sl_expert_stats *stats; /* NULL: nothing is counted */
} sl_ffn;

/* One participant, when the groups are complete: cuts the items, counts the groups. */
void sl_ffn_plan(sl_ffn *f, sl_groups *groups, int participants);

/* scratch: SL_FFN_SCRATCH floats; gemm_scratch as the kernels want it. */
void sl_ffn_up(const sl_ffn *f, int self, int item, float *scratch, void *gemm_scratch);
void sl_ffn_down(const sl_ffn *f, int self, int item, float *scratch, void *gemm_scratch);

/* Does a feed-forward network read quantised activations? */
bool sl_ffn_quantised(const sl_ffn_weights *w);

/* Length of the ranges that `total` output rows are cut into: long ones stream better, enough of them keep every
 * participant busy to the end. A multiple of SL_PANEL. */
int sl_ffn_range(size_t total, int participants);

#endif

/* groups.h: the rows of a step by expert: one group for each expert that got rows.
 * Workers: one participant builds the groups between two barriers, then they are const to all until the next layer. The
 * memory is the step's workspace.
 *
 * A slot is one (group, row). The slots of a group stand together, its rows in ascending order; groups stand in ascending
 * expert number, a shared expert last. A dense feed-forward layer is one group of all rows. Example: two experts a row, row
 * 0 chose 1 and 4, row 1 chose 1 and 2: group of expert 1 with rows 0 1, of 2 with row 1, of 4 with row 0; four slots.
 *
 * Invariant: every (row, chosen expert) has exactly one slot. */
#ifndef SL_EXPERTS_GROUPS_H
#define SL_EXPERTS_GROUPS_H

#include "kernels/planes.h"
#include "model/model.h"

#include <stdbool.h>

typedef struct sl_group {
    const sl_ffn_weights *w;
    int expert;          /* -1: dense or shared, which nobody counts */
    int n;               /* rows */
    const int32_t *row;  /* [n] ascending */
    const float *weight; /* [n] on its output, or its input (ffn.h); NULL: 1 */
    sl_planes h;         /* [n][ff]: silu(gate) * up, input of down */
} sl_group;

typedef struct sl_groups {
    sl_group *group; /* [experts + 1] */
    int count;       /* groups in this layer */
    int32_t *row;    /* [max_rows * used] rows of the slots, then [max_rows] 0, 1, 2 …: the rows of a group of all rows */
    float *weight;   /* [max_rows * used] of the slots */
    int32_t *next;   /* [experts] scratch of the sort */
    int max_rows;    /* of a step */
    int used;        /* experts a row */
    int experts;
    sl_planes h;     /* [h_room] values, of which each group gets a part */
    size_t h_room, h_used;
} sl_groups;

/* Values that the h of a step's groups need at most. */
size_t sl_groups_h_room(const sl_hparams *hp, int max_rows);

/* Empties the list: before a layer. */
void sl_groups_reset(sl_groups *g);

/* Adds the groups of a routed layer, by a counting sort.
 *   experts         [g->experts] weights
 *   expert, weight  [rows][g->used], experts of a row ascending */
void sl_groups_route(sl_groups *g, const sl_ffn_weights *experts, int rows, const int32_t *expert, const float *weight);

/* Adds one group of all rows: a dense layer, or the shared expert. weight [rows] on its output; NULL: 1. */
void sl_groups_all(sl_groups *g, const sl_ffn_weights *w, int rows, const float *weight);

#endif

/* groups.h: the rows of a step by expert: one group for each expert that got rows.
 * Built by one participant between two barriers, const to all until the next layer; memory is the step's workspace.
 *
 * A slot is one (group, row): slots of a group stand together, its rows in ascending order, groups in ascending expert
 * number, a shared expert last. A dense feed-forward layer is one group of all rows.
 *
 * Invariants
 *   1. Every (row, chosen expert) has exactly one slot.
 *   2. A group's items follow those of the group before it: item first_item … of the gate and up phase. */
#ifndef SL_EXPERTS_GROUPS_H
#define SL_EXPERTS_GROUPS_H

#include "experts/planes.h"
#include "model/model.h"

#include <stdbool.h>

typedef struct sl_group {
    const sl_ffn_weights *w;
    int expert;          /* -1: dense or shared, which nobody counts */
    int n;               /* rows */
    const int32_t *row;  /* [n] ascending */
    const float *weight; /* [n] on its output; NULL: 1 */
    sl_planes h;         /* [n][ff]: silu(gate) * up, input of down */
    int first_item;
} sl_group;

typedef struct sl_groups {
    sl_group *group; /* [experts + 1] */
    int count;
    int items;       /* of the gate and up phase, set by sl_ffn_plan */
    int32_t *row;    /* [max_rows * used + max_rows] of all slots; the last max_rows are 0, 1, 2 …, for all-row groups */
    float *weight;   /* [max_rows * used] */
    int32_t *next;   /* [experts]: scratch of the sort */
    int max_rows, used, experts;
    sl_planes h;     /* room for the groups' h; cols is 0 */
    size_t h_room;   /* values in it */
    size_t h_used;
} sl_groups;

/* Empties the list: before a layer. */
void sl_groups_reset(sl_groups *g);

/* Counting sort of a routed layer.
 *   expert, weight  [rows][used], experts of a row ascending
 *   experts         [g->experts] */
void sl_groups_route(sl_groups *g, const sl_ffn_weights *experts, int rows, const int32_t *expert, const float *weight);

/* One group of all rows: a dense layer (weight NULL), or the shared expert. */
void sl_groups_all(sl_groups *g, const sl_ffn_weights *w, int rows, const float *weight);

/* Values of h that a step of max_rows needs at most. */
size_t sl_groups_h_room(const sl_hparams *hp, int max_rows);

#endif

#include "experts/groups.h"

#include <assert.h>
#include <string.h>

/* A group's h begins at a multiple of 64 values, so that its 32-value blocks are whole. */
static size_t padded(size_t values) { return (values + 63) & ~(size_t)63; }

static sl_planes take_h(sl_groups *g, int rows, int ff) {
    size_t at = g->h_used;
    g->h_used += padded((size_t)rows * (size_t)ff);
    assert(g->h_used <= g->h_room);
    return sl_planes_part(&g->h, at, ff);
}

void sl_groups_reset(sl_groups *g) {
    g->count = 0;
    g->h_used = 0;
}

void sl_groups_route(sl_groups *g, const sl_ffn_weights *experts, int rows, const int32_t *expert, const float *weight) {
    int slots = rows * g->used;
    int32_t *next = g->next;
    memset(next, 0, (size_t)g->experts * sizeof *next);
    for (int i = 0; i < slots; i++) next[expert[i]]++;
    int first = 0;
    for (int e = 0; e < g->experts; e++) {
        int n = next[e];
        next[e] = first;
        if (!n) continue;
        g->group[g->count++] = (sl_group){.w = &experts[e],
                                          .expert = e,
                                          .n = n,
                                          .row = g->row + first,
                                          .weight = g->weight + first,
                                          .h = take_h(g, n, experts[e].down.cols)};
        first += n;
    }
    for (int i = 0; i < slots; i++) {
        int slot = next[expert[i]]++;
        g->row[slot] = i / g->used;
        g->weight[slot] = weight[i];
    }
}

void sl_groups_all(sl_groups *g, const sl_ffn_weights *w, int rows, const float *weight) {
    g->group[g->count++] = (sl_group){.w = w,
                                      .expert = -1,
                                      .n = rows,
                                      .row = g->row + (size_t)g->max_rows * (size_t)g->used,
                                      .weight = weight,
                                      .h = take_h(g, rows, w->down.cols)};
}

size_t sl_groups_h_room(const sl_hparams *hp, int max_rows) {
    size_t rows = (size_t)max_rows;
    int widest = 0;
    for (int i = 0; i < hp->layers; i++) widest = sl_ff(hp, i) > widest ? sl_ff(hp, i) : widest;
    size_t dense = padded(rows * (size_t)widest);
    if (!hp->experts) return dense;
    size_t slots = rows * (size_t)hp->experts_used;
    size_t groups = slots < (size_t)hp->experts ? slots : (size_t)hp->experts;
    size_t routed = slots * (size_t)hp->expert_ff + 64 * groups + padded(rows * (size_t)hp->shared_ff);
    return dense > routed ? dense : routed;
}

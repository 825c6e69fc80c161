/* feed_forward.c: the second part of a block: the router's choice where the layer routes, then the feed-forward networks
 * over their groups. Three of the six phases of internal.h: router (in layers that route), up, down. */
#include "base/fmath.h"
#include "forward/internal.h"

/* A router's item: so many rows by so many experts. */
enum { ROUTER_ROWS = 16, ROUTER_EXPERTS = 16 };

static bool routes(const sl_forward *f, int layer) { return f->m->layer[layer].experts != NULL; }

void sl__feed_forward_input(sl_forward *f, int layer, int row) {
    const sl_layer *l = &f->m->layer[layer];
    sl__stream_norm(f, row, l->ffn_norm, l->ffn_norm_bias, row, f->ffn_quantised[layer]);
}

static void plan(sl_forward *f, int layer) {
    f->ffn.layer = layer;
    f->ffn.rows = f->step->rows;
    sl_ffn_plan(&f->ffn);
}

static void plan_dense(sl_forward *f, int layer) {
    sl_groups_reset(&f->groups);
    sl_groups_all(&f->groups, &f->m->layer[layer].dense, f->step->rows, NULL);
    plan(f, layer);
}

sl__once_fn *sl__feed_forward_begin(const sl_forward *f, int layer) { return routes(f, layer) ? NULL : plan_dense; }

/* --- router --- */

static int blocks(int n, int size) { return (n + size - 1) / size; }

static void router_item(sl_forward *f, int layer, int self, int item) {
    (void)self;
    int experts = f->m->hp.experts, width = f->m->hp.width, columns = blocks(experts, ROUTER_EXPERTS);
    int row = item / columns * ROUTER_ROWS, last_row = sl__least(row + ROUTER_ROWS, f->step->rows);
    int first = item % columns * ROUTER_EXPERTS, last = sl__least(first + ROUTER_EXPERTS, experts);
    f->k->dots(f->router[layer] + (size_t)first * (size_t)width, last - first, sl_planes_row(&f->h, row), last_row - row,
               width, f->scores + (size_t)row * (size_t)experts + first, (size_t)experts);
}

static void router_row(sl_forward *f, int layer, int row) {
    const sl_hparams *hp = &f->m->hp;
    const sl_layer *l = &f->m->layer[layer];
    sl_router_rule rule = sl_router_rule_of(hp, l->router_bias);
    size_t at = (size_t)row * (size_t)hp->experts_used;
    if (l->router_offset) f->k->add(f->scores + (size_t)row * (size_t)hp->experts, l->router_offset, hp->experts);
    sl_router_pick(&rule, f->scores + (size_t)row * (size_t)hp->experts, f->expert + at, f->weight + at);
    if (l->shared_gate) {
        float z = f->k->dot(l->shared_gate, sl_planes_row(&f->h, row), hp->width);
        f->shared_weight[row] = 1 / (1 + sl_expf(-z));
    }
}

static void plan_routed(sl_forward *f, int layer) {
    const sl_layer *l = &f->m->layer[layer];
    sl_groups_reset(&f->groups);
    sl_groups_route(&f->groups, l->experts, f->step->rows, f->expert, f->weight);
    if (l->shared.gate.data) sl_groups_all(&f->groups, &l->shared, f->step->rows, l->shared_gate ? f->shared_weight : NULL);
    plan(f, layer);
}

/* --- gate and up, down --- */

static void up_item(sl_forward *f, int layer, int self, int item) {
    (void)layer;
    sl_ffn_up(&f->ffn, self, item, f->worker[self].ffn, f->worker[self].gemm);
}

static void down_item(sl_forward *f, int layer, int self, int item) {
    (void)layer;
    sl_ffn_down(&f->ffn, self, item, f->worker[self].ffn, f->worker[self].gemm);
}

void sl__feed_forward_result(sl_forward *f, int layer, int row) {
    const sl_hparams *hp = &f->m->hp;
    float *y = f->y + (size_t)row * (size_t)hp->width;
    if (!routes(f, layer) || hp->routed_scale == 0) return;
    for (int i = 0; i < hp->width; i++) y[i] *= hp->routed_scale;
}

void sl__feed_forward(sl_forward *f, int layer, int self, sl__row_fn *tail) {
    if (routes(f, layer)) {
        int rows = f->step->rows, items = blocks(rows, ROUTER_ROWS) * blocks(f->m->hp.experts, ROUTER_EXPERTS);
        sl__phase(f, layer, self, items, router_item, router_row, plan_routed);
        if (self == 0 && f->c.routed) f->c.routed(f->c.routed_arg, layer, rows, f->expert, f->weight);
    }
    sl__phase(f, layer, self, sl_ffn_up_items(&f->ffn), up_item, NULL, NULL);
    sl__tell_feed_forward_inputs(f, layer, self);
    sl__phase(f, layer, self, sl_ffn_down_items(&f->ffn), down_item, tail, NULL);
}

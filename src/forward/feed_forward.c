/* feed_forward.c: the second part of a block: the router's choice where the layer routes, then the feed-forward networks
 * over their groups. Phases of internal.h: router (in layers that route), up, down. Where a dense network stands beside the experts,
 * up and down of that one come first. */
#include "base/fmath.h"
#include "forward/internal.h"

#include <string.h>

/* A router's item: so many rows by so many experts. */
enum { ROUTER_ROWS = 16, ROUTER_EXPERTS = 16 };

static bool routes(const sl_forward *f, int layer) { return f->m->layer[layer].experts != NULL; }

/* Has the layer a dense network beside its experts? */
static bool has_beside(const sl_forward *f, int layer) { return routes(f, layer) && f->m->layer[layer].dense.gate.data; }

static float *row_of(const sl_forward *f, float *x, int row) { return x + (size_t)row * (size_t)f->m->hp.width; }

static void router_input(sl_forward *f, int layer, int row) {
    const float *norm = f->m->layer[layer].router_norm;
    if (!norm) return;
    float *x = row_of(f, f->router_x, row), by = 1 / sl_sqrtf((float)f->m->hp.width);
    sl__stream_norm_to(f, row, norm, x);
    sl_scale(x, by, f->m->hp.width);
}

void sl__feed_forward_input(sl_forward *f, int layer, int row) {
    const sl_layer *l = &f->m->layer[layer];
    bool beside = has_beside(f, layer), quantised = beside ? sl_ffn_quantised(&l->dense) : f->ffn_quantised[layer];
    sl__stream_norm(f, row, l->ffn_norm, l->ffn_norm_bias, row, quantised);
    router_input(f, layer, row);
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

sl__once_fn *sl__feed_forward_begin(const sl_forward *f, int layer) {
    return routes(f, layer) && !has_beside(f, layer) ? NULL : plan_dense;
}

/* --- router --- */

static int blocks(int n, int size) { return (n + size - 1) / size; }

static void router_item(sl_forward *f, int layer, int self, int item) {
    (void)self;
    int experts = f->m->hp.experts, width = f->m->hp.width, columns = blocks(experts, ROUTER_EXPERTS);
    int row = item / columns * ROUTER_ROWS, last_row = sl__least(row + ROUTER_ROWS, f->step->rows);
    int first = item % columns * ROUTER_EXPERTS, last = sl__least(first + ROUTER_EXPERTS, experts);
    const float *x = f->m->layer[layer].router_norm ? row_of(f, f->router_x, row) : sl_planes_row(&f->h, row);
    f->k->dots(f->router[layer] + (size_t)first * (size_t)width, last - first, x, last_row - row, width,
               f->scores + (size_t)row * (size_t)experts + first, (size_t)experts);
}

static void router_row(sl_forward *f, int layer, int row) {
    const sl_hparams *hp = &f->m->hp;
    const sl_layer *l = &f->m->layer[layer];
    sl_router_rule rule = sl_router_rule_of(hp, l->router_bias, l->expert_scale);
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
    float *y = row_of(f, f->y, row);
    if (!routes(f, layer)) return;
    if (hp->routed_scale != 0) sl_scale(y, hp->routed_scale, hp->width);
    if (!has_beside(f, layer)) return;
    sl__stream_norm_added(f, row, f->m->layer[layer].routed_fed_norm);
    f->k->add(y, row_of(f, f->beside, row), hp->width);
}

/* The end of the dense network beside experts: its result is put by, and what they read is made. */
static void beside_row(sl_forward *f, int layer, int row) {
    const sl_layer *l = &f->m->layer[layer];
    sl__stream_norm_added(f, row, l->dense_fed_norm);
    memcpy(row_of(f, f->beside, row), row_of(f, f->y, row), (size_t)f->m->hp.width * sizeof(float));
    sl__stream_norm(f, row, l->routed_norm, NULL, row, f->ffn_quantised[layer]);
}

/* Up and down of the groups that are planned. */
static void networks(sl_forward *f, int layer, int self, bool routed, sl__row_fn *tail) {
    sl__phase(f, layer, self, sl_ffn_up_items(&f->ffn), up_item, NULL, NULL);
    sl__tell_feed_forward_inputs(f, layer, self, routed);
    sl__phase(f, layer, self, sl_ffn_down_items(&f->ffn), down_item, tail, NULL);
}

void sl__feed_forward(sl_forward *f, int layer, int self, sl__row_fn *tail) {
    if (has_beside(f, layer)) networks(f, layer, self, false, beside_row);
    if (routes(f, layer)) {
        int rows = f->step->rows, items = blocks(rows, ROUTER_ROWS) * blocks(f->m->hp.experts, ROUTER_EXPERTS);
        sl__phase(f, layer, self, items, router_item, router_row, plan_routed);
        if (self == 0 && f->c.routed) f->c.routed(f->c.routed_arg, layer, rows, f->expert, f->weight);
    }
    networks(f, layer, self, routes(f, layer), tail);
}

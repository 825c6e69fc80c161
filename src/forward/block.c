/* One transformer block: the six phases of internal.h. */
#include "base/fmath.h"
#include "forward/internal.h"

#include <string.h>

enum { FEW_ROWS = 2, ROUTER_ROWS = 16, ROUTER_EXPERTS = 16 };

void sl__phase(sl_forward *f, int layer, int self, int items, sl__item_fn *item, sl__row_fn *tail, sl__once_fn *once) {
    sl_workers *w = f->c.workers;
    int rows = tail ? f->step->rows : 0;
    bool few = rows <= FEW_ROWS;
    for (int i; (i = sl_workers_take(w, self)) < items;) {
        item(f, layer, self, i);
        if (!few || (!tail && !once)) continue;
        if (atomic_fetch_add_explicit(&f->done, 1, memory_order_acq_rel) < items - 1) continue;
        atomic_store_explicit(&f->done, 0, memory_order_relaxed); /* the last item: nobody else is left in this phase */
        for (int r = 0; r < rows; r++) tail(f, layer, r);
        if (once) once(f, layer);
    }
    sl_workers_barrier(w, self);
    if (few) return;
    for (int r; (r = sl_workers_take(w, self)) < rows;) tail(f, layer, r);
    sl_workers_barrier(w, self);
    if (!once) return;
    if (self == 0) once(f, layer);
    sl_workers_barrier(w, self);
}

static bool quantised(const sl_matrix *w) { return sl_types[w->type].quantised; }

/* Quantises a row of activations if a reader wants it. */
static void quantise_row(const sl_planes *p, int row) { sl_planes_quantize(p, row, 0, p->cols); }

static void clip(float *x, int n, float most) {
    for (int i = 0; i < n; i++) x[i] = x[i] < -most ? -most : x[i] > most ? most : x[i];
}

/* Input of the attention of `layer`. */
static void attention_norm(sl_forward *f, int layer, int row) {
    const sl_layer *l = &f->m->layer[layer];
    int width = f->m->hp.width;
    f->k->rmsnorm(f->x + (size_t)row * (size_t)width, l->attn_norm, width, f->m->hp.norm_eps, sl_planes_row(&f->h, row));
    if (quantised(&l->q) || quantised(&l->k) || quantised(&l->v)) quantise_row(&f->h, row);
}

static void ffn_norm(sl_forward *f, int layer, int row) {
    const sl_layer *l = &f->m->layer[layer];
    int width = f->m->hp.width;
    f->k->rmsnorm(f->x + (size_t)row * (size_t)width, l->ffn_norm, width, f->m->hp.norm_eps, sl_planes_row(&f->h, row));
    if (f->ffn_quantised[layer]) quantise_row(&f->h, row);
}

/* Rows [first, last) of a matrix that item `item` of the phase has, if it has any: the matrices of a phase follow each
 * other, each cut into ranges. */
static bool range_of(const sl_matrix *w, int range, int *item, int *first, int *last) {
    int items = (w->rows + range - 1) / range;
    if (*item >= items) {
        *item -= items;
        return false;
    }
    *first = *item * range;
    *last = sl__least(*first + range, w->rows);
    return true;
}

static int ranges(const sl_matrix *w, int range) { return (w->rows + range - 1) / range; }

static void multiply(sl_forward *f, int self, const sl_matrix *w, int first, int last, const sl_planes *x, float *out) {
    sl_acts acts = sl_planes_acts(x, 0);
    f->k->gemm[w->type](w, first, last, &acts, NULL, f->step->rows, out + first, (size_t)w->rows, f->worker[self].gemm, NULL);
}

/* --- q k v --- */

static int qkv_range(const sl_forward *f, const sl_layer *l) {
    return sl_ffn_range((size_t)(l->q.rows + l->k.rows + l->v.rows), f->participants);
}

static void qkv_item(sl_forward *f, int layer, int self, int item) {
    const sl_layer *l = &f->m->layer[layer];
    int range = qkv_range(f, l), first, last;
    if (range_of(&l->q, range, &item, &first, &last)) multiply(f, self, &l->q, first, last, &f->h, f->q);
    else if (range_of(&l->k, range, &item, &first, &last)) multiply(f, self, &l->k, first, last, &f->h, f->kk);
    else if (range_of(&l->v, range, &item, &first, &last)) multiply(f, self, &l->v, first, last, &f->h, f->v);
}

/* Bias, norm and clip of one projection of one row. */
static void finish_projection(sl_forward *f, float *x, int heads, const float *bias, const float *norm) {
    const sl_hparams *hp = &f->m->hp;
    int n = heads * hp->head_dim;
    if (bias) f->k->add(x, bias, n);
    if (norm && hp->qk_norm == SL_QK_NORM_FULL) f->k->rmsnorm(x, norm, n, hp->norm_eps, x);
    if (norm && hp->qk_norm == SL_QK_NORM_HEAD) {
        for (int h = 0; h < heads; h++) {
            f->k->rmsnorm(x + h * hp->head_dim, norm, hp->head_dim, hp->norm_eps, x + h * hp->head_dim);
        }
    }
    if (hp->qkv_clip > 0) clip(x, n, hp->qkv_clip);
}

static void rotate(sl_forward *f, float *x, int heads, int row) {
    const sl_hparams *hp = &f->m->hp;
    int half = hp->rope_dims / 2;
    const float *c = f->cosines + (size_t)row * (size_t)half, *s = f->sines + (size_t)row * (size_t)half;
    for (int h = 0; h < heads; h++) {
        f->k->rope(x + h * hp->head_dim, c, s, half, hp->rope_style == SL_ROPE_INTERLEAVED);
    }
}

static void qkv_row(sl_forward *f, int layer, int row) {
    const sl_layer *l = &f->m->layer[layer];
    const sl_hparams *hp = &f->m->hp;
    size_t r = (size_t)row, d = (size_t)hp->head_dim, kv_width = (size_t)hp->kv_heads * d;
    float *q = f->q + r * (size_t)hp->heads * d, *k = f->kk + r * kv_width, *v = f->v + r * kv_width;
    finish_projection(f, q, hp->heads, l->q_bias, l->q_norm);
    finish_projection(f, k, hp->kv_heads, l->k_bias, l->k_norm);
    finish_projection(f, v, hp->kv_heads, l->v_bias, NULL);
    rotate(f, q, hp->heads, row);
    rotate(f, k, hp->kv_heads, row);

    const sl_step_row *s = &f->step->row[row];
    int page = f->step->sequence[s->sequence].page[s->position / SL_PAGE];
    for (int h = 0; h < hp->kv_heads; h++) {
        f->k->kv_store[f->kv.type](k + (size_t)h * d, v + (size_t)h * d, hp->head_dim, s->position % SL_PAGE,
                                   sl_kv_head(&f->kv, page, layer, h));
    }
}

/* --- attention and its output --- */

static void attended_row(sl_forward *f, int layer, int row) {
    (void)layer;
    quantise_row(&f->a, row);
}

static int output_range(const sl_forward *f) { return sl_ffn_range((size_t)f->m->hp.width, f->participants); }

static void output_item(sl_forward *f, int layer, int self, int item) {
    const sl_matrix *o = &f->m->layer[layer].o;
    int first, last;
    if (range_of(o, output_range(f), &item, &first, &last)) multiply(f, self, o, first, last, &f->a, f->y);
}

static void add_to_stream(sl_forward *f, int row) {
    size_t at = (size_t)row * (size_t)f->m->hp.width;
    f->k->add(f->x + at, f->y + at, f->m->hp.width);
}

static void output_row(sl_forward *f, int layer, int row) {
    const float *bias = f->m->layer[layer].o_bias;
    int width = f->m->hp.width;
    if (bias) f->k->add(f->y + (size_t)row * (size_t)width, bias, width);
    add_to_stream(f, row);
    ffn_norm(f, layer, row);
}

/* --- feed-forward --- */

static void plan_ffn(sl_forward *f, int layer) {
    f->ffn.layer = layer;
    f->ffn.rows = f->step->rows;
    sl_ffn_plan(&f->ffn, &f->groups, f->participants);
}

static void dense_once(sl_forward *f, int layer) {
    sl_groups_reset(&f->groups);
    sl_groups_all(&f->groups, &f->m->layer[layer].dense, f->step->rows, NULL);
    plan_ffn(f, layer);
}

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
    sl_router_rule rule = {hp->experts, hp->experts_used, hp->router_score, hp->router_norm};
    size_t at = (size_t)row * (size_t)hp->experts_used;
    sl_router_pick(&rule, f->scores + (size_t)row * (size_t)hp->experts, f->expert + at, f->weight + at);
    if (l->shared_gate && hp->shared_gate == SL_SHARED_SIGMOID) {
        float z = f->k->dot(l->shared_gate, sl_planes_row(&f->h, row), hp->width);
        f->shared_weight[row] = 1 / (1 + sl_expf(-z));
    }
}

static void router_once(sl_forward *f, int layer) {
    const sl_layer *l = &f->m->layer[layer];
    sl_groups_reset(&f->groups);
    sl_groups_route(&f->groups, l->experts, f->step->rows, f->expert, f->weight);
    if (l->shared.gate.data) sl_groups_all(&f->groups, &l->shared, f->step->rows, l->shared_gate ? f->shared_weight : NULL);
    plan_ffn(f, layer);
}

static void up_item(sl_forward *f, int layer, int self, int item) {
    (void)layer;
    sl_ffn_up(&f->ffn, self, item, f->worker[self].ffn, f->worker[self].gemm);
}

static void down_item(sl_forward *f, int layer, int self, int item) {
    (void)layer;
    sl_ffn_down(&f->ffn, self, item, f->worker[self].ffn, f->worker[self].gemm);
}

static void down_row(sl_forward *f, int layer, int row) {
    add_to_stream(f, row);
    if (layer + 1 < f->m->hp.layers) attention_norm(f, layer + 1, row);
    else sl__finish_row(f, layer, row);
}

void sl__block(sl_forward *f, int layer, int self) {
    const sl_layer *l = &f->m->layer[layer];
    const sl_hparams *hp = &f->m->hp;
    int rows = f->step->rows, range = qkv_range(f, l);
    bool routes = l->experts != NULL;
    sl__phase(f, layer, self, ranges(&l->q, range) + ranges(&l->k, range) + ranges(&l->v, range), qkv_item, qkv_row, NULL);
    sl__phase(f, layer, self, f->attention.items, sl__attend_item, quantised(&l->o) ? attended_row : NULL, NULL);
    sl__phase(f, layer, self, ranges(&l->o, output_range(f)), output_item, output_row, routes ? NULL : dense_once);
    if (routes) {
        int items = blocks(rows, ROUTER_ROWS) * blocks(hp->experts, ROUTER_EXPERTS);
        sl__phase(f, layer, self, items, router_item, router_row, router_once);
        if (self == 0 && f->c.routed) f->c.routed(f->c.routed_arg, layer, rows, f->expert, f->weight);
    }
    sl__phase(f, layer, self, f->groups.items, up_item, NULL, NULL);
    sl__phase(f, layer, self, f->ffn.down_items, down_item, down_row, NULL);
}

static void embed_item(sl_forward *f, int layer, int self, int row) {
    (void)layer, (void)self;
    const sl_hparams *hp = &f->m->hp;
    const sl_matrix *e = &f->m->embedding;
    const sl_step_row *s = &f->step->row[row];
    size_t half = (size_t)(hp->rope_dims / 2);
    f->k->widen[e->type](e->data + (size_t)s->token * e->stride, hp->width, f->x + (size_t)row * (size_t)hp->width);
    sl__rope_angles(hp, f->frequency, s->position, f->cosines + (size_t)row * half, f->sines + (size_t)row * half);
    attention_norm(f, 0, row);
}

void sl__embed(sl_forward *f, int self) { sl__phase(f, 0, self, f->step->rows, embed_item, NULL, NULL); }

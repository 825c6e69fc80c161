/* mixer_attention.c: attention as a layer's mixer. Two of the phases of internal.h: q k v, and attend, whose arithmetic is
 * attention.c's. */
#include "base/fmath.h"
#include "forward/internal.h"

#include <string.h>

enum { QKV = 4 };

/* The input's products with the matrices of q and, where there are such, of k, v and the gate; returns how many. */
static int qkv_products(sl_forward *f, int layer, sl__product ret[QKV]) {
    const sl_layer *l = &f->m->layer[layer];
    int n = 0;
    ret[n++] = (sl__product){&l->q, &f->h, f->m->hp.query_gated ? f->both : f->q};
    if (l->k.data) ret[n++] = (sl__product){&l->k, &f->h, f->kk};
    if (l->v.data) ret[n++] = (sl__product){&l->v, &f->h, f->v};
    if (l->gate.data) ret[n++] = (sl__product){&l->gate, &f->h, f->gate};
    return n;
}

static void input(sl_forward *f, int layer, int row) {
    const sl_layer *l = &f->m->layer[layer];
    bool quantised = sl_matrix_quantised(&l->q) || (l->k.data && sl_matrix_quantised(&l->k)) || (l->v.data && sl_matrix_quantised(&l->v)) ||
                     (l->gate.data && sl_matrix_quantised(&l->gate));
    sl__stream_norm(f, row, l->attn_norm, l->attn_norm_bias, row, quantised);
}

/* --- q k v --- */

static void qkv_item(sl_forward *f, int layer, int self, int item) {
    sl__product p[QKV];
    int count = qkv_products(f, layer, p);
    sl__product_item(f, self, p, count, f->step->rows, item);
}

static void clip(float *x, int n, float most) {
    for (int i = 0; i < n; i++) x[i] = x[i] < -most ? -most : x[i] > most ? most : x[i];
}

/* Each head by itself: x [heads][d]. */
static void norm_heads(sl_forward *f, float *x, int heads, int d, const float *norm) {
    for (int h = 0; h < heads; h++) f->k->rmsnorm(x + h * d, norm, d, f->m->hp.norm_eps, x + h * d);
}

/* Bias, norm and clip of one projection of one row: x [heads][d]; bias, norm NULL: none. */
static void finish_projection(sl_forward *f, float *x, int heads, int d, const float *bias, const float *norm) {
    const sl_hparams *hp = &f->m->hp;
    int n = heads * d;
    if (bias) f->k->add(x, bias, n);
    if (norm && hp->qk_norm == SL_QK_NORM_FULL) f->k->rmsnorm(x, norm, n, hp->norm_eps, x);
    if (norm && hp->qk_norm == SL_QK_NORM_HEAD) norm_heads(f, x, heads, d, norm);
    if (hp->qkv_clip > 0) clip(x, n, hp->qkv_clip);
}

/* Queries and gates from one projection of a row, head by head: [heads][q | gate]. */
static void part_gates(sl_forward *f, int layer, int row, const float *bias) {
    int heads = f->m->hp.heads[layer], d = f->m->hp.head_dim[layer];
    size_t width = (size_t)heads * (size_t)d, bytes = (size_t)d * sizeof(float);
    float *both = f->both + (size_t)row * 2 * width, *q = f->q + (size_t)row * width, *gate = f->gate + (size_t)row * width;
    if (bias) f->k->add(both, bias, (int)(2 * width));
    for (int h = 0; h < heads; h++, both += 2 * d) {
        memcpy(q + h * d, both, bytes);
        memcpy(gate + h * d, both + d, bytes);
    }
}

static void rotate(sl_forward *f, int layer, float *x, int heads, int row) {
    const sl_hparams *hp = &f->m->hp;
    int half = sl_rope_dims(hp, layer) / 2, d = hp->head_dim[layer];
    bool window = hp->window[layer] != 0;
    const float *c = (window ? f->window_cosines : f->cosines) + (size_t)row * (size_t)half;
    const float *s = (window ? f->window_sines : f->sines) + (size_t)row * (size_t)half;
    for (int h = 0; h < heads; h++) f->k->rope(x + h * d, c, s, half, hp->rope_style == SL_ROPE_INTERLEAVED);
}

/* A row's values, which may be its keys before their norm and rope. v, k [kv_heads][d]; k has its bias already, if there is one. */
static void finish_values(sl_forward *f, int layer, float *v, const float *k) {
    const sl_hparams *hp = &f->m->hp;
    const sl_layer *l = &f->m->layer[layer];
    int heads = hp->kv_heads[layer], d = hp->head_dim[layer];
    if (!l->v.data) memcpy(v, k, (size_t)heads * (size_t)d * sizeof *v);
    else if (l->v_bias) f->k->add(v, l->v_bias, heads * d);
    if (hp->value_norm) norm_heads(f, v, heads, d, f->ones);
    if (hp->qkv_clip > 0) clip(v, heads * d, hp->qkv_clip);
}

/* What queries of a layer that does not rotate are multiplied by. */
static float temperature(const sl_hparams *hp, int position) {
    float lengths = __builtin_floorf(((float)position + 1) / hp->temperature_length);
    return (float)sl_logd(1 + (double)lengths) * hp->temperature_scale + 1;
}

static void after_rope(sl_forward *f, int layer, float *x, int heads, const float *norm) {
    const sl_hparams *hp = &f->m->hp;
    bool plain = hp->qk_norm == SL_QK_NORM_PLAIN_AFTER && !hp->unrotated[layer];
    if (plain || (norm && hp->qk_norm == SL_QK_NORM_HEAD_AFTER)) norm_heads(f, x, heads, hp->head_dim[layer], plain ? f->ones : norm);
}

/* Finishes a row's k and v, and writes them into its page. */
static void keys_row(sl_forward *f, int layer, int row) {
    const sl_layer *l = &f->m->layer[layer];
    const sl_hparams *hp = &f->m->hp;
    int heads = hp->kv_heads[layer], d = hp->head_dim[layer];
    size_t width = (size_t)heads * (size_t)d;
    float *k = f->kk + (size_t)row * width, *v = f->v + (size_t)row * width;
    if (l->k_bias) f->k->add(k, l->k_bias, heads * d);
    finish_values(f, layer, v, k);
    finish_projection(f, k, heads, d, NULL, l->k_norm);
    if (!hp->unrotated[layer]) rotate(f, layer, k, heads, row);
    after_rope(f, layer, k, heads, l->k_norm);
    const sl_step_row *s = &f->step->row[row];
    int page = sl__pages_of(f, layer, s->sequence)[s->position / SL_PAGE];
    for (int h = 0; h < heads; h++)
        f->k->kv_store[f->kv.type](k + h * d, v + h * d, d, s->position % SL_PAGE, sl_kv_head(&f->kv, page, layer, h));
}

/* Finishes a row's q, and its k and v where the layer has its own. */
static void qkv_row(sl_forward *f, int layer, int row) {
    const sl_layer *l = &f->m->layer[layer];
    const sl_hparams *hp = &f->m->hp;
    int heads = hp->heads[layer], d = hp->head_dim[layer];
    float *q = f->q + (size_t)row * (size_t)heads * (size_t)d;
    if (hp->query_gated) part_gates(f, layer, row, l->q_bias);
    finish_projection(f, q, heads, d, hp->query_gated ? NULL : l->q_bias, l->q_norm);
    if (!hp->unrotated[layer]) rotate(f, layer, q, heads, row);
    after_rope(f, layer, q, heads, l->q_norm);
    if (hp->unrotated[layer] && hp->temperature_length != 0) sl_scale(q, temperature(hp, f->step->row[row].position), heads * d);
    if (l->k.data) keys_row(f, layer, row);
}

/* --- attention's result --- */

static void attended_row(sl_forward *f, int layer, int row) {
    const sl_layer *l = &f->m->layer[layer];
    const sl_planes *all = &sl__plan_of(f, layer)->result;
    float *a = sl_planes_row(all, row);
    const float *gate = f->gate + (size_t)row * (size_t)all->cols;
    bool gated = l->gate.data || f->m->hp.query_gated;
    if (gated) f->k->gated(a, gate, all->cols);
    if (sl_matrix_quantised(&l->o)) sl_planes_quantize(all, row, 0, all->cols);
}

static void mix(sl_forward *f, int layer, int self) {
    sl__product qkv[QKV];
    int count = qkv_products(f, layer, qkv);
    bool finish = f->m->layer[layer].gate.data || f->m->hp.query_gated || sl_matrix_quantised(&f->m->layer[layer].o);
    sl__phase(f, layer, self, sl__product_items(f, qkv, count), qkv_item, qkv_row, NULL);
    sl__phase(f, layer, self, sl__plan_of(f, layer)->items, sl__attend_item, finish ? attended_row : NULL, NULL);
}

static const sl_planes *result(const sl_forward *f, int layer) { return &sl__plan_of(f, layer)->result; }

const sl__mixer sl__mixer_attention = {input, mix, result};

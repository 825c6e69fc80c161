/* own.c: what every layer has of a token for itself: a row of a table beside the embedding, to which a projection of the embedding
 * is added, once for all layers; and at each layer's end a gate made of the stream, which these are multiplied with, and a projection
 * back into the stream. The phases of internal.h: own, once; gate and project, of each layer. */
#include "base/fmath.h"
#include "forward/internal.h"

#include <string.h>

static size_t all_values(const sl_forward *f) { return (size_t)f->m->hp.layers * (size_t)f->m->hp.layer_input; }

static float *stream_of(const sl_forward *f, int row) { return f->x + (size_t)row * (size_t)f->m->hp.width; }

/* h = the stream as it is. */
static void take_stream(sl_forward *f, int row, bool quantised) {
    int width = f->m->hp.width;
    memcpy(sl_planes_row(&f->h, row), stream_of(f, row), (size_t)width * sizeof(float));
    if (quantised) sl_planes_quantize(&f->h, row, 0, width);
}

/* --- once for all layers --- */

void sl__own_begin(sl_forward *f, int row, int token) {
    size_t n = all_values(f);
    float *own = f->own + (size_t)row * n, root = sl_sqrtf((float)f->m->hp.layer_input);
    sl_matrix_widen(&f->m->own_inputs, token, own);
    sl_scale(own, root, (int)n);
    take_stream(f, row, sl_matrix_quantised(&f->m->own_projection));
}

static sl__product embed_product(const sl_forward *f) { return (sl__product){&f->m->own_projection, &f->h, f->own_projected}; }

static void embed_item(sl_forward *f, int layer, int self, int item) {
    (void)layer;
    sl__product p = embed_product(f);
    sl__product_item(f, self, &p, 1, f->step->rows, item);
}

/* own = (norm(projection / the root of the width), layer by layer, + own) / the root of 2 */
static void embed_row(sl_forward *f, int layer, int row) {
    (void)layer;
    const sl_hparams *hp = &f->m->hp;
    size_t n = all_values(f);
    float *own = f->own + (size_t)row * n, *projected = f->own_projected + (size_t)row * n, by = 1 / sl_sqrtf((float)hp->width);
    sl_scale(projected, by, (int)n);
    for (int l = 0; l < hp->layers; l++) {
        float *x = projected + (size_t)l * (size_t)hp->layer_input;
        f->k->rmsnorm(x, f->m->own_norm, hp->layer_input, hp->norm_eps, x);
    }
    for (size_t i = 0; i < n; i++) own[i] = (projected[i] + own[i]) * 0.70710678118654752f;
    sl__mixer_input(f, 0, row);
}

void sl__own_embed(sl_forward *f, int self) {
    sl__product p = embed_product(f);
    sl__tell_own_embedding(f, self);
    sl__phase(f, 0, self, sl__product_items(f, &p, 1), embed_item, embed_row, NULL);
}

/* --- at a layer's end --- */

void sl__own_enter(sl_forward *f, int layer, int row) { take_stream(f, row, sl_matrix_quantised(&f->m->layer[layer].own_gate)); }

static sl__product gate_product(const sl_forward *f, int layer) { return (sl__product){&f->m->layer[layer].own_gate, &f->h, f->own_gate}; }

static void gate_item(sl_forward *f, int layer, int self, int item) {
    sl__product p = gate_product(f, layer);
    sl__product_item(f, self, &p, 1, f->step->rows, item);
}

static void gate_row(sl_forward *f, int layer, int row) {
    int n = f->m->hp.layer_input;
    const float *own = f->own + (size_t)row * all_values(f) + (size_t)layer * (size_t)n;
    f->k->geglu(f->own_gate + (size_t)row * (size_t)n, own, n, sl_planes_row(&f->own_gated, row));
    if (sl_matrix_quantised(&f->m->layer[layer].own_projection)) sl_planes_quantize(&f->own_gated, row, 0, n);
}

static sl__product projection_product(const sl_forward *f, int layer) {
    return (sl__product){&f->m->layer[layer].own_projection, &f->own_gated, f->y};
}

static void projection_item(sl_forward *f, int layer, int self, int item) {
    sl__product p = projection_product(f, layer);
    sl__product_item(f, self, &p, 1, f->step->rows, item);
}

void sl__own_result(sl_forward *f, int layer, int row) {
    sl__stream_norm_added(f, row, f->m->layer[layer].own_norm);
    sl__stream_add(f, row);
}

void sl__own(sl_forward *f, int layer, int self, sl__row_fn *tail) {
    sl__product gate = gate_product(f, layer), projection = projection_product(f, layer);
    sl__phase(f, layer, self, sl__product_items(f, &gate, 1), gate_item, gate_row, NULL);
    sl__tell_own_inputs(f, layer, self);
    sl__phase(f, layer, self, sl__product_items(f, &projection, 1), projection_item, tail, NULL);
}

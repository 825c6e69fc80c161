/* block.c: from tokens to the residual stream, and through the blocks: a mixer, then a feed-forward part. Each ends by
 * adding its result to the stream and making the input of the part that follows. */
#include "base/fmath.h"
#include "forward/internal.h"

static void mixed_row(sl_forward *f, int layer, int row) {
    const sl_layer *l = &f->m->layer[layer];
    bool parallel = f->m->hp.wiring == SL_WIRING_PARALLEL;
    sl__mixer_result(f, layer, row);
    if (l->mixed_norm) sl__stream_norm_added(f, row, l->mixed_norm);
    if (parallel) sl__feed_forward_input(f, layer, row); /* of the stream as the mixer read it */
    sl__stream_add(f, row);
    if (!parallel) sl__feed_forward_input(f, layer, row);
}

/* The end of a layer, whose result is in the stream. */
static void end_row(sl_forward *f, int layer, int row) {
    const sl_layer *l = &f->m->layer[layer];
    if (l->stream_scale) sl_scale(f->x + (size_t)row * (size_t)f->m->hp.width, *l->stream_scale, f->m->hp.width);
    if (layer + 1 < f->m->hp.layers) sl__mixer_input(f, layer + 1, row);
    else sl__output_input(f, row);
}

static void own_row(sl_forward *f, int layer, int row) {
    sl__own_result(f, layer, row);
    end_row(f, layer, row);
}

static void fed_row(sl_forward *f, int layer, int row) {
    const sl_layer *l = &f->m->layer[layer];
    sl__feed_forward_result(f, layer, row);
    if (l->fed_norm) sl__stream_norm_added(f, row, l->fed_norm);
    sl__stream_add(f, row);
    if (l->own_gate.data) sl__own_enter(f, layer, row);
    else end_row(f, layer, row);
}

void sl__block(sl_forward *f, int layer, int self) {
    sl__mix(f, layer, self, mixed_row, sl__feed_forward_begin(f, layer));
    sl__feed_forward(f, layer, self, fed_row);
    if (f->m->layer[layer].own_gate.data) sl__own(f, layer, self, own_row);
}

/* A row's embedding, its angles, the first block's input. */
static void embed_item(sl_forward *f, int layer, int self, int row) {
    (void)self;
    const sl_hparams *hp = &f->m->hp;
    const sl_matrix *e = &f->m->embedding;
    const sl_step_row *s = &f->step->row[row];
    int half = hp->rope_dims / 2, window_half = hp->window_rope_dims / 2;
    float *x = f->x + (size_t)row * (size_t)hp->width;
    sl_matrix_widen(e, s->token, x);
    if (hp->embedding_scale != 0) sl_scale(x, hp->embedding_scale, hp->width);
    size_t at = (size_t)row * (size_t)half, window_at = (size_t)row * (size_t)window_half;
    sl__rope_angles(f->frequency, half, f->rope_attention, s->position, f->cosines + at, f->sines + at);
    if (hp->window_rope_theta != 0)
        sl__rope_angles(f->window_frequency, window_half, 1, s->position, f->window_cosines + window_at, f->window_sines + window_at);
    if (hp->layer_input) sl__own_begin(f, row, s->token);
    else sl__mixer_input(f, layer, row);
}

void sl__embed(sl_forward *f, int self) {
    sl__phase(f, 0, self, f->step->rows, embed_item, NULL, NULL);
    if (f->m->hp.layer_input) sl__own_embed(f, self);
}

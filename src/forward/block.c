/* block.c: from tokens to the residual stream, and through the blocks: a mixer, then a feed-forward part. Each ends by
 * adding its result to the stream and making the input of the part that follows. */
#include "forward/internal.h"

static void mixed_row(sl_forward *f, int layer, int row) {
    sl__mixer_result(f, layer, row);
    sl__stream_add(f, row);
    sl__feed_forward_input(f, layer, row);
}

static void fed_row(sl_forward *f, int layer, int row) {
    sl__stream_add(f, row);
    if (layer + 1 < f->m->hp.layers) sl__mixer_input(f, layer + 1, row);
    else sl__output_input(f, row);
}

void sl__block(sl_forward *f, int layer, int self) {
    sl__mix(f, layer, self, mixed_row, sl__feed_forward_begin(f, layer));
    sl__feed_forward(f, layer, self, fed_row);
}

/* A row's embedding, its angles, the first block's input. */
static void embed_item(sl_forward *f, int layer, int self, int row) {
    (void)self;
    const sl_hparams *hp = &f->m->hp;
    const sl_matrix *e = &f->m->embedding;
    const sl_step_row *s = &f->step->row[row];
    size_t half = (size_t)(hp->rope_dims / 2);
    f->k->widen[e->type](e->data + (size_t)s->token * e->stride, hp->width, f->x + (size_t)row * (size_t)hp->width);
    sl__rope_angles(hp, f->frequency, s->position, f->cosines + (size_t)row * half, f->sines + (size_t)row * half);
    sl__mixer_input(f, layer, row);
}

void sl__embed(sl_forward *f, int self) { sl__phase(f, 0, self, f->step->rows, embed_item, NULL, NULL); }

/* stream.c: the residual stream, which the parts of a block read through a norm and add their results to. */
#include "forward/internal.h"

static float *row_of(const sl_forward *f, float *x, int row) { return x + (size_t)row * (size_t)f->m->hp.width; }

void sl__stream_norm(sl_forward *f, int row, const float *weight, int to, bool quantised) {
    const sl_hparams *hp = &f->m->hp;
    f->k->rmsnorm(row_of(f, f->x, row), weight, hp->width, hp->norm_eps, sl_planes_row(&f->h, to));
    if (quantised) sl_planes_quantize(&f->h, to, 0, hp->width);
}

void sl__stream_add(sl_forward *f, int row) { f->k->add(row_of(f, f->x, row), row_of(f, f->y, row), f->m->hp.width); }

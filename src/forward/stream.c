/* stream.c: the residual stream, which the parts of a block read through a norm and add their results to. */
#include "forward/internal.h"

static float *row_of(const sl_forward *f, float *x, int row) { return x + (size_t)row * (size_t)f->m->hp.width; }

/* In 16 lanes that are then added pairwise, so that a compiler may use vectors and the sum is the same everywhere. */
static float mean(const float *x, int n) {
    float lane[16] = {0};
    for (int i = 0; i < n / 16 * 16; i++) lane[i % 16] += x[i];
    for (int i = n / 16 * 16; i < n; i++) lane[i % 16] += x[i];
    for (int half = 8; half > 0; half /= 2)
        for (int l = 0; l < half; l++) lane[l] += lane[l + half];
    return lane[0] / (float)n;
}

/* out = the model's norm of x; out may be x. */
static void norm(const sl_forward *f, const float *x, const float *weight, const float *bias, float *out) {
    const sl_hparams *hp = &f->m->hp;
    const float *from = x;
    if (hp->norm == SL_NORM_LAYER) {
        float middle = mean(x, hp->width);
        for (int i = 0; i < hp->width; i++) out[i] = x[i] - middle;
        from = out;
    }
    f->k->rmsnorm(from, weight, hp->width, hp->norm_eps, out);
    if (bias) f->k->add(out, bias, hp->width);
}

void sl__stream_norm(sl_forward *f, int row, const float *weight, const float *bias, int to, bool quantised) {
    norm(f, row_of(f, f->x, row), weight, bias, sl_planes_row(&f->h, to));
    if (quantised) sl_planes_quantize(&f->h, to, 0, f->m->hp.width);
}

void sl__stream_norm_to(sl_forward *f, int row, const float *weight, float *to) { norm(f, row_of(f, f->x, row), weight, NULL, to); }

void sl__stream_norm_added(sl_forward *f, int row, const float *weight) {
    float *y = row_of(f, f->y, row);
    norm(f, y, weight, NULL, y);
}

void sl__stream_add(sl_forward *f, int row) {
    const sl_hparams *hp = &f->m->hp;
    float *x = row_of(f, f->x, row), *y = row_of(f, f->y, row);
    if (hp->residual_scale != 0) f->k->axpy(x, hp->residual_scale, y, hp->width);
    else f->k->add(x, y, hp->width);
}

#include "base/fmath.h"
#include "kernels/scalar/rows.h"

void sl__conv_scalar(const float *weight, size_t stride, const float *const *x, int taps, int n, float *out) {
    for (int c = 0; c < n; c++) {
        float y = 0;
        for (int t = 0; t < taps; t++) y = fmaf(weight[(size_t)t * stride + (size_t)c], x[t][c], y);
        out[c] = y / (1.0f + sl_expf(-y));
    }
}

static void one_row(const sl_delta_rows *x, int row, float *s) {
    const float *q = x->q + (size_t)row * x->stride, *k = x->k + (size_t)row * x->stride, *v = x->v + (size_t)row * x->stride;
    float a = x->decay[(size_t)row * x->gate_stride], b = x->strength[(size_t)row * x->gate_stride];
    for (int j = 0; j < x->columns; j++) {
        float m = 0, o = 0;
        for (int i = 0; i < x->key_dim; i++) m = fmaf(s[i * SL_DELTA_COLUMNS + j], k[i], m);
        float d = (v[j] - a * m) * b;
        for (int i = 0; i < x->key_dim; i++) {
            float *at = &s[i * SL_DELTA_COLUMNS + j];
            *at = fmaf(k[i], d, a * *at);
            o = fmaf(*at, q[i], o);
        }
        x->out[(size_t)row * x->out_stride + (size_t)j] = o;
    }
}

void sl__delta_scalar(const sl_delta_rows *x, const float *from, float *to) {
    size_t bytes = (size_t)x->key_dim * SL_DELTA_COLUMNS * sizeof(float);
    if (!from) memset(to, 0, bytes);
    else if (from != to) memcpy(to, from, bytes);
    for (int row = 0; row < x->rows; row++) one_row(x, row, to);
}

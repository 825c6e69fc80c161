/* The convolution and the gated delta rule. Lanes are channels, and columns of the state. */
#include "kernels/avx2/lanes.h"

void sl__conv_avx2(const float *weight, size_t stride, const float *const *x, int taps, int n, float *out) {
    int c = 0;
    for (; c + 8 <= n; c += 8) {
        __m256 y = _mm256_setzero_ps();
        for (int t = 0; t < taps; t++)
            y = _mm256_fmadd_ps(_mm256_loadu_ps(weight + (size_t)t * stride + c), _mm256_loadu_ps(x[t] + c), y);
        _mm256_storeu_ps(out + c, sl__times_sigmoid8(y, y));
    }
    if (c == n) return;
    __m256i on = sl__first_lanes(n - c);
    __m256 y = _mm256_setzero_ps();
    for (int t = 0; t < taps; t++)
        y = _mm256_fmadd_ps(_mm256_maskload_ps(weight + (size_t)t * stride + c, on), _mm256_maskload_ps(x[t] + c, on), y);
    _mm256_maskstore_ps(out + c, on, sl__times_sigmoid8(y, y));
}

enum { VECTORS = SL_DELTA_COLUMNS / 8 };

typedef struct columns {
    __m256 v[VECTORS];
} columns;

SL__INLINE void clear(columns *c) {
    SL__UNROLL for (int u = 0; u < VECTORS; u++) c->v[u] = _mm256_setzero_ps();
}

/* The sums of S times a row's key. */
SL__INLINE void recall(const float *s, const float *k, int key_dim, columns *m) {
    clear(m);
    for (int i = 0; i < key_dim; i++, s += SL_DELTA_COLUMNS) {
        __m256 ki = _mm256_broadcast_ss(k + i);
        SL__UNROLL for (int u = 0; u < VECTORS; u++) m->v[u] = _mm256_fmadd_ps(_mm256_loadu_ps(s + 8 * u), ki, m->v[u]);
    }
}

/* One row's change of S, and its result; with `ahead`, the next row's key, also what the next row recalls: m, which it may
 * write since d was made of it. */
SL__INLINE void learn(float *s, const float *q, const float *k, const float *ahead, int key_dim, __m256 a, const columns *d, columns *o,
                      columns *m) {
    clear(o);
    clear(m);
    for (int i = 0; i < key_dim; i++, s += SL_DELTA_COLUMNS) {
        __m256 ki = _mm256_broadcast_ss(k + i), qi = _mm256_broadcast_ss(q + i), next = _mm256_broadcast_ss((ahead ? ahead : k) + i);
        SL__UNROLL for (int u = 0; u < VECTORS; u++) {
            __m256 x = _mm256_fmadd_ps(ki, d->v[u], _mm256_mul_ps(a, _mm256_loadu_ps(s + 8 * u)));
            _mm256_storeu_ps(s + 8 * u, x);
            o->v[u] = _mm256_fmadd_ps(x, qi, o->v[u]);
            if (ahead) m->v[u] = _mm256_fmadd_ps(x, next, m->v[u]);
        }
    }
}

void sl__delta_avx2(const sl_delta_rows *x, const float *from, float *to) {
    size_t bytes = (size_t)x->key_dim * SL_DELTA_COLUMNS * sizeof(float);
    if (!from) memset(to, 0, bytes);
    else if (from != to) memcpy(to, from, bytes);
    if (x->rows < 1) return;
    __m256i on[VECTORS];
    SL__UNROLL for (int u = 0; u < VECTORS; u++) on[u] = sl__first_lanes(x->columns - 8 * u);
    columns m, d, o;
    recall(to, x->k, x->key_dim, &m);
    for (int row = 0; row < x->rows; row++) {
        size_t at = (size_t)row * x->stride, gate = (size_t)row * x->gate_stride;
        const float *k = x->k + at, *q = x->q + at;
        float *out = x->out + (size_t)row * x->out_stride;
        __m256 a = _mm256_broadcast_ss(x->decay + gate), b = _mm256_broadcast_ss(x->strength + gate);
        SL__UNROLL for (int u = 0; u < VECTORS; u++) {
            int first = x->columns > 8 * u ? 8 * u : 0; /* an address within the row, where no lane is on */
            __m256 v = _mm256_maskload_ps(x->v + at + first, on[u]);
            d.v[u] = _mm256_mul_ps(_mm256_sub_ps(v, _mm256_mul_ps(a, m.v[u])), b);
        }
        if (row + 1 < x->rows) learn(to, q, k, k + x->stride, x->key_dim, a, &d, &o, &m);
        else learn(to, q, k, NULL, x->key_dim, a, &d, &o, &m);
        SL__UNROLL for (int u = 0; u < VECTORS; u++)
            if (x->columns > 8 * u) _mm256_maskstore_ps(out + 8 * u, on[u], o.v[u]);
    }
}

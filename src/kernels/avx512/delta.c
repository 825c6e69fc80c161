/* The gated delta rule. Lanes are columns of the state. */
#include "kernels/avx512/floats.h"

enum { VECTORS = SL_DELTA_COLUMNS / 16 };

typedef struct columns {
    __m512 v[VECTORS];
} columns;

SL__INLINE void clear(columns *c) {
    SL__UNROLL for (int u = 0; u < VECTORS; u++) c->v[u] = _mm512_setzero_ps();
}

/* As in avx2/delta.c. */
SL__INLINE void recall(const float *s, const float *k, int key_dim, columns *m) {
    clear(m);
    for (int i = 0; i < key_dim; i++, s += SL_DELTA_COLUMNS) {
        __m512 ki = _mm512_set1_ps(k[i]);
        SL__UNROLL for (int u = 0; u < VECTORS; u++) m->v[u] = _mm512_fmadd_ps(_mm512_loadu_ps(s + 16 * u), ki, m->v[u]);
    }
}

SL__INLINE void learn(float *s, const float *q, const float *k, const float *ahead, int key_dim, __m512 a, const columns *d, columns *o,
                      columns *m) {
    clear(o);
    clear(m);
    for (int i = 0; i < key_dim; i++, s += SL_DELTA_COLUMNS) {
        __m512 ki = _mm512_set1_ps(k[i]), qi = _mm512_set1_ps(q[i]), next = _mm512_set1_ps((ahead ? ahead : k)[i]);
        SL__UNROLL for (int u = 0; u < VECTORS; u++) {
            __m512 x = _mm512_fmadd_ps(ki, d->v[u], _mm512_mul_ps(a, _mm512_loadu_ps(s + 16 * u)));
            _mm512_storeu_ps(s + 16 * u, x);
            o->v[u] = _mm512_fmadd_ps(x, qi, o->v[u]);
            if (ahead) m->v[u] = _mm512_fmadd_ps(x, next, m->v[u]);
        }
    }
}

void sl__delta_avx512(const sl_delta_rows *x, const float *from, float *to) {
    size_t bytes = (size_t)x->key_dim * SL_DELTA_COLUMNS * sizeof(float);
    if (!from) memset(to, 0, bytes);
    else if (from != to) memcpy(to, from, bytes);
    if (x->rows < 1) return;
    __mmask16 on[VECTORS];
    SL__UNROLL for (int u = 0; u < VECTORS; u++) {
        int n = x->columns - 16 * u;
        on[u] = (__mmask16)(n >= 16 ? 0xffff : n > 0 ? (1 << n) - 1 : 0);
    }
    columns m, d, o;
    recall(to, x->k, x->key_dim, &m);
    for (int row = 0; row < x->rows; row++) {
        size_t at = (size_t)row * x->stride, gate = (size_t)row * x->gate_stride;
        const float *k = x->k + at, *q = x->q + at;
        float *out = x->out + (size_t)row * x->out_stride;
        __m512 a = _mm512_set1_ps(x->decay[gate]), b = _mm512_set1_ps(x->strength[gate]);
        SL__UNROLL for (int u = 0; u < VECTORS; u++) {
            __m512 v = on[u] ? _mm512_maskz_loadu_ps(on[u], x->v + at + 16 * u) : _mm512_setzero_ps();
            d.v[u] = _mm512_mul_ps(_mm512_sub_ps(v, _mm512_mul_ps(a, m.v[u])), b);
        }
        if (row + 1 < x->rows) learn(to, q, k, k + x->stride, x->key_dim, a, &d, &o, &m);
        else learn(to, q, k, NULL, x->key_dim, a, &d, &o, &m);
        SL__UNROLL for (int u = 0; u < VECTORS; u++)
            if (on[u]) _mm512_mask_storeu_ps(out + 16 * u, on[u], o.v[u]);
    }
}

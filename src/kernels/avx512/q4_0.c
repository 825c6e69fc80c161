/* Q4_0: the block's bytes are in scalar/q4_0.c. Nibbles are multiplied as they are, 0 … 15, in lanes that start at -8 times
 * the sum of the activations. */
#include "kernels/avx512/products.h"

enum { BYTES = 18, BYTES_256 = 8 * BYTES, OFFSET = 8 };

SL__INLINE void few(const uint8_t *w, size_t stride, int cols, const sl__columns *x, int n, sl__lines ask,
                    __m512 *ret) {
    __m512 acc[SL__FEW_ROWS];
    SL__UNROLL for (int c = 0; c < n; c++) acc[c] = _mm512_setzero_ps();
    for (int b = 0; b < cols / 32; b++, w += BYTES, sl__pass(&ask, 16 * BYTES)) {
        __m512 d = sl__halves16(w, stride);
        __m512i t[4], wide[SL__FEW_ROWS];
        sl__transpose16(w + 2, stride, t);
        SL__UNROLL for (int i = 0; i < 5; i++) sl__ask(ask, 64 * i);
        SL__UNROLL for (int c = 0; c < n; c++) wide[c] = _mm512_set1_epi32(-OFFSET * x->sum[c][b]);
        SL__UNROLL for (int i = 0; i < 4; i++) {
            __m512i low = sl__low_nibbles16(t[i]), high = sl__high_nibbles16(t[i]);
            SL__UNROLL for (int c = 0; c < n; c++) {
                const int8_t *q = x->q[c] + 32 * b + 4 * i;
                wide[c] = _mm512_dpbusd_epi32(wide[c], low, sl__four16(q));
                wide[c] = _mm512_dpbusd_epi32(wide[c], high, sl__four16(q + 16));
            }
        }
        SL__UNROLL for (int c = 0; c < n; c++) acc[c] = sl__add_scaled(acc[c], d, _mm512_set1_ps(x->a[c][b]), wide[c]);
    }
    SL__UNROLL for (int c = 0; c < n; c++) ret[c] = acc[c];
}

typedef sl__offset_panel panel;

SL__INLINE void unpack(const uint8_t *w, size_t stride, int values, int half, panel *to) {
    for (int b = 0; b < values / 32; b++) {
        __m512i t[4];
        to->d[b][half] = sl__halves16(w + b * BYTES, stride);
        sl__transpose16(w + b * BYTES + 2, stride, t);
        SL__UNROLL for (int i = 0; i < 4; i++) {
            to->q[8 * b + i][half] = sl__low_nibbles16(t[i]);
            to->q[8 * b + 4 + i][half] = sl__high_nibbles16(t[i]);
        }
    }
}

SL__INLINE void multiply(const panel *w, const sl__columns *x, int at, int values, int n, float *tile, sl__ahead *ahead) {
    sl__multiply_offset(w, OFFSET, x, at, values, n, tile, ahead);
}

SL__GEMM(q4_0, avx512)

/* Q8_0: the block's bytes are in scalar/q8_0.c. The instruction wants unsigned weights: turning over the highest bit adds 128,
 * and the lanes start at -128 times the sum of the activations. */
#include "kernels/avx512/products.h"

enum { BYTES = 34, BYTES_256 = 8 * BYTES, OFFSET = 128 };

SL__INLINE __m512i plus_offset(__m512i w) { return _mm512_xor_si512(w, _mm512_set1_epi8(-128)); }

SL__INLINE void few(const uint8_t *w, size_t stride, int cols, const sl__columns *x, int n, sl__lines ask,
                    __m512 *ret) {
    __m512 acc[SL__FEW_ROWS];
    SL__UNROLL for (int c = 0; c < n; c++) acc[c] = _mm512_setzero_ps();
    for (int b = 0; b < cols / 32; b++, w += BYTES, sl__pass(&ask, 16 * BYTES)) {
        __m512 d = sl__halves16(w, stride);
        __m512i wide[SL__FEW_ROWS];
        SL__UNROLL for (int i = 0; i < 9; i++) sl__ask(ask, 64 * i);
        SL__UNROLL for (int c = 0; c < n; c++) wide[c] = _mm512_set1_epi32(-OFFSET * x->sum[c][b]);
        SL__UNROLL for (int s = 0; s < 2; s++) {
            __m512i t[4];
            sl__transpose16(w + 2 + 16 * s, stride, t);
            SL__UNROLL for (int i = 0; i < 4; i++)
                SL__UNROLL for (int c = 0; c < n; c++)
                    wide[c] = _mm512_dpbusd_epi32(wide[c], plus_offset(t[i]), sl__four16(x->q[c] + 32 * b + 16 * s + 4 * i));
        }
        SL__UNROLL for (int c = 0; c < n; c++) acc[c] = sl__add_scaled(acc[c], d, _mm512_set1_ps(x->a[c][b]), wide[c]);
    }
    SL__UNROLL for (int c = 0; c < n; c++) ret[c] = acc[c];
}

typedef sl__offset_panel panel;

SL__INLINE void unpack(const uint8_t *w, size_t stride, int values, int half, panel *to) {
    for (int b = 0; b < values / 32; b++) {
        to->d[b][half] = sl__halves16(w + b * BYTES, stride);
        __m512i t[8];
        sl__transpose16_of_32(w + b * BYTES + 2, stride, t);
        SL__UNROLL for (int i = 0; i < 8; i++) to->q[8 * b + i][half] = plus_offset(t[i]);
    }
}

SL__INLINE void multiply(const panel *w, const sl__columns *x, int at, int values, int n, float *tile, sl__ahead *ahead) {
    sl__multiply_offset(w, OFFSET, x, at, values, n, tile, ahead);
}

SL__GEMM(q8_0, avx512)

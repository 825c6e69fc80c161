/* Q4_0: the block's bytes are in scalar/q4_0.c. Nibbles are multiplied as they are, 0 … 15, and eight times the sum of
 * the activations is taken off. Sixteen-bit sums hold a block: 8 * 2 * 15 * 127 < 32768. */
#define SL__FEW_ROWS 4 /* measured faster than the panel up to four columns while weights come from memory */
#define SL__EACH_FEW(X) X(1) X(2) X(3) X(4)
#include "kernels/avx2/products.h"

enum { BYTES = 18, BYTES_256 = 8 * BYTES };

SL__INLINE __m256 add_block(__m256 acc, __m256 d, __m256i narrow, float a, int16_t sum) {
    __m256i isum = sl__ended(narrow, sl__ones());
    isum = _mm256_add_epi32(isum, _mm256_madd_epi16(_mm256_set1_epi16(sum), _mm256_set1_epi32(-8 & 0xffff)));
    return _mm256_fmadd_ps(_mm256_mul_ps(d, _mm256_set1_ps(a)), _mm256_cvtepi32_ps(isum), acc);
}

SL__INLINE void few(const uint8_t *w, size_t stride, int cols, const sl__columns *x, int n, sl__lines ask,
                    __m256 *ret) {
    __m256 acc[SL__FEW_ROWS];
    SL__UNROLL for (int c = 0; c < n; c++) acc[c] = _mm256_setzero_ps();
    for (int b = 0; b < cols / 32; b++, w += BYTES, sl__pass(&ask, 8 * BYTES)) {
        __m256 d = sl__halves8(w, stride);
        __m256i t[4], narrow[SL__FEW_ROWS];
        sl__transpose8(w + 2, stride, t);
        SL__UNROLL for (int i = 0; i < 3; i++) sl__ask(ask, 64 * i);
        SL__UNROLL for (int c = 0; c < n; c++) narrow[c] = _mm256_setzero_si256();
        SL__UNROLL for (int i = 0; i < 4; i++) {
            __m256i low = sl__low_nibbles(t[i]), high = sl__high_nibbles(t[i]);
            SL__UNROLL for (int c = 0; c < n; c++) {
                const int8_t *q = x->q[c] + 32 * b + 4 * i;
                narrow[c] = sl__add_dot(narrow[c], low, sl__four(q));
                narrow[c] = sl__add_dot(narrow[c], high, sl__four(q + 16));
            }
        }
        SL__UNROLL for (int c = 0; c < n; c++) acc[c] = add_block(acc[c], d, narrow[c], x->a[c][b], x->sum[c][b]);
    }
    SL__UNROLL for (int c = 0; c < n; c++) ret[c] = acc[c];
}

typedef sl__offset_panel panel;

SL__INLINE void unpack(const uint8_t *w, size_t stride, int values, int half, panel *to) {
    for (int b = 0; b < values / 32; b++) {
        __m256i t[4];
        to->d[b][half] = sl__halves8(w + b * BYTES, stride);
        sl__transpose8(w + b * BYTES + 2, stride, t);
        SL__UNROLL for (int i = 0; i < 4; i++) {
            to->q[8 * b + i][half] = sl__low_nibbles(t[i]);
            to->q[8 * b + 4 + i][half] = sl__high_nibbles(t[i]);
        }
    }
}

SL__INLINE void multiply(const panel *w, const sl__columns *x, int at, int values, int n, float *tile, sl__ahead *ahead) {
    sl__multiply_offset(w, 0, 8, x, at, values, n, tile, ahead);
}

SL__GEMM(q4_0, SL__TIER)

/* Q8_0: the block's bytes are in scalar/q8_0.c. How signed weights are multiplied is said at sl__unsigned. */
#define SL__FEW_ROWS 4 /* eight bits need no unpacking, so that a panel gains little */
#define SL__EACH_FEW(X) X(1) X(2) X(3) X(4)
#include "kernels/avx2/products.h"

enum { BYTES = 34, BYTES_256 = 8 * BYTES };

SL__INLINE __m256 add_block(__m256 acc, __m256 d, __m256i wide, float a) {
    return _mm256_fmadd_ps(_mm256_mul_ps(d, _mm256_set1_ps(a)), _mm256_cvtepi32_ps(wide), acc);
}

SL__INLINE void few(const uint8_t *w, size_t stride, int cols, const sl__columns *x, int n, sl__lines ask,
                    __m256 *ret) {
    __m256 acc[SL__FEW_ROWS];
    SL__UNROLL for (int c = 0; c < n; c++) acc[c] = _mm256_setzero_ps();
    for (int b = 0; b < cols / 32; b++, w += BYTES, sl__pass(&ask, 8 * BYTES)) {
        __m256 d = sl__halves8(w, stride);
        __m256i wide[4];
        SL__UNROLL for (int i = 0; i < 5; i++) sl__ask(ask, 64 * i);
        SL__UNROLL for (int c = 0; c < n; c++) wide[c] = sl__signed_start(x->sum[c][b]);
        SL__UNROLL for (int s = 0; s < 2; s++) {
            __m256i t[4];
            sl__transpose8(w + 2 + 16 * s, stride, t);
            SL__UNROLL for (int i = 0; i < 4; i++) {
                __m256i u = sl__unsigned(t[i]);
                SL__UNROLL for (int c = 0; c < n; c++)
                    wide[c] = sl__add_signed(wide[c], t[i], u, x->q[c] + 32 * b + 16 * s + 4 * i);
            }
        }
        SL__UNROLL for (int c = 0; c < n; c++) acc[c] = add_block(acc[c], d, wide[c], x->a[c][b]);
    }
    SL__UNROLL for (int c = 0; c < n; c++) ret[c] = acc[c];
}

typedef sl__signed_panel panel;

SL__INLINE void unpack(const uint8_t *w, size_t stride, int values, int half, panel *to) {
    for (int b = 0; b < values / 32; b++) {
        to->d[b][half] = sl__halves8(w + b * BYTES, stride);
        SL__UNROLL for (int s = 0; s < 2; s++) {
            __m256i t[4];
            sl__transpose8(w + b * BYTES + 2 + 16 * s, stride, t);
            SL__UNROLL for (int i = 0; i < 4; i++) sl__put_signed(to, 8 * b + 4 * s + i, half, t[i]);
        }
    }
}

SL__INLINE void multiply(const panel *w, const sl__columns *x, int at, int values, int n, float *tile, sl__ahead *ahead) {
    sl__multiply_signed(w, x, at, values, n, tile, ahead);
}

SL__GEMM(q8_0, SL__TIER)

/* dots.c: the sums of four rows of weights by up to four rows of activations stay in registers, a vector each, so that a
 * number that was loaded is used up to four times and sixteen sums hide each other's latency. With one row of activations
 * memory is the limit, and four streams at once are read slower than one: then the rows of weights are taken one after
 * another. */
#include "kernels/avx512/floats.h"

enum { WEIGHTS = 4, ROWS = 4 };

SL__INLINE float total(__m512 v) { return sl__lanes_total(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1)); }

SL__INLINE void step(const float *const *w, const float *x, int m, int n, int i, __mmask16 on, __m512 (*sum)[WEIGHTS]) {
    __m512 wv[WEIGHTS];
    SL__UNROLL for (int o = 0; o < WEIGHTS; o++) wv[o] = _mm512_maskz_loadu_ps(on, w[o] + i);
    SL__UNROLL for (int r = 0; r < m; r++) {
        __m512 xv = _mm512_maskz_loadu_ps(on, x + (size_t)r * (size_t)n + i);
        SL__UNROLL for (int o = 0; o < WEIGHTS; o++) sum[r][o] = _mm512_fmadd_ps(wv[o], xv, sum[r][o]);
    }
}

/* m = 2 … 4 rows of activations. */
SL__INLINE void tile(const float *w, int count, const float *x, int m, int n, float *out, size_t out_stride) {
    for (int first = 0; first < count; first += WEIGHTS) {
        __m512 sum[ROWS][WEIGHTS];
        const float *row[WEIGHTS]; /* in place of rows that are not there, the last one again */
        int i = 0;
        for (int o = 0; o < WEIGHTS; o++) row[o] = w + (size_t)(first + o < count ? first + o : count - 1) * (size_t)n;
        SL__UNROLL for (int r = 0; r < m; r++)
            SL__UNROLL for (int o = 0; o < WEIGHTS; o++) sum[r][o] = _mm512_setzero_ps();
        for (; i + 16 <= n; i += 16) step(row, x, m, n, i, 0xffff, sum);
        if (i < n) {
            step(row, x, m, n, i, (__mmask16)((1u << (n - i)) - 1), sum);
        }
        SL__UNROLL for (int r = 0; r < m; r++)
            SL__UNROLL for (int o = 0; o < WEIGHTS; o++)
                if (first + o < count) out[(size_t)r * out_stride + (size_t)(first + o)] = total(sum[r][o]);
    }
}

void sl__dots_avx512(const float *w, int count, const float *x, int rows, int n, float *out, size_t out_stride) {
    for (; rows >= ROWS; rows -= ROWS, x += ROWS * (size_t)n, out += ROWS * out_stride) tile(w, count, x, ROWS, n, out, out_stride);
    if (rows == 3) tile(w, count, x, 3, n, out, out_stride);
    else if (rows == 2) tile(w, count, x, 2, n, out, out_stride);
    else if (rows == 1)
        for (int o = 0; o < count; o++) out[o] = sl__dot_avx2(w + (size_t)o * (size_t)n, x, n);
}

/* products.h: how wide the quantised products are on this tier: eight rows a vector, groups of three columns (two vectors
 * of rows times three columns leave the sixteen registers just enough room).
 * Pure; workers. */
#ifndef SL_KERNELS_AVX2_PRODUCTS_H
#define SL_KERNELS_AVX2_PRODUCTS_H

#include "kernels/avx2/lanes.h"

#define SL__LANES 8
#define SL__GROUP 3
#define SL__MOST_COLUMNS 4
#define SL__FEW_ROWS 4
#define SL__EACH_FEW(X) X(1) X(2) X(3) X(4)
#define SL__EACH_GROUP(X) X(1) X(2) X(3)

typedef __m256 sl__floats;
SL__INLINE void sl__store(float *to, __m256 v) { _mm256_storeu_ps(to, v); }

#define SL__FAR 8192
#define SL__AGAIN 0

#include "kernels/panels.h"

/* narrow [n][half]: sums of the products of 32 unsigned weights, four values of eight rows a vector, and n columns from
 * value `at` on, in sixteen bits, two a row. */
SL__INLINE void sl__narrow_products(const __m256i (*w)[2], const sl__columns *x, int at, int n, __m256i narrow[3][2]) {
    SL__UNROLL for (int c = 0; c < n; c++) narrow[c][0] = narrow[c][1] = _mm256_setzero_si256();
    SL__UNROLL for (int i = 0; i < 8; i++) {
        __m256i w0 = w[i][0], w1 = w[i][1];
        SL__UNROLL for (int c = 0; c < n; c++) {
            __m256i four = sl__four(x->q[c] + at + 4 * i);
            narrow[c][0] = _mm256_add_epi16(narrow[c][0], _mm256_maddubs_epi16(w0, four));
            narrow[c][1] = _mm256_add_epi16(narrow[c][1], _mm256_maddubs_epi16(w1, four));
        }
    }
}

#endif

/* sixteens.h: the panel of types whose super-blocks have scales for 16 values each: Q6_K, Q3_K and Q2_K.
 * Pure; workers.
 * Weights are w = u - OFFSET with unsigned u. u is multiplied as it is, in lanes that start at -OFFSET times the sum of the 16
 * activations, and are scaled as floats (sl__scales): the scaled sums of the two runs of 16, and their sum, are integers below 2^24.
 *
 * Before it is included a file defines
 *   OFFSET    what is taken off the unsigned values
 *   MINIMA    1: sub-blocks have a minimum beside the scale */
#ifndef SL_KERNELS_AVX512_SIXTEENS_H
#define SL_KERNELS_AVX512_SIXTEENS_H

#include "kernels/avx512/products.h"

/* start[s]: -OFFSET times the sum of the 16 activations from 16 s on, and SL__SCALED_START. pairs: those of a super-block. */
SL__INLINE void starts(const int16_t *pairs, int32_t start[16]) {
    __m512i sums = _mm512_madd_epi16(_mm512_loadu_si512(pairs), _mm512_set1_epi16(-OFFSET));
    _mm512_storeu_si512(start, _mm512_add_epi32(sums, _mm512_set1_epi32(SL__SCALED_START)));
}

/* both[j], for the 32 values from 32 j on: the sums of the first and of the last 16 activations, in the low and in the high
 * sixteen bits. */
SL__INLINE void sums_of_sixteen(const int16_t *pairs, int32_t both[8]) {
    __m512i sums = _mm512_madd_epi16(_mm512_loadu_si512(pairs), _mm512_set1_epi16(1));
    _mm256_storeu_si256((__m256i *)(void *)both, _mm512_cvtepi32_epi16(sums));
}

/* Scale j (0 … 15) of a row's sixteen, which are the bytes of four dwords. */
SL__INLINE sl__scales scale_of(const __m512i scales[4], int j) {
    __m512i v = _mm512_slli_epi32(scales[j / 4], 24 - 8 * (unsigned)(j % 4));
    return sl__scales_of(_mm512_cvtepi32_ps(_mm512_srai_epi32(v, 24)));
}

/* The scaled sums of a block: of its first 16 values (first 1), or with those of its last 16 added to them. */
SL__INLINE __m512 add_run(__m512 isum, __m512i sum, sl__scales scale, int first) {
    __m512 run = sl__scaled(sum, scale);
    return first ? run : _mm512_add_ps(isum, run);
}

/* Thirty-two rows of one super-block, unpacked. Row 16 h + r is lane r of half h. */
typedef struct panel {
    __m512i q[64][2];        /* [four values][half]: unsigned bytes */
    sl__scales scale[16][2]; /* [sub-block][half] */
    __m512 d[2];
#if MINIMA
    __m512i min[8][2]; /* [block of 32][half]: those of the two sub-blocks, sixteen bits each */
    __m512 m[2];       /* -dmin */
#endif
} panel;

/* sum = fma(a, (float)msum, sum), msum being the minima times the activations' sums (both: as sums_of_sixteen has it). */
SL__INLINE __m512 add_minima(__m512 sum, __m512i min, float a, int32_t both) {
    return _mm512_fmadd_ps(_mm512_set1_ps(a), _mm512_cvtepi32_ps(_mm512_madd_epi16(min, _mm512_set1_epi32(both))), sum);
}

/* The first 16 values' sums are scaled before the second's are formed, so that of six columns twelve are alive and not twenty-four.
 * With the scaled ones and the super-block's they are still 36 for 32 registers: compilers keep a few of the last in memory. */
SL__INLINE void multiply(const panel *w, const sl__columns *x, int at, int values, int n, float *tile, sl__ahead *ahead) {
    (void)values;
    int32_t start[6][16], both[6][8] = {{0}};
    __m512 sum[6][2];
    SL__UNROLL for (int c = 0; c < n; c++) {
        starts(x->pairs[c] + at / 8, start[c]);
        if (MINIMA) sums_of_sixteen(x->pairs[c] + at / 8, both[c]);
        sum[c][0] = sum[c][1] = _mm512_setzero_ps();
    }
    for (int j = 0; j < 8; j++) {
        __m512 isum[6][2];
        sl__prefetch(ahead);
        SL__UNROLL for (int s = 0; s < 2; s++) {
            __m512i wide[6][2];
            SL__UNROLL for (int c = 0; c < n; c++) wide[c][0] = wide[c][1] = _mm512_set1_epi32(start[c][2 * j + s]);
            sl__wide_products(w->q + 8 * j + 4 * s, 4, x, at + 32 * j + 16 * s, n, wide);
            SL__UNROLL for (int c = 0; c < n; c++)
                SL__UNROLL for (int h = 0; h < 2; h++) isum[c][h] = add_run(isum[c][h], wide[c][h], w->scale[2 * j + s][h], !s);
        }
        SL__UNROLL for (int c = 0; c < n; c++)
            SL__UNROLL for (int h = 0; h < 2; h++)
                sum[c][h] = _mm512_fmadd_ps(_mm512_set1_ps(x->a[c][at / 32 + j]), isum[c][h], sum[c][h]);
    }
    SL__UNROLL for (int c = 0; c < n; c++)
        SL__UNROLL for (int h = 0; h < 2; h++) {
            float *to = tile + 32 * c + 16 * h;
            __m512 acc = _mm512_fmadd_ps(w->d[h], sum[c][h], _mm512_load_ps(to));
#if MINIMA
            __m512 minima = _mm512_setzero_ps();
            SL__UNROLL for (int j = 0; j < 8; j++) minima = add_minima(minima, w->min[j][h], x->a[c][at / 32 + j], both[c][j]);
            acc = _mm512_fmadd_ps(w->m[h], minima, acc);
#endif
            _mm512_store_ps(to, acc);
        }
}

#endif

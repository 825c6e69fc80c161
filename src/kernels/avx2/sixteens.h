/* sixteens.h: the panel of types whose super-blocks have scales for 16 values each: Q6_K, Q3_K and Q2_K.
 * Pure; workers.
 * Weights are w = u - OFFSET with unsigned u. u is multiplied as it is: one instruction multiplies four values of eight rows and
 * adds them in pairs, so that a row is a 32-bit lane with two sums of sixteen bits. Each sum starts at -OFFSET times the
 * activations that it will get (starts). After the 16 values of a sub-block it is the sum of w * x over eight values, at most
 * 8 * 32 * 127 = 32512 for the six bits of Q6_K: exact, even where it wrapped around on the way.
 *
 * Before it is included a file defines
 *   OFFSET    what is taken off the unsigned values
 *   MINIMA    1: sub-blocks have a minimum beside the scale */
#ifndef SL_KERNELS_AVX2_SIXTEENS_H
#define SL_KERNELS_AVX2_SIXTEENS_H

#include "kernels/avx2/products.h"

/* start[k], for the 16 values from 16 k on: two sixteen-bit sums in one 32-bit word, each -OFFSET times the activations that the
 * instruction adds to that half of a lane (four values of a row are a lane). pairs: those of a super-block. */
SL__INLINE void starts(const int16_t *pairs, int32_t start[16]) {
    SL__UNROLL for (int i = 0; i < 2; i++) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(pairs + 16 * i));
        _mm256_storeu_si256((__m256i *)(void *)(start + 8 * i), _mm256_mullo_epi16(v, _mm256_set1_epi16(-OFFSET)));
    }
}

/* scales: a lane is a row, its four bytes are four of the row's scales. Lane by lane: scale k (0 … 3) as two equal numbers of
 * sixteen bits, for the two sixteen-bit sums of the row. A byte is moved to the upper half of its sixteen bits and shifted
 * down with its sign. */
SL__INLINE __m256i scale_pairs(__m256i scales, int k) {
    const __m256i at = _mm256_setr_epi32(0, 0x4000400, 0x8000800, 0xc000c00, 0, 0x4000400, 0x8000800, 0xc000c00);
    const __m256i pick = _mm256_add_epi32(at, _mm256_set1_epi32(0x00800080 + 0x1000100 * k));
    return _mm256_srai_epi16(_mm256_shuffle_epi8(scales, pick), 8);
}

/* isum += scale times the products of 16 values, four vectors of unsigned values. */
SL__INLINE __m256i add_sixteen(__m256i isum, const __m256i v[4], const int8_t *q, int32_t start, __m256i scale) {
    __m256i narrow = _mm256_set1_epi32(start);
    SL__UNROLL for (int i = 0; i < 4; i++)
        narrow = _mm256_add_epi16(narrow, _mm256_maddubs_epi16(v[i], sl__four(q + 4 * i)));
    return _mm256_add_epi32(isum, _mm256_madd_epi16(narrow, scale));
}

/* both[j], for the 32 values from 32 j on: the sums of the first and of the last 16 activations, in the low and in the high
 * sixteen bits. */
SL__INLINE void sums_of_sixteen(const int16_t *pairs, int32_t both[8]) {
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i low = _mm256_madd_epi16(_mm256_loadu_si256((const __m256i *)(const void *)pairs), ones);
    __m256i high = _mm256_madd_epi16(_mm256_loadu_si256((const __m256i *)(const void *)(pairs + 16)), ones);
    _mm256_storeu_si256((__m256i *)(void *)both, _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8));
}

/* Sixteen rows of one super-block, unpacked. Row 8 h + r is lane r of half h. */
typedef struct panel {
    __m256i q[64][2];     /* [four values][half]: unsigned bytes */
    __m256i scale[16][2]; /* [sub-block][half]: pairs of sixteen bits */
    __m256 d[2];
#if MINIMA
    __m256i min[8][2]; /* [block of 32][half]: those of the two sub-blocks, sixteen bits each */
    __m256 m[2];       /* -dmin */
#endif
} panel;

/* sum [n][half] = fma(a, (float)isum, sum), where a is the scale of the columns' activations in that block. */
SL__INLINE void add_floats(__m256 sum[SL__GROUP][2], sl__sums isum, const sl__columns *x, int block, int n) {
    SL__UNROLL for (int c = 0; c < n; c++) {
        __m256 a = _mm256_set1_ps(x->a[c][block]);
        SL__UNROLL for (int h = 0; h < 2; h++) sum[c][h] = _mm256_fmadd_ps(a, _mm256_cvtepi32_ps(isum[c][h]), sum[c][h]);
    }
}

/* tile [n][16] = fma(d, sum, tile). */
SL__INLINE void add_to_tile(const __m256 d[2], __m256 sum[SL__GROUP][2], int n, float *tile) {
    SL__UNROLL for (int c = 0; c < n; c++)
        SL__UNROLL for (int h = 0; h < 2; h++) {
            float *to = tile + 16 * c + 8 * h;
            _mm256_store_ps(to, _mm256_fmadd_ps(d[h], sum[c][h], _mm256_load_ps(to)));
        }
}

/* A block's integers become floats at once: kept for all eight blocks they would be read and written once more. */
SL__INLINE void multiply(const panel *w, const sl__columns *x, int at, int values, int n, float *tile, sl__ahead *ahead) {
    (void)values;
    int32_t start[SL__GROUP][16], both[SL__GROUP][8];
    __m256 sum[SL__GROUP][2];
    SL__UNROLL for (int c = 0; c < n; c++) {
        starts(x->pairs[c] + at / 8, start[c]);
        if (MINIMA) sums_of_sixteen(x->pairs[c] + at / 8, both[c]);
        sum[c][0] = sum[c][1] = _mm256_setzero_ps();
    }
    SL__IN_MEMORY(start);
    SL__IN_MEMORY(both);
    for (int j = 0; j < 8; j++) {
        sl__sums narrow, wide;
        sl__prefetch(ahead);
        SL__UNROLL for (int s = 0; s < 2; s++) {
            SL__UNROLL for (int c = 0; c < n; c++)
                narrow[c][0] = narrow[c][1] = _mm256_set1_epi32(start[c][2 * j + s]);
            sl__add_products(w->q + 8 * j + 4 * s, 4, x, at + 32 * j + 16 * s, n, narrow);
            SL__UNROLL for (int c = 0; c < n; c++)
                SL__UNROLL for (int h = 0; h < 2; h++) {
                    __m256i scaled = _mm256_madd_epi16(narrow[c][h], w->scale[2 * j + s][h]);
                    wide[c][h] = s ? _mm256_add_epi32(wide[c][h], scaled) : scaled;
                }
        }
        add_floats(sum, wide, x, at / 32 + j, n);
    }
    add_to_tile(w->d, sum, n, tile);
#if MINIMA
    SL__UNROLL for (int c = 0; c < n; c++) sum[c][0] = sum[c][1] = _mm256_setzero_ps();
    for (int j = 0; j < 8; j++) {
        sl__sums min;
        SL__UNROLL for (int c = 0; c < n; c++)
            SL__UNROLL for (int h = 0; h < 2; h++) min[c][h] = _mm256_madd_epi16(w->min[j][h], _mm256_set1_epi32(both[c][j]));
        add_floats(sum, min, x, at / 32 + j, n);
    }
    add_to_tile(w->m, sum, n, tile);
#endif
}

#endif

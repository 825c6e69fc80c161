/* products.h: how wide the quantised products are on this tier: eight weight rows in a vector, groups of three columns (the
 * sums of two vectors of rows times three columns leave the sixteen registers just enough room).
 * Pure; workers. */
#ifndef SL_KERNELS_AVX2_PRODUCTS_H
#define SL_KERNELS_AVX2_PRODUCTS_H

#include "kernels/avx2/lanes.h"

#define SL__LANES 8
#define SL__GROUP 3
#define SL__MOST_COLUMNS 4
/* From three columns on a panel is faster, where unpacking in registers again and again takes long: a panel is unpacked once,
 * and an activation is loaded once for 16 weight rows. A type for which that is not so defines another number first. */
#ifndef SL__FEW_ROWS
#define SL__FEW_ROWS 2
#define SL__EACH_FEW(X) X(1) X(2)
#endif
#define SL__EACH_GROUP(X) X(1) X(2) X(3)

typedef __m256 sl__floats;
SL__INLINE void sl__store(float *to, __m256 v) { _mm256_storeu_ps(to, v); }

#define SL__FAR 8192
#define SL__AGAIN 0

#include "kernels/panels.h"

/* Sums of a group of columns, [column][half of the panel's rows]. A panel's products are first such integer sums for each of
 * its eight blocks of 32 values, isum [block]; all become floats after that, since integer and float sums together do not
 * fit the sixteen registers. */
typedef __m256i sl__sums[SL__GROUP][2];

/* narrow [n][half] += the products of unsigned weights w [fours][half], each vector with four values of eight rows, and n
 * columns from value `at` on: in sixteen bits, two sums a row. */
SL__INLINE void sl__add_products(const __m256i (*w)[2], int fours, const sl__columns *x, int at, int n, sl__sums narrow) {
    SL__UNROLL for (int i = 0; i < fours; i++) {
        __m256i w0 = w[i][0], w1 = w[i][1];
        SL__UNROLL for (int c = 0; c < n; c++) {
            __m256i four = sl__four(x->q[c] + at + 4 * i);
            narrow[c][0] = _mm256_add_epi16(narrow[c][0], _mm256_maddubs_epi16(w0, four));
            narrow[c][1] = _mm256_add_epi16(narrow[c][1], _mm256_maddubs_epi16(w1, four));
        }
    }
}

/* The same for the 32 values of a block, from zero. */
SL__INLINE void sl__narrow_products(const __m256i (*w)[2], const sl__columns *x, int at, int n, sl__sums narrow) {
    SL__UNROLL for (int c = 0; c < n; c++) narrow[c][0] = narrow[c][1] = _mm256_setzero_si256();
    sl__add_products(w, 8, x, at, n, narrow);
}

/* The activations' sums (sl_acts.sum) of up to eight blocks in 32 bits each; nothing behind them is read. */
SL__INLINE __m256i sl__sums8(const int16_t *sum, int blocks) {
    int16_t some[8] = {0};
    if (blocks < 8) sum = memcpy(some, sum, (size_t)blocks * sizeof *sum);
    return _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)(const void *)sum));
}

/* A compiler that knows what it just stored in a small array takes it from registers again, which costs more than the load
 * that broadcasts it from memory, and runs out of registers. This tells it that the array may have changed. */
#define SL__IN_MEMORY(array) __asm__("" : "+m"(array))

SL__INLINE void sl__load_tile(const float *tile, int n, __m256 acc[SL__GROUP][2]) {
    SL__UNROLL for (int c = 0; c < n; c++)
        SL__UNROLL for (int h = 0; h < 2; h++) acc[c][h] = _mm256_load_ps(tile + 16 * c + 8 * h);
}

SL__INLINE void sl__store_tile(float *tile, int n, __m256 acc[SL__GROUP][2]) {
    SL__UNROLL for (int c = 0; c < n; c++)
        SL__UNROLL for (int h = 0; h < 2; h++) _mm256_store_ps(tile + 16 * c + 8 * h, acc[c][h]);
}

/* For blocks j = 0, 1 …: tile [n][16] = fma(d[j * step] * a, (float)(isum[j] + offset * s), tile), where a and s are the
 * scale and the sum of the column's activations in block `block` + j. step 0: all blocks have the same d. */
SL__INLINE void sl__add_sums(const __m256 (*d)[2], int step, sl__sums *isum, int offset, const sl__columns *x,
                             int block, int blocks, int n, float *tile) {
    __m256 acc[SL__GROUP][2];
    _Alignas(32) int32_t add[SL__GROUP][8];
    SL__UNROLL for (int c = 0; c < n && offset; c++) {
        __m256i sums = _mm256_mullo_epi32(sl__sums8(x->sum[c] + block, blocks), _mm256_set1_epi32(offset));
        _mm256_store_si256((__m256i *)(void *)add[c], sums);
        SL__IN_MEMORY(add);
    }
    sl__load_tile(tile, n, acc);
    for (int j = 0; j < blocks; j++)
        SL__UNROLL for (int c = 0; c < n; c++) {
            __m256 a = _mm256_set1_ps(x->a[c][block + j]);
            SL__UNROLL for (int h = 0; h < 2; h++) {
                __m256i sum = isum[j][c][h];
                if (offset) sum = _mm256_add_epi32(sum, _mm256_set1_epi32(add[c][j]));
                acc[c][h] = _mm256_fmadd_ps(_mm256_mul_ps(d[j * step][h], a), _mm256_cvtepi32_ps(sum), acc[c][h]);
            }
        }
    sl__store_tile(tile, n, acc);
}

/* A block's two steps of the float order for types that have a scale d and a number m (a minimum, or minus one), by which
 * the activations' total is multiplied. */
SL__INLINE __m256 sl__add_block(__m256 acc, __m256 d, __m256 m, __m256i isum, float a, float total) {
    acc = _mm256_fmadd_ps(_mm256_mul_ps(d, _mm256_set1_ps(a)), _mm256_cvtepi32_ps(isum), acc);
    return _mm256_fmadd_ps(m, _mm256_set1_ps(total), acc);
}

/* Sixteen rows of up to eight such blocks, unpacked: 5 KB. Row 8 h + r is lane r of half h. */
typedef struct sl__block_panel {
    __m256i q[64][2];        /* [four values][half]: bytes */
    __m256 d[8][2], m[8][2]; /* [block][half] */
} sl__block_panel;

SL__INLINE void sl__multiply_blocks(const sl__block_panel *w, const sl__columns *x, int at, int values, int n, float *tile,
                                    sl__ahead *ahead) {
    sl__sums isum[8];
    __m256 acc[SL__GROUP][2];
    for (int j = 0; j < values / 32; j++) {
        sl__sums narrow;
        sl__prefetch(ahead);
        sl__narrow_products(w->q + 8 * j, x, at + 32 * j, n, narrow);
        SL__UNROLL for (int c = 0; c < n; c++)
            SL__UNROLL for (int h = 0; h < 2; h++) isum[j][c][h] = _mm256_madd_epi16(narrow[c][h], _mm256_set1_epi16(1));
    }
    sl__load_tile(tile, n, acc);
    for (int j = 0; j < values / 32; j++)
        SL__UNROLL for (int c = 0; c < n; c++) {
            float a = x->a[c][at / 32 + j], total = x->total[c][at / 32 + j];
            SL__UNROLL for (int h = 0; h < 2; h++)
                acc[c][h] = sl__add_block(acc[c][h], w->d[j][h], w->m[j][h], isum[j][c][h], a, total);
        }
    sl__store_tile(tile, n, acc);
}

#endif

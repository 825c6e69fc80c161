/* blocks.h: the product of types whose blocks of 32 values are unpacked one by one, from sixteen bytes of nibbles and what
 * belongs to them.
 * Pure; workers.
 * Before it is included a file defines
 *   BYTES, BLOCKS   bytes of a unit of the file, and how many blocks it has (1 or 8)
 *   SIGNED          1: values are signed bytes; 0: they were made unsigned, at most 31
 *   OFFSET          what is taken off unsigned ones
 *   MINIMA          1: a block has a number by which the activations' total is multiplied; unsigned ones without offset only
 *   SL__APART       if the scales have a plane of their own (panels.h)
 *   block           a struct: a block of eight rows as the file has it, a lane each
 * and after it the functions that are declared here, and SL__GEMM. */
#ifndef SL_KERNELS_AVX2_BLOCKS_H
#define SL_KERNELS_AVX2_BLOCKS_H

#include "kernels/avx2/products.h"

enum { BYTES_256 = BYTES * 8 / BLOCKS };

/* Of a unit of eight rows: d [BLOCKS], and m [BLOCKS] where there are minima. */
SL__INLINE void read_scales(const uint8_t *w, size_t stride, __m256 *d, __m256 *m SL__SCALES);
/* Its block j. */
SL__INLINE block read_block(const uint8_t *w, size_t stride, int j);
/* Values 4 i … 4 i + 3 of a block, i = 0 … 7. */
SL__INLINE __m256i four_values(const block *b, int i);

/* isum [n] = the sums of products of a block that stands at value `at`. How many products fit sixteen bits is said at
 * sl__block_sums and sl__unsigned. */
SL__INLINE void block_products(const block *b, const sl__columns *x, int at, int n, __m256i *isum) {
    __m256i narrow[SL__FEW_ROWS];
    SL__UNROLL for (int c = 0; c < n; c++) {
        narrow[c] = _mm256_setzero_si256();
        isum[c] = SIGNED ? sl__signed_start(x->sum[c][at / 32]) : narrow[c];
    }
    SL__UNROLL for (int i = 0; i < 8; i++) {
        __m256i v = four_values(b, i), u = sl__unsigned(v);
        SL__UNROLL for (int c = 0; c < n; c++) {
            const int8_t *q = x->q[c] + at + 4 * i;
            if (SIGNED) {
                isum[c] = sl__add_signed(isum[c], v, u, q);
                continue;
            }
            narrow[c] = sl__add_dot(narrow[c], v, sl__four(q));
            if (i % (SL__SIXTEEN_BITS ? 4 : 8) < (SL__SIXTEEN_BITS ? 3 : 7)) continue;
            isum[c] = _mm256_add_epi32(isum[c], sl__ended(narrow[c], sl__ones()));
            narrow[c] = _mm256_setzero_si256();
        }
    }
}

/* A block's steps of the float order; j is the block's number in the row. */
SL__INLINE __m256 add_to(__m256 acc, __m256 d, __m256 m, __m256i isum, const sl__columns *x, int c, int j) {
    if (MINIMA) return sl__add_block(acc, d, m, isum, x->a[c][j], x->total[c][j]);
    if (!SIGNED)
        isum = _mm256_add_epi32(isum, _mm256_madd_epi16(_mm256_set1_epi16(x->sum[c][j]), _mm256_set1_epi32(-OFFSET & 0xffff)));
    return _mm256_fmadd_ps(_mm256_mul_ps(d, _mm256_set1_ps(x->a[c][j])), _mm256_cvtepi32_ps(isum), acc);
}

SL__INLINE void few(const uint8_t *w, size_t stride, int cols, const sl__columns *x, int n, sl__lines ask,
                    __m256 *ret SL__SCALES) {
    enum { READ = 8 * BYTES / BLOCKS }; /* bytes for each block */
    __m256 acc[SL__FEW_ROWS];
    SL__UNROLL for (int c = 0; c < n; c++) acc[c] = _mm256_setzero_ps();
    for (int at = 0; at < cols; at += 32 * BLOCKS, w += BYTES, sl__pass(&ask, 8 * BYTES)) {
        __m256 d[BLOCKS], m[BLOCKS];
        read_scales(w, stride, d, m SL__SCALES_AT(at / 32));
        for (int j = 0; j < BLOCKS; j++) {
            block b = read_block(w, stride, j);
            __m256i isum[SL__FEW_ROWS];
            SL__UNROLL for (int i = 0; i < (READ + 63) / 64; i++) sl__ask(ask, READ * j + 64 * i);
            block_products(&b, x, at + 32 * j, n, isum);
            SL__UNROLL for (int c = 0; c < n; c++)
                acc[c] = add_to(acc[c], d[j], MINIMA ? m[j] : d[j], isum[c], x, c, at / 32 + j);
        }
    }
    SL__UNROLL for (int c = 0; c < n; c++) ret[c] = acc[c];
}

#if SIGNED
typedef sl__signed_panel panel;
#elif MINIMA
typedef sl__block_panel panel;
#else
typedef sl__offset_panel panel;
#endif

/* Block j of half `half` of a panel. */
SL__INLINE void put_block(panel *to, int j, int half, const block *b, __m256 d, __m256 m) {
    to->d[j][half] = d;
#if MINIMA
    to->m[j][half] = m;
#else
    (void)m;
#endif
    SL__UNROLL for (int i = 0; i < 8; i++)
#if SIGNED
        sl__put_signed(to, 8 * j + i, half, four_values(b, i));
#else
        to->q[8 * j + i][half] = four_values(b, i);
#endif
}

SL__INLINE void unpack(const uint8_t *w, size_t stride, int values, int half, panel *to SL__SCALES) {
    for (int u = 0; u < values / (32 * BLOCKS); u++) {
        __m256 d[BLOCKS], m[BLOCKS];
        read_scales(w + u * BYTES, stride, d, m SL__SCALES_AT(u));
        for (int j = 0; j < BLOCKS; j++) {
            block b = read_block(w + u * BYTES, stride, j);
            put_block(to, BLOCKS * u + j, half, &b, d[j], MINIMA ? m[j] : d[j]);
        }
    }
}

SL__INLINE void multiply(const panel *w, const sl__columns *x, int at, int values, int n, float *tile, sl__ahead *ahead) {
#if SIGNED
    sl__multiply_signed(w, x, at, values, n, tile, ahead);
#elif MINIMA
    sl__multiply_blocks(w, 1, x, at, values, n, tile, ahead);
#else
    sl__multiply_offset(w, 1, OFFSET, x, at, values, n, tile, ahead);
#endif
}

#endif

/* blocks.h: the product of types whose blocks of 32 values are unpacked one by one, from sixteen bytes of nibbles and what
 * belongs to them.
 * Pure; workers.
 * Before it is included a file defines
 *   BYTES, BLOCKS   bytes of a unit of the file, and how many blocks it has (1 or 8)
 *   OFFSET          what is taken off the values, which are unsigned bytes
 *   MINIMA          1: a block has a number by which the activations' total is multiplied; OFFSET is 0 then
 *   SL__APART       if the scales have a plane of their own (panels.h)
 *   block           a struct: a block of sixteen rows as the file has it, a lane each
 * and after it the functions that are declared here, and SL__GEMM. */
#ifndef SL_KERNELS_AVX512_BLOCKS_H
#define SL_KERNELS_AVX512_BLOCKS_H

#include "kernels/avx512/products.h"

enum { BYTES_256 = BYTES * 8 / BLOCKS };

/* Of a unit of sixteen rows: d [BLOCKS], and m [BLOCKS] where there are minima. */
SL__INLINE void read_scales(const uint8_t *w, size_t stride, __m512 *d, __m512 *m SL__SCALES);
/* Its block j. */
SL__INLINE block read_block(const uint8_t *w, size_t stride, int j);
/* Values 4 i … 4 i + 3 of a block, i = 0 … 7, with OFFSET added. */
SL__INLINE __m512i four_values(const block *b, int i);

SL__INLINE void few(const uint8_t *w, size_t stride, int cols, const sl__columns *x, int n, sl__lines ask,
                    __m512 *ret SL__SCALES) {
    enum { READ = 16 * BYTES / BLOCKS }; /* bytes for each block */
    __m512 acc[SL__FEW_ROWS];
    SL__UNROLL for (int c = 0; c < n; c++) acc[c] = _mm512_setzero_ps();
    for (int at = 0; at < cols; at += 32 * BLOCKS, w += BYTES, sl__pass(&ask, 16 * BYTES)) {
        __m512 d[BLOCKS], m[BLOCKS];
        read_scales(w, stride, d, m SL__SCALES_AT(at / 32));
        for (int j = 0; j < BLOCKS; j++) {
            block b = read_block(w, stride, j);
            __m512i wide[SL__FEW_ROWS];
            int k = at / 32 + j; /* of the row's blocks */
            SL__UNROLL for (int i = 0; i < (READ + 63) / 64; i++) sl__ask(ask, READ * j + 64 * i);
            SL__UNROLL for (int c = 0; c < n; c++) wide[c] = _mm512_set1_epi32(-OFFSET * x->sum[c][k]);
            SL__UNROLL for (int i = 0; i < 8; i++) {
                __m512i v = four_values(&b, i);
                SL__UNROLL for (int c = 0; c < n; c++)
                    wide[c] = _mm512_dpbusd_epi32(wide[c], v, sl__four16(x->q[c] + 32 * k + 4 * i));
            }
            SL__UNROLL for (int c = 0; c < n; c++)
                acc[c] = MINIMA ? sl__add_block(acc[c], d[j], m[j], wide[c], x->a[c][k], x->total[c][k])
                                : sl__add_scaled(acc[c], d[j], _mm512_set1_ps(x->a[c][k]), wide[c]);
        }
    }
    SL__UNROLL for (int c = 0; c < n; c++) ret[c] = acc[c];
}

#if MINIMA
typedef sl__block_panel panel;
#else
typedef sl__offset_panel panel;
#endif

SL__INLINE void unpack(const uint8_t *w, size_t stride, int values, int half, panel *to SL__SCALES) {
    for (int u = 0; u < values / (32 * BLOCKS); u++) {
        __m512 d[BLOCKS], m[BLOCKS];
        read_scales(w + u * BYTES, stride, d, m SL__SCALES_AT(u));
        for (int j = 0; j < BLOCKS; j++) {
            block b = read_block(w + u * BYTES, stride, j);
            int k = BLOCKS * u + j;
            to->d[k][half] = d[j];
#if MINIMA
            to->m[k][half] = m[j];
#endif
            SL__UNROLL for (int i = 0; i < 8; i++) to->q[8 * k + i][half] = four_values(&b, i);
        }
    }
}

SL__INLINE void multiply(const panel *w, const sl__columns *x, int at, int values, int n, float *tile, sl__ahead *ahead) {
#if MINIMA
    sl__multiply_blocks(w, x, at, values, n, tile, ahead);
#else
    sl__multiply_offset(w, OFFSET, x, at, values, n, tile, ahead);
#endif
}

#endif

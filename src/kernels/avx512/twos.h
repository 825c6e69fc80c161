/* twos.h: the products of Q2_K and Q3_K, which have their two low bits in the same order; Q3_K has a plane of third bits at the
 * beginning.
 * Pure; workers.
 * Before it is included a file defines
 *   OFFSET, MINIMA   as sixteens.h wants them
 *   BYTES, TWOS      bytes of a super-block, and where the two low bits begin in it
 *   THIRD            1: the first 32 bytes are third bits
 * and after it read_header, and SL__GEMM. */
#ifndef SL_KERNELS_AVX512_TWOS_H
#define SL_KERNELS_AVX512_TWOS_H

/* As many as Q6_K, whose sums are as many. */
#define SL__FEW_ROWS 5
#define SL__EACH_FEW(X) X(1) X(2) X(3) X(4) X(5)
#include "kernels/avx512/sixteens.h"

enum { BYTES_256 = BYTES };

/* The scales of sixteen rows, a lane each: d; those of sub-block k as byte k % 4 of [k / 4], signed; and likewise minima, and
 * m = -dmin, where there are any. */
typedef struct header {
    __m512 d, m;
    __m512i scale[4], min[4];
} header;

SL__INLINE header read_header(const uint8_t *w, size_t stride);

/* The third bits of sixteen rows: [i] has those of positions 4 i … 4 i + 3 of all blocks of 32, bit j that of block j. */
typedef struct thirds {
    __m512i bits[8];
} thirds;

SL__INLINE void read_thirds(const uint8_t *w, size_t stride, thirds *to) {
    if (THIRD) sl__transpose16_of_32(w, stride, to->bits);
}

/* Values 4 i … 4 i + 3 of block j of 32, from the bytes that have their low bits. */
SL__INLINE __m512i four_values(__m512i twos, const thirds *t, int j, int i) {
    __m512i v = _mm512_and_si512(_mm512_srli_epi16(twos, 2 * (unsigned)(j % 4)), _mm512_set1_epi8(3));
    return THIRD ? _mm512_or_si512(v, sl__move_bit16(t->bits[i], j, 2)) : v;
}

/* The minima of the two sub-blocks of block j, sixteen bits each. */
SL__INLINE __m512i min_pairs(const header *h, int j) {
    const __m512i at = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0x00040004, 0x00080008, 0x000c000c));
    const __m512i pick = _mm512_add_epi32(at, _mm512_set1_epi32((int)0x80018000u + 0x00020002 * (j % 2)));
    return _mm512_shuffle_epi8(h->min[j / 2], pick);
}

SL__INLINE void few(const uint8_t *w, size_t stride, int cols, const sl__columns *x, int n, sl__lines ask,
                    __m512 *ret) {
    enum { LINES = (8 * BYTES + 63) / 64 }; /* for each half of what sixteen rows have */
    __m512 acc[SL__FEW_ROWS];
    SL__UNROLL for (int c = 0; c < n; c++) acc[c] = _mm512_setzero_ps();
    for (int b = 0; b < cols / 256; b++, w += BYTES, sl__pass(&ask, 16 * BYTES)) {
        int32_t start[SL__FEW_ROWS][16], both[SL__FEW_ROWS][8] = {{0}};
        __m512 sum[SL__FEW_ROWS], minima[SL__FEW_ROWS];
        header h = read_header(w, stride);
        thirds third;
        read_thirds(w, stride, &third);
        SL__UNROLL for (int c = 0; c < n; c++) {
            starts(x->pairs[c] + 32 * b, start[c]);
            if (MINIMA) sums_of_sixteen(x->pairs[c] + 32 * b, both[c]);
            sum[c] = minima[c] = _mm512_setzero_ps();
        }
        SL__UNROLL for (int g = 0; g < 2; g++) {
            __m512i twos[8];
            sl__transpose16_of_32(w + TWOS + 32 * g, stride, twos);
            SL__UNROLL for (int p = 0; p < 4; p++) {
                int j = 4 * g + p; /* of the blocks of 32 */
                __m512 isum[SL__FEW_ROWS];
                SL__UNROLL for (int i = LINES * p / 4; i < LINES * (p + 1) / 4; i++) sl__ask(ask, 64 * (LINES * g + i));
                SL__UNROLL for (int s = 0; s < 2; s++) {
                    __m512i wide[SL__FEW_ROWS];
                    sl__scales scale = scale_of(h.scale, 2 * j + s);
                    SL__UNROLL for (int c = 0; c < n; c++) wide[c] = _mm512_set1_epi32(start[c][2 * j + s]);
                    SL__UNROLL for (int i = 4 * s; i < 4 * s + 4; i++) {
                        __m512i v = four_values(twos[i], &third, j, i);
                        SL__UNROLL for (int c = 0; c < n; c++)
                            wide[c] = _mm512_dpbusd_epi32(wide[c], v, sl__four16(x->q[c] + 256 * b + 32 * j + 4 * i));
                    }
                    SL__UNROLL for (int c = 0; c < n; c++) isum[c] = add_run(isum[c], wide[c], scale, !s);
                }
                SL__UNROLL for (int c = 0; c < n; c++) {
                    float a = x->a[c][8 * b + j];
                    sum[c] = _mm512_fmadd_ps(_mm512_set1_ps(a), isum[c], sum[c]);
                    if (MINIMA) minima[c] = add_minima(minima[c], min_pairs(&h, j), a, both[c][j]);
                }
            }
        }
        SL__UNROLL for (int c = 0; c < n; c++) {
            acc[c] = _mm512_fmadd_ps(h.d, sum[c], acc[c]);
            if (MINIMA) acc[c] = _mm512_fmadd_ps(h.m, minima[c], acc[c]);
        }
    }
    SL__UNROLL for (int c = 0; c < n; c++) ret[c] = acc[c];
}

SL__INLINE void unpack(const uint8_t *w, size_t stride, int values, int half, panel *to) {
    (void)values;
    header h = read_header(w, stride);
    thirds third;
    read_thirds(w, stride, &third);
    to->d[half] = h.d;
    SL__UNROLL for (int k = 0; k < 16; k++) to->scale[k][half] = scale_of(h.scale, k);
#if MINIMA
    to->m[half] = h.m;
    SL__UNROLL for (int j = 0; j < 8; j++) to->min[j][half] = min_pairs(&h, j);
#endif
    SL__UNROLL for (int g = 0; g < 2; g++) {
        __m512i twos[8];
        sl__transpose16_of_32(w + TWOS + 32 * g, stride, twos);
        SL__UNROLL for (int p = 0; p < 4; p++)
            SL__UNROLL for (int i = 0; i < 8; i++)
                to->q[8 * (4 * g + p) + i][half] = four_values(twos[i], &third, 4 * g + p, i);
    }
}

#endif

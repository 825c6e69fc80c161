/* twos.h: the products of Q2_K and Q3_K, which have their two low bits in the same order; Q3_K has a plane of third bits at the
 * beginning.
 * Pure; workers.
 * Before it is included a file defines
 *   OFFSET, MINIMA   as sixteens.h wants them
 *   BYTES, TWOS      bytes of a super-block, and where the two low bits begin in it
 *   THIRD            1: the first 32 bytes are third bits
 * and after it read_header, and SL__GEMM. */
#ifndef SL_KERNELS_AVX2_TWOS_H
#define SL_KERNELS_AVX2_TWOS_H

#include "kernels/avx2/sixteens.h"

enum { BYTES_256 = BYTES };

/* The scales of eight rows, a lane each: d; those of sub-block k as byte k % 4 of [k / 4], signed; and likewise minima, and
 * m = -dmin, where there are any. */
typedef struct header {
    __m256 d, m;
    __m256i scale[4], min[4];
} header;

SL__INLINE header read_header(const uint8_t *w, size_t stride);

/* The third bits of eight rows: [s][i] has those of positions 16 s + 4 i … + 3 of all blocks of 32, bit j that of block j. */
typedef struct thirds {
    __m256i bits[2][4];
} thirds;

SL__INLINE void read_thirds(const uint8_t *w, size_t stride, thirds *to) {
    SL__UNROLL for (int s = 0; s < 2 && THIRD; s++) sl__transpose8(w + 16 * s, stride, to->bits[s]);
}

/* Four values of block j of 32, positions 16 s + 4 i … + 3, from the bytes that have its low bits. */
SL__INLINE __m256i four_values(__m256i twos, const thirds *t, int j, int s, int i) {
    __m256i v = _mm256_and_si256(_mm256_srli_epi16(twos, 2 * (j % 4)), _mm256_set1_epi8(3));
    return THIRD ? _mm256_or_si256(v, sl__move_bit(t->bits[s][i], j, 2)) : v;
}

/* The minima of the two sub-blocks of block j, sixteen bits each. */
SL__INLINE __m256i min_pairs(const header *h, int j) {
    const __m256i at = _mm256_setr_epi32(0, 0x00040004, 0x00080008, 0x000c000c, 0, 0x00040004, 0x00080008, 0x000c000c);
    const __m256i pick = _mm256_add_epi32(at, _mm256_set1_epi32((int)0x80018000u + 0x00020002 * (j % 2)));
    return _mm256_shuffle_epi8(h->min[j / 2], pick);
}

SL__INLINE void few(const uint8_t *w, size_t stride, int cols, const sl__columns *x, int n, sl__lines ask,
                    __m256 *ret) {
    enum { LINES = (2 * BYTES + 63) / 64 }; /* for each quarter of what eight rows have */
    __m256 acc[SL__FEW_ROWS];
    SL__UNROLL for (int c = 0; c < n; c++) acc[c] = _mm256_setzero_ps();
    for (int b = 0; b < cols / 256; b++, w += BYTES, sl__pass(&ask, 8 * BYTES)) {
        int32_t start[SL__FEW_ROWS][16], both[SL__FEW_ROWS][8];
        __m256 sum[SL__FEW_ROWS], minima[SL__FEW_ROWS];
        header h = read_header(w, stride);
        thirds third;
        read_thirds(w, stride, &third);
        SL__UNROLL for (int c = 0; c < n; c++) {
            starts(x->pairs[c] + 32 * b, start[c]);
            if (MINIMA) sums_of_sixteen(x->pairs[c] + 32 * b, both[c]);
            sum[c] = minima[c] = _mm256_setzero_ps();
        }
        SL__UNROLL for (int g = 0; g < 2; g++) {
            __m256i isum[4][SL__FEW_ROWS]; /* [block of 32][column] */
            SL__UNROLL for (int s = 0; s < 2; s++) {
                __m256i twos[4];
                sl__transpose8(w + TWOS + 32 * g + 16 * s, stride, twos);
                SL__UNROLL for (int i = 0; i < LINES; i++) sl__ask(ask, 64 * (LINES * (2 * g + s) + i));
                SL__UNROLL for (int p = 0; p < 4; p++) {
                    int k = 2 * (4 * g + p) + s; /* of the sixteen sub-blocks */
                    __m256i v[4];
                    SL__UNROLL for (int i = 0; i < 4; i++) v[i] = four_values(twos[i], &third, 4 * g + p, s, i);
                    SL__UNROLL for (int c = 0; c < n; c++)
                        isum[p][c] = add_sixteen(s ? isum[p][c] : _mm256_setzero_si256(), v, x->q[c] + 256 * b + 16 * k,
                                                 start[c][k], scale_pairs(h.scale[k / 4], k % 4));
                }
            }
            SL__UNROLL for (int p = 0; p < 4; p++)
                SL__UNROLL for (int c = 0; c < n; c++) {
                    int j = 4 * g + p;
                    __m256 a = _mm256_set1_ps(x->a[c][8 * b + j]);
                    sum[c] = _mm256_fmadd_ps(a, _mm256_cvtepi32_ps(isum[p][c]), sum[c]);
                    if (!MINIMA) continue;
                    __m256i msum = _mm256_madd_epi16(min_pairs(&h, j), _mm256_set1_epi32(both[c][j]));
                    minima[c] = _mm256_fmadd_ps(a, _mm256_cvtepi32_ps(msum), minima[c]);
                }
        }
        SL__UNROLL for (int c = 0; c < n; c++) {
            acc[c] = _mm256_fmadd_ps(h.d, sum[c], acc[c]);
            if (MINIMA) acc[c] = _mm256_fmadd_ps(h.m, minima[c], acc[c]);
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
    SL__UNROLL for (int k = 0; k < 16; k++) to->scale[k][half] = scale_pairs(h.scale[k / 4], k % 4);
#if MINIMA
    to->m[half] = h.m;
    SL__UNROLL for (int j = 0; j < 8; j++) to->min[j][half] = min_pairs(&h, j);
#endif
    SL__UNROLL for (int g = 0; g < 2; g++)
        SL__UNROLL for (int s = 0; s < 2; s++) {
            __m256i twos[4];
            sl__transpose8(w + TWOS + 32 * g + 16 * s, stride, twos);
            SL__UNROLL for (int p = 0; p < 4; p++)
                SL__UNROLL for (int i = 0; i < 4; i++)
                    to->q[8 * (4 * g + p) + 4 * s + i][half] = four_values(twos[i], &third, 4 * g + p, s, i);
        }
}

#endif

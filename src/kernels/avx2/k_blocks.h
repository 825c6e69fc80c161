/* k_blocks.h: the products of Q4_K and Q5_K, which have the same header and nibbles; Q5_K has a plane of fifth bits between.
 * Before it is included a file defines
 *   BYTES     bytes of a super-block
 *   FIVE      1: there are fifth bits, in 32 bytes behind the header
 *   NIBBLES   where the nibbles begin
 * Pure; workers. */
#ifndef SL_KERNELS_AVX2_K_BLOCKS_H
#define SL_KERNELS_AVX2_K_BLOCKS_H

#include "kernels/avx2/products.h"

enum { BYTES_256 = BYTES };

/* The headers of eight rows, a lane each: d; m = -dmin; scales and minima, those of sub-blocks 0-3 as the four bytes of [0],
 * those of 4-7 of [1]. */
typedef struct header {
    __m256 d, m;
    __m256i scale[2], min[2];
} header;

SL__INLINE header read_header(const uint8_t *w, size_t stride) {
    const __m256i six = _mm256_set1_epi8(0x3f), top = _mm256_set1_epi8(0x30);
    __m256i t[4];
    header h;
    sl__transpose8(w, stride, t);
    sl__half_pairs8(t[0], &h.d, &h.m);
    h.m = _mm256_xor_ps(h.m, _mm256_set1_ps(-0.0f));
    h.scale[0] = _mm256_and_si256(t[1], six);
    h.min[0] = _mm256_and_si256(t[2], six);
    h.scale[1] = _mm256_or_si256(sl__low_nibbles(t[3]), _mm256_and_si256(_mm256_srli_epi16(t[1], 2), top));
    h.min[1] = _mm256_or_si256(sl__high_nibbles(t[3]), _mm256_and_si256(_mm256_srli_epi16(t[2], 2), top));
    return h;
}

/* Number j (0 … 7) of a row's eight, which are the bytes of two dwords, as a float. */
SL__INLINE __m256 number(const __m256i bytes[2], int j) {
    const __m256i at = _mm256_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12);
    const __m256i pick = _mm256_add_epi32(at, _mm256_set1_epi32((int)0x80808000u + j % 4));
    return _mm256_cvtepi32_ps(_mm256_shuffle_epi8(bytes[j / 4], pick));
}

/* What sub-block j's products and its activations' total are multiplied by. */
SL__INLINE __m256 scale_of(const header *h, int j) { return _mm256_mul_ps(h->d, number(h->scale, j)); }
SL__INLINE __m256 min_of(const header *h, int j) { return _mm256_mul_ps(h->m, number(h->min, j)); }

/* The fifth bits of eight rows: [s][i] has those of positions 16 s + 4 i … + 3 of all sub-blocks, bit j that of sub-block j. */
typedef struct fifths {
    __m256i bits[2][4];
} fifths;

SL__INLINE void read_fifths(const uint8_t *w, size_t stride, fifths *to) {
    SL__UNROLL for (int s = 0; s < 2 && FIVE; s++) sl__transpose8(w + 16 + 16 * s, stride, to->bits[s]);
}

/* With the fifth bits, if there are any: bit j of `bits`. */
SL__INLINE __m256i with_fifth(__m256i nibbles, __m256i bits, int j) {
    return FIVE ? _mm256_or_si256(nibbles, sl__move_bit(bits, j, 4)) : nibbles;
}

/* Per super-block: the header; then for each pair of sub-blocks two loads of 16 bytes a row, transposed; the low nibbles
 * of a vector belong to the first sub-block, the high ones to the second. As many lines of what comes later are asked for
 * as are read here. How many products sums of sixteen bits hold is said at sl__block_sums. */
SL__INLINE void few(const uint8_t *w, size_t stride, int cols, const sl__columns *x, int n, sl__lines ask,
                    __m256 *ret) {
    enum { TWICE = FIVE && SL__SIXTEEN_BITS }; /* sums are ended after 16 values */
    __m256 acc[SL__FEW_ROWS];
    SL__UNROLL for (int c = 0; c < n; c++) acc[c] = _mm256_setzero_ps();
    for (int b = 0; b < cols / 256; b++, w += BYTES, sl__pass(&ask, 8 * BYTES)) {
        header h = read_header(w, stride);
        fifths f;
        read_fifths(w, stride, &f);
        SL__UNROLL for (int i = 0; i < NIBBLES / 8; i++) sl__ask(ask, 64 * i);
        SL__UNROLL for (int p = 0; p < 4; p++) {
            __m256i narrow[2][SL__FEW_ROWS], isum[2][SL__FEW_ROWS]; /* of the low and of the high nibbles */
            SL__UNROLL for (int s = 0; s < 2; s++) {
                __m256i t[4];
                if (s == 0 || TWICE)
                    SL__UNROLL for (int c = 0; c < n; c++) narrow[0][c] = narrow[1][c] = _mm256_setzero_si256();
                sl__transpose8(w + NIBBLES + 32 * p + 16 * s, stride, t);
                sl__ask(ask, 8 * NIBBLES + 256 * p + 128 * s);
                sl__ask(ask, 8 * NIBBLES + 64 + 256 * p + 128 * s);
                SL__UNROLL for (int i = 0; i < 4; i++) {
                    __m256i low = with_fifth(sl__low_nibbles(t[i]), f.bits[s][i], 2 * p);
                    __m256i high = with_fifth(sl__high_nibbles(t[i]), f.bits[s][i], 2 * p + 1);
                    SL__UNROLL for (int c = 0; c < n; c++) {
                        const int8_t *q = x->q[c] + 256 * b + 64 * p + 16 * s + 4 * i;
                        narrow[0][c] = sl__add_dot(narrow[0][c], low, sl__four(q));
                        narrow[1][c] = sl__add_dot(narrow[1][c], high, sl__four(q + 32));
                    }
                }
                if (s == 0 && !TWICE) continue;
                SL__UNROLL for (int c = 0; c < n; c++)
                    SL__UNROLL for (int i = 0; i < 2; i++) {
                        __m256i sum = sl__ended(narrow[i][c]);
                        isum[i][c] = s && TWICE ? _mm256_add_epi32(isum[i][c], sum) : sum;
                    }
            }
            SL__UNROLL for (int c = 0; c < n; c++)
                SL__UNROLL for (int i = 0; i < 2; i++) {
                    int j = 2 * p + i, at = 8 * b + j;
                    acc[c] = sl__add_block(acc[c], scale_of(&h, j), min_of(&h, j), isum[i][c], x->a[c][at], x->total[c][at]);
                }
        }
    }
    SL__UNROLL for (int c = 0; c < n; c++) ret[c] = acc[c];
}

typedef sl__block_panel panel;

SL__INLINE void unpack(const uint8_t *w, size_t stride, int values, panel *to) {
    (void)values;
    for (int half = 0; half < 2; half++, w += 8 * stride) {
        header h = read_header(w, stride);
        SL__UNROLL for (int j = 0; j < 8; j++) {
            to->d[j][half] = scale_of(&h, j);
            to->m[j][half] = min_of(&h, j);
        }
        fifths f;
        read_fifths(w, stride, &f);
        for (int p = 0; p < 4; p++)
            SL__UNROLL for (int s = 0; s < 2; s++) {
                __m256i t[4];
                sl__transpose8(w + NIBBLES + 32 * p + 16 * s, stride, t);
                SL__UNROLL for (int i = 0; i < 4; i++) {
                    __m256i bits = FIVE ? _mm256_srl_epi16(f.bits[s][i], _mm_cvtsi32_si128(2 * p)) : t[i];
                    to->q[16 * p + 4 * s + i][half] = with_fifth(sl__low_nibbles(t[i]), bits, 0);
                    to->q[16 * p + 8 + 4 * s + i][half] = with_fifth(sl__high_nibbles(t[i]), bits, 1);
                }
            }
    }
}

SL__INLINE void multiply(const panel *w, const sl__columns *x, int at, int values, int n, float *tile, sl__ahead *ahead) {
    (void)values;
    sl__multiply_blocks(w, FIVE, x, at, 256, n, tile, ahead);
}

#endif

/* k_blocks.h: the products of Q4_K and Q5_K, which have the same header and nibbles; Q5_K has a plane of fifth bits between.
 * Pure; workers.
 * Before it is included a file defines
 *   BYTES     bytes of a super-block
 *   FIVE      1: there are fifth bits, in 32 bytes behind the header
 *   NIBBLES   where the nibbles begin */
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

/* sum [n][k] += the products of v[k], eight values of four rows, and n columns. */
SL__INLINE void add_eight(const __m256i v[2], const sl__columns *x, int at, int n, __m256i (*sum)[2]) {
    SL__UNROLL for (int c = 0; c < n; c++) {
        __m256i eight = sl__eight(x->q[c] + at);
        SL__UNROLL for (int k = 0; k < 2; k++) {
            sum[c][k] = sl__add_dot(sum[c][k], v[k], eight);
            SL__IN_ORDER(sum[c][k]);
        }
    }
}

/* Per super-block: the header; then for each pair of sub-blocks two loads of 16 bytes a row, which are transposed by halves alone:
 * the other half of that work is done on the sums, which are fewer, and an activation vector serves two weight vectors. The low
 * nibbles of a vector belong to the first sub-block, the high ones to the second. As many lines of what comes later are asked
 * for as are read here. */
SL__INLINE void few(const uint8_t *w, size_t stride, int cols, const sl__columns *x, int n, sl__lines ask,
                    __m256 *ret) {
    __m256 acc[SL__FEW_ROWS];
    SL__UNROLL for (int c = 0; c < n; c++) acc[c] = _mm256_setzero_ps();
    for (int b = 0; b < cols / 256; b++, w += BYTES, sl__pass(&ask, 8 * BYTES)) {
        header h = read_header(w, stride);
        __m256i fifth[2][4];
        SL__UNROLL for (int s = 0; s < 2 && FIVE; s++) sl__halves_of_rows8(w + 16 + 16 * s, stride, fifth[s]);
        SL__UNROLL for (int i = 0; i < NIBBLES / 8; i++) sl__ask(ask, 64 * i);
        SL__UNROLL for (int p = 0; p < 4; p++) {
            __m256i low[SL__FEW_ROWS][2], high[SL__FEW_ROWS][2]; /* of the first and of the second sub-block */
            SL__UNROLL for (int c = 0; c < n; c++)
                SL__UNROLL for (int k = 0; k < 2; k++) low[c][k] = high[c][k] = _mm256_setzero_si256();
            SL__UNROLL for (int s = 0; s < 2; s++) {
                __m256i t[4];
                sl__halves_of_rows8(w + NIBBLES + 32 * p + 16 * s, stride, t);
                sl__ask(ask, 8 * NIBBLES + 256 * p + 128 * s);
                sl__ask(ask, 8 * NIBBLES + 64 + 256 * p + 128 * s);
                SL__UNROLL for (int i = 0; i < 2; i++) {
                    const int at = 256 * b + 64 * p + 16 * s + 8 * i;
                    __m256i v[2]; /* rows, in turn of the first and of the second sub-block */
                    SL__UNROLL for (int k = 0; k < 2; k++)
                        v[k] = with_fifth(sl__low_nibbles(t[2 * k + i]), fifth[s][2 * k + i], 2 * p);
                    add_eight(v, x, at, n, low);
                    SL__UNROLL for (int k = 0; k < 2; k++)
                        v[k] = with_fifth(sl__high_nibbles(t[2 * k + i]), fifth[s][2 * k + i], 2 * p + 1);
                    add_eight(v, x, at + 32, n, high);
                }
            }
            SL__UNROLL for (int c = 0; c < n; c++) {
                int j = 2 * p, at = 8 * b + j;
                const float *a = x->a[c] + at, *total = x->total[c] + at;
                acc[c] = sl__add_block(acc[c], scale_of(&h, j), min_of(&h, j), sl__joined(low[c], FIVE), a[0], total[0]);
                acc[c] = sl__add_block(acc[c], scale_of(&h, j + 1), min_of(&h, j + 1), sl__joined(high[c], FIVE), a[1], total[1]);
            }
        }
    }
    SL__UNROLL for (int c = 0; c < n; c++) ret[c] = acc[c];
}

typedef sl__block_panel panel;

SL__INLINE void unpack(const uint8_t *w, size_t stride, int values, int half, panel *to) {
    (void)values;
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

SL__INLINE void multiply(const panel *w, const sl__columns *x, int at, int values, int n, float *tile, sl__ahead *ahead) {
    (void)values;
    sl__multiply_blocks(w, FIVE, x, at, 256, n, tile, ahead);
}

#endif

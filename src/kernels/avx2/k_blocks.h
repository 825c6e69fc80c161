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

/* Number j (0 … 7) of a row's eight, which are the bytes of two dwords: in 32 bits, and twice in sixteen bits. */
SL__INLINE __m256i number(const __m256i bytes[2], int j) {
    const __m256i at = _mm256_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12);
    return _mm256_shuffle_epi8(bytes[j / 4], _mm256_add_epi32(at, _mm256_set1_epi32((int)0x80808000u + j % 4)));
}
SL__INLINE __m256i number_twice(const __m256i bytes[2], int j) {
    const __m256i at = _mm256_setr_epi32(0, 0x00040004, 0x00080008, 0x000c000c, 0, 0x00040004, 0x00080008, 0x000c000c);
    return _mm256_shuffle_epi8(bytes[j / 4], _mm256_add_epi32(at, _mm256_set1_epi32((int)0x80008000u + 0x00010001 * (j % 4))));
}

/* What sub-block j's products are multiplied by, and its activations' total. */
SL__INLINE sl__scales scale_of(const header *h, int j) {
#if SL__SIXTEEN_BITS
    return number_twice(h->scale, j);
#else
    return sl__scales_of(_mm256_cvtepi32_ps(number(h->scale, j)));
#endif
}
SL__INLINE __m256 min_of(const header *h, int j) { return _mm256_mul_ps(h->m, _mm256_cvtepi32_ps(number(h->min, j))); }

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
        __m256 sum[SL__FEW_ROWS];
        SL__UNROLL for (int c = 0; c < n; c++) sum[c] = _mm256_setzero_ps();
        __m256i fifth[2][4];
        SL__UNROLL for (int s = 0; s < 2 && FIVE; s++) sl__halves_of_rows8(w + 16 + 16 * s, stride, fifth[s]);
        SL__UNROLL for (int i = 0; i < NIBBLES / 8; i++) sl__ask(ask, 64 * i);
        SL__UNROLL for (int p = 0; p < 4; p++) {
            __m256i low[SL__FEW_ROWS][2], high[SL__FEW_ROWS][2]; /* of the first and of the second sub-block */
            SL__UNROLL for (int c = 0; c < n; c++)
                SL__UNROLL for (int k = 0; k < 2; k++) /* of a row's 64 bits one half starts so, as both are added (sl__joined) */
                    low[c][k] = high[c][k] = _mm256_set1_epi64x(SL__SCALED_START);
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
            SL__UNROLL for (int i = 0; i < 2; i++) {
                int j = 2 * p + i;
                sl__scales scale = scale_of(&h, j);
                __m256 min = min_of(&h, j);
                SL__UNROLL for (int c = 0; c < n; c++) {
                    __m256 isum = sl__scaled(sl__joined(i ? high[c] : low[c], FIVE, scale), scale);
                    sum[c] = _mm256_fmadd_ps(_mm256_set1_ps(x->a[c][8 * b + j]), isum, sum[c]);
                    acc[c] = _mm256_fmadd_ps(min, _mm256_set1_ps(x->total[c][8 * b + j]), acc[c]);
                }
            }
        }
        SL__UNROLL for (int c = 0; c < n; c++) acc[c] = _mm256_fmadd_ps(h.d, sum[c], acc[c]);
    }
    SL__UNROLL for (int c = 0; c < n; c++) ret[c] = acc[c];
}

/* Sixteen rows of a super-block, unpacked: 5 KB. Row 8 h + r is lane r of half h. */
typedef struct panel {
    __m256i q[64][2];        /* [four values][half]: bytes */
    sl__scales scale[8][2];  /* [sub-block][half] */
    __m256 min[8][2], d[2];
} panel;

SL__INLINE void unpack(const uint8_t *w, size_t stride, int values, int half, panel *to) {
    (void)values;
    header h = read_header(w, stride);
    SL__UNROLL for (int j = 0; j < 8; j++) {
        to->scale[j][half] = scale_of(&h, j);
        to->min[j][half] = min_of(&h, j);
    }
    to->d[half] = h.d;
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
    __m256 acc[SL__GROUP][2], sum[SL__GROUP][2];
    SL__UNROLL for (int c = 0; c < n; c++) sum[c][0] = sum[c][1] = _mm256_setzero_ps();
    for (int j = 0; j < 8; j++) {
        sl__sums isum;
        sl__prefetch(ahead);
        sl__block_sums(w->q + 8 * j, FIVE, SL__SCALED_START, w->scale[j], x, at + 32 * j, n, isum);
        SL__UNROLL for (int c = 0; c < n; c++) {
            __m256 a = _mm256_set1_ps(x->a[c][at / 32 + j]);
            SL__UNROLL for (int h = 0; h < 2; h++)
                sum[c][h] = _mm256_fmadd_ps(a, sl__scaled(isum[c][h], w->scale[j][h]), sum[c][h]);
        }
    }
    sl__load_tile(tile, n, acc);
    for (int j = 0; j < 8; j++)
        SL__UNROLL for (int c = 0; c < n; c++) {
            __m256 total = _mm256_set1_ps(x->total[c][at / 32 + j]);
            SL__UNROLL for (int h = 0; h < 2; h++) acc[c][h] = _mm256_fmadd_ps(w->min[j][h], total, acc[c][h]);
        }
    SL__UNROLL for (int c = 0; c < n; c++)
        SL__UNROLL for (int h = 0; h < 2; h++) acc[c][h] = _mm256_fmadd_ps(w->d[h], sum[c][h], acc[c][h]);
    sl__store_tile(tile, n, acc);
}

#endif

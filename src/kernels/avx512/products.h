/* products.h: how wide the quantised products are on this tier: sixteen weight rows in a vector, groups of six columns; up
 * to eight columns are multiplied straight from the file's bytes (with nine, unpacking a panel pays). And the loads of
 * sixteen weight rows side by side.
 * Pure; workers.
 *
 * The instruction multiplies four unsigned by four signed bytes and adds them to a 32-bit lane without losing anything, so
 * there are no sixteen-bit sums to look after. Weights with a sign are made unsigned by adding an offset, and the lane starts
 * with what that adds too much: a sum of (w + 128) * x that starts at -128 times the sum of x ends as the sum of w * x. */
#ifndef SL_KERNELS_AVX512_PRODUCTS_H
#define SL_KERNELS_AVX512_PRODUCTS_H

#include "kernels/avx2/lanes.h"

#define SL__LANES 16
#define SL__GROUP 6
#define SL__MOST_COLUMNS 8
#ifndef SL__FEW_ROWS
#define SL__FEW_ROWS 8
#define SL__EACH_FEW(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#endif
#define SL__EACH_GROUP(X) X(1) X(2) X(3) X(4) X(5) X(6)

typedef __m512 sl__floats;
SL__INLINE void sl__store(float *to, __m512 v) { _mm512_storeu_ps(to, v); }

#define SL__FAR 12288
#define SL__AGAIN 4608

#include "kernels/panels.h"

SL__DECLARE_WIDE_TIER(avx512);

SL__INLINE __m128i sl__load_16(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)(const void *)p); }

/* Sixteen bytes of four rows, 4 * stride apart. */
SL__INLINE __m512i sl__load_four(const uint8_t *p, size_t stride) {
    __m512i v = _mm512_castsi128_si512(sl__load_16(p));
    v = _mm512_inserti32x4(v, sl__load_16(p + 4 * stride), 1);
    v = _mm512_inserti32x4(v, sl__load_16(p + 8 * stride), 2);
    return _mm512_inserti32x4(v, sl__load_16(p + 12 * stride), 3);
}

/* t[i], dword lane r: bytes 4 i … 4 i + 3 of the row at p + r * stride. */
SL__INLINE void sl__transpose16(const uint8_t *p, size_t stride, __m512i t[4]) {
    __m512i a0 = sl__load_four(p, stride), a1 = sl__load_four(p + stride, stride);
    __m512i a2 = sl__load_four(p + 2 * stride, stride), a3 = sl__load_four(p + 3 * stride, stride);
    __m512i b0 = _mm512_unpacklo_epi32(a0, a1), b1 = _mm512_unpacklo_epi32(a2, a3);
    __m512i b2 = _mm512_unpackhi_epi32(a0, a1), b3 = _mm512_unpackhi_epi32(a2, a3);
    t[0] = _mm512_unpacklo_epi64(b0, b1);
    t[1] = _mm512_unpackhi_epi64(b0, b1);
    t[2] = _mm512_unpacklo_epi64(b2, b3);
    t[3] = _mm512_unpackhi_epi64(b2, b3);
}

SL__INLINE __m512i sl__load_two(const uint8_t *p, const uint8_t *high) {
    __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)p);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), _mm256_loadu_si256((const __m256i *)(const void *)high), 1);
}

/* t[i], dword lane r: bytes 4 i … 4 i + 3 of the row at p + r * stride, thirty-two bytes a row: two shuffles across a vector
 * for each result, where sixteen bytes at a time take three. */
SL__INLINE void sl__transpose16_of_32(const uint8_t *p, size_t stride, __m512i t[8]) {
    __m512i c[2][4]; /* [h][i]: dwords i and i + 4 of rows 8 h … 8 h + 3, then of the four rows after them */
    SL__UNROLL for (int h = 0; h < 2; h++, p += 8 * stride) {
        const uint8_t *q = p + 4 * stride;
        __m512i a0 = sl__load_two(p, q), a1 = sl__load_two(p + stride, q + stride);
        __m512i a2 = sl__load_two(p + 2 * stride, q + 2 * stride), a3 = sl__load_two(p + 3 * stride, q + 3 * stride);
        __m512i b0 = _mm512_unpacklo_epi32(a0, a1), b1 = _mm512_unpacklo_epi32(a2, a3);
        __m512i b2 = _mm512_unpackhi_epi32(a0, a1), b3 = _mm512_unpackhi_epi32(a2, a3);
        c[h][0] = _mm512_unpacklo_epi64(b0, b1);
        c[h][1] = _mm512_unpackhi_epi64(b0, b1);
        c[h][2] = _mm512_unpacklo_epi64(b2, b3);
        c[h][3] = _mm512_unpackhi_epi64(b2, b3);
    }
    SL__UNROLL for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(c[0][i], c[1][i], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(c[0][i], c[1][i], 0xdd);
    }
}

/* The dwords at p + r * stride. */
SL__INLINE __m512i sl__dwords16(const uint8_t *p, size_t stride) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(sl__dwords8(p, stride)), sl__dwords8(p + 8 * stride, stride), 1);
}

/* The low and the high halves of the dwords as floats. */
SL__INLINE __m512 sl__low_halves(__m512i pairs) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(pairs)); }
SL__INLINE __m512 sl__high_halves(__m512i pairs) { return sl__low_halves(_mm512_srli_epi32(pairs, 16)); }

/* The halves at p + r * stride as floats. */
SL__INLINE __m512 sl__halves16(const uint8_t *p, size_t stride) {
    __m512 low = _mm512_castps256_ps512(sl__halves8(p, stride));
    return _mm512_insertf32x8(low, sl__halves8(p + 8 * stride, stride), 1);
}

SL__INLINE __m512i sl__low_nibbles16(__m512i v) { return _mm512_and_si512(v, _mm512_set1_epi8(15)); }
SL__INLINE __m512i sl__high_nibbles16(__m512i v) {
    return _mm512_and_si512(_mm512_srli_epi16(v, 4), _mm512_set1_epi8(15));
}

/* Four activations in every dword. */
SL__INLINE __m512i sl__four16(const int8_t *q) { return _mm512_set1_epi32(sl__load32(q)); }

/* wide [n][half] += the products of w [fours][half], each vector with four values of sixteen rows, and n columns from value
 * `at` on. */
SL__INLINE void sl__wide_products(const __m512i (*w)[2], int fours, const sl__columns *x, int at, int n,
                                  __m512i wide[6][2]) {
    SL__UNROLL for (int i = 0; i < fours; i++) {
        __m512i w0 = w[i][0], w1 = w[i][1];
        SL__UNROLL for (int c = 0; c < n; c++) {
            __m512i four = sl__four16(x->q[c] + at + 4 * i);
            wide[c][0] = _mm512_dpbusd_epi32(wide[c][0], w0, four);
            wide[c][1] = _mm512_dpbusd_epi32(wide[c][1], w1, four);
        }
    }
}

/* A sub-block's integer scales of sixteen rows. Integer sums that are to be scaled start as the bits of the float 3 * 2^22
 * (SL__SCALED_START): then they are, as floats, that number plus the sum, which is below 2^22. One multiplication with an addition
 * takes the number off again, times the scale, and leaves scale * sum: all of it exact, as a scaled sum is below 2^24. */
enum { SL__SCALED_START = 0x4b400000 };

typedef struct sl__scales {
    __m512 by, bias; /* and -3 * 2^22 times it */
} sl__scales;

SL__INLINE sl__scales sl__scales_of(__m512 by) { return (sl__scales){by, _mm512_mul_ps(by, _mm512_set1_ps(-12582912.0f))}; }

SL__INLINE __m512 sl__scaled(__m512i sum, sl__scales s) { return _mm512_fmadd_ps(_mm512_castsi512_ps(sum), s.by, s.bias); }

/* acc = fma(d * a, (float)isum, acc): the step of the float order that types with a d for each block have. */
SL__INLINE __m512 sl__add_scaled(__m512 acc, __m512 d, __m512 a, __m512i isum) {
    return _mm512_fmadd_ps(_mm512_mul_ps(d, a), _mm512_cvtepi32_ps(isum), acc);
}

/* A block's two steps of the float order for types that have a scale d and a number m (a minimum, or minus one), by which
 * the activations' total is multiplied. */
SL__INLINE __m512 sl__add_block(__m512 acc, __m512 d, __m512 m, __m512i isum, float a, float total) {
    acc = sl__add_scaled(acc, d, _mm512_set1_ps(a), isum);
    return _mm512_fmadd_ps(m, _mm512_set1_ps(total), acc);
}

/* Thirty-two rows of up to eight such blocks, unpacked: 10 KB. Row 16 h + r is lane r of half h. */
typedef struct sl__block_panel {
    __m512i q[64][2];        /* [four values][half]: bytes */
    __m512 d[8][2], m[8][2]; /* [block][half] */
} sl__block_panel;

SL__INLINE void sl__multiply_blocks(const sl__block_panel *w, const sl__columns *x, int at, int values, int n, float *tile,
                                    sl__ahead *ahead) {
    __m512 acc[6][2];
    SL__UNROLL for (int c = 0; c < n; c++)
        SL__UNROLL for (int h = 0; h < 2; h++) acc[c][h] = _mm512_load_ps(tile + 32 * c + 16 * h);
    for (int j = 0; j < values / 32; j++) {
        __m512i wide[6][2];
        SL__UNROLL for (int c = 0; c < n; c++) wide[c][0] = wide[c][1] = _mm512_setzero_si512();
        sl__prefetch(ahead);
        sl__wide_products(w->q + 8 * j, 8, x, at + 32 * j, n, wide);
        SL__UNROLL for (int c = 0; c < n; c++)
            SL__UNROLL for (int h = 0; h < 2; h++)
                acc[c][h] = sl__add_block(acc[c][h], w->d[j][h], w->m[j][h], wide[c][h], x->a[c][at / 32 + j],
                                          x->total[c][at / 32 + j]);
    }
    SL__UNROLL for (int c = 0; c < n; c++)
        SL__UNROLL for (int h = 0; h < 2; h++) _mm512_store_ps(tile + 32 * c + 16 * h, acc[c][h]);
}

/* The same of blocks that have a scale alone, whose weights were made unsigned by adding an offset to them. */
typedef struct sl__offset_panel {
    __m512i q[64][2]; /* [four values][half]: bytes */
    __m512 d[8][2];   /* [block][half] */
} sl__offset_panel;

SL__INLINE void sl__multiply_offset(const sl__offset_panel *w, int offset, const sl__columns *x, int at, int values, int n,
                                    float *tile, sl__ahead *ahead) {
    __m512 acc[6][2];
    SL__UNROLL for (int c = 0; c < n; c++)
        SL__UNROLL for (int h = 0; h < 2; h++) acc[c][h] = _mm512_load_ps(tile + 32 * c + 16 * h);
    for (int j = 0; j < values / 32; j++) {
        __m512i wide[6][2];
        SL__UNROLL for (int c = 0; c < n; c++)
            wide[c][0] = wide[c][1] = _mm512_set1_epi32(-offset * x->sum[c][at / 32 + j]);
        sl__prefetch(ahead);
        sl__wide_products(w->q + 8 * j, 8, x, at + 32 * j, n, wide);
        SL__UNROLL for (int c = 0; c < n; c++)
            SL__UNROLL for (int h = 0; h < 2; h++)
                acc[c][h] = sl__add_scaled(acc[c][h], w->d[j][h], _mm512_set1_ps(x->a[c][at / 32 + j]), wide[c][h]);
    }
    SL__UNROLL for (int c = 0; c < n; c++)
        SL__UNROLL for (int h = 0; h < 2; h++) _mm512_store_ps(tile + 32 * c + 16 * h, acc[c][h]);
}

/* --- Fifth bits --- */

/* Values 4 i … 4 i + 3 of a block of 32, from sixteen bytes of nibbles of sixteen rows: the low nibbles are the first sixteen. */
SL__INLINE __m512i sl__four_nibbles16(const __m512i nibbles[4], int i) {
    return i < 4 ? sl__low_nibbles16(nibbles[i]) : sl__high_nibbles16(nibbles[i - 4]);
}

/* Values 4 i … 4 i + 3 of a block of 32 with their fifth bits. bits: a lane is a row, its bit j belongs to value j. The byte with
 * the four bits is moved to all four of the lane; in each, one bit is looked at. */
SL__INLINE __m512i sl__with_fifth_bits(__m512i v, __m512i bits, int i) {
    const __m512i at = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c));
    bits = _mm512_shuffle_epi8(bits, _mm512_add_epi32(at, _mm512_set1_epi32(0x01010101 * (i / 2))));
    __mmask64 fifth = _mm512_test_epi8_mask(bits, _mm512_set1_epi32((int)(i % 2 ? 0x80402010u : 0x08040201u)));
    return _mm512_mask_add_epi8(v, fifth, v, _mm512_set1_epi8(16));
}

/* Bit `from` of every byte, moved to bit `to`. */
SL__INLINE __m512i sl__move_bit16(__m512i v, int from, int to) {
    v = from > to ? _mm512_srli_epi16(v, (unsigned)(from - to)) : _mm512_slli_epi16(v, (unsigned)(to - from));
    return _mm512_and_si512(v, _mm512_set1_epi8((char)(1 << to)));
}

#endif

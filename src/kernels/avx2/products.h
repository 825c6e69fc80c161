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

/* --- Sums of products of unsigned and signed bytes, four values of eight rows a vector ---
 *
 * With AVX2 a row has two sums of sixteen bits; sl__ended makes one of 32 bits of them, before there is more in them than fits.
 * The instruction that does it multiplies as well: by the sub-block's scale, where a type has integer scales, or by one.
 * AVX-VNNI, for which the same files are built as a tier of their own, has one instruction for all sums, of 32 bits; there a sum
 * is scaled as a float (sl__scaled). Both are exact.
 *
 * sl__scales: a sub-block's integer scales of eight rows, as the tier multiplies by them. With AVX-VNNI a sum that is to be scaled
 * starts as the bits of the float 3 * 2^22 (SL__SCALED_START): then it is, as a float, that number plus the sum, which is below
 * 2^22, and one multiplication with an addition takes the number off again, times the scale. */
#ifdef __AVXVNNI__
#define SL__TIER avx_vnni
#define SL__SIXTEEN_BITS 0
SL__INLINE __m256i sl__add_dot(__m256i sum, __m256i u, __m256i s) { return _mm256_dpbusd_avx_epi32(sum, u, s); }
#define SL__SCALED_START 0x4b400000
typedef struct sl__scales {
    __m256 by, bias; /* and -3 * 2^22 times it */
} sl__scales;
SL__INLINE sl__scales sl__scales_of(__m256 by) { return (sl__scales){by, _mm256_mul_ps(by, _mm256_set1_ps(-12582912.0f))}; }
SL__INLINE sl__scales sl__ones(void) { return sl__scales_of(_mm256_set1_ps(1)); }
SL__INLINE __m256i sl__ended(__m256i sum, sl__scales by) { return (void)by, sum; }
SL__INLINE __m256 sl__scaled(__m256i sum, sl__scales by) { return _mm256_fmadd_ps(_mm256_castsi256_ps(sum), by.by, by.bias); }
#else
#define SL__TIER avx2
#define SL__SIXTEEN_BITS 1
#define SL__SCALED_START 0
SL__INLINE __m256i sl__add_dot(__m256i sum, __m256i u, __m256i s) { return _mm256_add_epi16(sum, _mm256_maddubs_epi16(u, s)); }
typedef __m256i sl__scales; /* twice in a lane, sixteen bits each */
SL__INLINE sl__scales sl__ones(void) { return _mm256_set1_epi16(1); }
SL__INLINE __m256i sl__ended(__m256i sum, sl__scales by) { return _mm256_madd_epi16(sum, by); }
SL__INLINE __m256 sl__scaled(__m256i sum, sl__scales by) { return (void)by, _mm256_cvtepi32_ps(sum); } /* sl__ended has scaled it */
#endif
SL__DECLARE_PRODUCTS(SL__TIER);

/* Keeps the compiler from adding something else to the vector first, which would have to wait in a register meanwhile. */
#define SL__IN_ORDER(vector) __asm__("" : "+x"(vector))

/* Sums of a group of columns, [column][half of the panel's rows]. Where each block of 32 values has its own d, a panel's products
 * are first such integer sums for each of its eight blocks, isum [block]; all become floats after that, since a block's sums, the
 * tile's and two factors together do not fit the sixteen registers. */
typedef __m256i sl__sums[SL__GROUP][2];

/* narrow [n][half] += the products of unsigned weights w [fours][half], each vector with four values of eight rows, and n
 * columns from value `at` on. */
SL__INLINE void sl__add_products(const __m256i (*w)[2], int fours, const sl__columns *x, int at, int n, sl__sums narrow) {
    SL__UNROLL for (int i = 0; i < fours; i++) {
        __m256i w0 = w[i][0], w1 = w[i][1];
        SL__UNROLL for (int c = 0; c < n; c++) {
            __m256i four = sl__four(x->q[c] + at + 4 * i);
            narrow[c][0] = sl__add_dot(narrow[c][0], w0, four);
            narrow[c][1] = sl__add_dot(narrow[c][1], w1, four);
            SL__IN_ORDER(narrow[c][0]);
            SL__IN_ORDER(narrow[c][1]);
        }
    }
}

/* isum [n][half] = start + the products of the 32 values of a block that stands at `at`, ended by scales `by` [half]. Two sums of
 * sixteen bits, which start at 0, hold 32 weights of four bits, 8 * 2 * 15 * 127 < 32768, but only 16 of five bits (`five`),
 * 4 * 2 * 31 * 127. */
SL__INLINE void sl__block_sums(const __m256i (*w)[2], int five, int start, const sl__scales by[2], const sl__columns *x, int at, int n,
                               sl__sums isum) {
    int parts = five && SL__SIXTEEN_BITS ? 2 : 1, fours = 8 / parts;
    SL__UNROLL for (int s = 0; s < parts; s++) {
        sl__sums narrow;
        SL__UNROLL for (int c = 0; c < n; c++) narrow[c][0] = narrow[c][1] = _mm256_set1_epi32(start);
        sl__add_products(w + fours * s, fours, x, at + 4 * fours * s, n, narrow);
        SL__UNROLL for (int c = 0; c < n; c++)
            SL__UNROLL for (int h = 0; h < 2; h++) {
                __m256i sum = sl__ended(narrow[c][h], by[h]);
                isum[c][h] = s ? _mm256_add_epi32(isum[c][h], sum) : sum;
            }
    }
}

/* The sums of a block, a lane a row, from those of sl__halves_of_rows8's vectors: s[k] has 64 bits of each of its four rows. With
 * AVX2 two words of sixteen bits become one here: 16 * 2 * 15 * 127 / 2 still fits, five bits do not. */
SL__INLINE __m256i sl__joined(const __m256i s[2], int five, sl__scales by) {
    __m256 s0 = _mm256_castsi256_ps(s[0]), s1 = _mm256_castsi256_ps(s[1]);
    __m256i even = _mm256_castps_si256(_mm256_shuffle_ps(s0, s1, 0x88)), odd = _mm256_castps_si256(_mm256_shuffle_ps(s0, s1, 0xdd));
    if (!SL__SIXTEEN_BITS || five) return _mm256_add_epi32(sl__ended(even, by), sl__ended(odd, by));
    return sl__ended(_mm256_add_epi16(even, odd), by);
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

SL__INLINE void sl__multiply_blocks(const sl__block_panel *w, int five, const sl__columns *x, int at, int values, int n,
                                    float *tile, sl__ahead *ahead) {
    const sl__scales ones[2] = {sl__ones(), sl__ones()};
    sl__sums isum[8];
    __m256 acc[SL__GROUP][2];
    for (int j = 0; j < values / 32; j++) {
        sl__prefetch(ahead);
        sl__block_sums(w->q + 8 * j, five, 0, ones, x, at + 32 * j, n, isum[j]);
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

/* The same of blocks that have a scale alone, whose weights were made unsigned by adding an offset to them. */
typedef struct sl__offset_panel {
    __m256i q[64][2]; /* [four values][half]: bytes */
    __m256 d[8][2];   /* [block][half] */
} sl__offset_panel;

SL__INLINE void sl__multiply_offset(const sl__offset_panel *w, int five, int offset, const sl__columns *x, int at, int values,
                                    int n, float *tile, sl__ahead *ahead) {
    const sl__scales ones[2] = {sl__ones(), sl__ones()};
    sl__sums isum[8];
    for (int j = 0; j < values / 32; j++) {
        sl__prefetch(ahead);
        sl__block_sums(w->q + 8 * j, five, 0, ones, x, at + 32 * j, n, isum[j]);
    }
    sl__add_sums(w->d, 1, isum, -offset, x, at / 32, values / 32, n, tile);
}

/* Signed weights w, which the instructions want unsigned.
 *   AVX2: the sign moves to the activation: |w| * (x with the sign of w). Two products fit sixteen bits even for w = -128, whose
 *   magnitude 128 is an unsigned byte: 2 * 128 * 127 < 32768. Four do not, so every step widens to 32 bits.
 *   AVX-VNNI: the instruction sums in 32 bits anyway, so w + 128 is multiplied, and a sum of a block starts with what that
 *   adds too much, -128 times the sum of its activations. */
SL__INLINE __m256i sl__unsigned(__m256i w) {
    return SL__SIXTEEN_BITS ? _mm256_abs_epi8(w) : _mm256_xor_si256(w, _mm256_set1_epi8(-128));
}

SL__INLINE __m256i sl__signed_start(int16_t sum) { return _mm256_set1_epi32(SL__SIXTEEN_BITS ? 0 : -128 * sum); }

/* wide += the products of four values of eight rows, u = sl__unsigned(w). */
SL__INLINE __m256i sl__add_signed(__m256i wide, __m256i w, __m256i u, const int8_t *q) {
    if (!SL__SIXTEEN_BITS) return sl__add_dot(wide, u, sl__four(q));
    return _mm256_add_epi32(wide, sl__ended(_mm256_maddubs_epi16(u, _mm256_sign_epi8(sl__four(q), w)), sl__ones()));
}

/* Sixteen rows of up to eight blocks of them. */
typedef struct sl__signed_panel {
#if SL__SIXTEEN_BITS
    __m256i q[64][2]; /* [four values][half]: bytes */
#endif
    __m256i u[64][2]; /* the same, unsigned */
    __m256 d[8][2];   /* [block][half] */
} sl__signed_panel;

SL__INLINE void sl__put_signed(sl__signed_panel *to, int four, int half, __m256i w) {
#if SL__SIXTEEN_BITS
    to->q[four][half] = w;
#endif
    to->u[four][half] = sl__unsigned(w);
}

SL__INLINE void sl__multiply_signed(const sl__signed_panel *w, const sl__columns *x, int at, int values, int n, float *tile,
                                    sl__ahead *ahead) {
    sl__sums isum[8];
    for (int j = 0; j < values / 32; j++) {
        sl__sums wide; /* not isum[j] itself: sums in an array that is indexed at run time would stay in memory */
        sl__prefetch(ahead);
        SL__UNROLL for (int c = 0; c < n; c++) wide[c][0] = wide[c][1] = sl__signed_start(x->sum[c][at / 32 + j]);
        SL__UNROLL for (int i = 0; i < 8; i++)
            SL__UNROLL for (int h = 0; h < 2; h++) {
                __m256i u = w->u[8 * j + i][h], v = u;
#if SL__SIXTEEN_BITS
                v = w->q[8 * j + i][h];
#endif
                SL__UNROLL for (int c = 0; c < n; c++)
                    wide[c][h] = sl__add_signed(wide[c][h], v, u, x->q[c] + at + 32 * j + 4 * i);
            }
        SL__UNROLL for (int c = 0; c < n; c++)
            SL__UNROLL for (int h = 0; h < 2; h++) isum[j][c][h] = wide[c][h];
    }
    sl__add_sums(w->d, 1, isum, 0, x, at / 32, values / 32, n, tile);
}

/* --- Fifth bits --- */

/* Values 4 i … 4 i + 3 of a block of 32, from sixteen bytes of nibbles of eight rows: the low nibbles are the first sixteen. */
SL__INLINE __m256i sl__four_nibbles(const __m256i nibbles[4], int i) {
    return i < 4 ? sl__low_nibbles(nibbles[i]) : sl__high_nibbles(nibbles[i - 4]);
}

/* bits: a lane is a row, its bit j belongs to value j of a block of 32. Bytes of 16 where values 4 i … 4 i + 3 have theirs, else
 * of 0. The byte with these four bits is moved to all four of the lane; in each, one bit is kept. */
SL__INLINE __m256i sl__fifth_bits(__m256i bits, int i) {
    const __m256i at = _mm256_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c, 0, 0x04040404, 0x08080808, 0x0c0c0c0c);
    __m256i v = _mm256_shuffle_epi8(bits, _mm256_add_epi32(at, _mm256_set1_epi32(0x01010101 * (i / 2))));
    if (i % 2 == 0) v = _mm256_slli_epi16(v, 4);
    v = _mm256_and_si256(v, _mm256_set1_epi32((int)0x80402010u));
    return _mm256_min_epu8(v, _mm256_set1_epi8(16));
}

/* Bit `from` of every byte, moved to bit `to`. */
SL__INLINE __m256i sl__move_bit(__m256i v, int from, int to) {
    v = from > to ? _mm256_srli_epi16(v, from - to) : _mm256_slli_epi16(v, to - from);
    return _mm256_and_si256(v, _mm256_set1_epi8((char)(1 << to)));
}

#endif

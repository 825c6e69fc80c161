/* k_blocks.h: the products of Q4_K and Q5_K, which have the same header and nibbles; Q5_K has a plane of fifth bits between.
 * Pure; workers.
 * Before it is included a file defines
 *   BYTES     bytes of a super-block
 *   FIVE      1: there are fifth bits, in 32 bytes behind the header
 *   NIBBLES   where the nibbles begin */
#ifndef SL_KERNELS_AVX512_K_BLOCKS_H
#define SL_KERNELS_AVX512_K_BLOCKS_H

#include "kernels/avx512/products.h"

enum { BYTES_256 = BYTES };

/* The headers of sixteen rows, a lane each: d; m = -dmin; scales and minima, those of sub-blocks 0-3 as the four bytes of
 * [0], those of 4-7 of [1]. */
typedef struct header {
    __m512 d, m;
    __m512i scale[2], min[2];
} header;

SL__INLINE header read_header(const uint8_t *w, size_t stride) {
    const __m512i six = _mm512_set1_epi8(0x3f), top = _mm512_set1_epi8(0x30);
    __m512i t[4];
    header h;
    sl__transpose16(w, stride, t);
    h.d = sl__low_halves(t[0]);
    h.m = _mm512_xor_ps(sl__high_halves(t[0]), _mm512_set1_ps(-0.0f));
    h.scale[0] = _mm512_and_si512(t[1], six);
    h.min[0] = _mm512_and_si512(t[2], six);
    h.scale[1] = _mm512_or_si512(sl__low_nibbles16(t[3]), _mm512_and_si512(_mm512_srli_epi16(t[1], 2), top));
    h.min[1] = _mm512_or_si512(sl__high_nibbles16(t[3]), _mm512_and_si512(_mm512_srli_epi16(t[2], 2), top));
    return h;
}

/* Number j (0 … 7) of a row's eight, which are the bytes of two dwords, as a float. */
SL__INLINE __m512 number(const __m512i bytes[2], int j) {
    __m512i v = _mm512_srli_epi32(bytes[j / 4], 8 * (unsigned)(j % 4));
    return _mm512_cvtepi32_ps(_mm512_and_si512(v, _mm512_set1_epi32(255)));
}

/* What sub-block j's products are multiplied by, and its activations' total. */
SL__INLINE sl__scales scale_of(const header *h, int j) { return sl__scales_of(number(h->scale, j)); }
SL__INLINE __m512 min_of(const header *h, int j) { return _mm512_mul_ps(h->m, number(h->min, j)); }

/* The fifth bits of sixteen rows: [i] has those of positions 4 i … 4 i + 3 of all sub-blocks, bit j that of sub-block j. */
typedef struct fifths {
    __m512i bits[8];
} fifths;

SL__INLINE void read_fifths(const uint8_t *w, size_t stride, fifths *to) {
    if (FIVE) sl__transpose16_of_32(w + 16, stride, to->bits);
}

/* With the fifth bits, if there are any: bit j of `bits`. */
SL__INLINE __m512i with_fifth(__m512i nibbles, __m512i bits, int j) {
    return FIVE ? _mm512_or_si512(nibbles, sl__move_bit16(bits, j, 4)) : nibbles;
}

/* sum = fma(a, (float)(scale * isum), sum), isum with its start. */
SL__INLINE __m512 add_scaled(__m512 sum, sl__scales scale, __m512i isum, float a) {
    return _mm512_fmadd_ps(_mm512_set1_ps(a), sl__scaled(isum, scale), sum);
}

/* Per super-block: the header; then for each pair of sub-blocks two loads of 16 bytes a row, transposed; the low nibbles
 * of a vector belong to the first sub-block, the high ones to the second. As many lines of what comes later are asked for
 * as are read here. */
SL__INLINE void few(const uint8_t *w, size_t stride, int cols, const sl__columns *x, int n, sl__lines ask,
                    __m512 *ret) {
    __m512 acc[SL__FEW_ROWS];
    SL__UNROLL for (int c = 0; c < n; c++) acc[c] = _mm512_setzero_ps();
    for (int b = 0; b < cols / 256; b++, w += BYTES, sl__pass(&ask, 16 * BYTES)) {
        header h = read_header(w, stride);
        fifths f;
        read_fifths(w, stride, &f);
        __m512 sum[SL__FEW_ROWS];
        SL__UNROLL for (int c = 0; c < n; c++) sum[c] = _mm512_setzero_ps();
        SL__UNROLL for (int j = 0; j < 8; j++) {
            __m512 min = min_of(&h, j);
            SL__UNROLL for (int c = 0; c < n; c++) acc[c] = _mm512_fmadd_ps(min, _mm512_set1_ps(x->total[c][8 * b + j]), acc[c]);
        }
        SL__UNROLL for (int i = 0; i < NIBBLES / 4; i++) sl__ask(ask, 64 * i);
        SL__UNROLL for (int p = 0; p < 4; p++) {
            __m512i low[SL__FEW_ROWS], high[SL__FEW_ROWS];
            SL__UNROLL for (int c = 0; c < n; c++) low[c] = high[c] = _mm512_set1_epi32(SL__SCALED_START);
            SL__UNROLL for (int s = 0; s < 2; s++) {
                __m512i t[4];
                sl__transpose16(w + NIBBLES + 32 * p + 16 * s, stride, t);
                SL__UNROLL for (int i = 0; i < 4; i++) {
                    __m512i lo = with_fifth(sl__low_nibbles16(t[i]), f.bits[4 * s + i], 2 * p);
                    __m512i hi = with_fifth(sl__high_nibbles16(t[i]), f.bits[4 * s + i], 2 * p + 1);
                    sl__ask(ask, 16 * NIBBLES + 512 * p + 256 * s + 64 * i);
                    SL__UNROLL for (int c = 0; c < n; c++) {
                        const int8_t *q = x->q[c] + 256 * b + 64 * p + 16 * s + 4 * i;
                        low[c] = _mm512_dpbusd_epi32(low[c], lo, sl__four16(q));
                        high[c] = _mm512_dpbusd_epi32(high[c], hi, sl__four16(q + 32));
                    }
                }
            }
            SL__UNROLL for (int i = 0; i < 2; i++) {
                int j = 2 * p + i;
                sl__scales scale = scale_of(&h, j);
                SL__UNROLL for (int c = 0; c < n; c++) sum[c] = add_scaled(sum[c], scale, i ? high[c] : low[c], x->a[c][8 * b + j]);
            }
        }
        SL__UNROLL for (int c = 0; c < n; c++) acc[c] = _mm512_fmadd_ps(h.d, sum[c], acc[c]);
    }
    SL__UNROLL for (int c = 0; c < n; c++) ret[c] = acc[c];
}

/* Thirty-two rows of a super-block, unpacked: 11 KB. Row 16 h + r is lane r of half h. */
typedef struct panel {
    __m512i q[64][2];       /* [four values][half]: bytes */
    sl__scales scale[8][2]; /* [sub-block][half] */
    __m512 min[8][2], d[2];
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
    for (int p = 0; p < 4; p++) {
        __m512i t[8];
        sl__transpose16_of_32(w + NIBBLES + 32 * p, stride, t);
        SL__UNROLL for (int i = 0; i < 8; i++) {
            __m512i bits = FIVE ? _mm512_srl_epi16(f.bits[i], _mm_cvtsi32_si128(2 * p)) : t[i];
            to->q[16 * p + i][half] = with_fifth(sl__low_nibbles16(t[i]), bits, 0);
            to->q[16 * p + 8 + i][half] = with_fifth(sl__high_nibbles16(t[i]), bits, 1);
        }
    }
}

SL__INLINE void multiply(const panel *w, const sl__columns *x, int at, int values, int n, float *tile, sl__ahead *ahead) {
    (void)values;
    __m512 sum[6][2];
    SL__UNROLL for (int c = 0; c < n; c++) sum[c][0] = sum[c][1] = _mm512_setzero_ps();
    for (int j = 0; j < 8; j++) {
        __m512i wide[6][2];
        SL__UNROLL for (int c = 0; c < n; c++) wide[c][0] = wide[c][1] = _mm512_set1_epi32(SL__SCALED_START);
        sl__prefetch(ahead);
        sl__wide_products(w->q + 8 * j, 8, x, at + 32 * j, n, wide);
        SL__UNROLL for (int c = 0; c < n; c++)
            SL__UNROLL for (int h = 0; h < 2; h++) sum[c][h] = add_scaled(sum[c][h], w->scale[j][h], wide[c][h], x->a[c][at / 32 + j]);
    }
    __m512 acc[6][2];
    SL__UNROLL for (int c = 0; c < n; c++)
        SL__UNROLL for (int h = 0; h < 2; h++) acc[c][h] = _mm512_load_ps(tile + 32 * c + 16 * h);
    SL__UNROLL for (int j = 0; j < 8; j++)
        SL__UNROLL for (int c = 0; c < n; c++)
            SL__UNROLL for (int h = 0; h < 2; h++)
                acc[c][h] = _mm512_fmadd_ps(w->min[j][h], _mm512_set1_ps(x->total[c][at / 32 + j]), acc[c][h]);
    SL__UNROLL for (int c = 0; c < n; c++)
        SL__UNROLL for (int h = 0; h < 2; h++)
            _mm512_store_ps(tile + 32 * c + 16 * h, _mm512_fmadd_ps(w->d[h], sum[c][h], acc[c][h]));
}

#endif

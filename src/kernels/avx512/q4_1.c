/* Q4_1: the block's bytes are in scalar/q4_1.c. */
#include "kernels/avx512/products.h"

enum { BYTES = 20, BYTES_256 = 8 * BYTES };

/* One block's two steps of the float order. */
SL__INLINE __m512 add_block(__m512 acc, __m512 d, __m512 m, __m512i isum, float a, float total) {
    acc = sl__add_scaled(acc, d, _mm512_set1_ps(a), isum);
    return _mm512_fmadd_ps(m, _mm512_set1_ps(total), acc);
}

SL__INLINE void few(const uint8_t *w, size_t stride, int cols, const sl__columns *x, int n, sl__lines ask,
                    __m512 *ret) {
    __m512 acc[SL__FEW_ROWS];
    SL__UNROLL for (int c = 0; c < n; c++) acc[c] = _mm512_setzero_ps();
    for (int b = 0; b < cols / 32; b++, w += BYTES, sl__pass(&ask, 16 * BYTES)) {
        __m512i scales = sl__dwords16(w, stride), t[4], wide[SL__FEW_ROWS];
        __m512 d = sl__low_halves(scales), m = sl__high_halves(scales);
        sl__transpose16(w + 4, stride, t);
        SL__UNROLL for (int i = 0; i < 5; i++) sl__ask(ask, 64 * i);
        SL__UNROLL for (int c = 0; c < n; c++) wide[c] = _mm512_setzero_si512();
        SL__UNROLL for (int i = 0; i < 4; i++) {
            __m512i low = sl__low_nibbles16(t[i]), high = sl__high_nibbles16(t[i]);
            SL__UNROLL for (int c = 0; c < n; c++) {
                const int8_t *q = x->q[c] + 32 * b + 4 * i;
                wide[c] = _mm512_dpbusd_epi32(wide[c], low, sl__four16(q));
                wide[c] = _mm512_dpbusd_epi32(wide[c], high, sl__four16(q + 16));
            }
        }
        SL__UNROLL for (int c = 0; c < n; c++) acc[c] = add_block(acc[c], d, m, wide[c], x->a[c][b], x->total[c][b]);
    }
    SL__UNROLL for (int c = 0; c < n; c++) ret[c] = acc[c];
}

/* Thirty-two rows of up to eight blocks, unpacked. Row 16 h + r is lane r of half h. */
typedef struct panel {
    __m512i q[64][2];       /* [four values][half]: bytes */
    __m512 d[8][2], m[8][2]; /* [block][half] */
} panel;

SL__INLINE void unpack(const uint8_t *w, size_t stride, int values, panel *to) {
    for (int half = 0; half < 2; half++, w += 16 * stride)
        for (int b = 0; b < values / 32; b++) {
            __m512i t[4], scales = sl__dwords16(w + b * BYTES, stride);
            to->d[b][half] = sl__low_halves(scales);
            to->m[b][half] = sl__high_halves(scales);
            sl__transpose16(w + b * BYTES + 4, stride, t);
            SL__UNROLL for (int i = 0; i < 4; i++) {
                to->q[8 * b + i][half] = sl__low_nibbles16(t[i]);
                to->q[8 * b + 4 + i][half] = sl__high_nibbles16(t[i]);
            }
        }
}

SL__INLINE void multiply(const panel *w, const sl__columns *x, int at, int values, int n, float *tile, sl__ahead *ahead) {
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
                acc[c][h] = add_block(acc[c][h], w->d[j][h], w->m[j][h], wide[c][h], x->a[c][at / 32 + j],
                                      x->total[c][at / 32 + j]);
    }
    SL__UNROLL for (int c = 0; c < n; c++)
        SL__UNROLL for (int h = 0; h < 2; h++) _mm512_store_ps(tile + 32 * c + 16 * h, acc[c][h]);
}

SL__GEMM(q4_1, avx512)

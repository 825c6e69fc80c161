/* Q6_K: the block's bytes are in scalar/q6_k.c. The weight is u - 32, the six bits u = 0 … 63 are multiplied as they are
 * (sixteens.h). */
#define OFFSET 32
#define MINIMA 0

/* With six columns too many sums would be on the stack, and a panel is faster. */
#define SL__FEW_ROWS 5
#define SL__EACH_FEW(X) X(1) X(2) X(3) X(4) X(5)
#include "kernels/avx512/sixteens.h"

enum { BYTES = 210, BYTES_256 = BYTES, D = 208 };

/* Bits 2 p and 2 p + 1 of every byte, moved to bits 4 and 5. */
SL__INLINE __m512i high_bits(__m512i v, int p) {
    __m512i moved = p == 0 ? _mm512_slli_epi16(v, 4) : p == 1 ? _mm512_slli_epi16(v, 2) : p == 2 ? v : _mm512_srli_epi16(v, 2);
    return _mm512_and_si512(moved, _mm512_set1_epi8(0x30));
}

/* Sixteen bytes of high bits hold those of four runs of 16 values, which are 32 values apart; sixteen bytes of low nibbles
 * hold two runs, 64 apart. As in multiply(), the first run's sums become floats before the second's are formed. */
SL__INLINE void few(const uint8_t *w, size_t stride, int cols, const sl__columns *x, int n, sl__lines ask,
                    __m512 *ret) {
    __m512 acc[SL__FEW_ROWS];
    SL__UNROLL for (int c = 0; c < n; c++) acc[c] = _mm512_setzero_ps();
    for (int b = 0; b < cols / 256; b++, w += BYTES, sl__pass(&ask, 16 * BYTES)) {
        int32_t start[SL__FEW_ROWS][16];
        __m512 sum[SL__FEW_ROWS];
        __m512i scales[4];
        __m512 d = sl__halves16(w + D, stride);
        sl__transpose16(w + 192, stride, scales);
        SL__UNROLL for (int c = 0; c < n; c++) {
            starts(x->pairs[c] + 32 * b, start[c]);
            sum[c] = _mm512_setzero_ps();
        }
        SL__UNROLL for (int i = 0; i < 5; i++) sl__ask(ask, 3072 + 64 * i);
        SL__UNROLL for (int h = 0; h < 2; h++) {
            __m512 isum[4][SL__FEW_ROWS]; /* [p][column] */
            __m512i high[2][4];
            SL__UNROLL for (int s = 0; s < 2; s++) sl__transpose16(w + 128 + 32 * h + 16 * s, stride, high[s]);
            SL__UNROLL for (int p = 0; p < 2; p++)
                SL__UNROLL for (int s = 0; s < 2; s++) {
                    __m512i low[4], wide[2][SL__FEW_ROWS];
                    int j = 8 * h + 2 * p + s;
                    sl__transpose16(w + 64 * h + 32 * p + 16 * s, stride, low);
                    SL__UNROLL for (int i = 0; i < 6; i++)
                        sl__ask(ask, 1536 * h + 768 * p + 384 * s + 64 * i);
                    SL__UNROLL for (int c = 0; c < n; c++) {
                        wide[0][c] = _mm512_set1_epi32(start[c][j]);
                        wide[1][c] = _mm512_set1_epi32(start[c][j + 4]);
                    }
                    SL__UNROLL for (int i = 0; i < 4; i++) {
                        __m512i v0 = _mm512_or_si512(sl__low_nibbles16(low[i]), high_bits(high[s][i], p));
                        __m512i v1 = _mm512_or_si512(sl__high_nibbles16(low[i]), high_bits(high[s][i], p + 2));
                        SL__UNROLL for (int c = 0; c < n; c++) {
                            const int8_t *q = x->q[c] + 256 * b + 128 * h + 32 * p + 16 * s + 4 * i;
                            wide[0][c] = _mm512_dpbusd_epi32(wide[0][c], v0, sl__four16(q));
                            wide[1][c] = _mm512_dpbusd_epi32(wide[1][c], v1, sl__four16(q + 64));
                        }
                    }
                    SL__UNROLL for (int k = 0; k < 2; k++) {
                        sl__scales scale = scale_of(scales, j + 4 * k);
                        SL__UNROLL for (int c = 0; c < n; c++) isum[p + 2 * k][c] = add_run(isum[p + 2 * k][c], wide[k][c], scale, !s);
                    }
                }
            SL__UNROLL for (int p = 0; p < 4; p++)
                SL__UNROLL for (int c = 0; c < n; c++)
                    sum[c] = _mm512_fmadd_ps(_mm512_set1_ps(x->a[c][8 * b + 4 * h + p]), isum[p][c], sum[c]);
        }
        SL__UNROLL for (int c = 0; c < n; c++) acc[c] = _mm512_fmadd_ps(d, sum[c], acc[c]);
    }
    SL__UNROLL for (int c = 0; c < n; c++) ret[c] = acc[c];
}

SL__INLINE void unpack(const uint8_t *w, size_t stride, int values, int half, panel *to) {
    (void)values;
    __m512i scales[4];
    to->d[half] = sl__halves16(w + D, stride);
    sl__transpose16(w + 192, stride, scales);
    SL__UNROLL for (int j = 0; j < 16; j++) to->scale[j][half] = scale_of(scales, j);
    for (int h = 0; h < 2; h++) {
        __m512i high[8];
        sl__transpose16_of_32(w + 128 + 32 * h, stride, high);
        SL__UNROLL for (int p = 0; p < 2; p++) {
            __m512i low[8];
            sl__transpose16_of_32(w + 64 * h + 32 * p, stride, low);
            SL__UNROLL for (int i = 0; i < 8; i++) {
                int at = 32 * h + 8 * p + i;
                to->q[at][half] = _mm512_or_si512(sl__low_nibbles16(low[i]), high_bits(high[i], p));
                to->q[at + 16][half] = _mm512_or_si512(sl__high_nibbles16(low[i]), high_bits(high[i], p + 2));
            }
        }
    }
}

SL__GEMM(q6_k, avx512)

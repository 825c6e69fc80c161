/* Q6_K: the block's bytes are in scalar/q6_k.c. The weight is u - 32, the six bits u = 0 … 63 are multiplied as they are
 * (sixteens.h). */
#define OFFSET 32
#define MINIMA 0
#include "kernels/avx2/sixteens.h"

enum { BYTES = 210, BYTES_256 = BYTES, D = 208 };

/* Bits 2 p and 2 p + 1 of every byte, moved to bits 4 and 5. */
SL__INLINE __m256i high_bits(__m256i v, int p) {
    __m256i moved = p == 0 ? _mm256_slli_epi16(v, 4) : p == 1 ? _mm256_slli_epi16(v, 2) : p == 2 ? v : _mm256_srli_epi16(v, 2);
    return _mm256_and_si256(moved, _mm256_set1_epi8(0x30));
}

/* Sixteen bytes of high bits hold those of four runs of 16 values, which are 32 values apart; sixteen bytes of low nibbles
 * hold two runs, 64 apart. */
SL__INLINE void few(const uint8_t *w, size_t stride, int cols, const sl__columns *x, int n, sl__lines ask,
                    __m256 *ret) {
    __m256 acc[SL__FEW_ROWS];
    SL__UNROLL for (int c = 0; c < n; c++) acc[c] = _mm256_setzero_ps();
    for (int b = 0; b < cols / 256; b++, w += BYTES, sl__pass(&ask, 8 * BYTES)) {
        int32_t start[SL__FEW_ROWS][16];
        __m256 sum[SL__FEW_ROWS];
        __m256i scales[4];
        __m256 d = sl__halves8(w + D, stride);
        sl__transpose8(w + 192, stride, scales);
        SL__UNROLL for (int c = 0; c < n; c++) {
            starts(x->pairs[c] + 32 * b, start[c]);
            sum[c] = _mm256_setzero_ps();
        }
        sl__ask(ask, 1536);
        sl__ask(ask, 1600);
        sl__ask(ask, 1664);
        SL__UNROLL for (int h = 0; h < 2; h++) {
            __m256i isum[4][SL__FEW_ROWS]; /* [p][column] */
            SL__UNROLL for (int c = 0; c < n; c++)
                isum[0][c] = isum[1][c] = isum[2][c] = isum[3][c] = _mm256_setzero_si256();
            SL__UNROLL for (int s = 0; s < 2; s++) {
                __m256i high[4];
                sl__transpose8(w + 128 + 32 * h + 16 * s, stride, high);
                SL__UNROLL for (int p = 0; p < 2; p++) {
                    __m256i low[4], v[2][4];
                    sl__transpose8(w + 64 * h + 32 * p + 16 * s, stride, low);
                    SL__UNROLL for (int i = 0; i < 3; i++)
                        sl__ask(ask, 768 * h + 384 * s + 192 * p + 64 * i);
                    SL__UNROLL for (int i = 0; i < 4; i++) {
                        v[0][i] = _mm256_or_si256(sl__low_nibbles(low[i]), high_bits(high[i], p));
                        v[1][i] = _mm256_or_si256(sl__high_nibbles(low[i]), high_bits(high[i], p + 2));
                    }
                    SL__UNROLL for (int c = 0; c < n; c++)
                        SL__UNROLL for (int r = 0; r < 2; r++) {
                            int at = 8 * h + 2 * (p + 2 * r) + s; /* of the sixteen sub-blocks */
                            isum[p + 2 * r][c] = add_sixteen(isum[p + 2 * r][c], v[r], x->q[c] + 256 * b + 16 * at,
                                                             start[c][at], scale_pairs(scales[at / 4], at % 4));
                        }
                }
            }
            SL__UNROLL for (int c = 0; c < n; c++)
                SL__UNROLL for (int p = 0; p < 4; p++)
                    sum[c] = _mm256_fmadd_ps(_mm256_set1_ps(x->a[c][8 * b + 4 * h + p]), _mm256_cvtepi32_ps(isum[p][c]), sum[c]);
        }
        SL__UNROLL for (int c = 0; c < n; c++) acc[c] = _mm256_fmadd_ps(d, sum[c], acc[c]);
    }
    SL__UNROLL for (int c = 0; c < n; c++) ret[c] = acc[c];
}

SL__INLINE void unpack(const uint8_t *w, size_t stride, int values, int half, panel *to) {
    (void)values;
    __m256i scales[4];
    to->d[half] = sl__halves8(w + D, stride);
    sl__transpose8(w + 192, stride, scales);
    SL__UNROLL for (int j = 0; j < 16; j++) to->scale[j][half] = scale_pairs(scales[j / 4], j % 4);
    for (int h = 0; h < 2; h++)
        for (int s = 0; s < 2; s++) {
            __m256i high[4];
            sl__transpose8(w + 128 + 32 * h + 16 * s, stride, high);
            SL__UNROLL for (int p = 0; p < 2; p++) {
                __m256i low[4];
                sl__transpose8(w + 64 * h + 32 * p + 16 * s, stride, low);
                SL__UNROLL for (int i = 0; i < 4; i++) {
                    int at = 32 * h + 8 * p + 4 * s + i;
                    to->q[at][half] = _mm256_or_si256(sl__low_nibbles(low[i]), high_bits(high[i], p));
                    to->q[at + 16][half] = _mm256_or_si256(sl__high_nibbles(low[i]), high_bits(high[i], p + 2));
                }
            }
        }
}

SL__GEMM(q6_k, avx2)

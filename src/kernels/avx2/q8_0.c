/* Q8_0: the block's bytes are in scalar/q8_0.c. The instruction multiplies unsigned by signed bytes, so the weight's sign
 * moves to the activation: |w| * (x with the sign of w). Two products fit sixteen bits even for w = -128, whose
 * magnitude 128 is an unsigned byte: 2 * 128 * 127 < 32768. Four do not, so every step widens to 32 bits. */
#define SL__FEW_ROWS 4 /* eight bits need no unpacking, so that a panel gains little */
#define SL__EACH_FEW(X) X(1) X(2) X(3) X(4)
#include "kernels/avx2/products.h"

enum { BYTES = 34, BYTES_256 = 8 * BYTES };

SL__INLINE __m256i add_four(__m256i wide, __m256i w, __m256i magnitude, const int8_t *q) {
    __m256i pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(sl__four(q), w));
    return _mm256_add_epi32(wide, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

SL__INLINE __m256 add_block(__m256 acc, __m256 d, __m256i wide, float a) {
    return _mm256_fmadd_ps(_mm256_mul_ps(d, _mm256_set1_ps(a)), _mm256_cvtepi32_ps(wide), acc);
}

SL__INLINE void few(const uint8_t *w, size_t stride, int cols, const sl__columns *x, int n, sl__lines ask,
                    __m256 *ret) {
    __m256 acc[SL__FEW_ROWS];
    SL__UNROLL for (int c = 0; c < n; c++) acc[c] = _mm256_setzero_ps();
    for (int b = 0; b < cols / 32; b++, w += BYTES, sl__pass(&ask, 8 * BYTES)) {
        __m256 d = sl__halves8(w, stride);
        __m256i wide[4];
        SL__UNROLL for (int i = 0; i < 5; i++) sl__ask(ask, 64 * i);
        SL__UNROLL for (int c = 0; c < n; c++) wide[c] = _mm256_setzero_si256();
        SL__UNROLL for (int s = 0; s < 2; s++) {
            __m256i t[4];
            sl__transpose8(w + 2 + 16 * s, stride, t);
            SL__UNROLL for (int i = 0; i < 4; i++) {
                __m256i magnitude = _mm256_abs_epi8(t[i]);
                SL__UNROLL for (int c = 0; c < n; c++)
                    wide[c] = add_four(wide[c], t[i], magnitude, x->q[c] + 32 * b + 16 * s + 4 * i);
            }
        }
        SL__UNROLL for (int c = 0; c < n; c++) acc[c] = add_block(acc[c], d, wide[c], x->a[c][b]);
    }
    SL__UNROLL for (int c = 0; c < n; c++) ret[c] = acc[c];
}

/* Sixteen rows of up to eight blocks, and the magnitudes, which every group of columns needs. Row 8 h + r is lane r of
 * half h. */
typedef struct panel {
    __m256i q[64][2], magnitude[64][2]; /* [four values][half]: bytes */
    __m256 d[8][2];                     /* [block][half] */
} panel;

SL__INLINE void unpack(const uint8_t *w, size_t stride, int values, panel *to) {
    for (int half = 0; half < 2; half++, w += 8 * stride)
        for (int b = 0; b < values / 32; b++) {
            to->d[b][half] = sl__halves8(w + b * BYTES, stride);
            SL__UNROLL for (int s = 0; s < 2; s++) {
                __m256i t[4];
                sl__transpose8(w + b * BYTES + 2 + 16 * s, stride, t);
                SL__UNROLL for (int i = 0; i < 4; i++) {
                    to->q[8 * b + 4 * s + i][half] = t[i];
                    to->magnitude[8 * b + 4 * s + i][half] = _mm256_abs_epi8(t[i]);
                }
            }
        }
}

SL__INLINE void multiply(const panel *w, const sl__columns *x, int at, int values, int n, float *tile, sl__ahead *ahead) {
    sl__sums isum[8];
    for (int j = 0; j < values / 32; j++) {
        sl__sums wide; /* not isum[j] itself: sums in an array that is indexed at run time would stay in memory */
        sl__prefetch(ahead);
        SL__UNROLL for (int c = 0; c < n; c++) wide[c][0] = wide[c][1] = _mm256_setzero_si256();
        SL__UNROLL for (int i = 0; i < 8; i++)
            SL__UNROLL for (int h = 0; h < 2; h++) {
                __m256i v = w->q[8 * j + i][h], magnitude = w->magnitude[8 * j + i][h];
                SL__UNROLL for (int c = 0; c < n; c++)
                    wide[c][h] = add_four(wide[c][h], v, magnitude, x->q[c] + at + 32 * j + 4 * i);
            }
        SL__UNROLL for (int c = 0; c < n; c++)
            SL__UNROLL for (int h = 0; h < 2; h++) isum[j][c][h] = wide[c][h];
    }
    sl__add_sums(w->d, 1, isum, 0, x, at / 32, values / 32, n, tile);
}

SL__GEMM(q8_0, avx2)

void sl__q8_0_widen_avx2(const void *row, int cols, float *out) {
    const uint8_t *w = row;
    for (int b = 0; b < cols / 32; b++, w += BYTES, out += 32) {
        __m256 d = _mm256_set1_ps(sl__load_half(w));
        for (int i = 0; i < 32; i += 8) {
            __m256i v = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(w + 2 + i)));
            _mm256_storeu_ps(out + i, _mm256_mul_ps(d, _mm256_cvtepi32_ps(v)));
        }
    }
}

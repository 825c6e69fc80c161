/* Q4_1: the block's bytes are in scalar/q4_1.c. Sixteen-bit sums hold a block: 8 * 2 * 15 * 127 < 32768. */
#include "kernels/avx2/products.h"

enum { BYTES = 20, BYTES_256 = 8 * BYTES };

/* d and m of eight rows. */
SL__INLINE void read_scales(const uint8_t *w, size_t stride, __m256 *ret_d, __m256 *ret_m) {
    sl__half_pairs8(sl__dwords8(w, stride), ret_d, ret_m);
}

SL__INLINE void few(const uint8_t *w, size_t stride, int cols, const sl__columns *x, int n, sl__lines ask,
                    __m256 *ret) {
    __m256 acc[SL__FEW_ROWS];
    SL__UNROLL for (int c = 0; c < n; c++) acc[c] = _mm256_setzero_ps();
    for (int b = 0; b < cols / 32; b++, w += BYTES, sl__pass(&ask, 8 * BYTES)) {
        __m256 d, m;
        __m256i t[4], narrow[SL__FEW_ROWS];
        read_scales(w, stride, &d, &m);
        sl__transpose8(w + 4, stride, t);
        SL__UNROLL for (int i = 0; i < 3; i++) sl__ask(ask, 64 * i);
        SL__UNROLL for (int c = 0; c < n; c++) narrow[c] = _mm256_setzero_si256();
        SL__UNROLL for (int i = 0; i < 4; i++) {
            __m256i low = sl__low_nibbles(t[i]), high = sl__high_nibbles(t[i]);
            SL__UNROLL for (int c = 0; c < n; c++) {
                const int8_t *q = x->q[c] + 32 * b + 4 * i;
                narrow[c] = sl__add_dot(narrow[c], low, sl__four(q));
                narrow[c] = sl__add_dot(narrow[c], high, sl__four(q + 16));
            }
        }
        SL__UNROLL for (int c = 0; c < n; c++)
            acc[c] = sl__add_block(acc[c], d, m, sl__ended(narrow[c], sl__ones()), x->a[c][b], x->total[c][b]);
    }
    SL__UNROLL for (int c = 0; c < n; c++) ret[c] = acc[c];
}

typedef sl__block_panel panel;

SL__INLINE void unpack(const uint8_t *w, size_t stride, int values, int half, panel *to) {
    for (int b = 0; b < values / 32; b++) {
        __m256i t[4];
        read_scales(w + b * BYTES, stride, &to->d[b][half], &to->m[b][half]);
        sl__transpose8(w + b * BYTES + 4, stride, t);
        SL__UNROLL for (int i = 0; i < 4; i++) {
            to->q[8 * b + i][half] = sl__low_nibbles(t[i]);
            to->q[8 * b + 4 + i][half] = sl__high_nibbles(t[i]);
        }
    }
}

SL__INLINE void multiply(const panel *w, const sl__columns *x, int at, int values, int n, float *tile, sl__ahead *ahead) {
    sl__multiply_blocks(w, 0, x, at, values, n, tile, ahead);
}

SL__GEMM(q4_1, SL__TIER)

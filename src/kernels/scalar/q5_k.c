/* Q5_K: 256 values in 176 bytes, eight sub-blocks of 32.
 *   0-1 half d | 2-3 half dmin | 4-15 six-bit scales sc and minima m of the sub-blocks (sl__q4_k_scale)
 *   16-47 the fifth bits: that of value l of sub-block j is bit j of byte l
 *   48-175 nibbles: 32 bytes for each pair of sub-blocks, 2p in the low nibbles, 2p + 1 in the high ones
 *   value = d * sc * five bits - dmin * m */
#include "kernels/scalar/rows.h"

enum { BYTES = 176 };

/* The 32 values of sub-block j, 0 … 31. */
static inline void unpack(const uint8_t *w, int j, int8_t *v) {
    const uint8_t *nibbles = w + 48 + 32 * (j / 2);
    for (int l = 0; l < 32; l++) v[l] = (int8_t)((nibbles[l] >> (4 * (j % 2)) & 15) + 16 * (w[16 + l] >> j & 1));
}

static float product(const uint8_t *w, const int8_t *q, const float *a, const float *total, int cols) {
    float acc = 0;
    for (int b = 0; b < cols / 256; b++, w += BYTES) {
        float d = sl__load_half(w), dmin = sl__load_half(w + 2), sum = 0;
        for (int j = 0; j < 8; j++, q += 32, a++, total++) {
            int8_t v[32];
            int scale, min;
            unpack(w, j, v);
            sl__q4_k_scale(w + 4, j, &scale, &min);
            sum = fmaf(*a, (float)(scale * sl__integer_dot(v, q, 32)), sum);
            acc = fmaf(-(dmin * (float)min), *total, acc);
        }
        acc = fmaf(d, sum, acc);
    }
    return acc;
}

SL__SCALAR_GEMM(q5_k, product)

void sl__q5_k_widen_scalar(const void *row, int cols, float *out) {
    const uint8_t *w = row;
    for (int b = 0; b < cols / 256; b++, w += BYTES) {
        float d = sl__load_half(w), dmin = sl__load_half(w + 2);
        for (int j = 0; j < 8; j++, out += 32) {
            int8_t v[32];
            int scale, min;
            unpack(w, j, v);
            sl__q4_k_scale(w + 4, j, &scale, &min);
            for (int i = 0; i < 32; i++) out[i] = d * (float)scale * (float)v[i] - dmin * (float)min;
        }
    }
}

/* Q3_K: 256 values in 110 bytes, sixteen sub-blocks of 16. Value i stands at h = i / 128, p = i % 128 / 32, l = i % 32.
 *   0-31 the third bits: of byte l, bit i / 32 = 4 h + p
 *   32-95 two low bits: of byte 32 + 32 h + l, bits 2 p and 2 p + 1
 *   96-107 six-bit scales: the low nibble of sub-block k's is in byte 96 + k % 8, the low one for k < 8, the high one for k >= 8;
 *   its two high bits are bits 2 (k / 4) and 2 (k / 4) + 1 of byte 104 + k % 4
 *   108-109 half d
 *   value = d * (scale - 32) * (three bits - 4) */
#include "kernels/scalar/rows.h"

enum { BYTES = 110 };

/* The 32 values, -4 … 3, that begin at 32 j. */
static inline void unpack(const uint8_t *w, int j, int8_t *v) {
    const uint8_t *low = w + 32 + 32 * (j / 4);
    for (int l = 0; l < 32; l++) v[l] = (int8_t)((low[l] >> (2 * (j % 4)) & 3) + 4 * (w[l] >> j & 1) - 4);
}

/* The scale of sub-block k, -32 … 31. */
static inline int scale_of(const uint8_t *w, int k) {
    int low = w[96 + k % 8] >> (4 * (k / 8)) & 15, high = w[104 + k % 4] >> (2 * (k / 4)) & 3;
    return (low | high << 4) - 32;
}

static float product(const uint8_t *w, const int8_t *q, const float *a, const float *total, int cols) {
    (void)total;
    float acc = 0;
    for (int b = 0; b < cols / 256; b++, w += BYTES) {
        float sum = 0;
        for (int j = 0; j < 8; j++, q += 32, a++) {
            int8_t v[32];
            unpack(w, j, v);
            int isum = scale_of(w, 2 * j) * sl__integer_dot(v, q, 16);
            isum += scale_of(w, 2 * j + 1) * sl__integer_dot(v + 16, q + 16, 16);
            sum = fmaf(*a, (float)isum, sum);
        }
        acc = fmaf(sl__load_half(w + 108), sum, acc);
    }
    return acc;
}

SL__SCALAR_GEMM(q3_k, product)

void sl__q3_k_widen_scalar(const void *row, int cols, float *out) {
    const uint8_t *w = row;
    for (int b = 0; b < cols / 256; b++, w += BYTES)
        for (int j = 0; j < 8; j++, out += 32) {
            int8_t v[32];
            unpack(w, j, v);
            for (int i = 0; i < 32; i++)
                out[i] = sl__load_half(w + 108) * (float)scale_of(w, 2 * j + i / 16) * (float)v[i];
        }
}

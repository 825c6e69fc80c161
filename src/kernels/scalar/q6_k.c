/* Q6_K: 256 values in 210 bytes, sixteen sub-blocks of 16. Value i stands at h = i / 128, p = i % 128 / 32, l = i % 32.
 *   0-127 low nibbles: of byte 64 h + 32 (p % 2) + l, the low one for p < 2, the high one for p >= 2
 *   128-191 two high bits: of byte 128 + 32 h + l, bits 2 p and 2 p + 1
 *   192-207 signed scale s of each sub-block | 208-209 half d
 *   value = d * s * (six bits - 32) */
#include "kernels/scalar/rows.h"

enum { BYTES = 210 };

/* The 32 values, -32 … 31, that begin at 32 j. */
static inline void unpack(const uint8_t *w, int j, int8_t *v) {
    int h = j / 4, p = j % 4, low_shift = 4 * (p / 2), high_shift = 2 * p;
    const uint8_t *low = w + 64 * h + 32 * (p % 2), *high = w + 128 + 32 * h;
    for (int l = 0; l < 32; l++) v[l] = (int8_t)(((low[l] >> low_shift & 15) | (high[l] >> high_shift & 3) << 4) - 32);
}

static float product(const uint8_t *w, const int8_t *q, const float *a, const float *total, int cols) {
    (void)total;
    float acc = 0;
    for (int b = 0; b < cols / 256; b++, w += BYTES) {
        const int8_t *scale = (const int8_t *)w + 192;
        float sum = 0;
        for (int j = 0; j < 8; j++, q += 32, a++) {
            int8_t v[32];
            int first = 0, second = 0;
            unpack(w, j, v);
            for (int i = 0; i < 16; i++) first += v[i] * q[i], second += v[i + 16] * q[i + 16];
            sum = fmaf(*a, (float)(scale[2 * j] * first + scale[2 * j + 1] * second), sum);
        }
        acc = fmaf(sl__load_half(w + 208), sum, acc);
    }
    return acc;
}

SL__SCALAR_GEMM(q6_k, product)

void sl__q6_k_widen_scalar(const void *row, int cols, float *out) {
    const uint8_t *w = row;
    for (int b = 0; b < cols / 256; b++, w += BYTES) {
        const int8_t *scale = (const int8_t *)w + 192;
        float d = sl__load_half(w + 208);
        for (int j = 0; j < 8; j++, out += 32) {
            int8_t v[32];
            unpack(w, j, v);
            for (int i = 0; i < 32; i++) out[i] = d * (float)scale[2 * j + i / 16] * (float)v[i];
        }
    }
}

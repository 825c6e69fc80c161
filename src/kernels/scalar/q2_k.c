/* Q2_K: 256 values in 84 bytes, sixteen sub-blocks of 16. Value i stands at h = i / 128, p = i % 128 / 32, l = i % 32.
 *   0-15 of each sub-block: scale s in the low nibble, minimum m in the high one
 *   16-79 two bits: of byte 16 + 32 h + l, bits 2 p and 2 p + 1
 *   80-81 half d | 82-83 half dmin
 *   value = d * s * two bits - dmin * m */
#include "kernels/scalar/rows.h"

enum { BYTES = 84 };

/* The 32 values, 0 … 3, that begin at 32 j. */
static inline void unpack(const uint8_t *w, int j, int8_t *v) {
    for (int l = 0; l < 32; l++) v[l] = (int8_t)(w[16 + 32 * (j / 4) + l] >> (2 * (j % 4)) & 3);
}

static float product(const uint8_t *w, const int8_t *q, const float *a, const float *total, int cols) {
    (void)total;
    float acc = 0;
    for (int b = 0; b < cols / 256; b++, w += BYTES) {
        float sum = 0, minima = 0;
        for (int j = 0; j < 8; j++, q += 32, a++) {
            int8_t v[32];
            int isum = 0, msum = 0;
            unpack(w, j, v);
            for (int k = 0; k < 2; k++) {
                int xsum = 0;
                for (int i = 0; i < 16; i++) xsum += q[16 * k + i];
                isum += (w[2 * j + k] & 15) * sl__integer_dot(v + 16 * k, q + 16 * k, 16);
                msum += (w[2 * j + k] >> 4) * xsum;
            }
            sum = fmaf(*a, (float)isum, sum);
            minima = fmaf(*a, (float)msum, minima);
        }
        acc = fmaf(sl__load_half(w + 80), sum, acc);
        acc = fmaf(-sl__load_half(w + 82), minima, acc);
    }
    return acc;
}

SL__SCALAR_GEMM(q2_k, product)

void sl__q2_k_widen_scalar(const void *row, int cols, float *out) {
    const uint8_t *w = row;
    for (int b = 0; b < cols / 256; b++, w += BYTES) {
        float d = sl__load_half(w + 80), dmin = sl__load_half(w + 82);
        for (int j = 0; j < 8; j++, out += 32) {
            int8_t v[32];
            unpack(w, j, v);
            for (int i = 0; i < 32; i++) {
                uint8_t both = w[2 * j + i / 16];
                out[i] = d * (float)(both & 15) * (float)v[i] - dmin * (float)(both >> 4);
            }
        }
    }
}

/* Q4_0: 32 values in 18 bytes.
 *   0-1 half d | 2-17 nibbles: value j is the low one of byte j, value j + 16 the high one
 *   value = d * (nibble - 8) */
#include "kernels/scalar/rows.h"

enum { BYTES = 18 };

static float product(const uint8_t *w, const int8_t *q, const float *a, const float *total, int cols) {
    (void)total;
    float acc = 0;
    for (int b = 0; b < cols / 32; b++, w += BYTES, q += 32) {
        int isum = 0;
        for (int j = 0; j < 16; j++) isum += ((w[2 + j] & 15) - 8) * q[j] + ((w[2 + j] >> 4) - 8) * q[j + 16];
        acc = fmaf(sl__load_half(w) * a[b], (float)isum, acc);
    }
    return acc;
}

SL__SCALAR_GEMM(q4_0, product)

void sl__q4_0_widen_scalar(const void *row, int cols, float *out) {
    const uint8_t *w = row;
    for (int b = 0; b < cols / 32; b++, w += BYTES, out += 32) {
        float d = sl__load_half(w);
        for (int j = 0; j < 16; j++) {
            out[j] = d * (float)((w[2 + j] & 15) - 8);
            out[j + 16] = d * (float)((w[2 + j] >> 4) - 8);
        }
    }
}

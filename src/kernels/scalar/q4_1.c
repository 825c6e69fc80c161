/* Q4_1: 32 values in 20 bytes.
 *   0-1 half d | 2-3 half m | 4-19 nibbles: value j is the low one of byte j, value j + 16 the high one
 *   value = d * nibble + m */
#include "kernels/scalar/rows.h"

enum { BYTES = 20 };

static float product(const uint8_t *w, const int8_t *q, const float *a, const float *total, int cols) {
    float acc = 0;
    for (int b = 0; b < cols / 32; b++, w += BYTES, q += 32) {
        int isum = 0;
        for (int j = 0; j < 16; j++) isum += (w[4 + j] & 15) * q[j] + (w[4 + j] >> 4) * q[j + 16];
        acc = fmaf(sl__load_half(w) * a[b], (float)isum, acc);
        acc = fmaf(sl__load_half(w + 2), total[b], acc);
    }
    return acc;
}

SL__SCALAR_GEMM(q4_1, product)

void sl__q4_1_widen_scalar(const void *row, int cols, float *out) {
    const uint8_t *w = row;
    for (int b = 0; b < cols / 32; b++, w += BYTES, out += 32) {
        float d = sl__load_half(w), m = sl__load_half(w + 2);
        for (int j = 0; j < 16; j++) {
            out[j] = d * (float)(w[4 + j] & 15) + m;
            out[j + 16] = d * (float)(w[4 + j] >> 4) + m;
        }
    }
}

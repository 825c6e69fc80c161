/* Q8_0: 32 values in 34 bytes.
 *   0-1 half d | 2-33 signed bytes q
 *   value = d * q */
#include "kernels/scalar/rows.h"

enum { BYTES = 34 };

static float product(const uint8_t *w, const int8_t *q, const float *a, const float *total, int cols) {
    (void)total;
    float acc = 0;
    for (int b = 0; b < cols / 32; b++, w += BYTES, q += 32) {
        int isum = 0;
        for (int j = 0; j < 32; j++) isum += (int8_t)w[2 + j] * q[j];
        acc = fmaf(sl__load_half(w) * a[b], (float)isum, acc);
    }
    return acc;
}

SL__SCALAR_GEMM(q8_0, product)

void sl__q8_0_widen_scalar(const void *row, int cols, float *out) {
    const uint8_t *w = row;
    for (int b = 0; b < cols / 32; b++, w += BYTES, out += 32) {
        float d = sl__load_half(w);
        for (int j = 0; j < 32; j++) out[j] = d * (float)(int8_t)w[2 + j];
    }
}

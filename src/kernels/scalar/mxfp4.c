/* MXFP4, as ggml has it: 32 values in 17 bytes.
 *   0 exponent e of the power of two 2^(e - 127)
 *   1-16 nibbles: value j is the low one of byte j, value j + 16 the high one
 *   value = 2^(e - 127) * the number that the nibble stands for = sl__e8m0_half(e) * twice that number (SL__FP4_DOUBLED) */
#include "kernels/scalar/rows.h"

enum { BYTES = 17 };

/* The 32 values doubled, -12 … 12. */
static inline void unpack(const uint8_t *w, int8_t *v) {
    static const int8_t doubled[16] = {SL__FP4_DOUBLED};
    for (int j = 0; j < 32; j++) v[j] = doubled[w[1 + j % 16] >> (4 * (j / 16)) & 15];
}

static float product(const uint8_t *w, const int8_t *q, const float *a, const float *total, int cols) {
    (void)total;
    float acc = 0;
    for (int b = 0; b < cols / 32; b++, w += BYTES, q += 32) {
        int8_t v[32];
        unpack(w, v);
        acc = fmaf(sl__e8m0_half(*w) * a[b], (float)sl__integer_dot(v, q, 32), acc);
    }
    return acc;
}

SL__SCALAR_GEMM(mxfp4, product)

void sl__mxfp4_widen_scalar(const void *row, int cols, float *out) {
    const uint8_t *w = row;
    for (int b = 0; b < cols / 32; b++, w += BYTES, out += 32) {
        int8_t v[32];
        unpack(w, v);
        for (int j = 0; j < 32; j++) out[j] = sl__e8m0_half(*w) * (float)v[j];
    }
}

/* Q5_0: 32 values in 22 bytes.
 *   0-1 half d | 2-5 the fifth bits, that of value j being bit j of 32 little-endian ones
 *   6-21 nibbles: value j is the low one of byte j, value j + 16 the high one
 *   value = d * (five bits - 16) */
#include "kernels/scalar/rows.h"

enum { BYTES = 22 };

/* The 32 values, -16 … 15. */
static inline void unpack(const uint8_t *w, int8_t *v) {
    for (int j = 0; j < 32; j++)
        v[j] = (int8_t)((w[6 + j % 16] >> (4 * (j / 16)) & 15) + 16 * (w[2 + j / 8] >> (j % 8) & 1) - 16);
}

static float product(const uint8_t *w, const int8_t *q, const float *a, const float *total, int cols) {
    (void)total;
    float acc = 0;
    for (int b = 0; b < cols / 32; b++, w += BYTES, q += 32) {
        int8_t v[32];
        unpack(w, v);
        acc = fmaf(sl__load_half(w) * a[b], (float)sl__integer_dot(v, q, 32), acc);
    }
    return acc;
}

SL__SCALAR_GEMM(q5_0, product)

void sl__q5_0_widen_scalar(const void *row, int cols, float *out) {
    const uint8_t *w = row;
    for (int b = 0; b < cols / 32; b++, w += BYTES, out += 32) {
        int8_t v[32];
        unpack(w, v);
        for (int j = 0; j < 32; j++) out[j] = sl__load_half(w) * (float)v[j];
    }
}

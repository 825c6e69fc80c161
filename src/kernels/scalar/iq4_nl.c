/* IQ4_NL: 32 values in 18 bytes.
 *   0-1 half d | 2-17 nibbles: value j is the low one of byte j, value j + 16 the high one
 *   value = d * the number that the nibble stands for (SL__IQ4_VALUES) */
#include "kernels/scalar/rows.h"

enum { BYTES = 18 };

static inline void unpack(const uint8_t *w, int8_t *v) {
    static const int8_t values[16] = {SL__IQ4_VALUES};
    for (int j = 0; j < 32; j++) v[j] = values[w[2 + j % 16] >> (4 * (j / 16)) & 15];
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

SL__SCALAR_GEMM(iq4_nl, product)

void sl__iq4_nl_widen_scalar(const void *row, int cols, float *out) {
    const uint8_t *w = row;
    for (int b = 0; b < cols / 32; b++, w += BYTES, out += 32) {
        int8_t v[32];
        unpack(w, v);
        for (int j = 0; j < 32; j++) out[j] = sl__load_half(w) * (float)v[j];
    }
}

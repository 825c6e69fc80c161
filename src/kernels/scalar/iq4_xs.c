/* IQ4_XS: 256 values in 136 bytes, eight sub-blocks of 32.
 *   0-1 half d | 2-7 six-bit scales: the two high bits of sub-block j's are bits 2 j and 2 j + 1 of the 16 little-endian ones in
 *   bytes 2-3, its low nibble is in byte 4 + j / 2, the low one for an even j, the high one for an odd
 *   8-135 nibbles: 16 bytes for each sub-block, value l in the low one of byte l, value l + 16 in the high one
 *   value = d * (scale - 32) * the number that the nibble stands for (SL_IQ4_VALUES) */
#include "kernels/scalar/rows.h"

enum { BYTES = 136 };

/* The 32 values of sub-block j. */
static inline void unpack(const uint8_t *w, int j, int8_t *v) {
    static const int8_t values[16] = {SL_IQ4_VALUES};
    for (int l = 0; l < 32; l++) v[l] = values[w[8 + 16 * j + l % 16] >> (4 * (l / 16)) & 15];
}

/* d times the scale of sub-block j, -32 … 31. */
static inline float scale_of(const uint8_t *w, int j) {
    int low = w[4 + j / 2] >> (4 * (j % 2)) & 15, high = sl__load16(w + 2) >> (2 * j) & 3;
    return sl__load_half(w) * (float)((low | high << 4) - 32);
}

static float product(const uint8_t *w, const int8_t *q, const float *a, const float *total, int cols) {
    (void)total;
    float acc = 0;
    for (int b = 0; b < cols / 256; b++, w += BYTES)
        for (int j = 0; j < 8; j++, q += 32, a++) {
            int8_t v[32];
            unpack(w, j, v);
            acc = fmaf(scale_of(w, j) * *a, (float)sl__integer_dot(v, q, 32), acc);
        }
    return acc;
}

SL__SCALAR_GEMM(iq4_xs, product)

void sl__iq4_xs_widen_scalar(const void *row, int cols, float *out) {
    const uint8_t *w = row;
    for (int b = 0; b < cols / 256; b++, w += BYTES)
        for (int j = 0; j < 8; j++, out += 32) {
            int8_t v[32];
            unpack(w, j, v);
            for (int i = 0; i < 32; i++) out[i] = scale_of(w, j) * (float)v[i];
        }
}

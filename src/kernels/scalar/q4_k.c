/* Q4_K: 256 values in 144 bytes, eight sub-blocks of 32.
 *   0-1 half d | 2-3 half dmin | 4-15 six-bit scales sc and minima m of the sub-blocks (sl__q4_k_scale)
 *   16-143 nibbles: 32 bytes for each pair of sub-blocks, 2p in the low nibbles, 2p + 1 in the high ones
 *   value = d * sc * nibble - dmin * m */
#include "kernels/scalar/rows.h"

enum { BYTES = 144 };

static float product(const uint8_t *w, const int8_t *q, const float *a, const float *total, int cols) {
    float acc = 0;
    for (int b = 0; b < cols / 256; b++, w += BYTES) {
        float d = sl__load_half(w), dmin = sl__load_half(w + 2), sum = 0;
        for (int j = 0; j < 8; j++, q += 32, a++, total++) {
            const uint8_t *nibbles = w + 16 + 32 * (j / 2);
            int scale, min, isum = 0, shift = 4 * (j % 2);
            sl__q4_k_scale(w + 4, j, &scale, &min);
            for (int i = 0; i < 32; i++) isum += (nibbles[i] >> shift & 15) * q[i];
            sum = fmaf(*a, (float)(scale * isum), sum);
            acc = fmaf(-(dmin * (float)min), *total, acc);
        }
        acc = fmaf(d, sum, acc);
    }
    return acc;
}

SL__SCALAR_GEMM(q4_k, product)

void sl__q4_k_widen_scalar(const void *row, int cols, float *out) {
    const uint8_t *w = row;
    for (int b = 0; b < cols / 256; b++, w += BYTES) {
        float d = sl__load_half(w), dmin = sl__load_half(w + 2);
        for (int j = 0; j < 8; j++, out += 32) {
            const uint8_t *nibbles = w + 16 + 32 * (j / 2);
            int scale, min, shift = 4 * (j % 2);
            sl__q4_k_scale(w + 4, j, &scale, &min);
            float ds = d * (float)scale, dm = dmin * (float)min;
            for (int i = 0; i < 32; i++) out[i] = ds * (float)(nibbles[i] >> shift & 15) - dm;
        }
    }
}

#include "kernels/scalar/rows.h"

#include <float.h>

/* The largest magnitude is taken on the bits, where a NaN is larger than infinity, so that every order of comparing
 * finds the same one. */
void sl__quantize_scalar(const float *x, int cols, int8_t *q, float *scale, int16_t *sum, float *total, int16_t *pairs) {
    for (int b = 0; b < cols / 32; b++, x += 32, q += 32, pairs += 4) {
        uint32_t largest = 0;
        for (int i = 0; i < 32; i++) {
            uint32_t magnitude = sl_float_bits(x[i]) & 0x7fffffff;
            if (magnitude > largest) largest = magnitude;
        }
        float a = sl_bits_float(largest) / 127.0f;
        if (largest >= 0x7f800000 || a < FLT_MIN) {
            scale[b] = largest >= 0x7f800000 ? sl_bits_float(0x7fc00000) : 0.0f;
            sum[b] = 0;
            total[b] = scale[b];
            memset(q, 0, 32);
            memset(pairs, 0, 4 * sizeof *pairs);
            continue;
        }
        float inverse = 1.0f / a;
        int xsum = 0, part[4] = {0}; /* of each run of 16, of the first and of the last two of four */
        for (int i = 0; i < 32; i++) {
            q[i] = (int8_t)lrintf(x[i] * inverse);
            xsum += q[i];
            part[i / 16 * 2 + i % 4 / 2] += q[i];
        }
        scale[b] = a;
        sum[b] = (int16_t)xsum;
        total[b] = a * (float)xsum;
        for (int i = 0; i < 4; i++) pairs[i] = (int16_t)part[i];
    }
}

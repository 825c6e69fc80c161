/* limits.c: what a core can do at best, for `bench`: how fast it reads memory, how fast it multiplies 4-bit weights by 8-bit
 * activations that lie in its first-level cache. What is computed means nothing. */
#include "kernels/scalar/rows.h"

uint64_t sl__limit_read_scalar(const void *p, size_t bytes) {
    uint64_t sum = 0, word;
    for (size_t i = 0; i + 8 <= bytes; i += 8) {
        memcpy(&word, (const char *)p + i, 8);
        sum ^= word;
    }
    return sum;
}

double sl__limit_multiply_scalar(int passes, float *ret) {
    enum { VALUES = 2048 };
    uint8_t w[VALUES];
    int8_t x[VALUES];
    for (int i = 0; i < VALUES; i++) {
        w[i] = (uint8_t)(i * 7 & 15);
        x[i] = (int8_t)(i * 13 % 255 - 127);
    }
    float sum = 0;
    for (int pass = 0; pass < passes; pass++) {
        for (int b = 0; b < VALUES; b += 32) {
            int block = 0;
            for (int i = b; i < b + 32; i++) block += w[i] * x[i];
            sum = fmaf((float)block, 1e-6f, sum);
        }
        x[pass & 1023] = (int8_t)(x[pass & 1023] ^ 1); /* or the pass would be moved out of the loop */
    }
    *ret = sum;
    return (double)passes * VALUES;
}

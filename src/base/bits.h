/* bits.h: a float and its 32 bits (IEEE 754 single).
 * Any thread. */
#ifndef SL_BASE_BITS_H
#define SL_BASE_BITS_H

#include <stdint.h>
#include <string.h>

static inline float sl_bits_float(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline uint32_t sl_float_bits(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

/* Bits whose unsigned order is the order of the floats: -NaN, -inf … -0, +0 … +inf, NaN. */
static inline uint32_t sl_float_order(float f) {
    uint32_t u = sl_float_bits(f);
    return u & 0x80000000u ? ~u : u | 0x80000000u;
}

#endif

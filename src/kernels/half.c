/* half.c: IEEE half floats, one at a time; the exact direction is in internal.h. */
#include "kernels/internal.h"

float sl_f16_to_f32(uint16_t h) { return sl__half_float(h); }

uint16_t sl_f32_to_f16(float f) {
    uint32_t u = sl_float_bits(f), sign = u >> 16 & 0x8000, rest = u & 0x7fffffff;
    if (rest > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (rest >> 13 & 0x3ff));
    if (rest >= 0x477ff000) return (uint16_t)(sign | 0x7c00); /* 65520 and above round to infinity */
    if (rest < 0x38800000) {                                  /* below 2^-14: units of 2^-24, rounded by an addition */
        float r = sl_bits_float(rest) + 0.5f;                /* the unit of 0.5 … 1 is 2^-24 */
        return (uint16_t)(sign | (sl_float_bits(r) - 0x3f000000));
    }
    uint32_t odd = rest >> 13 & 1;
    return (uint16_t)(sign | ((rest + 0xfff + odd - (112u << 23)) >> 13));
}

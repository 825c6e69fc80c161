/* MXFP4, as ggml has it: 32 values in 17 bytes.
 *   0 exponent e of the power of two 2^(e - 127)
 *   1-16 nibbles: value j is the low one of byte j, value j + 16 the high one
 *   value = 2^(e - 127) * the number that the nibble stands for = sl__e8m0_half(e) * twice that number (SL_FP4_DOUBLED) */
#include "kernels/scalar/rows.h"

enum { BYTES = 17 };

/* The 32 values doubled, -12 … 12. */
static inline void unpack(const uint8_t *w, int8_t *v) {
    static const int8_t doubled[16] = {SL_FP4_DOUBLED};
    for (int j = 0; j < 32; j++) v[j] = doubled[w[1 + j % 16] >> (4 * (j / 16)) & 15];
}

static inline float scale_of(const uint8_t *w) { return sl__e8m0_half(*w); }

SL__SCALAR_BLOCKS(mxfp4)

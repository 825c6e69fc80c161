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

static inline float scale_of(const uint8_t *w) { return sl__load_half(w); }

SL__SCALAR_BLOCKS(q5_0)

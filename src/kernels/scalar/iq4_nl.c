/* IQ4_NL: 32 values in 18 bytes.
 *   0-1 half d | 2-17 nibbles: value j is the low one of byte j, value j + 16 the high one
 *   value = d * the number that the nibble stands for (SL_IQ4_VALUES) */
#include "kernels/scalar/rows.h"

enum { BYTES = 18 };

static inline void unpack(const uint8_t *w, int8_t *v) {
    static const int8_t values[16] = {SL_IQ4_VALUES};
    for (int j = 0; j < 32; j++) v[j] = values[w[2 + j % 16] >> (4 * (j / 16)) & 15];
}

static inline float scale_of(const uint8_t *w) { return sl__load_half(w); }

SL__SCALAR_BLOCKS(iq4_nl)

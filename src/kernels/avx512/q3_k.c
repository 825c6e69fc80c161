/* Q3_K: the block's bytes are in scalar/q3_k.c. The weight is u - 4, the three bits u = 0 … 7 are multiplied as they are
 * (sixteens.h). */
#define OFFSET 4
#define MINIMA 0
enum { BYTES = 110, TWOS = 32, THIRD = 1 };
#include "kernels/avx512/twos.h"

SL__INLINE header read_header(const uint8_t *w, size_t stride) {
    __m512i low[2] = {sl__dwords16(w + 96, stride), sl__dwords16(w + 100, stride)}, high = sl__dwords16(w + 104, stride);
    header h;
    h.d = h.m = sl__halves16(w + 108, stride);
    SL__UNROLL for (int i = 0; i < 4; i++) {
        __m512i v = i < 2 ? sl__low_nibbles16(low[i]) : sl__high_nibbles16(low[i - 2]);
        __m512i top = _mm512_and_si512(_mm512_srli_epi16(high, 2 * (unsigned)i), _mm512_set1_epi8(3));
        v = _mm512_or_si512(v, _mm512_slli_epi16(top, 4));
        h.scale[i] = h.min[i] = _mm512_sub_epi8(v, _mm512_set1_epi8(32));
    }
    return h;
}

SL__GEMM(q3_k, avx512)

/* Q3_K: the block's bytes are in scalar/q3_k.c. The weight is u - 4, the three bits u = 0 … 7 are multiplied as they are
 * (sixteens.h). */
#define OFFSET 4
#define MINIMA 0
enum { BYTES = 110, TWOS = 32, THIRD = 1 };
#include "kernels/avx2/twos.h"

SL__INLINE header read_header(const uint8_t *w, size_t stride) {
    __m256i low[2] = {sl__dwords8(w + 96, stride), sl__dwords8(w + 100, stride)}, high = sl__dwords8(w + 104, stride);
    header h;
    h.d = h.m = sl__halves8(w + 108, stride);
    SL__UNROLL for (int i = 0; i < 4; i++) {
        __m256i v = i < 2 ? sl__low_nibbles(low[i]) : sl__high_nibbles(low[i - 2]);
        __m256i top = _mm256_and_si256(_mm256_srli_epi16(high, 2 * i), _mm256_set1_epi8(3));
        v = _mm256_or_si256(v, _mm256_slli_epi16(top, 4));
        h.scale[i] = h.min[i] = _mm256_sub_epi8(v, _mm256_set1_epi8(32));
    }
    return h;
}

SL__GEMM(q3_k, avx2)

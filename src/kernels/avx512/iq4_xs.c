/* IQ4_XS: the block's bytes are in scalar/iq4_xs.c. The numbers are multiplied with 128 added, in lanes that start at -128 times
 * the sum of the activations. */
#define MINIMA 0
#define OFFSET 128
#include "kernels/avx512/products.h"

enum { BYTES = 136, BLOCKS = 8 };

typedef struct block {
    __m512i nibbles[4];
} block;

#include "kernels/avx512/blocks.h"

SL__INLINE void read_scales(const uint8_t *w, size_t stride, __m512 *d, __m512 *m) {
    __m512i first = sl__dwords16(w, stride), low = sl__dwords16(w + 4, stride), high = _mm512_srli_epi32(first, 16);
    __m512 scale = sl__low_halves(first);
    (void)m;
    SL__UNROLL for (int j = 0; j < BLOCKS; j++) {
        __m512i four = _mm512_and_si512(_mm512_srli_epi32(low, 4 * (unsigned)j), _mm512_set1_epi32(15));
        __m512i two = _mm512_and_si512(_mm512_srli_epi32(high, 2 * (unsigned)j), _mm512_set1_epi32(3));
        __m512i s = _mm512_sub_epi32(_mm512_or_si512(four, _mm512_slli_epi32(two, 4)), _mm512_set1_epi32(32));
        d[j] = _mm512_mul_ps(scale, _mm512_cvtepi32_ps(s));
    }
}

SL__INLINE block read_block(const uint8_t *w, size_t stride, int j) {
    block b;
    sl__transpose16(w + 8 + 16 * j, stride, b.nibbles);
    return b;
}

SL__INLINE __m512i four_values(const block *b, int i) {
    const __m512i values = _mm512_broadcast_i32x4(_mm_setr_epi8(SL_IQ4_VALUES));
    const __m512i unsigned_values = _mm512_add_epi8(values, _mm512_set1_epi8((char)OFFSET));
    return _mm512_shuffle_epi8(unsigned_values, sl__four_nibbles16(b->nibbles, i));
}

SL__GEMM(iq4_xs, avx512)

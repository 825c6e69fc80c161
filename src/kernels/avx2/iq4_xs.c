/* IQ4_XS: the block's bytes are in scalar/iq4_xs.c. */
#define SIGNED 1
#define MINIMA 0
#define OFFSET 0
#include "kernels/avx2/products.h"

enum { BYTES = 136, BLOCKS = 8 };

typedef struct block {
    __m256i nibbles[4];
} block;

#include "kernels/avx2/blocks.h"

SL__INLINE void read_scales(const uint8_t *w, size_t stride, __m256 *d, __m256 *m) {
    __m256i first = sl__dwords8(w, stride), low = sl__dwords8(w + 4, stride), high = _mm256_srli_epi32(first, 16);
    __m256 scale, unused;
    (void)m;
    sl__half_pairs8(first, &scale, &unused);
    SL__UNROLL for (int j = 0; j < BLOCKS; j++) {
        __m256i four = _mm256_and_si256(_mm256_srli_epi32(low, 4 * j), _mm256_set1_epi32(15));
        __m256i two = _mm256_and_si256(_mm256_srli_epi32(high, 2 * j), _mm256_set1_epi32(3));
        __m256i s = _mm256_sub_epi32(_mm256_or_si256(four, _mm256_slli_epi32(two, 4)), _mm256_set1_epi32(32));
        d[j] = _mm256_mul_ps(scale, _mm256_cvtepi32_ps(s));
    }
}

SL__INLINE block read_block(const uint8_t *w, size_t stride, int j) {
    block b;
    sl__transpose8(w + 8 + 16 * j, stride, b.nibbles);
    return b;
}

SL__INLINE __m256i four_values(const block *b, int i) {
    const __m256i values = _mm256_setr_epi8(SL_IQ4_VALUES, SL_IQ4_VALUES);
    return _mm256_shuffle_epi8(values, sl__four_nibbles(b->nibbles, i));
}

SL__GEMM(iq4_xs, SL__TIER)

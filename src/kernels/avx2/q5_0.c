/* Q5_0: the block's bytes are in scalar/q5_0.c. The five bits are multiplied as they are, 0 … 31, and sixteen times the sum of
 * the activations is taken off. */
#define SIGNED 0
#define MINIMA 0
#define OFFSET 16
#include "kernels/avx2/products.h"

enum { BYTES = 22, BLOCKS = 1 };

typedef struct block {
    __m256i nibbles[4], fifths;
} block;

#include "kernels/avx2/blocks.h"

SL__INLINE void read_scales(const uint8_t *w, size_t stride, __m256 *d, __m256 *m) {
    (void)m;
    *d = sl__halves8(w, stride);
}

SL__INLINE block read_block(const uint8_t *w, size_t stride, int j) {
    (void)j;
    block b = {.fifths = sl__dwords8(w + 2, stride)};
    sl__transpose8(w + 6, stride, b.nibbles);
    return b;
}

SL__INLINE __m256i four_values(const block *b, int i) {
    return _mm256_or_si256(sl__four_nibbles(b->nibbles, i), sl__fifth_bits(b->fifths, i));
}

SL__GEMM(q5_0, SL__TIER)

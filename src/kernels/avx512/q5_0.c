/* Q5_0: the block's bytes are in scalar/q5_0.c. The five bits are multiplied as they are, 0 … 31, in lanes that start at -16 times the
 * sum of the activations. */
#define MINIMA 0
#define OFFSET 16
#include "kernels/avx512/products.h"

enum { BYTES = 22, BLOCKS = 1 };

typedef struct block {
    __m512i nibbles[4], fifths;
} block;

#include "kernels/avx512/blocks.h"

SL__INLINE void read_scales(const uint8_t *w, size_t stride, __m512 *d, __m512 *m) {
    (void)m;
    *d = sl__halves16(w, stride);
}

SL__INLINE block read_block(const uint8_t *w, size_t stride, int j) {
    (void)j;
    block b = {.fifths = sl__dwords16(w + 2, stride)};
    sl__transpose16(w + 6, stride, b.nibbles);
    return b;
}

SL__INLINE __m512i four_values(const block *b, int i) {
    return sl__with_fifth_bits(sl__four_nibbles16(b->nibbles, i), b->fifths, i);
}

SL__GEMM(q5_0, avx512)

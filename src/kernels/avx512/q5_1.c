/* Q5_1: the block's bytes are in scalar/q5_1.c. */
#define MINIMA 1
#define OFFSET 0
#include "kernels/avx512/products.h"

enum { BYTES = 24, BLOCKS = 1 };

typedef struct block {
    __m512i nibbles[4], fifths;
} block;

#include "kernels/avx512/blocks.h"

SL__INLINE void read_scales(const uint8_t *w, size_t stride, __m512 *d, __m512 *m) {
    __m512i scales = sl__dwords16(w, stride);
    *d = sl__low_halves(scales);
    *m = sl__high_halves(scales);
}

SL__INLINE block read_block(const uint8_t *w, size_t stride, int j) {
    (void)j;
    block b = {.fifths = sl__dwords16(w + 4, stride)};
    sl__transpose16(w + 8, stride, b.nibbles);
    return b;
}

SL__INLINE __m512i four_values(const block *b, int i) {
    return sl__with_fifth_bits(sl__four_nibbles16(b->nibbles, i), b->fifths, i);
}

SL__GEMM(q5_1, avx512)

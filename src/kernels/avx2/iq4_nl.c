/* IQ4_NL: the block's bytes are in scalar/iq4_nl.c. */
#define SIGNED 1
#define MINIMA 0
#define OFFSET 0
#include "kernels/avx2/products.h"

enum { BYTES = 18, BLOCKS = 1 };

typedef struct block {
    __m256i nibbles[4];
} block;

#include "kernels/avx2/blocks.h"

SL__INLINE void read_scales(const uint8_t *w, size_t stride, __m256 *d, __m256 *m) {
    (void)m;
    *d = sl__halves8(w, stride);
}

SL__INLINE block read_block(const uint8_t *w, size_t stride, int j) {
    (void)j;
    block b;
    sl__transpose8(w + 2, stride, b.nibbles);
    return b;
}

SL__INLINE __m256i four_values(const block *b, int i) {
    const __m256i values = _mm256_setr_epi8(SL_IQ4_VALUES, SL_IQ4_VALUES);
    return _mm256_shuffle_epi8(values, sl__four_nibbles(b->nibbles, i));
}

SL__GEMM(iq4_nl, SL__TIER)

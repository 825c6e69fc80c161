/* MXFP4: the block's bytes are in scalar/mxfp4.c. The doubled numbers are multiplied with 12 added, 0 … 24, and twelve times the
 * sum of the activations is taken off. */
#define SIGNED 0
#define MINIMA 0
#define OFFSET 12
#include "kernels/avx2/products.h"

enum { BYTES = 17, BLOCKS = 1 };

typedef struct block {
    __m256i nibbles[4];
} block;

#include "kernels/avx2/blocks.h"

SL__INLINE void read_scales(const uint8_t *w, size_t stride, __m256 *d, __m256 *m) {
    (void)m;
    *d = sl__e8m0_halves8(w, stride);
}

SL__INLINE block read_block(const uint8_t *w, size_t stride, int j) {
    (void)j;
    block b;
    sl__transpose8(w + 1, stride, b.nibbles);
    return b;
}

SL__INLINE __m256i four_values(const block *b, int i) {
    const __m256i values = _mm256_setr_epi8(SL_FP4_DOUBLED, SL_FP4_DOUBLED);
    const __m256i unsigned_values = _mm256_add_epi8(values, _mm256_set1_epi8(OFFSET));
    return _mm256_shuffle_epi8(unsigned_values, sl__four_nibbles(b->nibbles, i));
}

SL__GEMM(mxfp4, SL__TIER)

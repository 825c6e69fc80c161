/* IQ4_NL: the block's bytes are in scalar/iq4_nl.c. The numbers are multiplied with 128 added, in lanes that start at -128 times
 * the sum of the activations. */
#define MINIMA 0
#define OFFSET 128
#include "kernels/avx512/products.h"

enum { BYTES = 18, BLOCKS = 1 };

typedef struct block {
    __m512i nibbles[4];
} block;

#include "kernels/avx512/blocks.h"

SL__INLINE void read_scales(const uint8_t *w, size_t stride, __m512 *d, __m512 *m) {
    (void)m;
    *d = sl__halves16(w, stride);
}

SL__INLINE block read_block(const uint8_t *w, size_t stride, int j) {
    (void)j;
    block b;
    sl__transpose16(w + 2, stride, b.nibbles);
    return b;
}

SL__INLINE __m512i four_values(const block *b, int i) {
    const __m512i values = _mm512_broadcast_i32x4(_mm_setr_epi8(SL_IQ4_VALUES));
    const __m512i unsigned_values = _mm512_add_epi8(values, _mm512_set1_epi8((char)OFFSET));
    return _mm512_shuffle_epi8(unsigned_values, sl__four_nibbles16(b->nibbles, i));
}

SL__GEMM(iq4_nl, avx512)

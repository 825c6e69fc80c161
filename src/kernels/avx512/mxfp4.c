/* MXFP4: the block's bytes are in scalar/mxfp4.c. The doubled numbers are multiplied with 12 added, in lanes that start at -12
 * times the sum of the activations. */
#define MINIMA 0
#define OFFSET 12
#include "kernels/avx512/products.h"

enum { BYTES = 17, BLOCKS = 1 };

typedef struct block {
    __m512i nibbles[4];
} block;

#include "kernels/avx512/blocks.h"

SL__INLINE void read_scales(const uint8_t *w, size_t stride, __m512 *d, __m512 *m) {
    __m512 low = _mm512_castps256_ps512(sl__e8m0_halves8(w, stride));
    (void)m;
    *d = _mm512_insertf32x8(low, sl__e8m0_halves8(w + 8 * stride, stride), 1);
}

SL__INLINE block read_block(const uint8_t *w, size_t stride, int j) {
    (void)j;
    block b;
    sl__transpose16(w + 1, stride, b.nibbles);
    return b;
}

SL__INLINE __m512i four_values(const block *b, int i) {
    const __m512i values = _mm512_broadcast_i32x4(_mm_setr_epi8(SL_FP4_DOUBLED));
    const __m512i unsigned_values = _mm512_add_epi8(values, _mm512_set1_epi8((char)OFFSET));
    return _mm512_shuffle_epi8(unsigned_values, sl__four_nibbles16(b->nibbles, i));
}

SL__GEMM(mxfp4, avx512)

/* MXFP4 in two planes: what stands where is in scalar/mxfp4_planes.c, how the numbers are multiplied in mxfp4.c. */
#define MINIMA 0
#define OFFSET 12
#define SL__APART
#include "kernels/avx512/products.h"

enum { BYTES = 16, BLOCKS = 1 };

typedef struct block {
    __m512i nibbles[4];
} block;

#include "kernels/avx512/blocks.h"

SL__INLINE void read_scales(const uint8_t *w, size_t stride, __m512 *d, __m512 *m, const uint8_t *scales) {
    size_t apart = stride / 16;
    __m512 low = _mm512_castps256_ps512(sl__e8m0_halves8(scales, apart));
    (void)w, (void)m;
    *d = _mm512_insertf32x8(low, sl__e8m0_halves8(scales + 8 * apart, apart), 1);
}

SL__INLINE block read_block(const uint8_t *w, size_t stride, int j) {
    (void)j;
    block b;
    sl__transpose16(w, stride, b.nibbles);
    return b;
}

/* Two bytes of a row's four are spread to sixteen bits each; with themselves four bits higher they have the low nibble in the
 * low byte and the high one in the high byte. */
SL__INLINE __m512i four_values(const block *b, int i) {
    const __m512i at = _mm512_broadcast_i32x4(_mm_setr_epi32((int)0x80018000, (int)0x80058004, (int)0x80098008, (int)0x800d800c));
    const __m512i values = _mm512_broadcast_i32x4(_mm_setr_epi8(SL_FP4_DOUBLED));
    const __m512i unsigned_values = _mm512_add_epi8(values, _mm512_set1_epi8((char)OFFSET));
    __m512i v = _mm512_shuffle_epi8(b->nibbles[i / 2], _mm512_add_epi8(at, _mm512_set1_epi16(i % 2 ? 2 : 0)));
    return _mm512_shuffle_epi8(unsigned_values, sl__low_nibbles16(_mm512_or_si512(v, _mm512_slli_epi16(v, 4))));
}

SL__GEMM(mxfp4_planes, avx512)

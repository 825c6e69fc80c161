/* MXFP4 in two planes: what stands where is in scalar/mxfp4_planes.c, how the numbers are multiplied in mxfp4.c. */
#define SIGNED 0
#define MINIMA 0
#define OFFSET 12
#define SL__APART
#include "kernels/avx2/products.h"

enum { BYTES = 16, BLOCKS = 1 };

typedef struct block {
    __m256i nibbles[4];
} block;

#include "kernels/avx2/blocks.h"

SL__INLINE void read_scales(const uint8_t *w, size_t stride, __m256 *d, __m256 *m, const uint8_t *scales) {
    (void)w, (void)m;
    *d = sl__e8m0_halves8(scales, stride / 16);
}

SL__INLINE block read_block(const uint8_t *w, size_t stride, int j) {
    (void)j;
    block b;
    sl__transpose8(w, stride, b.nibbles);
    return b;
}

/* Two bytes of a row's four are spread to sixteen bits each; with themselves four bits higher they have the low nibble in the
 * low byte and the high one in the high byte. */
SL__INLINE __m256i four_values(const block *b, int i) {
    const __m256i at = _mm256_broadcastsi128_si256(_mm_setr_epi32((int)0x80018000, (int)0x80058004, (int)0x80098008, (int)0x800d800c));
    const __m256i values = _mm256_setr_epi8(SL_FP4_DOUBLED, SL_FP4_DOUBLED);
    const __m256i unsigned_values = _mm256_add_epi8(values, _mm256_set1_epi8(OFFSET));
    __m256i v = _mm256_shuffle_epi8(b->nibbles[i / 2], _mm256_add_epi8(at, _mm256_set1_epi16(i % 2 ? 2 : 0)));
    return _mm256_shuffle_epi8(unsigned_values, sl__low_nibbles(_mm256_or_si256(v, _mm256_slli_epi16(v, 4))));
}

SL__GEMM(mxfp4_planes, SL__TIER)

/* Q4_K: the block's bytes are in scalar/q4_k.c. */
enum { BYTES = 144, FIVE = 0, NIBBLES = 16 };
#include "kernels/avx2/k_blocks.h"

SL__GEMM(q4_k, avx2)

void sl__q4_k_widen_avx2(const void *row, int cols, float *out) {
    const uint8_t *w = row;
    for (int b = 0; b < cols / 256; b++, w += BYTES) {
        float d = sl__load_half(w), dmin = sl__load_half(w + 2);
        for (int j = 0; j < 8; j++, out += 32) {
            int scale, min;
            sl__q4_k_scale(w + 4, j, &scale, &min);
            __m256 ds = _mm256_set1_ps(d * (float)scale), dm = _mm256_set1_ps(dmin * (float)min);
            for (int i = 0; i < 32; i += 8) {
                __m256i v = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(w + 16 + 32 * (j / 2) + i)));
                v = _mm256_and_si256(j % 2 ? _mm256_srli_epi32(v, 4) : v, _mm256_set1_epi32(15));
                _mm256_storeu_ps(out + i, _mm256_sub_ps(_mm256_mul_ps(ds, _mm256_cvtepi32_ps(v)), dm));
            }
        }
    }
}

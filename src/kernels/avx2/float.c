#include "kernels/avx2/lanes.h"

void sl__f32_widen_avx2(const void *row, int cols, float *out) { memcpy(out, row, (size_t)cols * sizeof *out); }

void sl__f16_widen_avx2(const void *row, int cols, float *out) {
    const uint8_t *w = row;
    int i = 0;
    for (; i + 8 <= cols; i += 8)
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(w + 2 * i))));
    for (; i < cols; i++) out[i] = sl__load_half(w + 2 * i);
}

void sl__bf16_widen_avx2(const void *row, int cols, float *out) {
    const uint8_t *w = row;
    int i = 0;
    for (; i + 8 <= cols; i += 8) {
        __m256i v = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)(w + 2 * i)));
        _mm256_storeu_ps(out + i, _mm256_castsi256_ps(_mm256_slli_epi32(v, 16)));
    }
    for (; i < cols; i++) out[i] = sl_bits_float((uint32_t)sl__load16(w + 2 * i) << 16);
}

SL_FLOAT_TYPES(SL__FLOAT_GEMM, avx2)

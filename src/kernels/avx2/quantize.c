#include "kernels/avx2/lanes.h"

#include <float.h>

SL__INLINE uint32_t largest_lane(__m256i v) {
    __m128i m = _mm_max_epu32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0x4e));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(m);
}

void sl__quantize_avx2(const float *x, int cols, int8_t *q, float *scale, int16_t *sum, float *total, int16_t *pairs) {
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff), order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    for (int b = 0; b < cols / 32; b++, x += 32, q += 32, pairs += 4) {
        __m256 v[4];
        __m256i max = _mm256_setzero_si256(), r[4];
        SL__UNROLL for (int i = 0; i < 4; i++) {
            v[i] = _mm256_loadu_ps(x + 8 * i);
            max = _mm256_max_epu32(max, _mm256_and_si256(_mm256_castps_si256(v[i]), magnitude));
        }
        uint32_t largest = largest_lane(max);
        float a = sl_bits_float(largest) / 127.0f;
        if (largest >= 0x7f800000 || a < FLT_MIN) {
            scale[b] = largest >= 0x7f800000 ? sl_bits_float(0x7fc00000) : 0.0f;
            sum[b] = 0;
            total[b] = scale[b];
            memset(q, 0, 32);
            memset(pairs, 0, 4 * sizeof *pairs);
            continue;
        }
        __m256 inverse = _mm256_set1_ps(1.0f / a);
        SL__UNROLL for (int i = 0; i < 4; i++) r[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[i], inverse));
        /* Packing works on each 128 bits by themselves, so the dwords (four values each) come out in the order 0 2 4 6 1 3 5 7. */
        __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(r[0], r[1]), _mm256_packs_epi32(r[2], r[3]));
        _mm256_storeu_si256((__m256i *)(void *)q, _mm256_permutevar8x32_epi32(bytes, order));
        __m128i fours[2]; /* of each run of 16: the sums of the first, second, third and last of every four */
        SL__UNROLL for (int i = 0; i < 2; i++) {
            __m256i run = _mm256_add_epi32(r[2 * i], r[2 * i + 1]);
            fours[i] = _mm_add_epi32(_mm256_castsi256_si128(run), _mm256_extracti128_si256(run, 1));
        }
        __m128i t = _mm_hadd_epi32(fours[0], fours[1]);
        _mm_storel_epi64((__m128i *)(void *)pairs, _mm_packs_epi32(t, t));
        t = _mm_add_epi32(t, _mm_shuffle_epi32(t, 0x4e));
        t = _mm_add_epi32(t, _mm_shuffle_epi32(t, 0xb1));
        scale[b] = a;
        sum[b] = (int16_t)_mm_cvtsi128_si32(t);
        total[b] = a * (float)sum[b];
    }
}

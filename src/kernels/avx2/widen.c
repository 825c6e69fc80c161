/* widen.c: rows of weights as floats, which embeddings need: few beside the products. The blocks' bytes are drawn in scalar/. */
#include "kernels/avx2/lanes.h"

void sl__q4_0_widen_avx2(const void *row, int cols, float *out) {
    const uint8_t *w = row;
    for (int b = 0; b < cols / 32; b++, w += 18, out += 32) {
        __m256 d = _mm256_set1_ps(sl__load_half(w));
        SL__UNROLL for (int i = 0; i < 4; i++)
            _mm256_storeu_ps(out + 8 * i, _mm256_mul_ps(d, sl__bytes8(sl__nibbles8(w + 2, i), -8)));
    }
}

void sl__q4_1_widen_avx2(const void *row, int cols, float *out) {
    const uint8_t *w = row;
    for (int b = 0; b < cols / 32; b++, w += 20, out += 32) {
        __m256 d = _mm256_set1_ps(sl__load_half(w)), m = _mm256_set1_ps(sl__load_half(w + 2));
        SL__UNROLL for (int i = 0; i < 4; i++)
            _mm256_storeu_ps(out + 8 * i, _mm256_add_ps(_mm256_mul_ps(d, sl__bytes8(sl__nibbles8(w + 4, i), 0)), m));
    }
}

void sl__q8_0_widen_avx2(const void *row, int cols, float *out) {
    const uint8_t *w = row;
    for (int b = 0; b < cols / 32; b++, w += 34, out += 32) {
        __m256 d = _mm256_set1_ps(sl__load_half(w));
        for (int i = 0; i < 32; i += 8) {
            __m256i v = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(w + 2 + i)));
            _mm256_storeu_ps(out + i, _mm256_mul_ps(d, _mm256_cvtepi32_ps(v)));
        }
    }
}

void sl__q4_k_widen_avx2(const void *row, int cols, float *out) {
    const uint8_t *w = row;
    for (int b = 0; b < cols / 256; b++, w += 144) {
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

void sl__q6_k_widen_avx2(const void *row, int cols, float *out) {
    const uint8_t *w = row;
    for (int b = 0; b < cols / 256; b++, w += 210) {
        float d = sl__load_half(w + 208);
        for (int j = 0; j < 8; j++, out += 32) {
            int h = j / 4, p = j % 4;
            for (int i = 0; i < 32; i += 8) {
                __m128i low = _mm_loadl_epi64((const __m128i *)(const void *)(w + 64 * h + 32 * (p % 2) + i));
                __m128i high = _mm_loadl_epi64((const __m128i *)(const void *)(w + 128 + 32 * h + i));
                low = _mm_and_si128(p / 2 ? _mm_srli_epi16(low, 4) : low, _mm_set1_epi8(15));
                high = _mm_and_si128(_mm_srl_epi16(high, _mm_cvtsi32_si128(2 * p)), _mm_set1_epi8(3));
                __m256 ds = _mm256_set1_ps(d * (float)(int8_t)w[192 + 2 * j + i / 16]);
                __m256 v = sl__bytes8(_mm_or_si128(low, _mm_slli_epi16(high, 4)), -32);
                _mm256_storeu_ps(out + i, _mm256_mul_ps(ds, v));
            }
        }
    }
}

SL__WIDEN_AS_SCALAR(q5_0, avx2)
SL__WIDEN_AS_SCALAR(q5_1, avx2)
SL__WIDEN_AS_SCALAR(q2_k, avx2)
SL__WIDEN_AS_SCALAR(q3_k, avx2)
SL__WIDEN_AS_SCALAR(q5_k, avx2)
SL__WIDEN_AS_SCALAR(iq4_nl, avx2)
SL__WIDEN_AS_SCALAR(iq4_xs, avx2)
SL__WIDEN_AS_SCALAR(mxfp4, avx2)

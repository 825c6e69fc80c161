/* limits.c: what a core can multiply at best with AVX-VNNI, for `bench`: eight weight rows against four columns, all in the
 * first-level cache; products are summed in 32 bits over a 32-value block, then scaled as integers. What is computed means
 * nothing. */
#include "kernels/avx2/lanes.h"

SL__DECLARE_PRODUCTS(avx_vnni);

enum { ROWS = 8, DEPTH = 2048, COLUMNS = 4 };

double sl__limit_multiply_avx_vnni(int passes, float *ret) {
    _Alignas(32) uint8_t w[ROWS * DEPTH];
    _Alignas(32) int8_t x[COLUMNS * DEPTH];
    _Alignas(32) int32_t scale[DEPTH / 32 * 8];
    for (int i = 0; i < ROWS * DEPTH; i++) w[i] = (uint8_t)(i * 7 & 15);
    for (int i = 0; i < COLUMNS * DEPTH; i++) x[i] = (int8_t)(i * 13 % 255 - 127);
    for (int i = 0; i < DEPTH / 32 * 8; i++) scale[i] = i & 63;
    __m256 sum[COLUMNS] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
    for (int pass = 0; pass < passes; pass++) {
        for (int super = 0; super < DEPTH / 256; super++) {
            __m256i wide[COLUMNS] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(),
                                     _mm256_setzero_si256()};
            for (int b = super * 8; b < super * 8 + 8; b++) {
                __m256i narrow[COLUMNS] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(),
                                           _mm256_setzero_si256()};
#pragma GCC unroll 8
                for (int q = 0; q < 8; q++) {
                    __m256i v = _mm256_load_si256((const __m256i *)(const void *)(w + b * 256 + q * 32));
#pragma GCC unroll 4
                    for (int c = 0; c < COLUMNS; c++) {
                        int32_t four;
                        memcpy(&four, x + c * DEPTH + b * 32 + q * 4, 4);
                        narrow[c] = _mm256_dpbusd_avx_epi32(narrow[c], v, _mm256_set1_epi32(four));
                    }
                }
                __m256i s = _mm256_load_si256((const __m256i *)(const void *)(scale + b * 8));
                for (int c = 0; c < COLUMNS; c++)
                    wide[c] = _mm256_add_epi32(wide[c], _mm256_mullo_epi32(narrow[c], s));
            }
            for (int c = 0; c < COLUMNS; c++)
                sum[c] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(wide[c]), _mm256_set1_ps(1e-6f), sum[c]);
        }
        x[pass & 1023] ^= 1; /* or the pass would be moved out of the loop */
    }
    for (int c = 1; c < COLUMNS; c++) sum[0] = _mm256_add_ps(sum[0], sum[c]);
    *ret = _mm256_cvtss_f32(sum[0]);
    return (double)passes * ROWS * DEPTH * COLUMNS;
}

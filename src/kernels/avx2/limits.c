/* limits.c: what a core can do at best with AVX2, for `bench`. What is computed means nothing.
 *
 * Reading: four 32-byte loads a step, in order.
 * Multiplying: eight weight rows, a lane each with four 4-bit values, against four int8 columns, all in the first-level
 * cache. The sums of a 32-value block stay in 16 bits (8 * 2 * 15 * 127 < 32768), then one instruction multiplies them by
 * the rows' scales and widens them. Nothing is unpacked. */
#include "kernels/avx2/lanes.h"

uint64_t sl__limit_read_avx2(const void *p, size_t bytes) {
    __m256i s[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256()};
    const char *c = p;
    for (size_t i = 0; i + 128 <= bytes; i += 128)
        for (int j = 0; j < 4; j++)
            s[j] = _mm256_xor_si256(s[j], _mm256_loadu_si256((const __m256i *)(const void *)(c + i + 32 * j)));
    s[0] = _mm256_xor_si256(_mm256_xor_si256(s[0], s[1]), _mm256_xor_si256(s[2], s[3]));
    return (uint64_t)_mm256_extract_epi64(s[0], 0);
}

enum { ROWS = 8, DEPTH = 2048, COLUMNS = 4 };

double sl__limit_multiply_avx2(int passes, float *ret) {
    _Alignas(32) uint8_t w[ROWS * DEPTH];
    _Alignas(32) int8_t x[COLUMNS * DEPTH];
    _Alignas(32) int16_t scale[DEPTH / 32 * 16];
    for (int i = 0; i < ROWS * DEPTH; i++) w[i] = (uint8_t)(i * 7 & 15);
    for (int i = 0; i < COLUMNS * DEPTH; i++) x[i] = (int8_t)(i * 13 % 255 - 127);
    for (int i = 0; i < DEPTH / 32 * 16; i++) scale[i] = (int16_t)(i & 63);
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
                        narrow[c] = _mm256_add_epi16(narrow[c], _mm256_maddubs_epi16(v, _mm256_set1_epi32(four)));
                    }
                }
                __m256i s = _mm256_load_si256((const __m256i *)(const void *)(scale + b * 16));
                for (int c = 0; c < COLUMNS; c++)
                    wide[c] = _mm256_add_epi32(wide[c], _mm256_madd_epi16(narrow[c], s));
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

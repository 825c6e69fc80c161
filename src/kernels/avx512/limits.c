/* limits.c: what a core can multiply at best with AVX-512 VNNI, for `bench`: sixteen weight rows against six columns, all in
 * the first-level cache; products are summed in 32 bits over a 32-value block, then scaled as integers. What is computed
 * means nothing. */
#include "kernels/avx512/products.h"

enum { ROWS = 16, DEPTH = 2048, COLUMNS = 6 };

double sl__limit_multiply_avx512(int passes, float *ret) {
    _Alignas(64) uint8_t w[ROWS * DEPTH];
    _Alignas(64) int8_t x[COLUMNS * DEPTH];
    _Alignas(64) int32_t scale[DEPTH / 32 * 16];
    for (int i = 0; i < ROWS * DEPTH; i++) w[i] = (uint8_t)(i * 7 & 15);
    for (int i = 0; i < COLUMNS * DEPTH; i++) x[i] = (int8_t)(i * 13 % 255 - 127);
    for (int i = 0; i < DEPTH / 32 * 16; i++) scale[i] = i & 63;
    __m512 sum[COLUMNS];
    for (int c = 0; c < COLUMNS; c++) sum[c] = _mm512_setzero_ps();
    for (int pass = 0; pass < passes; pass++) {
        for (int super = 0; super < DEPTH / 256; super++) {
            __m512i wide[COLUMNS];
            for (int c = 0; c < COLUMNS; c++) wide[c] = _mm512_setzero_si512();
            for (int b = super * 8; b < super * 8 + 8; b++) {
                __m512i narrow[COLUMNS];
                for (int c = 0; c < COLUMNS; c++) narrow[c] = _mm512_setzero_si512();
#pragma GCC unroll 8
                for (int q = 0; q < 8; q++) {
                    __m512i v = _mm512_load_si512(w + b * 512 + q * 64);
#pragma GCC unroll 6
                    for (int c = 0; c < COLUMNS; c++) {
                        int32_t four;
                        memcpy(&four, x + c * DEPTH + b * 32 + q * 4, 4);
                        narrow[c] = _mm512_dpbusd_epi32(narrow[c], v, _mm512_set1_epi32(four));
                    }
                }
                __m512i s = _mm512_load_si512(scale + b * 16);
                for (int c = 0; c < COLUMNS; c++)
                    wide[c] = _mm512_add_epi32(wide[c], _mm512_mullo_epi32(narrow[c], s));
            }
            for (int c = 0; c < COLUMNS; c++)
                sum[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(wide[c]), _mm512_set1_ps(1e-6f), sum[c]);
        }
        x[pass & 1023] ^= 1; /* or the pass would be moved out of the loop */
    }
    for (int c = 1; c < COLUMNS; c++) sum[0] = _mm512_add_ps(sum[0], sum[c]);
    *ret = _mm512_cvtss_f32(sum[0]);
    return (double)passes * ROWS * DEPTH * COLUMNS;
}

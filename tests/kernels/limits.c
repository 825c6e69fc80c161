/* Rows are interleaved by four values a lane and lie in the first cache; sums stay narrow for 32 values and are widened by
 * one multiplication with an integer scale. Build with clang: gcc 12 spills the accumulators. */
#include "limits.h"

#include <stdlib.h>
#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>

static volatile int sink;
enum { DEPTH = 2048 };

int limit_available(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
int limit_is_wide(const char *tier) { return strcmp(tier, "avx512") == 0; }

__attribute__((target("avx2"))) void limit_read(const uint8_t *p, size_t size) {
    __m256i s[4];
    for (int j = 0; j < 4; j++) s[j] = _mm256_setzero_si256();
    for (size_t i = 0; i + 128 <= size; i += 128)
        for (int j = 0; j < 4; j++)
            s[j] = _mm256_xor_si256(s[j], _mm256_loadu_si256((const __m256i *)(const void *)(p + i + 32 * (size_t)j)));
    s[0] = _mm256_xor_si256(_mm256_xor_si256(s[0], s[1]), _mm256_xor_si256(s[2], s[3]));
    sink = _mm256_extract_epi32(s[0], 0);
}

static void operands(int rows, int columns, uint8_t **w, int8_t **x, void **scale, size_t scale_bytes) {
    *w = aligned_alloc(64, (size_t)rows * DEPTH);
    *x = aligned_alloc(64, (size_t)columns * DEPTH);
    *scale = aligned_alloc(64, scale_bytes);
    for (int i = 0; i < rows * DEPTH; i++) (*w)[i] = (uint8_t)(i * 7 % 16);
    for (int i = 0; i < columns * DEPTH; i++) (*x)[i] = (int8_t)(i * 31 % 255 - 127);
    memset(*scale, 1, scale_bytes);
}

__attribute__((target("avx2,fma"))) void limit_multiply(void) {
    enum { ROWS = 8, COLUMNS = 4 };
    uint8_t *w;
    int8_t *x;
    void *scales;
    operands(ROWS, COLUMNS, &w, &x, &scales, DEPTH / 32 * 32);
    const int16_t *scale = scales;
    __m256 sum[COLUMNS];
    for (int c = 0; c < COLUMNS; c++) sum[c] = _mm256_setzero_ps();
    for (int r = 0; r < 20000; r++) {
        for (int super = 0; super < DEPTH / 256; super++) {
            __m256i wide[COLUMNS];
            for (int c = 0; c < COLUMNS; c++) wide[c] = _mm256_setzero_si256();
            for (int b = super * 8; b < super * 8 + 8; b++) {
                __m256i narrow[COLUMNS];
                for (int c = 0; c < COLUMNS; c++) narrow[c] = _mm256_setzero_si256();
#pragma GCC unroll 8
                for (int q = 0; q < 8; q++) {
                    __m256i wv = _mm256_load_si256((const __m256i *)(const void *)(w + b * 256 + q * 32));
#pragma GCC unroll 4
                    for (int c = 0; c < COLUMNS; c++) {
                        int32_t four;
                        memcpy(&four, x + c * DEPTH + b * 32 + q * 4, 4);
                        narrow[c] = _mm256_add_epi16(narrow[c], _mm256_maddubs_epi16(wv, _mm256_set1_epi32(four)));
                    }
                }
                __m256i s = _mm256_load_si256((const __m256i *)(const void *)(scale + b * 16));
                for (int c = 0; c < COLUMNS; c++) wide[c] = _mm256_add_epi32(wide[c], _mm256_madd_epi16(narrow[c], s));
            }
            for (int c = 0; c < COLUMNS; c++)
                sum[c] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(wide[c]), _mm256_set1_ps(1e-6f), sum[c]);
        }
        x[r & 1023] ^= 1; /* or the compiler would hoist the whole pass */
    }
    for (int c = 1; c < COLUMNS; c++) sum[0] = _mm256_add_ps(sum[0], sum[c]);
    sink = (int)_mm256_cvtss_f32(sum[0]);
    free(w), free(x), free(scales);
}

#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

/* Sixteen rows by six columns, a third as many passes. */
__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"))) void limit_multiply_wide(void) {
    enum { ROWS = 16, COLUMNS = 6 };
    uint8_t *w;
    int8_t *x;
    void *scale;
    operands(ROWS, COLUMNS, &w, &x, &scale, DEPTH / 32 * 64);
    __m512 sum[COLUMNS];
    for (int c = 0; c < COLUMNS; c++) sum[c] = _mm512_setzero_ps();
    for (int r = 0; r < 20000 / 3; r++) {
        for (int super = 0; super < DEPTH / 256; super++) {
            __m512i wide[COLUMNS];
            for (int c = 0; c < COLUMNS; c++) wide[c] = _mm512_setzero_si512();
            for (int b = super * 8; b < super * 8 + 8; b++) {
                __m512i narrow[COLUMNS];
                for (int c = 0; c < COLUMNS; c++) narrow[c] = _mm512_setzero_si512();
                UNROLL for (int q = 0; q < 8; q++) {
                    __m512i wv = _mm512_load_si512(w + b * 512 + q * 64);
                    UNROLL for (int c = 0; c < COLUMNS; c++) {
                        int32_t four;
                        memcpy(&four, x + c * DEPTH + b * 32 + q * 4, 4);
                        narrow[c] = _mm512_dpbusd_epi32(narrow[c], wv, _mm512_set1_epi32(four));
                    }
                }
                __m512i s = _mm512_load_si512((uint8_t *)scale + b * 64);
                UNROLL for (int c = 0; c < COLUMNS; c++)
                    wide[c] = _mm512_add_epi32(wide[c], _mm512_mullo_epi32(narrow[c], s));
            }
            UNROLL for (int c = 0; c < COLUMNS; c++)
                sum[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(wide[c]), _mm512_set1_ps(1e-6f), sum[c]);
        }
        x[r & 1023] ^= 1;
    }
    for (int c = 1; c < COLUMNS; c++) sum[0] = _mm512_add_ps(sum[0], sum[c]);
    sink = (int)_mm512_cvtss_f32(sum[0]);
    free(w), free(x), free(scale);
}
#else
int limit_available(void) { return 0; }
int limit_is_wide(const char *tier) { return tier == NULL; }
void limit_read(const uint8_t *p, size_t size) { (void)p, (void)size; }
void limit_multiply(void) {}
void limit_multiply_wide(void) {}
#endif

/* limits.c: how fast a core reads memory at best with AVX2, for `bench`: four 32-byte loads a step, in order. What is computed means
 * nothing. */
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

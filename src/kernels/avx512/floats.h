/* floats.h: sixteen floats at a time: a vector is the sixteen lanes of the one order of float sums.
 * Pure; workers. */
#ifndef SL_KERNELS_AVX512_FLOATS_H
#define SL_KERNELS_AVX512_FLOATS_H

#include "kernels/avx2/lanes.h"

sl_attend_fn sl__attend_f16_avx512, sl__attend_f32_avx512;
void sl__dots_avx512(const float *w, int count, const float *x, int rows, int n, float *out, size_t out_stride);

/* sl_expf sixteen times: the same operations (base/fmath.c). */
SL__INLINE __m512 sl__exp16(__m512 x) {
    const __m512 magic = _mm512_set1_ps(0x1.8p+23f), one = _mm512_set1_ps(1.0f);
    x = _mm512_max_ps(_mm512_set1_ps(-104.0f), x);
    x = _mm512_min_ps(_mm512_set1_ps(89.0f), x);
    __m512 t = _mm512_fmadd_ps(x, _mm512_set1_ps(0x1.715476p+0f), magic);
    __m512i k = _mm512_sub_epi32(_mm512_castps_si512(t), _mm512_set1_epi32(0x4B400000));
    __m512 n = _mm512_sub_ps(t, magic);
    __m512 r = _mm512_fmadd_ps(n, _mm512_set1_ps(-0x1.62e43p-1f), x);
    r = _mm512_fmadd_ps(n, _mm512_set1_ps(0x1.05c610p-29f), r);
    __m512 p = _mm512_set1_ps(0x1.6a2352p-10f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.123a6cp-7f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.5558f4p-5f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.555490p-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.fffffcp-2f));
    p = _mm512_fmadd_ps(p, r, one);
    p = _mm512_fmadd_ps(p, r, one);
    __m512i a = _mm512_srai_epi32(k, 1), b = _mm512_sub_epi32(k, a), bias = _mm512_set1_epi32(127);
    p = _mm512_mul_ps(p, _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(a, bias), 23)));
    return _mm512_mul_ps(p, _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(b, bias), 23)));
}

#endif

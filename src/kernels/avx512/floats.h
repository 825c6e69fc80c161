/* floats.h: sixteen floats at a time: a vector is the sixteen lanes of the one order of float sums.
 * Pure; workers. */
#ifndef SL_KERNELS_AVX512_FLOATS_H
#define SL_KERNELS_AVX512_FLOATS_H

#include "kernels/avx2/lanes.h"

SL__DECLARE_WIDE_TIER(avx512);

/* sl_exp2f sixteen times: the same operations (base/fmath.c). */
SL__INLINE __m512 sl__exp2_16(__m512 x) {
    const __m512 magic = _mm512_set1_ps(0x1.8p+23f), one = _mm512_set1_ps(1.0f);
    x = _mm512_max_ps(_mm512_set1_ps(-126.0f), x);
    __m512 t = _mm512_add_ps(x, magic);
    __m512 r = _mm512_sub_ps(x, _mm512_sub_ps(t, magic));
    __m512 p = _mm512_set1_ps(0x1.5bba14p-10f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.3cea88p-7f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.c6b752p-5f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.ebf9bcp-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.62e42ap-1f));
    p = _mm512_fmadd_ps(p, r, one);
    __m512i power = _mm512_add_epi32(_mm512_slli_epi32(_mm512_castps_si512(t), 23), _mm512_castps_si512(one));
    return _mm512_mul_ps(p, _mm512_castsi512_ps(power));
}

#endif

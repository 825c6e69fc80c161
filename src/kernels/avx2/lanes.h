/* lanes.h: what the AVX2 files share: constants, loads of eight weight rows side by side, exponentials of eight floats.
 * Pure; workers.
 *
 * In the quantised products a lane of a vector is an output row: eight rows at a time, so that no sum ever crosses lanes
 * and the binding float order costs nothing. The file has the rows one after another, hence transpose8: sixteen bytes of
 * eight rows become four vectors, each with the next four bytes of every row. */
#ifndef SL_KERNELS_AVX2_LANES_H
#define SL_KERNELS_AVX2_LANES_H

#include "kernels/internal.h"

#include <immintrin.h>
#include <math.h>

SL__DECLARE_TIER(avx2);

/* The body must become part of its caller: its counts are constants there and decide what stays in registers. */
#define SL__INLINE static inline __attribute__((always_inline))

/* Unrolls the loop that follows as a whole. Not under a sanitizer: with its checks in every copy of a body clang would take
 * minutes for a file. */
#ifdef SL_SANITIZED
#define SL__UNROLL
#elif defined __clang__
#define SL__UNROLL _Pragma("clang loop unroll(full)")
#else
#define SL__UNROLL _Pragma("GCC unroll 16")
#endif

SL__INLINE int32_t sl__load32(const void *p) {
    int32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

SL__INLINE __m256i sl__load_pair(const uint8_t *low, const uint8_t *high) {
    __m256i v = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)low));
    return _mm256_inserti128_si256(v, _mm_loadu_si128((const __m128i *)(const void *)high), 1);
}

/* t[i], dword lane r: bytes 4 i … 4 i + 3 of the row at p + r * stride. */
SL__INLINE void sl__transpose8(const uint8_t *p, size_t stride, __m256i t[4]) {
    const uint8_t *h = p + 4 * stride;
    __m256i a0 = sl__load_pair(p, h), a1 = sl__load_pair(p + stride, h + stride);
    __m256i a2 = sl__load_pair(p + 2 * stride, h + 2 * stride), a3 = sl__load_pair(p + 3 * stride, h + 3 * stride);
    __m256i b0 = _mm256_unpacklo_epi32(a0, a1), b1 = _mm256_unpacklo_epi32(a2, a3);
    __m256i b2 = _mm256_unpackhi_epi32(a0, a1), b3 = _mm256_unpackhi_epi32(a2, a3);
    t[0] = _mm256_unpacklo_epi64(b0, b1);
    t[1] = _mm256_unpackhi_epi64(b0, b1);
    t[2] = _mm256_unpacklo_epi64(b2, b3);
    t[3] = _mm256_unpackhi_epi64(b2, b3);
}

/* Sixteen bytes of eight rows, half transposed: t[2 * k + i] has bytes 8 i … 8 i + 7 of rows 2 k, 2 k + 1, 2 k + 4 and 2 k + 5. */
SL__INLINE void sl__halves_of_rows8(const uint8_t *p, size_t stride, __m256i t[4]) {
    const uint8_t *h = p + 4 * stride;
    __m256i a0 = sl__load_pair(p, h), a1 = sl__load_pair(p + stride, h + stride);
    __m256i a2 = sl__load_pair(p + 2 * stride, h + 2 * stride), a3 = sl__load_pair(p + 3 * stride, h + 3 * stride);
    t[0] = _mm256_unpacklo_epi64(a0, a1);
    t[1] = _mm256_unpackhi_epi64(a0, a1);
    t[2] = _mm256_unpacklo_epi64(a2, a3);
    t[3] = _mm256_unpackhi_epi64(a2, a3);
}

/* The halves at p + r * stride as floats. */
SL__INLINE __m256 sl__halves8(const uint8_t *p, size_t stride) {
    const uint8_t *h = p + 4 * stride;
    __m128i v = _mm_cvtsi32_si128(sl__load16(p));
    v = _mm_insert_epi16(v, sl__load16(p + stride), 1);
    v = _mm_insert_epi16(v, sl__load16(p + 2 * stride), 2);
    v = _mm_insert_epi16(v, sl__load16(p + 3 * stride), 3);
    v = _mm_insert_epi16(v, sl__load16(h), 4);
    v = _mm_insert_epi16(v, sl__load16(h + stride), 5);
    v = _mm_insert_epi16(v, sl__load16(h + 2 * stride), 6);
    v = _mm_insert_epi16(v, sl__load16(h + 3 * stride), 7);
    return _mm256_cvtph_ps(v);
}

/* The dwords at p + r * stride. */
SL__INLINE __m256i sl__dwords8(const uint8_t *p, size_t stride) {
    const uint8_t *h = p + 4 * stride;
    __m128i low = _mm_loadu_si32(p), high = _mm_loadu_si32(h);
    low = _mm_insert_epi32(low, sl__load32(p + stride), 1);
    high = _mm_insert_epi32(high, sl__load32(h + stride), 1);
    low = _mm_insert_epi32(low, sl__load32(p + 2 * stride), 2);
    high = _mm_insert_epi32(high, sl__load32(h + 2 * stride), 2);
    low = _mm_insert_epi32(low, sl__load32(p + 3 * stride), 3);
    high = _mm_insert_epi32(high, sl__load32(h + 3 * stride), 3);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

/* Dwords that hold two halves each: the low ones and the high ones as floats. */
SL__INLINE void sl__half_pairs8(__m256i pairs, __m256 *ret_low, __m256 *ret_high) {
    __m256i low = _mm256_and_si256(pairs, _mm256_set1_epi32(0xffff)), high = _mm256_srli_epi32(pairs, 16);
    __m256i both = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, high), 0xd8);
    *ret_low = _mm256_cvtph_ps(_mm256_castsi256_si128(both));
    *ret_high = _mm256_cvtph_ps(_mm256_extracti128_si256(both, 1));
}

/* sl__e8m0_half of the bytes at p + r * stride. */
SL__INLINE __m256 sl__e8m0_halves8(const uint8_t *p, size_t stride) {
    const uint8_t *h = p + 4 * stride;
    __m128i v = _mm_cvtsi32_si128(*p);
    v = _mm_insert_epi8(v, p[stride], 1);
    v = _mm_insert_epi8(v, p[2 * stride], 2);
    v = _mm_insert_epi8(v, p[3 * stride], 3);
    v = _mm_insert_epi8(v, h[0], 4);
    v = _mm_insert_epi8(v, h[stride], 5);
    v = _mm_insert_epi8(v, h[2 * stride], 6);
    v = _mm_insert_epi8(v, h[3 * stride], 7);
    __m256i e = _mm256_cvtepu8_epi32(v), normal = _mm256_slli_epi32(_mm256_sub_epi32(e, _mm256_set1_epi32(1)), 23);
    __m256i subnormal = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), e);
    return _mm256_castsi256_ps(_mm256_blendv_epi8(normal, subnormal, _mm256_cmpgt_epi32(_mm256_set1_epi32(2), e)));
}

/* Four activations, the same in every dword. */
SL__INLINE __m256i sl__four(const int8_t *q) { return _mm256_set1_epi32(sl__load32(q)); }

/* Eight activations, the same in every 64 bits. */
SL__INLINE __m256i sl__eight(const int8_t *q) {
    int64_t v;
    memcpy(&v, q, sizeof v);
    return _mm256_set1_epi64x(v);
}

SL__INLINE __m256i sl__low_nibbles(__m256i v) { return _mm256_and_si256(v, _mm256_set1_epi8(15)); }
SL__INLINE __m256i sl__high_nibbles(__m256i v) {
    return _mm256_and_si256(_mm256_srli_epi16(v, 4), _mm256_set1_epi8(15));
}

/* Eight bytes from the nibbles of a block of 32: values 8 i … 8 i + 7 (low nibbles are the first sixteen). */
SL__INLINE __m128i sl__nibbles8(const uint8_t *nibbles, int i) {
    __m128i v = _mm_loadl_epi64((const __m128i *)(const void *)(nibbles + 8 * (i % 2)));
    return _mm_and_si128(i / 2 ? _mm_srli_epi16(v, 4) : v, _mm_set1_epi8(15));
}

/* The low eight bytes, unsigned, plus `add`, as floats. */
SL__INLINE __m256 sl__bytes8(__m128i bytes, int add) {
    return _mm256_cvtepi32_ps(_mm256_add_epi32(_mm256_cvtepu8_epi32(bytes), _mm256_set1_epi32(add)));
}

/* The tree of 16 lanes (kernels.h), lanes 0-7 in low, 8-15 in high. */
SL__INLINE float sl__lanes_total(__m256 low, __m256 high) {
    __m256 s8 = _mm256_add_ps(low, high);
    __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
    __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
    return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}

/* The tree of 16 lanes for eight positions at once, from its second step on: v[p] is position p's lanes l plus l + 8. Lane p
 * of the result is position p's total. */
SL__INLINE __m256 sl__totals8(const __m256 *v) {
    __m256 a[4], b[2];
    SL__UNROLL for (int i = 0; i < 4; i++) /* lanes: position i | position i + 4 */
        a[i] = _mm256_add_ps(_mm256_permute2f128_ps(v[i], v[i + 4], 0x20), _mm256_permute2f128_ps(v[i], v[i + 4], 0x31));
    SL__UNROLL for (int i = 0; i < 2; i++) /* positions 2 i, 2 i, 2 i + 1, 2 i + 1 | + 4 */
        b[i] = _mm256_add_ps(_mm256_shuffle_ps(a[2 * i], a[2 * i + 1], 0x44), _mm256_shuffle_ps(a[2 * i], a[2 * i + 1], 0xee));
    return _mm256_add_ps(_mm256_shuffle_ps(b[0], b[1], 0x88), _mm256_shuffle_ps(b[0], b[1], 0xdd));
}

/* The first n (0 … 8) lanes are on. */
SL__INLINE __m256i sl__first_lanes(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* All ones in lanes first … last - 1. */
SL__INLINE __m256i sl__lanes_between(int first, int last) {
    return _mm256_andnot_si256(sl__first_lanes(first), sl__first_lanes(last));
}

/* sl_expf eight times: the same operations (base/fmath.c). */
SL__INLINE __m256 sl__exp8(__m256 x) {
    const __m256 magic = _mm256_set1_ps(0x1.8p+23f), one = _mm256_set1_ps(1.0f);
    x = _mm256_max_ps(_mm256_set1_ps(-104.0f), x);
    x = _mm256_min_ps(_mm256_set1_ps(89.0f), x);
    __m256 t = _mm256_fmadd_ps(x, _mm256_set1_ps(0x1.715476p+0f), magic);
    __m256i k = _mm256_sub_epi32(_mm256_castps_si256(t), _mm256_set1_epi32(0x4B400000));
    __m256 n = _mm256_sub_ps(t, magic);
    __m256 r = _mm256_fmadd_ps(n, _mm256_set1_ps(-0x1.62e43p-1f), x);
    r = _mm256_fmadd_ps(n, _mm256_set1_ps(0x1.05c610p-29f), r);
    __m256 p = _mm256_set1_ps(0x1.6a2352p-10f);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.123a6cp-7f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.5558f4p-5f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.555490p-3f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.fffffcp-2f));
    p = _mm256_fmadd_ps(p, r, one);
    p = _mm256_fmadd_ps(p, r, one);
    __m256i a = _mm256_srai_epi32(k, 1), b = _mm256_sub_epi32(k, a), bias = _mm256_set1_epi32(127);
    p = _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(a, bias), 23)));
    return _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(b, bias), 23)));
}

/* x / (1 + e^-z). */
SL__INLINE __m256 sl__times_sigmoid8(__m256 x, __m256 z) {
    __m256 e = sl__exp8(_mm256_xor_ps(z, _mm256_set1_ps(-0.0f)));
    return _mm256_div_ps(x, _mm256_add_ps(_mm256_set1_ps(1.0f), e));
}

/* sl_exp2f eight times: the same operations (base/fmath.c). */
SL__INLINE __m256 sl__exp2_8(__m256 x) {
    const __m256 magic = _mm256_set1_ps(0x1.8p+23f), one = _mm256_set1_ps(1.0f);
    x = _mm256_max_ps(_mm256_set1_ps(-126.0f), x);
    __m256 t = _mm256_add_ps(x, magic);
    __m256 r = _mm256_sub_ps(x, _mm256_sub_ps(t, magic));
    __m256 p = _mm256_set1_ps(0x1.5bba14p-10f);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.3cea88p-7f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.c6b752p-5f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.ebf9bcp-3f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.62e42ap-1f));
    p = _mm256_fmadd_ps(p, r, one);
    __m256i power = _mm256_add_epi32(_mm256_slli_epi32(_mm256_castps_si256(t), 23), _mm256_castps_si256(one));
    return _mm256_mul_ps(p, _mm256_castsi256_ps(power));
}

#endif

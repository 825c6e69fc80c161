/* internal.h: what the files of kernels/ share: the tiers' functions and tables, and how a block's numbers are read.
 * Pure; workers.
 *
 * Tier files are built with flags that other CPUs cannot execute. Every function with a body in a header that they
 * include must therefore be static: a copy that the linker shares could be the one with those instructions. */
#ifndef SL_KERNELS_INTERNAL_H
#define SL_KERNELS_INTERNAL_H

#include "kernels/kernels.h"

#include "base/bits.h"

#include <stdint.h>
#include <string.h>

extern const sl_kernel_table sl__kernels_scalar;
extern const sl_kernel_table sl__kernels_avx2;
extern const sl_kernel_table sl__kernels_avx_vnni;
extern const sl_kernel_table sl__kernels_avx512;

/* float_gemm.c: the product of the types in SL_FLOAT_TYPES on every tier, with the tier's own widening. */
void sl__float_gemm(const sl_matrix *w, int first, int last, const sl_acts *x, const int32_t *row, int n, float *out,
                    size_t out_stride, void *scratch, sl_widen_fn *widen);

/* --- What a tier defines, and its table. The function of operation f on tier t is sl__f_t: sl__q4_k_gemm_avx2. --- */

/* A type's product, and its product and widening. */
#define SL__DECLARE_GEMM(name, file, id, values, bytes, tier) sl_gemm_fn sl__##file##_gemm_##tier;
#define SL__DECLARE_TYPE(name, file, id, values, bytes, tier)                                                          \
    SL__DECLARE_GEMM(name, file, id, values, bytes, tier)                                                              \
    sl_widen_fn sl__##file##_widen_##tier;

/* Operations on floats, each of the type sl_<name>_fn and an entry <name> of the table; those that vectors wider than
 * AVX2's make faster stand apart. */
#define SL__OPERATIONS(X, tier)                                                                                        \
    X(quantize, tier)                                                                                                  \
    X(dot, tier)                                                                                                       \
    X(rmsnorm, tier)                                                                                                   \
    X(softmax, tier)                                                                                                   \
    X(swiglu, tier)                                                                                                    \
    X(clamped, tier)                                                                                                   \
    X(geglu, tier)                                                                                                     \
    X(gated, tier)                                                                                                     \
    X(cap, tier)                                                                                                       \
    X(add, tier)                                                                                                       \
    X(axpy, tier)                                                                                                      \
    X(axpby, tier)                                                                                                     \
    X(rope, tier)                                                                                                      \
    X(conv, tier)                                                                                                      \
    X(logsumexp, tier)                                                                                                 \
    X(limit_read, tier)
#define SL__WIDE_OPERATIONS(X, tier)                                                                                   \
    X(dots, tier)                                                                                                      \
    X(delta, tier)                                                                                                     \
    X(limit_multiply, tier)
#define SL__DECLARE(name, tier) sl_##name##_fn sl__##name##_##tier;

/* All that a tier with a table of its own declares; and what one declares that takes the rest from a narrower tier: products
 * alone, or what gains from wider vectors too. */
#define SL__DECLARE_TIER(tier)                                                                                         \
    SL_FLOAT_TYPES(SL__DECLARE_TYPE, tier)                                                                             \
    SL_QUANTISED_TYPES(SL__DECLARE_TYPE, tier)                                                                         \
    SL_PLANE_TYPES(SL__DECLARE_GEMM, tier)                                                                             \
    SL__OPERATIONS(SL__DECLARE, tier)                                                                                  \
    SL__WIDE_OPERATIONS(SL__DECLARE, tier)                                                                             \
    sl_kv_store_fn sl__kv_store_i16_##tier, sl__kv_store_f32_##tier;                                                   \
    sl_query_fn sl__query_i16_##tier, sl__query_f32_##tier;                                                            \
    sl_attend_fn sl__attend_i16_##tier, sl__attend_f32_##tier
#define SL__DECLARE_PRODUCTS(tier) SL__DECLARE_PRODUCTS_OF(tier) /* the tier may be a macro */
#define SL__DECLARE_PRODUCTS_OF(tier)                                                                                  \
    SL_QUANTISED_TYPES(SL__DECLARE_GEMM, tier)                                                                         \
    SL_PLANE_TYPES(SL__DECLARE_GEMM, tier)                                                                             \
    sl_limit_multiply_fn sl__limit_multiply_##tier
#define SL__DECLARE_WIDE_TIER(tier)                                                                                    \
    SL_QUANTISED_TYPES(SL__DECLARE_GEMM, tier)                                                                         \
    SL_PLANE_TYPES(SL__DECLARE_GEMM, tier)                                                                             \
    SL__WIDE_OPERATIONS(SL__DECLARE, tier)                                                                             \
    sl_attend_fn sl__attend_i16_##tier

/* The table of a tier that takes from `base` what it does not define itself; a tier with everything is its own base. */
#define SL__GEMM_ENTRY(name, file, id, values, bytes, tier) [SL_TYPE_##name] = sl__##file##_gemm_##tier,
#define SL__WIDEN_ENTRY(name, file, id, values, bytes, tier) [SL_TYPE_##name] = sl__##file##_widen_##tier,
#define SL__ENTRY(name, tier) .name = sl__##name##_##tier,
#define SL__TABLE(tier_, base)                                                                                         \
    {                                                                                                                  \
        .tier = #tier_,                                                                                                \
        .gemm = {SL_FLOAT_TYPES(SL__GEMM_ENTRY, base) SL_QUANTISED_TYPES(SL__GEMM_ENTRY, tier_)                        \
                 SL_PLANE_TYPES(SL__GEMM_ENTRY, tier_)},                                                               \
        .widen = {SL_FLOAT_TYPES(SL__WIDEN_ENTRY, base) SL_QUANTISED_TYPES(SL__WIDEN_ENTRY, base)},                    \
        SL__OPERATIONS(SL__ENTRY, base) SL__WIDE_OPERATIONS(SL__ENTRY, tier_)                                          \
        .kv_store = {[SL_KV_I16] = sl__kv_store_i16_##base, [SL_KV_F32] = sl__kv_store_f32_##base},                    \
        .query = {[SL_KV_I16] = sl__query_i16_##base, [SL_KV_F32] = sl__query_f32_##base},                             \
        .attend = {[SL_KV_I16] = sl__attend_i16_##tier_, [SL_KV_F32] = sl__attend_f32_##base},                         \
    }

/* Defines the products of the types in SL_FLOAT_TYPES on a tier. */
#define SL__FLOAT_GEMM(name, file, id, values, bytes, tier)                                                            \
    void sl__##file##_gemm_##tier(const sl_matrix *w, int first, int last, const sl_acts *x, const int32_t *row, int n, \
                                  float *out, size_t out_stride, void *scratch, const void *next) {                    \
        (void)next;                                                                                                    \
        sl__float_gemm(w, first, last, x, row, n, out, out_stride, scratch, sl__##file##_widen_##tier);                \
    }

/* Widens a type on a tier as scalar does: rows of embeddings are few beside the products, whatever they take. */
#define SL__WIDEN_AS_SCALAR(type, tier)                                                                                \
    sl_widen_fn sl__##type##_widen_scalar;                                                                             \
    void sl__##type##_widen_##tier(const void *row, int cols, float *out) { sl__##type##_widen_scalar(row, cols, out); }

/* --- How numbers of a block are read --- */

/* IEEE half to float, exact; a NaN becomes quiet and keeps its payload, as the instruction of the tiers does it. */
static inline float sl__half_float(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = h & 0x7fff;
    if (rest >= 0x7c00) return sl_bits_float(sign | 0x7f800000u | (rest & 0x3ff) << 13 | (rest > 0x7c00 ? 0x400000u : 0u));
    if (rest >= 0x0400) return sl_bits_float(sign | ((rest << 13) + (112u << 23)));
    return sl_bits_float(sign | sl_float_bits((float)rest * 0x1p-24f)); /* zero or subnormal */
}

/* Little-endian 16 bits at any address. */
static inline uint16_t sl__load16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }

static inline float sl__load_half(const uint8_t *p) { return sl__half_float(sl__load16(p)); }

/* MXFP4: 2^(e - 128), half of what a block's power of two is, since its values are doubled. ggml gives 255, which the format
 * has for NaN, no meaning of its own, and so it is 2^127 here too. The two smallest are subnormal. */
static inline float sl__e8m0_half(uint8_t e) {
    return sl_bits_float(e < 2 ? UINT32_C(0x00200000) << e : (uint32_t)(e - 1) << 23);
}

/* Gelu by its tanh formula: (1 + tanh(v)) / 2 is 1 / (1 + e^-2v), and 2 v = x * (SLOPE + CUBE * x^2): twice the root of 2 / pi,
 * and 0.044715 times that. */
#define SL__GELU_SLOPE 1.5957691216057308f
#define SL__GELU_CUBE 0.0713548162726009f

/* Q4_K and Q5_K: six-bit scale and minimum of sub-block j (0 … 7) from its twelve bytes: 0-3 scales 0-3, 4-7 minima 0-3, each
 * with two top bits of number 4-7 above; 8-11 the low nibbles of scales (low) and minima (high) 4-7. */
static inline void sl__q4_k_scale(const uint8_t *s, int j, int *ret_scale, int *ret_min) {
    if (j < 4) {
        *ret_scale = s[j] & 63;
        *ret_min = s[j + 4] & 63;
    } else {
        *ret_scale = (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
        *ret_min = s[j + 4] >> 4 | (s[j] >> 6) << 4;
    }
}

static inline int sl__act_row(const int32_t *row, int i) { return row ? row[i] : i; }

#endif

/* internal.h: what the files of kernels/ share: the tiers' tables, and how a block's numbers are read.
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
extern const sl_kernel_table sl__kernels_avx512;

/* float_gemm.c: F32, F16 and BF16 matrices on every tier. */
sl_gemm_fn sl__float_gemm;

/* What each tier defines; `tier` is scalar, avx2, … */
#define SL__DECLARE_TIER(tier)                                                                                         \
    sl_gemm_fn sl__q4_0_gemm_##tier, sl__q4_1_gemm_##tier, sl__q8_0_gemm_##tier, sl__q4_k_gemm_##tier,                 \
        sl__q6_k_gemm_##tier;                                                                                          \
    void sl__f32_widen_##tier(const void *row, int cols, float *out);                                                  \
    void sl__f16_widen_##tier(const void *row, int cols, float *out);                                                  \
    void sl__bf16_widen_##tier(const void *row, int cols, float *out);                                                 \
    void sl__q4_0_widen_##tier(const void *row, int cols, float *out);                                                 \
    void sl__q4_1_widen_##tier(const void *row, int cols, float *out);                                                 \
    void sl__q8_0_widen_##tier(const void *row, int cols, float *out);                                                 \
    void sl__q4_k_widen_##tier(const void *row, int cols, float *out);                                                 \
    void sl__q6_k_widen_##tier(const void *row, int cols, float *out);                                                 \
    void sl__quantize_##tier(const float *x, int cols, int8_t *q, float *scale, int16_t *sum, float *total);           \
    float sl__dot_##tier(const float *a, const float *b, int n);                                                       \
    void sl__dots_##tier(const float *w, int count, const float *x, int rows, int n, float *out, size_t out_stride);   \
    void sl__rmsnorm_##tier(const float *x, const float *weight, int n, float eps, float *out);                        \
    void sl__softmax_##tier(float *x, int n);                                                                          \
    void sl__swiglu_##tier(const float *gate, const float *up, int n, float *out);                                     \
    void sl__add_##tier(float *y, const float *x, int n);                                                              \
    void sl__axpy_##tier(float *y, float a, const float *x, int n);                                                    \
    void sl__rope_##tier(float *x, const float *cosines, const float *sines, int half, int interleaved);               \
    uint64_t sl__limit_read_##tier(const void *p, size_t bytes);                                                       \
    double sl__limit_multiply_##tier(int passes, float *ret);                                                          \
    float sl__logsumexp_##tier(const float *x, int n, float *ret_max);                                                 \
    void sl__axpby_##tier(float *y, float b, const float *x, float a, int n);                                          \
    sl_kv_store_fn sl__kv_store_i16_##tier, sl__kv_store_f32_##tier;                                                   \
    sl_query_fn sl__query_i16_##tier, sl__query_f32_##tier;                                                            \
    sl_attend_fn sl__attend_i16_##tier, sl__attend_f32_##tier

/* The entries of a table: those that are no matrix products; among them those that wider vectors make faster; and all. */
#define SL__TABLE_FLOATS(tier_)                                                                                        \
    .widen = {[SL_TYPE_F32] = sl__f32_widen_##tier_,                                                                   \
              [SL_TYPE_F16] = sl__f16_widen_##tier_,                                                                   \
              [SL_TYPE_BF16] = sl__bf16_widen_##tier_,                                                                 \
              [SL_TYPE_Q4_0] = sl__q4_0_widen_##tier_,                                                                 \
              [SL_TYPE_Q4_1] = sl__q4_1_widen_##tier_,                                                                 \
              [SL_TYPE_Q8_0] = sl__q8_0_widen_##tier_,                                                                 \
              [SL_TYPE_Q4_K] = sl__q4_k_widen_##tier_,                                                                 \
              [SL_TYPE_Q6_K] = sl__q6_k_widen_##tier_},                                                                \
    .quantize = sl__quantize_##tier_, .dot = sl__dot_##tier_, .rmsnorm = sl__rmsnorm_##tier_,                          \
    .softmax = sl__softmax_##tier_, .swiglu = sl__swiglu_##tier_, .add = sl__add_##tier_,                              \
    .axpy = sl__axpy_##tier_, .axpby = sl__axpby_##tier_, .rope = sl__rope_##tier_,                                    \
    .kv_store = {[SL_KV_I16] = sl__kv_store_i16_##tier_, [SL_KV_F32] = sl__kv_store_f32_##tier_},                      \
    .query = {[SL_KV_I16] = sl__query_i16_##tier_, [SL_KV_F32] = sl__query_f32_##tier_},                               \
    .attend[SL_KV_F32] = sl__attend_f32_##tier_, .logsumexp = sl__logsumexp_##tier_,                                   \
    .limit_read = sl__limit_read_##tier_
#define SL__TABLE_WIDE(tier_)                                                                                          \
    .dots = sl__dots_##tier_, .attend[SL_KV_I16] = sl__attend_i16_##tier_, .limit_multiply = sl__limit_multiply_##tier_

#define SL__TABLE(tier_)                                                                                               \
    {                                                                                                                  \
        .tier = #tier_,                                                                                                \
        .gemm = {[SL_TYPE_F32] = sl__float_gemm,                                                                       \
                 [SL_TYPE_F16] = sl__float_gemm,                                                                       \
                 [SL_TYPE_BF16] = sl__float_gemm,                                                                      \
                 [SL_TYPE_Q4_0] = sl__q4_0_gemm_##tier_,                                                               \
                 [SL_TYPE_Q4_1] = sl__q4_1_gemm_##tier_,                                                               \
                 [SL_TYPE_Q8_0] = sl__q8_0_gemm_##tier_,                                                               \
                 [SL_TYPE_Q4_K] = sl__q4_k_gemm_##tier_,                                                               \
                 [SL_TYPE_Q6_K] = sl__q6_k_gemm_##tier_},                                                              \
        SL__TABLE_FLOATS(tier_), SL__TABLE_WIDE(tier_)                                                                 \
    }

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

/* Q4_K: six-bit scale and minimum of sub-block j (0 … 7) from its twelve bytes: 0-3 scales 0-3, 4-7 minima 0-3, each
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

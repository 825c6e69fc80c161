/* The quantised products, attention and routers gain from wider vectors; the rest is AVX2's. */
#include "kernels/avx512/floats.h"
#include "kernels/avx512/products.h"

const sl_kernel_table sl__kernels_avx512 = {
    .tier = "avx512",
    .gemm = {[SL_TYPE_F32] = sl__float_gemm,
             [SL_TYPE_F16] = sl__float_gemm,
             [SL_TYPE_BF16] = sl__float_gemm,
             [SL_TYPE_Q4_0] = sl__q4_0_gemm_avx512,
             [SL_TYPE_Q4_1] = sl__q4_1_gemm_avx512,
             [SL_TYPE_Q8_0] = sl__q8_0_gemm_avx512,
             [SL_TYPE_Q4_K] = sl__q4_k_gemm_avx512,
             [SL_TYPE_Q6_K] = sl__q6_k_gemm_avx512},
    SL__TABLE_FLOATS(avx2),
    SL__TABLE_WIDE(avx512),
};

/* The quantised products, attention and routers gain from wider vectors; the rest is AVX2's. */
#include "kernels/avx512/floats.h"
#include "kernels/avx512/products.h"

/* One row of Q8_0: the next panel's lines and this one's, 34 KB each, push one another out of the first-level cache with
 * sixteen rows a panel, but not with eight. */
static void q8_0_gemm(const sl_matrix *w, int first, int last, const sl_acts *x, const int32_t *row, int n, float *out,
                      size_t out_stride, void *scratch, const void *next) {
    sl_gemm_fn *f = n == 1 ? sl__q8_0_gemm_avx2 : sl__q8_0_gemm_avx512;
    f(w, first, last, x, row, n, out, out_stride, scratch, next);
}

const sl_kernel_table sl__kernels_avx512 = {
    .tier = "avx512",
    .gemm = {[SL_TYPE_F32] = sl__float_gemm,
             [SL_TYPE_F16] = sl__float_gemm,
             [SL_TYPE_BF16] = sl__float_gemm,
             [SL_TYPE_Q4_0] = sl__q4_0_gemm_avx512,
             [SL_TYPE_Q4_1] = sl__q4_1_gemm_avx512,
             [SL_TYPE_Q8_0] = q8_0_gemm,
             [SL_TYPE_Q4_K] = sl__q4_k_gemm_avx512,
             [SL_TYPE_Q6_K] = sl__q6_k_gemm_avx512},
    SL__TABLE_FLOATS(avx2),
    SL__TABLE_WIDE(avx512),
};

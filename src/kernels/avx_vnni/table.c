/* AVX-VNNI, which processors without AVX-512 have (Intel's for desktops and laptops since 2021): the products of avx2/, built
 * once more with the instruction that multiplies bytes and sums them in 32 bits (avx2/products.h). The rest is AVX2's, and so
 * are the types with a scale for 16 values, whose sums of sixteen bits are multiplied by it at once: 32 bits would cost more. */
#include "kernels/avx2/lanes.h"

SL__DECLARE_PRODUCTS(avx_vnni);

#define sl__q2_k_gemm_avx_vnni sl__q2_k_gemm_avx2
#define sl__q3_k_gemm_avx_vnni sl__q3_k_gemm_avx2
#define sl__q6_k_gemm_avx_vnni sl__q6_k_gemm_avx2
#define sl__dots_avx_vnni sl__dots_avx2
#define sl__delta_avx_vnni sl__delta_avx2
#define sl__attend_i16_avx_vnni sl__attend_i16_avx2

const sl_kernel_table sl__kernels_avx_vnni = SL__TABLE(avx_vnni, avx2);

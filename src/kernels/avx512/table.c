/* The quantised products, attention and routers gain from wider vectors; the rest is AVX2's. */
#include "kernels/avx512/floats.h"

const sl_kernel_table sl__kernels_avx512 = SL__TABLE(avx512, avx2);

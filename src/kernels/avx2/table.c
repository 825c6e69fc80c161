#include "kernels/avx2/lanes.h"

const sl_kernel_table sl__kernels_avx2 = SL__TABLE(avx2, avx2);

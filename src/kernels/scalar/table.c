#include "kernels/scalar/rows.h"

const sl_kernel_table sl__kernels_scalar = SL__TABLE(scalar, scalar);

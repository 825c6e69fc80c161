/* Q4_K: the block's bytes are in scalar/q4_k.c. */
enum { BYTES = 144, FIVE = 0, NIBBLES = 16 };
#include "kernels/avx2/k_blocks.h"

SL__GEMM(q4_k, SL__TIER)

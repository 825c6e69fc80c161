/* Q5_K: the block's bytes are in scalar/q5_k.c. */
enum { BYTES = 176, FIVE = 1, NIBBLES = 48 };
#include "kernels/avx2/k_blocks.h"

SL__GEMM(q5_k, SL__TIER)

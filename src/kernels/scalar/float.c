/* F32, F16, BF16: plain little-endian numbers, at any address. Their matrix product is float_gemm.c. */
#include "kernels/scalar/rows.h"

void sl__f32_widen_scalar(const void *row, int cols, float *out) { memcpy(out, row, (size_t)cols * sizeof *out); }

void sl__f16_widen_scalar(const void *row, int cols, float *out) {
    const uint8_t *w = row;
    for (int i = 0; i < cols; i++) out[i] = sl__load_half(w + 2 * i);
}

/* BF16: the upper half of a float. */
void sl__bf16_widen_scalar(const void *row, int cols, float *out) {
    const uint8_t *w = row;
    for (int i = 0; i < cols; i++) out[i] = sl_bits_float((uint32_t)sl__load16(w + 2 * i) << 16);
}

SL_FLOAT_TYPES(SL__FLOAT_GEMM, scalar)

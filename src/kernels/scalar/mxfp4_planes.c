/* MXFP4 in two planes, as Hugging Face folders have it: 32 values in 16 bytes of one plane and a byte of the other.
 *   nibbles: value 2 j is the low one of byte j, value 2 j + 1 the high one
 *   apart: exponent e of the power of two 2^(e - 127)
 *   value = 2^(e - 127) * the number that the nibble stands for = sl__e8m0_half(e) * twice that number (SL_FP4_DOUBLED) */
#include "kernels/scalar/rows.h"

static float product(const uint8_t *w, const uint8_t *scales, const int8_t *q, const float *a, int cols) {
    static const int8_t doubled[16] = {SL_FP4_DOUBLED};
    float acc = 0;
    for (int b = 0; b < cols / 32; b++, w += 16, q += 32) {
        int8_t v[32];
        for (int j = 0; j < 32; j++) v[j] = doubled[w[j / 2] >> (4 * (j % 2)) & 15];
        acc = fmaf(sl__e8m0_half(scales[b]) * a[b], (float)sl__integer_dot(v, q, 32), acc);
    }
    return acc;
}

void sl__mxfp4_planes_gemm_scalar(const sl_matrix *w, int first, int last, const sl_acts *x, const int32_t *row, int n, float *out,
                                  size_t out_stride, void *scratch, const void *next) {
    size_t k = (size_t)x->cols;
    (void)scratch, (void)next;
    for (int o = first; o < last; o++)
        for (int i = 0; i < n; i++) {
            size_t r = (size_t)sl__act_row(row, i), at = (size_t)o * w->stride;
            out[(size_t)i * out_stride + (size_t)(o - first)] =
                product(w->data + at, w->apart + at / 16, x->q + r * k, x->scale + r * (k / 32), x->cols);
        }
}

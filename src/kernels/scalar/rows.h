/* rows.h: the walk over output rows and activation rows that the scalar products share.
 * Pure; workers. */
#ifndef SL_KERNELS_SCALAR_ROWS_H
#define SL_KERNELS_SCALAR_ROWS_H

#include "kernels/internal.h"

#include <math.h>

SL__DECLARE_TIER(scalar);

/* One weight row times one activation row of `cols` values: q [cols], a [cols/32] scales, total [cols/32]. */
typedef float sl__row_product(const uint8_t *w, const int8_t *q, const float *a, const float *total, int cols);

static inline void sl__each_product(const sl_matrix *w, int first, int last, const sl_acts *x, const int32_t *row, int n,
                                    float *out, size_t out_stride, sl__row_product *product) {
    size_t k = (size_t)x->cols;
    for (int o = first; o < last; o++) {
        const uint8_t *weights = w->data + (size_t)o * w->stride;
        for (int i = 0; i < n; i++) {
            size_t r = (size_t)sl__act_row(row, i);
            out[(size_t)i * out_stride + (size_t)(o - first)] =
                product(weights, x->q + r * k, x->scale + r * (k / 32), x->total + r * (k / 32), x->cols);
        }
    }
}

/* Defines the product of a type from its product of rows. */
#define SL__SCALAR_GEMM(type, product)                                                                                 \
    void sl__##type##_gemm_scalar(const sl_matrix *w, int first, int last, const sl_acts *x, const int32_t *row, int n, \
                                  float *out, size_t out_stride, void *scratch, const void *next) {                    \
        (void)scratch, (void)next;                                                                                     \
        sl__each_product(w, first, last, x, row, n, out, out_stride, product);                                         \
    }

/* The sum of `count` products. */
static inline int sl__integer_dot(const int8_t *a, const int8_t *b, int count) {
    int sum = 0;
    for (int i = 0; i < count; i++) sum += a[i] * b[i];
    return sum;
}

/* Defines the product and the widening of a type whose blocks of BYTES hold 32 values with a scale. Before it a file defines
 *   unpack(w, v)   the block's 32 values
 *   scale_of(w)    what they are multiplied by */
#define SL__SCALAR_BLOCKS(type)                                                                                        \
    static float product(const uint8_t *w, const int8_t *q, const float *a, const float *total, int cols) {            \
        (void)total;                                                                                                   \
        float acc = 0;                                                                                                 \
        for (int b = 0; b < cols / 32; b++, w += BYTES, q += 32) {                                                     \
            int8_t v[32];                                                                                              \
            unpack(w, v);                                                                                              \
            acc = fmaf(scale_of(w) * a[b], (float)sl__integer_dot(v, q, 32), acc);                                     \
        }                                                                                                              \
        return acc;                                                                                                    \
    }                                                                                                                  \
    SL__SCALAR_GEMM(type, product)                                                                                     \
    void sl__##type##_widen_scalar(const void *row, int cols, float *out) {                                            \
        const uint8_t *w = row;                                                                                        \
        for (int b = 0; b < cols / 32; b++, w += BYTES, out += 32) {                                                   \
            int8_t v[32];                                                                                              \
            unpack(w, v);                                                                                              \
            for (int j = 0; j < 32; j++) out[j] = scale_of(w) * (float)v[j];                                           \
        }                                                                                                              \
    }

#endif

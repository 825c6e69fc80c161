/* planes.h: activations that are being made: the writable side of sl_acts.
 * Workers, each its own rows and ranges; the memory is the step's workspace. */
#ifndef SL_EXPERTS_PLANES_H
#define SL_EXPERTS_PLANES_H

#include "kernels/kernels.h"

typedef struct sl_planes {
    float *f;     /* [rows][cols] */
    int8_t *q;    /* [rows][cols] */
    float *scale; /* [rows][cols / 32] */
    int16_t *sum; /* [rows][cols / 32] */
    float *total; /* [rows][cols / 32] */
    int cols;
} sl_planes;

/* What a kernel reads, beginning at `row`. */
static inline sl_acts sl_planes_acts(const sl_planes *p, int row) {
    size_t at = (size_t)row * (size_t)p->cols, block = (size_t)row * (size_t)(p->cols / 32);
    return (sl_acts){p->f + at, p->q + at, p->scale + block, p->sum + block, p->total + block, p->cols};
}

static inline float *sl_planes_row(const sl_planes *p, int row) { return p->f + (size_t)row * (size_t)p->cols; }

/* Quantises values [first, first + count) of a row, both multiples of 32. */
static inline void sl_planes_quantize(const sl_planes *p, int row, int first, int count) {
    size_t at = (size_t)row * (size_t)p->cols + (size_t)first;
    size_t block = (size_t)row * (size_t)(p->cols / 32) + (size_t)(first / 32);
    sl_kernels()->quantize(p->f + at, count, p->q + at, p->scale + block, p->sum + block, p->total + block);
}

#endif

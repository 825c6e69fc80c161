/* planes.h: activations that are being made: the writable side of sl_acts.
 * Workers, each its own rows and ranges; the memory is the caller's.
 *
 * Six planes of the same rows. f is what was computed; the others are what quantising makes of each 32 values of it, and
 * hold nothing until sl_planes_quantize was called for these values. */
#ifndef SL_KERNELS_PLANES_H
#define SL_KERNELS_PLANES_H

#include "kernels/kernels.h"

#include <stdbool.h>

typedef struct sl_planes {
    float *f;       /* [rows][cols] */
    int8_t *q;      /* [rows][cols] */
    float *scale;   /* [rows][cols / 32] */
    int16_t *sum;   /* [rows][cols / 32] */
    float *total;   /* [rows][cols / 32] */
    int16_t *pairs; /* [rows][cols / 16][2] */
    int cols;       /* a multiple of 32 where they are quantised */
} sl_planes;

/* Bytes that the planes of `values` (rows times cols) values take. false: more than a size_t can say. */
bool sl_planes_bytes(size_t values, size_t *ret);

/* The planes in memory of that size, which begins at a multiple of 64; so does each plane. memory NULL: the pointers are
 * NULL too. */
sl_planes sl_planes_in(void *memory, size_t values, int cols);

/* The planes of rows of another length that begin at value `at`, a multiple of 32. */
static inline sl_planes sl_planes_part(const sl_planes *p, size_t at, int cols) {
    return (sl_planes){p->f + at, p->q + at, p->scale + at / 32, p->sum + at / 32, p->total + at / 32, p->pairs + at / 8, cols};
}

/* What a kernel reads, beginning at `row`. */
static inline sl_acts sl_planes_acts(const sl_planes *p, int row) {
    size_t at = (size_t)row * (size_t)p->cols, block = (size_t)row * (size_t)(p->cols / 32);
    return (sl_acts){p->f + at, p->q + at, p->scale + block, p->sum + block, p->total + block, p->pairs + 4 * block, p->cols};
}

static inline float *sl_planes_row(const sl_planes *p, int row) { return p->f + (size_t)row * (size_t)p->cols; }

/* Quantises values [first, first + count) of a row, both multiples of 32. */
static inline void sl_planes_quantize(const sl_planes *p, int row, int first, int count) {
    size_t at = (size_t)row * (size_t)p->cols + (size_t)first;
    size_t block = (size_t)row * (size_t)(p->cols / 32) + (size_t)(first / 32);
    sl_kernels()->quantize(p->f + at, count, p->q + at, p->scale + block, p->sum + block, p->total + block, p->pairs + 4 * block);
}

#endif

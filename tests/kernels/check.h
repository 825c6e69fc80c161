/* check.h: what the parts of kernel-check share.
 * One thread.
 *
 * A tier is held against scalar bit for bit, on random and on worst-case inputs; scalar is held against the vectors of
 * ggml's C code and against sums in double precision. Inputs end at a page that cannot be read, outputs lie between
 * guard bytes. */
#ifndef SL_TESTS_KERNELS_CHECK_H
#define SL_TESTS_KERNELS_CHECK_H

#include "kernels/kernels.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Counts a failure and prints the first of them. */
void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
extern int failures;
extern long comparisons;

uint64_t random64(void); /* from a fixed seed */
int random_int(int lo, int hi);
float random_normal(void);

/* Memory whose last byte is followed by a page that cannot be touched. */
void *edge(size_t size);
void edge_free(void *p, size_t size);

/* Outputs of `count` floats between guards: guarded_check fails if a guard was written. */
typedef struct guarded {
    unsigned char *block;
    float *f;
    size_t bytes;
} guarded;
guarded guarded_new(size_t bytes);
void guarded_check(const guarded *g, const char *what);
void guarded_free(guarded *g);

/* Equal bits, or both NaN. */
void same_floats(const float *got, const float *want, size_t n, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void same_bytes(const void *got, const void *want, size_t n, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

const sl_kernel_table *scalar_tier(void);

/* A matrix of random blocks. Scales by kind: small, large, of any bits (with infinities and NaN). */
typedef enum scale_kind { SCALES_SMALL, SCALES_LARGE, SCALES_TINY, SCALES_ANY, SCALE_KINDS } scale_kind;
typedef enum fill_kind { FILL_RANDOM, FILL_ZERO, FILL_LOW, FILL_HIGH, FILL_KINDS } fill_kind;
void fill_rows(sl_type type, uint8_t *data, int rows, int cols, size_t stride, scale_kind scales, fill_kind fill);
size_t row_bytes(sl_type type, int cols);
/* Where the half floats of a type's block stand: its scale, -1: the block begins with an exponent instead; a minimum
 * or the like, 0: there is none. */
typedef struct half_places {
    int d, m;
} half_places;
extern const half_places half_of[SL_TYPE_COUNT];

void check_vectors(void);                              /* dequantisation against ggml's vectors */
void check_planes(void);                               /* layout of activations, ranges of output rows */
void check_products(const sl_kernel_table *t);         /* quantised products */
void check_floats(const sl_kernel_table *t);           /* everything on floats, and quantize */
void check_attend(const sl_kernel_table *t);
void check_blas(const sl_kernel_table *t);             /* float products: a row's bits depend on the row alone */
int check_blas_each(const char *self);                 /* the same with each kernel set of OpenBLAS that the CPU runs */
int bench(const sl_kernel_table *t, const char *only); /* NULL: all types */

#endif

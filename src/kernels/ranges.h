/* ranges.h: how the output rows of products are cut into work items.
 * Pure; any thread.
 *
 * An item of a product is a range of output rows. Ranges begin at multiples of SL_PANEL, as the kernels want it; how long
 * they are changes no bit of a result. */
#ifndef SL_KERNELS_RANGES_H
#define SL_KERNELS_RANGES_H

#include "kernels/kernels.h"

/* Output rows first … last - 1. */
typedef struct sl_range {
    int first, last;
} sl_range;

/* The length of the ranges that `rows` output rows in all (of one matrix or of several) are cut into: the longest multiple
 * of SL_PANEL, 16 of them at most, that still makes eight ranges for each thread; otherwise SL_PANEL. Weights stream best
 * in long ranges; many ranges keep every thread busy to the end of a phase. Example: 2048 rows, 2 threads: 128. */
int sl_range_length(size_t rows, int threads);

/* How many ranges of that length a matrix of `rows` rows has; the last one may be shorter. */
static inline int sl_range_count(int rows, int length) { return (rows + length - 1) / length; }

static inline sl_range sl_range_at(int rows, int length, int i) {
    int first = i * length;
    return (sl_range){first, rows - first < length ? rows : first + length};
}

#endif

/* quantise.h: float32 weights to the bytes of the types that are made here, as the peers' quantisers make them.
 * Pure functions; any thread.
 *
 * The bytes are those of ggml's quantize_row_*_ref and, where importance is given, of its quantize_* with a matrix of
 * importance (pinned version in tests/reference/README.md), built without fused multiply-adds. So every sum here has one
 * order: ascending index, each product and each sum rounded to float. A file made here can be compared byte by byte with
 * one that was made there. */
#ifndef SL_CONVERT_QUANTISE_H
#define SL_CONVERT_QUANTISE_H

#include "kernels/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One row of `cols` values, a multiple of the block, to its blocks at `out` (any address).
 * importance [cols]: how much an error of each column matters, at least 0; NULL: nothing is known. Float types, Q8_0 and MXFP4
 * do not use it. The values have to be finite for quantised types (sl_quantise_bad); other ones give blocks without meaning.
 * F16: a value from 65520 on becomes infinite. */
void sl_quantise_row(sl_type type, const float *x, int cols, const float *importance, uint8_t *out);

/* The first value that no quantised type can hold (infinite or NaN); -1: all are finite. */
int64_t sl_quantise_bad(const float *x, size_t count);

#endif

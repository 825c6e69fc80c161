/* internal.h: what the files of sampling/ share.
 * Workers; pure functions on their arguments. */
#ifndef SL_SAMPLING_INTERNAL_H
#define SL_SAMPLING_INTERNAL_H

#include "sampling/sampling.h"

#include <stdint.h>

/* Philox 4x32 with 10 rounds (Salmon, Moraes, Dror, Shaw 2011): 128 bits that depend on (key, counter) alone. */
void sl__philox(const uint32_t counter[4], const uint32_t key[2], uint32_t ret[4]);

/* A number in [0, 1), 53 bits, from (seed, position). */
double sl__uniform(uint64_t seed, uint64_t position);

#define SL_BUCKETS 2048
typedef struct sl__histogram {
    double weight[SL_BUCKETS];
    uint32_t count[SL_BUCKETS];
} sl__histogram;

/* The `most` largest of x [n] in descending order, lower index first on a tie; returns how many there are. */
int sl__select_top(const float *x, int n, int most, sl_logprob *ret);

/* The k-th largest value of x [n], 1 <= k <= n. */
float sl__select_kth(const float *x, int n, int k, sl__histogram *h);

/* One for every so many entries: room for sums. */
#define SL_DRAW_BLOCK 256

/* Keeps the shortest run of the largest weights whose sum reaches share (below 1) of the whole, at least one, lower index
 * first on a tie: moves them and their ids to the front, in their order, and returns how many. w [n], none negative, one
 * positive; block [n / SL_DRAW_BLOCK + 1]. */
int sl__select_nucleus(float *w, int32_t *id, int n, double share, double *block, sl__histogram *h);

/* The index at which the running sum of w [n] passes u of the whole; never one of weight 0.
 * block [n / SL_DRAW_BLOCK + 1]. */
int sl__select_draw(const float *w, int n, double u, double *block);

#endif

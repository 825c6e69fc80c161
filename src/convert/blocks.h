/* blocks.h: the quantisers of single blocks, which quantise.c lists by type, and what they share.
 * Pure functions; any thread.
 *
 * The layout of each type's block is drawn in kernels/scalar/<type>.c; here is how its scales and codes are chosen. */
#ifndef SL_CONVERT_BLOCKS_H
#define SL_CONVERT_BLOCKS_H

#include "base/fmath.h"
#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

/* One block's values x, finite, to its bytes. importance [the block's values]: how much an error of each matters, at least 0;
 * NULL: nothing is known. square: with importance, the mean of the squares of the whole row. */
typedef void sl__quantise_block(const float *x, const float *importance, float square, uint8_t *out);

sl__quantise_block sl__block_q8_0, sl__block_q4_0, sl__block_q4_1, sl__block_q5_0, sl__block_q5_1, sl__block_iq4_nl, sl__block_mxfp4;
sl__quantise_block sl__block_q2_k, sl__block_q3_k, sl__block_q4_k, sl__block_q5_k, sl__block_q6_k, sl__block_iq4_xs;

static inline void sl__put_half(uint8_t *to, float x) {
    uint16_t h = sl_f32_to_f16(x);
    memcpy(to, &h, sizeof h);
}

/* What a reader of the block will see of a scale. */
static inline float sl__get_half(const uint8_t *from) {
    uint16_t h;
    memcpy(&h, from, sizeof h);
    return sl_f16_to_f32(h);
}

static inline float sl__mean_square(const float *x, int n) {
    float sum = 0;
    for (int i = 0; i < n; i++) sum += x[i] * x[i];
    return sum / (float)n;
}

/* How much an error matters: more in important columns, and more for large values. */
static inline void sl__weigh(const float *x, const float *importance, float square, int n, float *weight) {
    for (int i = 0; i < n; i++) weight[i] = importance[i] * sqrtf(square + x[i] * x[i]);
}

/* Sixteen values for codes of four bits: each block of 32 of IQ4_NL, and each sub-block of IQ4_XS. Of the scales that make the
 * largest value one of those near the end of the list, and of the least-squares fit to their codes, the best. 0: x is zero. */
float sl__fit_listed(const float *x, const float *weight);
/* The codes of inverse * x, as nibbles: element j in the low half of byte j, element j + 16 in the high half. */
void sl__put_listed(const float *x, float inverse, uint8_t *to);

#endif

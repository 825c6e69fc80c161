/* internal.h: what the files of convert/ share.
 * Quantisers are pure functions, any thread; the rest belongs to the thread that converts. */
#ifndef SL_CONVERT_INTERNAL_H
#define SL_CONVERT_INTERNAL_H

#include <stdint.h>

/* ---- fit.c: the searches for a scale ----
 * Each rounds n values to codes so that the weighted error is small, and returns the scale that belongs to them. Every sum
 * is over ascending indices in float: another order would choose another candidate where two are nearly equal. */

/* The nearest integer, ties to even, by the addition of 1.5 * 2^23, whose low mantissa bits then are the integer: right for
 * |x| < 2^22. Larger values and NaN give some integer, always the same one. */
int sl__nearest(float x);

/* x is about scale * code - *ret_min, code in 0 … most, scale and min at least 0: a least-squares fit from steps + 1 starting
 * points (least + step * i + most) / range. n is at most 32. */
float sl__fit_scale_min(int n, int most, const float *x, const float *weight, float least, float step, int steps,
                        uint8_t *code, float *ret_min);

/* x is about scale * code, code in -most … most - 1, given out as code + most (all 0 where x is nothing but zeros): the best of 19 scales.
 * weight NULL: x^2. */
float sl__fit_scale(int n, int most, const float *x, const float *weight, uint8_t *code);

/* x, at least 0, is about scale * code, code in 0 … most: the best of nine scales, then each code by itself while that
 * helps, at most five times around. */
float sl__fit_positive(int n, int most, const float *x, const float *weight, uint8_t *code);

#endif

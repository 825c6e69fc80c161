/* fmath.h: elementary functions in float with the same bits on every machine (libm chooses its versions by CPU).
 * Any thread; pure.
 *
 * Each is a fixed sequence of IEEE operations and fmaf, so scalar and vector versions can agree bit for bit. The vector
 * tiers repeat exactly these sequences. Errors below 2 ulp over the range stated; held against MPFR-quality references
 * (computed in long double) in tests/unit/base/fmath.c. */
#ifndef SL_BASE_FMATH_H
#define SL_BASE_FMATH_H

/* e^x. Range reduction by ln 2 in two parts, polynomial of degree 6. Overflow gives +inf, below -104 gives 0,
 * NaN gives NaN. */
float sl_expf(float x);
/* 2^x for x up to 127, for weights relative to the largest. Polynomial of degree 5, error below 2.1 ulp, 1 at 0.
 * Below -126 gives 2^-126 (nothing beside 1, but not zero), NaN gives NaN. */
float sl_exp2f(float x);
/* Natural logarithm. 0 gives -inf, negative or NaN gives NaN. */
float sl_logf(float x);
/* Sine and cosine of an angle in radians, |x| up to 2^24 (rope: position times frequency): exact enough reduction in
 * double, then a polynomial in double, rounded once. */
void sl_sincosf(float x, float *ret_sin, float *ret_cos);
/* base^(-exponent) style powers at start-up: 2^y and log2(x) in double by fixed sequences; result within 1 ulp of the
 * correctly rounded float. base > 0. */
float sl_powf(float base, float exponent);
double sl_logd(double x); /* natural logarithm in double, fixed sequence, error below 2 ulp; start-up only (rope) */
float sl_sqrtf(float x); /* IEEE square root, correctly rounded */

#endif

/* fmath.h: elementary functions in float with the same bits on every machine (libm chooses its versions by CPU).
 * Any thread; pure.
 *
 * Each is a fixed sequence of IEEE operations and fmaf, written out in fmath.c; the kernels' vector tiers repeat it
 * operation by operation and get the same bits. Unless another error is stated it is below 2 units in the last place;
 * tests/unit/base/fmath.c holds that against long double. */
#ifndef SL_BASE_FMATH_H
#define SL_BASE_FMATH_H

/* e^x. From 89 on +inf, below -104 zero (e^-104 is less than half of the smallest float); NaN gives NaN. */
float sl_expf(float x);
/* 2^x for x up to 127: for weights relative to the largest, which is 2^0 = 1 exactly. Error below 2.1 units in the last place.
 * Below -126 it stays at 2^-126, which is nothing beside 1 but not zero; NaN gives NaN. */
float sl_exp2f(float x);
/* Natural logarithm. 0 gives -inf, a negative number or NaN gives NaN. */
float sl_logf(float x);
/* Sine and cosine of an angle in radians, |x| up to 2^24 (rope: position times frequency). The angle is reduced and the
 * polynomials are computed in double; the results are rounded to float once. */
void sl_sincosf(float x, float *ret_sin, float *ret_cos);
/* base^exponent, base > 0, at start-up: rope's frequencies are 1 / sl_powf(theta, 2j / dims). Computed in double as
 * e^(exponent ln base); within 1 unit in the last place of the correctly rounded float. */
float sl_powf(float base, float exponent);
/* Natural logarithm in double, at start-up. */
double sl_logd(double x);
/* Square root, correctly rounded, as IEEE says. */
float sl_sqrtf(float x);

/* x [n] times a number, each product rounded. */
static inline void sl_scale(float *x, float by, int n) {
    for (int i = 0; i < n; i++) x[i] *= by;
}

#endif

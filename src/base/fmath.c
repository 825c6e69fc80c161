/* fmath.c: fixed sequences. Vector tiers repeat sl_expf, sl_exp2f and sl_logf step by step, one IEEE operation for each operation
 * below, and get the same bits (rounding to nearest, denormals on). NaN stays NaN, its payload is not defined.
 *
 * sl_expf(x):  e^x = 2^n * e^r,  x = n ln2 + r,  |r| <= ln2 / 2
 *   1. x = x < -104 ? -104 : x;  x = x > 89 ? 89 : x        (comparisons; a NaN passes both: max(-104, x), min(89, x))
 *   2. t = fmaf(x, LOG2E, MAGIC)                             MAGIC = 1.5 * 2^23: t's low bits are n rounded to nearest
 *      k = bits(t) - bits(MAGIC)                             32-bit integers; k = n
 *      n = t - MAGIC
 *   3. r = fmaf(n, -LN2_HI, x)                               exact
 *      r = fmaf(n, -LN2_LO, r)
 *   4. p = E6;  p = fmaf(p, r, E5) … E4, E3, E2, 1, 1        Horner: seven coefficients, six fmaf
 *   5. a = k >> 1 (arithmetic);  b = k - a
 *      p = p * float_of_bits((a + 127) << 23)                two factors, so that neither overflows and a denormal
 *      p = p * float_of_bits((b + 127) << 23)                result is rounded once (it is not flushed)
 *   The clamps of step 1 give 0 and +inf by step 5: no further selection.
 *
 * sl_exp2f(x):  2^x = 2^n * 2^r,  x = n + r,  |r| <= 1/2
 *   1. x = x < -126 ? -126 : x                               (a NaN passes: max(-126, x))
 *   2. t = x + MAGIC;  n = t - MAGIC;  r = x - n             exact
 *   3. p = B5;  p = fmaf(p, r, B4) … B1, 1                   Horner: five fmaf
 *   4. p = p * float_of_bits((bits(t) << 23) + bits(1))      the low bits of t are n: MAGIC's leave the top of the word
 *
 * sl_logf(x):  ln x = e ln2 + ln m,  m in [sqrt(1/2), sqrt(2)),  f = m - 1
 *   1. small = x < 2^-126;  y = small ? x * 2^23 : x
 *   2. i = bits(y) - 0x3F3504F3;  e = (float)(i >> 23) (arithmetic);  e = small ? e - 23 : e
 *      m = float_of_bits((i & 0x7FFFFF) + 0x3F3504F3);  f = m - 1
 *   3. z = f * f
 *      p = L8;  p = fmaf(p, f, L7) … L0                      eight fmaf
 *      q = (f * z) * p
 *      q = fmaf(e, LOG_LO, q)
 *      q = fmaf(-0.5, z, q)
 *      q = f + q
 *      q = fmaf(e, LOG_HI, q)
 *   4. q = x == +inf ? +inf : q;  q = x == 0 ? -inf : q;  q = x >= 0 ? q : NaN (negative and NaN) */
#include "base/fmath.h"

#include "base/bits.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t bits_of_double(double x) {
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline double double_of(uint64_t u) {
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

float sl_expf(float x) {
    const float log2e = 0x1.715476p+0f, ln2_hi = 0x1.62e43p-1f, ln2_lo = -0x1.05c610p-29f, magic = 0x1.8p+23f;
    x = x < -104.0f ? -104.0f : x;
    x = x > 89.0f ? 89.0f : x;
    float t = fmaf(x, log2e, magic);
    int32_t k = (int32_t)(sl_float_bits(t) - 0x4B400000u);
    float n = t - magic;
    float r = fmaf(n, -ln2_hi, x);
    r = fmaf(n, -ln2_lo, r);
    float p = 0x1.6a2352p-10f;
    p = fmaf(p, r, 0x1.123a6cp-7f);
    p = fmaf(p, r, 0x1.5558f4p-5f);
    p = fmaf(p, r, 0x1.555490p-3f);
    p = fmaf(p, r, 0x1.fffffcp-2f);
    p = fmaf(p, r, 1.0f);
    p = fmaf(p, r, 1.0f);
    int32_t a = k >> 1, b = k - a;
    p *= sl_bits_float(((uint32_t)a + 127u) << 23);
    p *= sl_bits_float(((uint32_t)b + 127u) << 23);
    return p;
}

float sl_exp2f(float x) {
    const float magic = 0x1.8p+23f;
    x = x < -126.0f ? -126.0f : x;
    float t = x + magic;
    float r = x - (t - magic);
    float p = 0x1.5bba14p-10f;
    p = fmaf(p, r, 0x1.3cea88p-7f);
    p = fmaf(p, r, 0x1.c6b752p-5f);
    p = fmaf(p, r, 0x1.ebf9bcp-3f);
    p = fmaf(p, r, 0x1.62e42ap-1f);
    p = fmaf(p, r, 1.0f);
    return p * sl_bits_float((sl_float_bits(t) << 23) + 0x3F800000u);
}

float sl_logf(float x) {
    const float log_hi = 0.693359375f, log_lo = -2.12194440e-4f;
    int small = x < 0x1p-126f;
    float y = small ? x * 0x1p+23f : x;
    int32_t i = (int32_t)(sl_float_bits(y) - 0x3F3504F3u);
    float e = (float)(i >> 23);
    e = small ? e - 23.0f : e;
    float m = sl_bits_float(((uint32_t)i & 0x7FFFFFu) + 0x3F3504F3u);
    float f = m - 1.0f;
    float z = f * f;
    float p = 0.06746651232242584f;
    p = fmaf(p, f, -0.11675654351711273f);
    p = fmaf(p, f, 0.11888159066438675f);
    p = fmaf(p, f, -0.1240558847784996f);
    p = fmaf(p, f, 0.14219552278518677f);
    p = fmaf(p, f, -0.1666799634695053f);
    p = fmaf(p, f, 0.2000211924314499f);
    p = fmaf(p, f, -0.25000008940696716f);
    p = fmaf(p, f, 0.3333331346511841f);
    float q = (f * z) * p;
    q = fmaf(e, log_lo, q);
    q = fmaf(-0.5f, z, q);
    q = f + q;
    q = fmaf(e, log_hi, q);
    q = x == INFINITY ? INFINITY : q;
    q = x == 0.0f ? -INFINITY : q;
    return x >= 0.0f ? q : NAN;
}

/* pi/2 in two parts: k * hi is exact inside fma, and as x and hi are multiples of 2^-52 (for every float x that has
 * k != 0) so is x - k * hi, which is below 1: the first step is exact. */
void sl_sincosf(float x, float *ret_sin, float *ret_cos) {
    const double two_over_pi = 0x1.45f306dc9c883p-1, hi = 0x1.921fb54442d18p+0, lo = 0x1.1a62633145c07p-54;
    const double magic = 0x1.8p+52;
    double t = fma((double)x, two_over_pi, magic);
    uint64_t quadrant = bits_of_double(t) & 3;
    double k = t - magic;
    double r = fma(-k, hi, (double)x);
    r = fma(-k, lo, r);
    double z = r * r;

    double s = -1.0 / 1307674368000.0; /* Taylor, to r^15 */
    s = fma(s, z, 1.0 / 6227020800.0);
    s = fma(s, z, -1.0 / 39916800.0);
    s = fma(s, z, 1.0 / 362880.0);
    s = fma(s, z, -1.0 / 5040.0);
    s = fma(s, z, 1.0 / 120.0);
    s = fma(s, z, -1.0 / 6.0);
    s = fma(r * z, s, r);

    double c = 1.0 / 20922789888000.0; /* to r^16 */
    c = fma(c, z, -1.0 / 87178291200.0);
    c = fma(c, z, 1.0 / 479001600.0);
    c = fma(c, z, -1.0 / 3628800.0);
    c = fma(c, z, 1.0 / 40320.0);
    c = fma(c, z, -1.0 / 720.0);
    c = fma(c, z, 1.0 / 24.0);
    c = fma(c, z, -0.5);
    c = fma(c, z, 1.0);

    double sine = quadrant & 1 ? c : s, cosine = quadrant & 1 ? s : c;
    *ret_sin = (float)(quadrant & 2 ? -sine : sine);
    *ret_cos = (float)((quadrant + 1) & 2 ? -cosine : cosine);
}

/* ln x = e ln2 + ln(1 + f);  with s = f / (2 + f):  ln(1 + f) = 2 atanh(s) = f - s (f - R),  R = 2 s^2/3 + 2 s^4/5 + … */
double sl_logd(double x) {
    const double ln2_hi = 0x1.62e42fefap-1, ln2_lo = 0x1.cf79abc9e3b3ap-40;
    if (!(x > 0)) return x == 0 ? -(double)INFINITY : (double)NAN;
    if (x == (double)INFINITY) return x;
    int small = x < 0x1p-1022;
    uint64_t i = bits_of_double(small ? x * 0x1p+52 : x) - 0x3FE6A09E667F3BCDu; /* bits of sqrt(1/2) */
    double e = (double)((int64_t)i >> 52) - (small ? 52.0 : 0.0);
    double f = double_of((i & 0xFFFFFFFFFFFFFu) + 0x3FE6A09E667F3BCDu) - 1.0;
    double s = f / (2.0 + f), z = s * s;
    double r = 2.0 / 23.0;
    for (int n = 21; n >= 3; n -= 2) r = fma(r, z, 2.0 / (double)n);
    r *= z;
    double q = fma(e, ln2_lo, -s * (f - r));
    return fma(e, ln2_hi, f + q);
}

/* e^x in double, |x| <= 700. */
static double exp_double(double x) {
    const double log2e = 0x1.71547652b82fep+0, ln2_hi = 0x1.62e42fefap-1, ln2_lo = 0x1.cf79abc9e3b3ap-40;
    const double magic = 0x1.8p+52;
    double t = fma(x, log2e, magic);
    uint64_t k = bits_of_double(t) - bits_of_double(magic);
    double n = t - magic;
    double r = fma(n, -ln2_hi, x);
    r = fma(n, -ln2_lo, r);
    double p = 1.0;
    for (int i = 16; i >= 1; i--) p = fma(p, r / (double)i, 1.0);
    return p * double_of((k + 1023) << 52);
}

float sl_powf(float base, float exponent) {
    double y = (double)exponent * sl_logd((double)base);
    y = y < -200.0 ? -200.0 : y;
    y = y > 200.0 ? 200.0 : y;
    return (float)exp_double(y);
}

float sl_sqrtf(float x) { return sqrtf(x); }

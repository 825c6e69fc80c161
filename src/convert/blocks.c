/* blocks.c: types with blocks of 32 values. */
#include "convert/blocks.h"

#include "convert/internal.h"

#define BLOCK 32

/* The low byte of the integer part, as the reference's conversion to int8 gives it: 0 where that is no int (the inverse of a
 * scale below 2^-128 is infinite). */
static int8_t truncate(float x) { return x > -2147483648.0f && x < 2147483648.0f ? (int8_t)(int32_t)x : 0; }

/* Element j in the low half of byte j, element j + 16 in the high half. */
static void put_nibbles(const uint8_t *code, uint8_t *to) {
    for (int j = 0; j < BLOCK / 2; j++) to[j] = (uint8_t)(code[j] | code[j + BLOCK / 2] << 4);
}

/* Codes belong to the unrounded scale; the file has it as a half float. */
void sl__block_q8_0(const float *x, const float *importance, float square, uint8_t *out) {
    (void)importance, (void)square;
    float largest = 0;
    for (int j = 0; j < BLOCK; j++) largest = largest > fabsf(x[j]) ? largest : fabsf(x[j]);
    float d = largest / 127, inverse = d != 0 ? 1 / d : 0;
    sl__put_half(out, d);
    for (int j = 0; j < BLOCK; j++) out[2 + j] = (uint8_t)truncate(roundf(x[j] * inverse));
}

/* Of a block's values: the first that is largest in size, sign and all. */
static float extreme_of(const float *x) {
    float size = 0, extreme = 0;
    for (int j = 0; j < BLOCK; j++) {
        if (!(size < fabsf(x[j]))) continue;
        size = fabsf(x[j]);
        extreme = x[j];
    }
    return extreme;
}

static void range_of(const float *x, float *ret_lo, float *ret_hi) {
    *ret_lo = *ret_hi = x[0];
    for (int j = 1; j < BLOCK; j++) {
        if (x[j] < *ret_lo) *ret_lo = x[j];
        if (x[j] > *ret_hi) *ret_hi = x[j];
    }
}

/* The extreme value gets code 0, that is -8: the other side ends at 7. */
static void plain_q4_0(const float *x, uint8_t *out) {
    uint8_t code[BLOCK];
    float d = extreme_of(x) / -8, inverse = d != 0 ? 1 / d : 0;
    sl__put_half(out, d);
    for (int j = 0; j < BLOCK; j++) {
        int8_t c = truncate(x[j] * inverse + 8.5f); /* two roundings: not fused */
        code[j] = (uint8_t)(c < 15 ? c : 15);
    }
    put_nibbles(code, out + 2);
}

void sl__block_q4_0(const float *x, const float *importance, float square, uint8_t *out) {
    float weight[BLOCK];
    uint8_t code[BLOCK];
    if (!importance) {
        plain_q4_0(x, out);
        return;
    }
    sl__weigh(x, importance, square, BLOCK, weight);
    sl__put_half(out, sl__fit_scale(BLOCK, 8, x, weight, code));
    put_nibbles(code, out + 2);
}

static void plain_q4_1(const float *x, uint8_t *out) {
    float lo, hi;
    uint8_t code[BLOCK];
    range_of(x, &lo, &hi);
    float d = (hi - lo) / 15, inverse = d != 0 ? 1 / d : 0;
    sl__put_half(out, d);
    sl__put_half(out + 2, lo);
    for (int j = 0; j < BLOCK; j++) {
        int8_t c = truncate((x[j] - lo) * inverse + 0.5f);
        code[j] = (uint8_t)(c < 15 ? c : 15);
    }
    put_nibbles(code, out + 4);
}

void sl__block_q4_1(const float *x, const float *importance, float square, uint8_t *out) {
    float weight[BLOCK], min = 0;
    uint8_t code[BLOCK];
    if (!importance) {
        plain_q4_1(x, out);
        return;
    }
    sl__weigh(x, importance, square, BLOCK, weight);
    sl__put_half(out, sl__fit_scale_min(BLOCK, 15, x, weight, (sl__search){-0.9f, 0.05f, 36, false}, code, &min));
    sl__put_half(out + 2, -min);
    put_nibbles(code, out + 4);
}

/* Codes of five bits: the low four as nibbles, and bit j of 32 little-endian ones for element j. */
static void put_fives(const uint8_t *code, uint8_t *bits, uint8_t *nibbles) {
    uint8_t low[BLOCK];
    memset(bits, 0, BLOCK / 8);
    for (int j = 0; j < BLOCK; j++) {
        low[j] = code[j] & 15;
        bits[j / 8] = (uint8_t)(bits[j / 8] | (code[j] >> 4 & 1) << j % 8);
    }
    put_nibbles(low, nibbles);
}

/* As q4_0: the extreme value gets code 0, that is -16. */
static void plain_q5_0(const float *x, uint8_t *out) {
    uint8_t code[BLOCK];
    float d = extreme_of(x) / -16, inverse = d != 0 ? 1 / d : 0;
    sl__put_half(out, d);
    for (int j = 0; j < BLOCK; j++) {
        int8_t c = truncate(x[j] * inverse + 16.5f);
        code[j] = (uint8_t)(c < 31 ? c : 31);
    }
    put_fives(code, out + 2, out + 6);
}

void sl__block_q5_0(const float *x, const float *importance, float square, uint8_t *out) {
    float weight[BLOCK];
    uint8_t code[BLOCK];
    if (!importance) {
        plain_q5_0(x, out);
        return;
    }
    sl__weigh(x, importance, square, BLOCK, weight);
    sl__put_half(out, sl__fit_scale(BLOCK, 16, x, weight, code));
    put_fives(code, out + 2, out + 6);
}

static void plain_q5_1(const float *x, uint8_t *out) {
    float lo, hi;
    uint8_t code[BLOCK];
    range_of(x, &lo, &hi);
    float d = (hi - lo) / 31, inverse = d != 0 ? 1 / d : 0;
    sl__put_half(out, d);
    sl__put_half(out + 2, lo);
    for (int j = 0; j < BLOCK; j++) code[j] = (uint8_t)truncate((x[j] - lo) * inverse + 0.5f);
    put_fives(code, out + 4, out + 8);
}

void sl__block_q5_1(const float *x, const float *importance, float square, uint8_t *out) {
    float weight[BLOCK], min = 0;
    uint8_t code[BLOCK];
    if (!importance) {
        plain_q5_1(x, out);
        return;
    }
    sl__weigh(x, importance, square, BLOCK, weight);
    sl__put_half(out, sl__fit_scale_min(BLOCK, 31, x, weight, (sl__search){-0.9f, 0.05f, 36, false}, code, &min));
    sl__put_half(out + 2, -min);
    put_fives(code, out + 4, out + 8);
}

/* --- codes that stand for listed values --- */

static const int8_t listed[16] = {SL_IQ4_VALUES};

/* The code of the listed value that is nearest to x; half way between two it is the larger one. */
static uint8_t nearest_listed(float x) {
    int i = 1;
    if (x <= (float)listed[0]) return 0;
    if (x >= (float)listed[15]) return 15;
    while (i < 15 && !(x < (float)listed[i])) i++; /* to the end for what is no number: 0 / 0 of values that are next to 0 */
    return (uint8_t)(x - (float)listed[i - 1] < (float)listed[i] - x ? i - 1 : i);
}

void sl__put_listed(const float *x, float inverse, uint8_t *to) {
    uint8_t code[BLOCK];
    for (int j = 0; j < BLOCK; j++) code[j] = nearest_listed(inverse * x[j]);
    put_nibbles(code, to);
}

/* Sums over a block of the weighted products of listed values v for inverse * x: of v and x, and of v with itself. */
static void listed_sums(const float *x, const float *weight, float inverse, float *ret_vx, float *ret_vv) {
    *ret_vx = *ret_vv = 0;
    for (int j = 0; j < BLOCK; j++) {
        float v = (float)listed[nearest_listed(inverse * x[j])], w = weight[j];
        *ret_vx += w * v * x[j];
        *ret_vv += w * v * v;
    }
}

float sl__fit_listed(const float *x, const float *weight) {
    enum { TRIES = 7 }; /* on each side of the first, which makes the extreme value the first of the list */
    float extreme = extreme_of(x), vx, vv;
    if (fabsf(extreme) < SL__NOTHING) return 0;
    listed_sums(x, weight, 1 / (-extreme / (float)listed[0]), &vx, &vv);
    float scale = vv > 0 ? vx / vv : 0, best = scale * vx;
    for (int i = -TRIES; i <= TRIES; i++) {
        listed_sums(x, weight, (float)(i + listed[0]) / extreme, &vx, &vv);
        if (!(vv > 0 && vx * vx > best * vv)) continue;
        scale = vx / vv;
        best = scale * vx;
    }
    return scale;
}

void sl__block_iq4_nl(const float *x, const float *importance, float square, uint8_t *out) {
    float weight[BLOCK], sum = 0;
    (void)square; /* the block's own counts */
    for (int j = 0; j < BLOCK; j++) sum += x[j] * x[j];
    if (importance) sl__weigh(x, importance, sum * (2.0f / BLOCK), BLOCK, weight);
    for (int j = 0; j < BLOCK && !importance; j++) weight[j] = x[j] * x[j];
    float scale = sl__fit_listed(x, weight);
    sl__put_half(out, scale);
    sl__put_listed(x, scale != 0 ? 1 / scale : 0, out + 2);
}

/* The exponent is that of the largest value, less the two by which 4 is larger than 1: so that value stands between 4 and 8
 * powers of two, and what is above 6 becomes 6. The logarithm is the C library's, rounding and all, as in the reference. */
void sl__block_mxfp4(const float *x, const float *importance, float square, uint8_t *out) {
    static const int8_t doubled[16] = {SL_FP4_DOUBLED};
    float largest = fabsf(extreme_of(x));
    uint8_t code[BLOCK];
    (void)importance, (void)square;
    out[0] = largest > 0 ? (uint8_t)(int)(floorf(log2f(largest)) - 2 + 127) : 0;
    float half = ldexpf(1, out[0] - 128);
    for (int j = 0; j < BLOCK; j++) {
        float least = fabsf((float)doubled[0] * half - x[j]);
        code[j] = 0;
        for (uint8_t i = 1; i < 16; i++) {
            float off = fabsf((float)doubled[i] * half - x[j]);
            if (!(off < least)) continue;
            least = off;
            code[j] = i;
        }
    }
    put_nibbles(code, out + 1);
}

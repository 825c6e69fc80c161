/* The quantisers: a row of floats to blocks. The layout of each type's block is drawn in kernels/scalar/<type>.c; here is
 * how its scales and codes are chosen. */
#include "convert/quantise.h"

#include "convert/internal.h"
#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

#define BLOCK 32
#define SUPER 256

static void put_half(uint8_t *to, float x) {
    uint16_t h = sl_f32_to_f16(x);
    memcpy(to, &h, sizeof h);
}

static float get_half(const uint8_t *from) {
    uint16_t h;
    memcpy(&h, from, sizeof h);
    return sl_f16_to_f32(h);
}

/* The low byte of the integer part, as the reference's conversion to int8 gives it: 0 where that is no int (the inverse of a
 * scale below 2^-128 is infinite). */
static int8_t truncate(float x) { return x > -2147483648.0f && x < 2147483648.0f ? (int8_t)(int32_t)x : 0; }

/* Element j in the low half of byte j, element j + 16 in the high half. */
static void put_nibbles(const uint8_t *code, uint8_t *to) {
    for (int j = 0; j < BLOCK / 2; j++) to[j] = (uint8_t)(code[j] | code[j + BLOCK / 2] << 4);
}

static float mean_square(const float *x, int n) {
    float sum = 0;
    for (int i = 0; i < n; i++) sum += x[i] * x[i];
    return sum / (float)n;
}

/* How much an error matters: more in important columns, and more for large values. */
static void weigh(const float *x, const float *importance, float square, int n, float *weight) {
    for (int i = 0; i < n; i++) weight[i] = importance[i] * sqrtf(square + x[i] * x[i]);
}

/* Codes belong to the unrounded scale; the file has it as a half float. */
static void q8_0(const float *x, uint8_t *out) {
    float largest = 0;
    for (int j = 0; j < BLOCK; j++) largest = largest > fabsf(x[j]) ? largest : fabsf(x[j]);
    float d = largest / 127, inverse = d != 0 ? 1 / d : 0;
    put_half(out, d);
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
static void q4_0(const float *x, uint8_t *out) {
    uint8_t code[BLOCK];
    float d = extreme_of(x) / -8, inverse = d != 0 ? 1 / d : 0;
    put_half(out, d);
    for (int j = 0; j < BLOCK; j++) {
        int8_t c = truncate(x[j] * inverse + 8.5f); /* two roundings: not fused */
        code[j] = (uint8_t)(c < 15 ? c : 15);
    }
    put_nibbles(code, out + 2);
}

static void q4_0_weighted(const float *x, const float *weight, uint8_t *out) {
    uint8_t code[BLOCK];
    put_half(out, sl__fit_scale(BLOCK, 8, x, weight, code));
    put_nibbles(code, out + 2);
}

static void q4_1(const float *x, uint8_t *out) {
    float lo, hi;
    uint8_t code[BLOCK];
    range_of(x, &lo, &hi);
    float d = (hi - lo) / 15, inverse = d != 0 ? 1 / d : 0;
    put_half(out, d);
    put_half(out + 2, lo);
    for (int j = 0; j < BLOCK; j++) {
        int8_t c = truncate((x[j] - lo) * inverse + 0.5f);
        code[j] = (uint8_t)(c < 15 ? c : 15);
    }
    put_nibbles(code, out + 4);
}

static void q4_1_weighted(const float *x, const float *weight, uint8_t *out) {
    uint8_t code[BLOCK];
    float min = 0;
    put_half(out, sl__fit_scale_min(BLOCK, 15, x, weight, -0.9f, 0.05f, 36, code, &min));
    put_half(out + 2, -min);
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
static void q5_0(const float *x, uint8_t *out) {
    uint8_t code[BLOCK];
    float d = extreme_of(x) / -16, inverse = d != 0 ? 1 / d : 0;
    put_half(out, d);
    for (int j = 0; j < BLOCK; j++) {
        int8_t c = truncate(x[j] * inverse + 16.5f);
        code[j] = (uint8_t)(c < 31 ? c : 31);
    }
    put_fives(code, out + 2, out + 6);
}

static void q5_0_weighted(const float *x, const float *weight, uint8_t *out) {
    uint8_t code[BLOCK];
    put_half(out, sl__fit_scale(BLOCK, 16, x, weight, code));
    put_fives(code, out + 2, out + 6);
}

static void q5_1(const float *x, uint8_t *out) {
    float lo, hi;
    uint8_t code[BLOCK];
    range_of(x, &lo, &hi);
    float d = (hi - lo) / 31, inverse = d != 0 ? 1 / d : 0;
    put_half(out, d);
    put_half(out + 2, lo);
    for (int j = 0; j < BLOCK; j++) code[j] = (uint8_t)truncate((x[j] - lo) * inverse + 0.5f);
    put_fives(code, out + 4, out + 8);
}

static void q5_1_weighted(const float *x, const float *weight, uint8_t *out) {
    uint8_t code[BLOCK];
    float min = 0;
    put_half(out, sl__fit_scale_min(BLOCK, 31, x, weight, -0.9f, 0.05f, 36, code, &min));
    put_half(out + 2, -min);
    put_fives(code, out + 4, out + 8);
}

/* Eight scales and eight mins of 6 bits in 12 bytes: of sub-blocks 0 … 3 in the low bits of bytes 0 … 3 and 4 … 7; of the
 * others the low 4 bits in bytes 8 … 11, the high 2 bits above the first ones. */
static void put_scales(const uint8_t scale[8], const uint8_t min[8], uint8_t *to) {
    for (int j = 0; j < 4; j++) {
        to[j] = (uint8_t)(scale[j] | scale[j + 4] >> 4 << 6);
        to[j + 4] = (uint8_t)(min[j] | min[j + 4] >> 4 << 6);
        to[j + 8] = (uint8_t)((scale[j + 4] & 15) | (min[j + 4] & 15) << 4);
    }
}

static void get_scale(const uint8_t *from, int j, int *ret_scale, int *ret_min) {
    *ret_scale = j < 4 ? from[j] & 63 : (from[j + 4] & 15) | from[j - 4] >> 6 << 4;
    *ret_min = j < 4 ? from[j + 4] & 63 : from[j + 4] >> 4 | from[j] >> 6 << 4;
}

/* Q4_K and Q5_K, whose codes go to `most`, 15 or 31. Packs scales and mins, then chooses the codes once more, for what a reader
 * of the block will see: the fit with importance can give a code beyond 63, whose upper bits run into its neighbour's in the
 * reference too. Where a scale comes out as 0 the old codes stay. */
static void k_pack(int most, const float *x, const uint8_t scale[8], const uint8_t min[8], uint8_t *code, uint8_t *out) {
    float d = get_half(out), dmin = get_half(out + 2);
    put_scales(scale, min, out + 4);
    for (int j = 0; j < 8; j++) {
        int scale6, min6;
        get_scale(out + 4, j, &scale6, &min6);
        float s = d * (float)scale6, m = dmin * (float)min6;
        if (s == 0) continue;
        for (int i = 32 * j; i < 32 * (j + 1); i++) {
            int l = sl__nearest((x[i] + m) / s);
            code[i] = (uint8_t)(l < 0 ? 0 : l > most ? most : l);
        }
    }
    uint8_t *fifths = out + 16, *nibbles = most > 15 ? out + 48 : out + 16;
    if (most > 15) memset(fifths, 0, 32);
    for (int j = 0; j < 8 && most > 15; j++)
        for (int i = 0; i < 32; i++) fifths[i] = (uint8_t)(fifths[i] | code[32 * j + i] >> 4 << j);
    for (int j = 0; j < 4; j++)
        for (int i = 0; i < 32; i++)
            nibbles[32 * j + i] = (uint8_t)((code[64 * j + i] & 15) | (code[64 * j + 32 + i] & 15) << 4);
}

static uint8_t of_63(float x) {
    int l = (uint8_t)sl__nearest(x);
    return (uint8_t)(l < 63 ? l : 63);
}

static void k_plain(int most, const float *x, uint8_t *out) {
    float scale[8], min[8], largest = 0, largest_min = 0, weight[32];
    uint8_t code[SUPER], scale6[8], min6[8];
    for (int j = 0; j < 8; j++) {
        const float *v = x + 32 * j;
        float mean = sqrtf(mean_square(v, 32));
        for (int i = 0; i < 32; i++) weight[i] = mean + fabsf(v[i]);
        scale[j] = most > 15 ? sl__fit_scale_min(32, most, v, weight, -0.5f, 0.1f, 15, code + 32 * j, &min[j])
                             : sl__fit_scale_min(32, most, v, weight, -1, 0.1f, 20, code + 32 * j, &min[j]);
        if (scale[j] > largest) largest = scale[j];
        if (min[j] > largest_min) largest_min = min[j];
    }
    float inverse = largest > 0 ? 63 / largest : 0, inverse_min = largest_min > 0 ? 63 / largest_min : 0;
    for (int j = 0; j < 8; j++) {
        scale6[j] = of_63(inverse * scale[j]);
        min6[j] = of_63(inverse_min * min[j]);
    }
    put_half(out, largest / 63);
    put_half(out + 2, largest_min / 63);
    k_pack(most, x, scale6, min6, code, out);
}

static void k_weighted(int most, const float *x, const float *importance, uint8_t *out) {
    float scale[8], min[8], total[8], weight[32], sum = 0;
    uint8_t code[SUPER], scale6[8], min6[8];
    for (int i = 0; i < SUPER; i++) sum += x[i] * x[i];
    float square = 2 * sum / SUPER;
    for (int j = 0; j < 8; j++) {
        weigh(x + 32 * j, importance + 32 * j, square, 32, weight);
        total[j] = 0;
        for (int i = 0; i < 32; i++) total[j] += weight[i];
        scale[j] = sl__fit_scale_min(32, most, x + 32 * j, weight, -0.9f, 0.05f, 36, code + 32 * j, &min[j]);
    }
    put_half(out, sl__fit_positive(8, 63, scale, total, scale6));
    put_half(out + 2, sl__fit_positive(8, 63, min, total, min6));
    k_pack(most, x, scale6, min6, code, out);
}

/* Bytes 0 … 127 low 4 bits, 128 … 191 high 2 bits, 192 … 207 scales, then d. */
static void q6_k_pack(const uint8_t *code, uint8_t *out) {
    for (int h = 0; h < 2; h++) {
        const uint8_t *c = code + 128 * h;
        uint8_t *low = out + 64 * h, *high = out + 128 + 32 * h;
        for (int i = 0; i < 32; i++) {
            low[i] = (uint8_t)((c[i] & 15) | (c[i + 64] & 15) << 4);
            low[i + 32] = (uint8_t)((c[i + 32] & 15) | (c[i + 96] & 15) << 4);
            high[i] = (uint8_t)(c[i] >> 4 | c[i + 32] >> 4 << 2 | c[i + 64] >> 4 << 4 | c[i + 96] >> 4 << 6);
        }
    }
}

static void q6_k(const float *x, const float *importance, uint8_t *out) {
    float scale[16], size = 0, extreme = 0;
    uint8_t code[SUPER];
    for (int j = 0; j < 16; j++) {
        scale[j] = sl__fit_scale(16, 32, x + 16 * j, importance ? importance + 16 * j : NULL, code + 16 * j);
        if (!(fabsf(scale[j]) > size)) continue;
        size = fabsf(scale[j]);
        extreme = scale[j];
    }
    memset(out, 0, 210);
    if (size < 1e-15f) return;
    float inverse = -128 / extreme;
    put_half(out + 208, 1 / inverse);
    float d = get_half(out + 208);
    for (int j = 0; j < 16; j++) {
        int s = sl__nearest(inverse * scale[j]);
        int8_t kept = (int8_t)(s < 127 ? s : 127);
        out[192 + j] = (uint8_t)kept;
        float step = d * (float)kept;
        if (step == 0) continue;
        for (int i = 16 * j; i < 16 * (j + 1); i++) {
            int l = sl__nearest(x[i] / step);
            code[i] = (uint8_t)((l < -32 ? -32 : l > 31 ? 31 : l) + 32);
        }
    }
    q6_k_pack(code, out);
}

/* Upper half of the float, to the nearest, ties to even; a NaN stays one. */
static uint16_t bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 64);
    return (uint16_t)((bits + (0x7fff + (bits >> 16 & 1))) >> 16);
}

static void floats(sl_type type, const float *x, int cols, uint8_t *out) {
    if (type == SL_TYPE_F32) {
        memcpy(out, x, (size_t)cols * sizeof *x);
        return;
    }
    for (int i = 0; i < cols; i++) {
        uint16_t h = type == SL_TYPE_F16 ? sl_f32_to_f16(x[i]) : bf16(x[i]);
        memcpy(out + 2 * (size_t)i, &h, sizeof h);
    }
}

bool sl_quantise_can(sl_type type) {
    switch (type) {
    case SL_TYPE_Q2_K:
    case SL_TYPE_Q3_K:
    case SL_TYPE_IQ4_NL:
    case SL_TYPE_IQ4_XS:
    case SL_TYPE_MXFP4: return false;
    default: return true;
    }
}

void sl_quantise_row(sl_type type, const float *x, int cols, const float *importance, uint8_t *out) {
    int values = sl_types[type].block_values;
    float weight[BLOCK], square = importance ? mean_square(x, cols) : 0; /* of the whole row; Q4_K and Q5_K have their own */
    if (!sl_types[type].quantised) {
        floats(type, x, cols, out);
        return;
    }
    for (int i = 0; i < cols; i += values, out += sl_types[type].block_bytes) {
        const float *v = x + i, *w = importance ? importance + i : NULL;
        if (w && values == BLOCK) weigh(v, w, square, BLOCK, weight);
        switch (type) {
        case SL_TYPE_Q8_0: q8_0(v, out); break;
        case SL_TYPE_Q4_0: w ? q4_0_weighted(v, weight, out) : q4_0(v, out); break;
        case SL_TYPE_Q4_1: w ? q4_1_weighted(v, weight, out) : q4_1(v, out); break;
        case SL_TYPE_Q5_0: w ? q5_0_weighted(v, weight, out) : q5_0(v, out); break;
        case SL_TYPE_Q5_1: w ? q5_1_weighted(v, weight, out) : q5_1(v, out); break;
        case SL_TYPE_Q4_K: w ? k_weighted(15, v, w, out) : k_plain(15, v, out); break;
        case SL_TYPE_Q5_K: w ? k_weighted(31, v, w, out) : k_plain(31, v, out); break;
        case SL_TYPE_Q6_K: q6_k(v, w, out); break;
        default: break;
        }
    }
}

int64_t sl_quantise_bad(const float *x, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!isfinite(x[i])) return (int64_t)i;
    return -1;
}

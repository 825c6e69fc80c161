/* super_blocks.c: types with blocks of 256 values. */
#include "convert/blocks.h"

#include "convert/internal.h"

#define SUPER 256

/* Codes 0 … most once more, for a scale and a min as the block has them; where the scale is 0 the old ones stay. */
static void code_above(int n, int most, const float *x, float scale, float min, uint8_t *code) {
    for (int i = 0; i < n && scale != 0; i++) {
        int l = sl__nearest((x[i] + min) / scale);
        code[i] = (uint8_t)(l < 0 ? 0 : l > most ? most : l);
    }
}

/* The same for codes around 0: -most … most - 1, given out as code + most. */
static void code_around(int n, int most, const float *x, float scale, uint8_t *code) {
    for (int i = 0; i < n && scale != 0; i++) {
        int l = sl__nearest(x[i] / scale);
        code[i] = (uint8_t)((l < -most ? -most : l > most - 1 ? most - 1 : l) + most);
    }
}

/* Codes of two bits: element i of each half in bits 2 (i / 32) and 2 (i / 32) + 1 of byte i % 32. */
static void put_pairs(const uint8_t *code, uint8_t *to) {
    for (int h = 0; h < 2; h++)
        for (int l = 0; l < 32; l++) {
            const uint8_t *c = code + 128 * h + l;
            to[32 * h + l] = (uint8_t)(c[0] | c[32] << 2 | c[64] << 4 | c[96] << 6);
        }
}

static float sum_of(const float *x, int n) {
    float sum = 0;
    for (int i = 0; i < n; i++) sum += x[i];
    return sum;
}

/* Sixteen scales and mins of four bits, scale in the low half of a byte. */
static void q2_k_plain(const float *x, uint8_t *code, uint8_t *out) {
    float scale[16], min[16], largest = 0, largest_min = 0, weight[16];
    for (int j = 0; j < 16; j++) {
        const float *v = x + 16 * j;
        for (int i = 0; i < 16; i++) weight[i] = fabsf(v[i]);
        scale[j] = sl__fit_scale_min(16, 3, v, weight, (sl__search){-0.5f, 0.1f, 15, true}, code + 16 * j, &min[j]);
        if (scale[j] > largest) largest = scale[j];
        if (min[j] > largest_min) largest_min = min[j];
    }
    for (int j = 0; j < 16; j++) {
        int s = largest > 0 ? sl__nearest(15 / largest * scale[j]) : 0, m = largest_min > 0 ? sl__nearest(15 / largest_min * min[j]) : 0;
        out[j] = (uint8_t)((uint8_t)s | (uint8_t)m << 4);
    }
    sl__put_half(out + 80, largest / 15);
    sl__put_half(out + 82, largest_min / 15);
}

static void q2_k_weighted(const float *x, const float *importance, uint8_t *code, uint8_t *out) {
    float scale[16], min[16], total[16], weight[16], square = sl__mean_square(x, SUPER);
    uint8_t scale4[16], min4[16];
    for (int j = 0; j < 16; j++) {
        sl__weigh(x + 16 * j, importance + 16 * j, square, 16, weight);
        total[j] = sum_of(weight, 16);
        scale[j] = sl__fit_scale_min(16, 3, x + 16 * j, weight, (sl__search){-0.9f, 0.05f, 36, false}, code + 16 * j, &min[j]);
    }
    sl__put_half(out + 80, sl__fit_positive(16, 15, scale, total, scale4));
    sl__put_half(out + 82, sl__fit_positive(16, 15, min, total, min4));
    for (int j = 0; j < 16; j++) out[j] = (uint8_t)(scale4[j] | min4[j] << 4);
}

void sl__block_q2_k(const float *x, const float *importance, float square, uint8_t *out) {
    uint8_t code[SUPER];
    (void)square;
    if (importance) q2_k_weighted(x, importance, code, out);
    else q2_k_plain(x, code, out);
    float d = sl__get_half(out + 80), dmin = sl__get_half(out + 82);
    for (int j = 0; j < 16; j++) code_above(16, 3, x + 16 * j, d * (float)(out[j] & 15), dmin * (float)(out[j] >> 4), code + 16 * j);
    put_pairs(code, out + 16);
}

/* Scales of six bits, 0 … 63, that stand for -32 … 31. Returns what they are multiplied by. */
static float q3_k_scales(const float scale[16], uint8_t six[16]) {
    float extreme = 0;
    memset(six, 0, 16);
    for (int j = 0; j < 16; j++)
        if (fabsf(scale[j]) > fabsf(extreme)) extreme = scale[j];
    if (extreme == 0) return 0;
    float inverse = -32 / extreme;
    for (int j = 0; j < 16; j++) {
        int l = (int8_t)sl__nearest(inverse * scale[j]);
        six[j] = (uint8_t)((l < -32 ? -32 : l > 31 ? 31 : l) + 32);
    }
    return 1 / inverse;
}

static float q3_k_weighted(const float *x, const float *importance, uint8_t *code, uint8_t six[16]) {
    float scale[16], total[16], weight[16], square = 0;
    for (int i = 0; i < SUPER; i++) square += x[i] * x[i];
    for (int j = 0; j < 16; j++) {
        sl__weigh(x + 16 * j, importance + 16 * j, 2 * square / SUPER, 16, weight);
        total[j] = sum_of(weight, 16);
        scale[j] = sl__fit_scale(16, 4, x + 16 * j, weight, code + 16 * j);
    }
    return sl__fit_scale(16, 32, scale, total, six);
}

void sl__block_q3_k(const float *x, const float *importance, float square, uint8_t *out) {
    float scale[16];
    uint8_t code[SUPER], six[16];
    (void)square;
    for (int j = 0; j < 16 && !importance; j++) scale[j] = sl__fit_refined(16, 4, x + 16 * j, code + 16 * j);
    sl__put_half(out + 108, importance ? q3_k_weighted(x, importance, code, six) : q3_k_scales(scale, six));
    float d = sl__get_half(out + 108);
    memset(out, 0, 108);
    for (int j = 0; j < 16; j++) {
        code_around(16, 4, x + 16 * j, d * (float)(six[j] - 32), code + 16 * j);
        out[96 + j % 8] = (uint8_t)(out[96 + j % 8] | (six[j] & 15) << 4 * (j / 8));
        out[104 + j % 4] = (uint8_t)(out[104 + j % 4] | six[j] >> 4 << 2 * (j / 4));
    }
    for (int i = 0; i < SUPER; i++) {
        out[i % 32] = (uint8_t)(out[i % 32] | code[i] >> 2 << i / 32);
        code[i] &= 3;
    }
    put_pairs(code, out + 32);
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
    float d = sl__get_half(out), dmin = sl__get_half(out + 2);
    put_scales(scale, min, out + 4);
    for (int j = 0; j < 8; j++) {
        int scale6, min6;
        get_scale(out + 4, j, &scale6, &min6);
        code_above(32, most, x + 32 * j, d * (float)scale6, dmin * (float)min6, code + 32 * j);
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
        float mean = sqrtf(sl__mean_square(v, 32));
        for (int i = 0; i < 32; i++) weight[i] = mean + fabsf(v[i]);
        sl__search from = most > 15 ? (sl__search){-0.5f, 0.1f, 15, false} : (sl__search){-1, 0.1f, 20, false};
        scale[j] = sl__fit_scale_min(32, most, v, weight, from, code + 32 * j, &min[j]);
        if (scale[j] > largest) largest = scale[j];
        if (min[j] > largest_min) largest_min = min[j];
    }
    float inverse = largest > 0 ? 63 / largest : 0, inverse_min = largest_min > 0 ? 63 / largest_min : 0;
    for (int j = 0; j < 8; j++) {
        scale6[j] = of_63(inverse * scale[j]);
        min6[j] = of_63(inverse_min * min[j]);
    }
    sl__put_half(out, largest / 63);
    sl__put_half(out + 2, largest_min / 63);
    k_pack(most, x, scale6, min6, code, out);
}

static void k_weighted(int most, const float *x, const float *importance, uint8_t *out) {
    float scale[8], min[8], total[8], weight[32], sum = 0;
    uint8_t code[SUPER], scale6[8], min6[8];
    for (int i = 0; i < SUPER; i++) sum += x[i] * x[i];
    float square = 2 * sum / SUPER;
    for (int j = 0; j < 8; j++) {
        sl__weigh(x + 32 * j, importance + 32 * j, square, 32, weight);
        total[j] = sum_of(weight, 32);
        scale[j] = sl__fit_scale_min(32, most, x + 32 * j, weight, (sl__search){-0.9f, 0.05f, 36, false}, code + 32 * j, &min[j]);
    }
    sl__put_half(out, sl__fit_positive(8, 63, scale, total, scale6));
    sl__put_half(out + 2, sl__fit_positive(8, 63, min, total, min6));
    k_pack(most, x, scale6, min6, code, out);
}

void sl__block_q4_k(const float *x, const float *importance, float square, uint8_t *out) {
    (void)square; /* the block's own counts */
    if (importance) k_weighted(15, x, importance, out);
    else k_plain(15, x, out);
}

void sl__block_q5_k(const float *x, const float *importance, float square, uint8_t *out) {
    (void)square;
    if (importance) k_weighted(31, x, importance, out);
    else k_plain(31, x, out);
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

void sl__block_q6_k(const float *x, const float *importance, float square, uint8_t *out) {
    float scale[16], size = 0, extreme = 0;
    uint8_t code[SUPER];
    (void)square;
    for (int j = 0; j < 16; j++) {
        scale[j] = sl__fit_scale(16, 32, x + 16 * j, importance ? importance + 16 * j : NULL, code + 16 * j);
        if (!(fabsf(scale[j]) > size)) continue;
        size = fabsf(scale[j]);
        extreme = scale[j];
    }
    memset(out, 0, 210);
    if (size < 1e-15f) return;
    float inverse = -128 / extreme;
    sl__put_half(out + 208, 1 / inverse);
    float d = sl__get_half(out + 208);
    for (int j = 0; j < 16; j++) {
        int s = sl__nearest(inverse * scale[j]);
        int8_t kept = (int8_t)(s < 127 ? s : 127);
        out[192 + j] = (uint8_t)kept;
        code_around(16, 32, x + 16 * j, d * (float)kept, code + 16 * j);
    }
    q6_k_pack(code, out);
}

/* Scales of six bits as in Q3_K; each sub-block's codes are chosen for the scale before it is rounded to a half float. */
void sl__block_iq4_xs(const float *x, const float *importance, float square, uint8_t *out) {
    float scale[8], weight[32], extreme = 0, sum = 0;
    (void)square;
    for (int i = 0; i < SUPER; i++) sum += x[i] * x[i];
    for (int j = 0; j < 8; j++) {
        const float *v = x + 32 * j;
        if (importance) sl__weigh(v, importance + 32 * j, sum * (2.0f / SUPER), 32, weight);
        for (int i = 0; i < 32 && !importance; i++) weight[i] = v[i] * v[i];
        scale[j] = sl__fit_listed(v, weight);
        if (fabsf(scale[j]) > fabsf(extreme)) extreme = scale[j];
    }
    float d = -extreme / 32, inverse = d != 0 ? 1 / d : 0;
    unsigned high = 0;
    memset(out, 0, 8);
    sl__put_half(out, d);
    for (int j = 0; j < 8; j++) {
        int l = sl__nearest(inverse * scale[j]);
        l = l < -32 ? -32 : l > 31 ? 31 : l;
        float step = d * (float)l;
        sl__put_listed(x + 32 * j, step != 0 ? 1 / step : 0, out + 8 + 16 * j);
        out[4 + j / 2] = (uint8_t)(out[4 + j / 2] | ((l + 32) & 15) << 4 * (j % 2));
        high |= (unsigned)(l + 32) >> 4 << 2 * j;
    }
    out[2] = (uint8_t)high;
    out[3] = (uint8_t)(high >> 8);
}

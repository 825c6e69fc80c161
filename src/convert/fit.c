/* The searches for a scale, shared by the quantisers. What they compute is a small weighted least-squares problem; which of
 * the candidates wins is decided by float sums, so their order is part of the result (internal.h). */
#include "convert/internal.h"

#include <math.h>
#include <string.h>

int sl__nearest(float x) {
    float shifted = x + 12582912.0f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    return (int)(bits & 0x7fffff) - 0x400000;
}

static int clamp(int x, int lo, int hi) { return x < lo ? lo : x > hi ? hi : x; }

/* Codes for one scale, and their sums. */
typedef struct sums {
    float l, l2, xl; /* w * code, w * code^2, w * code * x */
} sums;

static sums code_above(int n, int most, const float *x, const float *weight, float inverse, float least, uint8_t *code) {
    sums s = {0, 0, 0};
    for (int i = 0; i < n; i++) {
        int l = clamp(sl__nearest(inverse * (x[i] - least)), 0, most);
        float w = weight[i], wl = w * (float)l;
        code[i] = (uint8_t)l;
        s.l += wl;
        s.l2 += wl * (float)l;
        s.xl += wl * x[i];
    }
    return s;
}

static float error_of(int n, const float *x, const float *weight, const uint8_t *code, float scale, float least, bool absolute) {
    float error = 0;
    for (int i = 0; i < n; i++) {
        float off = scale * (float)code[i] + least - x[i];
        error += weight[i] * (absolute ? fabsf(off) : off * off);
    }
    return error;
}

float sl__fit_scale_min(int n, int most, const float *x, const float *weight, sl__search from, uint8_t *code, float *ret_min) {
    float lo = x[0], hi = x[0], w_sum = weight[0], x_sum = w_sum * x[0];
    uint8_t candidate[32];
    for (int i = 1; i < n; i++) {
        if (x[i] < lo) lo = x[i];
        if (x[i] > hi) hi = x[i];
        w_sum += weight[i];
        x_sum += weight[i] * x[i];
    }
    if (lo > 0) lo = 0;
    *ret_min = -lo;
    if (hi <= lo) {
        memset(code, 0, (size_t)n);
        return 0;
    }
    float inverse = (float)most / (hi - lo), scale = 1 / inverse;
    code_above(n, most, x, weight, inverse, lo, code);
    float best = error_of(n, x, weight, code, scale, lo, from.absolute);
    for (int i = 0; i <= from.steps; i++) {
        /* lo is that of the best candidate so far, not of the values. */
        inverse = (from.least + from.step * (float)i + (float)most) / (hi - lo);
        sums s = code_above(n, most, x, weight, inverse, lo, candidate);
        float d = w_sum * s.l2 - s.l * s.l;
        if (!(d > 0)) continue;
        float slope = (w_sum * s.xl - x_sum * s.l) / d, base = (s.l2 * x_sum - s.l * s.xl) / d;
        if (base > 0) {
            base = 0;
            slope = s.xl / s.l2;
        }
        float error = error_of(n, x, weight, candidate, slope, base, from.absolute);
        if (!(error < best)) continue;
        memcpy(code, candidate, (size_t)n);
        best = error;
        scale = slope;
        lo = base;
    }
    *ret_min = -lo;
    return scale;
}

/* Sums for codes of inverse * x; `code` may be NULL. */
static sums code_around(int n, int most, const float *x, const float *weight, float inverse, uint8_t *code) {
    sums s = {0, 0, 0};
    for (int i = 0; i < n; i++) {
        int l = clamp(sl__nearest(inverse * x[i]), -most, most - 1);
        float w = weight ? weight[i] : x[i] * x[i];
        if (code) code[i] = (uint8_t)(l + most);
        s.xl += w * x[i] * (float)l;
        s.l2 += w * (float)l * (float)l;
    }
    return s;
}

float sl__fit_scale(int n, int most, const float *x, const float *weight, uint8_t *code) {
    float extreme = 0, size = 0;
    for (int i = 0; i < n; i++) {
        if (!(fabsf(x[i]) > size)) continue;
        size = fabsf(x[i]);
        extreme = x[i];
    }
    if (size < SL__NOTHING) {
        memset(code, 0, (size_t)n);
        return 0;
    }
    sums s = code_around(n, most, x, weight, -(float)most / extreme, code);
    float scale = s.l2 != 0 ? s.xl / s.l2 : 0, best = scale * s.xl;
    for (int i = -9; i <= 9; i++) {
        if (i == 0) continue;
        float inverse = -((float)most + 0.1f * (float)i) / extreme;
        s = code_around(n, most, x, weight, inverse, NULL);
        if (!(s.l2 > 0 && s.xl * s.xl > best * s.l2)) continue;
        code_around(n, most, x, weight, inverse, code);
        scale = s.xl / s.l2;
        best = scale * s.xl;
    }
    return scale;
}

float sl__fit_refined(int n, int most, const float *x, uint8_t *code) {
    float extreme = 0;
    for (int i = 0; i < n; i++)
        if (fabsf(x[i]) > fabsf(extreme)) extreme = x[i];
    if (fabsf(extreme) < SL__NOTHING) {
        memset(code, 0, (size_t)n);
        return 0;
    }
    sums s = code_around(n, most, x, NULL, -(float)most / extreme, code);
    for (int round = 0, changed = 1; round < 5 && changed; round++) {
        changed = 0;
        for (int i = 0; i < n; i++) {
            int now = code[i] - most;
            float w = x[i] * x[i], xl = s.xl - w * x[i] * (float)now, l2 = s.l2 - w * (float)now * (float)now;
            if (!(xl > 0)) continue;
            int l = clamp(sl__nearest(x[i] * l2 / xl), -most, most - 1);
            if (l == now) continue;
            xl += w * x[i] * (float)l;
            l2 += w * (float)l * (float)l;
            if (!(l2 > 0 && xl * xl * s.l2 > s.xl * s.xl * l2)) continue;
            code[i] = (uint8_t)(l + most);
            s.xl = xl;
            s.l2 = l2;
            changed = 1;
        }
    }
    return s.l2 > 0 ? s.xl / s.l2 : 0;
}

/* The inverse scale, of nine, with the least weighted error. Codes of the first one are not bounded: at it, none is above `most`. */
static float best_inverse(int n, int most, const float *x, const float *weight, float largest) {
    float best_inverse = (float)most / largest, best = 0;
    float scale = 1 / best_inverse;
    for (int i = 0; i < n; i++) {
        float off = x[i] - scale * (float)(uint8_t)sl__nearest(best_inverse * x[i]);
        best += weight[i] * off * off;
    }
    for (int i = -4; i <= 4; i++) {
        if (i == 0) continue;
        float inverse = (0.1f * (float)i + (float)most) / largest, error = 0;
        scale = 1 / inverse;
        for (int j = 0; j < n; j++) {
            int l = sl__nearest(inverse * x[j]);
            float off = x[j] - scale * (float)(l < most ? l : most);
            error += weight[j] * off * off;
        }
        if (!(error < best)) continue;
        best = error;
        best_inverse = inverse;
    }
    return best_inverse;
}

float sl__fit_positive(int n, int most, const float *x, const float *weight, uint8_t *code) {
    float largest = 0, xl = 0, l2 = 0;
    for (int i = 0; i < n; i++) largest = largest > x[i] ? largest : x[i];
    if (largest < SL__NOTHING) {
        memset(code, 0, (size_t)n);
        return 0;
    }
    float inverse = best_inverse(n, most, x, weight, largest);
    for (int i = 0; i < n; i++) {
        int l = sl__nearest(inverse * x[i]);
        if (l > most) l = most;
        code[i] = (uint8_t)l;
        xl += weight[i] * x[i] * (float)l;
        l2 += weight[i] * (float)l * (float)l;
    }
    for (int round = 0, changed = 1; round < 5 && changed; round++) {
        changed = 0;
        for (int i = 0; i < n; i++) {
            float w = weight[i], rest_xl = xl - w * x[i] * (float)code[i], rest_l2 = l2 - w * (float)code[i] * (float)code[i];
            if (!(rest_xl > 0 && rest_l2 > 0)) continue;
            int l = sl__nearest(x[i] * rest_l2 / rest_xl);
            if (l > most) l = most;
            if (l == code[i]) continue;
            rest_xl += w * x[i] * (float)l;
            rest_l2 += w * (float)l * (float)l;
            if (!(rest_xl * rest_xl * l2 > xl * xl * rest_l2)) continue;
            code[i] = (uint8_t)l;
            xl = rest_xl;
            l2 = rest_l2;
            changed = 1;
        }
    }
    return l2 > 0 ? xl / l2 : 0;
}

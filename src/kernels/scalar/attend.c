/* attend.c: one page of keys and values against the queries that share it: one online-softmax update a query; and how keys,
 * values and queries are kept. Everything is stated in kernels.h at sl_kv_type, sl_attend_fn and sl_kv_store_fn. */
#include "base/fmath.h"
#include "kernels/scalar/lanes.h"
#include "kernels/scalar/rows.h"

#include <stdbool.h>

/* Where things begin in the keys and values of one KV head in a page of 16-bit integers; keys begin at 0. */
typedef struct head {
    size_t values;                 /* in int16_t */
    size_t key_scale, value_scale; /* in floats */
    size_t wide;                   /* numbers of a row of values: d up to a multiple of 16 */
} head;

static head head_of(int d) {
    head h = {.wide = (size_t)(d + 15) / 16 * 16};
    h.values = sl_kv_keys_bytes(SL_KV_I16, d) / 2;
    h.key_scale = (size_t)(d + 1) / 2 * SL_PAGE;
    h.value_scale = h.values / 2 + SL_PAGE / 2 * h.wide;
    return h;
}

/* Where number j of position p's key, and of its value, stands, in int16_t. */
static size_t key_at(int p, int j) { return ((size_t)j / 2 * SL_PAGE + (size_t)p) * 2 + (size_t)j % 2; }
static size_t value_at(const head *h, int p, int j) {
    return h->values + ((size_t)p % 16 * h->wide + (size_t)j) * 2 + (size_t)p / 16;
}

/* The sum over positions first … count - 1, in the order of 16 lanes. */
static float total(const float *w, int first, int count) {
    float lane[16] = {0};
    for (int p = first; p < count; p++) lane[p % 16] += w[p];
    return sl__lanes_total(lane);
}

/* Takes a page's maximum into the state; returns the factor for what was added before it. */
static float raise_max(sl_attend *state, float max) {
    float before = state->max;
    state->max = (max > before ? max : before) + 0.0f;
    return before == -INFINITY ? 0.0f : sl_exp2f(before - state->max);
}

/* --- F32 --- */

void sl__kv_store_f32_scalar(const float *k, const float *v, int d, int at, void *page) {
    float *keys = (float *)page + (size_t)at * (size_t)d;
    memcpy(keys, k, (size_t)d * sizeof *k);
    memcpy(keys + SL_PAGE * (size_t)d, v, (size_t)d * sizeof *v);
}

float sl__query_f32_scalar(const float *x, int d, float scale, void *out) {
    memcpy(out, x, (size_t)d * sizeof *x);
    return scale;
}

void sl__attend_f32_scalar(const sl_query *q, const int *first, const int *count, int n, int d, const void *page, sl_attend *state,
                           float *const *acc, const void *ahead) {
    const float *k = page, *v = k + SL_PAGE * (size_t)d;
    (void)ahead;
    for (int i = 0; i < n; i++) {
        if (count[i] == 0) continue;
        float w[SL_PAGE], max = -INFINITY;
        for (int p = first[i]; p < count[i]; p++) {
            w[p] = q[i].scale * sl__dot_scalar(q[i].q, k + (size_t)p * (size_t)d, d);
            max = w[p] > max ? w[p] : max;
        }
        float c = raise_max(&state[i], max);
        for (int p = first[i]; p < count[i]; p++) w[p] = sl_exp2f(w[p] - state[i].max);
        state[i].sum = fmaf(state[i].sum, c, total(w, first[i], count[i]));
        for (int j = 0; j < d; j++) acc[i][j] *= c;
        for (int p = first[i]; p < count[i]; p++)
            for (int j = 0; j < d; j++) acc[i][j] = fmaf(w[p], v[(size_t)p * (size_t)d + (size_t)j], acc[i][j]);
    }
}

/* --- I16 --- */

/* The step of d numbers (sl_kv_store_fn in kernels.h); bounded, for keys and queries: by their norm too. */
static float step_of(const float *x, int d, bool bounded) {
    float amax = 0, squares = sl__dot_scalar(x, x, d);
    for (int j = 0; j < d; j++) amax = fabsf(x[j]) > amax ? fabsf(x[j]) : amax;
    float a = amax * (1.0f / 32767.0f), b = sqrtf(squares) * (1.0f / 46000.0f);
    if (bounded && b > a) a = b;
    return !(squares < INFINITY) ? NAN : a < 0x1p-50f ? 0.0f : a;
}

static inline int16_t whole(float x, float a) { return (int16_t)(a > 0 ? lrintf(x * (1.0f / a)) : 0); }

float sl__query_i16_scalar(const float *x, int d, float scale, void *out) {
    int16_t *q = out;
    float a = step_of(x, d, true);
    for (int j = 0; j < d; j++) q[j] = whole(x[j], a);
    if (d % 2) q[d] = 0;
    return a * scale;
}

void sl__kv_store_i16_scalar(const float *k, const float *v, int d, int at, void *page) {
    const head h = head_of(d);
    int16_t *number = page;
    float *scale = page, a = step_of(k, d, true), b = step_of(v, d, false);
    for (int j = 0; j < d; j++) {
        number[key_at(at, j)] = whole(k[j], a);
        number[value_at(&h, at, j)] = whole(v[j], b);
    }
    if (d % 2) number[key_at(at, d)] = 0;
    scale[h.key_scale + (size_t)at] = a;
    scale[h.value_scale + (size_t)at] = b;
}

void sl__attend_i16_scalar(const sl_query *q, const int *first, const int *count, int n, int d, const void *page, sl_attend *state,
                           float *const *acc, const void *ahead) {
    const head h = head_of(d);
    const int16_t *number = page;
    const float *key_scale = (const float *)page + h.key_scale, *value_scale = (const float *)page + h.value_scale;
    (void)ahead;
    for (int i = 0; i < n; i++) {
        if (count[i] == 0) continue;
        const int16_t *query = q[i].q;
        float s[SL_PAGE], w[SL_PAGE], u[SL_PAGE], max = -INFINITY;
        int32_t weight[SL_PAGE];
        for (int p = first[i]; p < count[i]; p++) {
            int32_t sum = 0;
            for (int j = 0; j < d; j++) sum += query[j] * number[key_at(p, j)];
            s[p] = (float)sum * key_scale[p] * q[i].scale;
            max = s[p] > max ? s[p] : max;
        }
        float c = raise_max(&state[i], max);
        for (int p = first[i]; p < count[i]; p++) {
            w[p] = sl_exp2f(s[p] - state[i].max);
            u[p] = w[p] * value_scale[p];
        }
        float all = total(u, first[i], count[i]), f = all >= 0x1p-100f ? 32767.0f / all : 0.0f, back = all * (1.0f / 32767.0f);
        state[i].sum = fmaf(state[i].sum, c, total(w, first[i], count[i]));
        for (int p = first[i]; p < count[i]; p++) weight[p] = f > 0 ? (int32_t)lrintf(u[p] * f) : 0;
        for (int j = 0; j < d; j++) {
            int32_t sum = 0;
            for (int p = first[i]; p < count[i]; p++) sum += weight[p] * number[value_at(&h, p, j)];
            acc[i][j] = fmaf((float)sum, back, acc[i][j] * c);
        }
    }
}

/* attend.c: one page of keys and values against the queries that share it: one online-softmax update a query.
 * The order is stated at sl_attend_fn. */
#include "base/fmath.h"
#include "kernels/scalar/lanes.h"
#include "kernels/scalar/rows.h"

typedef float load_fn(const void *page, size_t i);

static inline float load_half(const void *page, size_t i) { return sl__half_float(((const uint16_t *)page)[i]); }
static inline float load_float(const void *page, size_t i) { return ((const float *)page)[i]; }

static inline float key_dot(const float *q, const void *k, size_t at, int d, load_fn *load) {
    float lane[16] = {0};
    for (int j = 0; j < (d + 15) / 16 * 16; j++)
        lane[j % 16] = j < d ? fmaf(q[j], load(k, at + (size_t)j), lane[j % 16]) : fmaf(0, 0, lane[j % 16]);
    return sl__lanes_total(lane);
}

static inline void attend(const float *const *q, const int *count, int n, int d, const void *k, const void *v,
                          float scale, sl_attend *state, float *const *acc, load_fn *load) {
    for (int i = 0; i < n; i++) {
        if (count[i] == 0) continue;
        float w[SL_PAGE], max = state[i].max, total = 0;
        for (int p = 0; p < count[i]; p++) {
            w[p] = scale * key_dot(q[i], k, (size_t)p * (size_t)d, d, load);
            max = w[p] > max ? w[p] : max;
        }
        max += 0.0f;
        float c = state[i].max == -INFINITY ? 0.0f : sl_expf(state[i].max - max);
        for (int p = 0; p < count[i]; p++) {
            w[p] = sl_expf(w[p] - max);
            total += w[p];
        }
        state[i].max = max;
        state[i].sum = fmaf(state[i].sum, c, total);
        for (int j = 0; j < d; j++) acc[i][j] *= c;
        for (int p = 0; p < count[i]; p++)
            for (int j = 0; j < d; j++)
                acc[i][j] = fmaf(w[p], load(v, (size_t)p * (size_t)d + (size_t)j), acc[i][j]);
    }
}

void sl__attend_f16_scalar(const float *const *q, const int *count, int n, int d, const void *k, const void *v,
                           float scale, sl_attend *state, float *const *acc, const void *ahead) {
    (void)ahead;
    attend(q, count, n, d, k, v, scale, state, acc, load_half);
}

void sl__attend_f32_scalar(const float *const *q, const int *count, int n, int d, const void *k, const void *v,
                           float scale, sl_attend *state, float *const *acc, const void *ahead) {
    (void)ahead;
    attend(q, count, n, d, k, v, scale, state, acc, load_float);
}

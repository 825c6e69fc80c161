/* attend.c: queries are taken four at a time, so that a key or value is loaded and widened once for the four.
 *   scores  for each position, sixteen lanes a query; they wait in memory and are added up eight positions at a time
 *   values  for sixteen elements, the accumulators of four queries stay in registers over the positions all four see
 * What is left (heads of other than a multiple of sixteen, positions only some queries see) takes slower ways with the
 * same operations in the same order. */
#include "kernels/avx2/lanes.h"

#include "base/fmath.h"

enum { GROUP = 4 };

/* Queries of one round: those that see anything. */
typedef struct group {
    const float *q[GROUP];
    float *acc[GROUP];
    sl_attend *state[GROUP];
    int count[GROUP];
    int n, least, most; /* queries; positions that all see, that any sees */
} group;

typedef __m256 load8_fn(const void *page, size_t i);
SL__INLINE __m256 load8_half(const void *page, size_t i) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)((const uint16_t *)page + i)));
}
SL__INLINE __m256 load8_float(const void *page, size_t i) { return _mm256_loadu_ps((const float *)page + i); }

typedef float load1_fn(const void *page, size_t i);
SL__INLINE float load1_half(const void *page, size_t i) { return _cvtsh_ss(((const uint16_t *)page)[i]); }
SL__INLINE float load1_float(const void *page, size_t i) { return ((const float *)page)[i]; }

/* The last d % 16 values of a key, followed by zeros. */
SL__INLINE void load_rest(const void *page, size_t from, int d, load1_fn *load1, float to[16]) {
    for (int j = 0; j < 16; j++) to[j] = j < d ? load1(page, from + (size_t)j) : 0.0f;
}

/* Totals of eight sums of sixteen lanes whose upper lanes were added to the lower ones: v[p] is position p's. */
SL__INLINE __m256 totals8(const __m256 *v) {
    __m256 a[4], b[2];
    SL__UNROLL for (int i = 0; i < 4; i++) /* lanes: position i | position i + 4 */
        a[i] = _mm256_add_ps(_mm256_permute2f128_ps(v[i], v[i + 4], 0x20), _mm256_permute2f128_ps(v[i], v[i + 4], 0x31));
    SL__UNROLL for (int i = 0; i < 2; i++) /* positions 2 i, 2 i, 2 i + 1, 2 i + 1 | + 4 */
        b[i] = _mm256_add_ps(_mm256_shuffle_ps(a[2 * i], a[2 * i + 1], 0x44), _mm256_shuffle_ps(a[2 * i], a[2 * i + 1], 0xee));
    return _mm256_add_ps(_mm256_shuffle_ps(b[0], b[1], 0x88), _mm256_shuffle_ps(b[0], b[1], 0xdd));
}

/* dot [n][SL_PAGE]: every query times the first `most` keys. */
SL__INLINE void score(const group *g, int n, int d, const void *k, load8_fn *load8, load1_fn *load1, __m256 (*dot)[4]) {
    __m256 sum[GROUP][SL_PAGE];
    float last[GROUP][16];
    int whole = d / 16 * 16;
    if (whole < d)
        SL__UNROLL for (int i = 0; i < n; i++) load_rest(g->q[i], (size_t)whole, d - whole, load1_float, last[i]);
    for (int p = 0; p < g->most; p++) {
        __m256 low[GROUP], high[GROUP];
        size_t at = (size_t)p * (size_t)d;
        SL__UNROLL for (int i = 0; i < n; i++) low[i] = high[i] = _mm256_setzero_ps();
        for (int j = 0; j < whole; j += 16) {
            __m256 k0 = load8(k, at + (size_t)j), k1 = load8(k, at + (size_t)j + 8);
            SL__UNROLL for (int i = 0; i < n; i++) {
                low[i] = _mm256_fmadd_ps(_mm256_loadu_ps(g->q[i] + j), k0, low[i]);
                high[i] = _mm256_fmadd_ps(_mm256_loadu_ps(g->q[i] + j + 8), k1, high[i]);
            }
        }
        if (whole < d) {
            float rest[16];
            load_rest(k, at + (size_t)whole, d - whole, load1, rest);
            SL__UNROLL for (int i = 0; i < n; i++) {
                low[i] = _mm256_fmadd_ps(_mm256_loadu_ps(last[i]), _mm256_loadu_ps(rest), low[i]);
                high[i] = _mm256_fmadd_ps(_mm256_loadu_ps(last[i] + 8), _mm256_loadu_ps(rest + 8), high[i]);
            }
        }
        SL__UNROLL for (int i = 0; i < n; i++) sum[i][p] = _mm256_add_ps(low[i], high[i]);
    }
    for (int i = 0; i < n; i++) {
        for (int p = g->most; p < (g->most + 7) / 8 * 8; p++) sum[i][p] = _mm256_setzero_ps();
        for (int p = 0; p < g->most; p += 8) dot[i][p / 8] = totals8(sum[i] + p);
    }
}

/* Turns a query's products into weights and takes them into its state. Returns the factor for what was added before. */
SL__INLINE float weigh(__m256 dot[4], int count, float scale, sl_attend *state) {
    const __m256 none = _mm256_set1_ps(-INFINITY);
    __m256 most = none;
    float lane[8], w[SL_PAGE], max = state->max, total = 0;
    for (int b = 0; 8 * b < count; b++) {
        __m256 on = _mm256_castsi256_ps(sl__first_lanes(count - 8 * b));
        dot[b] = _mm256_blendv_ps(none, _mm256_mul_ps(_mm256_set1_ps(scale), dot[b]), on);
        most = _mm256_max_ps(dot[b], most);
    }
    _mm256_storeu_ps(lane, most);
    for (int l = 0; l < 8; l++) max = lane[l] > max ? lane[l] : max;
    max += 0.0f;
    float factor = state->max == -INFINITY ? 0.0f : sl_expf(state->max - max);
    for (int b = 0; 8 * b < count; b++) {
        dot[b] = sl__exp8(_mm256_sub_ps(dot[b], _mm256_set1_ps(max)));
        _mm256_storeu_ps(w + 8 * b, dot[b]);
    }
    for (int p = 0; p < count; p++) total += w[p];
    state->max = max;
    state->sum = fmaf(state->sum, factor, total);
    return factor;
}

/* acc = acc * factor + the weighted values. */
SL__INLINE void gather(const group *g, int n, int d, const void *v, load8_fn *load8, load1_fn *load1, const __m256 (*dot)[4],
                       const float *factor) {
    float w[GROUP][SL_PAGE];
    int whole = d / 16 * 16;
    memcpy(w, dot, (size_t)n * sizeof w[0]);
    for (int j = 0; j < whole; j += 16) {
        __m256 low[GROUP], high[GROUP];
        SL__UNROLL for (int i = 0; i < n; i++) {
            low[i] = _mm256_mul_ps(_mm256_loadu_ps(g->acc[i] + j), _mm256_set1_ps(factor[i]));
            high[i] = _mm256_mul_ps(_mm256_loadu_ps(g->acc[i] + j + 8), _mm256_set1_ps(factor[i]));
        }
        for (int p = 0; p < g->least; p++) {
            size_t at = (size_t)p * (size_t)d + (size_t)j;
            __m256 v0 = load8(v, at), v1 = load8(v, at + 8);
            SL__UNROLL for (int i = 0; i < n; i++) {
                low[i] = _mm256_fmadd_ps(_mm256_set1_ps(w[i][p]), v0, low[i]);
                high[i] = _mm256_fmadd_ps(_mm256_set1_ps(w[i][p]), v1, high[i]);
            }
        }
        SL__UNROLL for (int i = 0; i < n; i++) {
            for (int p = g->least; p < g->count[i]; p++) {
                size_t at = (size_t)p * (size_t)d + (size_t)j;
                low[i] = _mm256_fmadd_ps(_mm256_set1_ps(w[i][p]), load8(v, at), low[i]);
                high[i] = _mm256_fmadd_ps(_mm256_set1_ps(w[i][p]), load8(v, at + 8), high[i]);
            }
            _mm256_storeu_ps(g->acc[i] + j, low[i]);
            _mm256_storeu_ps(g->acc[i] + j + 8, high[i]);
        }
    }
    for (int i = 0; i < n; i++)
        for (int j = whole; j < d; j++) {
            float a = g->acc[i][j] * factor[i];
            for (int p = 0; p < g->count[i]; p++) a = fmaf(w[i][p], load1(v, (size_t)p * (size_t)d + (size_t)j), a);
            g->acc[i][j] = a;
        }
}

SL__INLINE void attend_group(const group *g, int n, int d, const void *k, const void *v, float scale, load8_fn *load8,
                             load1_fn *load1) {
    __m256 dot[GROUP][4];
    float factor[GROUP];
    score(g, n, d, k, load8, load1, dot);
    for (int i = 0; i < n; i++) factor[i] = weigh(dot[i], g->count[i], scale, g->state[i]);
    gather(g, n, d, v, load8, load1, (const __m256(*)[4])dot, factor);
}

/* Collects the queries that see anything, four at a time. */
SL__INLINE void attend(const float *const *q, const int *count, int n, int d, const void *k, const void *v, float scale,
                       sl_attend *state, float *const *acc, load8_fn *load8, load1_fn *load1) {
    for (int i = 0; i < n;) {
        group g = {.least = SL_PAGE};
        for (; i < n && g.n < GROUP; i++) {
            if (count[i] == 0) continue;
            g.q[g.n] = q[i];
            g.acc[g.n] = acc[i];
            g.state[g.n] = state + i;
            g.count[g.n++] = count[i];
            if (count[i] < g.least) g.least = count[i];
            if (count[i] > g.most) g.most = count[i];
        }
        if (g.n == 4) attend_group(&g, 4, d, k, v, scale, load8, load1);
        else if (g.n == 3) attend_group(&g, 3, d, k, v, scale, load8, load1);
        else if (g.n == 2) attend_group(&g, 2, d, k, v, scale, load8, load1);
        else if (g.n == 1) attend_group(&g, 1, d, k, v, scale, load8, load1);
    }
}

void sl__attend_f16_avx2(const float *const *q, const int *count, int n, int d, const void *k, const void *v, float scale,
                         sl_attend *state, float *const *acc, const void *ahead) {
    (void)ahead;
    attend(q, count, n, d, k, v, scale, state, acc, load8_half, load1_half);
}

void sl__attend_f32_avx2(const float *const *q, const int *count, int n, int d, const void *k, const void *v, float scale,
                         sl_attend *state, float *const *acc, const void *ahead) {
    (void)ahead;
    attend(q, count, n, d, k, v, scale, state, acc, load8_float, load1_float);
}

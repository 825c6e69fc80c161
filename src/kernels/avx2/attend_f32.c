/* attend_f32.c: keys and values as floats. Queries are taken four at a time, so that a key or value is loaded once for four.
 *   scores  each position has sixteen lanes of sums for each query; they wait in memory and are added up for eight positions
 *           at a time
 *   values  for sixteen numbers of the result, the sums of four queries stay in registers over the positions that all four
 *           see
 * What is left (heads whose size is no multiple of sixteen, positions that only some of the queries see) takes slower ways
 * with the same operations in the same order. */
#include "kernels/avx2/lanes.h"

#include "base/fmath.h"

enum { GROUP = 4 };

/* Up to GROUP queries that see anything of the page. */
typedef struct group {
    const float *q[GROUP];
    float scale[GROUP];
    float *acc[GROUP];
    sl_attend *state[GROUP];
    int first[GROUP], count[GROUP];
    int n;
    int from, most;        /* the positions that any of them sees */
    int begin, least;      /* those that all of them see, if begin < least */
} group;

/* The last d % 16 values of a key, followed by zeros. */
SL__INLINE void load_rest(const float *from, int d, float to[16]) {
    for (int j = 0; j < 16; j++) to[j] = j < d ? from[j] : 0.0f;
}

void sl__kv_store_f32_avx2(const float *k, const float *v, int d, int at, void *page) {
    float *keys = (float *)page + (size_t)at * (size_t)d;
    memcpy(keys, k, (size_t)d * sizeof *k);
    memcpy(keys + SL_PAGE * (size_t)d, v, (size_t)d * sizeof *v);
}

float sl__query_f32_avx2(const float *x, int d, float scale, void *out) {
    memcpy(out, x, (size_t)d * sizeof *x);
    return scale;
}

/* dot [n][SL_PAGE]: every query times the keys that any query sees. */
SL__INLINE void score(const group *g, int n, int d, const float *k, __m256 (*dot)[4]) {
    __m256 sum[GROUP][SL_PAGE];
    float last[GROUP][16];
    int whole = d / 16 * 16;
    if (whole < d)
        SL__UNROLL for (int i = 0; i < n; i++) load_rest(g->q[i] + whole, d - whole, last[i]);
    for (int p = g->from; p < g->most; p++) {
        __m256 low[GROUP], high[GROUP];
        size_t at = (size_t)p * (size_t)d;
        SL__UNROLL for (int i = 0; i < n; i++) low[i] = high[i] = _mm256_setzero_ps();
        for (int j = 0; j < whole; j += 16) {
            __m256 k0 = _mm256_loadu_ps(k + at + j), k1 = _mm256_loadu_ps(k + at + j + 8);
            SL__UNROLL for (int i = 0; i < n; i++) {
                low[i] = _mm256_fmadd_ps(_mm256_loadu_ps(g->q[i] + j), k0, low[i]);
                high[i] = _mm256_fmadd_ps(_mm256_loadu_ps(g->q[i] + j + 8), k1, high[i]);
            }
        }
        if (whole < d) {
            float rest[16];
            load_rest(k + at + whole, d - whole, rest);
            SL__UNROLL for (int i = 0; i < n; i++) {
                low[i] = _mm256_fmadd_ps(_mm256_loadu_ps(last[i]), _mm256_loadu_ps(rest), low[i]);
                high[i] = _mm256_fmadd_ps(_mm256_loadu_ps(last[i] + 8), _mm256_loadu_ps(rest + 8), high[i]);
            }
        }
        SL__UNROLL for (int i = 0; i < n; i++) sum[i][p] = _mm256_add_ps(low[i], high[i]);
    }
    for (int i = 0; i < n; i++) {
        for (int p = 0; p < g->from; p++) sum[i][p] = _mm256_setzero_ps();
        for (int p = g->most; p < SL_PAGE; p++) sum[i][p] = _mm256_setzero_ps();
        for (int p = 0; p < SL_PAGE; p += 8) dot[i][p / 8] = sl__totals8(sum[i] + p);
    }
}

/* Turns a query's products into weights and takes them into its state. Returns the factor for what was added before. */
SL__INLINE float weigh(__m256 dot[4], int first, int count, float scale, sl_attend *state) {
    const __m256 none = _mm256_set1_ps(-INFINITY);
    __m256 most = none, on[4];
    float lane[8], max = state->max;
    SL__UNROLL for (int b = 0; b < 4; b++) {
        on[b] = _mm256_castsi256_ps(sl__lanes_between(first - 8 * b, count - 8 * b));
        dot[b] = _mm256_blendv_ps(none, _mm256_mul_ps(_mm256_set1_ps(scale), dot[b]), on[b]);
        most = _mm256_max_ps(dot[b], most);
    }
    _mm256_storeu_ps(lane, most);
    for (int l = 0; l < 8; l++) max = lane[l] > max ? lane[l] : max;
    max += 0.0f;
    float factor = state->max == -INFINITY ? 0.0f : sl_exp2f(state->max - max);
    SL__UNROLL for (int b = 0; b < 4; b++)
        dot[b] = _mm256_and_ps(on[b], sl__exp2_8(_mm256_sub_ps(dot[b], _mm256_set1_ps(max))));
    float total = sl__lanes_total(_mm256_add_ps(dot[0], dot[2]), _mm256_add_ps(dot[1], dot[3]));
    state->max = max;
    state->sum = fmaf(state->sum, factor, total);
    return factor;
}

/* Adds the sixteen weighted values from j on of positions first … last - 1. */
SL__INLINE void add_values(const float *w, int first, int last, const float *v, int d, int j, __m256 *low, __m256 *high) {
    for (int p = first; p < last; p++) {
        size_t at = (size_t)p * (size_t)d + (size_t)j;
        *low = _mm256_fmadd_ps(_mm256_set1_ps(w[p]), _mm256_loadu_ps(v + at), *low);
        *high = _mm256_fmadd_ps(_mm256_set1_ps(w[p]), _mm256_loadu_ps(v + at + 8), *high);
    }
}

/* acc = acc * factor + the weighted values. */
SL__INLINE void gather(const group *g, int n, int d, const float *v, const __m256 (*dot)[4], const float *factor) {
    float w[GROUP][SL_PAGE];
    int whole = d / 16 * 16;
    memcpy(w, dot, (size_t)n * sizeof w[0]);
    for (int j = 0; j < whole; j += 16) {
        __m256 low[GROUP], high[GROUP];
        SL__UNROLL for (int i = 0; i < n; i++) {
            low[i] = _mm256_mul_ps(_mm256_loadu_ps(g->acc[i] + j), _mm256_set1_ps(factor[i]));
            high[i] = _mm256_mul_ps(_mm256_loadu_ps(g->acc[i] + j + 8), _mm256_set1_ps(factor[i]));
        }
        SL__UNROLL for (int i = 0; i < n; i++) add_values(w[i], g->first[i], g->begin, v, d, j, &low[i], &high[i]);
        for (int p = g->begin; p < g->least; p++) {
            size_t at = (size_t)p * (size_t)d + (size_t)j;
            __m256 v0 = _mm256_loadu_ps(v + at), v1 = _mm256_loadu_ps(v + at + 8);
            SL__UNROLL for (int i = 0; i < n; i++) {
                low[i] = _mm256_fmadd_ps(_mm256_set1_ps(w[i][p]), v0, low[i]);
                high[i] = _mm256_fmadd_ps(_mm256_set1_ps(w[i][p]), v1, high[i]);
            }
        }
        SL__UNROLL for (int i = 0; i < n; i++) {
            add_values(w[i], g->first[i] > g->least ? g->first[i] : g->least, g->count[i], v, d, j, &low[i], &high[i]);
            _mm256_storeu_ps(g->acc[i] + j, low[i]);
            _mm256_storeu_ps(g->acc[i] + j + 8, high[i]);
        }
    }
    for (int i = 0; i < n; i++)
        for (int j = whole; j < d; j++) {
            float a = g->acc[i][j] * factor[i];
            for (int p = g->first[i]; p < g->count[i]; p++) a = fmaf(w[i][p], v[(size_t)p * (size_t)d + (size_t)j], a);
            g->acc[i][j] = a;
        }
}

SL__INLINE void attend_group(const group *g, int n, int d, const float *k, const float *v) {
    __m256 dot[GROUP][4];
    float factor[GROUP];
    score(g, n, d, k, dot);
    for (int i = 0; i < n; i++) factor[i] = weigh(dot[i], g->first[i], g->count[i], g->scale[i], g->state[i]);
    gather(g, n, d, v, (const __m256(*)[4])dot, factor);
}

/* Collects the queries that see anything, four at a time. */
void sl__attend_f32_avx2(const sl_query *q, const int *first, const int *count, int n, int d, const void *page, sl_attend *state,
                         float *const *acc, const void *ahead) {
    const float *k = page, *v = k + SL_PAGE * (size_t)d;
    (void)ahead;
    for (int i = 0; i < n;) {
        group g = {.from = SL_PAGE, .least = SL_PAGE};
        for (; i < n && g.n < GROUP; i++) {
            if (count[i] == 0) continue;
            g.q[g.n] = q[i].q;
            g.scale[g.n] = q[i].scale;
            g.acc[g.n] = acc[i];
            g.state[g.n] = state + i;
            g.first[g.n] = first[i];
            g.count[g.n++] = count[i];
            if (first[i] < g.from) g.from = first[i];
            if (first[i] > g.begin) g.begin = first[i];
            if (count[i] < g.least) g.least = count[i];
            if (count[i] > g.most) g.most = count[i];
        }
        if (g.begin > g.least) g.begin = g.least; /* none that all see */
        if (g.n == 4) attend_group(&g, 4, d, k, v);
        else if (g.n == 3) attend_group(&g, 3, d, k, v);
        else if (g.n == 2) attend_group(&g, 2, d, k, v);
        else if (g.n == 1) attend_group(&g, 1, d, k, v);
    }
}

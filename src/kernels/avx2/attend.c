/* attend.c: keys and values as 16-bit integers (I16), and how they become so.
 *
 * One instruction multiplies sixteen pairs of 16-bit integers and adds neighbouring products in eight lanes, exactly: twice
 * the products of one on floats, and nothing has to be widened. Queries are taken four at a time, so that what was loaded is
 * used four times:
 *   scores  a vector of keys is the same pair of numbers of eight positions; it is multiplied by that pair of a query in
 *           every lane. The sums of sixteen positions by four queries stay in registers over the whole head.
 *   values  a vector of values is eight numbers at the same pair of positions; it is multiplied by the pair's two weights.
 *           The sums of sixteen numbers by four queries stay in registers over the page; then they become floats and are
 *           added to what the pages before gave.
 * Meanwhile the page that follows is prefetched line by line as this one is read: it may lie far away, where the processor
 * does not foresee it. */
#include "kernels/avx2/lanes.h"

#include "base/fmath.h"

#include <stdbool.h>

enum { GROUP = 4, PAIRS = SL_PAGE / 2 };

/* Up to GROUP queries that see anything of the page. */
typedef struct group {
    const int32_t *q[GROUP];
    float *acc[GROUP];
    sl_attend *state[GROUP];
    float scale[GROUP];
    int first[GROUP], count[GROUP];
    int n;
} group;

/* The keys and values of one KV head in a page; the layout is at sl_kv_type in kernels.h. */
typedef struct head {
    const int32_t *keys, *values;
    const float *key_scale, *value_scale;
    const char *ahead; /* where the page that follows begins, to be prefetched; or where this one does: no harm */
    int d, pairs, wide; /* numbers of a key; pairs of them; numbers of a row of values */
} head;

static head head_at(const void *page, int d, const void *ahead) {
    head h = {.keys = page, .ahead = ahead ? ahead : page, .d = d, .pairs = (d + 1) / 2, .wide = (d + 15) / 16 * 16};
    h.key_scale = (const float *)(h.keys + h.pairs * SL_PAGE);
    h.values = (const int32_t *)(h.key_scale + SL_PAGE);
    h.value_scale = (const float *)(h.values + h.wide * PAIRS);
    return h;
}

/* Prefetches a line of the page that follows: the one at the same offset as p has in this page. */
SL__INLINE void prefetch(const head *h, const void *p) {
    _mm_prefetch(h->ahead + ((const char *)p - (const char *)h->keys), _MM_HINT_T0);
}

SL__INLINE __m256i load(const int32_t *p) { return _mm256_loadu_si256((const __m256i *)(const void *)p); }

SL__INLINE __m256i add_products(__m256i sum, __m256i a, __m256i b) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
}

/* dot [n][4]: every query times the keys. */
SL__INLINE void score(const group *g, int n, const head *h, __m256i (*dot)[4]) {
    for (int half = 0; half < 2; half++) { /* not unrolled, or the first half's sums would stay in registers during the second */
        __m256i sum[GROUP][2];
        SL__UNROLL for (int i = 0; i < n; i++) sum[i][0] = sum[i][1] = _mm256_setzero_si256();
        for (int j = 0; j < h->pairs; j++) {
            const int32_t *at = h->keys + j * SL_PAGE + 16 * half;
            __m256i k0 = load(at), k1 = load(at + 8);
            prefetch(h, at);
            SL__UNROLL for (int i = 0; i < n; i++) {
                __m256i q = _mm256_set1_epi32(g->q[i][j]);
                sum[i][0] = add_products(sum[i][0], k0, q);
                sum[i][1] = add_products(sum[i][1], k1, q);
            }
        }
        SL__UNROLL for (int i = 0; i < n; i++) {
            dot[i][2 * half] = sum[i][0];
            dot[i][2 * half + 1] = sum[i][1];
        }
    }
}

/* The largest lane; there is no NaN among them. */
SL__INLINE float largest(__m256 v) {
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

/* What the values are multiplied by. */
typedef struct weights {
    int32_t pair[GROUP][PAIRS];
    float keep[8]; /* [i]: multiplies what the pages before gave to query i */
    float back[8]; /* [GROUP + i]: makes floats of query i's integer sums */
} weights;

/* From the scores' integer sums to weights as 16-bit integers (the steps are at sl_attend_fn in kernels.h); updates the
 * queries' states. */
SL__INLINE void weigh(const group *g, int n, const head *h, __m256i (*dot)[4], weights *ret) {
    const __m256 none = _mm256_set1_ps(-INFINITY);
    __m256 u[GROUP][4], part[8];
    _Alignas(32) float before[8] = {0}, after[8] = {0}, total[8];
    SL__UNROLL for (int i = 0; i < 8; i++) part[i] = _mm256_setzero_ps();
    SL__UNROLL for (int i = 0; i < n; i++) {
        __m256 s[4], on[4], most = none;
        SL__UNROLL for (int b = 0; b < 4; b++) {
            s[b] = _mm256_mul_ps(_mm256_cvtepi32_ps(dot[i][b]), _mm256_loadu_ps(h->key_scale + 8 * b));
            on[b] = _mm256_castsi256_ps(sl__lanes_between(g->first[i] - 8 * b, g->count[i] - 8 * b));
            s[b] = _mm256_blendv_ps(none, _mm256_mul_ps(s[b], _mm256_set1_ps(g->scale[i])), on[b]);
            most = _mm256_max_ps(s[b], most); /* passes over NaNs */
        }
        float max = largest(most);
        before[i] = g->state[i]->max;
        after[i] = (max > before[i] ? max : before[i]) + 0.0f;
        SL__UNROLL for (int b = 0; b < 4; b++) {
            s[b] = _mm256_and_ps(on[b], sl__exp2_8(_mm256_sub_ps(s[b], _mm256_set1_ps(after[i]))));
            u[i][b] = _mm256_and_ps(on[b], _mm256_mul_ps(s[b], _mm256_loadu_ps(h->value_scale + 8 * b)));
        }
        part[i] = _mm256_add_ps(_mm256_add_ps(s[0], s[2]), _mm256_add_ps(s[1], s[3]));
        part[GROUP + i] = _mm256_add_ps(_mm256_add_ps(u[i][0], u[i][2]), _mm256_add_ps(u[i][1], u[i][3]));
    }
    __m256 all = sl__totals8(part), old = _mm256_load_ps(before);
    __m256 enough = _mm256_cmp_ps(all, _mm256_set1_ps(0x1p-100f), _CMP_GE_OQ);
    __m256 factor = _mm256_and_ps(enough, _mm256_div_ps(_mm256_set1_ps(32767.0f), all));
    __m256 keep = sl__exp2_8(_mm256_sub_ps(old, _mm256_load_ps(after)));
    keep = _mm256_andnot_ps(_mm256_cmp_ps(old, none, _CMP_EQ_OQ), keep);
    _mm256_storeu_ps(ret->keep, keep);
    _mm256_storeu_ps(ret->back, _mm256_mul_ps(all, _mm256_set1_ps(1.0f / 32767.0f)));
    _mm256_store_ps(total, all);
    _mm256_store_ps(before, factor);
    SL__UNROLL for (int i = 0; i < n; i++) {
        __m256i w[4];
        SL__UNROLL for (int b = 0; b < 4; b++)
            w[b] = _mm256_cvtps_epi32(_mm256_mul_ps(u[i][b], _mm256_set1_ps(before[GROUP + i])));
        SL__UNROLL for (int b = 0; b < 2; b++)
            _mm256_storeu_si256((__m256i *)(void *)(ret->pair[i] + 8 * b),
                                _mm256_blend_epi16(w[b], _mm256_slli_epi32(w[b + 2], 16), 0xaa));
        g->state[i]->max = after[i];
        g->state[i]->sum = fmaf(g->state[i]->sum, ret->keep[i], total[i]);
    }
}

/* acc = sum * back + acc * keep, for the eight values from j on. */
SL__INLINE void add_values(float *acc, int j, int d, __m256i sum, float back, float keep) {
    __m256i on = sl__first_lanes(d - j < 0 ? 0 : d - j < 8 ? d - j : 8);
    bool whole = j + 8 <= d;
    __m256 a = _mm256_mul_ps(whole ? _mm256_loadu_ps(acc + j) : _mm256_maskload_ps(acc + j, on), _mm256_set1_ps(keep));
    a = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), _mm256_set1_ps(back), a);
    if (whole) _mm256_storeu_ps(acc + j, a);
    else _mm256_maskstore_ps(acc + j, on, a);
}

SL__INLINE void gather(const group *g, int n, const head *h, const weights *w) {
    for (int j = 0; j < h->wide; j += 16) {
        __m256i sum[GROUP][2];
        SL__UNROLL for (int i = 0; i < n; i++) sum[i][0] = sum[i][1] = _mm256_setzero_si256();
        for (int l = 0; l < PAIRS; l++) {
            const int32_t *at = h->values + l * h->wide + j;
            __m256i v0 = load(at), v1 = load(at + 8);
            prefetch(h, at);
            SL__UNROLL for (int i = 0; i < n; i++) {
                __m256i pair = _mm256_set1_epi32(w->pair[i][l]);
                sum[i][0] = add_products(sum[i][0], v0, pair);
                sum[i][1] = add_products(sum[i][1], v1, pair);
            }
        }
        SL__UNROLL for (int i = 0; i < n; i++)
            SL__UNROLL for (int b = 0; b < 2; b++)
                add_values(g->acc[i], j + 8 * b, h->d, sum[i][b], w->back[GROUP + i], w->keep[i]);
    }
}

SL__INLINE void attend_group(const group *g, int n, const head *h) {
    __m256i dot[GROUP][4];
    weights w;
    score(g, n, h, dot);
    weigh(g, n, h, dot, &w);
    gather(g, n, h, &w);
}

#define EACH_SIZE(X) X(1) X(2) X(3) X(4)
typedef void group_fn(const group *, const head *);
#define SIZED(n)                                                                                                       \
    static void attend##n(const group *g, const head *h) { attend_group(g, n, h); }
EACH_SIZE(SIZED)
#define NAME(n) attend##n,
static group_fn *const sized[GROUP] = {EACH_SIZE(NAME)};

/* Collects the queries that see anything, four at a time. The first four prefetch the page that follows. */
void sl__attend_i16_avx2(const sl_query *q, const int *first, const int *count, int n, int d, const void *page, sl_attend *state,
                         float *const *acc, const void *ahead) {
    head h = head_at(page, d, ahead);
    for (int i = 0; i < n;) {
        group g = {.n = 0};
        for (; i < n && g.n < GROUP; i++) {
            if (count[i] == 0) continue;
            g.q[g.n] = q[i].q;
            g.scale[g.n] = q[i].scale;
            g.acc[g.n] = acc[i];
            g.state[g.n] = state + i;
            g.first[g.n] = first[i];
            g.count[g.n++] = count[i];
        }
        if (g.n) sized[g.n - 1](&g, &h);
        h.ahead = page;
    }
}

/* --- how keys, values and queries become integers --- */

/* The step of d numbers (sl_kv_store_fn in kernels.h); bounded, for keys and queries: by their norm too. */
static float step_of(const float *x, int d, bool bounded) {
    __m256 most = _mm256_setzero_ps();
    for (int j = 0; j < d; j += 8) {
        __m256 v = j + 8 <= d ? _mm256_loadu_ps(x + j) : _mm256_maskload_ps(x + j, sl__first_lanes(d - j));
        most = _mm256_max_ps(_mm256_andnot_ps(_mm256_set1_ps(-0.0f), v), most);
    }
    float squares = sl__dot_avx2(x, x, d), a = largest(most) * (1.0f / 32767.0f);
    float b = _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(squares))) * (1.0f / 46000.0f);
    if (bounded && b > a) a = b;
    return !(squares < INFINITY) ? NAN : a < 0x1p-50f ? 0.0f : a;
}

/* The sixteen integers from j on, zeros past the end. */
SL__INLINE void integers16(const float *x, int j, int d, float step, int16_t ret[16]) {
    __m256i w[2];
    SL__UNROLL for (int b = 0; b < 2; b++) {
        int left = d - j - 8 * b, at = left > 0 ? j + 8 * b : j;
        __m256 v = left >= 8 ? _mm256_loadu_ps(x + at) : _mm256_maskload_ps(x + at, sl__first_lanes(left));
        w[b] = step > 0 ? _mm256_cvtps_epi32(_mm256_mul_ps(v, _mm256_set1_ps(1.0f / step))) : _mm256_setzero_si256();
    }
    __m256i both = _mm256_permute4x64_epi64(_mm256_packs_epi32(w[0], w[1]), 0xd8);
    _mm256_storeu_si256((__m256i *)(void *)ret, both);
}

float sl__query_i16_avx2(const float *x, int d, float scale, void *out) {
    float step = step_of(x, d, true);
    for (int j = 0; j < d; j += 16) integers16(x, j, d, step, (int16_t *)out + j);
    return step * scale;
}

void sl__kv_store_i16_avx2(const float *k, const float *v, int d, int at, void *page) {
    head h = head_at(page, d, NULL);
    int32_t *keys = (int32_t *)page + at;
    int16_t *values = (int16_t *)page + 2 * (h.values - h.keys) + 2 * (at % 16) * h.wide + at / 16;
    float *scales = (float *)page, key_step = step_of(k, d, true), value_step = step_of(v, d, false);
    for (int j = 0; j < d; j += 16) {
        int16_t key[16], value[16];
        integers16(k, j, d, key_step, key);
        integers16(v, j, d, value_step, value);
        for (int i = 0; i < 8 && j / 2 + i < h.pairs; i++) memcpy(keys + (j / 2 + i) * SL_PAGE, key + 2 * i, 4);
        for (int i = 0; i < 16 && j + i < d; i++) values[2 * (j + i)] = value[i];
    }
    scales[h.key_scale - (const float *)page + at] = key_step;
    scales[h.value_scale - (const float *)page + at] = value_step;
}

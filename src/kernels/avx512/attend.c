/* attend.c: eight queries at a time, so that a key or value is loaded and widened once for the eight, and so that sixteen
 * accumulators keep both multipliers busy.
 *   scores  a vector is the sixteen lanes of one (query, position); two positions by eight queries stay in registers. Pairs of
 *           positions are folded from sixteen lanes to eight at once and wait in memory for the rest of the tree, which then
 *           works on sixteen positions together
 *   values  32 elements of eight queries stay in registers over the positions that all see
 * Meanwhile the page that follows is prefetched, a few lines at a time: pages lie far apart, no hardware foresees them.
 * Heads of other than a multiple of sixteen take the AVX2 way. */
#include "kernels/avx512/floats.h"

#include "base/fmath.h"

enum { GROUP = 8, PAIRS = SL_PAGE / 2 };

/* Queries of one round: those that see anything. */
typedef struct group {
    const float *q[GROUP];
    float *acc[GROUP];
    sl_attend *state[GROUP];
    int count[GROUP];
    int least, most; /* positions that all see, that any sees */
} group;

typedef __m512 load_fn(const void *page, size_t i);
SL__INLINE __m512 load_half(const void *page, size_t i) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)((const uint16_t *)page + i)));
}
SL__INLINE __m512 load_float(const void *page, size_t i) { return _mm512_loadu_ps((const float *)page + i); }

/* Lines of a plane of keys or values that lies ahead. */
typedef struct plane {
    const char *next, *end;
    int lines; /* at a time */
} plane;

SL__INLINE void prefetch(plane *a) {
    for (int i = 0; i < a->lines && a->next < a->end; i++, a->next += 64) _mm_prefetch(a->next, _MM_HINT_T0);
}

/* Lanes l and l + 8 of a, then of b. */
SL__INLINE __m512 fold8(__m512 a, __m512 b) {
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
}

/* Totals of sixteen positions from eight folded pairs, in order. */
SL__INLINE __m512 totals16(const __m512 *pair) {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512 a[4], b[2];
    SL__UNROLL for (int i = 0; i < 4; i++) /* a 128-bit lane is a position: l and l + 4 */
        a[i] = _mm512_add_ps(_mm512_shuffle_f32x4(pair[2 * i], pair[2 * i + 1], 0x88),
                             _mm512_shuffle_f32x4(pair[2 * i], pair[2 * i + 1], 0xdd));
    SL__UNROLL for (int i = 0; i < 2; i++)
        b[i] = _mm512_add_ps(_mm512_shuffle_ps(a[2 * i], a[2 * i + 1], 0x44), _mm512_shuffle_ps(a[2 * i], a[2 * i + 1], 0xee));
    __m512 t = _mm512_add_ps(_mm512_shuffle_ps(b[0], b[1], 0x88), _mm512_shuffle_ps(b[0], b[1], 0xdd));
    return _mm512_permutexvar_ps(order, t);
}

/* dot [n][2]: every query times the first `most` keys; what stands beyond them means nothing. */
SL__INLINE void score(const group *g, int n, int d, const void *k, load_fn *load, plane *ahead, __m512 (*dot)[2]) {
    __m512 pair[GROUP][PAIRS];
    int pairs = (g->most + 1) / 2;
    for (int p = 0; p < pairs; p++) {
        __m512 sum[GROUP][2];
        size_t at = (size_t)(2 * p) * (size_t)d, second = 2 * p + 1 < g->most ? at + (size_t)d : at;
        prefetch(ahead);
        SL__UNROLL for (int i = 0; i < n; i++) sum[i][0] = sum[i][1] = _mm512_setzero_ps();
        for (int j = 0; j < d; j += 16) {
            __m512 k0 = load(k, at + (size_t)j), k1 = load(k, second + (size_t)j);
            SL__UNROLL for (int i = 0; i < n; i++) {
                __m512 q = _mm512_loadu_ps(g->q[i] + j);
                sum[i][0] = _mm512_fmadd_ps(q, k0, sum[i][0]);
                sum[i][1] = _mm512_fmadd_ps(q, k1, sum[i][1]);
            }
        }
        SL__UNROLL for (int i = 0; i < n; i++) pair[i][p] = fold8(sum[i][0], sum[i][1]);
    }
    for (int i = 0; i < n; i++) {
        for (int p = pairs; p < PAIRS; p++) pair[i][p] = _mm512_setzero_ps();
        for (int b = 0; b < 2; b++) dot[i][b] = totals16(pair[i] + 8 * b);
    }
}

/* Turns products into weights w and takes them into the states. factor [n]: for what was added before. */
SL__INLINE void weigh(const group *g, int n, __m512 (*dot)[2], float scale, float (*w)[SL_PAGE], float *factor) {
    const __m512 none = _mm512_set1_ps(-INFINITY);
    _Alignas(64) float before[16] = {0}, after[16] = {0}, total[GROUP] = {0};
    SL__UNROLL for (int i = 0; i < n; i++) {
        uint32_t on = (uint32_t)((UINT64_C(1) << g->count[i]) - 1);
        __m512 s0 = _mm512_mask_mul_ps(none, (__mmask16)on, _mm512_set1_ps(scale), dot[i][0]);
        __m512 s1 = _mm512_mask_mul_ps(none, (__mmask16)(on >> 16), _mm512_set1_ps(scale), dot[i][1]);
        float max = _mm512_reduce_max_ps(_mm512_max_ps(s1, _mm512_max_ps(s0, none))); /* passes over NaNs */
        before[i] = g->state[i]->max;
        after[i] = (max > before[i] ? max : before[i]) + 0.0f;
        _mm512_storeu_ps(w[i], sl__exp16(_mm512_sub_ps(s0, _mm512_set1_ps(after[i]))));
        _mm512_storeu_ps(w[i] + 16, sl__exp16(_mm512_sub_ps(s1, _mm512_set1_ps(after[i]))));
    }
    __m512 old = _mm512_load_ps(before);
    __m512 keep = sl__exp16(_mm512_sub_ps(old, _mm512_load_ps(after)));
    _mm512_store_ps(before, _mm512_mask_mov_ps(keep, _mm512_cmp_ps_mask(old, none, _CMP_EQ_OQ), _mm512_setzero_ps()));
    for (int p = 0; p < g->least; p++) /* n chains of additions side by side */
        SL__UNROLL for (int i = 0; i < n; i++) total[i] += w[i][p];
    for (int i = 0; i < n; i++) {
        for (int p = g->least; p < g->count[i]; p++) total[i] += w[i][p];
        factor[i] = before[i];
        g->state[i]->max = after[i];
        g->state[i]->sum = fmaf(g->state[i]->sum, factor[i], total[i]);
    }
}

/* acc = acc * factor + the weighted values, for `wide` vectors of elements from j on. */
SL__INLINE void gather(const group *g, int n, int wide, int j, int d, const void *v, load_fn *load, plane *ahead,
                       const float (*w)[SL_PAGE], const float *factor) {
    __m512 sum[GROUP][4];
    SL__UNROLL for (int i = 0; i < n; i++)
        SL__UNROLL for (int b = 0; b < wide; b++)
            sum[i][b] = _mm512_mul_ps(_mm512_loadu_ps(g->acc[i] + j + 16 * b), _mm512_set1_ps(factor[i]));
    for (int p = 0; p < g->least; p++) {
        __m512 value[4];
        prefetch(ahead);
        SL__UNROLL for (int b = 0; b < wide; b++) value[b] = load(v, (size_t)p * (size_t)d + (size_t)(j + 16 * b));
        SL__UNROLL for (int i = 0; i < n; i++) {
            __m512 weight = _mm512_set1_ps(w[i][p]);
            SL__UNROLL for (int b = 0; b < wide; b++) sum[i][b] = _mm512_fmadd_ps(weight, value[b], sum[i][b]);
        }
    }
    SL__UNROLL for (int i = 0; i < n; i++) {
        for (int p = g->least; p < g->count[i]; p++)
            SL__UNROLL for (int b = 0; b < wide; b++) {
                __m512 value = load(v, (size_t)p * (size_t)d + (size_t)(j + 16 * b));
                sum[i][b] = _mm512_fmadd_ps(_mm512_set1_ps(w[i][p]), value, sum[i][b]);
            }
        SL__UNROLL for (int b = 0; b < wide; b++) _mm512_storeu_ps(g->acc[i] + j + 16 * b, sum[i][b]);
    }
}

SL__INLINE void attend_group(const group *g, int n, int d, const void *k, const void *v, float scale, load_fn *load,
                             plane *keys, plane *values) {
    __m512 dot[GROUP][2];
    _Alignas(64) float w[GROUP][SL_PAGE];
    float factor[GROUP];
    const int wide = n <= 4 ? 4 : 2; /* enough accumulators to hide the latency of an addition */
    int j = 0;
    score(g, n, d, k, load, keys, dot);
    weigh(g, n, dot, scale, w, factor);
    for (; j + 16 * wide <= d; j += 16 * wide) gather(g, n, wide, j, d, v, load, values, (const float(*)[SL_PAGE])w, factor);
    for (; j < d; j += 16) gather(g, n, 1, j, d, v, load, values, (const float(*)[SL_PAGE])w, factor);
}

#define EACH_SIZE(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
typedef void group_fn(const group *, int, const void *, const void *, float, plane *, plane *);
#define SIZED(n)                                                                                                       \
    static void half##n(const group *g, int d, const void *k, const void *v, float scale, plane *keys, plane *values) { \
        attend_group(g, n, d, k, v, scale, load_half, keys, values);                                                   \
    }                                                                                                                  \
    static void float##n(const group *g, int d, const void *k, const void *v, float scale, plane *keys, plane *values) { \
        attend_group(g, n, d, k, v, scale, load_float, keys, values);                                                  \
    }
EACH_SIZE(SIZED)
#define HALF(n) half##n,
#define FLOAT(n) float##n,
static group_fn *const halves[GROUP] = {EACH_SIZE(HALF)}, *const floats[GROUP] = {EACH_SIZE(FLOAT)};

/* Collects the queries that see anything, eight at a time. The first eight prefetch the page that follows. */
static void attend(const float *const *q, const int *count, int n, int d, const void *k, const void *v, float scale,
                   sl_attend *state, float *const *acc, const void *ahead, size_t bytes, group_fn *const sized[GROUP]) {
    plane keys = {0}, values = {0};
    if (ahead) {
        int lines = (int)(bytes / 64), steps = SL_PAGE * (d / 32 > 0 ? d / 32 : 1);
        keys = (plane){ahead, (const char *)ahead + bytes, lines / PAIRS + 1};
        values.next = (const char *)ahead + ((const char *)v - (const char *)k);
        values.end = values.next + bytes;
        values.lines = lines / steps + 1;
    }
    for (int i = 0; i < n;) {
        group g = {.least = SL_PAGE};
        int many = 0;
        for (; i < n && many < GROUP; i++) {
            if (count[i] == 0) continue;
            g.q[many] = q[i];
            g.acc[many] = acc[i];
            g.state[many] = state + i;
            g.count[many++] = count[i];
            if (count[i] < g.least) g.least = count[i];
            if (count[i] > g.most) g.most = count[i];
        }
        if (many) sized[many - 1](&g, d, k, v, scale, &keys, &values);
    }
}

void sl__attend_f16_avx512(const float *const *q, const int *count, int n, int d, const void *k, const void *v, float scale,
                           sl_attend *state, float *const *acc, const void *ahead) {
    if (d % 16) sl__attend_f16_avx2(q, count, n, d, k, v, scale, state, acc, ahead);
    else attend(q, count, n, d, k, v, scale, state, acc, ahead, SL_PAGE * (size_t)d * 2, halves);
}

void sl__attend_f32_avx512(const float *const *q, const int *count, int n, int d, const void *k, const void *v, float scale,
                           sl_attend *state, float *const *acc, const void *ahead) {
    if (d % 16) sl__attend_f32_avx2(q, count, n, d, k, v, scale, state, acc, ahead);
    else attend(q, count, n, d, k, v, scale, state, acc, ahead, SL_PAGE * (size_t)d * 4, floats);
}

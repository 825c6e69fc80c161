/* attend.c: keys and values as 16-bit integers (I16). One instruction multiplies 32 pairs of numbers and adds them up in
 * sixteen lanes, exactly: twice the products of one on floats, and nothing has to be widened. Queries are taken eight at a
 * time, so that what was loaded is used eight times and sixteen sums keep both multipliers busy:
 *   scores  a vector of keys is the same pair of numbers of sixteen positions; it is multiplied by that pair of a query in
 *           every lane. The sums of the page's positions by eight queries stay in registers over the whole head.
 *   weights the maxima and sums over positions of eight queries are taken together, in one tree of shuffles.
 *   values  a vector of values is sixteen numbers at the same pair of positions; it is multiplied by the pair's two weights.
 *           The sums of 32 numbers by eight queries stay in registers over the page; then they become floats and are added
 *           to what the pages before gave.
 * Meanwhile the page that follows is prefetched line by line as this one is read: it may lie far away, where the processor
 * does not foresee it. */
#include "kernels/avx512/floats.h"

enum { GROUP = 8, PAIRS = SL_PAGE / 2, SOON = 1024 };

/* Up to GROUP queries that see anything of the page. */
typedef struct group {
    const int32_t *q[GROUP];
    float *acc[GROUP];
    sl_attend *state[GROUP];
    float scale[GROUP];
    int first[GROUP], count[GROUP];
} group;

/* The keys and values of one KV head in a page; the layout is at sl_kv_type in kernels.h. */
typedef struct head {
    const int32_t *keys, *values;
    const float *key_scale, *value_scale;
    const char *ahead; /* where the page that follows begins, to be prefetched; or where this one does: no harm */
    int d, pairs, wide; /* numbers of a key; pairs of them; numbers of a row of values */
} head;

/* Prefetches a line of the page that follows, the one at the same offset as p has in this page, into the second-level cache;
 * and for a second time one of this page that is due soon, since the processor drops prefetches while all its buffers wait
 * for memory. */
SL__INLINE void prefetch(const head *h, const void *p) {
    _mm_prefetch(h->ahead + ((const char *)p - (const char *)h->keys), _MM_HINT_T1);
    _mm_prefetch((const char *)p + SOON, _MM_HINT_T0);
}

/* sum [n][2]: every query times the keys. */
SL__INLINE void score(const group *g, int n, const head *h, __m512i (*sum)[2]) {
    SL__UNROLL for (int i = 0; i < n; i++) sum[i][0] = sum[i][1] = _mm512_setzero_si512();
    for (int j = 0; j < h->pairs; j++) {
        const int32_t *at = h->keys + j * SL_PAGE;
        __m512i k0 = _mm512_loadu_si512(at), k1 = _mm512_loadu_si512(at + 16);
        prefetch(h, at);
        prefetch(h, at + 16);
        SL__UNROLL for (int i = 0; i < n; i++) {
            __m512i q = _mm512_set1_epi32(g->q[i][j]);
            sum[i][0] = _mm512_dpwssd_epi32(sum[i][0], k0, q);
            sum[i][1] = _mm512_dpwssd_epi32(sum[i][1], k1, q);
        }
    }
}

typedef __m512 both_fn(__m512 a, __m512 b);
SL__INLINE __m512 larger(__m512 a, __m512 b) { return _mm512_max_ps(a, b); }
SL__INLINE __m512 sum_of(__m512 a, __m512 b) { return _mm512_add_ps(a, b); }

/* The tree of 16 lanes (kernels.h) for sixteen vectors at once: lane i is the result of v[i]. */
SL__INLINE __m512 tree16(const __m512 *v, both_fn *both) {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512 a[8], b[4], c[2];
    SL__UNROLL for (int i = 0; i < 8; i++) /* v[2 i] in the lower half, v[2 i + 1] in the upper one: lanes l and l + 8 */
        a[i] = both(_mm512_shuffle_f32x4(v[2 * i], v[2 * i + 1], 0x44), _mm512_shuffle_f32x4(v[2 * i], v[2 * i + 1], 0xee));
    SL__UNROLL for (int i = 0; i < 4; i++) /* a vector in each 128 bits: lanes l and l + 4 */
        b[i] = both(_mm512_shuffle_f32x4(a[2 * i], a[2 * i + 1], 0x88), _mm512_shuffle_f32x4(a[2 * i], a[2 * i + 1], 0xdd));
    SL__UNROLL for (int i = 0; i < 2; i++)
        c[i] = both(_mm512_shuffle_ps(b[2 * i], b[2 * i + 1], 0x44), _mm512_shuffle_ps(b[2 * i], b[2 * i + 1], 0xee));
    __m512 t = both(_mm512_shuffle_ps(c[0], c[1], 0x88), _mm512_shuffle_ps(c[0], c[1], 0xdd));
    return _mm512_permutexvar_ps(order, t);
}

/* What the values are multiplied by. */
typedef struct weights {
    _Alignas(64) int32_t pair[GROUP][PAIRS];
    _Alignas(64) float keep[16]; /* [i]: multiplies what the pages before gave to query i */
    _Alignas(64) float back[16]; /* [GROUP + i]: makes floats of query i's integer sums */
} weights;

/* From the scores' integer sums to weights as 16-bit integers (the steps are at sl_attend_fn in kernels.h); updates the
 * queries' states. */
SL__INLINE void weigh(const group *g, int n, const head *h, __m512i (*sum)[2], weights *ret) {
    const __m512 none = _mm512_set1_ps(-INFINITY);
    const __m512 k0 = _mm512_loadu_ps(h->key_scale), k1 = _mm512_loadu_ps(h->key_scale + 16);
    const __m512 v0 = _mm512_loadu_ps(h->value_scale), v1 = _mm512_loadu_ps(h->value_scale + 16);
    _Alignas(64) float before[16] = {0}, after[16], factor[16], total[16];
    __m512 s[GROUP][2], part[16];
    __mmask32 on[GROUP];
    SL__UNROLL for (int i = 0; i < 16; i++) part[i] = _mm512_setzero_ps();
    SL__UNROLL for (int i = 0; i < n; i++) {
        const __m512 scale = _mm512_set1_ps(g->scale[i]);
        on[i] = (__mmask32)((UINT64_C(1) << g->count[i]) - (UINT64_C(1) << g->first[i]));
        s[i][0] = _mm512_mask_mul_ps(none, (__mmask16)on[i], _mm512_mul_ps(_mm512_cvtepi32_ps(sum[i][0]), k0), scale);
        s[i][1] = _mm512_mask_mul_ps(none, (__mmask16)(on[i] >> 16), _mm512_mul_ps(_mm512_cvtepi32_ps(sum[i][1]), k1), scale);
        part[i] = part[GROUP + i] = _mm512_max_ps(s[i][1], _mm512_max_ps(s[i][0], none)); /* passes over NaNs */
        before[i] = g->state[i]->max;
    }
    __m512 old = _mm512_load_ps(before);
    __m512 max = _mm512_add_ps(_mm512_max_ps(tree16(part, larger), old), _mm512_setzero_ps());
    __mmask16 any = _mm512_cmp_ps_mask(old, none, _CMP_NEQ_UQ);
    _mm512_store_ps(ret->keep, _mm512_maskz_mov_ps(any, sl__exp2_16(_mm512_sub_ps(old, max))));
    _mm512_store_ps(after, max);
    SL__UNROLL for (int i = 0; i < n; i++) {
        const __m512 m = _mm512_set1_ps(after[i]);
        const __mmask16 low = (__mmask16)on[i], high = (__mmask16)(on[i] >> 16);
        __m512 w0 = sl__exp2_16(_mm512_sub_ps(s[i][0], m)), w1 = sl__exp2_16(_mm512_sub_ps(s[i][1], m));
        part[i] = _mm512_add_ps(_mm512_maskz_mov_ps(low, w0), _mm512_maskz_mov_ps(high, w1));
        s[i][0] = _mm512_maskz_mul_ps(low, w0, v0);
        s[i][1] = _mm512_maskz_mul_ps(high, w1, v1);
        part[GROUP + i] = _mm512_add_ps(s[i][0], s[i][1]);
    }
    __m512 all = tree16(part, sum_of);
    __mmask16 enough = _mm512_cmp_ps_mask(all, _mm512_set1_ps(0x1p-100f), _CMP_GE_OQ);
    _mm512_store_ps(factor, _mm512_maskz_div_ps(enough, _mm512_set1_ps(32767.0f), all));
    _mm512_store_ps(ret->back, _mm512_mul_ps(all, _mm512_set1_ps(1.0f / 32767.0f)));
    _mm512_store_ps(total, all);
    SL__UNROLL for (int i = 0; i < n; i++) {
        const __m512 f = _mm512_set1_ps(factor[GROUP + i]);
        __m512i w0 = _mm512_cvtps_epi32(_mm512_mul_ps(s[i][0], f)), w1 = _mm512_cvtps_epi32(_mm512_mul_ps(s[i][1], f));
        _mm512_store_si512(ret->pair[i], _mm512_mask_blend_epi16(0xaaaaaaaa, w0, _mm512_slli_epi32(w1, 16)));
        g->state[i]->max = after[i];
        g->state[i]->sum = fmaf(g->state[i]->sum, ret->keep[i], total[i]);
    }
}

/* acc = sums * back + acc * keep, for `vectors` times sixteen values from j on. */
SL__INLINE void gather(const group *g, int n, int vectors, int j, const head *h, const weights *w) {
    __m512i sum[GROUP][2];
    SL__UNROLL for (int i = 0; i < n; i++)
        SL__UNROLL for (int b = 0; b < vectors; b++) sum[i][b] = _mm512_setzero_si512();
    for (int l = 0; l < PAIRS; l++) {
        __m512i value[2];
        SL__UNROLL for (int b = 0; b < vectors; b++) {
            const int32_t *at = h->values + l * h->wide + j + 16 * b;
            value[b] = _mm512_loadu_si512(at);
            prefetch(h, at);
        }
        SL__UNROLL for (int i = 0; i < n; i++) {
            __m512i pair = _mm512_set1_epi32(w->pair[i][l]);
            SL__UNROLL for (int b = 0; b < vectors; b++) sum[i][b] = _mm512_dpwssd_epi32(sum[i][b], value[b], pair);
        }
    }
    SL__UNROLL for (int b = 0; b < vectors; b++) {
        int at = j + 16 * b, left = h->d - at;
        __mmask16 on = left >= 16 ? 0xffff : (__mmask16)((1u << left) - 1);
        SL__UNROLL for (int i = 0; i < n; i++) {
            __m512 a = _mm512_mul_ps(_mm512_maskz_loadu_ps(on, g->acc[i] + at), _mm512_set1_ps(w->keep[i]));
            a = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[i][b]), _mm512_set1_ps(w->back[GROUP + i]), a);
            _mm512_mask_storeu_ps(g->acc[i] + at, on, a);
        }
    }
}

SL__INLINE void attend_group(const group *g, int n, const head *h) {
    __m512i sum[GROUP][2];
    weights w;
    int j = 0;
    score(g, n, h, sum);
    weigh(g, n, h, sum, &w);
    for (; j + 32 <= h->wide; j += 32) gather(g, n, 2, j, h, &w);
    if (j < h->wide) gather(g, n, 1, j, h, &w);
}

#define EACH_SIZE(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
typedef void group_fn(const group *, const head *);
#define SIZED(n)                                                                                                       \
    static void attend##n(const group *g, const head *h) { attend_group(g, n, h); }
EACH_SIZE(SIZED)
#define NAME(n) attend##n,
static group_fn *const sized[GROUP] = {EACH_SIZE(NAME)};

/* Collects the queries that see anything, eight at a time. The first eight prefetch the page that follows. */
void sl__attend_i16_avx512(const sl_query *q, const int *first, const int *count, int n, int d, const void *page, sl_attend *state,
                           float *const *acc, const void *ahead) {
    head h = {.keys = page, .ahead = ahead ? ahead : page, .d = d, .pairs = (d + 1) / 2, .wide = (d + 15) / 16 * 16};
    h.key_scale = (const float *)(h.keys + h.pairs * SL_PAGE);
    h.values = (const int32_t *)(h.key_scale + SL_PAGE);
    h.value_scale = (const float *)(h.values + h.wide * PAIRS);
    for (int i = 0; i < n;) {
        group g = {.count = {0}};
        int many = 0;
        for (; i < n && many < GROUP; i++) {
            if (count[i] == 0) continue;
            g.q[many] = q[i].q;
            g.scale[many] = q[i].scale;
            g.acc[many] = acc[i];
            g.state[many] = state + i;
            g.first[many] = first[i];
            g.count[many++] = count[i];
        }
        if (many) sized[many - 1](&g, &h);
        h.ahead = page;
    }
}

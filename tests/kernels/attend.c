/* Attention over pages. */
#include "check.h"

enum { QUERIES = 19 };

typedef struct page {
    void *k, *v;
    size_t bytes;
} page;

/* A page of which the first `seen` positions may be read. */
static page page_new(sl_kv_type type, int d, int seen, float size) {
    size_t n = (size_t)seen * (size_t)d;
    page p = {NULL, NULL, n * sl_kv_bytes(type)};
    float *f = malloc(n * sizeof *f);
    for (int i = 0; i < 2; i++) {
        void *to = edge(p.bytes);
        for (size_t j = 0; j < n; j++) f[j] = random_normal() * size;
        scalar_tier()->kv_store[type](f, (int)n, to);
        if (i) p.v = to;
        else p.k = to;
    }
    free(f);
    return p;
}

static void page_free(page *p) {
    edge_free(p->k, p->bytes);
    edge_free(p->v, p->bytes);
}

/* Several pages, the tier beside scalar: states and accumulators after each. */
static void compare(const sl_kernel_table *t, sl_kv_type type, int d, int n, float size) {
    const float *q[QUERIES];
    float *query = edge((size_t)(n * d) * sizeof(float)), *acc[2][QUERIES];
    sl_attend state[2][QUERIES];
    guarded out[2];
    for (int i = 0; i < n * d; i++) query[i] = random_normal();
    for (int side = 0; side < 2; side++) {
        out[side] = guarded_new((size_t)(n * d) * sizeof(float));
        memset(out[side].f, 0, out[side].bytes);
        for (int i = 0; i < n; i++) {
            q[i] = query + i * d;
            acc[side][i] = out[side].f + i * d;
            state[side][i] = (sl_attend){-INFINITY, 0};
        }
    }
    for (int round = 0; round < 4; round++) {
        int count[QUERIES], seen = 1;
        for (int i = 0; i < n; i++) {
            count[i] = round == 0 ? SL_PAGE : round == 1 ? random_int(0, SL_PAGE) : round == 2 ? 17 : random_int(0, 3);
            if (count[i] > seen) seen = count[i];
        }
        page p = page_new(type, d, seen, size);
        t->attend[type](q, count, n, d, p.k, p.v, 0.125f, state[0], acc[0], round % 2 ? NULL : p.k);
        scalar_tier()->attend[type](q, count, n, d, p.k, p.v, 0.125f, state[1], acc[1], NULL);
        same_floats(out[0].f, out[1].f, (size_t)(n * d), "%s attend %d: d %d n %d page %d", t->tier, (int)type, d, n, round);
        same_floats(&state[0][0].max, &state[1][0].max, 2 * (size_t)n, "%s attend %d state: d %d n %d page %d", t->tier,
                    (int)type, d, n, round);
        page_free(&p);
    }
    for (int side = 0; side < 2; side++) {
        guarded_check(out + side, "attend");
        guarded_free(out + side);
    }
    edge_free(query, (size_t)(n * d) * sizeof(float));
}

/* Softmax of all positions at once in double precision. */
static void check_reference(const sl_kernel_table *t, sl_kv_type type, int d) {
    enum { PAGES = 5, LAST = 11, POSITIONS = (PAGES - 1) * SL_PAGE + LAST };
    size_t bytes = SL_PAGE * (size_t)d * sl_kv_bytes(type);
    float *q = malloc((size_t)d * sizeof *q), *out = calloc((size_t)d, sizeof *out);
    double *want = calloc((size_t)d, sizeof *want), score[POSITIONS], max = -INFINITY, total = 0;
    sl_attend state = {-INFINITY, 0};
    float *k = malloc((size_t)(POSITIONS * d) * sizeof *k), *v = malloc((size_t)(POSITIONS * d) * sizeof *v);
    void *kp = malloc(bytes), *vp = malloc(bytes);
    for (int j = 0; j < d; j++) q[j] = random_normal();
    for (int i = 0; i < POSITIONS * d; i++) { /* exact in half precision */
        k[i] = (float)random_int(-1024, 1024) / 256;
        v[i] = (float)random_int(-1024, 1024) / 256;
    }
    for (int p = 0; p < POSITIONS; p++) {
        score[p] = 0;
        for (int j = 0; j < d; j++) score[p] += 0.3 * (double)q[j] * (double)k[p * d + j];
        max = fmax(max, score[p]);
    }
    for (int p = 0; p < POSITIONS; p++) total += exp(score[p] - max);
    for (int p = 0; p < POSITIONS; p++)
        for (int j = 0; j < d; j++) want[j] += exp(score[p] - max) / total * (double)v[p * d + j];
    for (int i = 0; i < PAGES; i++) {
        int count = i < PAGES - 1 ? SL_PAGE : LAST;
        t->kv_store[type](k + i * SL_PAGE * d, count * d, kp);
        t->kv_store[type](v + i * SL_PAGE * d, count * d, vp);
        t->attend[type]((const float *const[]){q}, &count, 1, d, kp, vp, 0.3f, &state, (float *const[]){out}, NULL);
    }
    for (int j = 0; j < d; j++) {
        comparisons++;
        if (!(fabs((double)(out[j] / state.sum) - want[j]) < 1e-4)) {
            fail("%s attend, d %d: [%d] is %g, should be %g", t->tier, d, j, (double)(out[j] / state.sum), want[j]);
            break;
        }
    }
    free(q), free(out), free(want), free(k), free(v), free(kp), free(vp);
}

void check_attend(const sl_kernel_table *t) {
    static const int sizes[] = {1, 7, 8, 15, 16, 17, 31, 32, 48, 64, 72, 80, 96, 100, 128, 192, 256};
    for (int type = 0; type < SL_KV_COUNT; type++)
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            check_reference(t, (sl_kv_type)type, sizes[s]);
            for (int n = 1; n <= QUERIES; n += n < 9 ? 1 : 5) {
                compare(t, (sl_kv_type)type, sizes[s], n, 1);
                compare(t, (sl_kv_type)type, sizes[s], n, 100);
                compare(t, (sl_kv_type)type, sizes[s], n, 0);
            }
        }
}

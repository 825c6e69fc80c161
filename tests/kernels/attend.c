/* Attention over pages. */
#include "check.h"

enum { QUERIES = 19 };

/* LEVEL: every number of a vector has the same size and keys are parallel to queries, or the other way round, which makes
 * the largest sums there can be. */
typedef enum content { NORMAL, LEVEL } content;

static float number(content c, int position, int j, float size) {
    if (c == NORMAL) return random_normal() * size;
    return (j * 7 % 3 == 0) == (position % 2 == 0) ? size : -size;
}

static size_t head_bytes(sl_kv_type type, int d) { return sl_kv_keys_bytes(type, d) + sl_kv_values_bytes(type, d); }

/* A page whose first `seen` positions are written, by the tier and by scalar alike; the rest is anything. */
static void *page_new(const sl_kernel_table *t, sl_kv_type type, int d, int seen, content c, float size) {
    size_t bytes = head_bytes(type, d);
    float *k = edge((size_t)d * sizeof *k), *v = edge((size_t)d * sizeof *v);
    guarded other = guarded_new(bytes);
    void *page = edge(bytes);
    for (size_t i = 0; i < bytes; i++) ((uint8_t *)page)[i] = (uint8_t)random64();
    memcpy(other.f, page, bytes);
    for (int p = 0; p < seen; p++) {
        for (int j = 0; j < d; j++) {
            k[j] = number(c, p, j, size);
            v[j] = c == NORMAL ? random_normal() * size : size;
        }
        if (c == NORMAL && random_int(0, 9) == 0) k[random_int(0, d - 1)] *= 1000; /* one number outweighs the others */
        scalar_tier()->kv_store[type](k, v, d, p, page);
        t->kv_store[type](k, v, d, p, other.f);
    }
    same_bytes(other.f, page, bytes, "%s kv_store %d: d %d", t->tier, (int)type, d);
    guarded_check(&other, "kv_store");
    guarded_free(&other);
    edge_free(k, (size_t)d * sizeof *k);
    edge_free(v, (size_t)d * sizeof *v);
    return page;
}

/* Queries made ready by the tier and by scalar alike. */
static void ready_new(const sl_kernel_table *t, sl_kv_type type, int d, int n, content c, float size, void *ready, sl_query *q) {
    float *x = edge((size_t)d * sizeof *x);
    guarded other = guarded_new(sl_query_bytes(d));
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < d; j++) x[j] = number(c, i, j, size);
        q[i].q = (uint8_t *)ready + (size_t)i * sl_query_bytes(d);
        memset((void *)(uintptr_t)q[i].q, 0, sl_query_bytes(d));
        memset(other.f, 0, other.bytes);
        q[i].scale = scalar_tier()->query[type](x, d, 0.125f, (void *)(uintptr_t)q[i].q);
        float scale = t->query[type](x, d, 0.125f, other.f);
        same_floats(&scale, &q[i].scale, 1, "%s query %d: scale, d %d", t->tier, (int)type, d);
        same_bytes(other.f, q[i].q, sl_query_bytes(d), "%s query %d: d %d", t->tier, (int)type, d);
        guarded_check(&other, "query");
    }
    guarded_free(&other);
    edge_free(x, (size_t)d * sizeof *x);
}

/* Several pages, the tier beside scalar: states and accumulators after each. windows: 0 queries see a page's beginning, 1 only
 * from some position on, 2 one position. */
static void compare_windows(const sl_kernel_table *t, sl_kv_type type, int d, int n, content c, float size, int windows) {
    float *acc[2][QUERIES];
    sl_attend state[2][QUERIES];
    sl_query q[QUERIES];
    guarded out[2];
    size_t bytes = head_bytes(type, d);
    void *ready = edge((size_t)n * sl_query_bytes(d));
    ready_new(t, type, d, n, c, size > 1000 ? size : 1, ready, q);
    for (int side = 0; side < 2; side++) {
        out[side] = guarded_new((size_t)(n * d) * sizeof(float));
        memset(out[side].f, 0, out[side].bytes);
        for (int i = 0; i < n; i++) {
            acc[side][i] = out[side].f + i * d;
            state[side][i] = (sl_attend){-INFINITY, 0};
        }
    }
    for (int round = 0; round < 4; round++) {
        int first[QUERIES], count[QUERIES], seen = 1;
        for (int i = 0; i < n; i++) {
            count[i] = round == 0 ? SL_PAGE : round == 1 ? random_int(0, SL_PAGE) : round == 2 ? 17 : random_int(0, 3);
            first[i] = count[i] == 0 || windows == 0 ? 0 : windows == 1 ? random_int(0, count[i] - 1) : count[i] - 1;
            if (count[i] > seen) seen = count[i];
        }
        void *page = page_new(t, type, d, seen, c, size);
        t->attend[type](q, first, count, n, d, page, state[0], acc[0], round % 2 ? NULL : page);
        scalar_tier()->attend[type](q, first, count, n, d, page, state[1], acc[1], NULL);
        same_floats(out[0].f, out[1].f, (size_t)(n * d), "%s attend %d: d %d n %d page %d", t->tier, (int)type, d, n, round);
        same_floats(&state[0][0].max, &state[1][0].max, 2 * (size_t)n, "%s attend %d state: d %d n %d page %d", t->tier,
                    (int)type, d, n, round);
        edge_free(page, bytes);
    }
    for (int side = 0; side < 2; side++) {
        guarded_check(out + side, "attend");
        guarded_free(out + side);
    }
    edge_free(ready, (size_t)n * sl_query_bytes(d));
}

static void compare(const sl_kernel_table *t, sl_kv_type type, int d, int n, content c, float size) {
    for (int windows = 0; windows < (size == 1 ? 3 : 1); windows++) compare_windows(t, type, d, n, c, size, windows);
}

enum { PAGES = 5, LAST = 11, POSITIONS = (PAGES - 1) * SL_PAGE + LAST, ASKED = 24 };

/* Softmax of all positions at once in double precision. */
static void exact(const double *q, const double *k, const double *v, int d, double scale, double *out) {
    double score[POSITIONS], max = -INFINITY, total = 0;
    for (int p = 0; p < POSITIONS; p++) {
        score[p] = 0;
        for (int j = 0; j < d; j++) score[p] += scale * q[j] * k[p * d + j];
        max = fmax(max, score[p]);
    }
    for (int p = 0; p < POSITIONS; p++) total += exp(score[p] - max);
    for (int j = 0; j < d; j++) out[j] = 0;
    for (int p = 0; p < POSITIONS; p++)
        for (int j = 0; j < d; j++) out[j] += exp(score[p] - max) / total * v[p * d + j];
}

static double half(double x) { return (double)sl_f16_to_f32(sl_f32_to_f16((float)x)); }

/* Numbers of which `heavy` times as large ones stand in a few channels, as in trained models. */
static void fill(double *x, int n, int d, int channel, double heavy) {
    for (int i = 0; i < n; i++) x[i] = (double)(random_normal() * (float)(i % d % 37 == channel ? heavy : 1));
}

/* Root mean squares of the errors: F32 close to nothing; I16 of the size that keys and values in half floats would cost with
 * exact arithmetic (0.5 to 0.8 of it for even numbers, 0.2 to 1.5 with heavy channels; there is chance in it). */
static void check_reference(const sl_kernel_table *t, sl_kv_type type, int d, double heavy) {
    size_t n = (size_t)(POSITIONS * d), width = (size_t)d;
    double *k = malloc(n * sizeof *k), *v = malloc(n * sizeof *v), *half_k = malloc(n * sizeof *k), *half_v = malloc(n * sizeof *v);
    double *q = malloc(width * sizeof *q), *want = malloc(width * sizeof *want), *halves = malloc(width * sizeof *want);
    float *key = malloc(n * sizeof *key), *value = malloc(n * sizeof *value), *x = malloc(width * sizeof *x);
    float *out = malloc(width * sizeof *out), scale = 1 / sqrtf((float)d);
    uint8_t *pages = malloc(PAGES * head_bytes(type, d)), *ready = malloc(sl_query_bytes(d));
    double error = 0, half_error = 0, squares = 0;
    fill(k, POSITIONS * d, d, 6, heavy);
    fill(v, POSITIONS * d, d, 7, heavy);
    for (size_t i = 0; i < n; i++) {
        key[i] = (float)k[i], value[i] = (float)v[i];
        half_k[i] = half(k[i]), half_v[i] = half(v[i]);
    }
    for (int p = 0; p < POSITIONS; p++)
        t->kv_store[type](key + p * d, value + p * d, d, p % SL_PAGE, pages + (size_t)(p / SL_PAGE) * head_bytes(type, d));
    for (int i = 0; i < ASKED; i++) {
        sl_attend state = {-INFINITY, 0};
        fill(q, d, d, 5, heavy);
        for (int j = 0; j < d; j++) x[j] = (float)q[j], out[j] = 0;
        exact(q, k, v, d, (double)scale, want);
        exact(q, half_k, half_v, d, (double)scale, halves);
        sl_query query = {ready, t->query[type](x, d, scale * 1.44269504f, ready)};
        for (int p = 0; p < PAGES; p++) {
            int count = p < PAGES - 1 ? SL_PAGE : LAST;
            t->attend[type](&query, &(int){0}, &count, 1, d, pages + (size_t)p * head_bytes(type, d), &state, (float *const[]){out}, NULL);
        }
        for (int j = 0; j < d; j++) {
            error += pow((double)(out[j] / state.sum) - want[j], 2);
            half_error += pow(halves[j] - want[j], 2);
            squares += want[j] * want[j];
        }
    }
    comparisons++;
    error = sqrt(error / squares), half_error = sqrt(half_error / squares);
    if (!(error <= (type == SL_KV_F32 ? 4e-6 : 2 * half_error)))
        fail("%s attend %d, d %d, heavy %g: error %g, of half floats %g", t->tier, (int)type, d, heavy, error, half_error);
    free(k), free(v), free(half_k), free(half_v), free(q), free(want), free(halves), free(key), free(value), free(x), free(out);
    free(pages), free(ready);
}

void check_attend(const sl_kernel_table *t) {
    static const int sizes[] = {1, 7, 8, 15, 16, 17, 31, 32, 48, 64, 72, 80, 96, 100, 128, 192, 256};
    for (int type = 0; type < SL_KV_COUNT; type++)
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            check_reference(t, (sl_kv_type)type, sizes[s], 1);
            check_reference(t, (sl_kv_type)type, sizes[s], 20);
            for (int n = 1; n <= QUERIES; n += n < 9 ? 1 : 5) {
                compare(t, (sl_kv_type)type, sizes[s], n, NORMAL, 1);
                compare(t, (sl_kv_type)type, sizes[s], n, NORMAL, 100);
                compare(t, (sl_kv_type)type, sizes[s], n, NORMAL, 0);
                compare(t, (sl_kv_type)type, sizes[s], n, NORMAL, 1e-14f); /* too small for a step */
                compare(t, (sl_kv_type)type, sizes[s], n, NORMAL, 1e15f);  /* scores beyond any exponent */
                compare(t, (sl_kv_type)type, sizes[s], n, NORMAL, INFINITY);
                compare(t, (sl_kv_type)type, sizes[s], n, LEVEL, 1);
                compare(t, (sl_kv_type)type, sizes[s], n, LEVEL, 0.001f); /* scores so near that all positions weigh alike */
            }
        }
    for (int type = 0; type < SL_KV_COUNT; type++)
        for (int n = 1; n <= 9; n += 4) compare(t, (sl_kv_type)type, 4096, n, LEVEL, 1); /* the longest head that a model may have */
}

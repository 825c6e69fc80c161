#include "sampling/internal.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint32_t state = 1;
static float noise(void) {
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) * 0x1p-24f;
}

typedef struct entry {
    float x;
    int i;
} entry;

static int by_value(const void *a, const void *b) {
    const entry *p = a, *q = b;
    return p->x != q->x ? (p->x > q->x ? -1 : 1) : p->i - q->i;
}

/* The definition that the linear passes must agree with: everything sorted. */
static entry *sorted(const float *x, int n) {
    entry *e = malloc((size_t)n * sizeof *e);
    for (int i = 0; i < n; i++) e[i] = (entry){x[i], i};
    qsort(e, (size_t)n, sizeof *e, by_value);
    return e;
}

static sl__histogram histogram;

START_TEST(top_and_kth_agree_with_sorting) {
    static float x[3000];
    static sl_logprob top[256];
    for (int round = 0; round < 60; round++) {
        int n = 1 + (int)(noise() * 2999);
        for (int i = 0; i < n; i++) {
            float v = noise() * 20 - 10;
            x[i] = round % 3 == 0 ? floorf(v) : round % 3 == 1 ? v : noise() < 0.5f ? -INFINITY : v * 1e-30f;
        }
        entry *e = sorted(x, n);
        int most = 1 + (int)(noise() * 255), have = sl__select_top(x, n, most, top);
        ck_assert_int_eq(have, most < n ? most : n);
        for (int i = 0; i < have; i++) ck_assert_int_eq(top[i].token, e[i].i);
        for (int t = 0; t < 5; t++) {
            int k = 1 + (int)(noise() * (float)(n - 1));
            ck_assert_msg(sl__select_kth(x, n, k, &histogram) == e[k - 1].x, "round %d k %d", round, k);
        }
        free(e);
    }
}
END_TEST

START_TEST(nucleus_agrees_with_sorting) {
    static float w[3000], before[3000];
    static int32_t id[3000];
    static double block[3000 / SL_DRAW_BLOCK + 1];
    for (int round = 0; round < 60; round++) {
        int n = 1 + (int)(noise() * 2999);
        double whole = 0;
        for (int i = 0; i < n; i++) {
            /* Small integers: sums are exact, so the order of summing cannot matter. */
            w[i] = round % 2 ? floorf(noise() * 9) : floorf(noise() * 1e5f);
            whole += (double)w[i];
        }
        if (whole <= 0) continue;
        memcpy(before, w, sizeof w);
        double share = round % 5 == 0 ? 0.0 : (double)noise();
        for (int i = 0; i < n; i++) id[i] = i + 7;
        int kept = sl__select_nucleus(w, id, n, share, block, &histogram), wanted = 0;
        entry *e = sorted(before, n);
        double mass = 0;
        for (; wanted == 0 || (wanted < n && mass < share * whole); wanted++) mass += (double)e[wanted].x;
        ck_assert_int_eq(kept, wanted);
        for (int i = 0; i < kept; i++) {
            ck_assert_float_eq(w[i], before[id[i] - 7]);
            ck_assert(i == 0 || id[i] > id[i - 1]);
            ck_assert(w[i] > e[kept - 1].x || (w[i] == e[kept - 1].x && id[i] - 7 <= e[kept - 1].i));
        }
        free(e);
    }
}
END_TEST

START_TEST(draw_walks_the_running_sum) {
    static float w[2000];
    static double block[2000 / SL_DRAW_BLOCK + 1];
    for (int round = 0; round < 50; round++) {
        int n = 1 + (int)(noise() * 1999);
        double whole = 0;
        for (int i = 0; i < n; i++) {
            w[i] = noise() < 0.7f ? 0 : floorf(noise() * 100);
            whole += (double)w[i];
        }
        if (whole <= 0) continue;
        for (int t = 0; t < 40; t++) {
            double u = t == 0 ? 0 : t == 1 ? 1 - 0x1p-53 : (double)noise(), sum = 0;
            int want = -1;
            for (int i = 0; i < n && want < 0; i++) {
                sum += (double)w[i];
                if (sum > u * whole) want = i;
            }
            int got = sl__select_draw(w, n, u, block);
            ck_assert(w[got] > 0);
            ck_assert_int_eq(got, want);
        }
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("select");
    TCase *t = tcase_create("select");
    tcase_add_test(t, top_and_kth_agree_with_sorting);
    tcase_add_test(t, nucleus_agrees_with_sorting);
    tcase_add_test(t, draw_walks_the_running_sum);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}

#include "experts/stats.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <check.h>
#include <stdlib.h>

enum { LAYERS = 2, EXPERTS = 4, WORKERS = 3 };

static const char *const endpoints[] = {"/"};

typedef struct fixture {
    sl_metrics *m;
    sl_expert_stats *s;
} fixture;

static fixture fixture_new(void) {
    sl_metrics_config c = {.layers = LAYERS, .experts = EXPERTS, .endpoints = endpoints, .endpoint_count = 1, .model = "m",
                           .family = "f", .type = "F32", .version = "0", .tier = "scalar", .kv_type = "f16",
                           .experts_per_token = 2, .kv_block_size = 32, .kv_blocks = 1};
    fixture f;
    sl_error e;
    ck_assert_int_eq(sl_metrics_new(&c, &f.m, &e), SL_OK);
    ck_assert_int_eq(sl_expert_stats_new(LAYERS, EXPERTS, WORKERS, f.m, &f.s, &e), SL_OK);
    return f;
}

static void fixture_free(fixture *f) {
    sl_expert_stats_free(f->s);
    sl_metrics_free(f->m);
}

static void fold(fixture *f, uint64_t seconds) {
    sl_metrics_begin(f->m);
    sl_expert_stats_fold_at(f->s, (1000 + seconds) * SL_SECOND);
    sl_metrics_end(f->m);
}

static double metric(const fixture *f, sl_metric id, int slot) { return sl_metrics_get(f->m, id, slot); }

START_TEST(sums_over_workers) {
    fixture f = fixture_new();
    sl_expert_stats_group(f.s, 1, 2, 7);
    sl_expert_stats_up(f.s, 2, 1, 2, 4 * SL_SECOND, 6 * SL_SECOND);
    sl_expert_stats_up(f.s, 0, 1, 2, 3 * SL_SECOND, 4 * SL_SECOND);
    sl_expert_stats_up(f.s, 0, 1, 2, 5 * SL_SECOND, 8 * SL_SECOND);
    sl_expert_stats_down(f.s, 1, 1, 2, SL_SECOND / 2);
    sl_expert_totals t = sl_expert_stats_get(f.s, 1, 2);
    ck_assert_int_eq((int)t.tokens, 0); /* nothing shows before the step is folded */
    fold(&f, 0);
    t = sl_expert_stats_get(f.s, 1, 2);
    ck_assert_int_eq((int)t.tokens, 7);
    ck_assert_int_eq((int)t.groups, 1);
    ck_assert(t.compute == 6.5); /* 2 + 1 + 3 of gate and up, half a second of down */
    ck_assert(t.latency == 5);   /* from 3 to 8 */
    int slot = 1 * EXPERTS + 2;
    ck_assert(metric(&f, SL_METRIC_EXPERT_TOKENS, slot) == 7);
    ck_assert(metric(&f, SL_METRIC_EXPERT_GROUPS, slot) == 1);
    ck_assert(metric(&f, SL_METRIC_EXPERT_COMPUTE, slot) == 6.5);
    ck_assert(metric(&f, SL_METRIC_EXPERT_GROUP_SECONDS, slot) == 5);
    fold(&f, 1); /* a fold without a step counts nothing again */
    ck_assert(metric(&f, SL_METRIC_EXPERT_COMPUTE, slot) == 6.5);
    sl_expert_stats_group(f.s, 1, 2, 1);
    sl_expert_stats_up(f.s, 1, 1, 2, 10 * SL_SECOND, 11 * SL_SECOND);
    fold(&f, 2);
    t = sl_expert_stats_get(f.s, 1, 2);
    ck_assert_int_eq((int)t.tokens, 8);
    ck_assert_int_eq((int)t.groups, 2);
    ck_assert(t.latency == 6);
    fixture_free(&f);
}
END_TEST

/* One step of a layer: rows of each expert. */
static void step(fixture *f, const int rows[EXPERTS]) {
    for (int i = 0; i < EXPERTS; i++) {
        if (rows[i]) sl_expert_stats_group(f->s, 0, i, rows[i]);
    }
}

START_TEST(touched_and_imbalance) {
    fixture f = fixture_new();
    step(&f, (const int[]){6, 2, 0, 0});
    fold(&f, 0);
    ck_assert(metric(&f, SL_METRIC_EXPERTS_TOUCHED, 0) == 2);
    ck_assert(metric(&f, SL_METRIC_EXPERTS_TOUCHED, 1) == 0);
    ck_assert(metric(&f, SL_METRIC_EXPERT_IMBALANCE, 0) == 3); /* 6 of 8 rows where even were 2 */
    step(&f, (const int[]){0, 2, 4, 2});
    fold(&f, 30);
    ck_assert(metric(&f, SL_METRIC_EXPERTS_TOUCHED, 0) == 3);
    ck_assert(metric(&f, SL_METRIC_EXPERT_IMBALANCE, 0) == 1.5); /* 6, 4, 4, 2 */
    fold(&f, 75); /* the first step is out of the last minute: 0, 2, 4, 2 */
    ck_assert(metric(&f, SL_METRIC_EXPERT_IMBALANCE, 0) == 2);
    ck_assert(metric(&f, SL_METRIC_EXPERTS_TOUCHED, 0) == 3); /* of the last step */
    fold(&f, 5000); /* a long pause */
    ck_assert(metric(&f, SL_METRIC_EXPERT_IMBALANCE, 0) == 0);
    step(&f, (const int[]){1, 1, 1, 1});
    fold(&f, 5001);
    ck_assert(metric(&f, SL_METRIC_EXPERT_IMBALANCE, 0) == 1);
    fixture_free(&f);
}
END_TEST

START_TEST(works_without_metrics_and_without_stats) {
    sl_expert_stats *s;
    sl_error e;
    ck_assert_int_eq(sl_expert_stats_new(1, 2, 1, NULL, &s, &e), SL_OK);
    sl_expert_stats_group(s, 0, 1, 3);
    sl_expert_stats_fold(s);
    ck_assert_int_eq((int)sl_expert_stats_get(s, 0, 1).tokens, 3);
    sl_expert_stats_free(s);
    sl_expert_stats_group(NULL, 0, 0, 1);
    sl_expert_stats_fold(NULL);
    ck_assert_int_eq(sl_expert_stats_new(2, 0, 1, NULL, &s, &e), SL_OK); /* a dense model */
    sl_expert_stats_fold(s);
    sl_expert_stats_free(s);
}
END_TEST

START_TEST(out_of_memory) {
    sl_expert_stats *s = NULL;
    sl_error e;
    sl_alloc_fail_at(0);
    ck_assert_int_eq(sl_expert_stats_new(2, 2, 2, NULL, &s, &e), SL_OK);
    long sites = sl_alloc_fail_at(0);
    s = sl_expert_stats_free(s);
    for (long n = 1; n <= sites; n++) {
        sl_alloc_fail_at(n);
        ck_assert_int_eq(sl_expert_stats_new(2, 2, 2, NULL, &s, &e), SL_NOMEM);
        ck_assert_ptr_null(s);
    }
    sl_alloc_fail_at(0);
}
END_TEST

int main(void) {
    Suite *s = suite_create("stats");
    TCase *t = tcase_create("stats");
    tcase_add_test(t, sums_over_workers);
    tcase_add_test(t, touched_and_imbalance);
    tcase_add_test(t, works_without_metrics_and_without_stats);
    tcase_add_test(t, out_of_memory);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

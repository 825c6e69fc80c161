#include "base/alloc.h"
#include "metrics/metrics.h"

#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

static const char *const endpoints[] = {"/v1/completions", "/livez"};
static const sl_metrics_config config = {
    .layers = 2, .experts = 3, .endpoints = endpoints, .endpoint_count = 2, .model = "m", .family = "f",
    .type = "Q4_K", .version = "1", .tier = "scalar", .kv_type = "f16", .experts_per_token = 2,
    .kv_block_size = 32, .kv_blocks = 7,
};

static sl_metrics *make(void) {
    sl_metrics *m = NULL;
    sl_error e;
    ck_assert_int_eq(sl_metrics_new(&config, &m, &e), SL_OK);
    return m;
}

START_TEST(counts) {
    sl_metrics *m = make();
    sl_metrics_begin(m);
    sl_metrics_add(m, SL_METRIC_EXPERT_TOKENS, 1 * 3 + 2, 5);
    sl_metrics_add(m, SL_METRIC_EXPERT_TOKENS, 1 * 3 + 2, 2);
    sl_metrics_set(m, SL_METRIC_KV_USAGE, 0, 0.25);
    sl_metrics_add(m, SL_METRIC_RUNNING, 0, 3);
    sl_metrics_add(m, SL_METRIC_RUNNING, 0, -1);
    sl_metrics_end(m);
    sl_metrics_add(m, SL_METRIC_REJECTED, SL_REJECT_AUTH, 1);
    ck_assert_double_eq(sl_metrics_get(m, SL_METRIC_EXPERT_TOKENS, 5), 7);
    ck_assert_double_eq(sl_metrics_get(m, SL_METRIC_EXPERT_TOKENS, 4), 0);
    ck_assert_double_eq(sl_metrics_get(m, SL_METRIC_KV_USAGE, 0), 0.25);
    ck_assert_double_eq(sl_metrics_get(m, SL_METRIC_RUNNING, 0), 2);
    ck_assert_double_eq(sl_metrics_get(m, SL_METRIC_REJECTED, SL_REJECT_AUTH), 1);
    sl_metrics_free(m);
}
END_TEST

START_TEST(bad_slots_and_values_count_nothing) {
    sl_metrics *m = make();
    sl_metrics_begin(m);
    sl_metrics_add(m, SL_METRIC_EXPERT_TOKENS, 6, 1);
    sl_metrics_add(m, SL_METRIC_EXPERT_TOKENS, -1, 1);
    sl_metrics_add(m, SL_METRIC_EXPERT_TOKENS, 0, NAN);
    sl_metrics_observe(m, SL_METRIC_TTFT, 0, INFINITY);
    sl_metrics_end(m);
    for (int i = -1; i < 7; i++) ck_assert_double_eq(sl_metrics_get(m, SL_METRIC_EXPERT_TOKENS, i), 0);
    sl_metrics_free(m);
    sl_metrics_begin(NULL);
    sl_metrics_add(NULL, SL_METRIC_EXPERT_TOKENS, 0, 1);
    sl_metrics_set(NULL, SL_METRIC_KV_USAGE, 0, 1);
    sl_metrics_observe(NULL, SL_METRIC_TTFT, 0, 1);
    sl_metrics_end(NULL);
}
END_TEST

START_TEST(request_slots_are_distinct) {
    sl_metrics *m = make();
    int ok = sl_metrics_request_slot(m, "/livez", 200), bad = sl_metrics_request_slot(m, "/livez", 400);
    int other_path = sl_metrics_request_slot(m, "/x", 200), other_code = sl_metrics_request_slot(m, "/livez", 799);
    ck_assert_int_ne(ok, bad);
    ck_assert_int_ne(ok, other_path);
    ck_assert_int_ne(ok, other_code);
    ck_assert_int_eq(other_path, sl_metrics_request_slot(m, "/y", 200));
    static const int answered[] = {200, 204, 400, 401, 403, 404, 405, 408, 411, 413, 414, 415, 417, 421, 422, 429, 431, 499, 500, 501,
                                   503, 504, 505};
    for (size_t i = 0; i < sizeof answered / sizeof *answered; i++)
        ck_assert_int_ne(sl_metrics_request_slot(m, "/livez", answered[i]), other_code);
    ck_assert_int_eq(other_path, sl_metrics_request_slot(m, NULL, 200));
    ck_assert_int_eq(other_code, sl_metrics_request_slot(m, "/livez", 798));
    sl_metrics_add(m, SL_METRIC_REQUESTS, ok, 1);
    ck_assert_double_eq(sl_metrics_get(m, SL_METRIC_REQUESTS, ok), 1);
    ck_assert_double_eq(sl_metrics_get(m, SL_METRIC_REQUESTS, bad), 0);
    sl_metrics_free(m);
}
END_TEST

static void *reject_many(void *arg) {
    for (int i = 0; i < 20000; i++) sl_metrics_add(arg, SL_METRIC_REJECTED, SL_REJECT_QUEUE_FULL, 1);
    return NULL;
}

START_TEST(any_thread_counts_exactly) {
    sl_metrics *m = make();
    pthread_t t[4];
    for (int i = 0; i < 4; i++) ck_assert_int_eq(pthread_create(&t[i], NULL, reject_many, m), 0);
    for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
    ck_assert_double_eq(sl_metrics_get(m, SL_METRIC_REJECTED, SL_REJECT_QUEUE_FULL), 80000);
    sl_metrics_free(m);
}
END_TEST

START_TEST(out_of_memory_is_an_error) {
    sl_alloc_fail_at(0);
    sl_metrics *m = make();
    long sites = sl_alloc_fail_at(0);
    sl_metrics_free(m);
    for (long i = 1; i <= sites; i++) {
        sl_metrics *none = NULL;
        sl_error e;
        sl_alloc_fail_at(i);
        sl_status status = sl_metrics_new(&config, &none, &e);
        sl_alloc_fail_at(0);
        ck_assert_int_eq(status, SL_NOMEM);
        ck_assert_ptr_null(none);
    }
}
END_TEST

START_TEST(sizes_are_checked) {
    sl_metrics_config c = config;
    c.layers = -1;
    sl_metrics *none = NULL;
    sl_error e;
    ck_assert_int_eq(sl_metrics_new(&c, &none, &e), SL_INVALID);
    c.layers = 1 << 30;
    ck_assert_int_eq(sl_metrics_new(&c, &none, &e), SL_INVALID);
}
END_TEST

int main(void) {
    Suite *s = suite_create("metrics");
    TCase *t = tcase_create("metrics");
    suite_add_tcase(s, t);
    tcase_add_test(t, counts);
    tcase_add_test(t, bad_slots_and_values_count_nothing);
    tcase_add_test(t, request_slots_are_distinct);
    tcase_add_test(t, any_thread_counts_exactly);
    tcase_add_test(t, out_of_memory_is_an_error);
    tcase_add_test(t, sizes_are_checked);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

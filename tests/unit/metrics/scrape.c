#include "base/alloc.h"
#include "base/clock.h"
#include "metrics/metrics.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const finish[] = {"stop", "cancelled_prefill", "timeout_queue"};
static const char *const endpoints[] = {"/v1/completions", "/od\"d\\\n"};

static const bool watched[] = {true, false};

static sl_metrics_config config_of(int layers, int experts) {
    return (sl_metrics_config){
        .layers = layers, .experts = experts, .endpoints = endpoints, .watched = watched, .endpoint_count = 2,
        .finish = finish, .finish_count = 3,
        .model = "a \"model\"\\\n\x01\xff", .family = "f", .type = "Q4_K", .version = "1", .tier = "scalar",
        .kv_type = "f16", .experts_per_token = 2, .kv_block_size = 32, .kv_blocks = 7,
    };
}

static sl_metrics *make(const sl_metrics_config *c) {
    sl_metrics *m = NULL;
    sl_error e;
    ck_assert_int_eq(sl_metrics_new(c, &m, &e), SL_OK);
    return m;
}

static char *text_of(sl_metrics *m, sl_scrape_page page) {
    sl_buffer b = {0};
    sl_scrape *s = sl_scrape_begin(m, page);
    ck_assert_ptr_nonnull(s);
    while (sl_scrape_more(s, &b)) continue;
    sl_scrape_free(s);
    ck_assert(!b.failed);
    char *ret = sl_strndup(b.data, b.len);
    sl_buffer_done(&b);
    return ret;
}

static void has(const char *text, const char *line) {
    if (!strstr(text, line)) ck_abort_msg("no \"%s\" in:\n%s", line, text);
}
static void has_not(const char *text, const char *line) { ck_assert_ptr_null(strstr(text, line)); }

START_TEST(every_series_is_there_at_zero) {
    sl_metrics_config c = config_of(2, 2);
    sl_metrics *m = make(&c);
    char *t = text_of(m, SL_SCRAPE_MAIN);
    has(t, "# HELP sluice_requests_total HTTP requests answered, by endpoint and status code.\n"
           "# TYPE sluice_requests_total counter\n"
           "sluice_requests_total{endpoint=\"/v1/completions\",code=\"200\"} 0\n");
    has(t, "\nsluice_requests_total{endpoint=\"/v1/completions\",code=\"503\"} 0\n");
    has_not(t, "\nsluice_requests_total{endpoint=\"/v1/completions\",code=\"400\"}");
    has_not(t, "\nsluice_requests_total{endpoint=\"/od");
    has_not(t, "\nsluice_requests_total{endpoint=\"other\"");
    has(t, "\nsluice_ready 0\n");
    has(t, "\nsluice_requests_finished_total{reason=\"cancelled_prefill\"} 0\n");
    has(t, "\nsluice_requests_finished_total{reason=\"timeout_queue\"} 0\n");
    has(t, "\nsluice_requests_rejected_total{reason=\"too_long\"} 0\n");
    has(t, "\nsluice_rows_total{kind=\"recomputed\"} 0\n");
    has(t, "\nsluice_prompt_tokens_total{source=\"cached\"} 0\n");
    has(t, "# TYPE sluice_step_seconds histogram\nsluice_step_seconds_bucket{phase=\"decode\",le=\"0.001\"} 0\n");
    has(t, "\nsluice_requests_running 0\n");
    has(t, "\nsluice_cache_config_info{block_size=\"32\",num_gpu_blocks=\"7\",type=\"f16\"} 1\n");
    has(t, "\nsluice_model_info{model=\"a \\\"model\\\"\\\\\\n \xef\xbf\xbd\",family=\"f\",type=\"Q4_K\",experts=\"2\","
           "experts_per_token=\"2\"} 1\n");
    has(t, "\nsluice_build_info{version=\"1\",tier=\"scalar\"} 1\n");
    has(t, "\nsluice_expert_imbalance_ratio{layer=\"1\"} 0\n");
    has(t, "\nprocess_resident_memory_bytes ");
    has_not(t, "sluice_expert_tokens_total");
    ck_assert_int_eq(t[strlen(t) - 1], '\n');
    sl_free(t);
    sl_metrics_free(m);
}
END_TEST

START_TEST(a_status_is_shown_from_its_first_answer_on) {
    sl_metrics_config c = config_of(0, 0);
    sl_metrics *m = make(&c);
    sl_metrics_add(m, SL_METRIC_REQUESTS, sl_metrics_request_slot(m, endpoints[1], 429), 1);
    sl_metrics_add(m, SL_METRIC_REQUESTS, sl_metrics_request_slot(m, endpoints[0], 400), 2);
    sl_metrics_add(m, SL_METRIC_REQUESTS, sl_metrics_request_slot(m, "/nowhere", 799), 3);
    char *t = text_of(m, SL_SCRAPE_MAIN);
    has(t, "\nsluice_requests_total{endpoint=\"/od\\\"d\\\\\\n\",code=\"429\"} 1\n");
    has(t, "\nsluice_requests_total{endpoint=\"/v1/completions\",code=\"400\"} 2\n");
    has(t, "\nsluice_requests_total{endpoint=\"other\",code=\"other\"} 3\n");
    sl_free(t);
    sl_metrics_free(m);
}
END_TEST

START_TEST(histograms_are_cumulative) {
    sl_metrics_config c = config_of(0, 0);
    sl_metrics *m = make(&c);
    sl_metrics_begin(m);
    sl_metrics_observe(m, SL_METRIC_TTFT, 0, 0.001);
    sl_metrics_observe(m, SL_METRIC_TTFT, 0, 0.0011);
    sl_metrics_observe(m, SL_METRIC_TTFT, 0, 599);
    sl_metrics_observe(m, SL_METRIC_TTFT, 0, 1e6);
    sl_metrics_end(m);
    char *t = text_of(m, SL_SCRAPE_MAIN);
    has(t, "\nsluice_time_to_first_token_seconds_bucket{le=\"0.001\"} 1\n"
           "sluice_time_to_first_token_seconds_bucket{le=\"0.002\"} 2\n");
    has(t, "_bucket{le=\"300\"} 2\nsluice_time_to_first_token_seconds_bucket{le=\"600\"} 3\n"
           "sluice_time_to_first_token_seconds_bucket{le=\"+Inf\"} 4\n"
           "sluice_time_to_first_token_seconds_sum 1000599.0021\nsluice_time_to_first_token_seconds_count 4\n");
    has_not(t, "expert_latency");
    sl_free(t);
    sl_metrics_free(m);
}
END_TEST

START_TEST(numbers_are_exact) {
    sl_metrics_config c = config_of(2, 4);
    c.routed = (const bool[]){false, true};
    sl_metrics *m = make(&c);
    double value[4] = {9007199254740991.0, 0.1 + 0.2, 1e-7, 123456789.123};
    sl_metrics_begin(m);
    for (int i = 0; i < 4; i++) sl_metrics_add(m, SL_METRIC_EXPERT_COMPUTE, 4 + i, value[i]);
    sl_metrics_set(m, SL_METRIC_EXPERT_IMBALANCE, 1, -0.5);
    sl_metrics_end(m);
    char *t = text_of(m, SL_SCRAPE_EXPERTS);
    has(t, "\nsluice_expert_compute_seconds_total{layer=\"1\",expert=\"0\"} 9007199254740991\n");
    has(t, "expert=\"1\"} 0.30000000000000004\n");
    has(t, "expert=\"2\"} 1e-07\n");
    has(t, "expert=\"3\"} 123456789.123\n");
    has(t, "\nsluice_expert_imbalance_ratio{layer=\"1\"} -0.5\n");
    has(t, "\nsluice_expert_groups_total{layer=\"1\",expert=\"3\"} 0\n");
    has(t, "sluice_rows_total{kind=\"prefill\"} 0\n");
    has_not(t, "layer=\"0\""); /* it does not route */
    has_not(t, "sluice_requests");
    sl_free(t);
    sl_metrics_free(m);
}
END_TEST

START_TEST(experts_are_on_the_main_page_by_choice) {
    sl_metrics_config c = config_of(2, 2);
    c.experts_in_metrics = true;
    sl_metrics *m = make(&c);
    char *t = text_of(m, SL_SCRAPE_MAIN);
    has(t, "\nsluice_expert_tokens_total{layer=\"1\",expert=\"1\"} 0\n");
    sl_free(t);
    sl_metrics_free(m);
}
END_TEST

START_TEST(out_of_memory_gives_no_scrape) {
    sl_metrics_config c = config_of(2, 2);
    sl_metrics *m = make(&c);
    sl_alloc_fail_at(1);
    ck_assert_ptr_null(sl_scrape_begin(m, SL_SCRAPE_MAIN));
    sl_alloc_fail_at(0);
    sl_metrics_free(m);
}
END_TEST

enum { LAYERS = 48, EXPERTS = 96 };

START_TEST(a_large_page_comes_in_small_pieces) {
    sl_metrics_config c = config_of(LAYERS, EXPERTS);
    sl_metrics *m = make(&c);
    sl_metrics_begin(m);
    for (int i = 0; i < LAYERS * EXPERTS; i++) {
        sl_metrics_add(m, SL_METRIC_EXPERT_TOKENS, i, 1000 + i);
        sl_metrics_add(m, SL_METRIC_EXPERT_GROUPS, i, 100 + i);
        sl_metrics_add(m, SL_METRIC_EXPERT_COMPUTE, i, 1.0 / (3 + i));
        sl_metrics_add(m, SL_METRIC_EXPERT_GROUP_SECONDS, i, 1.0 / (7 + i));
    }
    sl_metrics_end(m);
    sl_buffer b = {0};
    uint64_t start = sl_clock_ns(), before = start, worst = 0;
    sl_scrape *s = sl_scrape_begin(m, SL_SCRAPE_EXPERTS);
    uint64_t copied = sl_clock_ns() - start;
    int pieces = 0;
    size_t bytes = 0, largest = 0, lines = 0;
    for (bool more = true; more; pieces++) {
        sl_buffer_clear(&b);
        before = sl_clock_ns();
        more = sl_scrape_more(s, &b);
        uint64_t took = sl_clock_ns() - before;
        if (took > worst) worst = took;
        bytes += b.len;
        if (b.len > largest) largest = b.len;
        for (size_t i = 0; i < b.len; i++) lines += b.data[i] == '\n';
    }
    printf("%zu lines, %zu bytes, %d pieces: copy %.3f ms, slowest piece %.3f ms\n", lines, bytes, pieces,
           (double)copied / 1e6, (double)worst / 1e6);
    ck_assert_uint_ge(lines, 18000);
    ck_assert_int_ge(pieces, 100);
    ck_assert_uint_le(largest, 32 * 1024);
    sl_scrape_free(s);
    sl_buffer_done(&b);
    sl_metrics_free(m);
}
END_TEST

typedef struct engine {
    sl_metrics *m;
    atomic_bool stop;
} engine;

static void *steps(void *arg) {
    engine *g = arg;
    for (unsigned step = 0; !atomic_load(&g->stop); step++) {
        sl_metrics_begin(g->m);
        sl_metrics_add(g->m, SL_METRIC_STEP_ROWS_TOTAL, (int)(step % SL_ROWS_COUNT), 3);
        for (int layer = 0; layer < 4; layer++) {
            for (int i = 0; i < 6; i++)
                sl_metrics_add(g->m, SL_METRIC_EXPERT_TOKENS, layer * 8 + (int)((step + (unsigned)i) % 8), 1);
        }
        sl_metrics_observe(g->m, SL_METRIC_STEP_SECONDS, 0, 0.01);
        sl_metrics_end(g->m);
    }
    return NULL;
}

/* Promise 5: every scrape shows whole steps. */
START_TEST(a_scrape_shows_whole_steps) {
    sl_metrics_config c = config_of(4, 8);
    engine g = {.m = make(&c)};
    pthread_t t;
    ck_assert_int_eq(pthread_create(&t, NULL, steps, &g), 0);
    for (int round = 0; round < 200; round++) {
        char *text = text_of(g.m, SL_SCRAPE_EXPERTS);
        double rows = 0, tokens[4] = {0};
        for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
            *end = '\0';
            double x = 0;
            int layer = 0;
            if (sscanf(line, "sluice_rows_total{kind=\"%*[a-z]\"} %lf", &x) == 1) rows += x;
            if (sscanf(line, "sluice_expert_tokens_total{layer=\"%d\",expert=\"%*d\"} %lf", &layer, &x) == 2)
                tokens[layer] += x;
        }
        for (int i = 0; i < 4; i++) ck_assert_double_eq(tokens[i], 2 * rows);
        sl_free(text);
    }
    atomic_store(&g.stop, true);
    pthread_join(t, NULL);
    sl_metrics_free(g.m);
}
END_TEST

/* The engine thread may lose its core anywhere in its bookkeeping: the loop sees the step before, at once. */
START_TEST(a_scrape_does_not_wait_for_a_step) {
    sl_metrics_config c = config_of(2, 2);
    sl_metrics *m = make(&c);
    for (int step = 1; step <= 5; step++) {
        sl_metrics_begin(m);
        sl_metrics_add(m, SL_METRIC_GENERATION_TOKENS, 0, 1);
        sl_metrics_add(m, SL_METRIC_EXPERT_TOKENS, 3, 1);
        for (int twice = 0; twice < 2; twice++) {
            char *main_page = text_of(m, SL_SCRAPE_MAIN), *experts = text_of(m, SL_SCRAPE_EXPERTS), want[100];
            snprintf(want, sizeof want, "\nsluice_generation_tokens_total %d\n", step - 1);
            has(main_page, want);
            snprintf(want, sizeof want, "\nsluice_expert_tokens_total{layer=\"1\",expert=\"1\"} %d\n", step - 1);
            has(experts, want);
            sl_free(main_page);
            sl_free(experts);
        }
        sl_metrics_end(m);
        ck_assert_double_eq(sl_metrics_get(m, SL_METRIC_GENERATION_TOKENS, 0), step);
    }
    sl_metrics_free(m);
}
END_TEST

int main(void) {
    Suite *s = suite_create("scrape");
    TCase *t = tcase_create("scrape");
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    tcase_add_test(t, every_series_is_there_at_zero);
    tcase_add_test(t, a_status_is_shown_from_its_first_answer_on);
    tcase_add_test(t, histograms_are_cumulative);
    tcase_add_test(t, numbers_are_exact);
    tcase_add_test(t, experts_are_on_the_main_page_by_choice);
    tcase_add_test(t, out_of_memory_gives_no_scrape);
    tcase_add_test(t, a_large_page_comes_in_small_pieces);
    tcase_add_test(t, a_scrape_shows_whole_steps);
    tcase_add_test(t, a_scrape_does_not_wait_for_a_step);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#include "cli/views.h"

#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "../run.h"

/* Against numpy and scipy: tests/reference/make_experts.py. */

static sl_json top, cases;
static sl_error e;

static void open_cases(const char *name) {
    char path[512], text[16384];
    snprintf(path, sizeof path, "%s/reference/experts/formulas.json", getenv("SLUICE_TESTS"));
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    size_t len = fread(text, 1, sizeof text, f);
    ck_assert_uint_lt(len, sizeof text);
    fclose(f);
    ck_assert_msg(sl_json_parse(text, len, "formulas.json", &top, &e) == SL_OK, "%s", e.message);
    ck_assert(sl_json_get(&top, name, &cases));
    ck_assert_uint_gt(sl_json_size(&cases), 0);
}

static double real_of(const sl_json *of, const char *key) {
    sl_json at;
    double x;
    ck_assert_msg(sl_json_get(of, key, &at), "%s", key);
    ck_assert_msg(sl_json_float(&at, -1e300, 1e300, &x, &e) == SL_OK, "%s", e.message);
    return x;
}

static int numbers_of(const sl_json *of, const char *key, double *ret) {
    sl_json list, at;
    ck_assert(sl_json_get(of, key, &list));
    int n = (int)sl_json_size(&list);
    for (int i = 0; i < n; i++) ck_assert(sl_json_at(&list, (size_t)i, &at) && !sl_json_float(&at, 0, 1e18, &ret[i], &e));
    return n;
}

static int counts_of(const sl_json *of, const char *key, uint64_t *ret) {
    double x[512];
    int n = numbers_of(of, key, x);
    for (int i = 0; i < n; i++) ret[i] = (uint64_t)x[i];
    return n;
}

static void near_to(double got, double want) { ck_assert_msg(fabs(got - want) <= 1e-8 * fabs(want) + 1e-12, "%.12g, not %.12g", got, want); }

START_TEST(imbalance_and_divergence) {
    open_cases("counts");
    sl_json c, want;
    for (size_t i = 0; sl_json_at(&cases, i, &c); i++) {
        uint64_t p[512], q[512];
        int experts = counts_of(&c, "p", p);
        ck_assert_int_eq(counts_of(&c, "q", q), experts);
        near_to(sl_view_js(p, q, experts), real_of(&c, "js"));
        near_to(sl_view_js(q, p, experts), real_of(&c, "js"));
        ck_assert(sl_json_get(&c, "imbalance", &want));
        sl_imbalance got = sl_view_imbalance(p, experts);
        near_to(got.max_over_mean, real_of(&want, "max_over_mean"));
        near_to(got.balancedness, real_of(&want, "balancedness"));
        near_to(got.jain, real_of(&want, "jain"));
        near_to(got.entropy, real_of(&want, "entropy"));
        near_to(got.max_share, real_of(&want, "max_share"));
        near_to(got.active, real_of(&want, "active"));
    }
    json_decref(top.v);
}
END_TEST

START_TEST(intervals) {
    open_cases("shares");
    sl_json c;
    for (size_t i = 0; sl_json_at(&cases, i, &c); i++) {
        sl_share got = sl_view_share((uint64_t)real_of(&c, "count"), (uint64_t)real_of(&c, "of"));
        near_to(got.share, real_of(&c, "share"));
        near_to(got.low, real_of(&c, "low"));
        near_to(got.high, real_of(&c, "high"));
    }
    json_decref(top.v);
}
END_TEST

START_TEST(largest_share_by_chance) {
    open_cases("most");
    sl_json c;
    for (size_t i = 0; sl_json_at(&cases, i, &c); i++) {
        double p[512];
        int experts = numbers_of(&c, "p", p);
        near_to(sl_view_expected_most((uint64_t)real_of(&c, "n"), p, experts), real_of(&c, "most"));
    }
    json_decref(top.v);
}
END_TEST

START_TEST(nothing_divides_by_zero) {
    uint64_t none[3] = {0};
    sl_imbalance i = sl_view_imbalance(none, 3);
    ck_assert(i.total == 0 && i.jain == 0 && i.active == 0);
    ck_assert(isnan(sl_view_js(none, (uint64_t[]){1, 0, 0}, 3)));
    sl_share s = sl_view_share(0, 0);
    ck_assert(s.share == 0 && s.low == 0 && s.high == 1);
    ck_assert(sl_view_expected_most(0, (double[]){1}, 1) == 0);
    ck_assert(sl_chance_partner(1, 1) == 0 && sl_chance_row(1, 1) == 1 && sl_chance_pair_lift(4, 4) == 1);
    ck_assert(isnan(sl_view_js_chance(4, 2, 0, 5)) && sl_view_js_chance(4, 4, 5, 5) == 0);
}
END_TEST

int main(void) {
    return RUN_TESTS("cli/views", 20, imbalance_and_divergence, intervals, largest_share_by_chance, nothing_divides_by_zero);
}

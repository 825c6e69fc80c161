#include "experts/router.h"

#include "kernels/kernels.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void pick(sl_router_norm norm, int experts, int used, const float *logits, int32_t *expert, float *weight) {
    sl_router_rule rule = {.experts = experts, .used = used, .score = SL_ROUTER_SOFTMAX, .norm = norm, .scale = 1, .groups = 1, .groups_used = 1};
    float scores[16];
    for (int i = 0; i < experts; i++) scores[i] = logits[i];
    sl_router_pick(&rule, scores, expert, weight);
}

/* Logits are logarithms of 1, 2, 4, 8 over their sum of 15, in another order. */
static const float logits[4] = {1.3862944f, 0, 2.0794415f, 0.6931472f};

START_TEST(keeps_scores) {
    int32_t expert[2];
    float weight[2];
    pick(SL_ROUTER_KEEP, 4, 2, logits, expert, weight);
    ck_assert_int_eq(expert[0], 0);
    ck_assert_int_eq(expert[1], 2);
    ck_assert_float_eq_tol(weight[0], 4 / 15.0f, 1e-6f);
    ck_assert_float_eq_tol(weight[1], 8 / 15.0f, 1e-6f);
}
END_TEST

START_TEST(renormalises) {
    int32_t expert[4];
    float weight[4];
    pick(SL_ROUTER_SUM, 4, 3, logits, expert, weight);
    static const int want[3] = {0, 2, 3};
    static const float share[3] = {4 / 14.0f, 8 / 14.0f, 2 / 14.0f};
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(expert[i], want[i]);
        ck_assert_float_eq_tol(weight[i], share[i], 1e-6f);
    }
    pick(SL_ROUTER_SUM, 4, 1, logits, expert, weight);
    ck_assert_int_eq(expert[0], 2);
    ck_assert(weight[0] == 1);
    pick(SL_ROUTER_KEEP, 4, 4, logits, expert, weight);
    for (int i = 0; i < 4; i++) ck_assert_int_eq(expert[i], i);
}
END_TEST

static void expect(int experts, int used, const float *l, const int *want) {
    int32_t expert[16];
    float weight[16];
    pick(SL_ROUTER_KEEP, experts, used, l, expert, weight);
    for (int i = 0; i < used; i++) ck_assert_int_eq(expert[i], want[i]);
}

START_TEST(ties_go_to_the_lower_number) {
    expect(6, 3, (const float[]){0, 0, 0, 0, 0, 0}, (const int[]){0, 1, 2});
    expect(6, 3, (const float[]){0, 1, 0, 1, 1, 1}, (const int[]){1, 3, 4});
    expect(6, 3, (const float[]){1, 0, 0, 2, 0, 0}, (const int[]){0, 1, 3});
    expect(5, 2, (const float[]){-1000, -1000, 0, -1000, -1000}, (const int[]){0, 2}); /* scores that vanish */
}
END_TEST

START_TEST(not_a_number_still_picks_different_experts) {
    expect(5, 3, (const float[]){NAN, NAN, NAN, NAN, NAN}, (const int[]){0, 1, 2});
    expect(5, 3, (const float[]){0, 1, NAN, 3, INFINITY}, (const int[]){0, 1, 2}); /* softmax of these: nothing but NaN */
}
END_TEST

/* Sigmoids of 0, ln 3 and -ln 3 are 1/2, 3/4 and 1/4. */
static const float HALF = 0, MORE = 1.0986123f, LESS = -1.0986123f;

START_TEST(sigmoid_with_a_bias_for_the_choice_alone) {
    static const float bias[4] = {0, -1, 0.5f, 0};
    const float z[4] = {HALF, MORE, LESS, HALF};
    sl_router_rule rule = {.experts = 4, .used = 2, .score = SL_ROUTER_SIGMOID, .norm = SL_ROUTER_SUM, .scale = 2, .groups = 1,
                           .groups_used = 1, .bias = bias};
    int32_t expert[2];
    float weight[2], scores[4];
    memcpy(scores, z, sizeof z);
    sl_router_pick(&rule, scores, expert, weight);
    ck_assert(expert[0] == 0 && expert[1] == 2); /* 1/2 and 3/4; of the others -1/4, and 1/2 with the higher number */
    ck_assert_float_eq_tol(weight[0], 2 * 0.5f / 0.75f, 1e-6f);
    ck_assert_float_eq_tol(weight[1], 2 * 0.25f / 0.75f, 1e-6f);
    rule.norm = SL_ROUTER_KEEP;
    memcpy(scores, z, sizeof z);
    sl_router_pick(&rule, scores, expert, weight);
    ck_assert_float_eq_tol(weight[1], 0.5f, 1e-6f);
}
END_TEST

/* transformers 5.24, Llama4Router.forward: sigmoid(topk(logits)), not divided by their sum. With logits so large that their sigmoids
 * are all 1 the logits choose. */
START_TEST(sigmoids_of_the_best_logits) {
    sl_router_rule rule = {.experts = 4, .used = 2, .score = SL_ROUTER_LOGIT, .norm = SL_ROUTER_SQUASH, .scale = 1, .groups = 1, .groups_used = 1};
    float scores[4] = {40, 41, LESS, 42}, weight[2], few[4] = {LESS, MORE, HALF, -90};
    int32_t expert[2];
    sl_router_pick(&rule, scores, expert, weight);
    ck_assert(expert[0] == 1 && expert[1] == 3 && weight[0] == 1 && weight[1] == 1);
    sl_router_pick(&rule, few, expert, weight);
    ck_assert(expert[0] == 1 && expert[1] == 2);
    ck_assert_float_eq_tol(weight[0], 0.75f, 1e-6f);
    ck_assert_float_eq_tol(weight[1], 0.5f, 1e-6f);
}
END_TEST

START_TEST(groups_are_judged_by_their_two_best) {
    /* Sums of two: 1, 3/4 (the best expert stands here), 1, 1/2. */
    const float z[12] = {HALF, HALF, LESS, MORE + 9, -90, -90, HALF, LESS, HALF, LESS, LESS, -90};
    sl_router_rule rule = {.experts = 12, .used = 3, .score = SL_ROUTER_SIGMOID, .norm = SL_ROUTER_SUM, .scale = 1, .groups = 4, .groups_used = 1};
    int32_t expert[3];
    float weight[3], scores[12];
    memcpy(scores, z, sizeof z);
    sl_router_pick(&rule, scores, expert, weight);
    ck_assert(expert[0] == 0 && expert[1] == 1 && expert[2] == 2); /* a tie with the third group goes to the lower one */
    rule.groups_used = 2;
    rule.used = 4;
    int32_t four[4];
    float weights[4];
    memcpy(scores, z, sizeof z);
    sl_router_pick(&rule, scores, four, weights);
    ck_assert(four[0] == 0 && four[1] == 1 && four[2] == 6 && four[3] == 8);
    for (int i = 0; i < 4; i++) ck_assert_float_eq_tol(weights[i], 0.25f, 1e-6f);
}
END_TEST

/* The softmax over the chosen logits alone: of 4 and 8, by logarithms. */
START_TEST(share_of_the_chosen_logits) {
    int32_t expert[2];
    float weight[2], scores[4];
    sl_router_rule rule = {.experts = 4, .used = 2, .score = SL_ROUTER_LOGIT, .norm = SL_ROUTER_SHARE, .scale = 1, .groups = 1, .groups_used = 1};
    memcpy(scores, logits, sizeof scores);
    sl_router_pick(&rule, scores, expert, weight);
    ck_assert(expert[0] == 0 && expert[1] == 2);
    ck_assert_float_eq_tol(weight[0], 1 / 3.0f, 1e-6f);
    ck_assert_float_eq_tol(weight[1], 2 / 3.0f, 1e-6f);
}
END_TEST

/* transformers 5.24, Gemma4TextRouter.forward: p = softmax(logits); w, e = topk(p); w /= sum(w); w = w * per_expert_scale[e]. The
 * weights are not divided again, and the scales have no part in the choice. */
START_TEST(each_expert_has_a_scale) {
    static const float scale[4] = {0.75f, 100, -3, 1000};
    int32_t expert[3];
    float weight[3], scores[4];
    sl_router_rule rule = {.experts = 4, .used = 2, .score = SL_ROUTER_SOFTMAX, .norm = SL_ROUTER_SUM, .scale = 1, .groups = 1, .groups_used = 1,
                           .expert_scale = scale};
    memcpy(scores, logits, sizeof scores);
    sl_router_pick(&rule, scores, expert, weight);
    ck_assert(expert[0] == 0 && expert[1] == 2); /* of 4, 1, 8 and 2 */
    ck_assert_float_eq_tol(weight[0], 0.75f * 4 / 12, 1e-6f);
    ck_assert_float_eq_tol(weight[1], -3.0f * 8 / 12, 1e-6f);
    rule.used = 3;
    memcpy(scores, logits, sizeof scores);
    sl_router_pick(&rule, scores, expert, weight);
    ck_assert(expert[0] == 0 && expert[1] == 2 && expert[2] == 3);
    ck_assert_float_eq_tol(weight[0], 0.75f * 4 / 14, 1e-6f);
    ck_assert_float_eq_tol(weight[1], -3.0f * 8 / 14, 1e-6f);
    ck_assert_float_eq_tol(weight[2], 1000.0f * 2 / 14, 1e-3f);
    rule.used = 1; /* divided by itself, so that the scale alone is left */
    memcpy(scores, logits, sizeof scores);
    sl_router_pick(&rule, scores, expert, weight);
    ck_assert(expert[0] == 2 && weight[0] == -3);
}
END_TEST

/* Divided by the sum, or by the least number where that is larger. */
START_TEST(sum_has_a_least) {
    int32_t expert[1];
    float weight[1], scores[4];
    sl_router_rule rule = {.experts = 4, .used = 1, .score = SL_ROUTER_SOFTMAX, .norm = SL_ROUTER_SUM_LEAST, .eps = 0.8f, .scale = 1, .groups = 1,
                           .groups_used = 1};
    memcpy(scores, logits, sizeof scores);
    sl_router_pick(&rule, scores, expert, weight);
    ck_assert_float_eq_tol(weight[0], 8 / 15.0f / 0.8f, 1e-6f);
    rule.eps = 0.1f;
    memcpy(scores, logits, sizeof scores);
    sl_router_pick(&rule, scores, expert, weight);
    ck_assert(weight[0] == 1);
}
END_TEST

/* Logits 10 and 9.9 are within 2 % of each other, 9 is not within 2 % of either: the first weighs by the softmax of 10 and 9.9, the
 * second, without the first, alone. */
START_TEST(sparsemixer_weighs_each_among_its_neighbours) {
    int32_t expert[2];
    float weight[2], scores[4] = {9, 9.9f, -30, 10};
    sl_router_rule rule = {.experts = 4, .used = 2, .score = SL_ROUTER_SPARSEMIXER, .eps = 0.01f, .scale = 1, .groups = 1, .groups_used = 1};
    sl_router_pick(&rule, scores, expert, weight);
    ck_assert(expert[0] == 1 && expert[1] == 3);
    ck_assert_float_eq_tol(weight[1], 1 / (1 + expf(-0.1f)), 1e-6f);
    ck_assert(weight[0] == 1);
    float none[4] = {NAN, NAN, NAN, NAN};
    sl_router_pick(&rule, none, expert, weight);
    ck_assert(expert[0] == 0 && expert[1] == 1);
}
END_TEST

int main(void) {
    sl_error e;
    if (sl_kernels_choose(getenv("SLUICE_TIER"), &e) != SL_OK) return 1;
    Suite *s = suite_create("router");
    TCase *t = tcase_create("router");
    tcase_add_test(t, keeps_scores);
    tcase_add_test(t, renormalises);
    tcase_add_test(t, ties_go_to_the_lower_number);
    tcase_add_test(t, sigmoid_with_a_bias_for_the_choice_alone);
    tcase_add_test(t, sigmoids_of_the_best_logits);
    tcase_add_test(t, groups_are_judged_by_their_two_best);
    tcase_add_test(t, share_of_the_chosen_logits);
    tcase_add_test(t, each_expert_has_a_scale);
    tcase_add_test(t, sum_has_a_least);
    tcase_add_test(t, sparsemixer_weighs_each_among_its_neighbours);
    tcase_add_test(t, not_a_number_still_picks_different_experts);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

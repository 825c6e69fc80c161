#include "cli/experts.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../run.h"

enum { LAYERS = 3, EXPERTS = 8 };

/* Rows of each expert; layer 1 does not route. 2 experts a token. */
static sl_expert_totals totals[LAYERS][EXPERTS] = {
    {{.tokens = 1, .compute = 0.5}, {0}, {.tokens = 5, .compute = 0.25}, {.tokens = 2}, {.tokens = 2}, {0}, {.tokens = 6}, {.tokens = 4}},
    {{0}},
    {[7] = {.tokens = 10}, [0] = {.tokens = 10}},
};
static const bool routed[LAYERS] = {true, false, true};
static const sl_experts_report report = {LAYERS, EXPERTS, 2, routed, totals[0]};

START_TEST(a_line_for_each_layer_that_routes) {
    sl_buffer b = {0};
    sl_experts_text(&report, &b);
    const char *text = sl_buffer_text(&b), *layer0 = strstr(text, "\n    0 "), *layer2 = strstr(text, "\n    2 ");
    ck_assert_msg(layer0 && layer2 && !strstr(text, "\n    1 "), "%s", text);
    int layer, rows, ran, of;
    double seconds;
    ck_assert_int_eq(sscanf(layer0, "%d %d %d of %d %lf ms", &layer, &rows, &ran, &of, &seconds), 5);
    ck_assert(layer == 0 && rows == 10 && ran == 6 && of == 8 && seconds > 749 && seconds < 751);
    /* 20 assignments to 8 experts: an even share is 2.5. Hottest first, the lower number first of equal ones, six at most. */
    static const struct { int expert; double load; } want[] = {{6, 2.4}, {2, 2.0}, {7, 1.6}, {3, 0.8}, {4, 0.8}, {0, 0.4}};
    const char *at = strstr(layer0, " ms ") + 4;
    for (int i = 0, expert, used; i < 6; i++) {
        double load;
        ck_assert_msg(sscanf(at, "%d x%lf%n", &expert, &load, &used) == 2, "%s", at);
        ck_assert_int_eq(expert, want[i].expert);
        ck_assert(load > want[i].load - 0.01 && load < want[i].load + 0.01);
        at += used;
    }
    ck_assert_msg(strstr(layer2, "    0 x4.0      7 x4.0"), "%s", layer2);
    sl_buffer_done(&b);
}
END_TEST

START_TEST(the_same_for_programs) {
    sl_buffer b = {0};
    sl_experts_json(&report, &b);
    ck_assert_str_eq(sl_buffer_text(&b), "[{\"layer\":0,\"rows\":10,\"tokens\":[1,0,5,2,2,0,6,4],\"compute_seconds\":[0.500000,0.000000,"
                                         "0.250000,0.000000,0.000000,0.000000,0.000000,0.000000]},{\"layer\":2,\"rows\":10,\"tokens\":[10,0,0,0,"
                                         "0,0,0,10],\"compute_seconds\":[0.000000,0.000000,0.000000,0.000000,0.000000,0.000000,0.000000,0.000000]}]");
    sl_buffer_done(&b);
}
END_TEST

START_TEST(a_dense_model_has_none) {
    sl_experts_report dense = {LAYERS, 0, 0, routed, NULL};
    sl_buffer b = {0};
    sl_experts_text(&dense, &b);
    ck_assert_str_eq(sl_buffer_text(&b), "");
    sl_experts_json(&dense, &b);
    ck_assert_str_eq(sl_buffer_text(&b), "[]");
    sl_buffer_done(&b);
}
END_TEST

int main(void) { return RUN_TESTS("cli/experts", 20, a_line_for_each_layer_that_routes, the_same_for_programs, a_dense_model_has_none); }

/* The rules of llama-quantize: which tensor of a mix gets which type. */
#include "convert/internal.h"

#include <check.h>
#include <string.h>

static const sl__mix *mix(const char *name) {
    const sl__mix *m = NULL;
    sl_error e;
    ck_assert_msg(sl__mix_find(name, &m, &e) == SL_OK, "%s: %s", name, e.message);
    return m;
}

static sl_type type_in(const char *name, int layers, int experts, sl__part part, int layer, int cols, bool important, const char *wanted) {
    sl_hparams hp = {.layers = layers, .experts = experts};
    sl_hparams_heads(&hp, 8, 8, 128);
    const sl__placed at = {part, layer, cols, experts && part >= SL__PART_GATE, important};
    const char *got;
    sl_type t = sl__mix_type(mix(name), &hp, at, &got);
    bool same = got && wanted ? strcmp(got, wanted) == 0 : got == wanted;
    ck_assert_msg(same, "%s: wanted %s", name, wanted ? wanted : "nothing");
    return t;
}

START_TEST(more_bits) {
    /* Of 32 layers: the first 4 and the last 4, and 6, 9, 12 … 27 between them. */
    for (int i = 0; i < 32; i++) {
        bool more = i < 4 || i >= 28 || (i - 4) % 3 == 2;
        sl_type want = more ? SL_TYPE_Q6_K : SL_TYPE_Q4_K;
        ck_assert_int_eq(type_in("q4_k_m", 32, 64, SL__PART_DOWN, i, 2048, false, NULL), want);
        ck_assert_int_eq(type_in("Q4_K_M", 32, 64, SL__PART_V, i, 2048, false, NULL), want);
        ck_assert_int_eq(type_in("q5_k_m", 32, 64, SL__PART_DOWN, i, 2048, false, NULL), more ? SL_TYPE_Q6_K : SL_TYPE_Q5_K);
        ck_assert_int_eq(type_in("q5_k", 32, 64, SL__PART_V, i, 2048, false, NULL), more ? SL_TYPE_Q6_K : SL_TYPE_Q5_K);
        ck_assert_int_eq(type_in("q5_k_s", 32, 64, SL__PART_V, i, 2048, false, NULL), SL_TYPE_Q5_K);
        ck_assert_int_eq(type_in("q4_k_m", 32, 64, SL__PART_UP, i, 2048, false, NULL), SL_TYPE_Q4_K);
        ck_assert_int_eq(type_in("q4_k_m", 32, 64, SL__PART_O, i, 2048, false, NULL), SL_TYPE_Q4_K);
    }
}
END_TEST

START_TEST(first_layers) {
    /* Q4_K_S has Q5_K in v of 4 layers and down of an eighth. */
    for (int i = 0; i < 16; i++) {
        ck_assert_int_eq(type_in("q4_k_s", 16, 0, SL__PART_V, i, 2048, false, NULL), i < 4 ? SL_TYPE_Q5_K : SL_TYPE_Q4_K);
        ck_assert_int_eq(type_in("q4_k_s", 16, 0, SL__PART_DOWN, i, 2048, false, NULL), i < 2 ? SL_TYPE_Q5_K : SL_TYPE_Q4_K);
        ck_assert_int_eq(type_in("q4_0", 16, 0, SL__PART_DOWN, i, 2048, true, NULL), i < 2 ? SL_TYPE_Q4_1 : SL_TYPE_Q4_0);
        ck_assert_int_eq(type_in("q4_0", 16, 0, SL__PART_DOWN, i, 2048, false, NULL), SL_TYPE_Q4_0);
        ck_assert_int_eq(type_in("q5_0", 16, 0, SL__PART_DOWN, i, 2048, true, NULL), i < 2 ? SL_TYPE_Q5_1 : SL_TYPE_Q5_0);
    }
}
END_TEST

START_TEST(output_and_eight_experts) {
    static const char *const names[] = {"q4_0", "q4_1", "q5_0", "q5_1", "q4_k_s", "q4_k_m", "q5_k_s", "q5_k_m", "q6_k"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ck_assert_int_eq(type_in(names[i], 32, 64, SL__PART_OUTPUT, -1, 2048, false, NULL), SL_TYPE_Q6_K);
        ck_assert_int_eq(type_in(names[i], 32, 64, SL__PART_OUTPUT, -1, 2880, false, NULL), SL_TYPE_Q8_0);
        ck_assert_int_eq(type_in(names[i], 32, 8, SL__PART_K, 10, 2048, false, NULL), SL_TYPE_Q8_0);
        ck_assert_int_eq(type_in(names[i], 32, 8, SL__PART_V, 10, 2048, false, NULL), SL_TYPE_Q8_0);
    }
    ck_assert_int_eq(type_in("q4_k_m", 32, 8, SL__PART_O, 10, 2048, false, NULL), SL_TYPE_Q5_K);
    ck_assert_int_eq(type_in("q5_k_m", 32, 8, SL__PART_O, 10, 2048, false, NULL), SL_TYPE_Q5_K);
    ck_assert_int_eq(type_in("q4_0", 32, 8, SL__PART_O, 10, 2048, false, NULL), SL_TYPE_Q4_0);
    ck_assert_int_eq(type_in("q8_0", 32, 8, SL__PART_OUTPUT, -1, 2048, false, NULL), SL_TYPE_Q8_0);
    ck_assert_int_eq(type_in("bf16", 32, 8, SL__PART_OUTPUT, -1, 2047, false, NULL), SL_TYPE_BF16);
}
END_TEST

START_TEST(llama_70b) {
    sl_hparams hp = {.layers = 80};
    sl_hparams_heads(&hp, 64, 8, 128);
    const sl__placed at = {.part = SL__PART_V, .layer = 11, .cols = 8192}; /* has no more bits by the rule of layers */
    const char *wanted;
    ck_assert_int_eq(sl__mix_type(mix("q4_k_m"), &hp, at, &wanted), SL_TYPE_Q5_K);
    ck_assert_ptr_null(wanted);
    ck_assert_int_eq(sl__mix_type(mix("q4_0"), &hp, at, &wanted), SL_TYPE_Q4_0);
    sl_hparams_heads(&hp, 64, 64, 128);
    ck_assert_int_eq(sl__mix_type(mix("q4_k_m"), &hp, at, &wanted), SL_TYPE_Q4_K);
}
END_TEST

START_TEST(fewer_bits) {
    for (int i = 0; i < 32; i++) {
        ck_assert_int_eq(type_in("q3_k_m", 32, 64, SL__PART_V, i, 2048, false, NULL), i < 2 ? SL_TYPE_Q5_K : SL_TYPE_Q4_K);
        ck_assert_int_eq(type_in("q3_k", 32, 64, SL__PART_DOWN, i, 2048, true, NULL), i < 2 ? SL_TYPE_Q5_K : SL_TYPE_Q4_K);
        ck_assert_int_eq(type_in("q3_k_l", 32, 64, SL__PART_DOWN, i, 2048, true, NULL), SL_TYPE_Q5_K);
        ck_assert_int_eq(type_in("q2_k_s", 32, 64, SL__PART_DOWN, i, 2048, true, NULL), i < 4 ? SL_TYPE_Q4_K : SL_TYPE_Q2_K);
        ck_assert_int_eq(type_in("q2_k", 32, 64, SL__PART_DOWN, i, 2048, true, NULL), SL_TYPE_Q3_K);
        ck_assert_int_eq(type_in("iq4_xs", 32, 64, SL__PART_DOWN, i, 2048, true, NULL), SL_TYPE_IQ4_XS);
        ck_assert_int_eq(type_in("iq4_nl", 32, 64, SL__PART_DOWN, i, 2048, false, NULL), i < 4 ? SL_TYPE_Q5_K : SL_TYPE_IQ4_NL);
    }
    ck_assert_int_eq(type_in("q2_k", 32, 64, SL__PART_V, 9, 2048, false, NULL), SL_TYPE_Q3_K);
    ck_assert_int_eq(type_in("q2_k", 32, 64, SL__PART_O, 9, 2048, false, NULL), SL_TYPE_Q3_K);
    ck_assert_int_eq(type_in("q2_k", 32, 8, SL__PART_O, 9, 2048, false, NULL), SL_TYPE_Q5_K);
    ck_assert_int_eq(type_in("q3_k_m", 32, 64, SL__PART_O, 9, 2048, false, NULL), SL_TYPE_Q4_K);
    ck_assert_int_eq(type_in("q3_k_l", 32, 8, SL__PART_O, 9, 2048, false, NULL), SL_TYPE_Q3_K);
    ck_assert_int_eq(type_in("q2_k", 32, 64, SL__PART_EMBEDDING, -1, 2048, false, NULL), SL_TYPE_Q2_K);
}
END_TEST

START_TEST(where_heads_share) {
    sl_hparams hp = {.layers = 48, .experts = 128};
    sl_hparams_heads(&hp, 32, 4, 128);
    const sl__placed at = {.part = SL__PART_V, .layer = 40, .cols = 2048};
    const char *wanted;
    ck_assert_int_eq(sl__mix_type(mix("q2_k"), &hp, at, &wanted), SL_TYPE_Q4_K);
    ck_assert_int_eq(sl__mix_type(mix("q2_k_s"), &hp, at, &wanted), SL_TYPE_Q4_K);
    ck_assert_int_eq(sl__mix_type(mix("iq4_xs"), &hp, at, &wanted), SL_TYPE_Q5_K);
    ck_assert_int_eq(sl__mix_type(mix("q3_k_s"), &hp, at, &wanted), SL_TYPE_Q3_K);
}
END_TEST

START_TEST(experts_alone) {
    ck_assert_int_eq(type_in("mxfp4_moe", 24, 32, SL__PART_UP, 0, 2880, false, NULL), SL_TYPE_MXFP4);
    ck_assert_int_eq(type_in("mxfp4_moe", 24, 0, SL__PART_UP, 0, 2880, false, NULL), SL_TYPE_Q8_0); /* no experts */
    ck_assert_int_eq(type_in("mxfp4_moe", 24, 32, SL__PART_Q, 0, 2880, false, NULL), SL_TYPE_Q8_0);
    ck_assert_int_eq(type_in("mxfp4_moe", 24, 32, SL__PART_OUTPUT, -1, 2880, false, NULL), SL_TYPE_Q8_0);
}
END_TEST

START_TEST(rows_that_are_no_whole_blocks) {
    ck_assert_int_eq(type_in("q4_k_m", 32, 32, SL__PART_UP, 10, 2880, false, "Q4_K"), SL_TYPE_Q5_0);
    ck_assert_int_eq(type_in("q5_k_m", 32, 32, SL__PART_UP, 10, 2880, false, "Q5_K"), SL_TYPE_Q5_1);
    ck_assert_int_eq(type_in("q6_k", 32, 32, SL__PART_UP, 10, 2880, false, "Q6_K"), SL_TYPE_Q8_0);
    ck_assert_int_eq(type_in("q3_k_s", 32, 32, SL__PART_UP, 10, 2880, false, "Q3_K"), SL_TYPE_Q4_0);
    ck_assert_int_eq(type_in("iq4_xs", 32, 32, SL__PART_UP, 10, 2880, false, "IQ4_XS"), SL_TYPE_IQ4_NL);
    ck_assert_int_eq(type_in("q4_0", 32, 32, SL__PART_UP, 10, 48, false, "Q4_0"), SL_TYPE_F16);
    ck_assert_int_eq(type_in("q8_0", 32, 32, SL__PART_UP, 10, 48, false, "Q8_0"), SL_TYPE_F16);
}
END_TEST

START_TEST(names) {
    const sl__mix *m;
    sl_error e;
    ck_assert_int_eq(sl__mix_find("iq3_m", &m, &e), SL_UNSUPPORTED);
    ck_assert(strstr(e.message, "IQ3_S") != NULL);
    ck_assert_int_eq(sl__mix_find("q4_k_", &m, &e), SL_MISUSE);
    ck_assert(strstr(e.message, "q4_k_m, q4_k, q5_k_s") != NULL);
    ck_assert_int_eq(mix("q4_k_m")->file_type, 15);
    ck_assert_int_eq(mix("q4_k")->file_type, 15);
    ck_assert_int_eq(mix("bf16")->file_type, 32);
}
END_TEST

int main(void) {
    Suite *s = suite_create("convert/mix");
    TCase *t = tcase_create("mix");
    tcase_add_test(t, more_bits);
    tcase_add_test(t, first_layers);
    tcase_add_test(t, output_and_eight_experts);
    tcase_add_test(t, llama_70b);
    tcase_add_test(t, fewer_bits);
    tcase_add_test(t, where_heads_share);
    tcase_add_test(t, experts_alone);
    tcase_add_test(t, rows_that_are_no_whole_blocks);
    tcase_add_test(t, names);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}

#include "fixture.h"
#include "text/scanner.h"

static void same_points(json_t *want, const char *name, bool (*in)(const void *, uint32_t), const void *arg) {
    uint32_t count = 0, hash = 2166136261u;
    for (uint32_t c = 0; c < SL__POINT_END; c++) {
        if ((c >= 0xD800 && c < 0xE000) || !in(arg, c)) continue;
        count++;
        for (int k = 0; k < 4; k++) hash = (hash ^ (c >> 8 * k & 255)) * 16777619u;
    }
    ck_assert_msg(count == json_integer_value(json_array_get(want, 0)), "%s: %u code points", name, count);
    ck_assert_msg(hash == json_integer_value(json_array_get(want, 1)), "%s", name);
}

static bool scanner_has(const void *arg, uint32_t c) {
    const sl__scanner *s = arg;
    return s->next[s->stride + sl__points_at(s->classes, c)] & ~SL__FOUND;
}

static bool word_has(const void *arg, uint32_t c) {
    (void)arg;
    return sl__is_word(c);
}

static bool space_has(const void *arg, uint32_t c) {
    (void)arg;
    return sl__is_space(c);
}

/* Promise 2 */
/* Each construct of the patterns has the code points that the tokenizers package gives it: all 1,112,064 are asked. */
START_TEST(test_classes) {
    json_t *file = reference_json("../unicode/classes.json"), *want;
    const char *construct;
    same_points(json_object_get(file, "single_word"), "single_word", word_has, NULL);
    same_points(json_object_get(file, "lstrip"), "lstrip", space_has, NULL);
    json_object_foreach(json_object_get(file, "patterns"), construct, want) {
        sl__program p = {0};
        const sl__scanner *s = NULL;
        sl_arena *a = sl_arena_new();
        ck_assert_msg(sl__program_read(&p, construct, strlen(construct)) == SL_OK, "%s", construct);
        ck_assert_int_eq(sl__scanner_make(a, &p, &s), SL_OK);
        same_points(want, construct, scanner_has, s);
        sl__program_done(&p);
        sl_arena_free(a);
    }
    json_decref(file);
}
END_TEST

START_TEST(test_tables) {
    ck_assert_uint_eq(sl__category_runs[0] >> 5, 0);
    for (size_t i = 1; i < sl__category_run_count; i++) ck_assert_uint_lt(sl__category_runs[i - 1] >> 5, sl__category_runs[i] >> 5);
    for (size_t i = 1; i < sl__unmoved_count; i++) ck_assert_uint_lt(sl__unmoved[i - 1].hi, sl__unmoved[i].lo);
    ck_assert(sl__in_ranges(sl__spaces, sl__space_count, 0x2005) && !sl__in_ranges(sl__spaces, sl__space_count, 0x200B));
    ck_assert(sl__in_ranges(sl__spaces, sl__space_count, 0x3000) && !sl__in_ranges(sl__spaces, sl__space_count, 0x3001));
    ck_assert_uint_eq(sl__category_mask("Nd", 2), 1u << SL__Nd);
    ck_assert_uint_eq(sl__category_mask("N", 1), 1u << SL__Nd | 1u << SL__Nl | 1u << SL__No);
    ck_assert(!sl__category_mask("", 0) && !sl__category_mask("Nx", 2) && !sl__category_mask("Letter", 6));
}
END_TEST

START_TEST(test_points) {
    static const uint32_t start[] = {0, 5, 0x100, 0x200, 0x201, 0xFFFF, 0x10000, 0x10FFFF};
    static const uint8_t value[] = {1, 2, 3, 1, 2, 9, 3, 7};
    sl_arena *a = sl_arena_new();
    const sl__points *p = sl__points_make(a, start, value, sizeof value);
    ck_assert(p != NULL);
    for (uint32_t c = 0, i = 0; c < SL__POINT_END; c++) {
        if (i + 1 < sizeof value && c == start[i + 1]) i++;
        ck_assert_uint_eq(sl__points_at(p, c), value[i]);
    }
    ck_assert_uint_lt(sl_arena_used(a, SL_MEM_VOCABULARY), 16000);
    sl_arena_free(a);
}
END_TEST

int main(void) {
    Suite *s = suite_create("unicode");
    TCase *c = tcase_create("unicode");
    tcase_set_timeout(c, 100);
    tcase_add_test(c, test_classes);
    tcase_add_test(c, test_tables);
    tcase_add_test(c, test_points);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

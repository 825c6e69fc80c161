#include "fixture.h"
#include "text/scanner.h"

/* What is read here gives the right words: pretokenize.c. This is what is left to PCRE2, or to its refusal. */
START_TEST(test_unread) {
    static const char *const patterns[] = {
        "", "a*", "(?:)", "a|", "(?=a)", "$", "(a", "a)", "[a", "[]", "[^]", "[]a]", "a**", "a*?", "a+?", "a??", "*a", "a{2",
        "a{,2}", "a{2,1}", "a{0}",
        "a{x}", "a{2,3}+", "a{99999}", "(?:a+)++", "(a*)*", "(?:a|b*)+", "^a", "a(?<!b)", "(?<x>a)", "(?i)a", "(?=ab)a",
        "(?!a|b)c", "(?>a)", "\\b", "\\A", "\\h", "\\x41",
        "\\u0041", "\\1", "a\\", "\\p", "\\pL", "\\p{", "\\p{Letter}", "\\p{Alpha}", "\\p{}", "[[:alpha:]]", "[b-a]", "[a-\\d]", "[\\d-z]", "[a-c-e]",
        "[a&&]", "[&&a]", "(?i:ss)", "(?i:ff)", "(?i:st)", "(?i:é)", "(?i:[a-z])", "[[[[[[[[[[[[[[a]]]]]]]]]]]]]]", "((((((((((((((a))))))))))))))",
        "a{1000}b{1000}c{1000}d{1000}e{1000}",
    };
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        sl__program p = {0};
        ck_assert_msg(sl__program_read(&p, patterns[i], strlen(patterns[i])) == SL_UNSUPPORTED, "%s", patterns[i]);
        sl__program_done(&p);
    }
    sl__program p = {0};
    ck_assert_int_eq(sl__program_read(&p, "a\0b", 3), SL_UNSUPPORTED);
    sl__program_done(&p);
    ck_assert_int_eq(sl__program_read(&p, "a\xff", 2), SL_UNSUPPORTED);
    sl__program_done(&p);
}
END_TEST

/* The more sets, classes and states, the larger: each has a bound, past which a pattern is PCRE2's. */
START_TEST(test_bounds) {
    static const char *const patterns[] = {"(?:a{500}|b{500})(?:c|d{300})", "(?:a|b){600}c", "(?:(?:a|b)*a(?:a|b){14})",
                                           /* long lists times many classes: given up by the work, long before the states */
                                           "[ab]*a[ab]{900}|c|d|e|f|g|h|i|j|k|l|m|n|o|p|q|r|s|t|u|v|w|x|y|z|0|1|2|3|4|5|6|7|8|9"};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        sl_arena *a = sl_arena_new();
        sl__program p = {0};
        const sl__scanner *s = NULL;
        ck_assert_msg(sl__program_read(&p, patterns[i], strlen(patterns[i])) == SL_OK, "%s", patterns[i]);
        ck_assert_int_eq(sl__scanner_make(a, &p, &s), i < 2 ? SL_OK : SL_UNSUPPORTED);
        sl__program_done(&p);
        sl_arena_free(a);
    }
    sl_buffer many = {0};
    sl__program p = {0};
    for (int i = 0; i < 80; i++) sl_buffer_printf(&many, "%s[%c-\\%c]", i ? "|" : "", 33 + i / 10, 58 + i % 7);
    ck_assert_int_eq(sl__program_read(&p, many.data, many.len), SL_OK); /* some are equal */
    sl__program_done(&p);
    sl_buffer_clear(&many);
    for (int i = 0; i < 80; i++) sl_buffer_printf(&many, "\xC4%c", 0x80 + i % 64);
    for (int i = 0; i < 80; i++) sl_buffer_printf(&many, "\xC5%c", 0x80 + i % 64);
    ck_assert_int_eq(sl__program_read(&p, many.data, many.len), SL_UNSUPPORTED);
    sl__program_done(&p);
    sl_buffer_done(&many);
}
END_TEST

int main(void) {
    Suite *s = suite_create("regex");
    TCase *c = tcase_create("regex");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, test_unread);
    tcase_add_test(c, test_bounds);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

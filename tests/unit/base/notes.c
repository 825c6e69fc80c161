#include "base/notes.h"

#include <stdio.h>
#include <string.h>

#include "../run.h"

static void collect(void *arg, const char *text) {
    strcat(arg, text);
    strcat(arg, "|");
}

START_TEST(test_kept) {
    static sl_notes n;
    char all[8000] = "";
    sl_notes_show(&n, collect, all);
    ck_assert_str_eq(all, "");
    sl_notes_add(&n, "token \"%s\"", "a\nb\xff");
    sl_notes_add(&n, "%d", 2);
    sl_notes_show(&n, collect, all);
    ck_assert_str_eq(all, "token \"a b?\"|2|");
}
END_TEST

/* However odd a file is, its notes stay few and short. */
START_TEST(test_bounded) {
    static sl_notes n;
    static char all[8000], text[1000];
    while (strlen(text) < 900) strcat(text, "\xf0\x9f\x98\x80");
    sl_notes_add(&n, "%s", text);
    ck_assert_uint_lt(strlen(n.text[0]), sizeof n.text[0]);
    ck_assert_uint_eq(strlen(n.text[0]) % 4, 0);
    for (int i = 1; i <= SL_NOTES_MOST; i++) sl_notes_add(&n, "%d", i);
    ck_assert_int_eq(n.count, SL_NOTES_MOST);
    sl_notes_show(&n, collect, all);
    ck_assert_ptr_nonnull(strstr(all, "|and 1 more warning|"));
    sl_notes_add(&n, "one too many");
    all[0] = 0;
    sl_notes_show(&n, collect, all);
    ck_assert_ptr_nonnull(strstr(all, "|and 2 more warnings|"));
}
END_TEST

int main(void) { return RUN_TESTS("notes", 10, test_kept, test_bounded); }

#include "engine/stop.h"

#include <stdio.h>
#include <string.h>

#include "../run.h"

typedef struct fed {
    sl__held held;
    sl_buffer out;
    int found;
} fed;

static sl__stops stops_of(const char *const *text, size_t *len, int count, bool keep) {
    sl__stops s = {.text = text, .len = len, .count = count, .keep = keep};
    for (int i = 0; i < count; i++) {
        len[i] = strlen(text[i]);
        if (len[i] > s.longest) s.longest = len[i];
    }
    return s;
}

/* Feeds pieces until one matches; the first `early` of them before min_tokens. */
static fed feed(const sl__stops *s, const char *const *piece, int pieces, int early) {
    fed f = {.found = -1};
    for (int i = 0; i < pieces && f.found < 0; i++) {
        size_t known = f.held.text.len;
        sl_buffer_puts(&f.held.text, piece[i]);
        f.found = sl__stops_feed(s, &f.held, known, i >= early, &f.out);
        if (s->longest) ck_assert_uint_lt(f.held.text.len, s->longest);
    }
    return f;
}

static void done(fed *f) {
    sl__held_done(&f->held);
    sl_buffer_done(&f->out);
}

/* The pieces' text, NULL-terminated; what must be shown; the stop string that must be found. */
static void check(const char *const *text, int count, bool keep, const char *const *piece, int early, const char *shown, int found) {
    size_t len[16];
    sl__stops s = stops_of(text, len, count, keep);
    int pieces = 0;
    while (piece[pieces]) pieces++;
    fed f = feed(&s, piece, pieces, early);
    ck_assert_int_eq(f.found, found);
    ck_assert_str_eq(sl_buffer_text(&f.out), shown);
    if (found >= 0) ck_assert_uint_eq(f.held.text.len, 0);
    done(&f);
}

#define L(...) (const char *const[]){__VA_ARGS__, NULL}

START_TEST(stated_cases) {
    check(L("END"), 1, false, L("abc", "EN", "D", "x"), 0, "abc", 0);
    check(L("END"), 1, true, L("abc", "EN", "D", "x"), 0, "abcEND", 0);
    check(L("END"), 1, false, L("abc", "EN", "d"), 0, "abcENd", -1);
    check(L("END"), 1, false, L("abc", "EN"), 0, "abc", -1);                     /* held back */
    check(L("aab"), 1, false, L("a", "a", "a", "b"), 0, "a", 0);                 /* the beginning moves on */
    check(L("b", "ab"), 2, false, L("xab"), 0, "x", 1);                          /* the earliest in the text */
    check(L("ab", "a"), 2, false, L("xab"), 0, "x", 0);                          /* the first in the list */
    check(L("\xC3\xA9t\xC3\xA9"), 1, false, L("l'", "\xC3\xA9", "t", "\xC3\xA8"), 0, "l'\xC3\xA9t\xC3\xA8", -1);
    check(L("\n\n"), 1, false, L("a\n", "b\n", "\nc"), 0, "a\nb", 0);
    check(L("unused"), 0, false, L("a", "b"), 0, "ab", -1);                      /* none at all */
}
END_TEST

START_TEST(before_min_tokens) {
    check(L("END"), 1, false, L("xEND", "y", "END"), 1, "xENDy", 0);             /* passes, and is not found later */
    check(L("END"), 1, false, L("xEN", "D"), 1, "x", 0);                         /* ends after it: nothing of it was shown */
    check(L("b", "abc"), 2, false, L("ab", "x"), 1, "abx", -1);                  /* "b" ended before */
    check(L("b", "abc"), 2, false, L("ab", "c"), 1, "", 1);
}
END_TEST

/* What must come out, by the definition: after each piece, among the matches that end in it the earliest. */
static int naive(const sl__stops *s, const char *const *piece, int pieces, int early, char *ret_text) {
    char all[512] = "";
    size_t known = 0;
    for (int i = 0; i < pieces; i++) {
        strcat(all, piece[i]);
        size_t best = SIZE_MAX;
        int found = -1;
        for (int k = 0; k < s->count && i >= early; k++)
            for (size_t at = 0; at + s->len[k] <= strlen(all); at++)
                if (!strncmp(all + at, s->text[k], s->len[k]) && at + s->len[k] > known && at < best) best = at, found = k;
        known = strlen(all);
        if (found < 0) continue;
        all[best + (s->keep ? s->len[found] : 0)] = 0;
        strcpy(ret_text, all);
        return found;
    }
    strcpy(ret_text, all);
    return -1;
}

START_TEST(random_texts_against_the_definition) {
    srand(3);
    int hits = 0;
    for (int turn = 0; turn < 30000; turn++) {
        char store[24][8], strings[4][8], want[512];
        const char *piece[24], *text[4];
        size_t len[4];
        int pieces = 1 + rand() % 24, count = 1 + rand() % 4;
        for (int i = 0; i < pieces; i++) {
            int n = rand() % 5;
            for (int k = 0; k < n; k++) store[i][k] = (char)('a' + rand() % 3);
            store[i][n] = 0;
            piece[i] = store[i];
        }
        for (int i = 0; i < count; i++) {
            int n = 2 + rand() % 5;
            for (int k = 0; k < n; k++) strings[i][k] = (char)('a' + rand() % 3);
            strings[i][n] = 0;
            text[i] = strings[i];
        }
        sl__stops s = stops_of(text, len, count, rand() % 2);
        int early = rand() % 4, found = naive(&s, piece, pieces, early, want);
        fed f = feed(&s, piece, pieces, early);
        ck_assert_int_eq(f.found, found);
        sl__held_flush(&f.held, &f.out);
        ck_assert_str_eq(sl_buffer_text(&f.out), want);
        hits += found >= 0;
        done(&f);
    }
    ck_assert_int_gt(hits, 10000);
}
END_TEST

/* Pieces that begin with '#' are special tokens: hidden. A stop string that names one is matched over all text. */
static void check_hidden(const char *const *text, int count, bool keep, const char *const *piece, const char *shown, int found) {
    size_t len[4];
    bool special[4];
    fed f = {.found = -1};
    sl__stops s = stops_of(text, len, count, keep);
    for (int i = 0; i < count; i++) special[i] = strchr(text[i], '#') != NULL;
    s.special = special;
    s.hidden = true;
    for (; *piece && f.found < 0; piece++) {
        size_t known = f.held.text.len;
        if (**piece == '#') sl__held_hide(&f.held, *piece, strlen(*piece));
        else sl_buffer_puts(&f.held.text, *piece);
        f.found = sl__stops_feed(&s, &f.held, known, true, &f.out);
    }
    if (f.found < 0) sl__held_flush(&f.held, &f.out);
    ck_assert_int_eq(f.found, found);
    ck_assert_str_eq(sl_buffer_text(&f.out), shown);
    done(&f);
}

START_TEST(special_tokens_that_are_not_shown) {
    check_hidden(L("#A#"), 1, false, L("x", "#B#", "y", "#A#", "z"), "xy", 0);
    check_hidden(L("#A#"), 1, true, L("x", "#B#", "y", "#A#", "z"), "xy#A#", 0);
    check_hidden(L("y#A#\n"), 1, false, L("xy", "#B#", "y", "#A#", "\n"), "xy", 0);
    check_hidden(L("y#A#\n"), 1, true, L("xy", "#B#", "y", "#A#", "\n."), "xyy#A#\n", 0);
    check_hidden(L("y#A#\n"), 1, false, L("xy", "#A#", "z"), "xyz", -1);             /* was held back, then shown */
    check_hidden(L("y#A#\n"), 1, false, L("xy", "#A#"), "xy", -1);                   /* the answer ends there */
    check_hidden(L("ab", "#A#!"), 2, false, L("xa", "#A#", "b"), "x", 0);            /* names none: over what is shown */
    check_hidden(L("ab", "#A#b"), 2, false, L("xa", "#A#", "b"), "x", 0);            /* the one that begins first */
    check_hidden(L("bb", "#A#b"), 2, false, L("xa", "#A#", "b"), "xa", 1);
    check_hidden(L("#A##B#"), 1, false, L("x", "#A#", "#A#", "#B#"), "x", 0);
    check_hidden(L("A#c"), 1, false, L("x", "#A#", "c"), "x", 0);                    /* begins inside the spelling */
    check_hidden(L("#A#"), 1, false, L("x#", "A", "#y"), "x", 0);                    /* spelled by ordinary tokens */
}
END_TEST

int main(void) {
    return RUN_TESTS("engine/stop", 30, stated_cases, before_min_tokens, special_tokens_that_are_not_shown, random_texts_against_the_definition);
}

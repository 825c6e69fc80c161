/* A sequence's window pages: held while a later row sees them, kept for who goes on there. */
#include "engine/sequence.h"

#include <check.h>
#include <string.h>

#include "../run.h"

/* A window of 40 positions reaches over three pages at most, and over two where the next row begins a page. */
enum { TOTAL = 40, WINDOW = 40, PROMPT = 10 * SL_PAGE + 5, MOST = 200, ALL = TOTAL, SEQUENCES = 3 };
static sl_arena *arena;
static sl__pages p;
static sl_hparams hp = {.layers = 2, .window = {0, WINDOW}};
static int32_t prompt[PROMPT], generated[SEQUENCES][MOST], page[SEQUENCES][TOTAL], window[SEQUENCES][TOTAL];

static sl__sequence sequence(int i) {
    for (int k = 0; k < PROMPT; k++) prompt[k] = 1000 + k;
    for (int k = 0; k < MOST; k++) generated[i][k] = 5000 + k;
    return (sl__sequence){.prompt = prompt, .prompt_len = PROMPT, .generated = generated[i], .page = page[i], .window = window[i], .scored = PROMPT};
}

static void make(int windows) {
    sl_error e;
    arena = sl_arena_new();
    ck_assert_int_eq(sl__pages_init(&p, TOTAL, true, arena, &e), SL_OK);
    ck_assert_int_eq(sl__pages_windows(&p, windows, &hp, TOTAL * SL_PAGE, arena, &e), SL_OK);
}

/* Nobody holds anything. */
static void unmake(void) {
    ck_assert_int_eq(sl__kept_available(&p.kept), TOTAL);
    ck_assert_int_eq(sl__kept_available(&p.windows.kept), p.windows.kept.total);
    arena = sl_arena_free(arena);
}

/* Computes up to so many positions, as steps of `chunk` rows that succeeded. */
static void compute(sl__sequence *s, int positions, int chunk) {
    while (s->computed < positions) {
        int to = s->computed + chunk < positions ? s->computed + chunk : positions;
        ck_assert(sl__sequence_grow(s, &p, to));
        s->computed = to;
        if (to > s->prompt_len) s->generated_count = to - s->prompt_len;
        sl__sequence_publish(s, &p);
    }
}

static int held(const sl__sequence *s) { return s->page_count - s->first_window; }

START_TEST(what_no_later_row_sees_is_given_back) {
    make(ALL);
    sl__sequence s = sequence(0);
    for (int n = 1; n < PROMPT + 100; n++) {
        compute(&s, n, 1);
        ck_assert_int_eq(s.first_window, n < WINDOW ? 0 : (n - WINDOW + 1) / SL_PAGE);
        ck_assert_int_le(held(&s), 3);
        ck_assert_int_eq(sl__kept_available(&p.windows.kept), ALL - held(&s));
    }
    ck_assert_int_eq(p.windows.kept.kept_count, s.known - (s.known - s.first_window)); /* all that were passed */
    sl__sequence_release(&s, &p);
    ck_assert_int_eq(p.windows.kept.kept_count, s.prompt_len / SL_PAGE + 3);
    unmake();
}
END_TEST

/* A pool of four window pages is enough for as many positions as one likes, in chunks of a page. */
START_TEST(few_are_enough_for_a_long_sequence) {
    make(4);
    sl__sequence s = sequence(0);
    compute(&s, PROMPT + MOST - 1, SL_PAGE / 2);
    ck_assert_int_eq(s.page_count, (PROMPT + MOST - 2) / SL_PAGE + 1);
    ck_assert(!sl__sequence_grow(&s, &p, s.computed + 3 * SL_PAGE)); /* but not for any chunk */
    sl__sequence_release(&s, &p);
    unmake();
}
END_TEST

/* Another one goes on after the deepest known page before which the window's pages are still there. */
START_TEST(a_prefix_is_found_where_its_window_is) {
    make(ALL);
    sl__sequence a = sequence(0), b = sequence(1);
    compute(&a, PROMPT, 64);
    ck_assert_int_eq(sl__sequence_adopt(&b, &p), 10 * SL_PAGE); /* its pages, and the window pages before its next row */
    ck_assert_int_eq(b.first_window, 8);
    ck_assert(b.window[8] == a.window[8] && b.window[9] == a.window[9]);
    ck_assert_int_eq(p.windows.kept.holders[a.window[9]], 2);
    sl__sequence_release(&b, &p);
    sl__sequence_release(&a, &p);
    sl__attached_forget(&p.windows, page[0][9]); /* as if it had been taken */
    ck_assert_int_eq(sl__sequence_adopt(&b, &p), 9 * SL_PAGE);
    ck_assert_int_eq(b.branch, 10 * SL_PAGE);
    sl__sequence_release(&b, &p);
    sl__attached_forget(&p.windows, page[0][7]);
    ck_assert_int_eq(sl__sequence_adopt(&b, &p), 7 * SL_PAGE); /* 8 and 9 need the page before them */
    compute(&b, 8 * SL_PAGE, 5);
    ck_assert_int_eq(b.page[7], page[0][7]); /* computed again, it is the page that was known, which has its window page again */
    ck_assert_int_eq(sl__attached_of(&p.windows, b.page[7]), b.window[7]);
    ck_assert_int_eq(sl__sequence_adopt(&b, &p), SL_PAGE); /* and what is known behind it counts again */
    compute(&b, PROMPT, 64);
    sl__sequence_release(&b, &p);
    unmake();
}
END_TEST

/* Nothing is there before the first row: a prefix shorter than its window is found as any other. */
START_TEST(a_short_prefix_needs_all_its_pages) {
    make(ALL);
    sl__sequence a = sequence(0), b = sequence(1);
    compute(&a, SL_PAGE, SL_PAGE);
    sl__sequence_release(&a, &p);
    ck_assert_int_eq(sl__sequence_adopt(&b, &p), SL_PAGE);
    ck_assert_int_eq(b.first_window, 0);
    sl__sequence_release(&b, &p);
    sl__attached_forget(&p.windows, page[0][0]);
    ck_assert_int_eq(sl__sequence_adopt(&b, &p), 0);
    unmake();
}
END_TEST

/* When memory is needed, what slid out of the middle goes first; the end of a prompt, of an answer, and where prompts parted, stay. */
START_TEST(ends_are_kept_longest) {
    make(ALL);
    sl__sequence a = sequence(0), b = sequence(1);
    compute(&a, PROMPT + 150, 64);
    sl__sequence_release(&a, &p);
    int passed = p.windows.kept.kept_count - 2 - 2; /* two before the prompt's end; two before the answer's, of which one is begun */
    ck_assert_int_eq(p.windows.kept.kept_count, (PROMPT + 150) / SL_PAGE);
    int32_t taken[TOTAL];
    int n = 0;
    while (p.windows.kept.evicted < passed - 1) taken[n++] = sl__attached_take(&p.windows);
    for (int k = 0; k < (PROMPT + 150) / SL_PAGE; k++) {
        bool prompt_end = k == 8 || k == 9, answer_end = k >= 13;
        if (prompt_end || answer_end) ck_assert_int_ge(sl__attached_of(&p.windows, page[0][k]), 0);
    }
    ck_assert_int_eq(sl__sequence_adopt(&b, &p), 10 * SL_PAGE);
    sl__sequence_release(&b, &p);
    while (n > 0) sl__attached_drop(&p.windows, taken[--n], SL__KEPT);
    unmake();
}
END_TEST

/* A prompt that turns off where nothing is left computes its beginning, and what is needed there is kept for the next that does. */
START_TEST(where_prompts_part_is_kept) {
    make(ALL);
    sl__sequence a = sequence(0), b = sequence(1);
    compute(&a, PROMPT, 64);
    sl__sequence_release(&a, &p);
    static int32_t other[PROMPT];
    memcpy(other, prompt, sizeof other);
    for (int k = 6 * SL_PAGE; k < PROMPT; k++) other[k]++;
    for (int k = 0; k < 8; k++) sl__attached_forget(&p.windows, page[0][k]);
    b.prompt = other;
    ck_assert_int_eq(sl__sequence_adopt(&b, &p), 0);
    ck_assert_int_eq(b.branch, 6 * SL_PAGE);
    compute(&b, PROMPT, 64);
    sl__sequence_release(&b, &p);
    for (int k = 0; k < 10; k++) ck_assert_int_ge(sl__attached_of(&p.windows, page[1][k]), 0);
    int32_t taken[TOTAL];
    int n = 0, ends = 2 + 4; /* a's, and b's */
    for (int passed = p.windows.kept.kept_count - ends; p.windows.kept.evicted < passed;) taken[n++] = sl__attached_take(&p.windows);
    for (int k = 0; k < 10; k++) ck_assert_int_eq(sl__attached_of(&p.windows, page[1][k]) >= 0, k == 4 || k == 5 || k == 8 || k == 9);
    while (n > 0) sl__attached_drop(&p.windows, taken[--n], SL__KEPT);
    unmake();
}
END_TEST

/* Preempted, it finds what it lost. */
START_TEST(a_preempted_sequence_goes_on_where_it_was) {
    make(ALL);
    sl__sequence s = sequence(0);
    compute(&s, PROMPT + 61, 64);
    s.generated_count++;
    sl__sequence_preempt(&s, &p);
    ck_assert_int_eq(sl__kept_available(&p.windows.kept), ALL);
    ck_assert_int_eq(sl__sequence_adopt(&s, &p), (PROMPT + 61) / SL_PAGE * SL_PAGE);
    sl__sequence_release(&s, &p);
    unmake();
}
END_TEST

/* Of both kinds one is taken for each page, or none. */
START_TEST(either_kind_can_run_out) {
    make(4);
    sl__sequence s = sequence(0), others = sequence(1);
    ck_assert(!sl__sequence_grow(&s, &p, 5 * SL_PAGE));
    ck_assert_int_eq(s.page_count, 4);
    ck_assert(!sl__pages_left(&p) && sl__kept_available(&p.kept) == TOTAL - 4);
    sl__sequence_release(&s, &p);
    unmake();
    make(ALL);
    for (int i = 0; i < TOTAL - 2; i++) others.page[i] = sl__pages_take(&p);
    ck_assert(!sl__sequence_grow(&s, &p, 5 * SL_PAGE));
    ck_assert_int_eq(s.page_count, 2);
    ck_assert_int_eq(sl__kept_available(&p.windows.kept), ALL - 2);
    sl__sequence_release(&s, &p);
    for (int i = 0; i < TOTAL - 2; i++) sl__pages_drop(&p, others.page[i]);
    unmake();
}
END_TEST

int main(void) {
    return RUN_TESTS("engine/sequence_window", 10, what_no_later_row_sees_is_given_back, few_are_enough_for_a_long_sequence,
                     a_prefix_is_found_where_its_window_is, a_short_prefix_needs_all_its_pages, ends_are_kept_longest,
                     where_prompts_part_is_kept, a_preempted_sequence_goes_on_where_it_was, either_kind_can_run_out);
}

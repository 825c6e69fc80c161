#include "engine/sequence.h"

#include <string.h>

#include "../run.h"

enum { TOTAL = 10, PROMPT = 2 * SL_PAGE + 5, MOST = 40 };
static sl_arena *arena;
static sl__pages p;
static int32_t prompt[PROMPT], generated[2][MOST], page[2][TOTAL];

static sl__sequence sequence(int i) {
    for (int k = 0; k < PROMPT; k++) prompt[k] = 1000 + k;
    return (sl__sequence){.prompt = prompt, .prompt_len = PROMPT, .generated = generated[i], .page = page[i], .scored = PROMPT};
}

static void make(void) {
    sl_error e;
    arena = sl_arena_new();
    ck_assert_int_eq(sl__pages_init(&p, TOTAL, true, arena, &e), SL_OK);
}

START_TEST(tokens_are_the_prompt_then_what_was_generated) {
    sl__sequence s = sequence(0);
    generated[0][0] = 7;
    generated[0][1] = 8;
    s.generated_count = 2;
    ck_assert_int_eq(sl__sequence_tokens(&s), PROMPT + 2);
    ck_assert_int_eq(sl__sequence_token(&s, 0), 1000);
    ck_assert_int_eq(sl__sequence_token(&s, PROMPT - 1), 1000 + PROMPT - 1);
    ck_assert_int_eq(sl__sequence_token(&s, PROMPT), 7);
    ck_assert_int_eq(sl__sequence_token(&s, PROMPT + 1), 8);
}
END_TEST

START_TEST(pages_come_as_needed_and_all_go) {
    make();
    sl__sequence s = sequence(0);
    ck_assert(sl__sequence_grow(&s, &p, 1));
    ck_assert_int_eq(s.page_count, 1);
    ck_assert(sl__sequence_grow(&s, &p, SL_PAGE));
    ck_assert_int_eq(s.page_count, 1);
    ck_assert(sl__sequence_grow(&s, &p, SL_PAGE + 1));
    ck_assert_int_eq(s.page_count, 2);
    ck_assert(!sl__sequence_grow(&s, &p, SL_PAGE * (TOTAL + 1)));
    ck_assert_int_eq(s.page_count, TOTAL); /* what there was */
    s.state = SL__DECODE;
    s.computed = s.peak = PROMPT;
    s.generated_count = 3;
    sl__sequence_preempt(&s, &p);
    ck_assert_int_eq(sl__kept_available(&p.kept), TOTAL);
    ck_assert_int_eq(s.state, SL__WAITING);
    ck_assert_int_eq(s.computed, 0);
    ck_assert_int_eq(s.generated_count, 3); /* its tokens stay */
    ck_assert_int_eq(s.peak, PROMPT);       /* and what will be computed again is known */
    arena = sl_arena_free(arena);
}
END_TEST

/* Computes up to so many positions, as a step that succeeded. */
static void compute(sl__sequence *s, int positions) {
    ck_assert(sl__sequence_grow(s, &p, positions));
    s->computed = positions;
    sl__sequence_publish(s, &p);
}

START_TEST(known_pages_are_taken_over_up_to_the_last_row) {
    make();
    sl__sequence a = sequence(0), b = sequence(1);
    ck_assert_int_eq(sl__sequence_adopt(&a, &p), 0);
    compute(&a, PROMPT);
    ck_assert_int_eq(a.known, 2);
    ck_assert_int_eq(sl__sequence_adopt(&b, &p), 2 * SL_PAGE);
    ck_assert(b.page_count == 2 && b.known == 2 && b.computed == 2 * SL_PAGE && b.page[1] == a.page[1]);
    ck_assert(sl__sequence_grow(&b, &p, PROMPT));
    ck_assert_int_ne(b.page[2], a.page[2]);
    ck_assert_int_eq(sl__kept_available(&p.kept), TOTAL - 4);
    sl__sequence_release(&a, &p);
    ck_assert_int_eq(sl__kept_available(&p.kept), TOTAL - 3);
    sl__sequence_release(&b, &p);
    ck_assert_int_eq(sl__kept_available(&p.kept), TOTAL);
    ck_assert_int_eq(p.kept.kept_count, 2);
    b.prompt_len = 2 * SL_PAGE; /* its last row gives the first token, so it is computed, in a page of its own */
    b.scored = b.prompt_len;
    ck_assert_int_eq(sl__sequence_adopt(&b, &p), SL_PAGE);
    ck_assert_int_eq(b.page_count, 1);
    compute(&b, b.prompt_len);
    ck_assert_int_eq(p.kept.kept_count, 0); /* what it computed was known: now it holds that page, and its own is free */
    ck_assert_int_eq(p.kept.free_count, TOTAL - 2);
    sl__sequence_release(&b, &p);
    b.prompt_len = b.scored = 1;
    ck_assert_int_eq(sl__sequence_adopt(&b, &p), 0);
    arena = sl_arena_free(arena);
}
END_TEST

START_TEST(a_page_that_was_begun_is_given_up_for_a_known_one) {
    make();
    sl__sequence a = sequence(0), b = sequence(1);
    compute(&b, SL_PAGE + 7);
    compute(&a, PROMPT);
    ck_assert_int_eq(a.page[0], b.page[0]);
    int32_t own = b.page[1];
    ck_assert_int_eq(sl__sequence_adopt(&b, &p), SL_PAGE - 7);
    ck_assert(b.page_count == 2 && b.computed == 2 * SL_PAGE && b.page[1] == a.page[1]);
    ck_assert_int_eq(p.kept.holders[own], 0);
    sl__sequence_release(&b, &p);
    sl__sequence_release(&a, &p);
    arena = sl_arena_free(arena);
}
END_TEST

START_TEST(generated_tokens_are_known_too) {
    make();
    static int32_t longer[PROMPT + MOST];
    sl__sequence a = sequence(0), b = sequence(1);
    for (int i = 0; i < MOST; i++) generated[0][i] = 50 + i;
    a.generated_count = MOST;
    compute(&a, PROMPT + MOST - 1); /* the last token was drawn and not computed */
    ck_assert_int_eq(a.known, (PROMPT + MOST - 1) / SL_PAGE);
    sl__sequence_release(&a, &p);
    for (int i = 0; i < PROMPT + MOST; i++) longer[i] = sl__sequence_token(&a, i);
    b.prompt = longer;
    b.prompt_len = b.scored = PROMPT + MOST;
    ck_assert_int_eq(sl__sequence_adopt(&b, &p), a.prompt_len + MOST - 1 - (a.prompt_len + MOST - 1) % SL_PAGE);
    sl__sequence_release(&b, &p);
    ck_assert_int_eq(sl__sequence_adopt(&a, &p), 3 * SL_PAGE); /* preempted: its own */
    sl__sequence_release(&a, &p);
    arena = sl_arena_free(arena);
}
END_TEST

/* Kept pages are given up from the end of a prefix; who gets several has them in order. */
START_TEST(pages_that_come_together_stand_in_order) {
    make();
    static int32_t other[PROMPT];
    sl__sequence a = sequence(0), b = sequence(1);
    memset(other, 0, sizeof other);
    b.prompt = other;
    for (int i = 0; i < TOTAL - 4; i++) sl__pages_take(&p);
    compute(&a, PROMPT);
    sl__sequence_release(&a, &p);
    ck_assert_int_eq(p.kept.free_count, 2);
    ck_assert(sl__sequence_grow(&b, &p, 4 * SL_PAGE));
    for (int i = 1; i < 4; i++) ck_assert_int_gt(b.page[i], b.page[i - 1]);
    ck_assert(!sl__sequence_grow(&b, &p, 5 * SL_PAGE));
    arena = sl_arena_free(arena);
}
END_TEST

START_TEST(who_wants_scores_computes) {
    make();
    sl__sequence a = sequence(0), b = sequence(1);
    compute(&a, PROMPT);
    b.scored = 40;
    ck_assert_int_eq(sl__sequence_adopt(&b, &p), 0);
    ck_assert(!sl__sequence_wants_page_of(&b, &b));
    compute(&b, PROMPT); /* what it computes is known already, so it holds the same pages */
    ck_assert_int_eq(b.page[1], a.page[1]);
    arena = sl_arena_free(arena);
}
END_TEST

START_TEST(who_waits_for_whose_page) {
    make();
    sl__sequence a = sequence(0), b = sequence(1);
    ck_assert(sl__sequence_wants_page_of(&b, &a));
    b.salt = 3;
    ck_assert(!sl__sequence_wants_page_of(&b, &a));
    b.salt = 0;
    compute(&a, SL_PAGE + 3);
    ck_assert(!sl__sequence_wants_page_of(&b, &a)); /* the first is known, it can be taken over at once */
    sl__sequence_adopt(&b, &p);
    ck_assert(sl__sequence_wants_page_of(&b, &a));
    static int32_t other[PROMPT];
    memcpy(other, prompt, sizeof other);
    other[2 * SL_PAGE - 1] = -1;
    b.prompt = other;
    ck_assert(!sl__sequence_wants_page_of(&b, &a));
    b.prompt = prompt;
    a.prompt_len = 2 * SL_PAGE - 1; /* it will not fill the page */
    ck_assert(!sl__sequence_wants_page_of(&b, &a));
    a.prompt_len = 2 * SL_PAGE;
    ck_assert(sl__sequence_wants_page_of(&b, &a));
    b.prompt_len = b.scored = 2 * SL_PAGE; /* it has to fill it itself */
    ck_assert(!sl__sequence_wants_page_of(&b, &a));
    sl__sequence_release(&b, &p);
    sl__sequence_release(&a, &p);
    arena = sl_arena_free(arena);
}
END_TEST

START_TEST(where_it_goes_on_otherwise) {
    make();
    static int32_t other[PROMPT];
    sl__sequence a = sequence(0), b = sequence(1);
    ck_assert_int_eq(sl__sequence_differs_at(&b, &p), -1); /* nothing is known */
    compute(&a, PROMPT);
    static const int at[] = {0, 1, SL_PAGE - 1, SL_PAGE, SL_PAGE + 9};
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        memcpy(other, prompt, sizeof other);
        other[at[i]] = -1;
        b.prompt = other;
        ck_assert_int_eq(sl__sequence_adopt(&b, &p), at[i] / SL_PAGE * SL_PAGE);
        ck_assert_int_eq(sl__sequence_differs_at(&b, &p), at[i] ? at[i] : -1); /* no token in common: not of that beginning */
        sl__sequence_release(&b, &p);
    }
    b.prompt = prompt;
    for (int len = 1; len <= PROMPT; len++) { /* as long as it goes, it goes as what is known */
        b.prompt_len = b.scored = len;
        sl__sequence_adopt(&b, &p);
        ck_assert_int_eq(sl__sequence_differs_at(&b, &p), -1);
        sl__sequence_release(&b, &p);
    }
    sl__sequence_release(&a, &p);
    arena = sl_arena_free(arena);
}
END_TEST

int main(void) {
    return RUN_TESTS("engine/sequence", 30, tokens_are_the_prompt_then_what_was_generated, pages_come_as_needed_and_all_go,
                     known_pages_are_taken_over_up_to_the_last_row, a_page_that_was_begun_is_given_up_for_a_known_one,
                     generated_tokens_are_known_too, pages_that_come_together_stand_in_order,
                     who_wants_scores_computes, who_waits_for_whose_page, where_it_goes_on_otherwise);
}

#include "engine/sequence.h"

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
    ck_assert_int_eq(sl__pages_init(&p, TOTAL, arena, &e), SL_OK);
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
    ck_assert_int_eq(p.free_count, TOTAL);
    ck_assert_int_eq(s.state, SL__WAITING);
    ck_assert_int_eq(s.computed, 0);
    ck_assert_int_eq(s.generated_count, 3); /* its tokens stay */
    ck_assert_int_eq(s.peak, PROMPT);       /* and what will be computed again is known */
    arena = sl_arena_free(arena);
}
END_TEST

START_TEST(siblings_share_whole_pages_below_the_last_prompt_token) {
    make();
    sl__sequence a = sequence(0), b = sequence(1);
    ck_assert_int_eq(sl__sequence_shareable(&a), 2 * SL_PAGE);
    a.prompt_len = 2 * SL_PAGE; /* its last row gives the first token, so it is computed */
    ck_assert_int_eq(sl__sequence_shareable(&a), SL_PAGE);
    a.prompt_len = 1;
    ck_assert_int_eq(sl__sequence_shareable(&a), 0);
    a.prompt_len = PROMPT;
    ck_assert(sl__sequence_grow(&a, &p, PROMPT));
    a.computed = PROMPT;
    sl__sequence_share(&b, &a, &p);
    ck_assert_int_eq(b.page_count, 2);
    ck_assert_int_eq(b.computed, 2 * SL_PAGE);
    ck_assert_int_eq(b.page[1], a.page[1]);
    ck_assert(sl__sequence_grow(&b, &p, PROMPT));
    ck_assert_int_ne(b.page[2], a.page[2]);
    ck_assert_int_eq(p.free_count, TOTAL - 4);
    sl__sequence_release(&a, &p);
    ck_assert_int_eq(p.free_count, TOTAL - 3);
    sl__sequence_release(&b, &p);
    ck_assert_int_eq(p.free_count, TOTAL);
    arena = sl_arena_free(arena);
}
END_TEST

int main(void) {
    return RUN_TESTS("engine/sequence", 30, tokens_are_the_prompt_then_what_was_generated, pages_come_as_needed_and_all_go,
                     siblings_share_whole_pages_below_the_last_prompt_token);
}

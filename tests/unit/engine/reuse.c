/* The scheduler and known pages: what is computed once, who waits for whose page, what is kept. */
#include "sim.h"

#include "../run.h"

START_TEST(choices_compute_their_prompt_once) {
    sim *m = make(100, 8, 150, 40);
    add_choices(m, 5, 200, 10, false);
    sl__sequence *other = add_one(m, 10, 3); /* the choices wait for their sibling, others need not */
    step(m);
    ck_assert_int_gt(other->computed, 0);
    for (int i = 1; i < 5; i++) ck_assert_int_eq(m->all[i]->computed, 0);
    run_out(m, 100);
    ck_assert_uint_eq(m->prompt_total, 200 + 4 * (200 - 192) + 10);
    ck_assert_int_eq(m->reused, 4 * 192);
    unmake(m);
}
END_TEST

/* Also when others want their places meanwhile. */
START_TEST(choices_keep_their_places) {
    sim *m = make(100, 4, 64, 40);
    add_choices(m, 4, 200, 1, false);
    for (int i = 0; i < 10; i++) add_one(m, 8, 40);
    run_out(m, 400);
    ck_assert_uint_eq(m->prompt_total, 192 + 4 * 8 + 10 * 8);
    unmake(m);
}
END_TEST

/* Also when it ends with the step that computes it, and when they find a place one after the other. */
START_TEST(choices_of_one_token_compute_their_prompt_once) {
    sim *m = make(100, _i ? 4 : 16, 150, 40);
    add_choices(m, 12, 200, 1, false);
    run_out(m, 100);
    ck_assert_uint_eq(m->prompt_total, 192 + 12 * 8);
    unmake(m);
}
END_TEST

START_TEST(when_the_computing_choice_goes_the_next_computes) {
    sim *m = make(100, 8, 64, 40);
    add_choices(m, 3, 200, 10, false);
    step(m);
    ck_assert_int_eq(m->all[0]->computed, 64);
    end(m, m->all[0]);
    step(m);
    ck_assert_int_eq(m->all[1]->computed, 128); /* the half of it that was known */
    ck_assert_int_eq(m->all[2]->computed, 64);
    run_out(m, 100);
    ck_assert_uint_eq(m->prompt_total, 192 + 2 * 8);
    unmake(m);
}
END_TEST

START_TEST(what_begins_alike_is_computed_once) {
    sim *m = make(200, 8, _i ? 512 : 90, 40);
    for (int i = 0; i < 6; i++) add(m, request(m), prompt_of(m, 340, 320), 340, 5, false);
    run_out(m, 100);
    ck_assert_uint_eq(m->prompt_total, 320 + 6 * 20);
    ck_assert_int_eq(m->reused, 5 * 320);
    unmake(m);
}
END_TEST

/* Others wait for the oldest prompt, and it for nobody: not for a shorter one that begins as it does. */
START_TEST(the_oldest_waits_for_nobody) {
    sim *m = make(400, 16, 512, 40);
    for (int i = 0; i < 8; i++) add_one(m, 8, 400);
    for (int i = 0; i < 10; i++) step(m);
    sl__sequence *big = add(m, request(m), prompt_of(m, 4000, 400), 4000, 2, false);
    sl__sequence *small = add(m, request(m), prompt_of(m, 420, 400), 420, 2, false);
    uint64_t before = m->prompt_total;
    while (big->state != SL__DECODE) {
        int from = big->computed;
        step(m);
        ck_assert_int_ge(big->computed - from, big->state == SL__DECODE ? 1 : m->prompt_rows * 7 / 10);
    }
    ck_assert(small->state == SL__ENDED);
    ck_assert_uint_eq(m->prompt_total - before, 4000 + 420 - 384);
    unmake(m);
}
END_TEST

/* Not for one that is neither the oldest nor gets rows: a short prompt is served though a long one begins alike. */
START_TEST(nobody_waits_for_one_that_gets_nothing) {
    sim *m = make(2000, 16, 512, 40);
    for (int i = 0; i < 8; i++) add_one(m, 8, 800);
    for (int i = 0; i < 10; i++) step(m);
    add_one(m, 6000, 2);
    sl__sequence *second = add(m, request(m), prompt_of(m, 8000, 90), 8000, 2, false);
    sl__sequence *small = add(m, request(m), prompt_of(m, 100, 90), 100, 2, false);
    for (int i = 0; small->state != SL__DECODE && small->state != SL__ENDED; i++) {
        step(m);
        ck_assert_int_lt(i, 8);
    }
    ck_assert_int_eq(second->state, SL__PREFILL);
    unmake(m);
}
END_TEST

/* Nor for one whose rows all want logits, of which a step has few. */
START_TEST(nobody_waits_for_a_prompt_that_is_scored) {
    sim *m = make(200, 8, 512, 12);
    const int32_t *prompt = prompt_of(m, 400, 0);
    sl__sequence *scored = add(m, request(m), prompt, 400, 3, true), *other = add(m, request(m), prompt, 400, 3, false);
    for (int i = 0; other->state != SL__DECODE; i++) {
        step(m);
        ck_assert_int_lt(i, 4);
    }
    ck_assert_int_lt(scored->computed, 100);
    run_out(m, 100);
    unmake(m);
}
END_TEST

/* Pages that are kept are as good as free: for who comes, and for who runs. */
START_TEST(kept_pages_take_no_room) {
    sim *m = make(12, 4, 512, 40);
    add_one(m, 340, 10);
    run_out(m, 50);
    ck_assert_int_eq(m->p.kept.kept_count, (340 + 9) / SL_PAGE);
    sl__sequence *a = add_one(m, 150, 60), *b = add_one(m, 100, 60); /* 7 and 5 pages: all */
    step(m);
    ck_assert(a->state != SL__WAITING && b->state != SL__WAITING);
    run_out(m, 200);
    ck_assert_int_eq(m->preempted, 0);
    ck_assert_int_gt(m->p.kept.evicted, 0);
    unmake(m);
}
END_TEST

START_TEST(a_second_turn_computes_what_is_new) {
    sim *m = make(60, 4, 512, 40);
    const int32_t *prompt = prompt_of(m, 500, 0);
    add(m, request(m), prompt, 400, 3, false);
    run_out(m, 50);
    m->prompt_total = 0;
    add(m, request(m), prompt, 500, 3, false); /* the answer was other tokens than the second prompt has there */
    run_out(m, 50);
    ck_assert_uint_eq(m->prompt_total, 500 - 384);
    m->prompt_total = 0;
    add(m, request(m), prompt, 384, 3, false); /* all known: the last page is computed again, for its last row */
    run_out(m, 50);
    ck_assert_uint_eq(m->prompt_total, SL_PAGE);
    ck_assert_int_eq(m->reused, 384 + 352);
    unmake(m);
}
END_TEST

/* Who lost its pages finds those again that nobody else took meanwhile. That is not counted as reuse. */
START_TEST(a_preempted_sequence_finds_its_pages_again) {
    sim *m = make(12, 4, 512, 40);
    sl__sequence *a = add_one(m, 150, 100), *b = add_one(m, 120, 100);
    int computed = 0, rows = 0;
    for (int i = 0; m->over < m->count; i++) {
        step(m);
        rows += m->prompt_rows + m->decode_rows;
        if (b->state == SL__WAITING && b->peak > computed) computed = b->peak;
        ck_assert_int_lt(i, 400);
    }
    ck_assert_int_gt(m->preempted, 0);
    ck_assert_int_gt(computed, 120);
    ck_assert_int_lt(rows, 150 + 99 + 120 + 99 + computed);
    ck_assert_int_eq(m->reused, 0);
    ck_assert_int_eq(a->generated_count + b->generated_count, 200);
    unmake(m);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine/reuse");
    TCase *t = tcase_create("engine/reuse");
    tcase_set_timeout(t, 60);
    const TTest *const tests[] = {
        choices_compute_their_prompt_once, choices_keep_their_places, when_the_computing_choice_goes_the_next_computes,
        the_oldest_waits_for_nobody, nobody_waits_for_one_that_gets_nothing, nobody_waits_for_a_prompt_that_is_scored,
        kept_pages_take_no_room, a_second_turn_computes_what_is_new, a_preempted_sequence_finds_its_pages_again};
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) tcase_add_test(t, tests[i]);
    tcase_add_loop_test(t, choices_of_one_token_compute_their_prompt_once, 0, 2);
    tcase_add_loop_test(t, what_begins_alike_is_computed_once, 0, 2);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

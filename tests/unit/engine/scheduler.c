/* Who is in the next step, and with how many rows. */
#include "sim.h"

#include "../run.h"

START_TEST(alone_a_prompt_gets_the_largest_chunk) {
    sim *m = make(100, 4, 512, 32);
    add_one(m, 1200, 3);
    ck_assert_int_eq(step(m), 512);
    ck_assert_int_eq(step(m), 512);
    ck_assert_int_eq(step(m), 1200 - 1024);
    for (int i = 0; i < 2; i++) ck_assert_int_eq(step(m), 1);
    ck_assert_int_eq(m->over, 1);
    ck_assert_int_eq(step(m), 0);
    unmake(m);
}
END_TEST

/* While nobody decodes, a step may take five targets. */
START_TEST(alone_a_prompt_on_a_slow_machine_is_cut) {
    sim *m = make(100, 4, 512, 32);
    m->multiply *= 20;
    add_one(m, 3000, 3);
    for (int i = 0; m->all[0]->state != SL__DECODE; i++) {
        step(m);
        if (i > 1) ck_assert_double_le(m->seconds, 5 * m->c.target * 1.1);
        if (i > 1 && m->all[0]->state != SL__DECODE) ck_assert_double_ge(m->seconds, 5 * m->c.target * 0.7);
    }
    unmake(m);
}
END_TEST

/* A target that decoding alone fills leaves the least chunk. */
START_TEST(nothing_left_gets_the_least_chunk) {
    sim *m = make(100, 4, 512, 32);
    sl__sequence *s = add_one(m, 5, 100);
    step(m);
    step(m);
    m->c.target = 0.001;
    ck_assert_int_eq(s->state, SL__DECODE);
    add_one(m, 100, 1);
    add_one(m, 100, 1);
    ck_assert_int_eq(step(m), 1 + SL__LEAST_CHUNK);
    unmake(m);
}
END_TEST

/* Whatever was served before, on whatever machine, with cold pages at first and a fifth of noise: beside decoders, a
 * prompt's chunks are near the oracle's, no step is far beyond the target, and the prompt needs few steps. */
START_TEST(after_any_history_chunks_are_right) {
    srand((unsigned)_i + 1);
    sim *m = make(2000, 40, 512, 48);
    double speed = exp((rand() % 2001 - 1000) / 1000.0 * 1.2); /* 0.3 to 3.3 times as slow */
    m->read *= speed * (1 + rand() % 3 / 2.0);
    m->multiply *= speed;
    m->attend *= speed * (1 + rand() % 3 / 2.0);
    m->c.target = 0.5 * speed;
    m->noise = 0.2;
    for (int turn = 0, cold = 3; turn < 6; turn++) {
        int what = rand() % 4, n = 1 + rand() % 30;
        for (int i = 0; i < (what == 0 ? 1 : n); i++)
            add_one(m, what == 0 ? 3000 + rand() % 3000 : what == 1 ? 5 + rand() % 200 : 8, what == 3 ? 200 : 3);
        while (m->over < m->count) {
            if (cold-- > 0) m->read *= 4, m->multiply *= 4, m->attend *= 4;
            step(m);
            if (cold >= 0) m->read /= 4, m->multiply /= 4, m->attend /= 4;
        }
    }
    for (int i = 0; i < 8; i++) add_one(m, 8, 400);
    for (int i = 0; i < 20; i++) step(m);
    for (int length = 512; length <= 4096; length *= 8) {
        sl__sequence *late = add_one(m, length, 100);
        double took = 0, least = 0;
        while (late->state != SL__DECODE) {
            int from = late->computed;
            step(m);
            ck_assert_int_eq(m->decode_rows, 8);
            ck_assert_double_le(m->without_noise, 1.15 * m->c.target);
            if (late->computed < length)
                ck_assert_msg(m->prompt_rows >= 0.6 * m->oracle, "%d of %d rows at %d", m->prompt_rows, m->oracle, from);
            took += m->seconds;
            if (m->oracle) least += m->seconds * fmin(1, (double)m->prompt_rows / m->oracle);
        }
        ck_assert_double_le(took, 1.5 * least);
        end(m, late);
    }
    unmake(m);
}
END_TEST

/* The chunks follow a machine that others use too, within a few steps. */
START_TEST(a_slower_machine_is_learned_in_a_few_steps) {
    sim *m = make(400, 16, 512, 40);
    for (int i = 0; i < 10; i++) add_one(m, 20, 900);
    while (m->c.batch.count < 10 || m->c.batch.last->state != SL__DECODE) step(m);
    for (int i = 0; i < 3; i++) add_one(m, 3000, 2);
    for (int i = 0; i < 60; i++) {
        if (i == 10) m->read *= 2, m->multiply *= 2, m->attend *= 2;
        if (i == 30) m->read /= 2, m->multiply /= 2, m->attend /= 2;
        step(m);
        ck_assert_int_ge(m->decode_rows, 10);
        if (i < 10 || i >= 20) ck_assert_double_le(m->seconds, m->c.target);
        if ((i >= 20 && i < 30) || i > 40) ck_assert_double_ge(m->prompt_rows, m->oracle * 0.75 - 2);
    }
    unmake(m);
}
END_TEST

/* Eight decode; a short prompt behind a long one gets its part of every step, and the long one three quarters. */
START_TEST(a_short_prompt_does_not_wait_for_a_long_one) {
    sim *m = make(2000, 16, 512, 40);
    if (_i)
        for (int i = 0; i < 8; i++) add_one(m, 8, 800);
    for (int i = 0; i < 10; i++) step(m);
    sl__sequence *big = add_one(m, 8000, 2);
    step(m);
    sl__sequence *small = add_one(m, 100, 2), *middle = add_one(m, 1000, 2);
    int steps = 0;
    for (; small->state == SL__WAITING || small->state == SL__PREFILL; steps++) {
        int before = big->computed;
        step(m);
        ck_assert_int_ge(big->computed - before, m->prompt_rows * 7 / 10);
        ck_assert(middle->computed < small->computed || small->computed == small->prompt_len);
    }
    ck_assert_int_le(steps, _i ? 6 : 1);
    while (big->state == SL__PREFILL) {
        int before = big->computed;
        step(m);
        if (big->state == SL__PREFILL) ck_assert_int_ge(big->computed - before, m->prompt_rows * 7 / 10);
    }
    ck_assert_msg(middle->state == SL__ENDED || middle->state == SL__DECODE, "the next shortest goes on");
    unmake(m);
}
END_TEST

/* So many decode that few rows of logits are left: a short prompt still gets one. */
START_TEST(a_short_prompt_gets_the_last_rows_of_logits) {
    sim *m = make(2000, 31, 512, 32);
    for (int i = 0; i < 29; i++) add_one(m, 8, 800);
    for (int i = 0; i < 20; i++) step(m);
    sl__sequence *big = add_one(m, 8000, 2);
    step(m);
    sl__sequence *small = add_one(m, 20, 2);
    for (int i = 0; small->state == SL__WAITING || small->state == SL__PREFILL; i++) {
        step(m);
        ck_assert_int_lt(i, 8);
    }
    ck_assert_int_eq(big->state, SL__PREFILL);
    unmake(m);
}
END_TEST

/* Short ones that keep coming cannot stop a long one, and prompts of one length are done one after the other. */
START_TEST(nobody_starves) {
    sim *m = make(2000, 16, 512, 40);
    sl__sequence *big = add_one(m, 8000, 2);
    for (int i = 0; big->state != SL__DECODE; i++) {
        if (m->c.batch.count + m->c.waiting.count < 12) add_one(m, 60, 2);
        int before = big->computed;
        step(m);
        ck_assert_int_ge(big->computed - before, big->state == SL__DECODE ? 1 : m->prompt_rows * 7 / 10);
        ck_assert_int_lt(i, 120);
    }
    for (int i = 0; i < m->count; i++) end(m, m->all[i]);
    sl__sequence *a = add_one(m, 1500, 2), *b = add_one(m, 1500, 2);
    while (a->state == SL__WAITING || a->state == SL__PREFILL) {
        step(m);
        ck_assert(a->state == SL__DECODE || b->computed == 0);
    }
    unmake(m);
}
END_TEST

START_TEST(the_oldest_goes_on_and_the_youngest_gives_way) {
    sim *m = make(12, 4, 512, 40);
    sl__sequence *a = add_one(m, 60, 200), *b = add_one(m, 60, 200), *c = add_one(m, 60, 200); /* each needs 9 of 12 in the end */
    int before, steps = 0;
    while (a->state != SL__ENDED) {
        before = a->computed;
        step(m);
        ck_assert(a->computed > before || a->state == SL__ENDED);
        ck_assert_msg(b->computed >= c->computed || c->state == SL__WAITING || b->state == SL__PREFILL, "the youngest gives way first");
        ck_assert_int_lt(++steps, 300);
    }
    ck_assert_int_gt(m->preempted, 1);
    add_one(m, 5, 5);
    while (b->state != SL__ENDED) {
        step(m);
        ck_assert_int_lt(++steps, 1000);
    }
    while (m->over < m->count) {
        step(m);
        ck_assert_int_lt(++steps, 2000);
    }
    unmake(m);
}
END_TEST

START_TEST(nobody_overtakes_one_that_waits_for_pages) {
    sim *m = make(20, 4, 512, 40);
    add_one(m, 300, 50); /* 11 pages */
    step(m);
    sl__sequence *big = add_one(m, 500, 50), *small = add_one(m, 5, 5); /* 16 and 1 */
    while (big->state == SL__WAITING) {
        step(m);
        ck_assert(big->state != SL__WAITING || small->state == SL__WAITING);
    }
    while (m->over < m->count) step(m);
    unmake(m);
}
END_TEST

START_TEST(scores_keep_within_the_rows_of_logits) {
    sim *m = make(100, 4, 512, 12);
    add_choices(m, 3, 150, 4, true);
    run_out(m, 200); /* check_step counts */
    ck_assert_uint_eq(m->prompt_total, 3 * 150); /* every row of logits is wanted, so nothing is reused */
    ck_assert_int_eq(m->reused, 0);
    unmake(m);
}
END_TEST

/* Promise 3: also where layers have a window of 1 to 70 positions, or see chunks of so many, some of which end where a page does; with
 * window pages for one sequence or for many. */
START_TEST(whatever_comes_everything_ends) {
    int pages = 6 + (_i * 37) % 60, sequences = 1 + _i % 9, preempted = 0;
    srand((unsigned)_i + 1);
    sim *m = make(pages, sequences, sequences + SL__LEAST_CHUNK + rand() % 100, sequences < 32 ? 32 : sequences + 8);
    m->c.target = _i % 3 ? 0.05 : 1;
    if (_i >= 24) {
        bool chunked = _i >= 48;
        int window = chunked && _i % 3 == 0 ? SL_PAGE << _i % 2 : 1 + rand() % 70;
        sl_hparams hp = {.layers = 1, .window = {window}, .chunked = chunked};
        int least = sl_kv_window_pages(sl_kv_window_of(&hp, pages * SL_PAGE), pages * SL_PAGE, SL__LEAST_CHUNK);
        with_windows(m, window, chunked, _i % 4 == 0 ? least : least + rand() % (pages - least + 1));
    }
    int steps = 0, quiet = 0;
    while (m->count < 300 || m->over < m->count) {
        bool coming = m->count < 300;
        for (int k = rand() % 3; coming && k > 0 && m->c.waiting.count < 50; k--) {
            sl_request *r = request(m);
            int positions = pages * SL_PAGE, prompt = 1 + rand() % (rand() % 4 ? 50 : positions - 1);
            int most = rand() % 8 ? 1 + rand() % 60 : 0, n = rand() % 5 ? 1 : 1 + rand() % 6;
            if (prompt + most > positions) most = positions - prompt;
            bool scored = rand() % 6 == 0 || most == 0;
            const int32_t *tokens = prompt_of(m, prompt, rand() % 2 ? rand() % (prompt + 1) : 0);
            for (int i = 0; i < n; i++) add(m, r, tokens, prompt, most, scored);
        }
        if (rand() % 20 == 0 && m->count) { /* a client leaves */
            const sl_request *r = m->all[rand() % m->count]->request;
            for (int i = 0; i < m->count; i++)
                if (m->all[i]->request == r) end(m, m->all[i]);
        }
        m->multiply = (1 + rand() % 10) / 400e9;
        step(m);
        preempted += m->preempted;
        quiet += !coming;
        ck_assert_int_lt(++steps, 200000);
        ck_assert_int_lt(quiet, 60000);
    }
    if (pages < 20 && sequences > 3) ck_assert_int_gt(preempted, 0);
    unmake(m);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine/scheduler");
    TCase *t = tcase_create("engine/scheduler");
    tcase_set_timeout(t, 120);
    const TTest *const tests[] = {
        alone_a_prompt_gets_the_largest_chunk, alone_a_prompt_on_a_slow_machine_is_cut, nothing_left_gets_the_least_chunk,
        a_slower_machine_is_learned_in_a_few_steps, nobody_starves,
        the_oldest_goes_on_and_the_youngest_gives_way, nobody_overtakes_one_that_waits_for_pages, a_short_prompt_gets_the_last_rows_of_logits,
        scores_keep_within_the_rows_of_logits};
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) tcase_add_test(t, tests[i]);
    tcase_add_loop_test(t, after_any_history_chunks_are_right, 0, 40);
    tcase_add_loop_test(t, a_short_prompt_does_not_wait_for_a_long_one, 0, 2);
    tcase_add_loop_test(t, whatever_comes_everything_ends, 0, 72);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

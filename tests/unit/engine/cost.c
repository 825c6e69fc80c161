/* The model of a step's cost, against machines whose prices are known. */
#include "engine/cost.h"

#include <math.h>

#include "../run.h"

static const sl__shape shape = {.dense = 0.3e9, .experts = 7e9, .used = 1.0 / 16, .output = 0.1e9, .attention = 1e5};
enum { WINDOWED = 300000, WINDOW = 128 }; /* multiply-adds with a position, in models that have layers with a window, too */

/* Seconds at prices so many times those that the model begins with. */
static double truth(double read, double multiply, double attend, const sl__work *w) {
    double touched = shape.experts * (1 - pow(1 - shape.used, w->rows));
    return read / 80e9 * (shape.dense + touched + (w->logits ? shape.output : 0)) +
           multiply / 450e9 * (w->rows * (shape.dense + shape.experts * shape.used) + w->logits * shape.output) +
           attend * 4 / 450e9 * (shape.attention * w->positions + WINDOWED * w->windowed);
}

static double noisy(double share) { return 1 + share * (rand() % 2001 - 1000) / 1000; }

static sl__work chunk(int rows, int from) { return (sl__work){rows, 1, rows * (from + (rows + 1) / 2.0), 0}; }

static sl__work decode(int rows, int at) { return (sl__work){rows, rows, (double)rows * at, 0}; }

static void near(const sl__cost *c, const sl__work *w, double seconds, double share) {
    double said = sl__cost_seconds(c, w);
    ck_assert_msg(said < seconds * (1 + share) && said > seconds / (1 + share), "%d rows: %g s said, %g s true", w->rows, said, seconds);
}

START_TEST(what_was_seen_is_foreseen) {
    srand((unsigned)_i + 1);
    double read = 0.2 + rand() % 100 / 10.0, multiply = read * (0.5 + rand() % 100 / 66.0), attend = read * (0.5 + rand() % 100 / 66.0);
    sl__cost c;
    sl__cost_init(&c, &shape);
    for (int i = 0; i < 60; i++) {
        sl__work w = i % 3 == 0 ? decode(1 + rand() % 32, rand() % 4000) : chunk(1 + rand() % 512, rand() % 2 * (rand() % 4000));
        sl__cost_learn(&c, &w, truth(read, multiply, attend, &w) * noisy(0.1));
    }
    for (int rows = 1; rows <= 512; rows *= 8)
        for (int from = 0; from <= 4000; from += 2000) {
            sl__work p = chunk(rows, from), d = decode(rows / 16 + 1, from);
            near(&c, &p, truth(read, multiply, attend, &p), 0.25);
            near(&c, &d, truth(read, multiply, attend, &d), 0.3);
        }
}
END_TEST

/* A thousand steps that show nothing of attention leave its price as it was: against the others'. */
START_TEST(what_is_not_seen_is_not_forgotten) {
    sl__cost c;
    sl__cost_init(&c, &shape);
    sl__work far = chunk(512, 3500), one = decode(1, 10), near_by = chunk(512, 0);
    for (int i = 0; i < 20; i++) {
        sl__cost_learn(&c, &far, truth(1, 1, 2, &far));
        sl__cost_learn(&c, &near_by, truth(1, 1, 2, &near_by));
        sl__cost_learn(&c, &one, truth(1, 1, 2, &one));
    }
    for (int i = 0; i < 1000; i++) sl__cost_learn(&c, &one, truth(3, 3, 6, &one)); /* slower meanwhile, in all */
    near(&c, &far, truth(3, 3, 6, &far), 0.1);
    near(&c, &near_by, truth(3, 3, 6, &near_by), 0.1);
    sl__cost_learn(&c, &near_by, truth(3, 3, 6, &near_by) * 1.2);
    near(&c, &far, truth(3, 3, 6, &far), 0.3);
}
END_TEST

START_TEST(cold_steps_are_forgotten) {
    sl__cost c;
    sl__cost_init(&c, &shape);
    sl__work first = chunk(64, 0), one = decode(1, 64), later = chunk(512, 0);
    sl__cost_learn(&c, &first, 5 * truth(1, 1, 1, &first));
    sl__cost_learn(&c, &one, 4 * truth(1, 1, 1, &one));
    for (int i = 0; i < 8; i++) sl__cost_learn(&c, &one, truth(1, 1, 1, &one));
    near(&c, &later, truth(1, 1, 1, &later), 0.4);
    for (int i = 0; i < 50; i++) sl__cost_learn(&c, &later, truth(1, 1, 1, &later));
    sl__cost_learn(&c, &later, 20 * truth(1, 1, 1, &later)); /* a neighbour */
    near(&c, &later, truth(1, 1, 1, &later), 0.6);
    for (int i = 0; i < 3; i++) sl__cost_learn(&c, &later, truth(1, 1, 1, &later));
    near(&c, &later, truth(1, 1, 1, &later), 0.15);
}
END_TEST

/* What rows see is counted one by one: all that is before them, and what their window or chunk leaves of it. */
START_TEST(work_is_what_rows_see) {
    for (int chunked = 0; chunked < 2; chunked++) {
        sl__cost c = {.shape = {.window = {WINDOW, chunked}}};
        for (int from = 0; from < 500; from += 17)
            for (int rows = 1; rows < 300; rows += 23) {
                sl__work w = sl__cost_with(&c, (sl__work){1, 1, 10, 5}, from, rows, 2, 1);
                double positions = 10, windowed = 5;
                for (int p = from; p < from + rows; p++) {
                    int first = chunked ? p / WINDOW * WINDOW : p >= WINDOW ? p - WINDOW + 1 : 0;
                    positions += p + 1;
                    windowed += p - first + 1;
                }
                ck_assert(w.rows == 1 + rows && w.logits == 3 && w.positions == positions && w.windowed == windowed);
                w = sl__cost_with(&c, w, from, rows, 2, -1);
                ck_assert(w.rows == 1 && w.logits == 1 && w.positions == 10 && w.windowed == 5);
            }
    }
}
END_TEST

/* Most layers have a window: what short sequences cost says what long ones do, at which those layers see no more. */
START_TEST(long_sequences_are_foreseen_where_layers_have_a_window) {
    srand(1);
    sl__cost c;
    sl__shape windows = shape;
    windows.windowed = WINDOWED;
    windows.window.positions = WINDOW;
    sl__cost_init(&c, &windows);
    for (int i = 0; i < 90; i++) {
        int rows = i % 3 ? 1 + rand() % 512 : 1;
        sl__work w = sl__cost_with(&c, (sl__work){0}, i % 3 == 1 ? 0 : rand() % 3000, rows, 1, 1);
        sl__cost_learn(&c, &w, truth(2, 3, 4, &w) * noisy(0.1));
    }
    for (int rows = 1; rows <= 512; rows *= 8) {
        sl__work w = sl__cost_with(&c, (sl__work){0}, 60000, rows, 1, 1);
        near(&c, &w, truth(2, 3, 4, &w), 0.25);
    }
}
END_TEST

/* gpt-oss-20b: 24 layers of 64 heads of 64, every second with a window of 128; without one where no sequence is longer. */
START_TEST(a_known_model_has_its_shape) {
    static sl_model m;
    m.hp.layers = 24;
    sl_hparams_heads(&m.hp, 64, 8, 64);
    for (int i = 0; i < 24; i += 2) m.hp.window[i] = 128;
    sl__shape s = sl__shape_of(&m, 4096), near_by = sl__shape_of(&m, 128);
    ck_assert(s.attention == 12 * 2.0 * 64 * 64 && s.windowed == s.attention && s.window.positions == 128);
    ck_assert(near_by.attention == 2 * s.attention && near_by.windowed == 0 && near_by.window.positions == 0);
}
END_TEST

START_TEST(nonsense_changes_nothing_for_good) {
    sl__cost c;
    sl__cost_init(&c, &shape);
    sl__work none = {0}, w = chunk(100, 0);
    ck_assert_double_eq(sl__cost_seconds(&c, &none), 0);
    sl__cost_learn(&c, &none, 1);
    sl__cost_learn(&c, &w, 0);
    sl__cost_learn(&c, &w, -1);
    for (int i = 0; i < 200; i++) sl__cost_learn(&c, &w, i % 2 ? 1e-9 : 1e9);
    ck_assert(isfinite(sl__cost_seconds(&c, &w)) && sl__cost_seconds(&c, &w) > 0);
    for (int i = 0; i < 50; i++) sl__cost_learn(&c, &w, truth(1, 1, 1, &w));
    near(&c, &w, truth(1, 1, 1, &w), 0.1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine/cost");
    TCase *t = tcase_create("engine/cost");
    tcase_add_loop_test(t, what_was_seen_is_foreseen, 0, 20);
    tcase_add_test(t, what_is_not_seen_is_not_forgotten);
    tcase_add_test(t, cold_steps_are_forgotten);
    tcase_add_test(t, work_is_what_rows_see);
    tcase_add_test(t, long_sequences_are_foreseen_where_layers_have_a_window);
    tcase_add_test(t, a_known_model_has_its_shape);
    tcase_add_test(t, nonsense_changes_nothing_for_good);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The model of a step's cost, against machines whose prices are known. */
#include "engine/cost.h"

#include <math.h>

#include "../run.h"

static const sl__shape shape = {.dense = 0.3e9, .experts = 7e9, .used = 1.0 / 16, .output = 0.1e9, .attention = 1e5};

/* Seconds at prices so many times those that the model begins with. */
static double truth(double read, double multiply, double attend, const sl__work *w) {
    double touched = shape.experts * (1 - pow(1 - shape.used, w->rows));
    return read / 80e9 * (shape.dense + touched + (w->logits ? shape.output : 0)) +
           multiply / 450e9 * (w->rows * (shape.dense + shape.experts * shape.used) + w->logits * shape.output) +
           attend * 4 / 450e9 * shape.attention * w->positions;
}

static double noisy(double share) { return 1 + share * (rand() % 2001 - 1000) / 1000; }

static sl__work chunk(int rows, int from) { return (sl__work){rows, 1, rows * (from + (rows + 1) / 2.0)}; }

static sl__work decode(int rows, int at) { return (sl__work){rows, rows, (double)rows * at}; }

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
    tcase_add_test(t, nonsense_changes_nothing_for_good);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

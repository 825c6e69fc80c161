/* Rotary position embedding, against double precision. What scaling kinds do to whole models is held against the reference
 * implementation in reference.c. */
#include "forward/internal.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

enum { DIMS = 128, HALF = DIMS / 2 };

static sl_hparams hparams(sl_rope_scaling scaling) {
    return (sl_hparams){.rope_dims = DIMS, .rope_theta = 500000, .rope_scaling = scaling, .rope_factor = 8, .rope_low = 1,
                        .rope_high = 4, .rope_original = 8192, .rope_attention = 1};
}

static double plain(int j) { return pow(500000, -2.0 * j / DIMS); }

static bool near(double got, double want) { return fabs(got - want) <= 1e-6 * fabs(want); }

static void frequencies(sl_rope_scaling scaling, const float *divisors, float ret[HALF]) {
    sl_hparams hp = hparams(scaling);
    sl__rope_frequencies(&hp, divisors, 8192, ret);
    for (int j = 1; j < HALF; j++) ck_assert_msg(ret[j] > 0 && ret[j] < ret[j - 1], "pair %d turns faster than the one before", j);
}

START_TEST(plain_and_linear) {
    float f[HALF], scaled[HALF];
    frequencies(SL_ROPE_PLAIN, NULL, f);
    frequencies(SL_ROPE_LINEAR, NULL, scaled);
    ck_assert(f[0] == 1);
    for (int j = 0; j < HALF; j++) {
        ck_assert_msg(near((double)f[j], plain(j)), "pair %d: %.9g, should be %.9g", j, (double)f[j], plain(j));
        ck_assert(scaled[j] == f[j] / 8);
    }
}
END_TEST

/* Layers with a window: a base, a number of values and a factor of their own, whatever the others do. */
START_TEST(windows) {
    float f[HALF];
    for (int kind = SL_ROPE_PLAIN; kind <= SL_ROPE_YARN; kind++)
        for (int factor = 1; factor < 4; factor++) {
            sl_hparams hp = hparams((sl_rope_scaling)kind);
            hp.window_rope_theta = 10000, hp.window_rope_dims = 32, hp.window_rope_factor = (float)factor;
            sl__rope_window_frequencies(&hp, f);
            for (int j = 0; j < 16; j++) ck_assert(near((double)f[j], pow(10000, -2.0 * j / 32) / factor));
        }
}
END_TEST

/* Pairs that turn more than 4 times over the original context keep their frequency, those that turn less than once get an
 * eighth, those between a mixture. */
START_TEST(llama3) {
    float f[HALF];
    int kept = 0, slowed = 0;
    frequencies(SL_ROPE_LLAMA3, NULL, f);
    for (int j = 0; j < HALF; j++) {
        double turns = 8192 * plain(j) / (2 * M_PI), between = (turns - 1) / 3;
        double want = turns > 4 ? plain(j) : turns < 1 ? plain(j) / 8 : (1 - between) * plain(j) / 8 + between * plain(j);
        ck_assert_msg(near((double)f[j], want), "pair %d: %.9g, should be %.9g", j, (double)f[j], want);
        kept += turns > 4;
        slowed += turns < 1;
    }
    ck_assert(kept > 20 && slowed > 20 && kept + slowed < HALF); /* all three kinds occur */
}
END_TEST

/* Llama 4 Scout's bounds are equal, so that nothing is mixed: transformers makes of its rope_scaling (factor 16, both bounds 1, 8192
 * positions, base 500000, 128 values) 35 pairs that keep their frequency and 29 that get a sixteenth. */
START_TEST(llama3_one_bound) {
    float f[HALF];
    sl_hparams hp = hparams(SL_ROPE_LLAMA3);
    hp.rope_factor = 16, hp.rope_high = 1;
    sl__rope_frequencies(&hp, NULL, 8192, f);
    for (int j = 0; j < HALF; j++) {
        double want = j < 35 ? plain(j) : plain(j) / 16;
        ck_assert_msg(near((double)f[j], want), "pair %d: %.9g, should be %.9g", j, (double)f[j], want);
    }
}
END_TEST

/* As the first, but the mixture is linear in the pair's number between the two corners, which are rounded outward. */
START_TEST(yarn) {
    float f[HALF];
    double low = floor(HALF * log(8192 / (4 * 2 * M_PI)) / log(500000));
    double high = ceil(HALF * log(8192 / (1 * 2 * M_PI)) / log(500000));
    sl_hparams hp = hparams(SL_ROPE_YARN);
    hp.rope_truncate = true;
    sl__rope_frequencies(&hp, NULL, hp.rope_original, f);
    for (int j = 0; j < HALF; j++) {
        double slow = fmin(1, fmax(0, (j - low) / (high - low))), want = plain(j) / 8 * slow + plain(j) * (1 - slow);
        ck_assert_msg(near((double)f[j], want), "pair %d: %.9g, should be %.9g", j, (double)f[j], want);
    }
    ck_assert(low > 1 && high < HALF - 1);
}
END_TEST

/* Divisors of the file stand for whatever kind of scaling made them. */
START_TEST(divisors_replace_scaling) {
    float f[HALF], divided[HALF], divisor[HALF];
    for (int j = 0; j < HALF; j++) divisor[j] = 1 + (float)j / 7;
    frequencies(SL_ROPE_PLAIN, NULL, f);
    for (int kind = SL_ROPE_PLAIN; kind <= SL_ROPE_YARN; kind++) {
        frequencies((sl_rope_scaling)kind, divisor, divided);
        for (int j = 0; j < HALF; j++) ck_assert(divided[j] == f[j] / divisor[j]);
    }
}
END_TEST

/* The angle is the float product of position and frequency, as the reference has it. */
START_TEST(angles) {
    static const int positions[] = {0, 1, 31, 4095, 131071};
    sl_hparams hp = hparams(SL_ROPE_PLAIN);
    float f[HALF], cosines[HALF], sines[HALF];
    hp.rope_attention = 1.25f;
    sl__rope_frequencies(&hp, NULL, hp.rope_original, f);
    for (size_t p = 0; p < sizeof positions / sizeof positions[0]; p++) {
        sl__rope_angles(f, hp.rope_dims / 2, hp.rope_attention, positions[p], cosines, sines);
        for (int j = 0; j < HALF; j++) {
            double angle = (double)((float)positions[p] * f[j]);
            ck_assert(fabs((double)cosines[j] - 1.25 * cos(angle)) < 2e-7);
            ck_assert(fabs((double)sines[j] - 1.25 * sin(angle)) < 2e-7);
        }
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("rope");
    TCase *t = tcase_create("rope");
    tcase_add_test(t, plain_and_linear);
    tcase_add_test(t, windows);
    tcase_add_test(t, llama3);
    tcase_add_test(t, llama3_one_bound);
    tcase_add_test(t, yarn);
    tcase_add_test(t, divisors_replace_scaling);
    tcase_add_test(t, angles);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

#include "sampling/internal.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* Random123's known answers for philox4x32 with 10 rounds. */
START_TEST(known_answers) {
    static const struct { uint32_t counter[4], key[2], want[4]; } k[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof k / sizeof *k; i++) {
        uint32_t got[4];
        sl__philox(k[i].counter, k[i].key, got);
        ck_assert_int_eq(memcmp(got, k[i].want, sizeof got), 0);
    }
}
END_TEST

START_TEST(uniform_covers_the_unit_interval) {
    int count[64] = {0};
    for (uint64_t i = 0; i < 64000; i++) {
        double u = sl__uniform(7, i);
        ck_assert(u >= 0 && u < 1);
        count[(int)(u * 64)]++;
    }
    double chi = 0;
    for (int i = 0; i < 64; i++) chi += (count[i] - 1000.0) * (count[i] - 1000.0) / 1000.0;
    ck_assert_double_lt(chi, 63 + 4.5 * 11.3); /* 63 degrees of freedom, standard deviation sqrt(126) */
    ck_assert(sl__uniform(7, 0) != sl__uniform(8, 0));
    ck_assert(sl__uniform(7, 0) != sl__uniform(7, UINT64_C(1) << 32));
    ck_assert(sl__uniform(7, 0) != sl__uniform(7 + (UINT64_C(1) << 32), 0));
}
END_TEST

int main(void) {
    Suite *s = suite_create("philox");
    TCase *t = tcase_create("philox");
    tcase_add_test(t, known_answers);
    tcase_add_test(t, uniform_covers_the_unit_interval);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}

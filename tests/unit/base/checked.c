#include "base/checked.h"

#include "../run.h"

START_TEST(test_checked) {
    size_t r = 7;
    ck_assert(sl_add(SIZE_MAX - 1, 1, &r) && r == SIZE_MAX);
    ck_assert(!sl_add(SIZE_MAX, 1, &r));
    ck_assert(sl_mul(SIZE_MAX / 2, 2, &r) && r == SIZE_MAX - 1);
    ck_assert(!sl_mul(SIZE_MAX / 2 + 1, 2, &r));
    ck_assert(sl_within(10, 0, 10) && sl_within(0, 10, 10) && sl_within(3, 7, 10));
    ck_assert(!sl_within(11, 0, 10) && !sl_within(3, 8, 10) && !sl_within(UINT64_MAX, UINT64_MAX, 10));
    ck_assert(!sl_within(5, UINT64_MAX - 2, 10));
    ck_assert(sl_align_up(65, 64, &r) && r == 128);
    ck_assert(sl_align_up(0, 64, &r) && r == 0);
    ck_assert(!sl_align_up(SIZE_MAX - 62, 64, &r));
}
END_TEST

int main(void) {
    return RUN_TESTS("base/checked", 30, test_checked);
}

#include "base/clock.h"

#include <time.h>
#include <unistd.h>

#include "../run.h"

START_TEST(test_clock) {
    uint64_t a = sl_clock_ns();
    usleep(2000);
    uint64_t b = sl_clock_ns();
    ck_assert_uint_ge(b - a, 2000000);
    ck_assert_uint_lt(b - a, 10 * SL_SECOND);
    ck_assert_int_le(llabs((long long)sl_clock_unix() - (long long)time(NULL)), 1);
}
END_TEST

int main(void) {
    return RUN_TESTS("base/clock", 30, test_clock);
}

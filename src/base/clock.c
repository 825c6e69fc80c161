/* clock.c */
#include "base/clock.h"

#include <time.h>

uint64_t sl_clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SL_SECOND + (uint64_t)t.tv_nsec;
}

int64_t sl_clock_unix(void) { return (int64_t)time(NULL); }

/* How long the loop is held: a library for LD_PRELOAD that stands between libuv and epoll, and measures the time from one
 * wait's return to the next wait, by the clock and by the thread's processor time (which leaves out what other programs took).
 *
 *   cc -shared -fPIC -O2 -o held.so tests/bench/loop_held.c -ldl && LOOP_HELD=FILE LD_PRELOAD=./held.so sluice serve …
 *
 * At exit FILE gets one line: turns, and the longest by the clock and by processor time, microseconds; then how many turns took
 * at least 100, 200, 500, 1,000, 2,000 and 5,000 microseconds of processor time. SIGUSR2 starts counting anew. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

static const int limits[] = {100, 200, 500, 1000, 2000, 5000};
#define LIMITS (sizeof limits / sizeof *limits)

static int out = -1, loop = -1;
static __thread uint64_t clock_then, spent_then; /* of the last return; 0: not yet */
static uint64_t turns, longest, most_spent, over[LIMITS];
static volatile sig_atomic_t anew;

static uint64_t now(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void on_signal(int number) {
    (void)number;
    anew = 1;
}

__attribute__((constructor)) static void begin(void) {
    const char *file = getenv("LOOP_HELD");
    if (file) out = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644); /* now: later the sandbox forbids it */
    signal(SIGUSR2, on_signal);
}

__attribute__((destructor)) static void end(void) {
    char line[256];
    int n = snprintf(line, sizeof line, "%lu %lu %lu", turns, longest / 1000, most_spent / 1000);
    for (size_t i = 0; i < LIMITS; i++) n += snprintf(line + n, sizeof line - (size_t)n, " %lu", over[i]);
    line[n++] = '\n';
    if (out >= 0 && write(out, line, (size_t)n) != n) abort();
}

/* Only libuv waits with a time or for ever; libmicrohttpd looks at its own descriptor without waiting. */
static void before(int fd, int timeout) {
    if (loop < 0 && timeout != 0) loop = fd;
    if (fd != loop || !clock_then) return;
    if (anew) {
        turns = longest = most_spent = 0;
        memset(over, 0, sizeof over);
        anew = 0;
        return;
    }
    uint64_t took = now(CLOCK_MONOTONIC) - clock_then, spent = now(CLOCK_THREAD_CPUTIME_ID) - spent_then;
    turns++;
    if (took > longest) longest = took;
    if (spent > most_spent) most_spent = spent;
    for (size_t i = 0; i < LIMITS; i++) over[i] += spent >= (uint64_t)limits[i] * 1000;
}

static void after(int fd) {
    if (fd != loop) return;
    clock_then = now(CLOCK_MONOTONIC);
    spent_then = now(CLOCK_THREAD_CPUTIME_ID);
}

int epoll_wait(int fd, struct epoll_event *events, int most, int timeout) {
    static int (*next)(int, struct epoll_event *, int, int);
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "epoll_wait");
    before(fd, timeout);
    int n = next(fd, events, most, timeout);
    after(fd);
    return n;
}

int epoll_pwait(int fd, struct epoll_event *events, int most, int timeout, const sigset_t *mask) {
    static int (*next)(int, struct epoll_event *, int, int, const sigset_t *);
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "epoll_pwait");
    before(fd, timeout);
    int n = next(fd, events, most, timeout, mask);
    after(fd);
    return n;
}

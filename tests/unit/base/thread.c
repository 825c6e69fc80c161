#include "base/thread.h"

#include <signal.h>

#include "../run.h"

static sigset_t seen;

static void *look(void *arg) {
    pthread_sigmask(SIG_SETMASK, NULL, &seen);
    return arg;
}

START_TEST(signals_are_blocked_but_faults_are_not) {
    pthread_t id;
    int x;
    void *ret = NULL;
    sigset_t before, after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    ck_assert(sl_thread_start(&id, look, &x));
    pthread_join(id, &ret);
    ck_assert_ptr_eq(ret, &x);
    ck_assert(sigismember(&seen, SIGTERM) && sigismember(&seen, SIGINT) && sigismember(&seen, SIGHUP));
    ck_assert(!sigismember(&seen, SIGBUS) && !sigismember(&seen, SIGSEGV) && !sigismember(&seen, SIGFPE));
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    ck_assert_int_eq(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
}
END_TEST

int main(void) { return RUN_TESTS("base/thread", 10, signals_are_blocked_but_faults_are_not); }

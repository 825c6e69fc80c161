#include "base/thread.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

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

static void *as_engine(void *arg) {
    (void)arg;
    sl_thread_is(SL_THREAD_ENGINE);
    sl_thread_check(SL_THREAD_ENGINE, "its own");
    return NULL;
}

START_TEST(a_wrong_thread_aborts) {
    pthread_t id;
    int status;
    sl_thread_check(SL_THREAD_LOOP, "a thread without a role may call everything");
    ck_assert(sl_thread_start(&id, as_engine, NULL));
    pthread_join(id, NULL);
    pid_t child = fork();
    if (child == 0) {
        if (!freopen("/dev/null", "w", stderr)) _exit(1);
        sl_thread_is(SL_THREAD_ENGINE);
        sl_thread_check(SL_THREAD_LOOP, "the loop's");
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
END_TEST

int main(void) { return RUN_TESTS("base/thread", 10, signals_are_blocked_but_faults_are_not, a_wrong_thread_aborts); }

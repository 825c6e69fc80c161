#include "base/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

static _Thread_local sl_thread_role own_role;

void sl_thread_is(sl_thread_role role) { own_role = role; }

void sl_thread_check(sl_thread_role role, const char *function) {
    static const char *const names[] = {"any", "loop", "text", "engine", "worker"};
    if (own_role == SL_THREAD_ANY || own_role == role) return;
    fprintf(stderr, "%s is called on the %s thread; it belongs to the %s thread\n", function, names[own_role], names[role]);
    abort();
}

bool sl_thread_start(pthread_t *ret, void *(*main)(void *), void *arg) {
    static const int faults[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    sigset_t blocked, before;
    sigfillset(&blocked);
    for (unsigned i = 0; i < sizeof faults / sizeof faults[0]; i++) sigdelset(&blocked, faults[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    int error = pthread_create(ret, NULL, main, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error == 0;
}

void sl_thread_nicer(int steps) {
    if (steps <= 0) return;
    errno = 0;
    int now = getpriority(PRIO_PROCESS, 0); /* of this thread alone: on Linux each has its own */
    if (!errno) setpriority(PRIO_PROCESS, 0, now + steps > 19 ? 19 : now + steps);
}

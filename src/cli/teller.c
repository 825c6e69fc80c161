#include "cli/teller.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

static void wait_for(sem_t *s) {
    while (sem_wait(s) && errno == EINTR) {}
}

/* Engine thread. */
static void wake(void *arg) {
    sl_teller *t = arg;
    sem_post(&t->news);
    wait_for(&t->heard);
}

void sl_teller_init(sl_teller *t, sl_engine_config *c) {
    sem_init(&t->news, 0, 0);
    sem_init(&t->heard, 0, 1);
    atomic_init(&t->interrupted, 0);
    c->max_sequences = 1;
    c->queue = 1;
    c->token_gap_ms = 500;
    c->wake = wake;
    c->wake_arg = t;
}

void sl_teller_done(sl_teller *t) {
    sem_destroy(&t->news);
    sem_destroy(&t->heard);
}

sl_request_spec sl_teller_spec(const sl_settings *s) {
    return (sl_request_spec){.prompts = 1,
                             .n = 1,
                             .sampling = {.temperature = (float)s->temperature,
                                          .top_p = (float)s->top_p,
                                          .min_p = (float)s->min_p,
                                          .top_k = (int32_t)s->top_k,
                                          .repetition = 1,
                                          .seed = (uint64_t)s->seed,
                                          .logprobs = -1},
                             .skip_special = true,
                             .prompt_logprobs = -1,
                             .stream = true};
}

/* Was this post an interruption's? Posts are alike: as many are the engine's as it made. */
static bool take_interruption(sl_teller *t) {
    if (atomic_load(&t->interrupted) == 0) return false;
    atomic_fetch_sub(&t->interrupted, 1);
    return true;
}

void sl_teller_follow(sl_teller *t, sl_engine *g, sl_request *r, void (*take)(void *arg, sl_request *r, const sl_event *ev), void *arg) {
    while (!sl_request_over(r)) {
        sl_event ev;
        wait_for(&t->news);
        if (take_interruption(t)) {
            sl_request_cancel(r, SL_CANCEL_CLIENT);
            continue;
        }
        sl_engine_take_ready(g);
        while (sl_request_next(r, &ev)) take(arg, r, &ev);
        sem_post(&t->heard);
    }
}

void sl_teller_interrupt(sl_teller *t) {
    atomic_fetch_add(&t->interrupted, 1);
    sem_post(&t->news);
}

void sl_teller_forget(sl_teller *t) {
    while (take_interruption(t)) sem_trywait(&t->news);
}

int sl_put_out(const char *data, size_t len) {
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, data, len);
        if (n < 0 && errno == EAGAIN) poll(&(struct pollfd){.fd = STDOUT_FILENO, .events = POLLOUT}, 1, -1);
        else if (n < 0 && errno != EINTR) return errno;
        if (n <= 0) continue;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

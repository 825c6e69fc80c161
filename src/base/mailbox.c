/* mailbox.c: a list under a mutex; the condition variable is for a taker without a `wake`. */
#include "base/mailbox.h"
#include "base/alloc.h"
#include "base/clock.h"

#include <assert.h>
#include <pthread.h>
#include <time.h>

struct sl_mailbox {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    void (*wake)(void *);
    void *wake_arg;
    sl_mail *head, **tail;
    int count, capacity;
    bool poked, closed;
};

sl_mailbox *sl_mailbox_new(int capacity, void (*wake)(void *), void *wake_arg) {
    sl_mailbox *b = sl_calloc(1, sizeof *b);
    if (!b) return NULL;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&b->changed, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&b->lock, NULL);
    b->tail = &b->head;
    b->capacity = capacity;
    b->wake = wake;
    b->wake_arg = wake_arg;
    return b;
}

sl_mailbox *sl_mailbox_free(sl_mailbox *b) {
    if (!b) return NULL;
    assert(!b->head);
    pthread_cond_destroy(&b->changed);
    pthread_mutex_destroy(&b->lock);
    sl_free(b);
    return NULL;
}

sl_status sl_mailbox_put(sl_mailbox *b, sl_mail *m) {
    sl_status status = SL_OK;
    bool first = false;
    pthread_mutex_lock(&b->lock);
    if (b->closed) {
        status = SL_CANCELLED;
    } else if (b->capacity && b->count >= b->capacity) {
        status = SL_FULL;
    } else {
        first = !b->head;
        m->next = NULL;
        *b->tail = m;
        b->tail = &m->next;
        b->count++;
        if (first) pthread_cond_signal(&b->changed);
    }
    pthread_mutex_unlock(&b->lock);
    if (first && b->wake) b->wake(b->wake_arg);
    return status;
}

/* With the lock held. */
static sl_mail *take_all(sl_mailbox *b) {
    sl_mail *all = b->head;
    b->head = NULL;
    b->tail = &b->head;
    b->count = 0;
    return all;
}

sl_mail *sl_mailbox_take(sl_mailbox *b) {
    pthread_mutex_lock(&b->lock);
    sl_mail *all = take_all(b);
    pthread_mutex_unlock(&b->lock);
    return all;
}

sl_mail *sl_mailbox_wait(sl_mailbox *b, uint64_t timeout_ns) {
    uint64_t now = timeout_ns && timeout_ns != UINT64_MAX ? sl_clock_ns() : 0;
    uint64_t until = timeout_ns > UINT64_MAX - now ? UINT64_MAX : now + timeout_ns;
    struct timespec deadline = {(time_t)(until / SL_SECOND), (long)(until % SL_SECOND)};
    pthread_mutex_lock(&b->lock);
    int over = !timeout_ns;
    while (!b->head && !b->poked && !b->closed && !over)
        over = timeout_ns == UINT64_MAX ? pthread_cond_wait(&b->changed, &b->lock)
                                        : pthread_cond_timedwait(&b->changed, &b->lock, &deadline);
    b->poked = false;
    sl_mail *all = take_all(b);
    pthread_mutex_unlock(&b->lock);
    return all;
}

void sl_mailbox_poke(sl_mailbox *b) {
    pthread_mutex_lock(&b->lock);
    b->poked = true;
    pthread_cond_signal(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

void sl_mailbox_close(sl_mailbox *b) {
    pthread_mutex_lock(&b->lock);
    b->closed = true;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

int sl_mailbox_count(sl_mailbox *b) {
    pthread_mutex_lock(&b->lock);
    int count = b->count;
    pthread_mutex_unlock(&b->lock);
    return count;
}

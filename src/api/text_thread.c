#include "api/internal.h"

#include "base/clock.h"
#include "base/thread.h"

/* The text thread does what would stall the loop: large JSON bodies, long prompts.
 *
 * A job is due when it was handed over, plus a microsecond for each of its bytes (about what tokenising one costs); the one
 * that is due first comes next. So a short text passes long ones that came shortly before it, and a long one is passed only
 * for as long as it takes by itself. A job that is due earlier also interrupts: one that tokenises calls sl__text_pause now
 * and then, which runs such jobs inside it, one level deep. */

#define DUE_PER_BYTE 1000 /* ns */

static sl__job *next_of(const sl__job *job) { return (sl__job *)(void *)job->mail.next; }

/* Mail into the queue, which is sorted: the earliest due first. */
static void sort_in(sl_api *a, sl_mail *m) {
    for (sl_mail *next; m; m = next) {
        next = m->next;
        sl__job *job = (sl__job *)(void *)m, *before = NULL;
        for (sl__job *j = a->text_queue; j && j->due <= job->due; j = next_of(j)) before = j;
        if (before) {
            m->next = before->mail.next;
            before->mail.next = m;
        } else {
            m->next = a->text_queue ? &a->text_queue->mail : NULL;
            a->text_queue = job;
        }
    }
}

static void run_first(sl_api *a) {
    sl__job *job = a->text_queue, *outer = a->text_job;
    a->text_queue = next_of(job);
    a->text_job = job;
    if (!atomic_load(&job->cancelled)) job->run(job);
    a->text_job = outer;
    sl_mailbox_put(a->back, &job->mail); /* has no capacity: always taken; from now on the loop may free the job */
}

bool sl__text_pause(void *api) {
    sl_api *a = api;
    SL_ON_THREAD(TEXT);
    sl__job *job = a->text_job;
    if (!a->text_nested) {
        sort_in(a, sl_mailbox_take(a->jobs));
        a->text_nested = true;
        while (a->text_queue && a->text_queue->due < job->due) run_first(a);
        a->text_nested = false;
    }
    return !atomic_load(&job->cancelled);
}

static void *text_main(void *arg) {
    sl_api *a = arg;
    pthread_setname_np(pthread_self(), "sl-text");
    sl_thread_is(SL_THREAD_TEXT);
    for (;;) {
        sort_in(a, a->text_queue ? sl_mailbox_take(a->jobs) : sl_mailbox_wait(a->jobs, UINT64_MAX));
        if (a->text_queue) run_first(a);
        else if (atomic_load(&a->text_stop)) return NULL;
    }
}

static void wake(void *api) { sl__wake(api); }

sl_status sl__text_start(sl_api *a, sl_error *e) {
    a->jobs = sl_mailbox_new(SL_TEXT_QUEUE, NULL, NULL);
    a->back = sl_mailbox_new(0, wake, a);
    if (!a->jobs || !a->back) return sl_fail(e, SL_NOMEM, "out of memory");
    if (!sl_thread_start(&a->text, text_main, a)) return sl_fail(e, SL_IO, "no thread for text could be started");
    a->text_runs = true;
    return SL_OK;
}

void sl__text_stop(sl_api *a) {
    if (a->text_runs) {
        atomic_store(&a->text_stop, true);
        sl_mailbox_poke(a->jobs);
        pthread_join(a->text, NULL);
        a->text_runs = false;
    }
    sl__text_collect(a);
    a->jobs = a->jobs ? sl_mailbox_free(a->jobs) : NULL;
    a->back = a->back ? sl_mailbox_free(a->back) : NULL;
}

sl_status sl__text_submit(sl_api *a, sl__job *job, sl_error *e) {
    SL_ON_THREAD(LOOP);
    size_t most = sl__api_bounds(a).texts;
    bool room = a->text_bytes == 0 || (a->text_bytes < most && job->bytes <= most - a->text_bytes);
    job->due = sl_clock_ns() + (uint64_t)job->bytes * DUE_PER_BYTE;
    if (!room || a->text_jobs == SL_TEXT_QUEUE || sl_mailbox_put(a->jobs, &job->mail) != SL_OK) {
        sl_metrics_add(a->config.metrics, SL_METRIC_REJECTED, SL_REJECT_QUEUE_FULL, 1);
        return sl_fail(e, SL_FULL, "too many long texts are waiting");
    }
    job->before = NULL;
    job->after = a->text_out;
    if (job->after) job->after->before = job;
    a->text_out = job;
    a->text_jobs++;
    a->text_bytes += job->bytes;
    return SL_OK;
}

void sl__text_collect(sl_api *a) {
    SL_ON_THREAD(LOOP);
    for (sl_mail *m = a->back ? sl_mailbox_take(a->back) : NULL, *next; m; m = next) {
        next = m->next;
        sl__job *job = (sl__job *)(void *)m;
        if (job->after) job->after->before = job->before;
        if (job->before) job->before->after = job->after;
        else a->text_out = job->after;
        a->text_jobs--;
        a->text_bytes -= job->bytes;
        job->back(job);
    }
}

void sl__text_give_up(sl_api *a) {
    SL_ON_THREAD(LOOP);
    for (sl__job *job = a->text_out; job; job = job->after) job->give_up(job);
}

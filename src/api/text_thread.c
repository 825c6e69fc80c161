#include "api/internal.h"

#include "base/thread.h"

/* The text thread does what would stall the loop: large JSON bodies, long prompts. One job at a time, in order. */

static void *text_main(void *arg) {
    sl_api *a = arg;
    pthread_setname_np(pthread_self(), "sl-text");
    sl_thread_is(SL_THREAD_TEXT);
    for (;;) {
        sl_mail *m = sl_mailbox_wait(a->jobs, UINT64_MAX);
        if (!m && atomic_load(&a->text_stop)) return NULL;
        for (sl_mail *next; m; m = next) {
            next = m->next;
            sl__job *job = (sl__job *)m;
            if (!atomic_load(&job->cancelled)) job->run(job);
            sl_mailbox_put(a->back, m); /* unbounded: always taken */
        }
    }
}

sl_status sl__text_start(sl_api *a, sl_error *e) {
    a->jobs = sl_mailbox_new(SL_TEXT_QUEUE, NULL, NULL);
    a->back = sl_mailbox_new(0, sl_api_wake, a);
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
    if (a->back) sl__text_collect(a);
    a->jobs = a->jobs ? sl_mailbox_free(a->jobs) : NULL;
    a->back = a->back ? sl_mailbox_free(a->back) : NULL;
}

sl_status sl__text_submit(sl_api *a, sl__job *job, sl_error *e) {
    SL_ON_THREAD(LOOP);
    bool room = a->text_bytes == 0 || (a->text_bytes < SL_TEXT_BYTES && job->bytes <= SL_TEXT_BYTES - a->text_bytes);
    if (!room || sl_mailbox_put(a->jobs, &job->mail) != SL_OK) {
        sl_metrics_add(a->config.metrics, SL_METRIC_REJECTED, SL_REJECT_QUEUE_FULL, 1);
        return sl_fail(e, SL_FULL, "too many long texts are waiting");
    }
    a->text_bytes += job->bytes;
    return SL_OK;
}

void sl__text_collect(sl_api *a) {
    for (sl_mail *m = sl_mailbox_take(a->back), *next; m; m = next) {
        next = m->next;
        sl__job *job = (sl__job *)m;
        a->text_bytes -= job->bytes;
        job->back(job);
    }
}

/* internal.h: what the files of api/ share.
 * Loop thread unless a line says text thread. */
#ifndef SL_API_INTERNAL_H
#define SL_API_INTERNAL_H

#include "chat/chat.h"
#include "api/config.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/mailbox.h"
#include "engine/engine.h"
#include "http/http.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#define SL_MAX_NAMES 16
#define SL_INLINE_BODY 32768 /* bytes of a body that the loop parses itself */
#define SL_INLINE_TEXT 4096  /* bytes of prompt that the loop tokenises itself */
#define SL_ONE_PIECE 65536   /* bytes of an answer that is put together before it is sent, and has a Content-Length */
#define SL_TEXT_QUEUE 256    /* jobs that the text thread may have */

/* Work for the text thread; comes back to the loop. A job belongs to the text thread from its submission until it is back. */
typedef struct sl__job {
    sl_mail mail;                         /* first: the job is the mail */
    uint64_t due;                         /* sl_clock_ns; the job that is due first comes next */
    void (*run)(struct sl__job *job);     /* text thread */
    void (*back)(struct sl__job *job);    /* loop */
    void (*give_up)(struct sl__job *job); /* loop: the server stops; tells the client so, `back` comes all the same */
    size_t bytes;                         /* of its body */
    atomic_bool cancelled;                /* nobody waits for it any more: run is skipped, or stops soon */
    struct sl__job *before, *after;       /* loop: in the list of those that are not back */
} sl__job;

typedef struct sl_api sl_api;
typedef struct sl__serving sl__serving;

struct sl_api {
    sl_api_config config;
    uv_loop_t *loop;
    sl_engine *engine; /* NULL until sl_api_start */
    const char *doing; /* until then: what the server does, see sl_api_loading */
    sl_chat chat;     /* const from sl_api_start on; the text thread reads it */
    int ctx;           /* positions of the longest sequence; the text thread reads it too */
    uv_async_t news;   /* the engine or the text thread has something */
    uv_timer_t tick;   /* once a second: pings, deadlines */
    int handles;       /* not yet closed */
    void (*closed)(void *);
    void *closed_arg;
    bool leaving, draining; /* not ready any more; new work is refused too */
    char *names; /* model_names, commas replaced by NULs */
    const char *name[SL_MAX_NAMES];
    int name_count;
    int64_t created;
    pthread_t text;
    bool text_runs;
    atomic_bool text_stop;
    sl_mailbox *jobs; /* loop → text thread */
    sl_mailbox *back; /* text thread → loop */
    sl__job *text_out; /* loop: the jobs that are not back */
    int text_jobs;     /* of them */
    size_t text_bytes; /* likewise */
    sl__job *text_queue, *text_job; /* text thread: what waits, due first; what runs */
    bool text_nested;               /* text thread: it runs inside another */
    int live;
    int preparing;       /* servings that the text thread has: they will want a place in the queue */
    size_t answer_bytes; /* of answers that are put together and of prompts that are kept */
    sl__serving *servings; /* doubly linked, all that are not freed */
    sl__serving *unread;    /* linked by next_unread: their requests may have more events */
};

/* The engine, the text thread or the loop itself has something for the next turn of the loop. Any thread. */
static inline void sl__wake(sl_api *a) { uv_async_send(&a->news); }

/* bounds.c: what the API may take of memory, from config.memory. */
sl_api_plan sl__api_bounds(const sl_api *a);
/* A body as a document of bounded size; SL_TOO_LARGE beyond. */
sl_status sl__body_parse(const sl_api *a, const char *body, size_t len, sl_json *ret, sl_error *e);
/* answer_bytes went over its bound with an answer that takes `bytes`: SL_TOO_MUCH if that is too large by itself, else SL_FULL,
 * counted as rejected. */
sl_status sl__answer_crowded(const sl_api *a, size_t bytes, sl_error *e);

/* text_thread.c */
sl_status sl__text_start(sl_api *a, sl_error *e);
void sl__text_stop(sl_api *a);
sl_status sl__text_submit(sl_api *a, sl__job *job, sl_error *e); /* SL_FULL: refuse with 429; counted as rejected */
void sl__text_collect(sl_api *a); /* before sl__text_start there is nothing */
void sl__text_give_up(sl_api *a); /* all that are not back */
bool sl__text_pause(void *api); /* text thread, from inside a long job: lets shorter ones pass; false: its client is gone */

/* models.c */
sl_status sl__names_take(sl_api *a, sl_error *e); /* config.model_names into a->name */
const char *sl__model_name(const sl_api *a);      /* under which the model is served */
bool sl__model_known(const sl_api *a, const char *name); /* NULL and "" mean the served one */

/* reply.c */
/* Answers with the error: status by its code; counts the rejection. */
int sl__refuse(sl_api *a, sl_http_exchange *x, const sl_error *err); /* returns the status */
/* With Retry-After where trying again may help, x-should-retry where it does not. */
void sl__reply_error(const sl_api *a, sl_http_exchange *x, int status, const char *param, const char *code, const char *message);
void sl__reply_json(sl_http_exchange *x, int status, sl_buffer *body);

bool sl__ready(const sl_api *a); /* health.c: new work is welcome */

#endif

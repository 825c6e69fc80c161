/* internal.h: what the files of api/ share.
 * Loop thread unless a line says text thread. */
#ifndef SL_API_INTERNAL_H
#define SL_API_INTERNAL_H

#include "api/api.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/mailbox.h"

#include <pthread.h>
#include <stdatomic.h>

#define SL_MAX_NAMES 16
#define SL_INLINE_BODY 32768 /* bytes of a body that the loop parses itself */
#define SL_INLINE_TEXT 4096  /* bytes of prompt that the loop tokenises itself */
#define SL_SLICE 16384       /* bytes of an answer that are written at once, more or less */
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

typedef struct sl__completion sl__completion;

struct sl_api {
    sl_api_config config;
    uv_loop_t *loop;
    sl_engine *engine; /* NULL until sl_api_start */
    const char *doing; /* until then: what the server does, see sl_api_loading */
    int ctx;           /* positions of the longest sequence; the text thread reads it too */
    uv_async_t news;   /* the engine or the text thread has something */
    uv_timer_t tick;   /* once a second: pings, deadlines */
    int handles;       /* not yet closed */
    void (*closed)(void *);
    void *closed_arg;
    bool draining;
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
    int preparing;       /* completions that the text thread has: they will want a place in the queue */
    size_t answer_bytes; /* of answers that are put together and of prompts that are kept */
    sl__completion *completions; /* doubly linked, all that are not freed */
    sl__completion *unread;      /* linked by next_unread: their requests may have more events */
};

/* The engine, the text thread or the loop itself has something for the next turn of the loop. Any thread. */
static inline void sl__wake(sl_api *a) { uv_async_send(&a->news); }

/* reply.c: the bounds of the API's memory, from config.memory. */
sl_api_plan sl__api_bounds(const sl_api *a);

/* text_thread.c */
sl_status sl__text_start(sl_api *a, sl_error *e);
void sl__text_stop(sl_api *a);
sl_status sl__text_submit(sl_api *a, sl__job *job, sl_error *e); /* SL_FULL: refuse with 429; counted as rejected */
void sl__text_collect(sl_api *a);
void sl__text_give_up(sl_api *a); /* all that are not back */
bool sl__text_pause(void *api); /* text thread, from inside a long job: lets shorter ones pass; false: its client is gone */

/* A body as a document of bounded size; SL_TOO_LARGE beyond. */
sl_status sl__body_parse(const sl_api *a, const char *body, size_t len, sl_json *ret, sl_error *e);

/* handlers */
void sl__completions_post(void *api, sl_http_exchange *x);
void sl__models_list(void *api, sl_http_exchange *x);
void sl__models_get(void *api, sl_http_exchange *x);
void sl__tokenize_post(void *api, sl_http_exchange *x);
void sl__detokenize_post(void *api, sl_http_exchange *x);
void sl__livez_get(void *api, sl_http_exchange *x);
void sl__readyz_get(void *api, sl_http_exchange *x);
void sl__health_get(void *api, sl_http_exchange *x);
void sl__version_get(void *api, sl_http_exchange *x);
void sl__tokenizer_info_get(void *api, sl_http_exchange *x);
void sl__metrics_get(void *api, sl_http_exchange *x);
void sl__metrics_experts_get(void *api, sl_http_exchange *x);

/* logprobs.c: a token's bytes as a JSON string. What is no UTF-8 is spelled as OpenAI's completions spell it, bytes:\xf0\x9f,
 * so that two byte tokens never look the same. */
void sl__put_piece_name(const sl_buffer *piece, sl_buffer *out);

/* answer.c: the next slice of a text inside a JSON string, from *at on; false: that was the last. */
bool sl__put_slice(const char *text, size_t len, size_t *at, sl_buffer *out);

/* completions.c */
void sl__completions_news(sl_api *a);
void sl__completions_tick(sl_api *a);
/* While the server drains: the engine refuses requests from when the text thread has none left that was accepted before. */
void sl__completions_drain(sl_api *a);
void sl__completions_cancel(sl_api *a);

/* models.c */
sl_status sl__names_take(sl_api *a, sl_error *e); /* config.model_names into a->name */

/* reply.c */
/* Answers with the error: status by its code; counts the rejection. */
int sl__refuse(sl_api *a, sl_http_exchange *x, const sl_error *err); /* returns the status */
/* With Retry-After where trying again may help, x-should-retry where it does not. */
void sl__reply_error(const sl_api *a, sl_http_exchange *x, int status, const char *param, const char *code, const char *message);
/* answer_bytes went over its bound with an answer that takes `bytes`: SL_TOO_MUCH if that is too large by itself, else SL_FULL,
 * counted as rejected. */
sl_status sl__answer_crowded(const sl_api *a, size_t bytes, sl_error *e);
bool sl__model_known(const sl_api *a, const char *name); /* NULL and "" mean the served one */
void sl__reply_json(sl_http_exchange *x, int status, sl_buffer *body);

#endif

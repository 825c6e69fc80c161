/* server.h: what the files of `sluice serve` share: the server with all its parts.
 * The main thread, which is the loop's, save what a line says otherwise. serve.c starts it, confine.c limits it, drain.c ends it,
 * announce.c says what it is. */
#ifndef SL_CLI_SERVER_H
#define SL_CLI_SERVER_H

#include "cli/chat_template.h"
#include "cli/load.h"
#include "cli/options.h"
#include "cli/plan.h"
#include "process/notify.h"
#include "process/sockets.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <uv.h>

/* In their order; drain.c has the diagram. */
typedef enum sl__state {
    SL__LOADING,
    SL__SERVING,
    SL__RETIRING,
    SL__DRAINING,
    SL__CANCELLING,
    SL__LEAVING,
    SL__CLOSING,
} sl__state;

#define SL__KEY_FOLDERS 4 /* two key files: as they are named, and where they are */

/* What the process may still do; confine.c. */
typedef struct sl__confinement {
    const char *folder[SL__KEY_FOLDERS]; /* [folders] of the key files: what is in them may be read */
    int folders;
    sl_error files, calls; /* why that part is not limited; code SL_OK: it is, unless the whole is off */
} sl__confinement;

typedef struct sl__server {
    sl_settings *s;
    sl__state state;
    uint64_t started; /* ns, as `since` */
    uint64_t since;   /* when the state began */
    int status;       /* of the process */
    bool signalled;   /* a signal asked it to end; otherwise it stays when it has drained */
    bool hurry;       /* a second signal came */
    sl_notify notify;
    sl_sockets sockets; /* of the service manager, if it passed some */
    /* The loader's until it is joined. */
    sl_loaded loaded;
    sl_chat_source chat;
    sl_plan plan;
    sl_metrics *metrics;
    sl_engine *engine;
    sl_error error; /* of the load; code SL_OK: none */
    /* Between the two. */
    pthread_t loader;
    uv_async_t news;
    _Atomic(const char *) doing; /* the loader's step; NULL: it has ended */
    atomic_bool stop;            /* the loader shall not begin another step */
    sem_t go;                    /* the loader may begin */
    /* The loop's. */
    uv_loop_t loop;
    sl_api *api;
    sl_http *http;
    sl__confinement confinement;
    bool has_loader, http_closed;
    bool broken; /* the model's file cannot be read any more */
    uv_signal_t term, interrupt, hangup;
    uv_timer_t tick, watchdog;
} sl__server;

/* announce.c: the start-up lines. */
void sl__announce_listening(const sl__server *v); /* the sockets are open, the model is not */
void sl__announce_ready(const sl__server *v);

/* drain.c */
void sl__drain_watch(sl__server *v);          /* signals, from now on */
bool sl__drain_on_request(void *server);      /* POST /drain; is new work still taken? */
void sl__drain_close(sl__server *v);          /* at once: nothing was served yet, or nothing can be */
void sl__drain_enter(sl__server *v, sl__state to);
void sl__drain_broken(sl__server *v); /* nothing that runs can be served to its end: it is told so, and the process ends */

/* confine.c: in this order */
void sl__confine_loop(sl__server *v);          /* before any thread but the loader is started */
void sl__confine_loader(const sl__server *v);  /* loader: first */
void sl__confine_loaded(const sl__server *v);  /* loader: before it starts threads */
void sl__confine_serving(sl__server *v);       /* after the last thread is started */
void sl__confine_say(const sl__server *v, sl_buffer *out); /* the start-up line */

#endif

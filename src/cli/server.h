/* server.h: what the files of `sluice serve` share: the server with all its parts.
 * The main thread, which is the loop's, save what a line says otherwise. serve.c starts it, drain.c ends it, announce.c says what
 * it is. */
#ifndef SL_CLI_SERVER_H
#define SL_CLI_SERVER_H

#include "cli/chat_template.h"
#include "cli/load.h"
#include "cli/options.h"
#include "cli/plan.h"
#include "process/notify.h"
#include "process/sockets.h"

#include <pthread.h>
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
    /* The loop's. */
    uv_loop_t loop;
    sl_api *api;
    sl_http *http;
    bool has_loader, http_closed;
    uv_signal_t term, interrupt, hangup;
    uv_timer_t tick, watchdog;
} sl__server;

/* announce.c: the start-up lines. */
void sl__announce_listening(const sl__server *v); /* the sockets are open, the model is not */
void sl__announce_ready(const sl__server *v);

/* drain.c */
void sl__drain_watch(sl__server *v);          /* signals, from now on */
void sl__drain_on_request(void *server);      /* POST /drain */
void sl__drain_close(sl__server *v);          /* at once: nothing was served yet, or nothing can be */
void sl__drain_enter(sl__server *v, sl__state to);

#endif

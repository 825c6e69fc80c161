/* internal.h: what the files of the front end share.
 * Loop thread only.
 *
 * Who owns what
 *   sl_http         one or two listeners, the connections, the lists below; sl_http_close ends it.
 *   sl__listener    a libmicrohttpd daemon, its epoll descriptor watched by the loop.
 *   sl__connection  from libmicrohttpd's STARTED to its CLOSED (and until its watch is closed).
 *   exchange        from the request line to libmicrohttpd's COMPLETED, then on the ended list until told to the api.
 *
 * Two rules keep libmicrohttpd's callbacks simple:
 *   1. Nothing resumes a connection at once: it goes on the resume list, and the kick (an idle handle, next in the loop's
 *      turn) resumes all, then runs the daemons. So every function of http.h can be called from every callback.
 *   2. gone(), answered() and over() are called outside libmicrohttpd only: by the hang-up watch and from the ended list. */
#ifndef SL_HTTP_INTERNAL_H
#define SL_HTTP_INTERNAL_H

#include "http/http.h"

#include <microhttpd.h>

#define SL__HTTP_PENDING (32 * 1024) /* bytes filled in a turn of the loop, from which on fill() is not called */
#define SL__HTTP_ID_MAX 128
#define SL__HTTP_SLOWEST 16384 /* bytes a second: a client must take an answer at least so fast, see sl__answer_deadline */

/* keys.c: the keys of a file. */
typedef struct sl__keys sl__keys;
sl_status sl__keys_read(const char *path, sl__keys **ret, sl_error *e);
sl__keys *sl__keys_free(sl__keys *k);
bool sl__keys_match(const sl__keys *k, const char *authorization); /* the header's value, or NULL */

/* framing.c: what the headers say about the request's frame; pure. */
typedef struct sl__head {
    int lengths, encodings, hosts, authorizations; /* how often the header is there */
    bool bad_name, bad_value, bad_length, bad_host, chunked;
    uint64_t length;           /* Content-Length */
    const char *authorization; /* borrowed values */
    const char *request_id;
} sl__head;
void sl__head_add(sl__head *h, const char *name, size_t name_len, const char *value, size_t value_len);
const char *sl__head_check(const sl__head *h, const char *version, const char *target); /* what is wrong; NULL: nothing */
bool sl__request_id_good(const char *id);
void sl__request_id_make(char ret[SL__HTTP_ID_MAX + 1]);
bool sl__percent_decode(char *text, bool plus);              /* in place; false: a bad escape or %00 */
char *sl__query_value(const char *query, const char *name); /* decoded, owned by the caller; NULL: absent, malformed */

typedef struct sl__listener {
    sl_http *h;
    bool admin;
    int port;
    struct MHD_Daemon *daemon; /* NULL: there is none */
    uv_poll_t poll;            /* the daemon's epoll descriptor */
    bool watched; /* poll is a live handle */
    bool quiesced;
} sl__listener;

typedef struct sl__connection {
    sl__listener *l;
    struct sl__connection *prev, *next;
    sl_http_exchange *x; /* in progress, or NULL */
    int fd;
    bool expired;      /* the deadline passed and the socket was shut */
    bool has_watch;    /* watch is a live handle */
    uint64_t deadline; /* ns; 0: none */
    uv_poll_t watch;   /* tells that the client hung up while the connection is suspended */
} sl__connection;

typedef struct sl__header {
    struct sl__header *next;
    const char *value; /* behind the name */
    char name[];
} sl__header;

struct sl_http_exchange {
    sl_http *h;
    sl__connection *c;
    struct MHD_Connection *mhd; /* NULL once libmicrohttpd has let go */
    const sl_http_endpoint *endpoint;
    char *target, *query, *rest; /* target is owned: the path, query behind it; rest is owned, or NULL */
    char method[16];
    char id[SL__HTTP_ID_MAX + 1];
    uint64_t arrived; /* sl_clock_ns, see sl_http_arrived */
    sl_buffer body;
    size_t received; /* bytes of the body, also those that were not kept */
    bool begun;      /* the headers are complete */
    bool complete;   /* the body too */
    bool has_body, close; /* close: nothing more can be read from this connection */
    bool too_large, crowded; /* the body is not kept: over its own limit, over that of all */
    /* The answer. */
    int status; /* 0: none yet */
    sl__header *headers;
    struct MHD_Response *response; /* ours until it is queued */
    size_t length;                 /* of its body, unless it is streamed */
    bool queued;
    /* Held and streamed ones. */
    const sl_http_hooks *hooks; /* NULL: not held */
    void *ctx;
    bool handling, filling, again; /* inside handle(), inside fill(), resumed inside fill() */
    bool streaming, ended;         /* ended: fill() said that that was all */
    bool suspended, resuming;      /* resuming: on the resume list */
    bool cut, gone_told;           /* cut: whatever comes is not sent any more */
    bool expired;                  /* cut because it did not come in time */
    bool counted;                  /* in h->live: it came by the main listener */
    sl_buffer pending;             /* from fill(), sent up to `sent` */
    size_t sent;
    uint64_t turn; /* in which it was last filled, and how many bytes that turn gave */
    size_t filled;
    sl_http_exchange *next_resume, *next_ended;
};

struct sl_http {
    sl_http_config config;
    uv_loop_t *loop;
    sl__keys *keys; /* NULL: none needed */
    sl_metrics *metrics; /* NULL: nothing is counted */
    bool serving;        /* since sl_http_serve */
    sl_buffer no_memory; /* the body of the 503 that needs no memory */
    sl__listener listeners[2]; /* main, admin */
    sl__connection *connections;
    sl_http_exchange *resume, *ended;
    sl_http_exchange **ended_tail;
    uv_idle_t kick;
    uv_timer_t timer;
    uint64_t turn;    /* counts the pumps */
    uint64_t scanned; /* ns: when deadlines were looked at */
    size_t body_bytes; /* of all bodies being received or not yet taken */
    int live, suspended, handles;
    bool draining, quiesce, closing, stopped;
    void (*closed)(void *);
    void *closed_arg;
};

/* http.c */
void sl__http_kick(sl_http *h); /* run the daemons soon */
void sl__http_ended(sl_http_exchange *x); /* tells the api when libmicrohttpd has returned */
void sl__http_handle_closed(sl_http *h);

/* listener.c */
sl_status sl__listener_open(sl__listener *l, const char *host, int port, int connections, sl_error *e);
void sl__listener_quiesce(sl__listener *l);
void sl__listener_stop(sl__listener *l); /* no connection may be suspended */

/* connection.c */
void sl__connection_notify(void *cls, struct MHD_Connection *mhd, void **socket_context,
                           enum MHD_ConnectionNotificationCode code);
sl__connection *sl__connection_of(struct MHD_Connection *mhd);
void sl__connection_deadline(sl__connection *c, int seconds); /* from now; 0: none */
bool sl__connection_watch(sl__connection *c);
void sl__connection_unwatch(sl__connection *c);
void sl__connections_scan(sl_http *h);

/* exchange.c */
void *sl__exchange_begin(void *cls, const char *target, struct MHD_Connection *mhd);
enum MHD_Result sl__exchange_access(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                                    const char *version, const char *upload, size_t *upload_size, void **con_cls);
void sl__exchange_completed(void *cls, struct MHD_Connection *mhd, void **con_cls,
                            enum MHD_RequestTerminationCode code);
void sl__exchange_cut(sl_http_exchange *x); /* outside libmicrohttpd only; calls gone() */
void sl__exchange_free(sl_http_exchange *x);

void sl__exchange_resume(sl_http_exchange *x); /* if it is suspended: soon */

/* request.c: which endpoint, and who may use it. What is refused has its answer then. */
void sl__request_check(sl_http_exchange *x, const char *version);

/* answer.c */
ssize_t sl__answer_read(void *cls, uint64_t pos, char *out, size_t max);
/* The time within which the client must take n bytes: idle_seconds, and more for a large answer. */
void sl__answer_deadline(sl_http_exchange *x, size_t n);
void sl__answer_count(const sl_http_exchange *x, int status);

#endif

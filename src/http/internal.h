/* internal.h: what the files of the front end share.
 * Loop thread only.
 *
 * The files, each calls only those below it:
 *
 *   http.c        start, the pump, what is over, drain, close
 *   listener.c    a bound socket and its libmicrohttpd daemon
 *   door.c        a connection's way in
 *   exchange.c    the life of one exchange, as the library's callbacks drive it
 *   request.c     who may ask for what: host, origin, endpoint, key
 *   answer.c      one-piece answers and streams          connection.c  deadlines, and who is idle
 *   hosts.c       names of hosts, origins, CORS          watch.c       hang-ups
 *   framing.c, keys.c  pure                              turn.c        what waits for the loop's next turn
 *
 * Who owns what
 *   sl_http         one or two listeners, the connections, the lists below; sl_http_close ends it.
 *   sl__listener    a libmicrohttpd daemon, its epoll descriptor watched by the loop.
 *   sl__connection  from its accept to its close (and until its watch is closed).
 *   exchange        from the request line to libmicrohttpd's COMPLETED, then on the over list until told to the api.
 *
 * Two rules keep libmicrohttpd's callbacks simple:
 *   1. Nothing resumes a connection at once: it goes on the resume list, and the kick (an idle handle, next in the loop's
 *      turn) resumes all, then runs the daemons. So every function of http.h can be called from every callback.
 *   2. gone(), answered() and over() are called outside libmicrohttpd only: by the hang-up watch and from the over list. */
#ifndef SL_HTTP_INTERNAL_H
#define SL_HTTP_INTERNAL_H

#include "http/http.h"

#include <microhttpd.h>

#define SL__HTTP_HEAD (24 * 1024)    /* bytes of a head; more is a 431 of ours, up to SL_HTTP_POOL, and then of the library's */
#define SL__HTTP_TARGET (16 * 1024)  /* bytes of a request's target; more is a 414, likewise */
#define SL__HTTP_PENDING (32 * 1024) /* bytes filled in a turn of the loop, from which on fill() is not called */
#define SL__HTTP_SWALLOWED ((size_t)64 << 20) /* bytes beyond the limit of a body that are read for a refusal; more is cut */
#define SL__HTTP_ID_MAX 128
#define SL__HTTP_EXTRA 16 /* connections beyond a listener's limit, see door.c */
#define SL__HTTP_SLOWEST 16384 /* bytes a second: a client must take an answer at least so fast, see sl__answer_deadline */

/* keys.c: the keys of a file. */
typedef struct sl__keys sl__keys;
/* option: the one that named the file, for the message. */
sl_status sl__keys_read(const char *path, const char *option, sl__keys **ret, sl_error *e);
sl__keys *sl__keys_free(sl__keys *k);
/* The values of the headers Authorization ("Bearer KEY") and X-Api-Key ("KEY"), or NULL; one that is right is enough. */
bool sl__keys_match(const sl__keys *k, const char *authorization, const char *api_key);

/* framing.c: what the head says about the request's frame, and about who sends it; pure. */
typedef struct sl__head {
    int lengths, transfers, hosts, authorizations, api_keys, origins; /* how often the header is there */
    bool bad_name, bad_value, bad_length, bad_host, chunked;
    uint64_t length;                                              /* Content-Length */
    const char *host, *authorization, *api_key, *request_id, *origin; /* borrowed values, NULL: absent */
    const char *coding; /* value of a Content-Encoding that is not "identity"; NULL: none */
} sl__head;
void sl__head_add(sl__head *h, const char *name, size_t name_len, const char *value, size_t value_len);
const char *sl__head_check(const sl__head *h, const char *version, const char *path); /* what is wrong; NULL: nothing */
/* Cuts a target in place. "/a/b/?q" gives the path "/a/b" (one slash at the end is passed over) and the query "q";
 * "http://host:80/a" the authority "host:80" too, otherwise it is NULL. What is no such target is left as the path. */
void sl__target_split(char *target, const char **ret_authority, const char **ret_path, const char **ret_query);
bool sl__request_id_good(const char *id);
void sl__request_id_make(char ret[SL__HTTP_ID_MAX + 1]);
bool sl__percent_decode(char *text, bool plus);              /* in place; false: a bad escape or %00 */
char *sl__query_value(const char *query, const char *name); /* decoded, owned by the caller; NULL: absent, malformed */

/* hosts.c: pure. host: a Host header's value or an authority, "name:80", "[::1]:80", "". */
bool sl__host_loopback(const char *host);                  /* localhost, 127.0.0.0/8, ::1; or there is none */
bool sl__host_listed(const char *host, const char *names); /* names: "a.example, b.example"; "*": any */
bool sl__origin_same(const char *origin, const char *host); /* "http://name:80" is where the request went */
bool sl__origin_listed(const char *origin, const char *origins); /* "https://a.example, …"; "*": any */
sl_status sl__hosts_check(const char *names, const char *origins, sl_error *e); /* of both lists, which may be NULL */

typedef struct sl__listener {
    sl_http *h;
    bool admin;
    char host[256];            /* as it was given, or a socket's own in numbers */
    int port;
    bool loopback;             /* its address can be reached from this machine only */
    int fd;                    /* listens; -1: there is none */
    bool shared;               /* another process keeps the socket open */
    struct MHD_Daemon *daemon; /* NULL: there is none */
    uv_poll_t door, poll;      /* fd; the daemon's epoll descriptor */
    bool watched;              /* both are live handles */
    bool deaf, freed;          /* door does not look for newcomers for now; a place has become free since */
    int limit, open;                        /* connections: at most; now, without those that were told to leave */
    struct sl__connection *idle, *idle_last; /* those that have sent no whole head since they came or were answered, by age */
} sl__listener;

typedef struct sl__connection {
    sl__listener *l;
    struct sl__connection *prev, *next;
    struct sl__connection *idle_prev, *idle_next; /* on the listener's idle list, if `idle` */
    sl_http_exchange *x; /* in progress, or NULL */
    int fd;
    bool guest;          /* not the library's yet, see door.c */
    bool refused;        /* a guest that was answered */
    int seen;            /* bytes of a guest's head that were looked at */
    uint64_t first_byte; /* ns; 0: none of the next request yet, or it was not seen */
    bool idle;
    bool extra;     /* it came when the listener was full of busy ones: it may ask for health, and must leave then */
    bool leaving;   /* it made room for another one: its socket is shut */
    bool expired;   /* the deadline passed and the socket was shut */
    bool has_watch; /* watch is a live handle */
    uint64_t deadline; /* ns; 0: none */
    uv_poll_t watch;   /* tells that the client hung up while the connection is suspended */
} sl__connection;

typedef struct sl__header {
    struct sl__header *next;
    const char *value; /* behind the name */
    char name[];
} sl__header;

/* How far a request has come. An answer that is known early is queued before the request is complete. */
typedef enum sl__phase {
    SL__HEAD,     /* the request line is known, headers come */
    SL__BODY,     /* the head is known */
    SL__COMPLETE, /* the request was received whole */
    SL__QUEUED,   /* the library has the answer */
} sl__phase;

struct sl_http_exchange {
    sl_http *h;
    sl__connection *c;          /* NULL once it is over for libmicrohttpd */
    struct MHD_Connection *mhd; /* likewise */
    const sl_http_endpoint *endpoint;
    char *target;                 /* owned; the next three point into it, or to a constant */
    const char *path;
    const char *authority, *query; /* authority: NULL unless the target was a whole URL */
    size_t target_len;
    char *rest; /* owned, or NULL */
    char method[16];
    char id[SL__HTTP_ID_MAX + 1];
    uint64_t arrived; /* sl_clock_ns, see sl_http_arrived */
    sl__phase phase;
    bool has_body;
    bool closes;             /* nothing more can be read from this connection after it */
    bool swallows;           /* a refusal waits until the body has been read and dropped */
    bool too_large, crowded; /* the body is not kept: over its own limit, over that of all */
    sl_buffer body;
    size_t received; /* bytes of the body, also those that were not kept */
    /* The answer. */
    int status; /* 0: none yet */
    sl__header *headers;
    const char *origin;            /* borrowed: the page that may read the answer, NULL: none of another origin */
    struct MHD_Response *response; /* ours until it is queued */
    size_t length;                 /* of its body, unless it is streamed */
    /* Held and streamed ones. */
    const sl_http_hooks *hooks; /* NULL: not held */
    void *ctx;
    bool filling, again;      /* inside fill(), resumed inside fill() */
    bool streaming, ended;         /* ended: fill() said that that was all */
    bool suspended, resuming;      /* resuming: on the resume list */
    bool gone, told;               /* gone: nothing reaches the client any more; told: the gone hook was called */
    bool expired;                  /* gone because the request did not come in time */
    bool counted;                  /* in h->live: it came by the main listener */
    sl_buffer pending;             /* from fill(), sent up to `sent` */
    size_t sent;
    uint64_t turn; /* in which it was last filled, and how many bytes that turn gave */
    size_t filled;
    sl_http_exchange *next_resume, *next_over;
};

struct sl_http {
    sl_http_config config;
    uv_loop_t *loop;
    sl__keys *keys, *admin_keys; /* NULL: none needed */
    sl_metrics *metrics;         /* NULL: nothing is counted */
    bool serving;                /* since sl_http_serve */
    sl_buffer no_memory;         /* the body of the 503 that needs no memory */
    sl__listener listeners[2];   /* main, admin */
    sl__connection *connections;
    sl_http_exchange *resume, *over;
    sl_http_exchange **over_tail;
    int door_fd;  /* epoll: the guests */
    uv_poll_t door;
    bool has_door; /* door is a live handle */
    char *peek;    /* [SL__HTTP_HEAD + 1] a head that is looked at */
    sl__connection *entering; /* is being handed over */
    int said[16], saids;      /* statuses of answers that the library gave by itself and nobody counted yet */
    uv_idle_t kick;
    uv_idle_cb on_kick; /* http.c's: runs the daemons */
    uv_timer_t timer;
    uint64_t turn;     /* counts the pumps */
    uint64_t scanned;  /* ns: when deadlines were looked at */
    size_t body_bytes; /* of all bodies being received or not yet taken */
    int live, suspended, handles;
    bool draining, quiesce, closing, stopped;
    void (*closed)(void *);
    void *closed_arg;
};

/* turn.c: what waits for the loop's next turn. */
void sl__turn_kick(sl_http *h);             /* run the daemons soon */
void sl__turn_suspend(sl_http_exchange *x); /* in a callback of its own connection only */
void sl__turn_resume(sl_http_exchange *x);  /* if it is suspended: soon */
void sl__turn_resume_all(sl_http *h);       /* what the kick does first */
void sl__turn_gone(sl_http_exchange *x);    /* outside the library: tells the api, and ends the exchange soon */
void sl__turn_over(sl_http_exchange *x);    /* the api is told when the library has returned */
void sl__turn_handle_closed(sl_http *h);

/* door.c */
typedef struct sl__door_head {
    int status;        /* 0: nothing is wrong */
    const char *wrong;
    bool old;          /* HTTP/1.0 */
    char method[16];
    char id[SL__HTTP_ID_MAX + 1]; /* X-Request-Id, "" if absent or too long */
} sl__door_head;
typedef enum sl__door_verdict { SL__DOOR_MORE, SL__DOOR_GOOD, SL__DOOR_BAD } sl__door_verdict;
sl__door_verdict sl__door_read(const char *bytes, size_t n, sl__door_head *ret); /* pure */
bool sl__door_listen(sl__listener *l);           /* look for newcomers (again) */
bool sl__door_accept(sl__listener *l, int most); /* what waits in the backlog; false: nobody was accepted */
void sl__door_look_all(sl_http *h);              /* guests with news */

/* watch.c: hang-ups that the library does not see. */
bool sl__watch_start(sl__connection *c);
void sl__watch_stop(sl__connection *c);
void sl__watch_free(sl__connection *c); /* the connection too, when the loop has let go of the watch */
void sl__watch_scan(sl_http *h);        /* of those that wait for their client: who has hung up */

/* connection.c */
void sl__connection_notify(void *cls, struct MHD_Connection *mhd, void **socket_context,
                           enum MHD_ConnectionNotificationCode code);
sl__connection *sl__connection_of(struct MHD_Connection *mhd);
void sl__connection_deadline(sl__connection *c, int seconds); /* from now; 0: none */
sl__connection *sl__connection_new(sl__listener *l, int fd);  /* a guest; NULL: no memory, the socket is the caller's */
void sl__connection_leave(sl__connection *c);                 /* one of the library's makes room */
void sl__connection_closed(sl__connection *c);                /* its socket is: frees it */
void sl__connection_idle(sl__connection *c);                  /* youngest of the idle ones */
void sl__connection_busy(sl__connection *c);
void sl__connections_scan(sl_http *h);

/* answer.c */
ssize_t sl__answer_read(void *cls, uint64_t pos, char *out, size_t max);
/* The time within which the client must take n bytes: idle_seconds, and more for a large answer. */
void sl__answer_deadline(sl_http_exchange *x, size_t n);
void sl__answer_count(const sl_http_exchange *x, int status);

/* request.c: which endpoint, and who may use it. What is refused has its answer then. */
void sl__request_check(sl_http_exchange *x, const char *version);

/* exchange.c */
void *sl__exchange_begin(void *cls, const char *target, struct MHD_Connection *mhd);
enum MHD_Result sl__exchange_access(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                                    const char *version, const char *upload, size_t *upload_size, void **con_cls);
void sl__exchange_completed(void *cls, struct MHD_Connection *mhd, void **con_cls,
                            enum MHD_RequestTerminationCode code);
void sl__exchange_free(sl_http_exchange *x);

/* listener.c */
/* socket 0: binds host and port, otherwise they are not looked at. */
sl_status sl__listener_open(sl__listener *l, int socket, const char *host, int port, int connections, sl_error *e);
sl_status sl__listener_watch(sl__listener *l, uv_poll_cb on_poll, sl_error *e);
void sl__listener_unwatch(sl__listener *l, uv_close_cb closed);
void sl__listener_quiesce(sl__listener *l);
void sl__listener_stop(sl__listener *l); /* no connection may be suspended */

#endif

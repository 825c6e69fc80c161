/* http.h: listeners, exchanges, streaming, limits, keys: a mechanism over libmicrohttpd in libuv's loop that knows no model.
 * Loop thread only. libmicrohttpd runs in external-epoll mode; a waiting exchange is a suspended connection.
 *
 * Framing is stricter than the library's: two Content-Length, Content-Length with Transfer-Encoding, any Transfer-Encoding
 * but "chunked", a missing or second Host, names that are no tokens are 400. Three things the library hides from us: a NUL
 * in a value or target (it ends there), folded header lines (joined), bare LF line ends (accepted). The first request of a
 * connection is looked at before the library gets it (door.c) and refused for these too; a later one is not. So a strict
 * proxy belongs in front of a server that strangers reach.
 * Paths are matched literally, without percent decoding, and the key is asked for by the same match. A target may be a whole
 * URL: then its host counts, and the Host header is passed over.
 *
 * Life of an exchange
 *   the request is complete ──► endpoint's handle() ──► either sl_http_reply() at once,
 *                                                   or sl_http_hold(), and later sl_http_reply() or sl_http_stream().
 *   A streamed exchange pulls: whenever the socket can take more, hooks->fill() appends whole events; when there is nothing
 *   it sleeps until sl_http_resume(). hooks->over() is called exactly once for every held exchange, last; after it the
 *   exchange is freed.
 *   The client hangs up (in any state) ──► hooks->gone(), then soon hooks->over().
 *   Half a close counts as a hang-up. So does an answer that is not taken: a stream has idle_seconds to catch up, an answer
 *   in one piece idle_seconds and a second for each 16 KiB.
 *
 * Invariants
 *   1. Every function below may be called from inside every callback: what it sets off happens later in the loop's turn.
 *   2. Framing errors, limits, hosts, origins, keys and unknown paths are answered here and never reach a handler;
 *      config.write_error writes their bodies.
 *   3. Pending output of an exchange is bounded: fill() is called only when nothing is pending, and for
 *      32 KiB in one turn of the loop, so that a long page holds up nobody else. */
#ifndef SL_HTTP_HTTP_H
#define SL_HTTP_HTTP_H

#include "base/buffer.h"
#include "base/error.h"
#include "metrics/metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

typedef struct sl_http sl_http;
typedef struct sl_http_exchange sl_http_exchange;

/* PUBLIC: needs no key, and is on the admin listener too. ADMIN: lives on the admin listener only, if there is one. NOT_MAIN, with
 * ADMIN: and nowhere if there is none, as it changes what the server does. A slash at the end of a request's path is passed over. */
enum { SL_HTTP_PUBLIC = 1, SL_HTTP_ADMIN = 2, SL_HTTP_NOT_MAIN = 4 };

#define SL_HTTP_KEY_MAX 256             /* bytes of a key */
#define SL_HTTP_POOL ((size_t)32 << 10) /* bytes of memory that a connection takes, from its first request on */

typedef struct sl_http_endpoint {
    const char *method; /* "GET" (serves HEAD too), "POST" */
    const char *path;   /* exact; a path that ends in "/" + "*" serves every path below, see sl_http_path_rest */
    unsigned flags;
    void (*handle)(void *arg, sl_http_exchange *x);
} sl_http_endpoint;

/* Strings and endpoints must outlive the sl_http; numbers must be above 0, but for ports. */
typedef struct sl_http_config {
    const char *host;       /* address to bind: "127.0.0.1", "::1", "0.0.0.0" … */
    int port;               /* 0: any free one, see sl_http_port */
    const char *admin_host; /* NULL: admin endpoints are on the main listener */
    int admin_port;
    /* Listening sockets that another process opened and keeps open, as systemd does; above 2, and the sl_http's from then on.
     * They go before host and port. 0: there is none. Who waits in their backlog at the end is left to the next process. */
    int socket, admin_socket;
    const char *api_key_file; /* NULL: no keys; one key a line, # comments; read at start, again on sl_http_reload */
    /* Keys for admin endpoints alone, and the only ones that open these. NULL: on the admin listener nobody needs a key, on the
     * main one clients' keys open them. */
    const char *admin_key_file;
    bool no_auth;              /* allow other hosts than loopback without keys */
    const char *allowed_hosts; /* NULL or names with commas that a request's Host may bear, "*" any; see hosts.c */
    const char *cors_origin;   /* NULL or origins with commas whose pages may ask, "*" any; others than the server's own: 403 */
    size_t body_limit;         /* bytes */
    size_t body_memory;        /* bytes of all bodies that are received at a time, at least body_limit; more get a 503 */
    int connections;           /* at most, less if the descriptor limit says so, see sl_http_connections */
    int header_seconds;        /* absolute deadline for the headers, and again for the body */
    int idle_seconds;          /* keep-alive without a request */
    const sl_http_endpoint *endpoints; /* [endpoint_count] */
    int endpoint_count;
    void *arg;                /* handed to every handler */
    /* Appends an error's body, in JSON; param and code may be NULL. */
    void (*write_error)(sl_buffer *out, int status, const char *param, const char *code, const char *message);
    /* Called once for each exchange when it is over, before hooks->over(), for logging; may be NULL. The status is 499 when the
     * client was gone before there was one, 408 when its body did not come in time. Method, path and id can be read. */
    void (*answered)(void *arg, const sl_http_exchange *x, int status, double seconds);
} sl_http_config;

/* The most memory that a server with this config takes, in bytes: for the plan. Bodies beyond get a 503. */
typedef struct sl_http_plan {
    uint64_t bodies;      /* that are being received */
    uint64_t connections; /* heads of requests, state; without what a stream has to send (SL__HTTP_PENDING) */
} sl_http_plan;
sl_http_plan sl_http_plan_for(const sl_http_config *c);

sl_status sl_http_new(uv_loop_t *loop, const sl_http_config *c, sl_http **ret, sl_error *e);
/* Until then only public endpoints are served, so that /readyz can say what is being loaded; others are a 503. On a socket that
 * another process keeps open newcomers wait in the backlog instead: they are used to be served. m may be NULL:
 * SL_METRIC_REQUESTS and rejections by key or framing are counted there. */
void sl_http_serve(sl_http *h, sl_metrics *m);
const char *sl_http_host(const sl_http *h);       /* the bound address: config.host, or a socket's own in numbers */
const char *sl_http_admin_host(const sl_http *h); /* likewise; NULL: there is no admin listener */
int sl_http_port(const sl_http *h);       /* the bound port */
int sl_http_admin_port(const sl_http *h); /* 0: none */
/* The first key of such a file, for a command that asks a server. `option` named the file, for the error. */
sl_status sl_http_first_key(const char *path, const char *option, char ret[SL_HTTP_KEY_MAX + 1], sl_error *e);
sl_status sl_http_reload(sl_http *h, sl_error *e); /* reads the key file again; on error the old keys stay */

/* Answers from now on say `Connection: close`; new connections are still taken, so that /readyz can say why. */
void sl_http_drain(sl_http *h);
/* No new connections on the main listener, but for who waits in the backlog of a socket that nobody else has; answers from now on
 * say `Connection: close`. The admin listener goes on, so that a drain can be watched. */
void sl_http_quiesce(sl_http *h);
int sl_http_connections(const sl_http *h); /* the limit: config.connections, less if the descriptor limit says so */
int sl_http_live(const sl_http *h); /* exchanges of the main listener that are held or not yet sent */
/* Connections of the main listener whose first request has not come yet, or not whole: it may be on its way. */
int sl_http_newcomers(const sl_http *h);
/* Cancels what is left (gone and over for each), closes everything; `closed` is called when all handles are closed. */
void sl_http_close(sl_http *h, void (*closed)(void *), void *arg);
void sl_http_free(sl_http *h); /* after closed; may be called in it */

/* The request. */
const char *sl_http_method(const sl_http_exchange *x);
const char *sl_http_path(const sl_http_exchange *x);      /* without query */
const char *sl_http_path_rest(const sl_http_exchange *x); /* what stands for the star, percent-decoded; "" otherwise */
char *sl_http_query(const sl_http_exchange *x, const char *name); /* decoded, the caller frees with sl_free; NULL: absent */
const char *sl_http_request_header(const sl_http_exchange *x, const char *name); /* NULL: absent; valid until the reply */
const char *sl_http_request_id(const sl_http_exchange *x); /* X-Request-Id taken or made; returned in the answer too */
/* When the request began to arrive, in sl_clock_ns: of a connection's first request, when its first byte was seen; of a later
 * one, when its request line had been read, which clients send in one piece with the rest of the head. Time for which the
 * connection was idle before is not in it, reading head and body is. */
uint64_t sl_http_arrived(const sl_http_exchange *x);
const char *sl_http_body(const sl_http_exchange *x, size_t *ret_len); /* valid until the reply or until taken */
char *sl_http_take_body(sl_http_exchange *x, size_t *ret_len); /* the caller frees with sl_free: for the text thread */

/* The answer. Headers are added before reply or stream. */
void sl_http_add_header(sl_http_exchange *x, const char *name, const char *value);
void sl_http_reply(sl_http_exchange *x, int status, const char *content_type, sl_buffer *body); /* takes body's memory */
void sl_http_reply_error(sl_http_exchange *x, int status, const char *param, const char *code, const char *message);

typedef struct sl_http_hooks {
    void (*gone)(void *ctx);                          /* the client hung up or was cut off; may be NULL */
    bool (*fill)(void *ctx, sl_buffer *out);          /* streaming: append what there is; false: that was all */
    void (*over)(void *ctx);                          /* exactly once, last */
} sl_http_hooks;

void sl_http_hold(sl_http_exchange *x, const sl_http_hooks *hooks, void *ctx); /* in handle() only; hooks are static */
/* Sends the headers (with Cache-Control: no-cache and X-Accel-Buffering: no) and begins to pull. Held exchanges only. */
void sl_http_stream(sl_http_exchange *x, int status, const char *content_type);
void sl_http_resume(sl_http_exchange *x); /* there is something to fill; cheap, many in a row are one pass */
bool sl_http_streaming(const sl_http_exchange *x);

#endif

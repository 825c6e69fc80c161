/* listener.c: a bound socket and the libmicrohttpd daemon that serves it. */
#include "http/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 1024

static bool is_loopback(const struct sockaddr *a) {
    if (a->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, a, sizeof in);
        return ntohl(in.sin_addr.s_addr) >> 24 == 127;
    }
    if (a->sa_family != AF_INET6) return false;
    struct sockaddr_in6 in6;
    memcpy(&in6, a, sizeof in6);
    return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr) || (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr) && in6.sin6_addr.s6_addr[12] == 127);
}

/* Where fd listens, into l's port, and into its host if that is still empty. */
static bool take_address(sl__listener *l, int fd) {
    struct sockaddr_storage a = {0};
    socklen_t len = sizeof a;
    char port[16];
    if (getsockname(fd, (struct sockaddr *)&a, &len) != 0 || (a.ss_family != AF_INET && a.ss_family != AF_INET6)) return false;
    l->loopback = is_loopback((struct sockaddr *)&a);
    char *host = l->host[0] ? NULL : l->host;
    if (getnameinfo((struct sockaddr *)&a, len, host, host ? sizeof l->host : 0, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return false;
    l->port = atoi(port);
    return true;
}

/* Others than this machine may come only with a key, or if that is meant. */
static sl_status check_reach(const sl__listener *l, const char *option, sl_error *e) {
    if (l->loopback || l->admin || l->h->keys || l->h->config.no_auth) return SL_OK;
    return sl_fail_param(e, SL_MISUSE, option,
                         "--%s %s can be reached from other machines: it needs --api-key-file FILE, or --no-auth to serve "
                         "everybody",
                         option, l->host);
}

static sl_status bind_socket(sl__listener *l, const char *host, int port, int *ret_fd, sl_error *e) {
    const char *option = l->admin ? "admin" : "host";
    sl_status status = SL_OK;
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *a = NULL;
    char service[16];
    int fd = -1, on = 1;
    if (port < 0 || port > 65535)
        return sl_fail_param(e, SL_MISUSE, l->admin ? "admin" : "port", "port %d is not in 0 … 65535", port);
    snprintf(service, sizeof service, "%d", port);
    int rc = getaddrinfo(host, service, &hints, &a);
    if (rc != 0) return sl_fail_param(e, SL_MISUSE, option, "--%s %s: %s", option, host, gai_strerror(rc));
    snprintf(l->host, sizeof l->host, "%s", host);
    l->loopback = is_loopback(a->ai_addr);
    status = check_reach(l, option, e);
    if (status != SL_OK) goto fail;
    fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0 || !take_address(l, fd)) {
        status = sl_fail_param(e, SL_IO, option, "cannot listen on %s port %d (--%s): %s", host, port, l->admin ? "admin" : "port", strerror(errno));
        goto fail;
    }
    freeaddrinfo(a);
    *ret_fd = fd;
    return SL_OK;
fail:
    if (fd >= 0) close(fd);
    freeaddrinfo(a);
    return status;
}

static int socket_option(int fd, int option) {
    int value = 0;
    socklen_t len = sizeof value;
    return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 ? value : -1;
}

/* A socket that somebody else opened, bound and listens on. */
static sl_status adopt_socket(sl__listener *l, int fd, sl_error *e) {
    const char *option = l->admin ? "admin" : "host";
    int flags = fcntl(fd, F_GETFL);
    if (socket_option(fd, SO_TYPE) != SOCK_STREAM || socket_option(fd, SO_ACCEPTCONN) != 1 || !take_address(l, fd))
        return sl_fail_param(e, SL_MISUSE, option, "the socket that was passed as descriptor %d does not listen for TCP connections", fd);
    sl_status status = check_reach(l, option, e);
    if (status != SL_OK) return status;
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return sl_fail_param(e, SL_IO, option, "the socket that was passed as descriptor %d: %s", fd, strerror(errno));
    l->shared = true;
    return SL_OK;
}

/* What the library says by itself begins with this; its status is counted by tell_over, or with the exchange that it ends. */
static void on_log(void *cls, const char *format, va_list arguments) {
    sl_http *h = ((sl__listener *)cls)->h;
    if (strstr(format, "HTTP response code is %u") && h->saids < (int)(sizeof h->said / sizeof h->said[0]))
        h->said[h->saids++] = (int)va_arg(arguments, unsigned);
}

sl_status sl__listener_open(sl__listener *l, int socket, const char *host, int port, int connections, sl_error *e) {
    const sl_http_config *c = &l->h->config;
    int fd = socket;
    sl_status status = socket ? adopt_socket(l, socket, e) : bind_socket(l, host, port, &fd, e);
    if (status != SL_OK) return status;
    l->fd = fd;
    l->limit = connections;
    /* The library accepts nothing by itself, see door.c; those that leave are still its own for a moment. */
    unsigned most = (unsigned)connections + 2 * SL__HTTP_EXTRA + 64;
    /* Host is checked in framing.c: the library's own refusal sends its header block twice. */
    l->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG, 0, NULL, NULL,  //
        sl__exchange_access, l,                                                                                  //
        MHD_OPTION_EXTERNAL_LOGGER, on_log, l,                                                                   //
        MHD_OPTION_CONNECTION_LIMIT, most,                                                                       //
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)c->idle_seconds,                                                //
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, SL_HTTP_POOL,                                                        //
        MHD_OPTION_URI_LOG_CALLBACK, sl__exchange_begin, l,                                                      //
        MHD_OPTION_NOTIFY_COMPLETED, sl__exchange_completed, l,                                                  //
        MHD_OPTION_NOTIFY_CONNECTION, sl__connection_notify, l,                                                  //
        MHD_OPTION_STRICT_FOR_CLIENT, 0, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
    if (l->daemon) return SL_OK;
    close(l->fd);
    l->fd = -1;
    return sl_fail(e, SL_IO, "the HTTP library did not start on %s port %d", l->host, l->port);
}

static bool watch(sl__listener *l) {
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    uv_loop_t *loop = l->h->loop;
    if (!info || uv_poll_init(loop, &l->poll, info->epoll_fd) != 0) return false;
    if (uv_poll_init(loop, &l->door, l->fd) != 0) {
        uv_close((uv_handle_t *)&l->poll, NULL);
        return false;
    }
    l->poll.data = l->door.data = l;
    l->watched = true;
    l->h->handles += 2;
    return true;
}

sl_status sl__listener_watch(sl__listener *l, uv_poll_cb on_poll, sl_error *e) {
    if (!l->daemon) return SL_OK;
    bool later = l->shared && !l->admin; /* see sl_http_serve */
    if (watch(l) && uv_poll_start(&l->poll, UV_READABLE, on_poll) == 0 && (later || sl__door_listen(l))) return SL_OK;
    return sl_fail(e, SL_IO, "the event loop cannot watch the listener on port %d", l->port);
}

void sl__listener_unwatch(sl__listener *l, uv_close_cb closed) {
    if (!l->watched) return;
    l->watched = false;
    uv_close((uv_handle_t *)&l->poll, closed);
    uv_close((uv_handle_t *)&l->door, closed);
}

/* Closing the socket resets whoever has connected and is not accepted yet, unless another process has it too: then they wait for
 * that, or for the next one that it starts. */
void sl__listener_quiesce(sl__listener *l) {
    if (l->fd < 0) return;
    if (!l->h->closing && !l->shared) sl__door_accept(l, BACKLOG);
    if (l->watched) uv_poll_stop(&l->door);
    l->deaf = false;
    close(l->fd);
    l->fd = -1;
}

void sl__listener_stop(sl__listener *l) {
    sl__listener_quiesce(l);
    if (l->daemon) MHD_stop_daemon(l->daemon);
    l->daemon = NULL;
}

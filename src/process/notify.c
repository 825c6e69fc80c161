#include "process/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE 512 /* bytes; a longer STATUS is cut */

/* "/run/systemd/notify", "@name" of the abstract name space; false: neither. */
static bool address_of(const char *text, struct sockaddr_un *ret, socklen_t *ret_len) {
    size_t len = strlen(text);
    if ((text[0] != '/' && text[0] != '@') || len < 2 || len >= sizeof ret->sun_path) return false;
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret->sun_path, text, len);
    *ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    if (text[0] == '@') {
        ret->sun_path[0] = 0;
        *ret_len -= 1; /* every byte of an abstract name counts */
    }
    return true;
}

static sl_status reach(const char *where, int *ret_fd, sl_error *e) {
    struct sockaddr_un to;
    socklen_t len;
    if (!address_of(where, &to, &len))
        return sl_fail(e, SL_INVALID, "NOTIFY_SOCKET: \"%s\" is neither a path nor an abstract name", where);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, len) == 0) {
        *ret_fd = fd;
        return SL_OK;
    }
    sl_status status = sl_fail(e, SL_IO, "NOTIFY_SOCKET: %s: %s", where, strerror(errno));
    if (fd >= 0) close(fd);
    return status;
}

/* The time of WATCHDOG_USEC, if it is meant for this process. */
static uint64_t watchdog(void) {
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (!usec || (pid && strtol(pid, NULL, 10) != (long)getpid())) return 0;
    char *end;
    errno = 0;
    unsigned long long n = strtoull(usec, &end, 10);
    return errno || *end || usec[0] == '-' || n > UINT64_MAX / 1000 ? 0 : (uint64_t)n * 1000;
}

sl_status sl_notify_open(sl_notify *ret, sl_error *e) {
    const char *where = getenv("NOTIFY_SOCKET");
    *ret = (sl_notify){.fd = -1};
    sl_status status = where && where[0] ? reach(where, &ret->fd, e) : SL_OK;
    if (ret->fd >= 0) ret->watchdog_ns = watchdog();
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return status;
}

void sl_notify_close(sl_notify *n) {
    if (n->fd >= 0) close(n->fd);
    *n = (sl_notify){.fd = -1};
}

void sl_notify_send(const sl_notify *n, const char *fmt, ...) {
    char text[MESSAGE];
    va_list args;
    if (n->fd < 0) return;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (len < 0) return;
    size_t bytes = len < MESSAGE ? (size_t)len : sizeof text - 1;
    (void)!send(n->fd, text, bytes, MSG_NOSIGNAL | MSG_DONTWAIT); /* nothing can be done, and the next message says more */
}

void sl_notify_reloading(const sl_notify *n) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    sl_notify_send(n, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

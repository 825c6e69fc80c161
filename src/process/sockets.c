#include "process/sockets.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST 3 /* of the descriptors that are passed */

static bool whole_number(const char *text, long least, long most, long *ret) {
    char *end;
    if (!text || text[0] < '0' || text[0] > '9') return false;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (errno || *end || n < least || n > most) return false;
    *ret = n;
    return true;
}

sl_status sl_sockets_read(const char *pid, const char *count, const char *names, long own, sl_sockets *ret, sl_error *e) {
    long n, whose;
    sl_sockets s = {0};
    if (!pid || !count || (whole_number(pid, 1, LONG_MAX, &whose) && whose != own)) {
        *ret = s;
        return SL_OK;
    }
    if (!whole_number(pid, 1, LONG_MAX, &whose)) return sl_fail(e, SL_MISUSE, "LISTEN_PID: \"%s\" is no process id", pid);
    if (!whole_number(count, 0, 1024, &n)) return sl_fail(e, SL_MISUSE, "LISTEN_FDS: \"%s\" is no count of sockets", count);
    for (int fd = FIRST; fd < FIRST + (int)n; fd++) {
        size_t len = names ? strcspn(names, ":") : 0;
        int *place = len == 5 && !memcmp(names, "admin", len) ? &s.admin : &s.main;
        if (*place)
            return sl_fail(e, SL_MISUSE, "LISTEN_FDS: there are two sockets for the %s listener, which serves one; "
                                         "FileDescriptorName=admin names the admin listener's",
                           place == &s.admin ? "admin" : "main");
        *place = fd;
        if (names) names += len + (names[len] == ':');
    }
    *ret = s;
    return SL_OK;
}

sl_status sl_sockets_take(sl_sockets *ret, sl_error *e) {
    sl_status status = sl_sockets_read(getenv("LISTEN_PID"), getenv("LISTEN_FDS"), getenv("LISTEN_FDNAMES"), (long)getpid(), ret, e);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return status;
}

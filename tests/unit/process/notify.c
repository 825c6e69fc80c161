#include "process/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../run.h"

/* The service manager's end. name: a path, or "@…" for the abstract name space. */
static int manager(const char *name) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    strcpy(a.sun_path, name);
    socklen_t len = sizeof a;
    if (name[0] == '@') {
        a.sun_path[0] = 0;
        len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    } else {
        unlink(name);
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, len), 0);
    return fd;
}

static const char *told(int fd) {
    static char text[4096];
    ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
    text[n > 0 ? n : 0] = 0;
    return text;
}

static void one_manager(const char *name) {
    int fd = manager(name);
    sl_notify n;
    sl_error e;
    setenv("NOTIFY_SOCKET", name, 1);
    ck_assert_msg(sl_notify_open(&n, &e) == SL_OK, "%s", e.message);
    ck_assert_ptr_null(getenv("NOTIFY_SOCKET"));
    sl_notify_send(&n, "READY=1\nSTATUS=serving on port %d", 8080);
    ck_assert_str_eq(told(fd), "READY=1\nSTATUS=serving on port 8080");
    sl_notify_reloading(&n);
    unsigned long long usec = 0;
    ck_assert_int_eq(sscanf(told(fd), "RELOADING=1\nMONOTONIC_USEC=%llu", &usec), 1);
    ck_assert_uint_gt(usec, 0);
    char status[2000]; /* a message has a bound: the manager's own is 4096 */
    memset(status, 'x', sizeof status);
    status[sizeof status - 1] = 0;
    sl_notify_send(&n, "STATUS=%s", status);
    ck_assert_uint_eq(strlen(told(fd)), 511);
    close(fd); /* the manager is gone: nothing happens, no signal either */
    for (int i = 0; i < 3; i++) sl_notify_send(&n, "WATCHDOG=1");
    sl_notify_close(&n);
    ck_assert_int_eq(n.fd, -1);
}

START_TEST(what_is_said) {
    char name[64];
    snprintf(name, sizeof name, "/tmp/sluice-notify-%ld", (long)getpid());
    one_manager(name);
    unlink(name);
    snprintf(name, sizeof name, "@sluice-notify-%ld", (long)getpid());
    one_manager(name);
}
END_TEST

START_TEST(a_manager_that_does_not_listen_holds_up_nothing) {
    char name[64];
    snprintf(name, sizeof name, "@sluice-notify-%ld", (long)getpid());
    int fd = manager(name);
    sl_notify n;
    setenv("NOTIFY_SOCKET", name, 1);
    ck_assert_int_eq(sl_notify_open(&n, NULL), SL_OK);
    for (int i = 0; i < 10000; i++) sl_notify_send(&n, "WATCHDOG=1"); /* its queue has room for a few hundred */
    ck_assert_str_eq(told(fd), "WATCHDOG=1");
    sl_notify_close(&n);
    close(fd);
}
END_TEST

START_TEST(nobody_wants_to_know) {
    sl_notify n;
    sl_error e;
    unsetenv("NOTIFY_SOCKET");
    ck_assert_int_eq(sl_notify_open(&n, &e), SL_OK);
    ck_assert_int_eq(n.fd, -1);
    sl_notify_send(&n, "READY=1");
    sl_notify_close(&n);
    static const char *const bad[] = {"relative", "@", "vsock:2:1234", "/nowhere/to/be/found",
                                      ("/a-path-that-is-longer-than-what-an-address-holds/"
                                       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        setenv("NOTIFY_SOCKET", bad[i], 1);
        ck_assert_int_ne(sl_notify_open(&n, &e), SL_OK);
        ck_assert_ptr_nonnull(strstr(e.message, bad[i]));
        ck_assert_int_eq(n.fd, -1);
        sl_notify_send(&n, "READY=1");
    }
}
END_TEST

START_TEST(watchdogs) {
    char name[64], own[24];
    snprintf(name, sizeof name, "@sluice-notify-%ld", (long)getpid());
    snprintf(own, sizeof own, "%ld", (long)getpid());
    int fd = manager(name);
    const struct {
        const char *usec, *pid;
        uint64_t ns;
    } cases[] = {{"30000000", own, 30000000000}, {"30000000", NULL, 30000000000}, {"30000000", "1", 0}, {NULL, own, 0}, {"", own, 0},
                 {"-5", own, 0}, {"5x", own, 0}, {"99999999999999999999", own, 0}, {"18446744073709551615", own, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sl_notify n;
        setenv("NOTIFY_SOCKET", name, 1);
        if (cases[i].usec) setenv("WATCHDOG_USEC", cases[i].usec, 1);
        if (cases[i].pid) setenv("WATCHDOG_PID", cases[i].pid, 1);
        ck_assert_int_eq(sl_notify_open(&n, NULL), SL_OK);
        ck_assert_msg(n.watchdog_ns == cases[i].ns, "case %zu: %llu", i, (unsigned long long)n.watchdog_ns);
        ck_assert(!getenv("WATCHDOG_USEC") && !getenv("WATCHDOG_PID"));
        sl_notify_close(&n);
    }
    close(fd);
}
END_TEST

int main(void) {
    return RUN_TESTS("process/notify", 30, what_is_said, a_manager_that_does_not_listen_holds_up_nothing, nobody_wants_to_know, watchdogs);
}

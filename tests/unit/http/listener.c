#include "fixture.h"

START_TEST(admin_endpoints_have_a_listener_of_their_own) {
    static server s;
    s.config.admin_host = "127.0.0.1";
    ck_assert_int_eq(start(&s), SL_OK);
    ck_assert(s.admin_port > 0 && s.admin_port != s.port);
    ck_assert_int_eq(ask(s.port, "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n", NULL), 404);
    ck_assert_int_eq(ask(s.admin_port, "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n", NULL), 200);
    ck_assert_int_eq(ask(s.port, "POST /change HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", NULL), 404);
    ck_assert_int_eq(ask(s.admin_port, "POST /change HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", NULL), 200);
    ck_assert_int_eq(ask(s.admin_port, "GET /change HTTP/1.1\r\nHost: a\r\n\r\n", NULL), 405);
    ck_assert_int_eq(ask(s.admin_port, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", NULL), 404);
    ck_assert_int_eq(ask(s.admin_port, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", NULL), 200);
    stop(&s);
    static server one;
    ck_assert_int_eq(start(&one), SL_OK);
    ck_assert_int_eq(one.admin_port, 0);
    ck_assert_int_eq(ask(one.port, "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n", NULL), 200);
    ck_assert_int_eq(ask(one.port, "POST /change HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", NULL), 404);
    stop(&one);
}
END_TEST

START_TEST(addresses_that_are_refused) {
    static server taken, same, unknown, far, bad, admin;
    ck_assert_int_eq(start(&taken), SL_OK);
    same.config.port = taken.port;
    ck_assert_int_eq(start(&same), SL_IO);
    ck_assert_ptr_nonnull(strstr(same.error.message, "cannot listen"));
    admin.config.admin_host = "127.0.0.1"; /* the second listener fails: the first one goes too */
    admin.config.admin_port = taken.port;
    ck_assert_int_eq(start(&admin), SL_IO);
    ck_assert_str_eq(admin.error.param, "admin");
    stop(&taken);
    unknown.config.host = "256.1.1.1.";
    ck_assert_int_ne(start(&unknown), SL_OK);
    memset(&far.config, 0, sizeof far.config);
    far.config.host = "0.0.0.0"; /* others could come: needs keys, or a word that it is meant */
    ck_assert_int_eq(start(&far), SL_MISUSE);
    ck_assert_ptr_nonnull(strstr(far.error.message, "--no-auth"));
    bad.config.port = 70000;
    ck_assert_int_eq(start(&bad), SL_MISUSE);
}
END_TEST

START_TEST(six) {
    static server s;
    s.config.host = "::1";
    if (start(&s) != SL_OK) return; /* this machine has none */
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)s.port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    client c = {.fd = socket(AF_INET6, SOCK_STREAM, 0)};
    answer a;
    ck_assert_int_eq(connect(c.fd, (struct sockaddr *)&to, sizeof to), 0);
    say(&c, "GET /hello HTTP/1.1\r\nHost: [::1]\r\n\r\n");
    listen_for(&c, &a, false);
    ck_assert_int_eq(a.status, 200);
    forget(&a);
    hang_up(&c);
    stop(&s);
}
END_TEST

static int listening(const char *host, int *ret_port) {
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(inet_pton(AF_INET, host, &a.sin_addr), 1);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    ck_assert_int_eq(listen(fd, 64), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

static void do_quiesce(server *s, void *arg) {
    (void)arg;
    sl_http_quiesce(s->h);
}

/* Promise 3: as it is when systemd restarts a service: who comes while nobody accepts waits for the next process. */
START_TEST(a_socket_that_is_handed_on_refuses_nobody) {
    static server s[2];
    static client waiting[20];
    int port, kept = listening("127.0.0.1", &port);
    s[0].config.socket = dup(kept);
    s[0].config.host = "192.0.2.1"; /* not looked at */
    ck_assert_msg(start(&s[0]) == SL_OK, "%s", s[0].error.message);
    ck_assert_int_eq(s[0].port, port);
    ck_assert_str_eq(sl_http_host(s[0].h), "127.0.0.1");
    ck_assert_int_eq(ask(port, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", NULL), 200);
    on_loop(&s[0], do_quiesce, NULL);
    look(&s[0]);
    for (int i = 0; i < 20; i++) {
        dial(&waiting[i], port);
        say(&waiting[i], "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    stop(&s[0]);
    s[1].config.socket = dup(kept);
    ck_assert_int_eq(start(&s[1]), SL_OK);
    for (int i = 0; i < 20; i++) {
        answer a;
        listen_for(&waiting[i], &a, false);
        ck_assert_int_eq(a.status, 200);
        forget(&a);
        hang_up(&waiting[i]);
    }
    stop(&s[1]);
    close(kept);
}
END_TEST

START_TEST(sockets_that_are_refused) {
    static server file, silent, far, admin;
    int port, pair[2];
    ck_assert_int_eq(pipe(pair), 0);
    file.config.socket = pair[0];
    ck_assert_int_eq(start(&file), SL_MISUSE);
    ck_assert_ptr_nonnull(strstr(file.error.message, "does not listen"));
    silent.config.socket = socket(AF_INET, SOCK_STREAM, 0);
    int fd = silent.config.socket;
    ck_assert_int_eq(start(&silent), SL_MISUSE); /* not a listening one */
    close(fd);
    far.config.socket = fd = listening("0.0.0.0", &port);
    ck_assert_int_eq(start(&far), SL_MISUSE); /* the same rule as for --host */
    ck_assert_ptr_nonnull(strstr(far.error.message, "0.0.0.0 can be reached from other machines"));
    close(fd);
    admin.config.admin_socket = listening("127.0.0.1", &port);
    ck_assert_int_eq(start(&admin), SL_OK);
    ck_assert_int_eq(admin.admin_port, port);
    ck_assert_int_eq(ask(port, "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n", NULL), 200);
    stop(&admin);
    close(pair[0]);
    close(pair[1]);
}
END_TEST

static void do_newcomers(server *s, void *arg) { *(int *)arg = sl_http_newcomers(s->h); }

START_TEST(newcomers_are_counted) {
    static server s;
    client c;
    answer a;
    int count = 0;
    ck_assert_int_eq(start(&s), SL_OK);
    dial(&c, s.port);
    say(&c, "GET /hel");
    for (int i = 0; i < 30000 && count == 0; i++, usleep(1000)) on_loop(&s, do_newcomers, &count);
    ck_assert_int_eq(count, 1);
    say(&c, "lo HTTP/1.1\r\nHost: a\r\n\r\n");
    listen_for(&c, &a, false);
    ck_assert_int_eq(a.status, 200);
    forget(&a);
    on_loop(&s, do_newcomers, &count);
    ck_assert_int_eq(count, 0);
    hang_up(&c);
    stop(&s);
}
END_TEST

int main(void) {
    return RUN_TESTS("http/listener", 30, admin_endpoints_have_a_listener_of_their_own, addresses_that_are_refused, six,
                     a_socket_that_is_handed_on_refuses_nobody, sockets_that_are_refused, newcomers_are_counted);
}

#include "fixture.h"

START_TEST(admin_endpoints_have_a_listener_of_their_own) {
    static server s;
    s.config.admin_host = "127.0.0.1";
    ck_assert_int_eq(start(&s), SL_OK);
    ck_assert(s.admin_port > 0 && s.admin_port != s.port);
    ck_assert_int_eq(ask(s.port, "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n", NULL), 404);
    ck_assert_int_eq(ask(s.admin_port, "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n", NULL), 200);
    ck_assert_int_eq(ask(s.admin_port, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", NULL), 404);
    ck_assert_int_eq(ask(s.admin_port, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", NULL), 200);
    stop(&s);
    static server one;
    ck_assert_int_eq(start(&one), SL_OK);
    ck_assert_int_eq(one.admin_port, 0);
    ck_assert_int_eq(ask(one.port, "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n", NULL), 200);
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

int main(void) { return RUN_TESTS("http/listener", 30, admin_endpoints_have_a_listener_of_their_own, addresses_that_are_refused, six); }

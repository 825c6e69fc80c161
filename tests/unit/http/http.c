#include "fixture.h"

static void do_drain(server *s, void *arg) {
    (void)arg;
    sl_http_drain(s->h);
}

static void do_quiesce(server *s, void *arg) {
    (void)arg;
    sl_http_quiesce(s->h);
}

START_TEST(closes_with_whatever_is_open) { /* in every state; the library aborts on a suspended connection */
    static server s;
    ck_assert_int_eq(start(&s), SL_OK);
    static client c[40];
    for (int i = 0; i < 40; i++) {
        dial(&c[i], s.port);
        if (i % 5 == 0) post(&c[i], "/hold", "");
        else if (i % 5 == 1) post(&c[i], "/stream", "");
        else if (i % 5 == 2) say(&c[i], "GET /flood HTTP/1.1\r\nHost: a\r\n\r\n");
        else if (i % 5 == 3) say(&c[i], "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
        else say(&c[i], "GET /hel");
    }
    ck_assert(reaches(&s.holds, 24));
    usleep(50 * 1000);
    stop(&s); /* every over() was called once, or it fails */
    ck_assert_int_eq(atomic_load(&s.gones), 24);
    for (int i = 0; i < 40; i++) hang_up(&c[i]);
}
END_TEST

START_TEST(starts_again_in_one_process) {
    static server s[5];
    int port = 0;
    for (int i = 0; i < 5; i++) {
        s[i].config.port = port; /* the same again, at once */
        ck_assert_msg(start(&s[i]) == SL_OK, "%s", s[i].error.message);
        port = s[i].port;
        ck_assert_int_eq(ask(port, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", NULL), 200);
        stop(&s[i]);
    }
}
END_TEST

START_TEST(a_drain) {
    static server s;
    s.config.admin_host = "127.0.0.1";
    ck_assert_int_eq(start(&s), SL_OK);
    client c, idle;
    answer a;
    dial(&c, s.port);
    post(&c, "/hold", "");
    dial(&idle, s.port);
    say(&idle, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    listen_for(&idle, &a, false);
    ck_assert(!header(&a, "Connection") || strcasecmp(header(&a, "Connection"), "close") != 0);
    forget(&a);
    ck_assert(reaches(&s.holds, 1));
    ck_assert_int_eq(look(&s).live, 1);

    on_loop(&s, do_drain, NULL); /* still answers, also newcomers, and says close */
    ck_assert_int_eq(ask(s.port, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", &a), 200);
    ck_assert_int_eq(strcasecmp(header(&a, "Connection"), "close"), 0);
    forget(&a);
    say(&idle, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    listen_for(&idle, &a, false);
    ck_assert_int_eq(a.status, 200);
    forget(&a);
    ck_assert(hung_up(&idle));
    hang_up(&idle);

    on_loop(&s, do_quiesce, NULL); /* no newcomers; the admin listener goes on; what was accepted is answered */
    look(&s);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s.port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), -1);
    close(fd);
    ck_assert_int_eq(ask(s.admin_port, "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n", NULL), 200);
    on_loop(&s, do_reply, &s.held[0]);
    listen_for(&c, &a, false);
    ck_assert_str_eq(sl_buffer_text(&a.body), "late");
    forget(&a);
    hang_up(&c);
    ck_assert_int_eq(look(&s).live, 0);
    stop(&s);
}
END_TEST

/* On the loop, so that nobody is accepted before the socket is closed. */
static void do_crowd_and_quiesce(server *s, void *arg) {
    client *c = arg;
    for (int i = 0; i < 100; i++) {
        dial(&c[i], s->port);
        say(&c[i], "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    sl_http_quiesce(s->h);
}

START_TEST(a_drain_serves_who_is_connected) { /* Promise 3 */
    static server s;
    static client c[100];
    ck_assert_int_eq(start(&s), SL_OK);
    on_loop(&s, do_crowd_and_quiesce, c);
    for (int i = 0; i < 100; i++) {
        answer a;
        listen_for(&c[i], &a, false);
        ck_assert_int_eq(a.status, 200);
        ck_assert_int_eq(strcasecmp(header(&a, "Connection"), "close"), 0);
        forget(&a);
        hang_up(&c[i]);
    }
    stop(&s);
}
END_TEST

START_TEST(a_storm_of_clients) { /* Promise 3: 400 come and go in every way while one stream gets all of its bytes */
    static server s;
    ck_assert_int_eq(start(&s), SL_OK);
    client quiet, c;
    answer a;
    dial(&quiet, s.port);
    post(&quiet, "/stream", "");
    ck_assert(reaches(&s.holds, 1));
    unsigned seed = 1;
    for (int i = 0; i < 400; i++) {
        static const char *const requests[] = {"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n",
                                               "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
                                               "GET /flood HTTP/1.1\r\nHost: a\r\n\r\n", "GET /hel", "\x16\x03\x01",
                                               "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc"};
        seed = seed * 1103515245 + 12345;
        dial(&c, s.port);
        say(&c, requests[(seed >> 16) % 6]);
        if ((seed >> 20) % 3 == 0) usleep(1000);
        if ((seed >> 22) % 2) reset(&c);
        else hang_up(&c);
        on_loop(&s, do_give, &s.held[0]);
    }
    on_loop(&s, do_end, &s.held[0]);
    listen_for(&quiet, &a, false);
    ck_assert(a.whole && a.body.len == 40000);
    forget(&a);
    hang_up(&quiet);
    for (int i = 0; i < 30000 && look(&s).live > 0; i++) usleep(1000);
    ck_assert_int_eq(look(&s).live, 0);
    ck_assert_int_eq(atomic_load(&s.gones), atomic_load(&s.overs) - 1);
    stop(&s);
}
END_TEST

int main(void) {
    return RUN_TESTS("http/http", 60, closes_with_whatever_is_open, starts_again_in_one_process, a_drain, a_drain_serves_who_is_connected,
                     a_storm_of_clients);
}

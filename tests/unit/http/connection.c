#include "fixture.h"

static server s;

/* In two parts, each followed by more than half of the time. */
static void drip(const char *request) {
    client c;
    size_t half = strlen(request) - 20;
    dial(&c, s.port);
    say_bytes(&c, request, half);
    heard(&s, &c);
    pass(&s, 600);
    ck_assert(still_open(&c));
    say(&c, request + half);
    heard(&s, &c);
    ck_assert(still_open(&c));
    pass(&s, 600);
    ck_assert(hung_up(&c));
    hang_up(&c);
}

#define BYTES "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

/* Keeps the loop busy: deadlines are kept on a busy server too. */
static void *bustle(void *arg) {
    atomic_bool *end = arg;
    while (!atomic_load(end)) {
        ask(s.port, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", NULL);
        usleep(20 * 1000);
    }
    return NULL;
}

START_TEST(a_drip_is_cut) { /* in the request line, the headers and the body; more bytes do not restart the time */
    s.config.header_seconds = 1000;
    ck_assert_int_eq(start(&s), SL_OK);
    atomic_bool end = false;
    pthread_t other;
    pthread_create(&other, NULL, bustle, &end);
    drip("GET /" BYTES BYTES);
    drip("GET / HTTP/1.1\r\nHost: a\r\nX: " BYTES BYTES);
    drip("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 200\r\n\r\n" BYTES);
    atomic_store(&end, true);
    pthread_join(other, NULL);
    for (int i = 0; i < 30000 && look(&s).live > 0; i++) usleep(1000);
    ck_assert_int_eq(look(&s).live, 0);
    stop(&s);
}
END_TEST

START_TEST(a_body_that_does_not_come) {
    s.config.header_seconds = 1000;
    ck_assert_int_eq(start(&s), SL_OK);
    client c;
    dial(&c, s.port);
    say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 200\r\n\r\nabc");
    heard(&s, &c);
    ck_assert_uint_eq(look(&s).body_bytes, 3);
    pass(&s, 2000);
    ck_assert(hung_up(&c));
    ck_assert(reaches(&s.answers, 1));
    ck_assert_int_eq(atomic_load(&s.answered[408]), 1);
    ck_assert_uint_eq(look(&s).body_bytes, 0);
    hang_up(&c);
    stop(&s);
}
END_TEST

START_TEST(idle_connections_are_closed) { /* and each request restarts the time */
    s.config.idle_seconds = 1000;
    ck_assert_int_eq(start(&s), SL_OK);
    client c;
    answer a;
    dial(&c, s.port);
    for (int i = 0; i < 2; i++) {
        say(&c, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        listen_for(&c, &a, false);
        ck_assert_int_eq(a.status, 200);
        forget(&a);
        ck_assert(reaches(&s.answers, i + 1));
        pass(&s, 600);
        ck_assert(still_open(&c));
    }
    pass(&s, 600);
    ck_assert(hung_up(&c));
    hang_up(&c);
    stop(&s);
}
END_TEST

static int hello(client *c) {
    answer a;
    say(c, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    listen_for(c, &a, false);
    forget(&a);
    return a.status;
}

START_TEST(the_oldest_idle_one_makes_room) { /* also where it has never asked, and where it drips its headers */
    static client c[30];
    s.config.connections = 10;
    ck_assert_int_eq(start(&s), SL_OK);
    for (int i = 0; i < 30; i++) {
        dial(&c[i], s.port);
        if (i % 3 == 0) ck_assert_int_eq(hello(&c[i]), 200);
        if (i % 3 == 1) say(&c[i], "GET /hello HTTP/1.1\r\nHost: a\r\nX: y\r\n");
        heard(&s, &c[i]);
    }
    for (int i = 0; i < 20; i++) ck_assert_msg(hung_up(&c[i]), "%d", i);
    for (int i = 20; i < 30; i++) {
        if (i % 3 == 1) say(&c[i], "\r\n");
        else ck_assert_int_eq(hello(&c[i]), 200);
    }
    for (int i = 0; i < 30; i++) hang_up(&c[i]);
    stop(&s);
}
END_TEST

START_TEST(when_all_are_busy) { /* Promise 3: probes are answered, others are told, the busy ones are not disturbed */
    static client c[10];
    client more;
    answer a;
    s.config.connections = 10;
    ck_assert_int_eq(start(&s), SL_OK);
    for (int i = 0; i < 10; i++) {
        dial(&c[i], s.port);
        post(&c[i], "/hold", "");
    }
    ck_assert(reaches(&s.holds, 10));
    for (int i = 0; i < 40; i++) { /* more than there are places beyond the limit */
        dial(&more, s.port);
        if (i % 2) post(&more, "/echo", "abc");
        else say(&more, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        listen_for(&more, &a, false);
        ck_assert_int_eq(a.status, i % 2 ? 503 : 200);
        if (i % 2) ck_assert_ptr_nonnull(header(&a, "Retry-After"));
        ck_assert_int_eq(strcasecmp(header(&a, "Connection"), "close"), 0);
        ck_assert(hung_up(&more));
        forget(&a);
        hang_up(&more);
    }
    static client quiet[40]; /* connect and say nothing: the next one takes their place */
    for (int i = 0; i < 40; i++) dial(&quiet[i], s.port);
    dial(&more, s.port);
    ck_assert_int_eq(hello(&more), 200);
    hang_up(&more);
    for (int i = 0; i < 40; i++) hang_up(&quiet[i]);
    for (int i = 0; i < 10; i++) {
        on_loop(&s, do_reply, &s.held[i]);
        listen_for(&c[i], &a, false);
        ck_assert_str_eq(sl_buffer_text(&a.body), "late");
        forget(&a);
    }
    dial(&more, s.port); /* an idle one makes room: it is served as any */
    post(&more, "/echo", "abc");
    listen_for(&more, &a, false);
    ck_assert_int_eq(a.status, 200);
    forget(&a);
    hang_up(&more);
    for (int i = 0; i < 10; i++) hang_up(&c[i]);
    stop(&s);
}
END_TEST

START_TEST(the_admin_listener_has_its_own_limit) {
    static client c[100];
    client more;
    s.config.admin_host = "127.0.0.1";
    s.config.connections = 10;
    ck_assert_int_eq(start(&s), SL_OK);
    for (int i = 0; i < 100; i++) dial(&c[i], i < 50 ? s.port : s.admin_port);
    dial(&more, s.admin_port);
    ck_assert_int_eq(hello(&more), 200);
    hang_up(&more);
    for (int i = 0; i < 100; i++) hang_up(&c[i]);
    stop(&s);
}
END_TEST

START_TEST(waiting_costs_nothing) { /* held ones, sleeping streams and idle connections: no turn of the loop but the heartbeat */
    ck_assert_int_eq(start(&s), SL_OK);
    static client c[300];
    answer a;
    for (int i = 0; i < 300; i++) {
        dial(&c[i], s.port);
        if (i < 100) post(&c[i], "/hold", "");
        else if (i < 200) post(&c[i], "/stream", "");
        else say(&c[i], "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        if (i < 200) continue;
        listen_for(&c[i], &a, false);
        forget(&a);
    }
    ck_assert(reaches(&s.holds, 200));
    bool rests = false; /* what the clients set off may still go on for a while */
    for (int i = 0; i < 20 && !rests; i++) {
        uint64_t began = sl_clock_ns(), turn = look(&s).turn;
        usleep(1000 * 1000);
        turn = look(&s).turn - turn;
        rests = turn <= 1 + (sl_clock_ns() - began) / (SL_SECOND / 5);
    }
    ck_assert(rests);
    for (int i = 0; i < 300; i++) hang_up(&c[i]);
    ck_assert(reaches(&s.overs, 200));
    stop(&s);
}
END_TEST

int main(void) {
    return RUN_TESTS("http/connection", 60, a_drip_is_cut, a_body_that_does_not_come, idle_connections_are_closed, the_oldest_idle_one_makes_room,
                     when_all_are_busy, the_admin_listener_has_its_own_limit,
                     waiting_costs_nothing);
}

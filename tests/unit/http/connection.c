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

START_TEST(the_limit_recovers) { /* at the limit the library stops listening: those who wait are served when others leave */
    s.config.connections = 10;
    ck_assert_int_eq(start(&s), SL_OK);
    static client c[30];
    answer a;
    for (int i = 0; i < 30; i++) dial(&c[i], s.port);
    for (int i = 0; i < 10; i++) {
        say(&c[i], "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        listen_for(&c[i], &a, false);
        ck_assert_int_eq(a.status, 200);
        forget(&a);
    }
    for (int i = 10; i < 30; i++) say(&c[i], "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    usleep(50 * 1000);
    ck_assert_int_eq(atomic_load(&s.handled), 10);
    for (int i = 0; i < 10; i++) hang_up(&c[i]);
    for (int i = 10; i < 20; i++) {
        listen_for(&c[i], &a, false);
        ck_assert_int_eq(a.status, 200);
        forget(&a);
    }
    for (int i = 10; i < 20; i++) hang_up(&c[i]);
    for (int i = 20; i < 30; i++) {
        listen_for(&c[i], &a, false);
        ck_assert_int_eq(a.status, 200);
        forget(&a);
        hang_up(&c[i]);
    }
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
    return RUN_TESTS("http/connection", 60, a_drip_is_cut, a_body_that_does_not_come, idle_connections_are_closed, the_limit_recovers,
                     waiting_costs_nothing);
}

#include "fixture.h"

static server s;

START_TEST(a_stream_sleeps_and_wakes) {
    ck_assert_int_eq(start(&s), SL_OK);
    client c;
    answer a;
    dial(&c, s.port);
    for (int round = 0; round < 3; round++) { /* three on one connection */
        held *d = &s.held[round];
        post(&c, "/hold", "");
        ck_assert(reaches(&s.holds, round + 1));
        on_loop(&s, do_begin_stream, d);
        for (int i = 0; i < 50; i++) on_loop(&s, do_give, d);
        on_loop(&s, do_end, d);
        listen_for(&c, &a, false);
        ck_assert(a.whole && a.body.len == 5000);
        ck_assert_str_eq(header(&a, "Content-Type"), "text/event-stream");
        ck_assert_str_eq(header(&a, "Cache-Control"), "no-cache");
        ck_assert_str_eq(header(&a, "X-Accel-Buffering"), "no");
        ck_assert_int_eq(headers(&a, "Cache-Control") + headers(&a, "X-Accel-Buffering") + headers(&a, "Content-Type"), 3);
        forget(&a);
        ck_assert(reaches(&s.overs, round + 1));
        ck_assert(!d->gone);
    }
    hang_up(&c);
    stop(&s);
}
END_TEST

START_TEST(old_clients_get_the_stream_until_the_close) {
    ck_assert_int_eq(start(&s), SL_OK);
    client c;
    answer a;
    dial(&c, s.port);
    say(&c, "POST /stream HTTP/1.0\r\nContent-Length: 0\r\n\r\n");
    ck_assert(reaches(&s.holds, 1));
    on_loop(&s, do_give, &s.held[0]);
    on_loop(&s, do_end, &s.held[0]);
    listen_for(&c, &a, false);
    ck_assert_ptr_null(header(&a, "Transfer-Encoding"));
    ck_assert_uint_eq(a.body.len, 100);
    forget(&a);
    hang_up(&c);
    stop(&s);
}
END_TEST

static void copy_held(server *from, void *arg) { *(held *)arg = from->held[0]; }

START_TEST(a_long_page_does_not_hold_the_loop) { /* Promise 3: who reads fast gets no more than its share of a turn */
    ck_assert_int_eq(start(&s), SL_OK);
    client c;
    dial(&c, s.port);
    say(&c, "GET /flood HTTP/1.1\r\nHost: a\r\n\r\n");
    sl_buffer b = {0};
    ck_assert(take(&c, 8 << 20, &b));
    sl_buffer_done(&b);
    held flood;
    on_loop(&s, copy_held, &flood);
    ck_assert_uint_ge(flood.filled, 8 << 20);
    ck_assert_uint_le(flood.most_in_turn, 33 << 10); /* 32 KiB and what the last call gave beyond it */
    hang_up(&c);
    stop(&s);
}
END_TEST

/* Waits until the first held exchange gives nothing more, though the loop turns; returns what it gave. */
static size_t stalled(void) {
    held before, after;
    on_loop(&s, copy_held, &after);
    do {
        before = after;
        uint64_t turn = look(&s).turn;
        while (look(&s).turn < turn + 3) usleep(10 * 1000);
        on_loop(&s, copy_held, &after);
    } while (after.filled > before.filled);
    return after.filled;
}

START_TEST(a_slow_reader_is_bounded) { /* Promise 3: what waits for it is little, and others are served meanwhile */
    ck_assert_int_eq(start(&s), SL_OK);
    client c;
    answer a;
    dial(&c, s.port);
    say(&c, "GET /flood HTTP/1.1\r\nHost: a\r\n\r\n");
    ck_assert(reaches(&s.holds, 1));
    ck_assert_uint_lt(stalled(), 16 << 20); /* the two sockets' buffers and 32 KiB */
    ck_assert_int_eq(ask(s.port, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n", &a), 200);
    ck_assert_uint_eq(a.body.len, 8 << 20);
    forget(&a);
    hang_up(&c);
    stop(&s);
}
END_TEST

START_TEST(a_reader_that_never_catches_up_is_cut) { /* a byte now and then restarts the library's own timeout */
    s.config.idle_seconds = 1000;
    ck_assert_int_eq(start(&s), SL_OK);
    client c;
    dial(&c, s.port);
    say(&c, "GET /flood HTTP/1.1\r\nHost: a\r\n\r\n");
    ck_assert(reaches(&s.holds, 1));
    stalled();
    ck_assert_int_eq(atomic_load(&s.overs), 0);
    for (int i = 0; i < 100 && !atomic_load(&s.overs); i++) { /* 32 KiB, what it must take in 1000 s, takes 4800 s */
        char some[4096];
        recv(c.fd, some, sizeof some, MSG_DONTWAIT);
        pass(&s, 600);
    }
    ck_assert(reaches(&s.overs, 1) && s.held[0].gone);
    hang_up(&c);
    stop(&s);
}
END_TEST

static void do_set_timeout(server *v, void *arg) { /* the library's own, of the first two */
    for (int i = 0; i < 2; i++) MHD_set_connection_option(v->held[i].x->mhd, MHD_CONNECTION_OPTION_TIMEOUT, *(unsigned *)arg);
}

START_TEST(a_sleeping_stream_is_not_cut) {
    ck_assert_int_eq(start(&s), SL_OK);
    client c, d;
    answer a;
    dial(&c, s.port);
    post(&c, "/stream", "");
    dial(&d, s.port);
    post(&d, "/hold", "");
    ck_assert(reaches(&s.holds, 2));
    held *first = &s.held[0], *second = &s.held[1];
    pass(&s, 100000);
    on_loop(&s, do_set_timeout, &(unsigned){1});
    usleep(2500 * 1000);
    ck_assert_int_eq(atomic_load(&s.gones), 0);
    on_loop(&s, do_set_timeout, &(unsigned){1000});
    on_loop(&s, do_give, first);
    on_loop(&s, do_end, first);
    on_loop(&s, do_reply, second);
    on_loop(&s, do_end, second);
    listen_for(&c, &a, false);
    ck_assert(a.whole && a.body.len == 100);
    forget(&a);
    listen_for(&d, &a, false);
    ck_assert_str_eq(sl_buffer_text(&a.body), "late");
    forget(&a);
    ck_assert_int_eq(atomic_load(&s.gones), 0);
    hang_up(&c);
    hang_up(&d);
    stop(&s);
}
END_TEST

static void do_fail_soon(server *v, void *arg) {
    (void)v;
    sl_alloc_fail_at((long)(intptr_t)arg);
}

START_TEST(memory_runs_out) { /* at each allocation of a request once: 503, 500 or a close, and the next one is served */
    ck_assert_int_eq(start(&s), SL_OK);
    for (intptr_t n = 1; n <= 12; n++) {
        client c;
        answer a;
        on_loop(&s, do_fail_soon, (void *)n);
        dial(&c, s.port);
        post(&c, "/echo", "0123456789");
        listen_for(&c, &a, false);
        sl_alloc_fail_at(0);
        ck_assert_msg(a.status == 200 || a.status == 503 || a.status == 500 || a.status == 0, "%d: %d", (int)n, a.status);
        if (a.status == 200 && !a.body.failed) ck_assert_str_eq(sl_buffer_text(&a.body), "0123456789"); /* the client allocates too */
        if (a.status == 503 && !a.body.failed) ck_assert_ptr_nonnull(strstr(sl_buffer_text(&a.body), "\"error\""));
        forget(&a);
        hang_up(&c);
        ck_assert_int_eq(ask(s.port, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", NULL), 200);
    }
    ck_assert_uint_eq(look(&s).body_bytes, 0);
    stop(&s);
}
END_TEST

int main(void) {
    return RUN_TESTS("http/answer", 60, a_stream_sleeps_and_wakes, old_clients_get_the_stream_until_the_close,
                     a_long_page_does_not_hold_the_loop, a_slow_reader_is_bounded, a_reader_that_never_catches_up_is_cut,
                     a_sleeping_stream_is_not_cut, memory_runs_out);
}

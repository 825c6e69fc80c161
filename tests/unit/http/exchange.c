#include "fixture.h"

static server s;

static void begin(void) { ck_assert_int_eq(start(&s), SL_OK); }

/* A client that hangs up while its exchange is held: gone, done, and nothing else is disturbed. */
START_TEST(hang_up_while_held) { /* Promise 3 */
    begin();
    client c;
    for (int i = 0; i < 3; i++) {
        dial(&c, s.port);
        post(&c, "/hold", "body");
        ck_assert(reaches(&s.holds, i + 1));
        if (i == 0) hang_up(&c);
        else if (i == 1) reset(&c);
        else shutdown(c.fd, SHUT_WR); /* half a close counts as a hang-up */
        ck_assert(reaches(&s.overs, i + 1));
        ck_assert_int_eq(atomic_load(&s.gones), i + 1);
        ck_assert(s.held[i].gone);
        on_loop(&s, do_reply, &s.held[i]); /* a late answer finds nobody */
        if (i == 2) hang_up(&c);
    }
    ck_assert_int_eq(atomic_load(&s.answered[499]), 3);
    ck_assert_int_eq(look(&s).live, 0);
    stop(&s);
}
END_TEST

START_TEST(hang_up_in_the_body) {
    begin();
    client c;
    dial(&c, s.port);
    say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc");
    heard(&s, &c);
    ck_assert_uint_eq(look(&s).body_bytes, 3);
    hang_up(&c);
    ck_assert(reaches(&s.answers, 1));
    ck_assert_int_eq(atomic_load(&s.answered[499]), 1);
    ck_assert_int_eq(atomic_load(&s.handled), 0);
    sl_http h = look(&s);
    ck_assert(h.body_bytes == 0 && h.live == 0);
    stop(&s);
}
END_TEST

START_TEST(hang_up_while_streaming) { /* Promise 3: asleep between events, and blocked in a write */
    begin();
    client c;
    dial(&c, s.port);
    post(&c, "/stream", "");
    ck_assert(reaches(&s.holds, 1));
    on_loop(&s, do_give, &s.held[0]);
    char line[256];
    for (int i = 0; i < 1000; i++) {
        if (take_line(&c, line, sizeof line) && strcmp(line, "64\r\n") == 0) break;
        ck_assert_int_lt(i, 100);
    }
    hang_up(&c);
    ck_assert(reaches(&s.overs, 1) && s.held[0].gone);

    dial(&c, s.port);
    say(&c, "GET /flood HTTP/1.1\r\nHost: a\r\n\r\n");
    ck_assert(reaches(&s.holds, 2));
    usleep(100 * 1000);
    hang_up(&c);
    ck_assert(reaches(&s.overs, 2) && s.held[1].gone);
    stop(&s);
}
END_TEST

START_TEST(answers_that_come_later_and_at_once) {
    begin();
    client c;
    answer a;
    dial(&c, s.port);
    for (int i = 0; i < 3; i++) { /* on one connection */
        post(&c, "/hold", "x");
        ck_assert(reaches(&s.holds, 2 * i + 1));
        on_loop(&s, do_reply, &s.held[2 * i]);
        listen_for(&c, &a, false);
        ck_assert_str_eq(sl_buffer_text(&a.body), "late");
        forget(&a);
        post(&c, "/both", "x");
        listen_for(&c, &a, false);
        ck_assert_str_eq(sl_buffer_text(&a.body), "both");
        forget(&a);
        ck_assert(reaches(&s.overs, 2 * i + 2));
    }
    ck_assert_int_eq(atomic_load(&s.gones), 0);
    hang_up(&c);
    stop(&s);
}
END_TEST

START_TEST(twenty_requests_in_one_packet) {
    begin();
    client c;
    answer a;
    char text[4096] = "";
    for (int i = 0; i < 20; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "POST /%s HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n%02d",
                 i % 2 ? "take" : "echo", i);
    dial(&c, s.port);
    say(&c, text);
    for (int i = 0; i < 20; i++) {
        char want[4];
        snprintf(want, sizeof want, "%02d", i);
        listen_for(&c, &a, false);
        ck_assert_str_eq(sl_buffer_text(&a.body), want);
        forget(&a);
    }
    hang_up(&c);
    ck_assert_uint_eq(look(&s).body_bytes, 0);
    stop(&s);
}
END_TEST

START_TEST(bodies_in_chunks) {
    begin();
    client c;
    answer a;
    dial(&c, s.port);
    say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n");
    usleep(20 * 1000);
    say(&c, "2\r\nde\r\n0\r\nTrailer: t\r\n\r\n");
    listen_for(&c, &a, false);
    ck_assert_str_eq(sl_buffer_text(&a.body), "abcde");
    forget(&a);
    say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    listen_for(&c, &a, false);
    ck_assert(a.status == 200 && a.whole && a.body.len == 0);
    forget(&a);
    hang_up(&c);
    stop(&s);
}
END_TEST

START_TEST(bodies_that_are_too_large) {
    s.config.body_limit = 1000;
    begin();
    client c;
    answer a;
    dial(&c, s.port); /* told before the body is sent */
    say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n");
    listen_for(&c, &a, false);
    ck_assert_int_eq(a.status, 413);
    ck_assert_ptr_nonnull(strstr(sl_buffer_text(&a.body), "1000 bytes"));
    forget(&a);
    hang_up(&c);

    char part[300];
    memset(part, 'x', sizeof part);
    for (int size = 900; size <= 1200; size += 300) { /* of unknown length: 900 and 1200 bytes */
        dial(&c, s.port);
        say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (int i = 0; i < size; i += 300) {
            say(&c, "12c\r\n");
            say_bytes(&c, part, sizeof part);
            say(&c, "\r\n");
        }
        say(&c, "0\r\n\r\n");
        listen_for(&c, &a, false);
        ck_assert_int_eq(a.status, size > 1000 ? 413 : 200);
        forget(&a);
        hang_up(&c);
    }
    ck_assert_int_eq(ask(s.port, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999999999\r\n\r\n", NULL), 413);
    dial(&c, s.port); /* what is refused early: told when the body has been sent, and the connection goes on */
    for (const char *const *path = (const char *const[]){"/echo", "/not-there", NULL}; *path; path++) {
        char head[100];
        snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 1200\r\n\r\n", *path);
        say(&c, head);
        for (int i = 0; i < 4; i++) say_bytes(&c, part, sizeof part);
        listen_for(&c, &a, false);
        ck_assert_int_eq(a.status, strcmp(*path, "/echo") ? 404 : 413);
        forget(&a);
    }
    say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    listen_for(&c, &a, false);
    ck_assert_int_eq(a.status, 200);
    forget(&a);
    hang_up(&c);
    ck_assert_int_eq(atomic_load(&s.handled), 2);
    ck_assert_uint_eq(look(&s).body_bytes, 0);
    stop(&s);
}
END_TEST

START_TEST(a_body_that_is_announced) {
    begin();
    client c;
    answer a;
    char line[64];
    dial(&c, s.port);
    say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    ck_assert(take_line(&c, line, sizeof line));
    ck_assert_str_eq(line, "HTTP/1.1 100 Continue\r\n");
    say(&c, "abc");
    listen_for(&c, &a, false); /* begins at the empty line of the 100 */
    if (a.status == 0) listen_for(&c, &a, false);
    ck_assert_str_eq(sl_buffer_text(&a.body), "abc");
    forget(&a);
    hang_up(&c);
    stop(&s);
}
END_TEST

START_TEST(headers_that_are_too_large) {
    begin();
    client c;
    answer a;
    static char text[70000];
    for (int way = 0; way < 3; way++) {
        if (way == 0) { /* one of 60 KB */
            strcpy(text, "GET /hello HTTP/1.1\r\nHost: a\r\nX: ");
            memset(text + strlen(text), 'x', 60000);
            strcat(text, "\r\n\r\n");
        } else if (way == 1) { /* a target of 40 KB */
            memset(text, 0, sizeof text);
            strcpy(text, "GET /");
            memset(text + strlen(text), 'x', 40000);
            strcat(text, " HTTP/1.1\r\nHost: a\r\n\r\n");
        } else { /* very many */
            strcpy(text, "GET /hello HTTP/1.1\r\nHost: a\r\n");
            for (char *p = text + strlen(text); p < text + 60000; p += 6) strcpy(p, "X: y\r\n");
            strcat(text, "\r\n");
        }
        dial(&c, s.port);
        say(&c, text);
        listen_for(&c, &a, false);
        ck_assert_msg(a.status == (way == 1 ? 414 : 431), "%d: %d", way, a.status);
        forget(&a);
        hang_up(&c);
        memset(text, 0, sizeof text);
    }
    ck_assert_int_eq(ask(s.port, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", NULL), 200);
    stop(&s);
}
END_TEST

int main(void) {
    return RUN_TESTS("http/exchange", 60, hang_up_while_held, hang_up_in_the_body, hang_up_while_streaming,
                     answers_that_come_later_and_at_once, twenty_requests_in_one_packet, bodies_in_chunks, bodies_that_are_too_large,
                     a_body_that_is_announced, headers_that_are_too_large);
}

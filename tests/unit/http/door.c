#include "fixture.h"

static int verdict(const char *text) {
    sl__door_head head;
    switch (sl__door_read(text, strlen(text), &head)) {
    case SL__DOOR_MORE: return 0;
    case SL__DOOR_GOOD: return 200;
    case SL__DOOR_BAD: ck_assert(head.wrong && head.wrong[0]); return head.status;
    }
    return -1;
}

START_TEST(heads) {
    ck_assert_int_eq(verdict("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
    ck_assert_int_eq(verdict("GET / HTTP/1.0\r\n\r\n"), 200);
    ck_assert_int_eq(verdict("\r\n\r\nPOST /x HTTP/1.1\r\nhost:a\r\nX:\ttab\tand \xC3\xA9 \r\nContent-Length: 3\r\n\r\nabc\nd"), 200);
    ck_assert_int_eq(verdict("GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
    static const struct {
        const char *text;
        int status;
    } bad[] = {
        {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
        {"GET /\r\n\r\n", 400},
        {"GET / HTTP/1.1x\r\n", 400},
        {"GET / FTP/1.1\r\n", 400},
        {"GET  HTTP/1.1\r\n", 400},
        {" / HTTP/1.1\r\n", 400},
        {"GARBAGE\r\n", 400},
        {"GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\n\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"\x16\x03\x01\x02", 400}, /* TLS */
        {"GET /a\x01 HTTP/1.1\r\n", 400},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(verdict(bad[i].text) == bad[i].status, "%s: %d", bad[i].text, verdict(bad[i].text));
    const char nul[] = "GET /li\0vez HTTP/1.1\r\nHost: a\r\n\r\n";
    sl__door_head head;
    ck_assert_int_eq(sl__door_read(nul, sizeof nul - 1, &head), SL__DOOR_BAD);
    /* Every beginning of a good head, in a block of its own so that a sanitizer sees a byte too many. */
    const char good[] = "POST /x HTTP/1.1\r\nHost: a\r\nX-Request-Id: abc\r\nContent-Length: 3\r\nContent-Encoding: identity\r\n\r\n";
    for (size_t n = 0; n <= strlen(good); n++) {
        char *copy = malloc(n ? n : 1);
        memcpy(copy, good, n);
        ck_assert_int_eq(sl__door_read(copy, n, &head), n == strlen(good) ? SL__DOOR_GOOD : SL__DOOR_MORE);
        free(copy);
    }
    ck_assert_str_eq(head.id, "abc");
}
END_TEST

START_TEST(heads_that_are_too_large) {
    static char text[SL__HTTP_HEAD + 1];
    sl__door_head head;
    strcpy(text, "GET /");
    memset(text + 5, 'x', sizeof text - 5);
    ck_assert_int_eq(sl__door_read(text, sizeof text - 1, &head), SL__DOOR_MORE);
    ck_assert_int_eq(sl__door_read(text, sizeof text, &head), SL__DOOR_BAD);
    ck_assert_int_eq(head.status, 414);
    memcpy(text, "GET / HTTP/1.1\r\nX:", 18);
    ck_assert_int_eq(sl__door_read(text, sizeof text, &head), SL__DOOR_BAD);
    ck_assert_int_eq(head.status, 431);
    memcpy(text + SL__HTTP_TARGET + 100, " HTTP/1.1\r\n", 11);
    memcpy(text, "GET /xxxxxxxxxxxxx", 18);
    ck_assert_int_eq(sl__door_read(text, sizeof text, &head), SL__DOOR_BAD);
    ck_assert_int_eq(head.status, 414);
}
END_TEST

static server s;

/* In JSON, with an id, once, counted, told to the log. */
START_TEST(what_the_library_would_say_in_html) {
    static char large[70000];
    answer a;
    client c;
    memset(large, 'x', sizeof large - 1);
    const char *const requests[] = {
        "GET / HTTP/2.0\r\nHost: a\r\nX-Request-Id: mine\r\n\r\n", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nabc",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", "GET /hello HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        "GARBAGE\r\n\r\n", "GET /hello HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", "GET /hello HTTP/1.1\nHost: a\n\n", "\x16\x03\x01\x02\x01"};
    ck_assert_int_eq(start(&s), SL_OK);
    for (size_t i = 0; i < sizeof requests / sizeof *requests + 2; i++) {
        dial(&c, s.port);
        if (i < sizeof requests / sizeof *requests) {
            say(&c, requests[i]);
        } else {
            say(&c, i % 2 ? "GET /" : "GET /hello HTTP/1.1\r\nHost: a\r\nX: ");
            say(&c, large);
            say(&c, i % 2 ? " HTTP/1.1\r\n\r\n" : "\r\n\r\n");
        }
        listen_for(&c, &a, false);
        ck_assert_msg(a.status >= 400 && a.whole, "%zu: %s", i, a.head);
        ck_assert_str_eq(header(&a, "Content-Type"), "application/json");
        ck_assert_ptr_nonnull(strstr(sl_buffer_text(&a.body), "{\"error\":"));
        ck_assert_ptr_nonnull(header(&a, "Date"));
        ck_assert_int_eq(headers(&a, "X-Request-Id"), 1);
        if (i == 0) ck_assert_str_eq(header(&a, "X-Request-Id"), "mine");
        ck_assert_msg(hung_up(&c), "%zu", i); /* and nothing follows */
        ck_assert(reaches(&s.answers, (int)i + 1));
        ck_assert_str_eq(s.last_id, header(&a, "X-Request-Id"));
        ck_assert_int_ge(atomic_load(&s.answered[a.status]), 1);
        forget(&a);
        hang_up(&c);
    }
    ck_assert_int_eq(atomic_load(&s.handled), 0);
    stop(&s);
}
END_TEST

START_TEST(a_head_byte_by_byte) { /* reaches the library in one piece, and began with its first byte */
    const char *head = "\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
    client c;
    answer a;
    ck_assert_int_eq(start(&s), SL_OK);
    dial(&c, s.port);
    heard(&s, &c);
    uint64_t connected = sl_clock_ns();
    say_bytes(&c, head, 1);
    heard(&s, &c);
    uint64_t first = sl_clock_ns();
    for (size_t i = 1; i < strlen(head); i++) {
        say_bytes(&c, head + i, 1);
        heard(&s, &c);
    }
    say(&c, "abc");
    listen_for(&c, &a, false);
    ck_assert_str_eq(sl_buffer_text(&a.body), "abc");
    ck_assert(s.arrived >= connected && s.arrived <= first);
    forget(&a);
    hang_up(&c);
    stop(&s);
}
END_TEST

START_TEST(guests_that_leave) {
    client c[6];
    ck_assert_int_eq(start(&s), SL_OK);
    for (int i = 0; i < 6; i++) {
        dial(&c[i], s.port);
        if (i % 3 == 1) say(&c[i], "GET /hel");
        if (i % 3 == 2) say(&c[i], "GARBAGE\r\n");
        if (i % 3 < 2) heard(&s, &c[i]);
        if (i < 3) hang_up(&c[i]);
        else reset(&c[i]);
    }
    for (int i = 0; i < 30000 && look(&s).connections; i++) usleep(1000);
    ck_assert_ptr_null(look(&s).connections);
    ck_assert_int_eq(look(&s).listeners[0].open, 0);
    dial(&c[0], s.port); /* a refused one that goes on sending is read, but not for ever */
    say(&c[0], "GARBAGE\r\n");
    answer a;
    listen_for(&c[0], &a, false);
    ck_assert_int_eq(a.status, 400);
    forget(&a);
    say(&c[0], "more and more");
    pass(&s, 10);
    for (int i = 0; i < 30000 && look(&s).connections; i++) usleep(1000);
    ck_assert_ptr_null(look(&s).connections);
    hang_up(&c[0]);
    stop(&s);
}
END_TEST

START_TEST(later_requests_are_counted_too) { /* the library answers them in its own words */
    static const char *const paths[] = {"/hello", "/echo"};
    static const struct {
        const char *request;
        int status, slot;
    } later[] = {{"GET /hello HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400, -1},
                 {"GET /hello HTTP/2.0\r\nHost: a\r\n\r\n", 505, -1},
                 {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, 1}};
    sl_metrics_config m = {.endpoints = paths, .endpoint_count = 2, .model = "", .family = "", .type = "", .version = "", .tier = "", .kv_type = ""};
    sl_metrics *metrics;
    ck_assert_int_eq(sl_metrics_new(&m, &metrics, NULL), SL_OK);
    s.metrics = metrics;
    ck_assert_int_eq(start(&s), SL_OK);
    for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
        client c;
        answer a;
        dial(&c, s.port);
        say(&c, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        listen_for(&c, &a, false);
        forget(&a);
        say(&c, later[i].request);
        listen_for(&c, &a, false);
        ck_assert_int_eq(a.status, later[i].status);
        forget(&a);
        hang_up(&c);
        int slot = sl_metrics_request_slot(metrics, later[i].slot >= 0 ? paths[later[i].slot] : NULL, later[i].status);
        double count = 0;
        for (int j = 0; j < 30000 && count < 1; j++) {
            look(&s);
            count = sl_metrics_get(metrics, SL_METRIC_REQUESTS, slot);
            if (count < 1) usleep(1000);
        }
        ck_assert_double_eq(count, 1);
    }
    ck_assert_double_eq(sl_metrics_get(metrics, SL_METRIC_REJECTED, SL_REJECT_BAD_REQUEST), 3);
    stop(&s);
    sl_metrics_free(metrics);
}
END_TEST

int main(void) {
    return RUN_TESTS("http/door", 60, heads, heads_that_are_too_large, what_the_library_would_say_in_html, a_head_byte_by_byte,
                     guests_that_leave, later_requests_are_counted_too);
}

#include "fixture.h"

START_TEST(paths_and_methods) {
    static server s;
    answer a;
    ck_assert_int_eq(start(&s), SL_OK);
    ck_assert_int_eq(ask(s.port, "GET /rest/a%2Fb/c?x=1&q=%41+b HTTP/1.1\r\nHost: a\r\n\r\n", &a), 200);
    ck_assert_str_eq(sl_buffer_text(&a.body), "a/b/c|A b|GET");
    forget(&a);
    ck_assert_int_eq(ask(s.port, "GET /rest/ HTTP/1.1\r\nHost: a\r\n\r\n", NULL), 404);
    ck_assert_int_eq(ask(s.port, "GET /rest/%zz HTTP/1.1\r\nHost: a\r\n\r\n", NULL), 400);
    ck_assert_int_eq(ask(s.port, "GET /hello/ HTTP/1.1\r\nHost: a\r\n\r\n", NULL), 404);
    ck_assert_int_eq(ask(s.port, "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", NULL), 500);
    for (const char *const *m = (const char *const[]){"GET", "DELETE", "OPTIONS", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", NULL}; *m; m++) {
        char text[128];
        snprintf(text, sizeof text, "%s /echo HTTP/1.1\r\nHost: a\r\n\r\n", *m);
        ck_assert_int_eq(ask(s.port, text, &a), 405);
        ck_assert_str_eq(header(&a, "Allow"), "POST");
        ck_assert_ptr_null(header(&a, "Access-Control-Allow-Origin"));
        forget(&a);
    }
    ck_assert_int_eq(ask(s.port, "POST /stream2 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd", NULL), 404);
    ck_assert_int_eq(ask(s.port, "PUT /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd", &a), 405);
    ck_assert_str_eq(header(&a, "Allow"), "POST, GET, HEAD");
    forget(&a);
    stop(&s);
}
END_TEST

START_TEST(head_has_the_headers_alone) {
    static server s;
    answer a;
    client c;
    ck_assert_int_eq(start(&s), SL_OK);
    dial(&c, s.port);
    for (const char *const *p = (const char *const[]){"/hello", "/stream", "/flood", "/large", "/hello", NULL}; *p; p++) {
        char text[128];
        snprintf(text, sizeof text, "HEAD %s HTTP/1.1\r\nHost: a\r\n\r\n", *p);
        say(&c, text);
        listen_for(&c, &a, true); /* a body would be taken for the next answer's head */
        ck_assert_msg(a.status == 200, "%s: %s", *p, a.head);
        if (!strcmp(*p, "/hello")) ck_assert_str_eq(header(&a, "Content-Length"), "5");
    }
    hang_up(&c);
    ck_assert(reaches(&s.overs, 2));
    ck_assert_int_eq(atomic_load(&s.gones), 0);
    stop(&s);
}
END_TEST

START_TEST(request_ids_are_taken_or_made) {
    static server s;
    answer a;
    ck_assert_int_eq(start(&s), SL_OK);
    ck_assert_int_eq(ask(s.port, "GET /hello HTTP/1.1\r\nHost: a\r\nX-Request-Id: abc-1\r\n\r\n", &a), 200);
    ck_assert_str_eq(header(&a, "X-Request-Id"), "abc-1");
    ck_assert_int_eq(headers(&a, "X-Request-Id"), 1);
    forget(&a);
    ck_assert_int_eq(ask(s.port, "GET /hello HTTP/1.1\r\nHost: a\r\nX-Request-Id: a\"b c\r\n\r\n", &a), 200);
    ck_assert_uint_eq(strlen(header(&a, "X-Request-Id")), 32);
    forget(&a);
    stop(&s);
}
END_TEST

START_TEST(other_origins_only_if_asked_for) {
    static server s;
    answer a;
    s.config.cors_origin = "https://a.example";
    ck_assert_int_eq(start(&s), SL_OK);
    ck_assert_int_eq(ask(s.port, "OPTIONS /echo HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\n\r\n", &a), 204);
    ck_assert_str_eq(header(&a, "Access-Control-Allow-Methods"), "POST, OPTIONS");
    ck_assert_str_eq(header(&a, "Access-Control-Allow-Origin"), "https://a.example");
    ck_assert_str_eq(header(&a, "Vary"), "Origin");
    forget(&a);
    ck_assert_int_eq(ask(s.port, "GET /hello HTTP/1.1\r\nHost: a\r\nOrigin: https://b.example\r\n\r\n", &a), 200);
    ck_assert_str_eq(header(&a, "Access-Control-Allow-Origin"), "https://a.example");
    ck_assert_ptr_null(header(&a, "Access-Control-Allow-Credentials"));
    forget(&a);
    stop(&s);
}
END_TEST

START_TEST(arrival_is_before_the_body_and_after_the_idle_time) {
    static server s;
    client c;
    answer a;
    ck_assert_int_eq(start(&s), SL_OK);
    dial(&c, s.port);
    for (int i = 0; i < 2; i++) { /* the second on the same connection */
        uint64_t before = sl_clock_ns();
        say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n");
        heard(&s, &c);
        uint64_t head = sl_clock_ns();
        usleep(1000);
        say(&c, "abc");
        listen_for(&c, &a, false);
        ck_assert_int_eq(a.status, 200);
        ck_assert(s.arrived >= before && s.arrived <= head);
        forget(&a);
    }
    hang_up(&c);
    stop(&s);
}
END_TEST

int main(void) {
    return RUN_TESTS("http/request", 30, paths_and_methods, head_has_the_headers_alone, request_ids_are_taken_or_made,
                     other_origins_only_if_asked_for, arrival_is_before_the_body_and_after_the_idle_time);
}

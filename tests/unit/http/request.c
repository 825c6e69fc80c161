#include "fixture.h"

static void do_serve(server *s, void *arg) {
    (void)arg;
    sl_http_serve(s->h, NULL);
}

START_TEST(paths_and_methods) {
    static server s;
    answer a;
    ck_assert_int_eq(start(&s), SL_OK);
    ck_assert_int_eq(ask(s.port, "GET /rest/a%2Fb/c?x=1&q=%41+b HTTP/1.1\r\nHost: a\r\n\r\n", &a), 200);
    ck_assert_str_eq(sl_buffer_text(&a.body), "a/b/c|A b|GET");
    forget(&a);
    ck_assert_int_eq(ask(s.port, "GET /rest/ HTTP/1.1\r\nHost: a\r\n\r\n", NULL), 404);
    ck_assert_int_eq(ask(s.port, "GET /rest/%zz HTTP/1.1\r\nHost: a\r\n\r\n", NULL), 400);
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
    for (const char *const *p = (const char *const[]){"/hello", "/large", "/stream", "/flood", "/hello", NULL}; *p; p++) {
        char text[128];
        snprintf(text, sizeof text, "HEAD %s HTTP/1.1\r\nHost: a\r\n\r\n", *p);
        say(&c, text);
        listen_for(&c, &a, true); /* a body would be taken for the next answer's head */
        ck_assert_msg(a.status == 200, "%s: %s", *p, a.head);
        if (!strcmp(*p, "/hello")) ck_assert_str_eq(header(&a, "Content-Length"), "5");
        if (!strcmp(*p, "/large")) ck_assert_str_eq(header(&a, "Content-Length"), "8388608");
        if (!strcmp(*p, "/flood") || !strcmp(*p, "/stream")) {
            ck_assert_ptr_null(header(&a, "Content-Length")); /* a GET has none either */
            ck_assert(hung_up(&c));
            hang_up(&c);
            dial(&c, s.port);
        }
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

START_TEST(a_slash_at_the_end_and_whole_urls) {
    static server s;
    answer a;
    ck_assert_int_eq(start(&s), SL_OK);
    for (const char *const *t = (const char *const[]){"/hello/", "/hello/?x", "http://a/hello", "http://a:80/hello/",
                                                      "HTTPS://A/hello?x", NULL}; *t; t++) {
        char text[128];
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", *t);
        ck_assert_msg(ask(s.port, text, NULL) == 200, "%s", *t);
    }
    for (const char *const *t = (const char *const[]){"/hello//", "//hello", "/", "http://a", "http://a/", "http://a//hello", NULL}; *t; t++) {
        char text[128];
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", *t);
        ck_assert_msg(ask(s.port, text, NULL) == 404, "%s", *t);
    }
    for (const char *const *t = (const char *const[]){"http:///hello", "http://u@a/hello", "ftp://a/hello", "hello", "a:80",
                                                      "http:/hello", NULL}; *t; t++) {
        char text[128];
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", *t);
        ck_assert_msg(ask(s.port, text, NULL) == 400, "%s", *t);
    }
    ck_assert_int_eq(ask(s.port, "GET http://a/rest/b/?q=1 HTTP/1.1\r\nHost: a\r\n\r\n", &a), 200);
    ck_assert_str_eq(sl_buffer_text(&a.body), "b|1|GET");
    forget(&a);
    stop(&s);
}
END_TEST

START_TEST(encoded_bodies_are_refused_by_name) {
    static server s;
    answer a;
    ck_assert_int_eq(start(&s), SL_OK);
    for (const char *const *v = (const char *const[]){"gzip", "br", "identity, gzip", "GZip", NULL}; *v; v++) {
        char text[160];
        snprintf(text, sizeof text, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Encoding: %s\r\nContent-Length: 3\r\n\r\nabc", *v);
        ck_assert_int_eq(ask(s.port, text, &a), 415);
        ck_assert_str_eq(header(&a, "Accept-Encoding"), "identity");
        ck_assert_ptr_nonnull(strstr(sl_buffer_text(&a.body), "Content-Encoding"));
        ck_assert_ptr_nonnull(strstr(sl_buffer_text(&a.body), *v));
        forget(&a);
    }
    ck_assert_int_eq(ask(s.port, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc", NULL), 200);
    ck_assert_int_eq(ask(s.port, "GET /hello HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\n\r\n", NULL), 200); /* no body */
    stop(&s);
}
END_TEST

START_TEST(only_public_endpoints_while_loading) {
    static server s;
    answer a;
    s.loading = true;
    ck_assert_int_eq(start(&s), SL_OK);
    ck_assert_int_eq(ask(s.port, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", NULL), 200);
    ck_assert_int_eq(ask(s.port, "GET /secret HTTP/1.1\r\nHost: a\r\n\r\n", &a), 503);
    ck_assert_ptr_nonnull(strstr(sl_buffer_text(&a.body), "loading"));
    ck_assert_str_eq(header(&a, "Retry-After"), "1");
    forget(&a);
    on_loop(&s, do_serve, NULL);
    ck_assert_int_eq(ask(s.port, "GET /secret HTTP/1.1\r\nHost: a\r\n\r\n", NULL), 200);
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
                     a_slash_at_the_end_and_whole_urls, encoded_bodies_are_refused_by_name,
                     only_public_endpoints_while_loading, arrival_is_before_the_body_and_after_the_idle_time);
}

#include "fixture.h"

START_TEST(names_of_this_machine) {
    for (const char *const *h = (const char *const[]){"localhost", "LOCALHOST:8080", "localhost.", "localhost.:80", "127.0.0.1", "127.0.0.1:1",
                                                      "127.255.3.4", "127.1", "[::1]", "[::1]:8080", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]",
                                                      "", NULL};
         *h; h++)
        ck_assert_msg(sl__host_loopback(*h), "%s", *h);
    ck_assert(sl__host_loopback(NULL)); /* HTTP/1.0 */
    for (const char *const *h = (const char *const[]){"evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "evil-localhost",
                                                      "localhostx", "10.0.0.1", "192.168.0.1:8080", "0.0.0.0", "[::2]", "[fe80::1]", "[::]",
                                                      "128.0.0.1", "127.0.0.1 evil", "1270.0.1", "a", NULL};
         *h; h++)
        ck_assert_msg(!sl__host_loopback(*h), "%s", *h);
}
END_TEST

START_TEST(names_of_a_list) {
    static const char list[] = "api.example.com, Two.Example.,[2001:db8::1],, 10.0.0.7";
    for (const char *const *h = (const char *const[]){"api.example.com", "API.example.com:8443", "api.example.com.", "two.example",
                                                      "[2001:db8::1]:80", "10.0.0.7", NULL};
         *h; h++)
        ck_assert_msg(sl__host_listed(*h, list), "%s", *h);
    for (const char *const *h = (const char *const[]){"example.com", "xapi.example.com", "api.example.com.evil", "", "*", NULL}; *h; h++)
        ck_assert_msg(!sl__host_listed(*h, list), "%s", *h);
    ck_assert(sl__host_listed("any.thing", "a.example,*"));
    ck_assert(!sl__host_listed("any.thing", ""));
}
END_TEST

START_TEST(origins) {
    ck_assert(sl__origin_same("http://localhost:8080", "localhost:8080"));
    ck_assert(sl__origin_same("http://LOCALHOST", "localhost:80"));
    ck_assert(sl__origin_same("https://a.example", "a.example:443"));
    ck_assert(sl__origin_same("https://a.example", "a.example"));
    ck_assert(sl__origin_same("http://a.example:8080", "a.example")); /* a proxy left the port out */
    ck_assert(sl__origin_same("http://[::1]:8080", "[::1]:8080"));
    ck_assert(!sl__origin_same("http://localhost:3000", "localhost:8080"));
    ck_assert(!sl__origin_same("https://a.example", "a.example:80"));
    ck_assert(!sl__origin_same("http://evil.example", "localhost"));
    ck_assert(!sl__origin_same("http://localhost.evil.example:8080", "localhost:8080"));
    ck_assert(!sl__origin_same("null", "localhost:8080"));
    ck_assert(!sl__origin_same("", "localhost:8080"));
    ck_assert(!sl__origin_same("http://localhost", NULL));
    ck_assert(!sl__origin_same("http://localhost", ""));
    ck_assert(!sl__origin_same("null", "null"));
    ck_assert(sl__origin_listed("https://a.example", "https://b.example, https://a.example/"));
    ck_assert(sl__origin_listed("null", "*") && sl__origin_listed("null", "null"));
    ck_assert(sl__origin_listed("file://", "file://") && sl__origin_listed("app://obsidian.md", "app://obsidian.md"));
    ck_assert(!sl__origin_listed("http://a.example", "https://a.example"));
    ck_assert(!sl__origin_listed("https://a.example.evil", "https://a.example"));
}
END_TEST

START_TEST(lists_that_match_nothing) {
    sl_error e;
    ck_assert_int_eq(sl__hosts_check(NULL, NULL, &e), SL_OK);
    ck_assert_int_eq(sl__hosts_check("", "", &e), SL_OK);
    ck_assert_int_eq(sl__hosts_check("a.example, [::1]:80,*,", "*, null,http://localhost:3000, https://a.example/,file://,", &e), SL_OK);
    for (const char *const *h = (const char *const[]){"*.a.example", "a.example,b*", "http://a.example", "a.example/", NULL}; *h; h++) {
        ck_assert_int_eq(sl__hosts_check(*h, NULL, &e), SL_MISUSE);
        ck_assert_str_eq(e.param, "allowed-hosts");
    }
    for (const char *const *o = (const char *const[]){"http://localhost:*", "https://*.a.example", "a.example", "localhost:3000",
                                                      "https://a.example,*x", "http://a.example/page", "http://a.example//", NULL};
         *o; o++) {
        ck_assert_int_eq(sl__hosts_check(NULL, *o, &e), SL_MISUSE);
        ck_assert_str_eq(e.param, "cors-origin");
    }
}
END_TEST

static int with(int port, const char *method, const char *path, const char *headers, answer *a) {
    char text[1024];
    snprintf(text, sizeof text, "%s %s HTTP/1.1\r\n%sContent-Length: 0\r\n\r\n", method, path, headers);
    return ask(port, text, a);
}

/* DNS rebinding: a page's own name that suddenly means 127.0.0.1. */
START_TEST(a_trusting_server_answers_to_its_own_names) {
    static server s;
    answer a;
    s.strict = true;
    s.config.admin_host = "127.0.0.1";
    ck_assert_int_eq(start(&s), SL_OK);
    ck_assert_int_eq(with(s.port, "POST", "/echo", "Host: localhost:1\r\n", NULL), 200);
    ck_assert_int_eq(with(s.port, "POST", "/echo", "Host: 127.0.0.1\r\n", NULL), 200);
    ck_assert_int_eq(with(s.port, "POST", "/echo", "Host: evil.example:80\r\n", &a), 403);
    ck_assert_ptr_nonnull(strstr(sl_buffer_text(&a.body), "host_not_allowed"));
    ck_assert_ptr_nonnull(header(&a, "X-Request-Id"));
    forget(&a);
    for (const char *const *p = (const char *const[]){"/hello", "/secret", "/not-there", NULL}; *p; p++)
        ck_assert_int_eq(with(s.port, "GET", *p, "Host: evil.example\r\n", NULL), 403);
    ck_assert_int_eq(with(s.admin_port, "GET", "/admin", "Host: evil.example\r\n", NULL), 403);
    ck_assert_int_eq(with(s.admin_port, "GET", "/admin", "Host: localhost\r\n", NULL), 200);
    /* The authority of a whole URL decides. */
    ck_assert_int_eq(with(s.port, "GET", "http://localhost/hello", "Host: evil.example\r\n", NULL), 200);
    ck_assert_int_eq(with(s.port, "GET", "http://evil.example/hello", "Host: localhost\r\n", NULL), 403);
    ck_assert_int_eq(ask(s.port, "GET /hello HTTP/1.0\r\n\r\n", NULL), 200);
    stop(&s);
    s.strict = true;
    s.config.allowed_hosts = "api.example";
    ck_assert_int_eq(start(&s), SL_OK);
    ck_assert_int_eq(with(s.port, "GET", "/hello", "Host: api.example:443\r\n", NULL), 200);
    ck_assert_int_eq(with(s.port, "GET", "/hello", "Host: localhost\r\n", NULL), 200);
    ck_assert_int_eq(with(s.port, "GET", "/hello", "Host: evil.example\r\n", NULL), 403);
    stop(&s);
}
END_TEST

START_TEST(others_answer_to_any_name_unless_some_are_listed) {
    static server s;
    s.strict = s.config.no_auth = true;
    s.config.host = "0.0.0.0";
    ck_assert_int_eq(start(&s), SL_OK);
    ck_assert_int_eq(with(s.port, "GET", "/secret", "Host: any.example\r\n", NULL), 200);
    stop(&s);
    s.strict = s.config.no_auth = true;
    s.config.host = "0.0.0.0";
    s.config.allowed_hosts = "api.example";
    ck_assert_int_eq(start(&s), SL_OK);
    ck_assert_int_eq(with(s.port, "GET", "/secret", "Host: any.example\r\n", NULL), 403);
    ck_assert_int_eq(with(s.port, "GET", "/secret", "Host: api.example\r\n", NULL), 200);
    ck_assert_int_eq(with(s.port, "GET", "/hello", "Host: 10.0.0.3\r\n", NULL), 200); /* a probe knows the address alone */
    stop(&s);
}
END_TEST

START_TEST(pages_of_other_sites_are_refused) {
    static server s;
    answer a;
    ck_assert_int_eq(start(&s), SL_OK);
    for (const char *const *o = (const char *const[]){"https://evil.example", "null", "http://localhost:3000", "file://", NULL}; *o; o++) {
        char headers[128];
        snprintf(headers, sizeof headers, "Host: localhost:8080\r\nOrigin: %s\r\nContent-Type: text/plain\r\n", *o);
        ck_assert_int_eq(with(s.port, "POST", "/echo", headers, &a), 403);
        ck_assert_ptr_nonnull(strstr(sl_buffer_text(&a.body), "origin_not_allowed"));
        ck_assert_ptr_null(header(&a, "Access-Control-Allow-Origin"));
        forget(&a);
        ck_assert_int_eq(with(s.port, "GET", "/hello", headers, NULL), 403);
        ck_assert_int_eq(with(s.port, "OPTIONS", "/echo", headers, NULL), 403);
    }
    ck_assert_int_eq(with(s.port, "POST", "/echo", "Host: localhost:8080\r\nOrigin: http://localhost:8080\r\n", NULL), 200);
    ck_assert_int_eq(with(s.port, "POST", "/echo", "Host: localhost:8080\r\nContent-Type: application/x-www-form-urlencoded\r\n", NULL), 200);
    ck_assert_int_eq(with(s.port, "POST", "/echo", "Host: a\r\nOrigin: http://a\r\nOrigin: http://a\r\n", NULL), 400);
    ck_assert_int_eq(atomic_load(&s.handled), 2);
    stop(&s);
}
END_TEST

/* What the openai package for JavaScript asks for in a browser, as Chrome lists it. */
#define OPENAI_HEADERS                                                                                                        \
    "authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-package-version,"                \
    "x-stainless-retry-count,x-stainless-runtime,x-stainless-runtime-version,x-stainless-timeout"

START_TEST(pages_that_are_listed_may_ask) {
    static server s;
    answer a;
    s.config.cors_origin = "https://a.example,http://localhost:3000";
    ck_assert_int_eq(start(&s), SL_OK);
    ck_assert_int_eq(with(s.port, "OPTIONS", "/echo/",
                          "Host: x\r\nOrigin: http://localhost:3000\r\nAccess-Control-Request-Method: POST\r\n"
                          "Access-Control-Request-Headers: " OPENAI_HEADERS "\r\nAccess-Control-Request-Private-Network: true\r\n",
                          &a),
                     204);
    ck_assert_str_eq(header(&a, "Access-Control-Allow-Headers"), OPENAI_HEADERS);
    ck_assert_str_eq(header(&a, "Access-Control-Allow-Methods"), "POST, OPTIONS");
    ck_assert_str_eq(header(&a, "Access-Control-Allow-Origin"), "http://localhost:3000");
    ck_assert_str_eq(header(&a, "Access-Control-Allow-Private-Network"), "true");
    ck_assert_str_eq(header(&a, "Access-Control-Max-Age"), "7200");
    ck_assert_int_eq(headers(&a, "Vary"), 2);
    ck_assert_ptr_null(header(&a, "Access-Control-Allow-Credentials"));
    forget(&a);
    ck_assert_int_eq(with(s.port, "OPTIONS", "/echo", "Host: x\r\nOrigin: https://a.example\r\n", &a), 204);
    ck_assert_ptr_nonnull(strstr(header(&a, "Access-Control-Allow-Headers"), "Content-Type"));
    forget(&a);
    ck_assert_int_eq(with(s.port, "OPTIONS", "/echo", "Host: x\r\nOrigin: https://a.example\r\nAccess-Control-Request-Headers: a<b\r\n", &a), 204);
    ck_assert_ptr_null(strchr(header(&a, "Access-Control-Allow-Headers"), '<'));
    forget(&a);
    ck_assert_int_eq(with(s.port, "POST", "/echo", "Host: x\r\nOrigin: https://a.example\r\n", &a), 200);
    ck_assert_str_eq(header(&a, "Access-Control-Allow-Origin"), "https://a.example");
    ck_assert_ptr_nonnull(strstr(header(&a, "Access-Control-Expose-Headers"), "X-Request-Id"));
    ck_assert_str_eq(header(&a, "Vary"), "Origin");
    forget(&a);
    ck_assert_int_eq(with(s.port, "GET", "/not-there", "Host: x\r\nOrigin: https://a.example\r\n", &a), 404);
    ck_assert_str_eq(header(&a, "Access-Control-Allow-Origin"), "https://a.example"); /* or the page could not read the error */
    forget(&a);
    ck_assert_int_eq(with(s.port, "GET", "/hello", "Host: x\r\n", &a), 200); /* for caches */
    ck_assert_str_eq(header(&a, "Vary"), "Origin");
    ck_assert_ptr_null(header(&a, "Access-Control-Allow-Origin"));
    forget(&a);
    ck_assert_int_eq(with(s.port, "GET", "/hello", "Host: x\r\nOrigin: https://b.example\r\n", NULL), 403);
    ck_assert_int_eq(with(s.port, "OPTIONS", "/echo", "Host: x\r\nOrigin: https://b.example\r\n", NULL), 403);
    stop(&s);
    s.config.cors_origin = "*";
    ck_assert_int_eq(start(&s), SL_OK);
    ck_assert_int_eq(with(s.port, "GET", "/hello", "Host: x\r\nOrigin: null\r\n", &a), 200);
    ck_assert_str_eq(header(&a, "Access-Control-Allow-Origin"), "*");
    forget(&a);
    stop(&s);
}
END_TEST

int main(void) {
    return RUN_TESTS("http/hosts", 30, names_of_this_machine, names_of_a_list, origins, lists_that_match_nothing,
                     a_trusting_server_answers_to_its_own_names, others_answer_to_any_name_unless_some_are_listed,
                     pages_of_other_sites_are_refused, pages_that_are_listed_may_ask);
}

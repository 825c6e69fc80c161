#include "fixture.h"

static const char *check(const char *const *lines, const char *version, const char *target) {
    sl__head h = {0};
    for (; *lines; lines += 2) sl__head_add(&h, lines[0], strlen(lines[0]), lines[1], strlen(lines[1]));
    return sl__head_check(&h, version, target);
}

#define CHECK(...) check((const char *const[]){__VA_ARGS__, NULL}, "HTTP/1.1", "/x")

START_TEST(good_frames) {
    ck_assert_ptr_null(CHECK("Host", "a:80", "Content-Length", "12"));
    ck_assert_ptr_null(CHECK("host", "", "transfer-encoding", "Chunked"));
    ck_assert_ptr_null(CHECK("Host", "[::1]:8080", "X-Any", "tab\tand \xC3\xA9"));
    ck_assert_ptr_null(check((const char *const[]){"Accept", "*/*", NULL}, "HTTP/1.0", "/x?y=%20"));
}
END_TEST

START_TEST(frames_that_two_servers_could_read_differently) {
    ck_assert_ptr_nonnull(CHECK("Host", "a", "Content-Length", "1", "Content-Length", "1"));
    ck_assert_ptr_nonnull(CHECK("Host", "a", "Content-Length", "1", "Transfer-Encoding", "chunked"));
    ck_assert_ptr_nonnull(CHECK("Host", "a", "Transfer-Encoding", "chunked", "Transfer-Encoding", "chunked"));
    ck_assert_ptr_nonnull(CHECK("Host", "a", "Transfer-Encoding", "gzip, chunked"));
    ck_assert_ptr_nonnull(CHECK("Host", "a", "Transfer-Encoding", "identity"));
    for (const char *const *v = (const char *const[]){"-1", "+1", "1 ", "0x1", "", "1,1", "9999999999999999999", NULL}; *v; v++)
        ck_assert_msg(CHECK("Host", "a", "Content-Length", *v), "%s", *v);
    ck_assert_ptr_nonnull(CHECK("Accept", "a"));
    ck_assert_ptr_nonnull(CHECK("Host", "a", "Host", "a"));
    for (const char *const *v = (const char *const[]){"a b", "a/b", "a,b", "u@a", "a\x7f", "\xC3\xA9", NULL}; *v; v++)
        ck_assert_msg(CHECK("Host", *v), "%s", *v);
    ck_assert_ptr_nonnull(CHECK("Host", "a", "X ", "b"));
    ck_assert_ptr_nonnull(CHECK("Host", "a", "", "b"));
    ck_assert_ptr_nonnull(CHECK("Host", "a", "X(", "b"));
    ck_assert_ptr_nonnull(CHECK("Host", "a", "X", "b\x01"));
    ck_assert_ptr_nonnull(CHECK("Host", "a", "Authorization", "Bearer a", "Authorization", "Bearer b"));
    ck_assert_ptr_nonnull(check((const char *const[]){"Transfer-Encoding", "chunked", NULL}, "HTTP/1.0", "/"));
    for (const char *const *t = (const char *const[]){"a/x", "*", "", "/a b", "/a\x7f", "/\xC3\xA9", NULL}; *t; t++)
        ck_assert_msg(check((const char *const[]){"Host", "a", NULL}, "HTTP/1.1", *t), "%s", *t);
}
END_TEST

START_TEST(request_ids) {
    char id[SL__HTTP_ID_MAX + 1], other[SL__HTTP_ID_MAX + 1], longest[SL__HTTP_ID_MAX + 2];
    sl__request_id_make(id);
    sl__request_id_make(other);
    ck_assert(sl__request_id_good(id) && strcmp(id, other) != 0);
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    ck_assert(!sl__request_id_good(longest));
    longest[SL__HTTP_ID_MAX] = '\0';
    ck_assert(sl__request_id_good(longest));
    ck_assert(sl__request_id_good("aZ09-_.:/+=@"));
    for (const char *const *v = (const char *const[]){"", "a b", "a\"", "a\n", "\xC3\xA9", "a\\", NULL}; *v; v++)
        ck_assert_msg(!sl__request_id_good(*v), "%s", *v);
    ck_assert(!sl__request_id_good(NULL));
}
END_TEST

START_TEST(percent_escapes_and_queries) {
    char text[] = "a%2Fb%25+c";
    ck_assert(sl__percent_decode(text, true));
    ck_assert_str_eq(text, "a/b% c");
    for (const char *const *v = (const char *const[]){"%", "%4", "%zz", "%00", "a%0", NULL}; *v; v++) {
        char copy[8];
        snprintf(copy, sizeof copy, "%s", *v);
        ck_assert_msg(!sl__percent_decode(copy, false), "%s", *v);
    }
    char *v = sl__query_value("a=1&bb=x%20y&c&d=", "bb");
    ck_assert_str_eq(v, "x y");
    sl_free(v);
    v = sl__query_value("a=1&bb=x%20y&c&d=", "c");
    ck_assert_str_eq(v, "");
    sl_free(v);
    ck_assert_ptr_null(sl__query_value("a=1&bb=2", "b"));
    ck_assert_ptr_null(sl__query_value("a=%0", "a"));
    ck_assert_ptr_null(sl__query_value("", "a"));
}
END_TEST

/* Over the wire: each is refused with a JSON body and the connection is closed, so that nothing is read after it. */
static const struct {
    const char *request;
    int status;
} wire[] = {
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 30\r\n\r\naGET /hello HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\nabc", 400},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400},
    {"GET /hello HTTP/1.1\r\n\r\n", 400},
    {"GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
    {"GET /hello HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", 400},
    {"GET http://u@a/hello HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", 400},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400},
    {"GET /hello HTTP/2.0\r\nHost: a\r\n\r\n", 505},
    {"GET /hello%00 HTTP/1.1\r\nHost: a\r\n\r\n", 404},
    {"GET /%68ello HTTP/1.1\r\nHost: a\r\n\r\n", 404},
    {"GET //hello HTTP/1.1\r\nHost: a\r\n\r\n", 404},
    {"GET /x/../hello HTTP/1.1\r\nHost: a\r\n\r\n", 404},
    {"GET /hello HTTP/1.0\r\n\r\n", 200},
};

START_TEST(over_the_wire) {
    static server s;
    ck_assert_int_eq(start(&s), SL_OK);
    for (size_t i = 0; i < sizeof wire / sizeof *wire; i++) {
        client c;
        answer a;
        dial(&c, s.port);
        say(&c, wire[i].request);
        listen_for(&c, &a, false);
        ck_assert_msg(a.status == wire[i].status, "%s\n-> %d %s", wire[i].request, a.status, a.head);
        if (a.status >= 400 && a.status != 404 && !strstr(wire[i].request, "\r\n\r\nzz\r\n")) { /* but for a bad chunk */
            ck_assert_ptr_nonnull(header(&a, "X-Request-Id"));
            ck_assert_ptr_nonnull(strstr(sl_buffer_text(&a.body), "\"error\""));
            ck_assert_msg(hung_up(&c), "%s", wire[i].request);
        }
        forget(&a);
        hang_up(&c);
    }
    ck_assert_int_eq(atomic_load(&s.handled), 1);
    stop(&s);
}
END_TEST

int main(void) {
    return RUN_TESTS("http/framing", 60, good_frames, frames_that_two_servers_could_read_differently, request_ids,
                     percent_escapes_and_queries, over_the_wire);
}

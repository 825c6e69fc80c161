#include "fixture.h"

static char path[64];

static void write_keys(const char *text) {
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

static void make_file(const char *text) {
    snprintf(path, sizeof path, "/tmp/sluice-keys-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    write_keys(text);
}

START_TEST(what_matches) {
    sl__keys *k = NULL;
    sl_error e;
    make_file("# comment\n\n  first-key \r\nsecond\n#third\nlast");
    ck_assert_int_eq(sl__keys_read(path, "api-key-file", &k, &e), SL_OK);
    ck_assert(sl__keys_match(k, "Bearer first-key", NULL));
    ck_assert(sl__keys_match(k, "bearer  second", NULL));
    ck_assert(sl__keys_match(k, "Bearer last", NULL));
    ck_assert(sl__keys_match(k, "Bearer last \t ", NULL) && sl__keys_match(k, NULL, "last "));
    for (const char *const *v = (const char *const[]){"Bearer third", "Bearer ", "Bearer", "first-key", "Basic first-key", "Bearer first-ke",
                                                      "Bearer first-keyy", "Bearer second last", "Bearer last x", "Bearer   ", "", "Bearer First-key", NULL};
         *v; v++)
        ck_assert_msg(!sl__keys_match(k, *v, NULL), "%s", *v);
    ck_assert(!sl__keys_match(k, NULL, NULL));
    char longest[400] = "Bearer ";
    memset(longest + 7, 'a', 300);
    ck_assert(!sl__keys_match(k, longest, NULL));
    sl__keys_free(k);
    char first[SL_HTTP_KEY_MAX + 1];
    ck_assert_int_eq(sl_http_first_key(path, "admin-key-file", first, &e), SL_OK);
    ck_assert_str_eq(first, "first-key");
    unlink(path);
}
END_TEST

START_TEST(bad_files) {
    sl__keys *k = NULL;
    sl_error e;
    char large[600];
    memset(large, 'k', 300);
    strcpy(large + 300, "\n");
    for (const char *const *v = (const char *const[]){"", "# only\n", "two words\n", "\rkey\n", "\xC3\xA9\n", large, NULL}; *v; v++) {
        make_file(*v);
        ck_assert_int_eq(sl__keys_read(path, "api-key-file", &k, &e), SL_INVALID);
        ck_assert(strstr(e.message, path) && !k);
        unlink(path);
    }
    make_file("good\n");
    FILE *f = fopen(path, "a");
    ck_assert(f && fwrite("cut\0short", 1, 9, f) == 9);
    fclose(f);
    ck_assert_int_eq(sl__keys_read(path, "api-key-file", &k, &e), SL_INVALID);
    ck_assert(strstr(e.message, "line 2: a key is at most"));
    unlink(path);
    ck_assert_int_eq(sl__keys_read("/nonexistent/keys", "api-key-file", &k, &e), SL_IO);
    ck_assert_str_eq(e.message, "--api-key-file /nonexistent/keys: No such file or directory");
    ck_assert_int_eq(sl__keys_read("/tmp", "api-key-file", &k, &e), SL_IO);
}
END_TEST

static void do_reload(server *s, void *arg) {
    sl_error e;
    *(sl_status *)arg = sl_http_reload(s->h, &e);
}

START_TEST(over_the_wire_and_read_again) {
    static server s;
    make_file("alpha\n");
    s.config.api_key_file = path;
    ck_assert_int_eq(start(&s), SL_OK);
    answer a;
    ck_assert_int_eq(ask(s.port, "GET /secret HTTP/1.1\r\nHost: a\r\n\r\n", &a), 401);
    ck_assert_str_eq(header(&a, "WWW-Authenticate"), "Bearer");
    ck_assert_ptr_nonnull(strstr(sl_buffer_text(&a.body), "invalid_api_key"));
    forget(&a);
    ck_assert_int_eq(ask(s.port, "GET /secret HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer alpha\r\n\r\n", NULL), 200);
    ck_assert_int_eq(ask(s.port, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", NULL), 200);
    ck_assert_int_eq(ask(s.port, "GET /nothing-here HTTP/1.1\r\nHost: a\r\n\r\n", NULL), 404);
    ck_assert_int_eq(ask(s.port, "GET /rest/hello HTTP/1.1\r\nHost: a\r\n\r\n", NULL), 401);
    /* A body that will be refused is not asked for. */
    ck_assert_int_eq(ask(s.port, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n", NULL), 401);
    sl_status status;
    write_keys("beta\n");
    on_loop(&s, do_reload, &status);
    ck_assert_int_eq(status, SL_OK);
    ck_assert_int_eq(ask(s.port, "GET /secret HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer alpha\r\n\r\n", NULL), 401);
    ck_assert_int_eq(ask(s.port, "GET /secret HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer beta\r\n\r\n", NULL), 200);
    write_keys("two words\n");
    on_loop(&s, do_reload, &status);
    ck_assert_int_eq(status, SL_INVALID); /* the old ones stay */
    ck_assert_int_eq(ask(s.port, "GET /secret HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer beta\r\n\r\n", NULL), 200);
    stop(&s);
    unlink(path);
}
END_TEST

START_TEST(the_other_header) {
    static server s;
    make_file("alpha\n");
    s.config.api_key_file = path;
    ck_assert_int_eq(start(&s), SL_OK);
    ck_assert_int_eq(ask(s.port, "GET /secret HTTP/1.1\r\nHost: a\r\nX-Api-Key: alpha\r\n\r\n", NULL), 200);
    ck_assert_int_eq(ask(s.port, "GET /secret/ HTTP/1.1\r\nHost: a\r\nx-api-key: beta\r\n\r\n", NULL), 401);
    ck_assert_int_eq(ask(s.port, "GET /secret HTTP/1.1\r\nHost: a\r\nX-Api-Key: alpha\r\nX-Api-Key: alpha\r\n\r\n", NULL), 400);
    /* A proxy may put an Authorization of its own before it. */
    ck_assert_int_eq(ask(s.port, "GET /secret HTTP/1.1\r\nHost: a\r\nAuthorization: Basic eA==\r\nX-Api-Key: alpha\r\n\r\n", NULL), 200);
    stop(&s);
    unlink(path);
}
END_TEST

static int admin_asked(int port, const char *key) {
    char text[160];
    snprintf(text, sizeof text, "GET /admin HTTP/1.1\r\nHost: a\r\n%s%s\r\n\r\n", key ? "Authorization: Bearer " : "X: x", key ? key : "");
    return ask(port, text, NULL);
}

START_TEST(a_scrape_needs_no_key_or_its_own) {
    static server s;
    make_file("client\n");
    char clients[sizeof path];
    strcpy(clients, path);
    make_file("scrape\n");
    for (int way = 0; way < 4; way++) { /* bit 0: an admin listener, bit 1: admin keys */
        s.config.api_key_file = clients;
        if (way & 1) s.config.admin_host = "0.0.0.0";
        if (way & 2) s.config.admin_key_file = path;
        ck_assert_int_eq(start(&s), SL_OK);
        int port = way & 1 ? s.admin_port : s.port;
        ck_assert_int_eq(admin_asked(port, NULL), way == 1 ? 200 : 401);
        ck_assert_int_eq(admin_asked(port, "client"), way <= 1 ? 200 : 401); /* clients' keys do not open it then */
        ck_assert_int_eq(admin_asked(port, "scrape"), way == 0 ? 401 : 200);
        ck_assert_int_eq(ask(s.port, "GET /secret HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer scrape\r\n\r\n", NULL), 401);
        stop(&s);
    }
    unlink(clients);
    unlink(path);
}
END_TEST

int main(void) {
    return RUN_TESTS("http/keys", 30, what_matches, bad_files, over_the_wire_and_read_again, the_other_header,
                     a_scrape_needs_no_key_or_its_own);
}

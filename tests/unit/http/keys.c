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
    ck_assert_int_eq(sl__keys_read(path, &k, &e), SL_OK);
    ck_assert(sl__keys_match(k, "Bearer first-key"));
    ck_assert(sl__keys_match(k, "bearer  second"));
    ck_assert(sl__keys_match(k, "Bearer last"));
    for (const char *const *v = (const char *const[]){"Bearer third", "Bearer ", "Bearer", "first-key", "Basic first-key", "Bearer first-ke",
                                                      "Bearer first-keyy", "Bearer second last", "", "Bearer First-key", NULL};
         *v; v++)
        ck_assert_msg(!sl__keys_match(k, *v), "%s", *v);
    ck_assert(!sl__keys_match(k, NULL));
    char longest[400] = "Bearer ";
    memset(longest + 7, 'a', 300);
    ck_assert(!sl__keys_match(k, longest));
    sl__keys_free(k);
    unlink(path);
}
END_TEST

START_TEST(bad_files) {
    sl__keys *k = NULL;
    sl_error e;
    char large[600];
    memset(large, 'k', 300);
    strcpy(large + 300, "\n");
    for (const char *const *v = (const char *const[]){"", "# only\n", "two words\n", "\xC3\xA9\n", large, NULL}; *v; v++) {
        make_file(*v);
        ck_assert_int_eq(sl__keys_read(path, &k, &e), SL_INVALID);
        ck_assert(strstr(e.message, path) && !k);
        unlink(path);
    }
    ck_assert_int_eq(sl__keys_read("/nonexistent/keys", &k, &e), SL_IO);
    ck_assert_int_eq(sl__keys_read("/tmp", &k, &e), SL_IO);
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
    /* A body that will be refused is not awaited. */
    ck_assert_int_eq(ask(s.port, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", NULL), 401);
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

int main(void) { return RUN_TESTS("http/keys", 30, what_matches, bad_files, over_the_wire_and_read_again); }

#include "cli/address.h"

#include <string.h>

#include "../run.h"

static const struct {
    const char *text, *host; /* host NULL: refused */
    int port;
} cases[] = {
    {"127.0.0.1:9090", "127.0.0.1", 9090}, {"[::1]:0", "::1", 0}, {"localhost:65535", "localhost", 65535}, {"0.0.0.0:080", "0.0.0.0", 80},
    {"9090", NULL, 0}, {":9090", NULL, 0}, {"host:", NULL, 0}, {"host:65536", NULL, 0}, {"host:99999999999999999999", NULL, 0},
    {"host:-1", NULL, 0}, {"host:+1", NULL, 0}, {"host: 1", NULL, 0}, {"host:1x", NULL, 0}, {"::1:9090", NULL, 0}, {"[::1:9090", NULL, 0},
    {"::1]:9090", NULL, 0}, {"[]:1", NULL, 0}, {"[:1", NULL, 0}, {"]:1", NULL, 0}, {"", NULL, 0}, {":", NULL, 0}, {"[::1]", NULL, 0},
};

START_TEST(split) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sl_arena *arena = sl_arena_new();
        sl_address at = {"kept", 7};
        sl_error err = {0};
        sl_status st = sl_address_split(cases[i].text, "admin", arena, &at, &err);
        ck_assert_msg(st == (cases[i].host ? SL_OK : SL_MISUSE), "%s", cases[i].text);
        ck_assert_str_eq(at.host, cases[i].host ? cases[i].host : "kept");
        ck_assert_int_eq(at.port, cases[i].host ? cases[i].port : 7);
        if (st) ck_assert_ptr_nonnull(strstr(err.message, "--admin: \""));
        sl_arena_free(arena);
    }
}
END_TEST

START_TEST(asked) {
    ck_assert_str_eq(sl_address_ask("0.0.0.0"), "127.0.0.1");
    ck_assert_str_eq(sl_address_ask("::"), "::1");
    ck_assert_str_eq(sl_address_ask(""), "127.0.0.1");
    ck_assert_str_eq(sl_address_ask("10.1.2.3"), "10.1.2.3");
}
END_TEST

int main(void) { return RUN_TESTS("cli/address", 20, split, asked); }

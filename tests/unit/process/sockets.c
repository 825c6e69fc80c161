#include "process/sockets.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../run.h"

/* As sd_listen_fds_with_names(3) has it; our process id is 42. */
static const struct {
    const char *pid, *count, *names;
    int main, admin;
    const char *wrong; /* NULL: it is right */
} cases[] = {
    {NULL, NULL, NULL, 0, 0, NULL},
    {"42", NULL, NULL, 0, 0, NULL},
    {NULL, "1", NULL, 0, 0, NULL},
    {"41", "1", NULL, 0, 0, NULL}, /* for another process */
    {"42", "0", NULL, 0, 0, NULL},
    {"42", "1", NULL, 3, 0, NULL},
    {"42", "1", "sluice.socket", 3, 0, NULL},
    {"42", "1", "unknown", 3, 0, NULL},
    {"42", "1", "admin", 0, 3, NULL},
    {"42", "2", "http:admin", 3, 4, NULL},
    {"42", "2", "admin:http", 4, 3, NULL},
    {"42", "2", "admin:", 4, 3, NULL},
    {"42", "2", "admin", 4, 3, NULL}, /* fewer names than sockets */
    {"42", "1", "administrator", 3, 0, NULL},
    {"42", "1", "", 3, 0, NULL},
    {"42", "2", NULL, 0, 0, "two sockets for the main listener"},
    {"42", "2", "admin:admin", 0, 0, "two sockets for the admin listener"},
    {"42", "3", "a:admin:b", 0, 0, "two sockets for the main listener"},
    {"x", "1", NULL, 0, 0, "LISTEN_PID"},
    {"", "1", NULL, 0, 0, "LISTEN_PID"},
    {"42", "", NULL, 0, 0, "LISTEN_FDS"},
    {"42", "-1", NULL, 0, 0, "LISTEN_FDS"},
    {"42", "1x", NULL, 0, 0, "LISTEN_FDS"},
    {"42", "99999999999999999999", NULL, 0, 0, "LISTEN_FDS"},
};

START_TEST(what_is_passed) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sl_sockets s = {77, 78};
        sl_error e;
        sl_status status = sl_sockets_read(cases[i].pid, cases[i].count, cases[i].names, 42, &s, &e);
        if (cases[i].wrong) {
            ck_assert_int_eq(status, SL_MISUSE);
            ck_assert_msg(strstr(e.message, cases[i].wrong), "case %zu: %s", i, e.message);
            ck_assert(s.main == 77 && s.admin == 78);
        } else {
            ck_assert_msg(status == SL_OK, "case %zu", i);
            ck_assert_msg(s.main == cases[i].main && s.admin == cases[i].admin, "case %zu: %d %d", i, s.main, s.admin);
        }
    }
}
END_TEST

START_TEST(the_environment_is_taken) {
    sl_sockets s;
    char own[24];
    snprintf(own, sizeof own, "%ld", (long)getpid());
    setenv("LISTEN_PID", own, 1);
    setenv("LISTEN_FDS", "2", 1);
    setenv("LISTEN_FDNAMES", "main:admin", 1);
    ck_assert_int_eq(sl_sockets_take(&s, NULL), SL_OK);
    ck_assert(s.main == 3 && s.admin == 4);
    ck_assert(!getenv("LISTEN_PID") && !getenv("LISTEN_FDS") && !getenv("LISTEN_FDNAMES"));
    ck_assert_int_eq(sl_sockets_take(&s, NULL), SL_OK);
    ck_assert(s.main == 0 && s.admin == 0);
}
END_TEST

int main(void) { return RUN_TESTS("process/sockets", 30, what_is_passed, the_environment_is_taken); }

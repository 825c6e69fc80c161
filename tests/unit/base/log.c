#include "base/clock.h"
#include "base/log.h"

#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../run.h"

/* What arrived at fds[0] until now, when the writer is stopped. */
static char *finish(int fds[2]) {
    sl_log_stop();
    close(fds[1]);
    size_t size = 1 << 20, used = 0;
    char *text = malloc(size);
    for (ssize_t n; (n = read(fds[0], text + used, size - 1 - used)) > 0;) used += (size_t)n;
    text[used] = 0;
    close(fds[0]);
    return text;
}

START_TEST(test_json) {
    int fds[2];
    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(sl_log_start(fds[1], SL_LOG_INFO, SL_LOG_AUTO, NULL), SL_OK); /* no terminal: JSON */
    char endless[1000];
    memset(endless, 'x', sizeof endless - 1);
    endless[sizeof endless - 1] = 0;
    sl_log_field fields[] = {{"id", SL_LOG_STRING, .s = "a \"b\"\n\xff"}, {"tokens", SL_LOG_INT, .i = -5},
                             {"seconds", SL_LOG_REAL, .r = 0.25}, {"nan", SL_LOG_REAL, .r = (double)NAN},
                             {"long", SL_LOG_STRING, .s = endless}};
    sl_log_event(SL_LOG_WARN, "request", fields, 5);
    sl_log(SL_LOG_INFO, "two\n%s", "lines");
    sl_log(SL_LOG_DEBUG, "not seen");
    char *text = finish(fds), *second = strchr(text, '\n') + 1;
    json_t *v = json_loadb(text, (size_t)(second - text), 0, NULL);
    ck_assert_ptr_nonnull(v);
    ck_assert_str_eq(json_string_value(json_object_get(v, "level")), "warn");
    ck_assert_str_eq(json_string_value(json_object_get(v, "event")), "request");
    ck_assert_str_eq(json_string_value(json_object_get(v, "id")), "a \"b\"\n\xef\xbf\xbd");
    ck_assert_int_eq(json_integer_value(json_object_get(v, "tokens")), -5);
    ck_assert(json_real_value(json_object_get(v, "seconds")) == 0.25);
    ck_assert(json_is_null(json_object_get(v, "nan")));
    ck_assert_uint_eq(json_string_length(json_object_get(v, "long")), 256);
    const char *time = json_string_value(json_object_get(v, "time")); /* 2026-01-01T12:00:01.123Z */
    ck_assert(strlen(time) == 24 && time[10] == 'T' && time[23] == 'Z');
    json_decref(v);
    v = json_loads(second, 0, NULL);
    ck_assert_ptr_nonnull(v);
    ck_assert_str_eq(json_string_value(json_object_get(v, "message")), "two\nlines");
    json_decref(v);
    free(text);
}
END_TEST

START_TEST(test_text) {
    int fds[2];
    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(sl_log_start(fds[1], SL_LOG_DEBUG, SL_LOG_TEXT, NULL), SL_OK);
    sl_log_field fields[] = {{"host", SL_LOG_STRING, .s = "127.0.0.1"}, {"port", SL_LOG_INT, .i = 8080},
                             {"name", SL_LOG_STRING, .s = "two words"}, {"none", SL_LOG_STRING, .s = NULL}};
    sl_log_event(SL_LOG_INFO, "listening", fields, 4);
    sl_log(SL_LOG_ERROR, "esc \x1b[2J");
    char *text = finish(fds);
    char *second = strchr(text, '\n') + 1;
    ck_assert_str_eq(strchr(second, ' '), " error esc \\u001b[2J\n"); /* no control character reaches the terminal */
    *second = 0;
    ck_assert_str_eq(strchr(text, ' '),
                     " info  listening host=127.0.0.1 port=8080 name=\"two words\" none=\"\"\n");
    free(text);
}
END_TEST

static void *write_lines(void *arg) {
    (void)arg;
    for (int i = 0; i < 2000; i++) sl_log(SL_LOG_INFO, "line %d of many, long enough to fill the ring: %0200d", i, i);
    return NULL;
}

/* Nobody reads: lines are dropped and counted, and the callers come back. */
START_TEST(test_full) {
    int fds[2];
    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(sl_log_start(fds[1], SL_LOG_INFO, SL_LOG_JSON, NULL), SL_OK);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, write_lines, NULL);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    uint64_t dropped = sl_log_dropped(), said = 0, lines = 0;
    ck_assert_uint_gt(dropped, 1000);
    ck_assert_uint_lt(dropped, 6000);

    size_t size = 1 << 20, used = 0;
    char *text = malloc(size);
    text[0] = 0;
    while (!strstr(text, "log lines dropped") || text[used - 1] != '\n') {
        ssize_t n = read(fds[0], text + used, size - 1 - used);
        ck_assert_int_gt(n, 0);
        used += (size_t)n;
        text[used] = 0;
    }
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        json_t *v = json_loads(line, 0, NULL);
        ck_assert_msg(v != NULL, "%s", line);
        if (json_object_get(v, "count")) said = (uint64_t)json_integer_value(json_object_get(v, "count"));
        else lines++;
        json_decref(v);
    }
    ck_assert_uint_eq(said, dropped);
    ck_assert_uint_eq(lines + dropped, 6000);
    free(text);
    free(finish(fds));
}
END_TEST

/* Nobody reads and the program wants to leave. */
START_TEST(test_stop_is_bounded) {
    int fds[2];
    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(sl_log_start(fds[1], SL_LOG_INFO, SL_LOG_JSON, NULL), SL_OK);
    write_lines(NULL);
    uint64_t start = sl_clock_ns();
    sl_log_stop();
    ck_assert_uint_lt(sl_clock_ns() - start, 10 * SL_SECOND);
    close(fds[0]); /* the writer gets an error and ends */
    sl_log_stop();
    close(fds[1]);
}
END_TEST

/* A disk that is full for a while: what cannot be written is counted, and the lines after it are whole again. */
START_TEST(test_full_disk) {
    int full = open("/dev/full", O_WRONLY), fds[2];
    ck_assert_int_ge(full, 0);
    ck_assert_int_eq(pipe(fds), 0);
    int fd = dup(full); /* the log's; what it means changes below it */
    ck_assert_int_eq(sl_log_start(fd, SL_LOG_INFO, SL_LOG_TEXT, NULL), SL_OK);
    for (int i = 0; i < 500; i++) sl_log(SL_LOG_INFO, "lost %d", i);
    while (sl_log_dropped() < 500) usleep(1000);
    dup2(fds[1], fd);
    sl_log(SL_LOG_INFO, "first");
    sl_log_stop();
    close(fds[1]);
    close(fd);
    char text[4096];
    ssize_t n = read(fds[0], text, sizeof text - 1);
    text[n > 0 ? n : 0] = 0;
    ck_assert_msg(strstr(text, " info  first\n") && !strstr(text, "lost") && strstr(text, "log lines dropped count=500\n"), "%s", text);
    ck_assert_uint_eq(sl_log_dropped(), 500);
    close(fds[0]);
    close(full);
}
END_TEST

/* The room ends in the middle of a line. */
START_TEST(test_cut_line) {
    char path[] = "/tmp/sluice-log-XXXXXX", text[8192];
    int fd = mkstemp(path);
    struct rlimit before, small;
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    small = before;
    small.rlim_cur = 1000;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    ck_assert_int_eq(sl_log_start(fd, SL_LOG_INFO, SL_LOG_TEXT, NULL), SL_OK);
    for (int i = 0; i < 50; i++) sl_log(SL_LOG_INFO, "line %02d %0100d", i, i);
    while (sl_log_dropped() < 42) usleep(1000); /* a line is 123 bytes: 8 of them are whole */
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    sl_log(SL_LOG_INFO, "after");
    sl_log_stop();
    ck_assert_uint_eq(sl_log_dropped(), 42);
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    ck_assert_int_gt(n, 1000);
    text[n] = 0;
    ck_assert_int_eq(text[1000], '\n'); /* the piece of the ninth line is ended */
    ck_assert_msg(strstr(text + 1001, " info  after\n") == text + 1009, "%s", text + 900);
    ck_assert_ptr_nonnull(strstr(text, "log lines dropped count=42\n"));
    unlink(path);
    close(fd);
}
END_TEST

int main(void) {
    return RUN_TESTS("base/log", 60, test_json, test_text, test_full, test_stop_is_bounded, test_full_disk, test_cut_line);
}

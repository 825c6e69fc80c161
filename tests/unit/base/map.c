#include "base/alloc.h"
#include "base/map.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../run.h"

static void make_file(char path[64], size_t size) {
    strcpy(path, "/tmp/sluice-map-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
    if (size) ck_assert_int_eq(pwrite(fd, "GGUF", 4, 0), 4);
    close(fd);
}

START_TEST(test_open) {
    char path[64];
    sl_map m, empty;
    make_file(path, 10000);
    ck_assert_int_eq(sl_map_open(path, &m, NULL), SL_OK);
    unlink(path);
    ck_assert_uint_eq(m.size, 10000);
    ck_assert_mem_eq(m.data, "GGUF", 4);
    ck_assert_str_eq(m.path, path);
    make_file(path, 0);
    ck_assert_int_eq(sl_map_open(path, &empty, NULL), SL_OK);
    ck_assert_ptr_null(empty.data);
    ck_assert_uint_eq(empty.size, 0);
    sl_map_close(&empty);
    unlink(path);
    sl_map_close(&m);
    ck_assert_ptr_null(m.data);
    sl_map_close(&m);
}
END_TEST

START_TEST(test_refusals) {
    sl_map m = {.size = 77};
    sl_error e;
    char path[64];
    ck_assert_int_eq(sl_map_open("/nowhere/x.gguf", &m, &e), SL_NOT_FOUND);
    ck_assert_str_eq(e.message, "/nowhere/x.gguf: No such file or directory");
    ck_assert_int_eq(sl_map_open("/tmp", &m, &e), SL_INVALID);
    ck_assert_str_eq(e.message, "/tmp: is a folder, not a file");
    make_file(path, 0);
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(sl_map_open(path, &m, &e), SL_INVALID); /* and does not wait for a writer */
    ck_assert_ptr_nonnull(strstr(e.message, "pipe"));
    unlink(path);
    make_file(path, 100);
    for (int n = 1;; n++) {
        sl_map opened = m;
        sl_alloc_fail_at(n);
        sl_status status = sl_map_open(path, &opened, &e);
        sl_alloc_fail_at(0);
        if (!status) {
            ck_assert_int_ge(n, 2);
            sl_map_close(&opened);
            break;
        }
        ck_assert_int_eq(status, SL_NOMEM);
        ck_assert_uint_eq(opened.size, 77); /* written on success only */
    }
    unlink(path);
    ck_assert_uint_eq(m.size, 77);
}
END_TEST

/* Runs fn in a child whose standard error is kept; returns the status of waitpid. */
static int in_child(void (*fn)(void), char *text, size_t size) {
    int fds[2], status;
    ck_assert_int_eq(pipe(fds), 0);
    pid_t pid = fork();
    if (!pid) {
        dup2(fds[1], STDERR_FILENO);
        sl_map_guard();
        fn();
        _exit(0);
    }
    close(fds[1]);
    ssize_t n = read(fds[0], text, size - 1);
    text[n > 0 ? n : 0] = 0;
    close(fds[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static void read_truncated(void) {
    char path[64];
    sl_map m;
    make_file(path, 100000);
    if (sl_map_open(path, &m, NULL)) _exit(1);
    if (truncate(path, 4096)) _exit(2);
    unlink(path);
    volatile uint8_t byte = m.data[50000];
    _exit(byte);
}

static void signal_from_outside(void) { raise(SIGBUS); }

/* Promise 3 */
START_TEST(test_truncated_while_in_use) {
    char text[512];
    int status = in_child(read_truncated, text, sizeof text);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 1);
    ck_assert_msg(strstr(text, "sluice: /tmp/sluice-map-") == text && strstr(text, "cut short"), "%s", text);
    status = in_child(signal_from_outside, text, sizeof text);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(WTERMSIG(status), SIGBUS);
}
END_TEST

static volatile int tellings;
static void on_damage(void *arg) { tellings += *(int *)arg; }

static void *sum(void *map) {
    const sl_map *m = map;
    uintptr_t total = 0;
    for (size_t i = 0; i < m->size; i++) total += m->data[i];
    return (void *)total;
}

/* A fault in several threads at once; zeros are read, and what is left of the file is still there. */
static void read_mended(void) {
    static int once = 1;
    char path[64];
    sl_map m, other;
    pthread_t thread[4];
    void *total;
    make_file(path, 1000000);
    if (sl_map_open(path, &m, NULL)) _exit(10);
    if (sl_map_open("/proc/self/exe", &other, NULL)) _exit(11);
    sl_map_mend(on_damage, &once);
    if (sum(&m) != (void *)(uintptr_t)('G' + 'G' + 'U' + 'F') || sl_map_damaged()) _exit(12);
    if (truncate(path, 5000)) _exit(13);
    for (int i = 0; i < 4; i++)
        if (pthread_create(&thread[i], NULL, sum, &m)) _exit(14);
    for (int i = 0; i < 4; i++)
        if (pthread_join(thread[i], &total) || total != (void *)(uintptr_t)('G' + 'G' + 'U' + 'F')) _exit(15);
    if (!sl_map_damaged() || strcmp(sl_map_damaged(), path)) _exit(16);
    if (tellings != 1) _exit(17);
    unlink(path);
    sl_map_close(&m);
    sl_map_close(&other);
    raise(SIGBUS); /* one that somebody sent still ends the process */
}

/* Promise 3 */
START_TEST(test_mended_while_in_use) {
    char text[512];
    int status = in_child(read_mended, text, sizeof text);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "status %x: %s", (unsigned)status, text);
}
END_TEST

int main(void) {
    return RUN_TESTS("base/map", 30, test_open, test_refusals, test_truncated_while_in_use, test_mended_while_in_use);
}

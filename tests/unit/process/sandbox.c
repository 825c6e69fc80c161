#include "process/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../run.h"

/* What is taken away does not come back, so each case has a process of its own. It leaves with 0, or the line that did not hold. */
#define must(condition)                        \
    do {                                       \
        if (!(condition)) leave_with(__LINE__); \
    } while (0)
#define SKIP (-1)

static int report; /* the write end of the case's pipe */

static void leave_with(int line) {
    if (write(report, &line, sizeof line) != (ssize_t)sizeof line) _exit(2);
    _exit(1);
}

typedef struct outcome {
    int status; /* of waitpid */
    int line;   /* 0: everything held */
    char text[512]; /* on its standard error */
} outcome;

static outcome in_child(void (*fn)(void *), void *arg) {
    outcome o = {0};
    int lines[2], errors[2];
    ck_assert_int_eq(pipe(lines), 0);
    ck_assert_int_eq(pipe(errors), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        report = lines[1];
        dup2(errors[1], STDERR_FILENO);
        fn(arg);
        _exit(0);
    }
    close(lines[1]);
    close(errors[1]);
    ck_assert_int_eq(waitpid(pid, &o.status, 0), pid);
    ssize_t n = read(errors[0], o.text, sizeof o.text - 1);
    o.text[n > 0 ? n : 0] = 0;
    if (read(lines[0], &o.line, sizeof o.line) != (ssize_t)sizeof o.line) o.line = 0;
    close(lines[0]);
    close(errors[0]);
    return o;
}

/* false: this kernel has no such thing. */
static bool holds(void (*fn)(void *), void *arg) {
    outcome o = in_child(fn, arg);
    if (o.line == SKIP) {
        printf("SKIP SKIP SKIP: this machine cannot limit a process: %s\n", o.text);
        return false;
    }
    ck_assert_msg(o.line == 0, "line %d of this file does not hold: %s", o.line, o.text);
    ck_assert_msg(WIFEXITED(o.status) && WEXITSTATUS(o.status) == 0, "status %x: %s", (unsigned)o.status, o.text);
    return true;
}

static void limit_files(const char *const *paths, int count) {
    sl_error e;
    if (sl_sandbox_files(paths, count, &e) == SL_OK) return;
    fprintf(stderr, "%s", e.message);
    leave_with(SKIP);
}

static void limit_calls(sl_sandbox_stage stage) {
    sl_error e;
    if (sl_sandbox_calls(stage, &e) == SL_OK) return;
    fprintf(stderr, "%s", e.message);
    leave_with(SKIP);
}

/* --- files --- */

static char folder[64];

static const char *in_folder(const char *name) {
    static char path[2][256];
    static int turn;
    char *p = path[turn ^= 1];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static void put(const char *name, const char *text) {
    int fd = open(in_folder(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, strlen(text)) < 0) abort();
    close(fd);
}

/* ..data -> version, as a volume of Kubernetes is replaced at once. */
static void publish(const char *version) {
    if (symlink(version, in_folder("..tmp")) || rename(in_folder("..tmp"), in_folder("..data"))) abort();
}

static int opens(const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd < 0) return errno;
    close(fd);
    return 0;
}

static void *open_elsewhere(void *arg) {
    *(int *)arg = opens("/etc/passwd", O_RDONLY);
    return NULL;
}

static void files_of_keys(void *arg) {
    sem_t *sems = arg; /* shared with the test: limited, replaced */
    const char *paths[] = {folder, "/proc/self", "/no/such/place"};
    int from_thread = 0;
    pthread_t thread;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int tcp = socket(AF_INET, SOCK_STREAM, 0);
    limit_files(paths, 3);
    must(opens(in_folder("keys"), O_RDONLY) == 0);
    must(opens("/proc/self/stat", O_RDONLY) == 0);
    must(opens("/etc/passwd", O_RDONLY) == EACCES);
    must(opens("/", O_RDONLY | O_DIRECTORY) == EACCES);
    must(opens(in_folder("keys"), O_WRONLY) == EACCES);
    must(opens(in_folder("new"), O_RDWR | O_CREAT) == EACCES);
    must(unlink(in_folder("keys")) == -1 && errno == EACCES);
    must(mkdir(in_folder("sub"), 0700) == -1 && errno == EACCES);
    char *const none[] = {NULL};
    must(execve("/bin/true", none, none) == -1 && errno == EACCES);
    if (connect(tcp, (struct sockaddr *)&to, sizeof to) != -1 || errno != EACCES) must(errno == ECONNREFUSED); /* landlock before 4 */
    must(pthread_create(&thread, NULL, open_elsewhere, &from_thread) == 0 && pthread_join(thread, NULL) == 0);
    must(from_thread == EACCES);
    sem_post(&sems[0]);
    while (sem_wait(&sems[1])) continue;
    char text[16] = "";
    int fd = open(in_folder("keys"), O_RDONLY | O_CLOEXEC);
    must(fd >= 0 && read(fd, text, sizeof text - 1) == 3 && !strcmp(text, "two"));
}

START_TEST(keys_can_be_replaced_and_nothing_else_is_read) {
    sem_t *sems = mmap(NULL, 2 * sizeof(sem_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(sems != MAP_FAILED);
    sem_init(&sems[0], 1, 0);
    sem_init(&sems[1], 1, 0);
    strcpy(folder, "/tmp/sluice-sandbox-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(mkdir(in_folder("..one"), 0700), 0);
    put("..one/keys", "one");
    publish("..one");
    ck_assert_int_eq(symlink("..data/keys", in_folder("keys")), 0);
    pid_t pid = fork();
    if (pid == 0) { /* replaces the keys when the other one is limited */
        while (sem_wait(&sems[0])) continue;
        if (mkdir(in_folder("..two"), 0700)) _exit(1);
        put("..two/keys", "two");
        publish("..two");
        unlink(in_folder("..one/keys"));
        rmdir(in_folder("..one"));
        sem_post(&sems[1]);
        _exit(0);
    }
    bool done = holds(files_of_keys, sems);
    if (!done) kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    unlink(in_folder("keys"));
    unlink(in_folder("..data"));
    for (const char *const *v = (const char *const[]){"..one", "..two", NULL}; *v; v++) {
        char keys[80];
        snprintf(keys, sizeof keys, "%s/keys", *v);
        unlink(in_folder(keys));
        rmdir(in_folder(*v));
    }
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

static void files_twice(void *arg) {
    (void)arg;
    const char *all[] = {"/"}, *some[] = {"/proc"};
    limit_files(all, 1);
    must(opens("/etc/passwd", O_RDONLY) == 0);
    must(opens("/tmp/sluice-sandbox-new", O_WRONLY | O_CREAT) == EACCES);
    limit_files(some, 1);
    must(opens("/etc/passwd", O_RDONLY) == EACCES);
    must(opens("/proc/self/stat", O_RDONLY) == 0);
    limit_files(all, 1); /* what is gone is gone */
    must(opens("/etc/passwd", O_RDONLY) == EACCES);
}

START_TEST(limits_add_up) { holds(files_twice, NULL); }
END_TEST

/* --- calls --- */

static void serving(void *arg) {
    (void)arg;
    int pair[2], pipes[2];
    char text[8];
    struct rusage usage;
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pipe(pipes) == 0);
    limit_calls(SL_SANDBOX_SERVING);
    must(send(pair[0], "abc", 3, MSG_NOSIGNAL) == 3 && recv(pair[1], text, 3, 0) == 3);
    must(write(pipes[1], "x", 1) == 1 && read(pipes[0], text, 1) == 1);
    void *large = malloc(64 << 20);
    must(large);
    memset(large, 1, 64 << 20);
    large = realloc(large, 200 << 20);
    must(large);
    free(large);
    must(getrusage(RUSAGE_SELF, &usage) == 0);
    must(opens("/proc/self/stat", O_RDONLY) == 0);
    must(opens("/tmp", O_RDONLY | O_DIRECTORY) == 0);
    must(opens("/tmp/sluice-sandbox-new", O_WRONLY | O_CREAT) == ENOSYS);
    must(opens("/dev/null", O_RDWR) == ENOSYS);
    must(opens("/tmp", O_RDWR | O_TMPFILE) == ENOSYS);
    must(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(page != MAP_FAILED && mprotect(page, 4096, PROT_READ) == 0 && mprotect(page, 4096, PROT_READ | PROT_EXEC) == -1);
    must(unlink("/tmp/sluice-sandbox-new") == -1 && errno == ENOSYS);
    must(kill(getppid(), 0) == -1 && errno == ENOSYS);
    must(syscall(SYS_tgkill, getppid(), getppid(), 0) == -1 && errno == ENOSYS);
    struct rlimit files = {1, 1};
    must(setrlimit(RLIMIT_NOFILE, &files) == -1 && getrlimit(RLIMIT_NOFILE, &files) == 0);
    must(syscall(400000) == -1 && errno == ENOSYS); /* a call that no kernel knows yet */
    must(raise(SIGURG) == 0);
}

START_TEST(what_serving_needs_works) { holds(serving, NULL); }
END_TEST

static void do_socket(void) { socket(AF_INET, SOCK_STREAM, 0); }
static void do_connect(void) {
    struct sockaddr_in to = {.sin_family = AF_INET};
    connect(0, (struct sockaddr *)&to, sizeof to);
}
static void do_bind(void) { bind(0, NULL, 0); }
static void do_execve(void) {
    char *const none[] = {NULL};
    execve("/bin/true", none, none);
}
static void do_fork(void) { fork(); }
static void do_vfork(void) { syscall(SYS_vfork); }
static void do_ptrace(void) { ptrace(PTRACE_TRACEME, 0, 0, 0); }
static void do_io_uring(void) { syscall(SYS_io_uring_setup, 1, NULL); }
static void do_bpf(void) { syscall(SYS_bpf, 0, NULL, 0); }
static void do_unshare(void) { unshare(CLONE_NEWNS); }
static void do_setuid(void) { syscall(SYS_setuid, 0); }

static const struct {
    const char *name;
    void (*call)(void);
} attacks[] = {
    {"socket", do_socket}, {"connect", do_connect}, {"bind", do_bind}, {"execve", do_execve}, {"clone", do_fork}, {"vfork", do_vfork},
    {"ptrace", do_ptrace}, {"io_uring_setup", do_io_uring}, {"bpf", do_bpf}, {"unshare", do_unshare}, {"setuid", do_setuid},
};
enum { ATTACKS = sizeof attacks / sizeof attacks[0] };

typedef struct attempt {
    int which;
    sl_sandbox_stage stage;
    bool elsewhere; /* in a thread that was started before */
    sem_t go;
} attempt;

static void *attack(void *arg) {
    attempt *a = arg;
    while (sem_wait(&a->go)) continue;
    attacks[a->which].call();
    return NULL;
}

static void attempts(void *arg) {
    attempt *a = arg;
    pthread_t thread;
    sem_init(&a->go, 0, 0);
    if (a->elsewhere) must(pthread_create(&thread, NULL, attack, a) == 0);
    limit_calls(a->stage);
    sem_post(&a->go);
    if (a->elsewhere) pthread_join(thread, NULL);
    else attack(a);
}

START_TEST(an_attacker_s_call_ends_the_process) {
    attempt a = {.which = _i / 4, .stage = _i % 2 ? SL_SANDBOX_SERVING : SL_SANDBOX_LOADING, .elsewhere = _i % 4 > 1};
    outcome o = in_child(attempts, &a);
    if (o.line == SKIP) return; /* said above */
    const char *name = attacks[a.which].name;
    ck_assert_msg(WIFSIGNALED(o.status) && WTERMSIG(o.status) == SIGSYS, "%s: %x %s", name, (unsigned)o.status, o.text);
    ck_assert_msg(strstr(o.text, "sluice: sandbox: the process was made to call ") == o.text, "%s", o.text);
    ck_assert_msg(strstr(o.text, name), "%s: %s", name, o.text);
}
END_TEST

static void unlisted(void *arg) {
    limit_calls(SL_SANDBOX_STRICT);
    must(opens("/proc/self/stat", O_RDONLY) == 0 && raise(SIGURG) == 0);
    syscall(*(int *)arg);
}

START_TEST(strict_ends_with_any_other_call) {
    int number = _i ? 400000 : SYS_getppid;
    attempt serves = {.which = 0, .stage = SL_SANDBOX_SERVING};
    outcome o = in_child(attempts, &serves);
    if (o.line == SKIP) return; /* said above */
    o = in_child(unlisted, &number);
    char said[80];
    snprintf(said, sizeof said, "sluice: sandbox: the process was made to call the system call %d, ", number);
    ck_assert_msg(WIFSIGNALED(o.status) && WTERMSIG(o.status) == SIGSYS, "%x %s", (unsigned)o.status, o.text);
    ck_assert_msg(strstr(o.text, said) == o.text, "%s", o.text);
}
END_TEST

static void *nothing(void *arg) { return arg; }

static void loading(void *arg) {
    (void)arg;
    pthread_t thread;
    limit_calls(SL_SANDBOX_LOADING);
    must(pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0);
    must(opens("/tmp", O_RDONLY | O_DIRECTORY) == 0);
    limit_calls(SL_SANDBOX_SERVING); /* on top of it */
    must(opens("/dev/null", O_WRONLY) == ENOSYS);
}

START_TEST(threads_start_while_it_loads) { holds(loading, NULL); }
END_TEST

int main(void) {

    Suite *suite = suite_create("process/sandbox");
    TCase *tcase = tcase_create("process/sandbox");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, keys_can_be_replaced_and_nothing_else_is_read);
    tcase_add_test(tcase, limits_add_up);
    tcase_add_test(tcase, what_serving_needs_works);
    tcase_add_loop_test(tcase, strict_ends_with_any_other_call, 0, 2);
    tcase_add_test(tcase, threads_start_while_it_loads);
    tcase_add_loop_test(tcase, an_attacker_s_call_ends_the_process, 0, 4 * ATTACKS);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

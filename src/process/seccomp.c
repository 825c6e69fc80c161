/* seccomp.c: the system calls that a server makes, each with its reason, and those that it never makes.
 *
 * The list is what `strace -f` saw while the HTTP tests and some others of tests/server ran, and what the libraries' sources have on
 * paths that those do not reach (an interrupted sleep, a trimmed heap). All of tests/server and tests/operate pass where any other call
 * ends the process (SLUICE_SANDBOX=strict). It speaks of calls by name, which libseccomp makes numbers for the machine at hand, and it
 * refuses the calls of other architectures (32 bits, x32) as a whole. docs/systemd.md has the names, a test compares. */
#include "process/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Name, reason. */
#define ALLOWED(X)                                                                                              \
    /* the loop, and libmicrohttpd in it */                                                                     \
    X(accept4, "newcomers")                                                                                     \
    X(epoll_ctl, "what the loop looks at")                                                                      \
    X(epoll_wait, "the loop, libmicrohttpd")                                                                    \
    X(epoll_pwait, "the loop")                                                                                  \
    X(getpeername, "who came")                                                                                  \
    X(getsockname, "libmicrohttpd, of a newcomer")                                                              \
    X(getsockopt, "libmicrohttpd: errors of a connection")                                                      \
    X(setsockopt, "keep-alive, no delay, buffers")                                                              \
    X(recvfrom, "requests")                                                                                     \
    X(recvmsg, "libuv")                                                                                         \
    X(sendmsg, "answers: head and body in one")                                                                 \
    X(shutdown, "connections that end")                                                                         \
    X(poll, "hang-ups; a log that is not ready")                                                                \
    X(ppoll, "the same in newer libcs")                                                                         \
    X(read, "wake-ups of the loop, files")                                                                      \
    X(readv, "libuv")                                                                                           \
    X(write, "wake-ups of the loop, log lines")                                                                 \
    X(writev, "answers")                                                                                        \
    X(close, "connections and files")                                                                           \
    /* key files, /proc, the cgroup */                                                                          \
    X(lseek, "stdio")                                                                                           \
    X(pread64, "stdio")                                                                                         \
    X(fstat, "stdio, folders")                                                                                  \
    X(newfstatat, "the same")                                                                                   \
    X(statx, "the same in newer libcs")                                                                         \
    X(getdents64, "open descriptors, for the metrics")                                                          \
    X(readlink, "links below /proc")                                                                            \
    X(readlinkat, "links below /proc")                                                                          \
    /* memory: the allocator, stacks, buffers, the mapped model */                                              \
    X(brk, "the allocator")                                                                                     \
    X(munmap, "the allocator, stacks, the model at the end")                                                    \
    X(mremap, "large buffers that grow")                                                                        \
    X(madvise, "memory given back, stacks of threads that end")                                                 \
    X(mbind, "OpenBLAS: on which memory its buffers lie")                                                       \
    /* threads */                                                                                               \
    X(futex, "locks, barriers, joins")                                                                          \
    X(sched_yield, "OpenBLAS and barriers, before they sleep")                                                  \
    X(sched_getaffinity, "how many processors there are: OpenBLAS")                                             \
    X(set_robust_list, "libc, of threads that were started before and begin now")                               \
    X(rseq, "the same; without it libc aborts")                                                                 \
    X(getpriority, "the same: how nice they are")                                                               \
    X(membarrier, "libc")                                                                                       \
    X(gettid, "abort, raise")                                                                                   \
    X(getpid, "abort, raise")                                                                                   \
    X(exit, "threads that end")                                                                                 \
    X(exit_group, "the end")                                                                                    \
    X(restart_syscall, "a wait that a signal interrupted")                                                      \
    /* signals */                                                                                               \
    X(rt_sigaction, "what signals do at the end")                                                               \
    X(rt_sigprocmask, "raise, abort, the loop")                                                                 \
    X(rt_sigreturn, "handlers that return")                                                                     \
    X(sigaltstack, "libc, of threads that end")                                                                 \
    /* time and chance */                                                                                       \
    X(clock_gettime, "where the kernel's page for it is not there")                                             \
    X(clock_getres, "the same")                                                                                 \
    X(gettimeofday, "the same")                                                                                 \
    X(time, "the same")                                                                                         \
    X(clock_nanosleep, "waits")                                                                                 \
    X(nanosleep, "waits")                                                                                       \
    X(getrandom, "seeds, request ids")                                                                          \
    /* what is said of the process and the machine */                                                           \
    X(getrusage, "processor time and faults, for the metrics")                                                  \
    X(getrlimit, "the limit of open files")                                                                     \
    X(sysinfo, "memory, for libc's sort")                                                                       \
    X(uname, "libc")                                                                                            \
    X(getcpu, "where the kernel's page for it is not there")

/* Allowed where an argument has certain bits. Name, argument, mask, value, reason. */
#define ALLOWED_IF(X)                                                                                           \
    X(sendto, 4, UINT64_MAX, 0, "answers, the service manager; to whom a socket is connected, no address")      \
    X(openat, 2, (uint64_t)(O_ACCMODE | O_CREAT | O_TRUNC | O_TMPFILE) & ~(uint64_t)O_DIRECTORY, O_RDONLY, "files to read; landlock says which") \
    X(open, 1, (uint64_t)(O_ACCMODE | O_CREAT | O_TRUNC | O_TMPFILE) & ~(uint64_t)O_DIRECTORY, O_RDONLY, "the same")                             \
    X(mmap, 2, PROT_EXEC, 0, "memory, but no code")                                                             \
    X(mprotect, 2, PROT_EXEC, 0, "memory, but no code")                                                         \
    X(fcntl, 1, UINT64_MAX, F_GETFL, "stdio")                                                                   \
    X(fcntl, 1, UINT64_MAX, F_SETFL, "descriptors that must not block")                                         \
    X(fcntl, 1, UINT64_MAX, F_GETFD, "folders")                                                                 \
    X(fcntl, 1, UINT64_MAX, F_SETFD, "folders")                                                                 \
    X(ioctl, 1, UINT64_MAX, FIONREAD, "has a client sent more before it hung up?")                              \
    X(ioctl, 1, UINT64_MAX, FIONBIO, "libuv")                                                                   \
    X(ioctl, 1, UINT64_MAX, TCGETS, "stdio: is it a terminal?")                                                 \
    X(prctl, 0, UINT64_MAX, PR_SET_NAME, "threads that were started before and begin now: their names")         \
    X(setpriority, 1, UINT64_MAX, 0, "the same: how nice they are; only oneself")                               \
    X(tgkill, 0, UINT64_MAX, (uint64_t)getpid(), "abort, raise: only this process")                             \
    X(prlimit64, 2, UINT64_MAX, 0, "limits are read, never set")

/* What is taken for an attack, while it loads too. Programs and processes; connections; others' memory; what is root's. */
#define NEVER(X)                                                                                                \
    X(execve) X(execveat) X(fork) X(vfork)                                                                      \
    X(socket) X(connect) X(bind) X(listen)                                                                      \
    X(ptrace) X(process_vm_readv) X(process_vm_writev) X(pidfd_getfd) X(kcmp)                                   \
    X(mount) X(umount2) X(pivot_root) X(chroot) X(move_mount) X(open_tree) X(fsopen) X(fsmount) X(mount_setattr) \
    X(setns) X(unshare) X(open_by_handle_at)                                                                    \
    X(init_module) X(finit_module) X(delete_module) X(kexec_load) X(kexec_file_load) X(reboot) X(swapon) X(swapoff) \
    X(bpf) X(perf_event_open) X(userfaultfd) X(io_uring_setup) X(io_uring_enter) X(io_uring_register)           \
    X(keyctl) X(add_key) X(request_key) X(iopl) X(ioperm) X(modify_ldt)                                         \
    X(setuid) X(setgid) X(setreuid) X(setregid) X(setresuid) X(setresgid) X(setgroups) X(capset)                \
    X(settimeofday) X(clock_settime) X(adjtimex) X(sethostname) X(setdomainname) X(acct) X(quotactl) X(personality)

typedef struct call {
    int number;
    const char *name;
} call;

#define X(name) {SCMP_SYS(name), #name},
static const call never[] = {NEVER(X)};
#undef X
#define X(name, why) {SCMP_SYS(name), #name},
static const call allowed[] = {ALLOWED(X)};
#undef X
#define X(name, argument, mask, value, why) {SCMP_SYS(name), #name},
static const call allowed_if[] = {ALLOWED_IF(X)};
#undef X

#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

int sl_sandbox_call_count(void) {
    int count = COUNT(allowed);
    for (int i = 0; i < COUNT(allowed_if); i++) count += i == 0 || allowed_if[i].number != allowed_if[i - 1].number;
    return count;
}

/* --- what becomes of who does it all the same --- */

static void append(char *line, size_t size, const char *text) { strncat(line, text, size - 1 - strlen(line)); }

static void on_forbidden(int signal_number, siginfo_t *info, void *context) {
    (void)context;
    char line[256] = "sluice: sandbox: the process was made to call ", number[16];
    const char *name = info->si_syscall == SCMP_SYS(clone) ? "clone" : NULL; /* of a process, see add_never */
    for (int i = 0; i < COUNT(never) && !name; i++)
        if (never[i].number == info->si_syscall) name = never[i].name;
    int n = info->si_syscall, at = (int)sizeof number;
    number[--at] = 0;
    do number[--at] = (char)('0' + n % 10), n /= 10;
    while (n > 0 && at > 0);
    append(line, sizeof line, name ? name : "the system call ");
    append(line, sizeof line, name ? "" : number + at);
    append(line, sizeof line, name ? ", which a server never does; it ends here, as somebody may be at work in it (--sandbox)\n"
                                   : ", which is not on its list; it ends here (--sandbox strict; scmp_sys_resolver says its name)\n");
    if (write(STDERR_FILENO, line, strlen(line)) < 0) line[0] = 0;
    signal(signal_number, SIG_DFL);
    raise(signal_number); /* not blocked: SA_NODEFER */
    _exit(128 + signal_number);
}

static void watch_forbidden(void) {
    struct sigaction action = {.sa_sigaction = on_forbidden, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigset_t own;
    sigemptyset(&action.sa_mask);
    sigaction(SIGSYS, &action, NULL);
    sigemptyset(&own);
    sigaddset(&own, SIGSYS);
    pthread_sigmask(SIG_UNBLOCK, &own, NULL);
}

/* --- the filter --- */

/* A call that this machine does not have needs no rule. */
static bool add(scmp_filter_ctx f, uint32_t what, int number, unsigned conditions, const struct scmp_arg_cmp *condition) {
    int error = number == __NR_SCMP_ERROR ? 0 : seccomp_rule_add_array(f, what, number, conditions, condition);
    return error == 0 || error == -EDOM || error == -EEXIST;
}

static bool add_never(scmp_filter_ctx f) {
    /* A thread is a clone too. What clone3 is asked for stands in memory, where a filter does not look: libc takes clone then. */
    const struct scmp_arg_cmp process = SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0);
    bool good = add(f, SCMP_ACT_TRAP, SCMP_SYS(clone), 1, &process);
    for (int i = 0; i < COUNT(never) && good; i++) good = add(f, SCMP_ACT_TRAP, never[i].number, 0, NULL);
    return good;
}

static bool add_allowed(scmp_filter_ctx f) {
    const struct scmp_arg_cmp conditions[] = {
#define X(name, argument, mask, value, why) SCMP_CMP(argument, SCMP_CMP_MASKED_EQ, mask, value),
        ALLOWED_IF(X)
#undef X
    };
    bool good = true;
    for (int i = 0; i < COUNT(allowed) && good; i++) good = add(f, SCMP_ACT_ALLOW, allowed[i].number, 0, NULL);
    for (int i = 0; i < COUNT(allowed_if) && good; i++) good = add(f, SCMP_ACT_ALLOW, allowed_if[i].number, 1, &conditions[i]);
    return good;
}

sl_status sl_sandbox_calls(sl_sandbox_stage stage, sl_error *e) {
    bool serves = stage != SL_SANDBOX_LOADING;
    scmp_filter_ctx f = seccomp_init(stage == SL_SANDBOX_STRICT ? SCMP_ACT_TRAP : serves ? SCMP_ACT_ERRNO(ENOSYS) : SCMP_ACT_ALLOW);
    if (!f) return sl_fail(e, SL_NOMEM, "no memory for the filter of system calls");
    sl_status status = SL_OK;
    int error = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1); /* every thread */
    seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);          /* a tree instead of a chain of comparisons */
    /* Where every other call traps, these do too, and a rule that says what the default says is an error to libseccomp. */
    bool good = (stage == SL_SANDBOX_STRICT || add_never(f)) && (serves ? add_allowed(f) : add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0, NULL));
    watch_forbidden();
    if (error == 0) error = good ? seccomp_load(f) : -EINVAL;
    if (error) status = sl_fail(e, SL_UNSUPPORTED, "seccomp: %s", strerror(-error));
    seccomp_release(f);
    return status;
}

/* --- sanitizers --- */

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

const char *sl_sandbox_hindrance(void) {
#ifdef SANITIZED
    return "this build has a sanitizer, which traces the process at its end";
#else
    return NULL;
#endif
}

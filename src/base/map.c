/* map.c: the signal handler finds a fault's file in a list of places. A place is reused when its file is closed and never
 * freed, so the handler may walk the list at any time without a lock. */
#include "base/map.h"
#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct place {
    struct place *next;
    _Atomic(uintptr_t) begin; /* 0: free */
    _Atomic(uintptr_t) end;
    _Atomic(const char *) path;
} place;

static _Atomic(place *) places;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of changes to the list */

static bool place_take(const sl_map *m) {
    pthread_mutex_lock(&lock);
    place *p = atomic_load(&places);
    while (p && atomic_load(&p->begin)) p = p->next;
    bool fresh = !p;
    if (fresh) p = sl_calloc(1, sizeof *p);
    if (p) {
        atomic_store(&p->path, m->path);
        atomic_store(&p->end, (uintptr_t)m->data + m->size);
        atomic_store(&p->begin, (uintptr_t)m->data);
        if (fresh) {
            p->next = atomic_load(&places);
            atomic_store(&places, p);
        }
    }
    pthread_mutex_unlock(&lock);
    return p != NULL;
}

static void place_release(const sl_map *m) {
    pthread_mutex_lock(&lock);
    for (place *p = atomic_load(&places); p; p = p->next)
        if (atomic_load(&p->begin) == (uintptr_t)m->data) atomic_store(&p->begin, 0);
    pthread_mutex_unlock(&lock);
}

sl_status sl_map_open(const char *path, sl_map *ret, sl_error *e) {
    sl_map m = {0};
    sl_status status;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not block us */
    if (fd < 0 || fstat(fd, &st)) {
        status = sl_fail(e, errno == ENOENT ? SL_NOT_FOUND : SL_IO, "%s: %s", path, strerror(errno));
        goto fail;
    }
    if (!S_ISREG(st.st_mode)) {
        status = sl_fail(e, SL_INVALID, "%s: is %s, not a file", path,
                         S_ISDIR(st.st_mode) ? "a folder" : "a pipe or device");
        goto fail;
    }
    m.path = sl_strdup(path);
    if (!m.path) {
        status = sl_fail(e, SL_NOMEM, "%s: out of memory", path);
        goto fail;
    }
    m.size = (size_t)st.st_size;
    if (m.size) {
        void *p = mmap(NULL, m.size, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED) {
            status = sl_fail(e, errno == ENOMEM ? SL_NOMEM : SL_IO, "%s: cannot be mapped: %s", path, strerror(errno));
            goto fail;
        }
        m.data = p;
        if (!place_take(&m)) {
            status = sl_fail(e, SL_NOMEM, "%s: out of memory", path);
            goto fail;
        }
    }
    close(fd);
    *ret = m;
    return SL_OK;

fail:
    if (m.data) munmap((void *)(uintptr_t)m.data, m.size);
    sl_free(m.path);
    if (fd >= 0) close(fd);
    return status;
}

void sl_map_close(sl_map *m) {
    if (m->data) {
        place_release(m);
        munmap((void *)(uintptr_t)m->data, m->size);
    }
    sl_free(m->path);
    *m = (sl_map){0};
}

/* What the handler does with a fault; constant once it is installed. */
static void (*told_of_damage)(void *arg); /* NULL: it leaves */
static void *told_arg;
static _Atomic(const char *) damaged; /* the path of the first file that had a fault */

static void leave(const char *path) {
    static const char text[] = ": the file was cut short or cannot be read any more while in use\n";
    char line[1024] = "sluice: ";
    size_t used = strlen(line), room = sizeof line - sizeof text;
    while (*path && used < room) line[used++] = *path++;
    memcpy(line + used, text, sizeof text - 1);
    if (write(STDERR_FILENO, line, used + sizeof text - 1) < 0) _exit(1);
    _exit(1);
}

/* Zeros from the page of `at` to the end of its map, so that the instruction goes on. Several threads may do this at once: each
 * begins at its own page, and zeros over zeros are zeros. `damaged` is set before anybody can read one. Others may read the map
 * meanwhile, and whatever they find is thrown away; the system is called directly, since ThreadSanitizer takes libc's mmap for a
 * write to all of the map, and so for a race with them. */
static bool mend(uintptr_t at, uintptr_t end, const char *path) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = at & ~(page - 1);
    const char *none = NULL;
    atomic_compare_exchange_strong(&damaged, &none, path);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    if (syscall(SYS_mmap, from, end - from, PROT_READ, flags, -1, 0L) == -1) return false;
    if (!none) told_of_damage(told_arg);
    return true;
}

static void on_sigbus(int sig, siginfo_t *info, void *context) {
    (void)context;
    int before = errno;
    uintptr_t at = (uintptr_t)info->si_addr;
    for (place *p = atomic_load(&places); info->si_code > 0 && p; p = p->next) {
        uintptr_t begin = atomic_load(&p->begin), end = atomic_load(&p->end);
        if (!begin || at < begin || at >= end) continue;
        if (!told_of_damage || !mend(at, end, atomic_load(&p->path))) leave(atomic_load(&p->path));
        errno = before;
        return;
    }
    signal(sig, SIG_DFL);
    if (info->si_code <= 0) raise(sig); /* somebody sent it: returning would not raise it again */
}

const char *sl_map_damaged(void) { return atomic_load(&damaged); }

void sl_map_mend(void (*told)(void *arg), void *arg) {
    told_arg = arg;
    told_of_damage = told;
}

void sl_map_guard(void) {
    struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}

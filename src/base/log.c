/* log.c: the caller formats a line on its own stack and copies it into a ring of bytes under a mutex that is held for the
 * copy only; the writer takes what is there and writes it without the mutex. */
#include "base/log.h"
#include "base/internal.h"
#include "base/thread.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { RING = 256 * 1024, LINE_SIZE = 4096, STRING_MAX = 256, STOP_SECONDS = 2, DIRECT_PATIENCE_MS = 1000 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    pthread_t writer;
    bool running, stop;
    size_t begin, used; /* of ring */
    char ring[RING];
} out = {.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER};

static atomic_int out_fd = STDERR_FILENO, out_least = SL_LOG_INFO;
static atomic_bool out_json;
static _Atomic(uint64_t) dropped;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

typedef struct line {
    size_t len;
    char text[LINE_SIZE];
} line;

/* Keeps room for what ends a line. A piece that does not fit is left out as a whole. */
static void put(line *l, const char *s, size_t n) {
    if (n > sizeof l->text - 16 - l->len) return;
    memcpy(l->text + l->len, s, n);
    l->len += n;
}

static void put_text(line *l, const char *s) { put(l, s, strlen(s)); }

static void put_escaped(line *l, const char *s, size_t n) {
    while (n) {
        char piece[SL__ESCAPE_MAX];
        size_t len, step = sl__json_escape(s, n, piece, &len);
        put(l, piece, len);
        s += step;
        n -= step;
    }
}

static void put_quoted(line *l, const char *s, size_t n) {
    put(l, "\"", 1);
    put_escaped(l, s, n);
    put(l, "\"", 1);
}

/* Returns how many bytes could be written: fewer on a full disk, or when nobody reads any more. patience_ms: how long it waits
 * for a descriptor that somebody made non-blocking; -1: for ever. */
static size_t write_all(int fd, const char *s, size_t n, int patience_ms) {
    size_t written = 0;
    while (written < n) {
        ssize_t done = write(fd, s + written, n - written);
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        if (done < 0 && (errno == EINTR || (errno == EAGAIN && poll(&p, 1, patience_ms) > 0))) continue;
        if (done <= 0) break;
        written += (size_t)done;
    }
    return written;
}

static void begin_line(line *l, sl_log_level level) {
    struct timespec now;
    struct tm tm;
    char text[80];
    clock_gettime(CLOCK_REALTIME, &now);
    l->len = 0;
    if (atomic_load(&out_json)) {
        gmtime_r(&now.tv_sec, &tm);
        size_t n = strftime(text, sizeof text, "{\"time\":\"%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(text + n, sizeof text - n, ".%03dZ\",\"level\":\"%s\"", (int)(now.tv_nsec / 1000000),
                 level_names[level]);
    } else {
        localtime_r(&now.tv_sec, &tm);
        size_t n = strftime(text, sizeof text, "%H:%M:%S", &tm);
        snprintf(text + n, sizeof text - n, " %-5s ", level_names[level]);
    }
    put_text(l, text);
}

static void end_line(line *l) {
    const char *end = atomic_load(&out_json) ? "}\n" : "\n";
    size_t n = strlen(end);
    memcpy(l->text + l->len, end, n);
    l->len += n;

    pthread_mutex_lock(&out.lock);
    bool direct = !out.running;
    if (!direct) {
        if (l->len > RING - out.used) {
            atomic_fetch_add(&dropped, 1);
        } else {
            size_t at = (out.begin + out.used) % RING, first = RING - at < l->len ? RING - at : l->len;
            memcpy(out.ring + at, l->text, first);
            memcpy(out.ring, l->text + first, l->len - first);
            if (!out.used) pthread_cond_signal(&out.filled);
            out.used += l->len;
        }
    }
    pthread_mutex_unlock(&out.lock);
    if (direct) write_all(atomic_load(&out_fd), l->text, l->len, DIRECT_PATIENCE_MS);
}

/* --- the writer --- */

/* Where the writer stands in what is written. Pieces of the ring need not end where lines do. */
typedef struct place {
    bool inside;  /* the last byte written was not a line's end */
    bool cut;     /* and the rest of that line is lost: the next one begins with a line's end */
    bool lost;    /* the last piece could not be written whole */
    bool passing; /* the beginning of the line that comes is lost: so is its rest */
} place;

/* Writes a piece; what cannot be written is dropped and counted by lines. */
static void write_piece(place *at, const char *s, size_t n) {
    int fd = atomic_load(&out_fd);
    if (at->passing) {
        const char *end = memchr(s, '\n', n);
        if (!end) return;
        atomic_fetch_add(&dropped, 1);
        at->passing = false;
        n -= (size_t)(end + 1 - s);
        s = end + 1;
    }
    if (!n) return;
    size_t done = 0;
    if (!at->cut || write_all(fd, "\n", 1, -1) == 1) {
        at->cut = false;
        done = write_all(fd, s, n, -1);
        if (done) at->inside = s[done - 1] != '\n';
    }
    at->lost = done < n;
    if (!at->lost) return;
    at->cut = at->cut || at->inside;
    at->passing = s[n - 1] != '\n';
    uint64_t lines = 0;
    for (const char *p = s + done; (p = memchr(p, '\n', (size_t)(s + n - p))); p++) lines++;
    atomic_fetch_add(&dropped, lines);
}

static void *writer(void *arg) {
    (void)arg;
    pthread_setname_np(pthread_self(), "sluice-log");
    uint64_t told = 0;
    place at = {0};
    pthread_mutex_lock(&out.lock);
    for (;;) {
        while (!out.used && !out.stop) pthread_cond_wait(&out.filled, &out.lock);
        if (!out.used) break;
        size_t begin = out.begin, n = RING - begin < out.used ? RING - begin : out.used;
        pthread_mutex_unlock(&out.lock);
        write_piece(&at, out.ring + begin, n); /* nobody else changes these bytes while they count as used */
        pthread_mutex_lock(&out.lock);
        out.begin = (out.begin + n) % RING;
        out.used -= n;
        uint64_t now = atomic_load(&dropped);
        if (now != told && !out.used && !at.lost) {
            pthread_mutex_unlock(&out.lock);
            sl_log_field count = {.key = "count", .kind = SL_LOG_INT, .i = (int64_t)(now - told)};
            sl_log_event(SL_LOG_WARN, "log lines dropped", &count, 1);
            pthread_mutex_lock(&out.lock);
            told = now;
        }
    }
    pthread_mutex_unlock(&out.lock);
    return NULL;
}

void sl_log_set(int fd, sl_log_level least, sl_log_format format) {
    atomic_store(&out_fd, fd);
    atomic_store(&out_least, (int)least);
    atomic_store(&out_json, format == SL_LOG_JSON || (format == SL_LOG_AUTO && !isatty(fd)));
    tzset();
}

sl_status sl_log_start(int fd, sl_log_level least, sl_log_format format, sl_error *e) {
    sl_log_set(fd, least, format);
    atomic_store(&dropped, 0);
    pthread_mutex_lock(&out.lock);
    out.stop = false;
    bool started = out.running = sl_thread_start(&out.writer, writer, NULL);
    pthread_mutex_unlock(&out.lock);
    return started ? SL_OK : sl_fail(e, SL_NOMEM, "cannot start the log's thread");
}

void sl_log_stop(void) {
    pthread_mutex_lock(&out.lock);
    bool was = out.running;
    out.stop = true;
    pthread_cond_signal(&out.filled);
    pthread_mutex_unlock(&out.lock);
    if (!was) return;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += STOP_SECONDS;
    if (pthread_timedjoin_np(out.writer, NULL, &until)) return;
    pthread_mutex_lock(&out.lock);
    out.running = false;
    if (out.used) { /* lines that came between the writer's end and now */
        size_t first = RING - out.begin < out.used ? RING - out.begin : out.used;
        write_all(atomic_load(&out_fd), out.ring + out.begin, first, DIRECT_PATIENCE_MS);
        write_all(atomic_load(&out_fd), out.ring, out.used - first, DIRECT_PATIENCE_MS);
        out.begin = out.used = 0;
    }
    pthread_mutex_unlock(&out.lock);
}

void sl_log(sl_log_level level, const char *fmt, ...) {
    if ((int)level < atomic_load(&out_least)) return;
    line l;
    char text[LINE_SIZE / 2];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    begin_line(&l, level);
    if (atomic_load(&out_json)) {
        put_text(&l, ",\"message\":");
        put_quoted(&l, text, strlen(text));
    } else {
        put_escaped(&l, text, strlen(text));
    }
    end_line(&l);
}

static void put_field(line *l, const sl_log_field *f, bool json) {
    char number[40];
    if (json) {
        put(l, ",", 1);
        put_quoted(l, f->key, strlen(f->key));
        put(l, ":", 1);
    } else {
        put(l, " ", 1);
        put_text(l, f->key);
        put(l, "=", 1);
    }
    if (f->kind == SL_LOG_STRING) {
        const char *s = f->s ? f->s : "";
        size_t n = strnlen(s, STRING_MAX);
        bool plain = !json && n && strcspn(s, " \t\r\n\"\\=") >= n;
        if (plain) put_escaped(l, s, n);
        else put_quoted(l, s, n);
        return;
    }
    if (f->kind == SL_LOG_INT) snprintf(number, sizeof number, "%lld", (long long)f->i);
    else if (f->r - f->r == 0) snprintf(number, sizeof number, "%.6g", f->r);
    else snprintf(number, sizeof number, "null"); /* NaN and infinities are no JSON */
    put_text(l, number);
}

void sl_log_event(sl_log_level level, const char *event, const sl_log_field *fields, int count) {
    if ((int)level < atomic_load(&out_least)) return;
    line l;
    bool json = atomic_load(&out_json);
    begin_line(&l, level);
    if (json) {
        put_text(&l, ",\"event\":");
        put_quoted(&l, event, strlen(event));
    } else {
        put_escaped(&l, event, strlen(event));
    }
    for (int i = 0; i < count; i++) put_field(&l, &fields[i], json);
    end_line(&l);
}

uint64_t sl_log_dropped(void) { return atomic_load(&dropped); }

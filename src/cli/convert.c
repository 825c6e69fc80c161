#include "cli/cli.h"

#include "base/clock.h"
#include "convert/convert.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* `sluice convert`: a model to a GGUF file of another type. */

static volatile sig_atomic_t stopped;

static void stop(int signal) {
    (void)signal;
    stopped = 1;
}

typedef struct teller {
    uint64_t began, told; /* ns */
    bool terminal;
} teller;

/* "3 min 20 s" */
static const char *duration(double seconds, char buf[32]) {
    int s = (int)(seconds + 0.5);
    if (s >= 3600) snprintf(buf, 32, "%d h %d min", s / 3600, s / 60 % 60);
    else if (s >= 60) snprintf(buf, 32, "%d min %d s", s / 60, s % 60);
    else snprintf(buf, 32, "%d s", s);
    return buf;
}

/* A line on a terminal is written over; elsewhere there is one every ten seconds. */
static bool tell(void *arg, const sl_convert_progress *p) {
    teller *t = arg;
    uint64_t now = sl_clock_ns();
    if (stopped) return false;
    if (now - t->told < (t->terminal ? SL_SECOND / 4 : 10 * SL_SECOND)) return true;
    t->told = now;
    double seconds = (double)(now - t->began) / 1e9, rate = (double)p->done / seconds;
    char left[32];
    fprintf(stderr, "%ssluice convert: %3.0f %%, tensor %d of %d, %.1f MiB/s, %s left%s", t->terminal ? "\r" : "",
            p->total ? 100.0 * (double)p->done / (double)p->total : 100.0, p->tensor, p->tensors, rate / 1048576,
            duration(rate > 0 ? (double)(p->total - p->done) / rate : 0, left), t->terminal ? "   " : "\n");
    return true;
}

static void show_note(void *arg, const char *text) {
    (void)arg;
    fprintf(stderr, "sluice convert: warning: %s\n", text);
}

/* An interrupted run ends as any failed one does, and takes away what it has written; a file that may not grow further is an
 * error of the write, not a signal. */
static void catch_signals(void) {
    struct sigaction act = {.sa_handler = stop, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGHUP, &act, NULL);
    signal(SIGXFSZ, SIG_IGN);
}

int sl_convert_command(sl_settings *s) {
    teller t = {.began = sl_clock_ns(), .terminal = isatty(STDERR_FILENO) == 1};
    t.told = t.began;
    sl_convert_config c = {.src = s->model, .dst = s->destination, .type = s->type, .imatrix = s->imatrix, .threads = s->engine.threads,
                           .split_size = s->split_size, .force = s->force, .tell = tell, .arg = &t};
    sl_convert_report r;
    sl_error err;
    char took[32];
    if (!c.dst) {
        fprintf(stderr, "sluice convert: no destination given: sluice convert SRC DST --type TYPE\n");
        return 2;
    }
    if (!c.type[0]) {
        fprintf(stderr, "sluice convert: no --type given: for example q8_0, q4_k_m, bf16\n");
        return 2;
    }
    catch_signals();
    sl_status status = sl_convert(&c, &r, &err);
    double seconds = (double)(sl_clock_ns() - t.began) / 1e9;
    if (t.terminal && t.told != t.began) fprintf(stderr, "\n");
    sl_notes_show(&r.notes, show_note, NULL);
    if (status) {
        fprintf(stderr, "sluice convert: %s\n", err.message);
        return status == SL_MISUSE ? 2 : 1;
    }
    fprintf(stderr, "sluice convert: %s: %d tensors, %.1f MiB, %d file%s, in %s (%.1f MiB/s)\n", c.dst, r.tensors, (double)r.bytes / 1048576,
            r.files, r.files == 1 ? "" : "s", duration(seconds, took), (double)r.bytes / 1048576 / (seconds > 1e-9 ? seconds : 1e-9));
    return 0;
}

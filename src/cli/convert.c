#include "cli/cli.h"

#include "cli/progress.h"
#include "convert/convert.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

/* `sluice convert`: a model to a GGUF file of another type. */

static volatile sig_atomic_t stopped;

static void stop(int signal) {
    (void)signal;
    stopped = 1;
}

static bool tell(void *arg, const sl_convert_progress *p) {
    sl_progress *progress = arg;
    char text[96];
    if (stopped) return false;
    if (!sl_progress_due(progress)) return true;
    double seconds = (double)(progress->told - progress->began) / 1e9;
    snprintf(text, sizeof text, "tensor %d of %d, %.1f MiB/s", p->tensor, p->tensors, (double)p->done / seconds / 1048576);
    sl_progress_tell(progress, "convert", (double)p->done, (double)p->total, text);
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
    sl_progress progress = sl_progress_begin();
    sl_convert_config c = {.src = s->model, .dst = s->destination, .type = s->type, .imatrix = s->imatrix, .threads = s->engine.threads,
                           .split_size = s->split_size, .force = s->force, .tell = tell, .arg = &progress};
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
    double seconds = sl_progress_end(&progress);
    sl_notes_show(&r.notes, show_note, NULL);
    if (status) {
        fprintf(stderr, "sluice convert: %s\n", err.message);
        return status == SL_MISUSE ? 2 : 1;
    }
    fprintf(stderr, "sluice convert: %s: %d tensors, %.1f MiB, %d file%s, in %s (%.1f MiB/s)\n", c.dst, r.tensors, (double)r.bytes / 1048576,
            r.files, r.files == 1 ? "" : "s", sl_duration_text(seconds, took), (double)r.bytes / 1048576 / (seconds > 1e-9 ? seconds : 1e-9));
    return 0;
}

#include "cli/cli.h"

#include "base/alloc.h"
#include "cli/load.h"
#include "cli/progress.h"
#include "cli/windows.h"
#include "convert/importance.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

/* `sluice imatrix`: runs texts through a model and counts how much each column of its matrices matters, in the ordinary
 * forward pass. Every token of the texts is run, in windows beside each other. When it is interrupted it writes what
 * there is. */

static volatile sig_atomic_t stopped;

static void stop(int signal) {
    (void)signal;
    stopped = 1;
}

typedef struct imatrix {
    sl_settings *s;
    sl_loaded loaded;
    sl_texts texts;
    sl_windows *windows;
    sl_importance *importance;
    sl_progress progress;
    int64_t tokens;
} imatrix;

static void tell(imatrix *x, const sl_document *d, double part) {
    if (!sl_progress_due(&x->progress)) return;
    char text[96];
    double seconds = (double)(x->progress.told - x->progress.began) / 1e9;
    sl_importance_experts seen = sl_importance_seen(x->importance);
    int n = snprintf(text, sizeof text, "%.0f tokens/s", (double)x->tokens / seconds);
    if (seen.experts)
        snprintf(text + n, sizeof text - (size_t)n, ", %d of %d experts without a row", seen.blind, seen.experts);
    sl_progress_tell(&x->progress, "imatrix", (double)d->before + part * (double)d->len, (double)x->texts.bytes, text);
}

static sl_status run_document(imatrix *x, const sl_document *d, sl_error *e) {
    sl_ids ids = {0};
    size_t ctx = (size_t)x->s->engine.ctx;
    sl_status st = sl_tokenizer_encode(x->loaded.tokenizer, d->text, d->len, SL_CONTENT, true, d->len + 16, &ids, e);
    for (size_t at = 0, n; at < ids.count && !stopped; at += n) {
        n = ids.count - at < ctx ? ids.count - at : ctx;
        sl_windows_run(x->windows, ids.id + at, (int)n);
        sl_importance_window(x->importance);
        x->tokens += (int64_t)n;
        tell(x, d, (double)(at + n) / (double)ids.count);
    }
    sl_free(ids.id);
    return st;
}

/* The files of --add, with commas between them. */
static sl_status add_files(imatrix *x, sl_error *e) {
    sl_status st = SL_OK;
    for (const char *p = x->s->add; *p && !st;) {
        size_t len = strcspn(p, ",");
        char *path = sl_strndup(p, len);
        st = path ? sl_importance_add(x->importance, path, x->s->engine.ctx, e) : sl_fail(e, SL_NOMEM, "out of memory");
        sl_free(path);
        p += len + (p[len] == ',');
    }
    return st;
}

static sl_status open_all(imatrix *x, sl_error *e) {
    sl_settings *s = x->s;
    if (!s->output[0])
        return sl_fail_param(e, SL_MISUSE, "output",
                             "no --output given: the importance matrix is written there (-o FILE)");
    if (!s->corpus_count && !s->add[0])
        return sl_fail(e, SL_MISUSE, "no text given: sluice imatrix [MODEL] FILE... -o OUT");
    sl_status st = sl_texts_open(s->corpus, s->corpus_count, &x->texts, e);
    if (!st && !x->texts.bytes && !s->add[0]) st = sl_fail(e, SL_INVALID, "the texts are empty");
    if (!st) st = sl_load(s->model, &x->loaded, e);
    if (st) return st;
    sl_loaded_warn(&x->loaded, "imatrix");
    if ((st = sl_importance_new(x->loaded.model, &x->importance, e)) ||
        (st = sl_importance_target(x->importance, s->output, s->force, e)))
        return st;
    st = sl_windows_new(s, &x->loaded, sl_importance_count, x->importance, &x->windows, e);
    if (!st) st = add_files(x, e);
    for (int i = 0; i < s->corpus_count && !st; i++) st = sl_importance_dataset(x->importance, s->corpus[i], e);
    return st;
}

static void show_note(void *arg, const char *text) {
    (void)arg;
    fprintf(stderr, "sluice imatrix: warning: %s\n", text);
}

static void report(const imatrix *x, double seconds) {
    char took[32];
    sl_importance_experts seen = sl_importance_seen(x->importance);
    fprintf(stderr, "sluice imatrix: %s: %lld tokens%s in %s", x->s->output, (long long)x->tokens,
            stopped ? ", interrupted," : "", sl_duration_text(seconds, took));
    if (seen.experts)
        fprintf(stderr, "; %llu to %llu rows an expert", (unsigned long long)seen.least, (unsigned long long)seen.most);
    fprintf(stderr, "\n");
}

int sl_imatrix(sl_settings *s) {
    imatrix x = {.s = s, .progress = sl_progress_begin()};
    struct sigaction act = {.sa_handler = stop, .sa_flags = (int)SA_RESETHAND};
    sl_notes notes = {0};
    sl_error err;
    sl_status st = open_all(&x, &err);
    if (!st) {
        /* A second signal ends the process at once. */
        sigaction(SIGINT, &act, NULL);
        sigaction(SIGTERM, &act, NULL);
        sigaction(SIGHUP, &act, NULL);
        signal(SIGXFSZ, SIG_IGN);
        for (sl_document d = {0}; !st && !stopped && sl_texts_next(&x.texts, &d);) st = run_document(&x, &d, &err);
        double seconds = sl_progress_end(&x.progress);
        if (!st) st = sl_importance_write(x.importance, s->output, s->force, s->engine.ctx, &notes, &err);
        if (!st) report(&x, seconds);
    }
    sl_notes_show(&notes, show_note, NULL);
    if (st) fprintf(stderr, "sluice imatrix: %s\n", err.message);
    sl_windows_free(x.windows);
    sl_importance_free(x.importance);
    sl_unload(&x.loaded);
    sl_texts_close(&x.texts);
    return !st ? 0 : err.code == SL_MISUSE ? 2 : 1;
}

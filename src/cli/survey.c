#include "cli/survey.h"

#include "base/alloc.h"
#include "cli/cli.h"
#include "cli/load.h"
#include "cli/progress.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* `sluice experts`: texts through a model, and what its router chose. */

static volatile sig_atomic_t stopped;

/* The first signal ends the pass, and what was counted is reported; the second one ends the program. */
static void stop(int signal) {
    (void)signal;
    stopped = 1;
}

static void catch_signals(void) {
    struct sigaction act = {.sa_handler = stop, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
}

static bool go_on(void) { return !stopped; }

static sl_progress progress;

static bool tell(uint64_t done, uint64_t of) {
    char text[64];
    if (stopped || !sl_progress_due(&progress)) return !stopped;
    snprintf(text, sizeof text, "%llu of %llu tokens", (unsigned long long)done, (unsigned long long)of);
    sl_progress_tell(&progress, "experts", (double)done, (double)of, text);
    return true;
}

/* --- where the reports go --- */

static bool to_file(void *arg, sl_buffer *piece) {
    return !piece->failed && (!piece->len || fwrite(piece->data, 1, piece->len, arg) == piece->len);
}

static sl_status cannot(const char *path, sl_error *e) {
    return sl_fail(e, SL_IO, "%s cannot be written: %s", path, errno ? strerror(errno) : "out of memory");
}

/* The page is there whole or not at all: it is written beside its place and then renamed. */
static sl_status write_html(const sl_survey *v, const char *path, sl_error *e) {
    sl_buffer name = {0};
    sl_buffer_printf(&name, "%s.XXXXXX", path);
    char *part = name.failed ? NULL : sl_strdup(sl_buffer_text(&name));
    sl_buffer_done(&name);
    if (!part) return sl_fail(e, SL_NOMEM, "out of memory");
    sl_status st = SL_OK;
    errno = 0;
    mode_t mask = umask(0);
    umask(mask);
    int fd = mkstemp(part);
    FILE *f = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (!f) {
        st = cannot(path, e);
        if (fd >= 0) close(fd);
    } else {
        bool good = fchmod(fd, 0666 & ~mask) == 0 && sl_survey_html(v, to_file, f) && fflush(f) == 0 && fsync(fd) == 0;
        if (!good) st = cannot(path, e);
        if (fclose(f) && !st) st = cannot(path, e);
        if (!st && rename(part, path)) st = cannot(path, e);
    }
    if (st && fd >= 0) unlink(part);
    sl_free(part);
    return st;
}

/* Does the locale's character set hold block characters? */
static bool speaks_utf8(void) {
    const char *names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value && value[0]) return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

static sl_text_style style_of_stdout(void) {
    struct winsize size;
    const char *columns = getenv("COLUMNS"), *plain = getenv("NO_COLOR"), *terminal = getenv("TERM");
    bool tty = isatty(STDOUT_FILENO) == 1;
    sl_text_style s = {.columns = 80, .utf8 = speaks_utf8()};
    if (tty && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col) s.columns = size.ws_col;
    else if (columns && atoi(columns) > 0) s.columns = atoi(columns);
    if (s.columns < 60) s.columns = 60;
    if (s.columns > 240) s.columns = 240;
    s.colours = tty && !(plain && plain[0]) && !(terminal && !strcmp(terminal, "dumb"));
    return s;
}

static sl_status report(const sl_survey *v, sl_error *e) {
    bool good;
    errno = 0;
    if (v->s->json) {
        good = sl_survey_json(v, to_file, stdout);
    } else {
        sl_text_style style = style_of_stdout();
        sl_buffer out = {0};
        sl_survey_text(v, &style, &out);
        good = to_file(stdout, &out);
        sl_buffer_done(&out);
    }
    if (!good || fflush(stdout)) cannot("standard output", e);
    else e->code = SL_OK;
    return e->code;
}

static void show_note(void *arg, const char *text) {
    (void)arg;
    fprintf(stderr, "sluice experts: warning: %s\n", text);
}

static sl_status survey(sl_survey *v, const sl_loaded *l, sl_corpus **corpus, sl_error *e) {
    const sl_settings *s = v->s;
    sl_status st = sl_corpus_read(s->corpus, s->corpus_count, l->tokenizer, (uint64_t)s->tokens, go_on, corpus, e);
    if (st) return st;
    sl_notes_show(&(*corpus)->notes, show_note, NULL);
    v->model = l->model;
    v->tokenizer = l->tokenizer;
    v->corpus = *corpus;
    progress = sl_progress_begin();
    st = sl_survey_run(v, tell, e);
    sl_progress_end(&progress);
    if (st) return st;
    if (!v->views->rows) return sl_fail(e, SL_CANCELLED, "interrupted before anything was counted");
    if (!v->complete)
        fprintf(stderr, "sluice experts: interrupted after %llu of %llu tokens; this is what they say\n", (unsigned long long)v->views->rows,
                (unsigned long long)v->corpus->tokens);
    st = report(v, e);
    if (!st && s->html[0]) st = write_html(v, s->html, e);
    return st;
}

int sl_survey_command(sl_settings *s) {
    sl_error err;
    sl_loaded loaded = {0};
    sl_corpus *corpus = NULL;
    sl_survey v = {.s = s};
    if (!s->corpus_count) {
        fprintf(stderr, "sluice experts: no text given: sluice experts [MODEL] CORPUS..., each a file, a folder, NAME=PATH or -\n");
        return 2;
    }
    catch_signals();
    sl_status st = sl_load(s->model, &loaded, &err);
    if (!st) sl_loaded_warn(&loaded, "experts");
    if (!st && !loaded.model->hp.experts)
        st = sl_fail(&err, SL_UNSUPPORTED, "%s is a dense model (%s): every token runs all of it, there are no experts to choose from", s->model,
                     loaded.model->family->name);
    if (!st) st = survey(&v, &loaded, &corpus, &err);
    bool complete = v.complete;
    sl_survey_done(&v);
    sl_corpus_free(corpus);
    sl_unload(&loaded);
    if (st) fprintf(stderr, "sluice experts: %s\n", err.message);
    return st == SL_MISUSE ? 2 : st || !complete ? 1 : 0;
}

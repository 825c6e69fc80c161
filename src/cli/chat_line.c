#include "cli/chat_line.h"

#include "base/alloc.h"

#include <errno.h>
#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#define MOST_PASTED ((size_t)1 << 22) /* characters; what is beyond is dropped with a beep */
#define REMEMBERED 1000               /* messages that the arrow keys know */

struct sl_line_reader {
    EditLine *edit; /* NULL: nobody edits */
    History *history;
    FILE *out;      /* the terminal's; not owned */
    bool marks;     /* the terminal marks what is pasted */
    bool goes_on;   /* inside a message of several lines */
    bool cleared, empty;
    char *line; /* getline's */
    size_t cap;
};

/* libedit shows its prompt before it changes the terminal: Ctrl-C in between would be a signal. */
static void take_keys(const sl_line_reader *r) { el_set(r->edit, EL_PREP_TERM, 1); }

/* --- keys --- */

static void ask_for_marks(const sl_line_reader *r, bool on) {
    if (!r->marks) return;
    fputs(on ? "\033[?2004h" : "\033[?2004l", r->out);
    fflush(r->out);
}

static sl_line_reader *reader_of(EditLine *edit) {
    sl_line_reader *r = NULL;
    el_get(edit, EL_CLIENTDATA, &r);
    return r;
}

static char *prompt(EditLine *edit) {
    static char first[] = "> ", next[] = ". ";
    return reader_of(edit)->goes_on ? next : first;
}

/* The text up to the mark that ends it. Terminals send a newline as CR. */
static wchar_t *take_pasted(EditLine *edit, bool *ret_cut) {
    static const wchar_t end[] = L"\033[201~";
    enum { END = sizeof end / sizeof *end - 1 };
    size_t len = 0, cap = 0, matched = 0;
    wchar_t *text = NULL, c;
    bool after_cr = false;
    while (matched < END && el_wgetc(edit, &c) == 1) {
        matched = c == end[matched] ? matched + 1 : c == end[0];
        bool newline = c == L'\r' || (c == L'\n' && !after_cr), control = c < 32 || c == 127;
        after_cr = c == L'\r';
        if (matched > 1 || (control && !newline && c != L'\t')) continue; /* the mark itself, and what a terminal would obey */
        if (len == MOST_PASTED) *ret_cut = true;
        if (*ret_cut) continue;
        if (len + 1 >= cap) {
            cap = cap ? cap * 2 : 4096;
            wchar_t *grown = sl_realloc(text, cap, sizeof *text);
            if (!grown) {
                *ret_cut = true;
                continue;
            }
            text = grown;
        }
        text[len++] = newline ? L'\n' : c;
    }
    while (len && text[len - 1] == L'\n') len--;
    if (text) text[len] = 0;
    return text;
}

static unsigned char on_paste(EditLine *edit, int key) {
    (void)key;
    bool lost = false;
    wchar_t *text = take_pasted(edit, &lost);
    if (text && text[0] && el_winsertstr(edit, text)) lost = true;
    sl_free(text);
    return lost ? CC_REFRESH_BEEP : CC_REFRESH;
}

static unsigned char on_interrupt(EditLine *edit, int key) {
    (void)key;
    sl_line_reader *r = reader_of(edit);
    const LineInfoW *line = el_wline(edit);
    r->cleared = true;
    r->empty = line->lastchar == line->buffer && !r->goes_on;
    fputs("^C\r\n", r->out);
    fflush(r->out);
    return CC_NEWLINE;
}

/* libedit's handler (EL_SIGNAL) gives the terminal back before the process stops, and takes it again afterwards. */
static unsigned char on_suspend(EditLine *edit, int key) {
    (void)key;
    sl_line_reader *r = reader_of(edit);
    ask_for_marks(r, false);
    raise(SIGTSTP);
    ask_for_marks(r, true);
    return CC_REDISPLAY;
}

/* --- opening --- */

/* libedit reads and shows characters of the locale; without one that is UTF-8 (a container has none) every letter beyond ASCII would
 * be bytes. */
static void take_utf8(void) {
    setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0 && !setlocale(LC_CTYPE, "C.UTF-8")) setlocale(LC_CTYPE, "C");
}

/* The user's own ~/.editrc comes before what the messages need. */
static bool set_up(sl_line_reader *r) {
    const char *terminal = getenv("TERM");
    HistEvent ev;
    r->history = history_init();
    r->edit = el_init("sluice", stdin, r->out, stderr);
    if (!r->history || !r->edit) return false;
    history(r->history, &ev, H_SETSIZE, REMEMBERED);
    history(r->history, &ev, H_SETUNIQUE, 1);
    el_set(r->edit, EL_CLIENTDATA, r);
    el_set(r->edit, EL_PROMPT, prompt);
    el_set(r->edit, EL_SIGNAL, 1);
    el_set(r->edit, EL_HIST, history, r->history);
    el_set(r->edit, EL_EDITOR, "emacs");
    el_source(r->edit, NULL);
    /* Wide: these names are kept as they are; copies that el_set makes are never freed. */
    el_wset(r->edit, EL_ADDFN, L"sluice-paste", L"Insert what is pasted", on_paste);
    el_wset(r->edit, EL_ADDFN, L"sluice-interrupt", L"Throw the line away", on_interrupt);
    el_wset(r->edit, EL_ADDFN, L"sluice-suspend", L"Stop until fg", on_suspend);
    el_set(r->edit, EL_BIND, "\033[200~", "sluice-paste", NULL);
    el_set(r->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    /* While an answer is written, Ctrl-C must not throw away what is on its way to the terminal: that may be the next prompt. */
    el_set(r->edit, EL_SETTY, "-x", "+noflsh", NULL);
    el_set(r->edit, EL_SETTY, "-d", "-isig", NULL); /* Ctrl-C is a key while a message is typed; so is Ctrl-Z then */
    el_set(r->edit, EL_BIND, "^C", "sluice-interrupt", NULL);
    el_set(r->edit, EL_BIND, "^Z", "sluice-suspend", NULL);
    r->marks = terminal && terminal[0] && strcmp(terminal, "dumb") != 0;
    return true;
}

sl_status sl_line_reader_open(sl_line_reader **ret, sl_error *e) {
    sl_line_reader *r = sl_calloc(1, sizeof *r);
    if (!r) return sl_fail(e, SL_NOMEM, "out of memory");
    r->out = isatty(STDOUT_FILENO) ? stdout : isatty(STDERR_FILENO) ? stderr : NULL;
    if (isatty(STDIN_FILENO) && r->out) {
        take_utf8();
        if (!set_up(r)) {
            sl_line_reader_close(r);
            return sl_fail(e, SL_NOMEM, "out of memory for editing lines");
        }
    }
    *ret = r;
    return SL_OK;
}

sl_line_reader *sl_line_reader_close(sl_line_reader *r) {
    if (!r) return NULL;
    if (r->edit) el_end(r->edit);
    if (r->history) history_end(r->history);
    free(r->line); /* getline's own */
    sl_free(r);
    return NULL;
}

bool sl_line_reader_edits(const sl_line_reader *r) { return r->edit != NULL; }

void sl_line_reader_begin(sl_line_reader *r) {
    if (r->edit) take_keys(r);
}

/* --- reading --- */

/* A line with its newline; NULL: the end. */
static const char *typed_line(sl_line_reader *r, size_t *ret_len) {
    int count = 0;
    r->cleared = false;
    take_keys(r);
    ask_for_marks(r, true);
    errno = 0;
    const char *line = el_gets(r->edit, &count);
    while (!line && errno == EILSEQ) { /* a byte that is no character of the locale */
        errno = 0;
        line = el_gets(r->edit, &count);
    }
    ask_for_marks(r, false);
    *ret_len = line && count > 0 ? strlen(line) : 0;
    return line && count > 0 ? line : NULL;
}

static const char *read_line(sl_line_reader *r, size_t *ret_len) {
    ssize_t n;
    do {
        clearerr(stdin);
        n = getline(&r->line, &r->cap, stdin);
    } while (n < 0 && errno == EINTR && !feof(stdin));
    *ret_len = n > 0 ? (size_t)n : 0;
    return n > 0 ? r->line : NULL;
}

static bool all_blank(const sl_buffer *b) {
    for (size_t i = 0; i < b->len; i++)
        if (!strchr(" \t\r\n", b->data[i])) return false;
    return true;
}

static void remember(sl_line_reader *r, sl_buffer *text) {
    HistEvent ev;
    if (r->edit && !all_blank(text)) history(r->history, &ev, H_ENTER, sl_buffer_text(text));
}

/* Appends the line; does the message go on in the next? */
static bool append(sl_buffer *text, const char *line, size_t len) {
    if (len && line[len - 1] == '\n') len--;
    if (len && line[len - 1] == '\r') len--;
    bool more = len && line[len - 1] == '\\';
    sl_buffer_append(text, line, more ? len - 1 : len);
    if (more) sl_buffer_append(text, "\n", 1);
    return more;
}

sl_line sl_line_reader_next(sl_line_reader *r, sl_buffer *text, bool *ret_empty) {
    size_t len;
    const char *line;
    sl_buffer_clear(text);
    r->goes_on = false;
    do {
        line = r->edit ? typed_line(r, &len) : read_line(r, &len);
        if (r->cleared) {
            *ret_empty = r->empty;
            return SL_LINE_CLEARED;
        }
        if (line) r->goes_on = append(text, line, len);
    } while (line && r->goes_on);
    if (!line && r->edit) { /* Ctrl-D leaves the cursor behind the prompt */
        fputc('\n', r->out);
        fflush(r->out);
    }
    if (!line && !text->len) return SL_LINE_END;
    remember(r, text);
    return SL_LINE_TEXT;
}

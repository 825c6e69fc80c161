#include "cli/chat_show.h"

#include "cli/teller.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GREY "\033[90m"
#define PLAIN "\033[0m"

void sl_show_init(sl_show *w) {
    const char *off = getenv("NO_COLOR"), *terminal = getenv("TERM");
    *w = (sl_show){.terminal = isatty(STDOUT_FILENO)};
    w->grey = w->terminal && !(off && off[0]) && terminal && terminal[0] && strcmp(terminal, "dumb") != 0;
}

static void put(sl_show *w, const char *text, size_t len) {
    if (!w->error && len) w->error = sl_put_out(text, len);
}

/* A model can write what a terminal obeys. */
static void put_harmless(sl_show *w, const char *text, size_t len) {
    size_t from = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        bool second = w->held && c >= 0x80 && c < 0xA0, first = c == 0xC2;
        bool control = (c < 0x20 && c != '\n' && c != '\t') || c == 0x7F;
        if (!w->held && !first && !control) continue;
        put(w, text + from, i - from);
        if (w->held && !second) put(w, "\xC2", 1);
        from = second || first || control ? i + 1 : i;
        w->held = first;
    }
    put(w, text + from, len - from);
}

void sl_show_text(sl_show *w, const char *text, size_t len) {
    if (w->terminal) put_harmless(w, text, len);
    else put(w, text, len);
}

void sl_show_thinking(sl_show *w, const sl_marks *m, bool begins) {
    if (!m) m = sl_known_marks;
    const char *mark = w->grey ? (begins ? GREY : PLAIN) : begins ? m->open : m->close;
    if (!w->terminal) return;
    if (!begins) put(w, "\n", 1);
    put(w, mark, strlen(mark));
    if (!w->grey || !begins) put(w, "\n", 1);
}

void sl_show_note(const sl_show *w, const char *text) {
    bool grey = w->grey && isatty(STDERR_FILENO);
    fprintf(stderr, "%s%s%s\n", grey ? GREY : "", text, grey ? PLAIN : "");
}

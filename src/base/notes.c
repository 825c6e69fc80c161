#include "base/notes.h"
#include "base/internal.h"

#include <stdarg.h>
#include <stdio.h>

void sl_notes_add(sl_notes *n, const char *fmt, ...) {
    if (n->count == SL_NOTES_MOST) {
        n->more++;
        return;
    }
    char *text = n->text[n->count++];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof n->text[0], fmt, args);
    va_end(args);
    sl__tidy(text, sizeof n->text[0]);
}

void sl_notes_show(const sl_notes *n, void (*show)(void *arg, const char *text), void *arg) {
    for (int i = 0; i < n->count; i++) show(arg, n->text[i]);
    if (!n->more) return;
    char text[80];
    snprintf(text, sizeof text, "and %d more warning%s", n->more, n->more == 1 ? "" : "s");
    show(arg, text);
}

/* error.c */
#include "base/error.h"
#include "base/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Messages quote names and bytes from files. */
void sl__tidy(char *text, size_t size) {
    size_t len = strlen(text), i = 0;
    while (i < len) {
        size_t n = sl__utf8_char(text + i, len - i);
        if (!n && len == size - 1 && len - i < 4 && (text[i] & 0xC0) == 0xC0) break;
        if (!n) text[i] = '?';
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F) text[i] = ' ';
        i += n ? n : 1;
    }
    text[i] = 0;
}

static void fill(sl_error *e, sl_status code, const char *param, const char *fmt, va_list args) {
    if (!e) return;
    e->code = code;
    vsnprintf(e->message, sizeof e->message, fmt, args);
    sl__tidy(e->message, sizeof e->message);
    snprintf(e->param, sizeof e->param, "%s", param);
    sl__tidy(e->param, sizeof e->param);
}

sl_status sl_fail(sl_error *e, sl_status code, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fill(e, code, "", fmt, args);
    va_end(args);
    return code;
}

sl_status sl_fail_param(sl_error *e, sl_status code, const char *param, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fill(e, code, param, fmt, args);
    va_end(args);
    return code;
}

sl_status sl_error_prefix(sl_error *e, const char *fmt, ...) {
    if (!e) return SL_INVALID; /* the code went nowhere, but it was not SL_OK */
    char prefix[sizeof e->message];
    char old[sizeof e->message];
    va_list args;
    va_start(args, fmt);
    vsnprintf(prefix, sizeof prefix, fmt, args);
    va_end(args);
    sl__tidy(prefix, sizeof prefix);
    memcpy(old, e->message, sizeof old);
    size_t used = strlen(prefix), room = sizeof e->message - 1;
    memcpy(e->message, prefix, used);
    used += (size_t)snprintf(e->message + used, room + 1 - used, ": %s", old);
    if (used > room) sl__tidy(e->message, sizeof e->message);
    return e->code;
}

const char *sl_status_text(sl_status code) {
    switch (code) {
#define X(name, text)                                                                                                  \
    case SL_##name: return text;
        SL_STATUS_MAP(X)
#undef X
    }
    return "unknown status";
}

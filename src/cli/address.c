#include "cli/address.h"

#include <stdbool.h>
#include <string.h>

/* Digits only, at most 65535; -1: no port. */
static int port_of(const char *text) {
    int port = 0;
    if (!*text) return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9') return -1;
        port = port * 10 + (*text - '0');
        if (port > 65535) return -1;
    }
    return port;
}

sl_status sl_address_split(const char *text, const char *option, sl_arena *arena, sl_address *ret, sl_error *e) {
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;
    bool opens = text[0] == '[', closes = len > 0 && colon[-1] == ']';
    int port = colon ? port_of(colon + 1) : -1;
    /* An IPv6 address has colons of its own and needs its brackets. */
    bool bare = colon && !opens && memchr(text, ':', len);
    if (port < 0 || opens != closes || bare || len <= 2 * (size_t)opens)
        return sl_fail_param(e, SL_MISUSE, option, "--%s: \"%s\" is not HOST:PORT", option, text);
    char *host = sl_arena_copy(arena, SL_MEM_OTHER, text + opens, len - 2 * (size_t)opens);
    if (!host) return sl_fail(e, SL_NOMEM, "out of memory");
    *ret = (sl_address){host, port};
    return SL_OK;
}

void sl_address_put(sl_buffer *out, const char *host, int port) {
    bool six = strchr(host, ':') != NULL;
    sl_buffer_printf(out, "%s%s%s:%d", six ? "[" : "", host, six ? "]" : "", port);
}

const char *sl_address_ask(const char *host) {
    if (!*host || !strcmp(host, "0.0.0.0")) return "127.0.0.1";
    return strcmp(host, "::") ? host : "::1";
}

/* The first bytes of a connection, and what is read of a request's head: targets, queries, hosts, origins. */
#include "http/internal.h"

#include "base/alloc.h"
#include "must.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has_control(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (((unsigned char)s[i] < ' ' && !strchr("\t\r\n", s[i])) || s[i] == 0x7f || s[i] == 0) return true;
    return false;
}

/* What was said of a beginning stays said: bytes that come later change neither a good head nor the status of a bad one. */
static void read_head(const char *bytes, size_t n) {
    sl__door_head whole, part;
    size_t most = n <= SL__HTTP_HEAD + 1 ? n : SL__HTTP_HEAD + 1;
    sl__door_verdict verdict = sl__door_read(bytes, most, &whole);
    must((verdict == SL__DOOR_BAD) == (whole.status != 0) && (whole.status == 0) == (whole.wrong == NULL));
    must(strlen(whole.method) < sizeof whole.method && strlen(whole.id) <= SL__HTTP_ID_MAX);
    if (verdict == SL__DOOR_GOOD) {
        const char *end = memmem(bytes, most, "\r\n\r\n", 4);
        while (end && end == bytes) bytes += 2, most -= 2, end = memmem(bytes, most, "\r\n\r\n", 4); /* empty lines before it */
        must(end && !has_control(bytes, (size_t)(end - bytes)));
    }
    for (size_t cut = most / 7 + 1; cut < most; cut += most / 7 + 1) {
        sl__door_verdict early = sl__door_read(bytes, cut, &part);
        must(early == SL__DOOR_MORE || early == sl__door_read(bytes, most, &whole));
        must(early != SL__DOOR_BAD || part.status == whole.status);
    }
}

static void read_target(char *line) {
    const char *authority, *path, *query, *names[] = {"content", "a", ""};
    size_t len = strlen(line);
    sl__target_split(line, &authority, &path, &query);
    must(strlen(path) <= len + 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *value = sl__query_value(query, names[i]);
        must(!value || strlen(value) <= strlen(query));
        sl_free(value);
    }
    if (!authority) return;
    sl__host_loopback(authority);
    must(sl__host_listed(authority, "*"));
}

static void read_names(const char *line, const char *other) {
    bool loopback = sl__host_loopback(line);
    must(!sl__request_id_good(line) || strlen(line) <= SL__HTTP_ID_MAX);
    sl__host_listed(line, other);
    sl__origin_same(line, other);
    sl__origin_listed(line, other);
    size_t len = strlen(line);
    bool slash = len > 1 && line[len - 1] == '/' && line[len - 2] != '/'; /* which no browser sends: an entry is taken without it */
    if (line[0] && !strpbrk(line, ", \t")) must(sl__host_listed(line, line) && sl__origin_listed(line, line) == !slash);
    sl_error e;
    if (sl__hosts_check(line, other, &e) != SL_OK) must(e.code == SL_MISUSE && e.param[0]);
    if (loopback && line[0]) must(strpbrk(line, "01lL:") != NULL); /* 127.…, localhost, ::1, 0x7f.1 */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = sl_strndup((const char *)data, size), *line = text;
    if (!text) abort();
    read_head((const char *)data, size);
    while (line) {
        char *end = strchr(line, '\n'), *next = end ? end + 1 : NULL;
        if (end) *end = 0;
        read_names(line, next ? next : "*");
        char *decoded = sl_strndup(line, strlen(line));
        must(decoded != NULL);
        must(!sl__percent_decode(decoded, true) || strlen(decoded) <= strlen(line));
        sl_free(decoded);
        read_target(line);
        line = next;
    }
    sl_free(text);
    return 0;
}

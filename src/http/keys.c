/* keys.c: the keys that clients may show, from a file: one a line, # comments.
 *
 * A key is compared without telling by time how much of it was right: what the client sent goes into a buffer of fixed
 * size filled with zeros, and all bytes of all keys are compared. */
#include "http/internal.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define KEY_MAX SL_HTTP_KEY_MAX
#define KEYS_MAX 1024
#define LINE_BYTES 1024

typedef struct key {
    unsigned char byte[KEY_MAX]; /* zeros behind it */
} key;

struct sl__keys {
    int count;
    key key[];
};

static bool visible(const char *s, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (s[i] <= ' ' || s[i] > '~') return false;
    }
    return true;
}

/* Reads a line without its end into line [LINE_BYTES]; returns its length, -1: there is none, LINE_BYTES: it is that long or longer. */
static int read_line(FILE *f, char *line) {
    int n = 0, c = EOF;
    while (n < LINE_BYTES && (c = getc(f)) != EOF && c != '\n') line[n++] = (char)c;
    return n == 0 && c == EOF ? -1 : n;
}

/* Cuts what surrounds the key in a line of n bytes; returns its length, 0 for a line without one. */
static size_t trim(char **line, size_t n) {
    char *s = *line;
    while (n > 0 && (*s == ' ' || *s == '\t')) s++, n--;
    while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t' || s[n - 1] == '\r')) n--;
    *line = s;
    return n > 0 && *s == '#' ? 0 : n;
}

sl_status sl__keys_read(const char *path, const char *option, sl__keys **ret, sl_error *e) {
    sl_status status = SL_OK;
    sl__keys *k = NULL;
    FILE *f = fopen(path, "re");
    if (!f) return sl_fail_param(e, SL_IO, option, "--%s %s: %s", option, path, strerror(errno));
    k = sl_calloc(1, sizeof *k + KEYS_MAX * sizeof(key));
    if (!k) {
        status = sl_fail(e, SL_NOMEM, "%s: out of memory", path);
        goto fail;
    }
    char line[LINE_BYTES];
    for (int number = 1, n; (n = read_line(f, line)) >= 0; number++) {
        char *s = line;
        bool whole = n < LINE_BYTES;
        size_t len = trim(&s, (size_t)n);
        if (len == 0 && whole) continue;
        if (!whole || len > KEY_MAX || !visible(s, len) || k->count == KEYS_MAX) {
            status = sl_fail_param(e, SL_INVALID, option,
                                   "--%s %s: line %d: a key is at most %d visible ASCII characters, and there are at most %d",
                                   option, path, number, KEY_MAX, KEYS_MAX);
            goto fail;
        }
        memcpy(k->key[k->count++].byte, s, len);
    }
    if (ferror(f)) status = sl_fail_param(e, SL_IO, option, "--%s %s: %s", option, path, strerror(errno));
    else if (k->count == 0) status = sl_fail_param(e, SL_INVALID, option, "--%s %s: no key in it", option, path);
    if (status != SL_OK) goto fail;
    fclose(f);
    *ret = k;
    return SL_OK;
fail:
    fclose(f);
    sl__keys_free(k);
    return status;
}

sl_status sl_http_first_key(const char *path, const char *option, char ret[SL_HTTP_KEY_MAX + 1], sl_error *e) {
    sl__keys *k = NULL;
    sl_status status = sl__keys_read(path, option, &k, e);
    if (status) return status;
    memcpy(ret, k->key[0].byte, KEY_MAX);
    ret[KEY_MAX] = '\0';
    sl__keys_free(k);
    return SL_OK;
}

sl__keys *sl__keys_free(sl__keys *k) {
    sl_free(k);
    return NULL;
}

static bool match(const sl__keys *k, const char *shown) {
    size_t len = strlen(shown);
    while (len > 0 && (shown[len - 1] == ' ' || shown[len - 1] == '\t')) len--; /* no part of a header's value, but the library leaves it */
    if (len == 0 || len > KEY_MAX) return false;
    key given = {{0}};
    memcpy(given.byte, shown, len);
    unsigned matches = 0;
    for (int i = 0; i < k->count; i++) {
        unsigned differs = 0;
        for (int j = 0; j < KEY_MAX; j++) differs |= (unsigned)(k->key[i].byte[j] ^ given.byte[j]);
        matches |= (differs - 1) >> 31;
    }
    return matches != 0;
}

bool sl__keys_match(const sl__keys *k, const char *authorization, const char *api_key) {
    static const char scheme[] = "Bearer ";
    const char *bearer = NULL;
    if (authorization && strncasecmp(authorization, scheme, sizeof scheme - 1) == 0) {
        bearer = authorization + sizeof scheme - 1;
        bearer += strspn(bearer, " ");
    }
    return (bearer && match(k, bearer)) || (api_key && match(k, api_key));
}

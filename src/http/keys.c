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

#define KEY_MAX 256
#define KEYS_MAX 1024

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

/* Cuts what surrounds the key; returns its length, 0 for a line without one. */
static size_t trim(char **line) {
    char *s = *line + strspn(*line, " \t");
    size_t len = *s == '#' ? 0 : strlen(s);
    while (len > 0 && strchr(" \t\r\n", s[len - 1])) len--;
    *line = s;
    return len;
}

sl_status sl__keys_read(const char *path, const char *option, sl__keys **ret, sl_error *e) {
    sl_status status = SL_OK;
    sl__keys *k = NULL;
    FILE *f = fopen(path, "re");
    if (!f) return sl_fail_param(e, SL_IO, option, "%s: %s", path, strerror(errno));
    k = sl_calloc(1, sizeof *k + KEYS_MAX * sizeof(key));
    if (!k) {
        status = sl_fail(e, SL_NOMEM, "%s: out of memory", path);
        goto fail;
    }
    char line[1024];
    for (int number = 1; fgets(line, sizeof line, f); number++) {
        char *s = line;
        bool whole = strchr(line, '\n') || feof(f);
        size_t len = trim(&s);
        if (len == 0 && whole) continue;
        if (!whole || len > KEY_MAX || !visible(s, len) || k->count == KEYS_MAX) {
            status = sl_fail_param(e, SL_INVALID, option,
                                   "%s: line %d: a key is at most %d visible ASCII characters, and there are at most %d",
                                   path, number, KEY_MAX, KEYS_MAX);
            goto fail;
        }
        memcpy(k->key[k->count++].byte, s, len);
    }
    if (ferror(f)) status = sl_fail_param(e, SL_IO, option, "%s: %s", path, strerror(errno));
    else if (k->count == 0) status = sl_fail_param(e, SL_INVALID, option, "%s: no key in it", path);
    if (status != SL_OK) goto fail;
    fclose(f);
    *ret = k;
    return SL_OK;
fail:
    fclose(f);
    sl__keys_free(k);
    return status;
}

sl__keys *sl__keys_free(sl__keys *k) {
    sl_free(k);
    return NULL;
}

static bool match(const sl__keys *k, const char *shown) {
    size_t len = strlen(shown);
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

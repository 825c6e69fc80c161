/* framing.c: headers that would let two servers disagree on where a request ends are refused; ids and queries. */
#include "http/internal.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

static bool token_char(unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is(const char *name, size_t len, const char *what) {
    return len == strlen(what) && strncasecmp(name, what, len) == 0;
}

static void add_length(sl__head *h, const char *value, size_t len) {
    h->lengths++;
    h->length = 0;
    if (len == 0 || len > 18) h->bad_length = true;
    for (size_t i = 0; i < len && !h->bad_length; i++) {
        if (value[i] < '0' || value[i] > '9') h->bad_length = true;
        else h->length = h->length * 10 + (uint64_t)(value[i] - '0');
    }
}

/* "identity", "", "identity, identity" */
static bool all_identity(const char *value, size_t n) {
    for (size_t at = 0; at < n;) {
        size_t len = 0;
        while (at + len < n && !strchr(", \t", value[at + len])) len++;
        if (len > 0 && !is(value + at, len, "identity")) return false;
        at += len + 1;
    }
    return true;
}

/* The Host, or the authority of a target that is a whole URL. */
static bool bad_host(const char *host, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (host[i] <= ' ' || host[i] > '~' || strchr("/?#@\\,\"<>", host[i])) return true;
    }
    return false;
}

void sl__head_add(sl__head *h, const char *name, size_t name_len, const char *value, size_t value_len) {
    if (name_len == 0) h->bad_name = true;
    for (size_t i = 0; i < name_len; i++) {
        if (!token_char((unsigned char)name[i])) h->bad_name = true;
    }
    for (size_t i = 0; i < value_len; i++) {
        unsigned char c = (unsigned char)value[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) h->bad_value = true;
    }
    if (is(name, name_len, "Content-Length")) {
        add_length(h, value, value_len);
    } else if (is(name, name_len, "Transfer-Encoding")) {
        h->transfers++;
        h->chunked = is(value, value_len, "chunked");
    } else if (is(name, name_len, "Host")) {
        h->hosts++;
        h->host = value;
        if (bad_host(value, value_len)) h->bad_host = true;
    } else if (is(name, name_len, "Authorization")) {
        h->authorizations++;
        h->authorization = value;
    } else if (is(name, name_len, "X-Api-Key")) {
        h->api_keys++;
        h->api_key = value;
    } else if (is(name, name_len, "Origin")) {
        h->origins++;
        h->origin = value;
    } else if (is(name, name_len, "Content-Encoding")) {
        if (!all_identity(value, value_len)) h->coding = value;
    } else if (is(name, name_len, "X-Request-Id")) {
        h->request_id = value;
    }
}

const char *sl__head_check(const sl__head *h, const char *version, const char *path) {
    bool old = strcmp(version, "HTTP/1.0") == 0;
    if (h->bad_name) return "A header's name is not a token.";
    if (h->bad_value) return "A header's value has a control character.";
    if (h->lengths > 1) return "There is more than one Content-Length.";
    if (h->bad_length) return "The Content-Length is not a number.";
    if (h->transfers > 1) return "There is more than one Transfer-Encoding.";
    if (h->transfers == 1 && !h->chunked) return "The only Transfer-Encoding that is understood is chunked.";
    if (h->transfers == 1 && h->lengths == 1) return "There are both Content-Length and Transfer-Encoding.";
    if (h->transfers == 1 && old) return "HTTP/1.0 has no Transfer-Encoding.";
    if (h->hosts > 1) return "There is more than one Host.";
    if (h->hosts == 0 && !old) return "There is no Host.";
    if (h->bad_host) return "The Host is not a host.";
    if (h->authorizations > 1) return "There is more than one Authorization.";
    if (h->api_keys > 1) return "There is more than one X-Api-Key.";
    if (h->origins > 1) return "There is more than one Origin.";
    if (path[0] != '/') return "The request target is neither a path nor an http URL.";
    for (const char *p = path; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c <= ' ' || c >= 0x7f) return "The request target has a character that must be escaped.";
    }
    return NULL;
}

void sl__target_split(char *target, const char **ret_authority, const char **ret_path, const char **ret_query) {
    size_t scheme = strncasecmp(target, "http://", 7) == 0 ? 7 : strncasecmp(target, "https://", 8) == 0 ? 8 : 0;
    char *path = target + scheme, *query = strchr(path, '?');
    *ret_authority = NULL;
    *ret_query = "";
    if (query) {
        *query = '\0';
        *ret_query = query + 1;
    }
    if (scheme > 0) { /* the authority moves to the front, where its end does not touch the path */
        size_t len = strcspn(path, "/");
        if (len == 0 || bad_host(path, len)) {
            *ret_path = target; /* which is no path */
            return;
        }
        memmove(target, path, len);
        path += len;
        target[len] = '\0';
        *ret_authority = target;
        if (!path[0]) {
            *ret_path = "/";
            return;
        }
    }
    size_t len = strlen(path);
    if (len > 1 && path[len - 1] == '/') path[len - 1] = '\0';
    *ret_path = path;
}

bool sl__request_id_good(const char *id) {
    if (!id) return false;
    size_t len = strlen(id);
    if (len == 0 || len > SL__HTTP_ID_MAX) return false;
    for (size_t i = 0; i < len; i++) {
        char c = id[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr("-_.:/+=@", c);
        if (!plain) return false;
    }
    return true;
}

void sl__request_id_make(char ret[SL__HTTP_ID_MAX + 1]) {
    unsigned char bytes[16];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) { /* only before the kernel has entropy */
        uint64_t part[2] = {sl_clock_ns(), (uint64_t)sl_clock_unix()};
        memcpy(bytes, part, sizeof bytes);
    }
    for (size_t i = 0; i < sizeof bytes; i++) snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
}

static int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool sl__percent_decode(char *text, bool plus) {
    char *out = text;
    for (const char *p = text; *p; p++) {
        if (*p == '%') {
            int hi = hex(p[1]), lo = hi < 0 ? -1 : hex(p[2]);
            if (lo < 0 || hi + lo == 0) return false;
            *out++ = (char)(hi * 16 + lo);
            p += 2;
        } else {
            *out++ = plus && *p == '+' ? ' ' : *p;
        }
    }
    *out = '\0';
    return true;
}

char *sl__query_value(const char *query, const char *name) {
    size_t name_len = strlen(name);
    for (const char *p = query; p && *p;) {
        size_t len = strcspn(p, "&");
        if (len >= name_len && strncmp(p, name, name_len) == 0 && (len == name_len || p[name_len] == '=')) {
            const char *value = p + name_len + (len > name_len);
            char *ret = sl_strndup(value, (size_t)(p + len - value));
            if (ret && sl__percent_decode(ret, true)) return ret;
            sl_free(ret);
            return NULL;
        }
        p += len + (p[len] == '&');
    }
    return NULL;
}

/* hosts.c: which names a request may be addressed to, and which pages may send it.
 *
 * Two attacks of a web page that its victim looks at, on a server that trusts whoever can reach it:
 *   DNS rebinding: the page's own name suddenly means 127.0.0.1, so that the browser takes the server for the page's own. The
 *   Host header still bears the page's name: a server that only this machine can reach answers to names of this machine alone,
 *   and to those that --allowed-hosts lists.
 *   A cross-site request: the page posts to http://127.0.0.1:8080. The browser says in Origin whose page it is: if that is
 *   neither where the request goes nor listed by --cors-origin, it is refused. Programs that are no browsers send none. */
#include "http/internal.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

/* A host without its port, its brackets and a dot at its end: "LOCALHOST.:80" gives "LOCALHOST". */
typedef struct name {
    const char *text;
    size_t len;
    const char *port; /* behind the colon; "" if none is said */
} name;

static name name_of(const char *host, size_t len) {
    name n = {host, len, ""};
    if (len > 0 && host[0] == '[') {
        const char *end = memchr(host, ']', len);
        n.text = host + 1;
        n.len = end ? (size_t)(end - host) - 1 : len - 1;
        if (end && end + 1 < host + len && end[1] == ':') n.port = end + 2;
        return n;
    }
    const char *colon = memchr(host, ':', len);
    if (colon) {
        n.len = (size_t)(colon - host);
        n.port = colon + 1;
    }
    if (n.len > 1 && host[n.len - 1] == '.') n.len--;
    return n;
}

static bool equal(const char *a, size_t a_len, const char *b, size_t b_len) {
    return a_len == b_len && strncasecmp(a, b, a_len) == 0;
}

/* Numbers as inet_aton reads them ("127.1" too): no resolver takes those for a name that somebody can own. */
static bool loopback_number(const char *text) {
    struct in_addr four;
    struct in6_addr six;
    if (inet_aton(text, &four)) return ntohl(four.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, text, &six) != 1) return false;
    return IN6_IS_ADDR_LOOPBACK(&six) || (IN6_IS_ADDR_V4MAPPED(&six) && six.s6_addr[12] == 127);
}

bool sl__host_loopback(const char *host) {
    char text[64];
    if (!host || !host[0]) return true;
    name n = name_of(host, strlen(host));
    if (equal(n.text, n.len, "localhost", 9)) return true;
    if (n.len >= sizeof text) return false;
    memcpy(text, n.text, n.len);
    text[n.len] = '\0';
    return strpbrk(text, " \t") == NULL && loopback_number(text); /* inet_aton would stop at a blank */
}

/* The next entry of a list with commas; *ret_len 0: an empty one. Returns where the one after it begins, NULL: that was all. */
static const char *entry(const char *list, const char **ret, size_t *ret_len) {
    size_t len = strcspn(list, ",");
    const char *next = list[len] ? list + len + 1 : NULL;
    while (len > 0 && (*list == ' ' || *list == '\t')) list++, len--;
    while (len > 0 && (list[len - 1] == ' ' || list[len - 1] == '\t')) len--;
    *ret = list;
    *ret_len = len;
    return next;
}

bool sl__host_listed(const char *host, const char *names) {
    name asked = name_of(host ? host : "", host ? strlen(host) : 0);
    const char *one;
    size_t len;
    for (const char *p = names; p;) {
        p = entry(p, &one, &len);
        if (len == 0) continue;
        name listed = name_of(one, len);
        if (equal(one, len, "*", 1) || equal(asked.text, asked.len, listed.text, listed.len)) return true;
    }
    return false;
}

/* "https://a.example/" is meant as "https://a.example"; "file://" is an origin, of programs that are browsers inside. */
static size_t without_slash(const char *s, size_t len) { return len > 1 && s[len - 1] == '/' && s[len - 2] != '/' ? len - 1 : len; }

bool sl__origin_listed(const char *origin, const char *origins) {
    const char *one;
    size_t len;
    for (const char *p = origins; p;) {
        p = entry(p, &one, &len);
        if (len == 0) continue;
        if (equal(one, len, "*", 1) || equal(one, without_slash(one, len), origin, strlen(origin))) return true;
    }
    return false;
}

/* What is listed and can match nothing would show only when somebody is refused. */
sl_status sl__hosts_check(const char *names, const char *origins, sl_error *e) {
    const char *one;
    size_t len;
    for (const char *p = names; p;) {
        p = entry(p, &one, &len);
        if (!equal(one, len, "*", 1) && (memchr(one, '*', len) || memchr(one, '/', len)))
            return sl_fail_param(e, SL_MISUSE, "allowed-hosts",
                                 "--allowed-hosts: \"%.*s\" is no name such as api.example.com; \"*\" alone stands for any", (int)len, one);
    }
    for (const char *p = origins; p;) {
        p = entry(p, &one, &len);
        if (len == 0 || equal(one, len, "*", 1) || equal(one, len, "null", 4)) continue;
        const char *host = memmem(one, len, "://", 3);
        size_t begin = host ? (size_t)(host - one) + 3 : 0, end = without_slash(one, len);
        if (!host || memchr(one, '*', len) || memchr(one + begin, '/', end - begin))
            return sl_fail_param(e, SL_MISUSE, "cors-origin",
                                 "--cors-origin: \"%.*s\" is no origin such as http://localhost:3000; \"*\" alone stands for any", (int)len, one);
    }
    return SL_OK;
}

/* Ports are compared when the Host names one: a proxy in front may leave it out. */
bool sl__origin_same(const char *origin, const char *host) {
    const char *at = strstr(origin, "://");
    if (!at || !host || !host[0]) return false;
    bool secure = equal(origin, (size_t)(at - origin), "https", 5);
    name page = name_of(at + 3, strlen(at + 3)), here = name_of(host, strlen(host));
    if (!equal(page.text, page.len, here.text, here.len)) return false;
    const char *page_port = page.port[0] ? page.port : secure ? "443" : "80";
    return !here.port[0] || strcmp(page_port, here.port) == 0;
}

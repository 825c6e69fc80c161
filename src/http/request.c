/* request.c: what can be said about a request once its headers are there; the accessors of http.h. */
#include "http/internal.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

static enum MHD_Result add_header(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len,
                                  const char *value, size_t value_len) {
    (void)kind;
    sl__head_add(cls, name, name_len, value ? value : "", value ? value_len : 0);
    return MHD_YES;
}

static bool on_listener(const sl__listener *l, const sl_http_endpoint *p) {
    if (p->flags & SL_HTTP_PUBLIC) return true;
    if (p->flags & SL_HTTP_NOT_MAIN) return l->admin;
    return !l->h->listeners[1].daemon || l->admin == ((p->flags & SL_HTTP_ADMIN) != 0);
}

static bool matches_path(const sl_http_endpoint *p, const char *path) {
    size_t len = strlen(p->path);
    if (len > 2 && strcmp(p->path + len - 2, "/*") == 0)
        return strncmp(path, p->path, len - 1) == 0 && path[len - 1] != '\0';
    return strcmp(p->path, path) == 0;
}

static bool matches_method(const sl_http_endpoint *p, const char *method) {
    return strcmp(p->method, method) == 0 || (strcmp(method, "HEAD") == 0 && strcmp(p->method, "GET") == 0);
}

static void allow(sl_buffer *out, const char *method) {
    if (out->len > 0) sl_buffer_puts(out, ", ");
    sl_buffer_puts(out, method);
    if (strcmp(method, "GET") == 0) sl_buffer_puts(out, ", HEAD");
}

static void refuse(sl_http_exchange *x, int reason, int status, const char *code, const char *message) {
    sl_metrics_add(x->h->metrics, SL_METRIC_REJECTED, reason, 1);
    sl_http_reply_error(x, status, NULL, code, message);
}

/* The keys that open p on x's listener; NULL: none are needed. Whoever can name the admin listener's address may read what is
 * there unless it has keys of its own: clients' keys do not open it. */
static const sl__keys *keys_for(const sl_http_exchange *x, const sl_http_endpoint *p) {
    const sl_http *h = x->h;
    if (p->flags & SL_HTTP_PUBLIC) return NULL;
    if (p->flags & SL_HTTP_ADMIN && (h->admin_keys || x->c->l->admin)) return h->admin_keys;
    return h->keys;
}

/* Is the server addressed by a name that is its own? See hosts.c. */
static void check_host(sl_http_exchange *x, const char *host) {
    const sl__listener *l = x->c->l;
    const char *allowed = x->h->config.allowed_hosts;
    bool trusting = l->loopback && !(l->admin ? x->h->admin_keys : x->h->keys);
    if (!trusting && !(allowed && !l->admin && x->endpoint && !(x->endpoint->flags & SL_HTTP_PUBLIC))) return;
    if (sl__host_loopback(host) || (allowed && sl__host_listed(host, allowed))) return;
    refuse(x, SL_REJECT_AUTH, 403, "host_not_allowed",
           "This server does not answer to the Host of the request; --allowed-hosts lists names beside localhost.");
}

/* May the page that sent it, if one did, do so? Sets x->origin where it may read the answer. */
static void check_origin(sl_http_exchange *x, const char *origin, const char *host) {
    const char *listed = x->h->config.cors_origin;
    if (!origin) return;
    if (listed && sl__origin_listed(origin, listed)) x->origin = origin;
    else if (!sl__origin_same(origin, host))
        refuse(x, SL_REJECT_AUTH, 403, "origin_not_allowed",
               "This server does not answer pages of the Origin of the request; --cors-origin lists those that may ask.");
}

/* Header names, as a browser lists them; anything else would not come from one. */
static bool plain_list(const char *text) {
    for (; *text; text++) {
        char c = *text;
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr("-_.,! ", c);
        if (!plain) return false;
    }
    return true;
}

/* A browser asks what a page may send: any header, as the openai package for JavaScript sends a dozen of its own. */
static void answer_preflight(sl_http_exchange *x, const char *methods) {
    const char *asked = sl_http_request_header(x, "Access-Control-Request-Headers");
    sl_buffer none = {0};
    sl_http_add_header(x, "Access-Control-Allow-Methods", methods);
    sl_http_add_header(x, "Access-Control-Allow-Headers",
                       asked && asked[0] && plain_list(asked) ? asked : "Authorization, Content-Type, X-Api-Key, X-Request-Id");
    sl_http_add_header(x, "Access-Control-Max-Age", "7200");
    sl_http_add_header(x, "Vary", "Access-Control-Request-Headers");
    if (sl_http_request_header(x, "Access-Control-Request-Private-Network"))
        sl_http_add_header(x, "Access-Control-Allow-Private-Network", "true");
    sl_http_reply(x, 204, NULL, &none);
}

/* Finds x's endpoint; *allowed: the methods of its path, if it has another one. */
static void find(sl_http_exchange *x, sl_buffer *allowed) {
    const sl_http_config *c = &x->h->config;
    for (int i = 0; i < c->endpoint_count && !x->endpoint; i++) {
        const sl_http_endpoint *p = &c->endpoints[i];
        if (!on_listener(x->c->l, p) || !matches_path(p, x->path)) continue;
        if (matches_method(p, x->method)) x->endpoint = p;
        else allow(allowed, p->method);
    }
}

static bool ends_with(const char *path, const char *end) {
    size_t len = strlen(path), n = strlen(end);
    return n > 1 && len > n && end[0] == '/' && strcmp(path + len - n, end) == 0;
}

/* The path that a client with a wrong base URL wants: "/chat/completions", "//v1/chat/completions", "/v1/v1/chat/completions". */
static const char *path_meant(const sl_http_exchange *x) {
    const sl_http_config *c = &x->h->config;
    const char *meant = NULL;
    for (int i = 0; i < c->endpoint_count; i++) {
        const char *path = c->endpoints[i].path;
        bool like = ends_with(x->path, path) || ends_with(path, x->path);
        if (like && on_listener(x->c->l, &c->endpoints[i]) && (!meant || strlen(path) < strlen(meant))) meant = path;
    }
    return meant;
}

static void answer_nowhere(sl_http_exchange *x) {
    char message[160];
    const char *meant = path_meant(x);
    if (meant) snprintf(message, sizeof message, "There is nothing at this path, but at %.60s: is the client's base URL right?", meant);
    sl_http_reply_error(x, 404, NULL, NULL, meant ? message : "There is nothing at this path.");
}

/* Answers 404, 405, or a browser's question what is allowed. */
static void answer_elsewhere(sl_http_exchange *x, sl_buffer *allowed) {
    const char *cors = x->h->config.cors_origin;
    if (allowed->len == 0) {
        answer_nowhere(x);
        return;
    }
    if (cors) allow(allowed, "OPTIONS");
    sl_http_add_header(x, "Allow", sl_buffer_text(allowed));
    if (cors && strcmp(x->method, "OPTIONS") == 0) answer_preflight(x, sl_buffer_text(allowed));
    else sl_http_reply_error(x, 405, NULL, NULL, "This path does not serve this method.");
}

static void take_rest(sl_http_exchange *x) {
    size_t len = strlen(x->endpoint->path);
    if (x->endpoint->path[len - 1] != '*') return;
    x->rest = sl_strdup(x->path + len - 1);
    if (!x->rest || !sl__percent_decode(x->rest, false))
        sl_http_reply_error(x, 400, NULL, NULL, "The path has a bad percent escape.");
}

static void check_key(sl_http_exchange *x, const sl__head *head) {
    const sl__keys *keys = keys_for(x, x->endpoint);
    if (!keys || sl__keys_match(keys, head->authorization, head->api_key)) return;
    sl_http_add_header(x, "WWW-Authenticate", "Bearer");
    refuse(x, SL_REJECT_AUTH, 401, "invalid_api_key",
           head->authorization || head->api_key ? "The API key is not valid."
                                                : "An API key is needed: Authorization: Bearer KEY, or X-Api-Key: KEY.");
}

/* What a server that has no room, no model or no decoder says before it reads a body. */
static void check_service(sl_http_exchange *x, const sl__head *head) {
    sl__connection *c = x->c;
    char message[160];
    if (c->extra && c->l->open <= c->l->limit) c->extra = false; /* others have left */
    if (!(x->endpoint->flags & SL_HTTP_PUBLIC) && (c->extra || !x->h->serving)) {
        sl_http_add_header(x, "Retry-After", "1");
        if (c->extra) sl_http_reply_error(x, 503, NULL, "too_many_connections", "The server has as many connections as it takes.");
        else sl_http_reply_error(x, 503, NULL, "loading", "The model is being loaded; /readyz says when it is there.");
    } else if (x->has_body && head->coding) {
        snprintf(message, sizeof message, "The body has the Content-Encoding \"%.60s\"; only bodies without one are understood.", head->coding);
        sl_http_add_header(x, "Accept-Encoding", "identity");
        refuse(x, SL_REJECT_BAD_REQUEST, 415, "unsupported_content_encoding", message);
    }
}

/* See exchange.c. A connection beyond the limit is to be gone soon. */
static bool swallows(const sl_http_exchange *x, const sl__head *head) {
    return head->length <= x->h->config.body_limit + SL__HTTP_SWALLOWED && !sl_http_request_header(x, "Expect") && !x->c->extra;
}

/* Heads that are larger than what is wanted, though the library had room for them. */
static bool check_size(sl_http_exchange *x) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(x->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (x->target_len > SL__HTTP_TARGET) refuse(x, SL_REJECT_BAD_REQUEST, 414, NULL, "The request's target is too long.");
    else if (info && info->header_size > SL__HTTP_HEAD)
        refuse(x, SL_REJECT_BAD_REQUEST, 431, NULL, "The request's headers are too large.");
    return x->status == 0;
}

void sl__request_check(sl_http_exchange *x, const char *version) {
    sl__head head = {0};
    sl_buffer allowed = {0};
    MHD_get_connection_values_n(x->mhd, MHD_HEADER_KIND, add_header, &head);
    x->has_body = head.length > 0 || head.transfers > 0;
    if (sl__request_id_good(head.request_id)) strcpy(x->id, head.request_id);
    else sl__request_id_make(x->id);
    const char *wrong = sl__head_check(&head, version, x->path);
    if (wrong) refuse(x, SL_REJECT_BAD_REQUEST, 400, NULL, wrong);
    if (wrong || !check_size(x)) {
        x->closes = true;
        return;
    }
    const char *host = x->authority ? x->authority : head.host;
    find(x, &allowed);
    check_host(x, host);
    if (x->status == 0) check_origin(x, head.origin, host);
    if (x->status == 0 && !x->endpoint) answer_elsewhere(x, &allowed);
    if (x->status == 0) take_rest(x);
    if (x->status == 0) check_key(x, &head);
    if (x->status == 0) check_service(x, &head);
    if (x->status == 0 && head.length > x->h->config.body_limit) x->too_large = true;
    x->swallows = swallows(x, &head);
    sl_buffer_done(&allowed);
}

const char *sl_http_method(const sl_http_exchange *x) { return x->method; }
const char *sl_http_path(const sl_http_exchange *x) { return x->path; }
const char *sl_http_path_rest(const sl_http_exchange *x) { return x->rest ? x->rest : ""; }
const char *sl_http_request_id(const sl_http_exchange *x) { return x->id; }
uint64_t sl_http_arrived(const sl_http_exchange *x) { return x->arrived; }
char *sl_http_query(const sl_http_exchange *x, const char *name) { return sl__query_value(x->query, name); }

const char *sl_http_request_header(const sl_http_exchange *x, const char *name) {
    return x->mhd ? MHD_lookup_connection_value(x->mhd, MHD_HEADER_KIND, name) : NULL;
}

const char *sl_http_body(const sl_http_exchange *x, size_t *ret_len) {
    *ret_len = x->body.len;
    return x->body.data ? x->body.data : "";
}

char *sl_http_take_body(sl_http_exchange *x, size_t *ret_len) {
    char *data = x->body.data ? x->body.data : sl_strdup("");
    *ret_len = data ? x->body.len : 0;
    x->h->body_bytes -= x->body.len;
    x->body = (sl_buffer){0};
    return data;
}

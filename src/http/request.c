/* request.c: what can be said about a request once its headers are there; the accessors of http.h. */
#include "http/internal.h"

#include "base/alloc.h"

#include <string.h>

static enum MHD_Result add_header(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len,
                                  const char *value, size_t value_len) {
    (void)kind;
    sl__head_add(cls, name, name_len, value ? value : "", value ? value_len : 0);
    return MHD_YES;
}

static bool on_listener(const sl__listener *l, const sl_http_endpoint *p) {
    if (p->flags & SL_HTTP_PUBLIC) return true;
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

/* Finds x's endpoint; otherwise answers 404, 405, or a browser's question what is allowed. */
static void route(sl_http_exchange *x) {
    const sl_http_config *c = &x->h->config;
    sl_buffer allowed = {0}, none = {0};
    for (int i = 0; i < c->endpoint_count && !x->endpoint; i++) {
        const sl_http_endpoint *p = &c->endpoints[i];
        if (!on_listener(x->c->l, p) || !matches_path(p, x->target)) continue;
        if (matches_method(p, x->method)) x->endpoint = p;
        else allow(&allowed, p->method);
    }
    if (x->endpoint) {
        size_t len = strlen(x->endpoint->path);
        if (x->endpoint->path[len - 1] == '*') {
            x->rest = sl_strdup(x->target + len - 1);
            if (!x->rest || !sl__percent_decode(x->rest, false))
                sl_http_reply_error(x, 400, NULL, NULL, "The path has a bad percent escape.");
        }
    } else if (allowed.len == 0) {
        sl_http_reply_error(x, 404, NULL, NULL, "There is nothing at this path.");
    } else {
        if (c->cors_origin) allow(&allowed, "OPTIONS");
        sl_http_add_header(x, "Allow", sl_buffer_text(&allowed));
        if (c->cors_origin && strcmp(x->method, "OPTIONS") == 0) {
            sl_http_add_header(x, "Access-Control-Allow-Methods", sl_buffer_text(&allowed));
            sl_http_add_header(x, "Access-Control-Allow-Headers", "Authorization, Content-Type, X-Request-Id");
            sl_http_add_header(x, "Access-Control-Max-Age", "600");
            sl_http_reply(x, 204, NULL, &none);
        } else {
            sl_http_reply_error(x, 405, NULL, NULL, "This path does not serve this method.");
        }
    }
    sl_buffer_done(&allowed);
}

void sl__request_check(sl_http_exchange *x, const char *version) {
    sl_http *h = x->h;
    sl__head head = {0};
    MHD_get_connection_values_n(x->mhd, MHD_HEADER_KIND, add_header, &head);
    x->has_body = head.length > 0 || head.encodings > 0;
    if (sl__request_id_good(head.request_id)) strcpy(x->id, head.request_id);
    else sl__request_id_make(x->id);

    const char *wrong = sl__head_check(&head, version, x->target);
    if (wrong) {
        x->close = true;
        sl_metrics_add(h->metrics, SL_METRIC_REJECTED, SL_REJECT_BAD_REQUEST, 1);
        sl_http_reply_error(x, 400, NULL, NULL, wrong);
        return;
    }
    route(x);
    if (x->status != 0) return;
    if (h->keys && !(x->endpoint->flags & SL_HTTP_PUBLIC) && !sl__keys_match(h->keys, head.authorization)) {
        sl_metrics_add(h->metrics, SL_METRIC_REJECTED, SL_REJECT_AUTH, 1);
        sl_http_add_header(x, "WWW-Authenticate", "Bearer");
        sl_http_reply_error(x, 401, NULL, "invalid_api_key",
                            head.authorization ? "The API key is not valid."
                                               : "An API key is needed: Authorization: Bearer KEY.");
        return;
    }
    if (!h->serving && !(x->endpoint->flags & SL_HTTP_PUBLIC)) {
        sl_http_add_header(x, "Retry-After", "1");
        sl_http_reply_error(x, 503, NULL, "loading", "The model is being loaded; /readyz says when it is there.");
        return;
    }
    if (head.length > h->config.body_limit) x->too_large = true;
}

const char *sl_http_method(const sl_http_exchange *x) { return x->method; }
const char *sl_http_path(const sl_http_exchange *x) { return x->target; }
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

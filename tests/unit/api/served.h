/* served.h: the API behind a front end on a free port, its loop in the test's own thread, and a client that asks one thing. */
#ifndef SL_TESTS_API_SERVED_H
#define SL_TESTS_API_SERVED_H

#include "../text/fixture.h"
#include "api/api.h"
#include "api/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../run.h"

typedef struct served {
    uv_loop_t loop;
    sl_api *api;
    sl_http *h;
    sl_tokenizer *tokenizer;
    bool closed;
} served;

static inline void on_served_closed(void *arg) { ((served *)arg)->closed = true; }

/* tokenizer NULL: still loading. */
static inline void serve(served *s, const char *tokenizer) {
    sl_error e;
    sl_api_config config = {.model_names = "model", .stuck_seconds = 1};
    *s = (served){0};
    uv_loop_init(&s->loop);
    ck_assert_msg(sl_api_new(&s->loop, &config, &s->api, &e) == SL_OK, "%s", e.message);
    ck_assert_int_eq(sl__text_start(s->api, &e), SL_OK); /* as sl_api_start does */
    if (tokenizer) {
        s->tokenizer = open_hf(tokenizer);
        s->api->config.tokenizer = s->tokenizer;
        s->api->config.model.vocab = sl_tokenizer_count(s->tokenizer);
        s->api->name[s->api->name_count++] = "model";
        s->api->ctx = 64;
    }
    sl_http_config c = {.host = "127.0.0.1", .connections = 64, .body_limit = 4 << 20, .body_memory = 64 << 20, .header_seconds = 600,
                        .idle_seconds = 600, .arg = s->api, .write_error = sl_api_error_json};
    c.endpoints = sl_api_endpoints(&c.endpoint_count);
    ck_assert_msg(sl_http_new(&s->loop, &c, &s->h, &e) == SL_OK, "%s", e.message);
    if (tokenizer) sl_http_serve(s->h, NULL);
}

static inline void unserve(served *s) {
    sl_http_close(s->h, on_served_closed, s);
    while (!s->closed) uv_run(&s->loop, UV_RUN_ONCE);
    sl_api_close(s->api, NULL, NULL);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    uv_loop_close(&s->loop);
    sl_http_free(s->h);
    sl_api_free(s->api);
    s->tokenizer = sl_tokenizer_free(s->tokenizer);
}

static inline int connected(served *s) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)sl_http_port(s->h)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* Sends while the loop turns, so that a body may be larger than the socket takes. */
static inline void say(served *s, int fd, const char *data, size_t len) {
    while (len) {
        ssize_t n = send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0) ck_assert_int_eq(errno, EAGAIN);
        if (n > 0) data += n, len -= (size_t)n;
        uv_run(&s->loop, UV_RUN_NOWAIT);
    }
}

static inline void ask_for(served *s, int fd, const char *method, const char *path, const char *body, size_t len) {
    char head[300];
    int n = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n", method, path, len);
    say(s, fd, head, (size_t)n);
    say(s, fd, body, len);
}

/* The answer's status; its body, NUL-terminated, is the caller's (free). */
static inline int hear(served *s, int fd, char **ret_body) {
    size_t len = 0, cap = 4096;
    char *text = malloc(cap);
    for (ssize_t n; (n = recv(fd, text + len, cap - len - 1, MSG_DONTWAIT)) != 0;) {
        if (n < 0) {
            ck_assert_int_eq(errno, EAGAIN);
            uv_run(&s->loop, UV_RUN_NOWAIT);
            continue;
        }
        len += (size_t)n;
        if (cap - len < 2) text = realloc(text, cap *= 2);
    }
    close(fd);
    text[len] = 0;
    int status = 0;
    sscanf(text, "HTTP/1.1 %d", &status);
    char *body = strstr(text, "\r\n\r\n");
    *ret_body = strdup(body ? body + 4 : "");
    free(text);
    return status;
}

static inline int ask_once(served *s, const char *method, const char *path, const char *body, char **ret_body) {
    int fd = connected(s);
    ask_for(s, fd, method, path, body, strlen(body));
    return hear(s, fd, ret_body);
}

#endif

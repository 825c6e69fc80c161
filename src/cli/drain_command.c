/* drain_command.c: tells a running server to drain, and waits until it has: for preStop hooks and for hands, in images that have neither a
 * shell nor curl. The server is found as it was configured, as by healthcheck.
 *
 * POST /drain is asked again and again: what is drained already only says how far it has come. */
#include "cli/cli.h"

#include "base/clock.h"
#include "base/json.h"
#include "cli/question.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PAUSE_MS 200

typedef struct progress {
    bool taking; /* new work is still taken */
    int64_t requests;
} progress;

static sl_status read_progress(const char *body, progress *ret, sl_error *e) {
    sl_json top = {0};
    int64_t running = 0, waiting = 0;
    sl_status st = sl_json_parse(body, strlen(body), "the answer to POST /drain", &top, e);
    if (!st) st = sl_json_opt_bool(&top, "taking", &ret->taking, e);
    if (!st) st = sl_json_opt_int(&top, "running", 0, INT32_MAX, &running, e);
    if (!st) st = sl_json_opt_int(&top, "waiting", 0, INT32_MAX, &waiting, e);
    if (top.v) json_decref(top.v);
    ret->requests = running + waiting;
    return st;
}

static sl_status ask(sl_question *q, int timeout, progress *ret, sl_error *e) {
    sl_reply reply;
    q->deadline = sl_clock_ns() + (uint64_t)timeout * SL_SECOND;
    sl_status st = sl_question_ask(q, &reply, e);
    if (st) return st;
    if (reply.status == 200) return read_progress(reply.body, ret, e);
    if (reply.status == 404)
        return sl_question_fail(q, e,
                                "there is no POST /drain at this address: it is on the server's admin address alone (--admin)");
    if (reply.status == 401) return sl_question_fail(q, e, "the key is missing or wrong (--admin-key-file)");
    return sl_fail(e, SL_IO, "%s port %d: POST /drain is %d: %.*s", q->at.host, q->at.port, reply.status,
                   (int)strcspn(reply.body, "\r\n"), reply.body);
}

/* Until nothing runs and nothing new is taken. */
static sl_status drain(const sl_settings *s, sl_question *q, sl_error *e) {
    uint64_t most = (uint64_t)(s->drain_delay + s->drain_seconds) * SL_SECOND, began = sl_clock_ns();
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    progress now = {.taking = false};
    int64_t said = -1;
    for (;;) {
        sl_status st = ask(q, s->timeout, &now, e);
        if (st) return st;
        if (now.requests != said)
            printf("draining: %" PRId64 " requests go on%s\n", now.requests,
                   now.taking ? ", and new ones are still taken (--drain-delay)" : "");
        fflush(stdout);
        said = now.requests;
        if (!now.taking && now.requests == 0) return SL_OK;
        if (sl_clock_ns() - began > most)
            return sl_fail(e, SL_CANCELLED, "%" PRId64 " requests go on after %" PRId64 " s (--drain-delay and --drain-seconds)", now.requests,
                           s->drain_delay + s->drain_seconds);
        nanosleep(&pause, NULL);
    }
}

int sl_drain_command(sl_settings *s) {
    char key[SL_HTTP_KEY_MAX + 1] = "";
    sl_question q = {.method = "POST", .path = "/drain", .key = key};
    sl_error err;
    sl_status st = sl_question_where(s, &q.at, &err);
    if (!st && s->http.admin_key_file && s->http.admin_key_file[0]) st = sl_http_first_key(s->http.admin_key_file, "admin-key-file", key, &err);
    if (!st) st = drain(s, &q, &err);
    if (st) fprintf(stderr, "sluice drain: %s\n", err.message);
    else printf("drained\n");
    return st == SL_MISUSE ? 2 : st ? 1 : 0;
}

/* healthcheck.c: asks a running server whether it is well. The server is found as it was configured: same file, same environment. */
#include "cli/cli.h"

#include "base/clock.h"
#include "cli/question.h"

#include <stdio.h>
#include <string.h>

/* SL_OK: the answer was a 200; its body, one line, is printed. */
static sl_status judge(const sl_question *q, const sl_reply *r, sl_error *e) {
    int len = (int)strcspn(r->body, "\r\n");
    if (r->status != 200) return sl_fail(e, SL_IO, "%s port %d: %s is %d: %.*s", q->at.host, q->at.port, q->path, r->status, len, r->body);
    printf("%.*s\n", len, r->body);
    return SL_OK;
}

int sl_healthcheck(sl_settings *s) {
    sl_question q = {.method = "GET", .path = s->live ? "/livez" : "/readyz", .key = "",
                     .deadline = sl_clock_ns() + (uint64_t)s->timeout * SL_SECOND};
    sl_reply reply;
    sl_error err;
    sl_status st = sl_question_where(s, &q.at, &err);
    if (!st) st = sl_question_ask(&q, &reply, &err);
    if (!st) st = judge(&q, &reply, &err);
    if (st) fprintf(stderr, "sluice healthcheck: %s\n", err.message);
    return st == SL_MISUSE ? 2 : st ? 1 : 0;
}

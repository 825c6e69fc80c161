/* question.h: asks a running server one thing, for commands that work where there is neither a shell nor curl.
 * The main thread. */
#ifndef SL_CLI_QUESTION_H
#define SL_CLI_QUESTION_H

#include "base/error.h"
#include "cli/address.h"
#include "cli/options.h"

#include <stdint.h>

#define SL_REPLY_MOST 4096 /* bytes of a whole answer: those that are asked for have about 300 */

typedef struct sl_question {
    sl_address at;
    const char *method, *path;
    const char *key;   /* "": none is shown */
    uint64_t deadline; /* ns, as sl_clock_ns, for all of it */
} sl_question;

typedef struct sl_reply {
    int status;
    const char *body; /* in text; without what is beyond SL_REPLY_MOST */
    char text[SL_REPLY_MOST + 1];
} sl_reply;

/* Where the server is that these settings configure: its admin address, since clients cannot fill it, or where it has none the main
 * one. */
sl_status sl_question_where(sl_settings *s, sl_address *ret, sl_error *e);

/* One connection, one request. SL_OK: an answer came, whatever its status. Errors name the address. */
sl_status sl_question_ask(const sl_question *q, sl_reply *ret, sl_error *e);

/* "127.0.0.1 port 9090: …" */
sl_status sl_question_fail(const sl_question *q, sl_error *e, const char *what);

#endif

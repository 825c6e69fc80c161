/* error.h: errors are values: a status, and a message that names the file, field or tensor at fault.
 * Any thread; an sl_error belongs to its caller.
 *
 * Library code fills an sl_error and returns its code; it never logs. Outputs called ret_… are written on
 * success only. `assert` is for our own bugs, never for input. */
#ifndef SL_BASE_ERROR_H
#define SL_BASE_ERROR_H

#define SL_STATUS_MAP(X)                                                                                      \
    X(OK, "ok")                                                                                               \
    X(NOMEM, "out of memory")                                                                                 \
    X(IO, "input or output failed")                                                                           \
    X(FORMAT, "malformed file")                                                                               \
    X(UNSUPPORTED, "not supported")                                                                           \
    X(INVALID, "invalid value")                                                                               \
    X(TOO_LONG, "does not fit")                                                                               \
    X(TOO_MUCH, "asks for too much")                                                                          \
    X(TOO_LARGE, "larger than allowed")                                                                       \
    X(FULL, "full")                                                                                           \
    X(NOT_FOUND, "not found")                                                                                 \
    X(CANCELLED, "cancelled")                                                                                 \
    X(MISUSE, "misuse")

typedef enum sl_status {
#define X(name, text) SL_##name,
    SL_STATUS_MAP(X)
#undef X
} sl_status;

typedef struct sl_error {
    sl_status code;
    char message[480]; /* one sentence, UTF-8, no newline; cut at the end if too long, never inside a character */
    char param[64];    /* the request field or option at fault, "" if none */
} sl_error;

/* Fills *e (which may be NULL) and returns code, so that a caller can write `return sl_fail(e, SL_FORMAT, …)`. */
sl_status sl_fail(sl_error *e, sl_status code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same, and names the request field or option at fault. */
sl_status sl_fail_param(sl_error *e, sl_status code, const char *param, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts "prefix: " before the message, as an error travels outward through a file or a section. Returns its code; without
 * e, which has lost it, SL_INVALID: never SL_OK. */
sl_status sl_error_prefix(sl_error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The status as a word ("malformed file"). */
const char *sl_status_text(sl_status code);

#endif

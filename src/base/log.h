/* log.h: one line an event, through a ring to a writer thread.
 * Any thread; only programs and the outermost layers log (cli, api, engine's end of a request), libraries return errors.
 *
 * When the ring is full a line is dropped and counted, never waited for; so is one that cannot be written, as on a full disk, and
 * what had been written of it is ended before the next one. On a terminal lines are text
 * ("12:00:01 info  listening host=127.0.0.1"), otherwise JSON objects, one a line. Content of prompts and answers is
 * never logged. Before sl_log_start and after sl_log_stop lines are written directly. */
#ifndef SL_BASE_LOG_H
#define SL_BASE_LOG_H

#include "base/error.h"

#include <stdint.h>

typedef enum sl_log_level { SL_LOG_DEBUG, SL_LOG_INFO, SL_LOG_WARN, SL_LOG_ERROR } sl_log_level;
typedef enum sl_log_format { SL_LOG_AUTO, SL_LOG_TEXT, SL_LOG_JSON } sl_log_format;

/* A field of a log line. */
typedef struct sl_log_field {
    const char *key;
    enum { SL_LOG_INT, SL_LOG_REAL, SL_LOG_STRING } kind;
    int64_t i;
    double r;
    const char *s; /* copied; cut at 256 bytes */
} sl_log_field;

/* Where lines go and how they look, until sl_log_start without its thread: written directly. */
void sl_log_set(int fd, sl_log_level least, sl_log_format format);
sl_status sl_log_start(int fd, sl_log_level least, sl_log_format format, sl_error *e);
/* Writes what is left and joins the writer. Where nobody reads fd, it gives up after 2 s: an exit is never held up. */
void sl_log_stop(void);

void sl_log(sl_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sl_log_event(sl_log_level level, const char *event, const sl_log_field *fields, int count);

uint64_t sl_log_dropped(void); /* lines dropped since start */

#endif

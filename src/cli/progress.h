/* progress.h: how far a long command is, on standard error: a line that is written over on a terminal, elsewhere one
 * every ten seconds. The main thread. */
#ifndef SL_CLI_PROGRESS_H
#define SL_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct sl_progress {
    uint64_t began, told; /* ns */
    bool terminal;
} sl_progress;

sl_progress sl_progress_begin(void);
/* Is it time for a line? */
bool sl_progress_due(sl_progress *p);
/* The line: "sluice COMMAND: 40 %, TEXT, 3 min 20 s left". done, total: in any unit that the work is even in. */
void sl_progress_tell(const sl_progress *p, const char *command, double done, double total, const char *text);
/* Ends the line, if there was one; returns the seconds since the beginning. */
double sl_progress_end(const sl_progress *p);

/* "3 min 20 s" */
const char *sl_duration_text(double seconds, char text[32]);

#endif

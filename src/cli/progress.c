#include "cli/progress.h"

#include "base/clock.h"

#include <stdio.h>
#include <unistd.h>

const char *sl_duration_text(double seconds, char text[32]) {
    int s = (int)(seconds + 0.5);
    if (s >= 3600)
        snprintf(text, 32, "%d h %d min", s / 3600, s / 60 % 60);
    else if (s >= 60)
        snprintf(text, 32, "%d min %d s", s / 60, s % 60);
    else
        snprintf(text, 32, "%d s", s);
    return text;
}

sl_progress sl_progress_begin(void) {
    uint64_t now = sl_clock_ns();
    return (sl_progress){now, now, isatty(STDERR_FILENO) == 1};
}

bool sl_progress_due(sl_progress *p) {
    uint64_t now = sl_clock_ns();
    if (now - p->told < (p->terminal ? SL_SECOND / 4 : 10 * SL_SECOND)) return false;
    p->told = now;
    return true;
}

void sl_progress_tell(const sl_progress *p, const char *command, double done, double total, const char *text) {
    double seconds = (double)(p->told - p->began) / 1e9;
    char left[32];
    fprintf(stderr, "%ssluice %s: %3.0f %%, %s, %s left%s", p->terminal ? "\r" : "", command,
            total > 0 ? 100 * done / total : 100, text,
            sl_duration_text(done > 0 ? seconds * (total - done) / done : 0, left), p->terminal ? "   " : "\n");
}

double sl_progress_end(const sl_progress *p) {
    if (p->terminal && p->told != p->began) fprintf(stderr, "\n");
    return (double)(sl_clock_ns() - p->began) / 1e9;
}

/* notes.h: what was odd about a file and was passed over: warnings for the user of whoever opened it.
 * One thread while something is being opened; const afterwards, any thread. The holder owns it; zero-initialised is empty.
 *
 * Library code does not log. It adds a note to the thing that it opens, and the program shows the notes: the server as log
 * lines of level warn, the other commands on stderr. A model file can be odd in any number of places, so only the first
 * few are kept and the rest is counted. */
#ifndef SL_BASE_NOTES_H
#define SL_BASE_NOTES_H

#define SL_NOTES_MOST 8

typedef struct sl_notes {
    char text[SL_NOTES_MOST][320]; /* [count] one sentence each, UTF-8, no newline; cut at the end if too long */
    int count;
    int more; /* notes that found no room */
} sl_notes;

void sl_notes_add(sl_notes *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Calls show with each note, and with a last line about those that found no room. */
void sl_notes_show(const sl_notes *n, void (*show)(void *arg, const char *text), void *arg);

#endif

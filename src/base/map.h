/* map.h: a file mapped read-only into memory: the model file is the cache, nothing is copied.
 * Any thread once open; opened and closed by its owner. */
#ifndef SL_BASE_MAP_H
#define SL_BASE_MAP_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct sl_map {
    const uint8_t *data; /* page aligned; NULL for an empty file */
    size_t size;
    char *path; /* owned */
} sl_map;

/* Maps a regular file shared and read-only; a folder, a pipe or an unreadable file is an error that names the path. */
sl_status sl_map_open(const char *path, sl_map *ret, sl_error *e);
void sl_map_close(sl_map *m); /* zero-initialised is fine */

/* A mapped file that is truncated while it is read raises SIGBUS. This installs a handler that, for an address inside
 * any open map, writes one line naming the file to standard error and leaves with status 1; other addresses get the
 * default action. Once, at start. */
void sl_map_guard(void);

/* For a process that has others' requests in hand: before threads start, after sl_map_guard. From then on such an address reads as
 * zeros, like what lies behind it in its file, and `told` is called once, in the handler of the signal: it may only do what is safe
 * there. Whoever uses what was read asks sl_map_damaged afterwards, and throws away what may come from zeros. */
void sl_map_mend(void (*told)(void *arg), void *arg);
/* The first file that had such a fault, its path as it was opened; NULL: none. Any thread. */
const char *sl_map_damaged(void);

#endif

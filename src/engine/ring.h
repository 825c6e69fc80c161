/* ring.h: a request's output on its way from the engine to the loop.
 * Engine thread writes, loop thread reads; no lock.
 *
 * Invariants
 *   1. Records are contiguous: one that does not fit before the end begins at the start, the rest is skipped.
 *   2. `written` and `read` only grow; written - read is what is inside; the writer never passes read + size.
 *   3. A record stays valid until the reader asks for the next one. */
#ifndef SL_ENGINE_RING_H
#define SL_ENGINE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sl__ring {
    uint8_t *data;
    size_t size;            /* a power of two */
    _Atomic uint64_t written, read;
    uint64_t held;          /* reader: end of the record that was handed out */
} sl__ring;

/* Room for one record of n bytes, 8-byte aligned; NULL: it does not fit now. Published by sl__ring_commit. */
void *sl__ring_reserve(sl__ring *r, size_t n);
void sl__ring_commit(sl__ring *r, size_t n);

/* The next record, or NULL; gives back the one before. */
const void *sl__ring_next(sl__ring *r);

/* The size of a ring that has room for `total` bytes of unread records, each of at most `largest` bytes, whatever is skipped
 * at its end; an empty one takes a record of `largest` bytes wherever its writer stands. Heads and rounding are added here.
 * 0: more than can be addressed. */
size_t sl__ring_size(size_t total, size_t largest);

#endif

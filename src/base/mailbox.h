/* mailbox.h: a hand-over of messages from any thread to one thread; bounded if it is made with a capacity.
 * Any thread puts; one thread takes. Messages are intrusive and belong to whoever holds them.
 *
 * Invariants
 *   1. Messages come out in the order in which they went in, all at once; the taker must use all of them.
 *   2. `wake` is called once for each change from empty to non-empty, from the putting thread, without the lock.
 *   3. A box that has its capacity refuses more, and the caller sees it (SL_FULL); nothing blocks in put. A box without a
 *      capacity never refuses: whoever puts must bound what it puts by other means. */
#ifndef SL_BASE_MAILBOX_H
#define SL_BASE_MAILBOX_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct sl_mail {
    struct sl_mail *next;
} sl_mail;

typedef struct sl_mailbox sl_mailbox;

/* wake may be NULL: then the taker waits with sl_mailbox_wait. capacity in messages; 0: none. */
sl_mailbox *sl_mailbox_new(int capacity, void (*wake)(void *), void *wake_arg);
sl_mailbox *sl_mailbox_free(sl_mailbox *b); /* must be empty */

sl_status sl_mailbox_put(sl_mailbox *b, sl_mail *m); /* SL_OK, SL_FULL, or SL_CANCELLED after close */
sl_mail *sl_mailbox_take(sl_mailbox *b);             /* the whole list, oldest first; NULL: empty */

/* Waits until there is a message, somebody poked, the box was closed, or timeout_ns passed (0 = do not wait,
 * UINT64_MAX = no limit); then takes all. */
sl_mail *sl_mailbox_wait(sl_mailbox *b, uint64_t timeout_ns);
void sl_mailbox_poke(sl_mailbox *b);  /* ends a wait without a message; remembered until the next wait */
void sl_mailbox_close(sl_mailbox *b); /* further puts are refused; what is inside can still be taken */
int sl_mailbox_count(sl_mailbox *b);

#endif

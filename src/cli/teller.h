/* teller.h: the engine with one client, who reads at his own pace: what `run` and `chat` share.
 * The main thread, but for what the engine calls; the teller must outlive the engine.
 *
 * Who reads the text may stop for as long as he likes (a pager, a paused terminal): then the engine waits with him. It
 * waits in the call that tells of news, so it is never more than two steps ahead of what was taken, and nothing of the
 * output ring, which is bounded, can be lost. */
#ifndef SL_CLI_TELLER_H
#define SL_CLI_TELLER_H

#include "cli/options.h"
#include "engine/engine.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stddef.h>

typedef struct sl_teller {
    sem_t news;             /* the engine has said something, or somebody interrupts */
    sem_t heard;            /* what the engine may say before it waits */
    atomic_int interrupted; /* calls of sl_teller_interrupt whose post is not taken yet */
} sl_teller;

/* Sets the engine's wake, too, and that there is one client. */
void sl_teller_init(sl_teller *t, sl_engine_config *c);
void sl_teller_done(sl_teller *t);

/* One streamed choice with the settings' sampling; the caller adds prompt, lengths, ends and id. */
sl_request_spec sl_teller_spec(const sl_settings *s);

/* Calls take with each event of a request that was submitted; returns when it is over. */
void sl_teller_follow(sl_teller *t, sl_engine *g, sl_request *r, void (*take)(void *arg, sl_request *r, const sl_event *ev), void *arg);

/* Ends the request that is followed within one step. From a signal's handler, too. */
void sl_teller_interrupt(sl_teller *t);
/* Interruptions that came while nothing was followed are forgotten. */
void sl_teller_forget(sl_teller *t);

/* All of it to standard output, however long that takes and whatever mode the descriptor is in. Returns 0, or errno when it cannot be
 * written. */
int sl_put_out(const char *data, size_t len);

#endif

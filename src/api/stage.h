/* stage.h: how far the serving of a request is with its client: one table from a stage and what happens to the next stage and
 * what the client is told.
 * Loop thread; pure.
 *
 *   NEW ──text thread took it──► READING ──┐
 *    └────────────── engine took it ───────┴──► ASKED ──news, silence──► TELLING (a stream)
 *   NEW, READING, ASKED ──failure, deadline──► TOLD ◄──the whole answer── ASKED
 *   READING, ASKED, TELLING, TOLD ──hang-up──► GONE
 *   any but NEW ──http is through──► OVER
 *
 * Invariants (the unit test tries what can happen in every order)
 *   1. A client gets one head: of an error, of a whole answer or of a stream. Only a stream is told more.
 *   2. Nobody is told anything in GONE and OVER, and nothing leads out of OVER.
 *   3. A failure or a deadline before the head is an answer of its own, with an honest status; after it, more of the stream. */
#ifndef SL_API_STAGE_H
#define SL_API_STAGE_H

typedef enum sl__stage {
    SL__NEW,     /* in its handler */
    SL__READING, /* the text thread has what was asked */
    SL__ASKED,   /* the engine has it; the client was told nothing */
    SL__TELLING, /* a stream: its head was sent, events follow */
    SL__TOLD,    /* the whole answer or an error was handed to http */
    SL__GONE,    /* the client is gone */
    SL__OVER,    /* http's exchange is over */
    SL__STAGES
} sl__stage;

typedef enum sl__turn {
    SL__TO_TEXT,    /* the text thread took it */
    SL__TO_ENGINE,  /* the engine took it */
    SL__NEWS,       /* the engine has events for a stream */
    SL__WHOLE,      /* an answer in one piece has ended well */
    SL__FAILURE,    /* it is refused, or ended by an error */
    SL__DEADLINE,   /* it took longer than the server allows */
    SL__SILENCE,    /* a stream was told nothing for a while */
    SL__HANG_UP,    /* the client is gone */
    SL__HTTP_OVER,  /* http is through with it; at once where nobody held it */
    SL__TURNS
} sl__turn;

typedef enum sl__tell {
    SL__TELL_NOTHING,
    SL__TELL_ERROR, /* an error as the whole answer */
    SL__TELL_WHOLE, /* the whole answer */
    SL__TELL_HEAD,  /* a stream's head */
    SL__TELL_MORE,  /* what there is for a stream: events, a comment, an error */
} sl__tell;

typedef struct sl__step {
    sl__stage to; /* SL__STAGES: cannot happen */
    sl__tell tell;
} sl__step;

sl__step sl__stage_step(sl__stage from, sl__turn what);

#endif

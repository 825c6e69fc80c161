/* request.h: what a client asked for, and what came of it.
 * The loop makes, reads and frees it; the engine thread writes its output. Between the two: `cancelled` (atomic), the ring,
 * and the ready list.
 *
 * A request is 1 … SL_MAX_CHOICES sequences: prompts times n. Choice p * n + j answers prompt p. Its seed is seed + j: with a
 * seed that the client gave, choice j of each prompt is what that prompt alone gives with seed + j and n = 1, so equal prompts
 * get equal answers. Without one (own_seeds) it is seed + p * n + j, so that all are independent.
 *
 * Life (who does it in brackets)
 *   NEW ──submit [loop: sl_engine_submit]──► QUEUED ──first step [engine]──► RUNNING ──last choice ends [engine]──► ENDED
 *   QUEUED, RUNNING ──sl_request_cancel [loop]──► the engine drops its sequences within one step ──► ENDED
 *   ENDED ──its last entry is taken from the ready list [loop: sl_engine_take_ready]──► OVER ──sl_request_free [loop]──► freed
 *   Only the loop frees, and only what is NEW or OVER.
 *
 * Invariants
 *   1. The output ring has one writer (engine) and one reader (loop). A streamed request whose ring overflows belongs to a
 *      slow client and is cancelled (finish SL_FINISH_SLOW_CLIENT); an unstreamed one has room for its worst case.
 *   2. Every choice of an accepted request ends in exactly one event with `finish` set, unless the request was cancelled.
 *   3. Text of one choice is valid UTF-8 and is never cut inside a character. */
#ifndef SL_ENGINE_REQUEST_H
#define SL_ENGINE_REQUEST_H

#include "base/error.h"
#include "engine/finish.h"
#include "sampling/sampling.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SL_MAX_CHOICES 256
#define SL_MAX_STOPS 16
#define SL_MAX_STOP_BYTES 256
#define SL_MAX_STOP_TOKENS 64

typedef struct sl_request sl_request;
typedef struct sl_engine sl_engine;

/* All copied by sl_request_new. */
typedef struct sl_request_spec {
    const int32_t *const *prompt; /* [prompts] token ids */
    const size_t *prompt_len;     /* [prompts], each at least 1 */
    int prompts;
    int n;                        /* choices a prompt */
    sl_sampling_params sampling;  /* seed of choice 0 */
    bool own_seeds;               /* the seed was drawn, not given: every choice of every prompt has its own */
    int max_tokens;               /* with the longest prompt at most ctx; 0: no token is drawn, the prompt is only scored or echoed */
    int min_tokens;
    const char *const *stop;      /* [stops]; one that spells exactly a special token stops at that token */
    const size_t *stop_len;
    int stops;
    const int32_t *stop_token;    /* [stop_tokens] */
    int stop_tokens;
    bool include_stop;            /* the stop string stays in the text */
    bool ignore_eos;
    bool skip_special;            /* control tokens give no text */
    int prompt_logprobs;          /* alternatives for each prompt token (echo with logprobs); -1: none */
    bool stream;
    const char *cache_salt;       /* keys and values are reused between requests with the same salt only; NULL: it has none */
    size_t cache_salt_len;
    const char *id;               /* for the log line; copied, 128 characters at most */
    uint64_t arrived;             /* sl_clock_ns when the client's request reached the server; 0: when it is submitted */
    void *user;                   /* the api's */
} sl_request_spec;

/* Do a prompt of so many tokens and so many more fit into a context? SL_TOO_LONG, with both numbers, if not. Any thread. */
sl_status sl_context_fits(int ctx, size_t prompt, int64_t max_tokens, sl_error *e);

/* SL_TOO_LONG: a prompt and what it asks for can never fit (ctx, pages). SL_TOO_MUCH: an unstreamed answer could take more
 * memory than one request may have. SL_FULL: the other requests leave no memory for it now (counted as rejected). SL_NOMEM;
 * SL_INVALID for the rest. e->param names the field. */
sl_status sl_request_new(const sl_engine *engine, const sl_request_spec *s, sl_request **ret, sl_error *e);
void sl_request_free(sl_request *r); /* loop; NEW or OVER; NULL is fine */

void *sl_request_user(const sl_request *r);

typedef enum sl_event_kind {
    SL_EVENT_PROMPT_TOKEN, /* a prompt token with its log probability (echo) */
    SL_EVENT_TOKEN,        /* a generated token; text may be empty (held back) and may belong to earlier tokens too */
    SL_EVENT_FINISH,       /* the choice ended; text is what was still held back */
} sl_event_kind;

typedef struct sl_event {
    sl_event_kind kind;
    int choice;
    int32_t token;          /* -1 in SL_EVENT_FINISH */
    float logprob;
    bool has_logprob;       /* false: none was asked for, or the first prompt token */
    int top_count;
    const sl_logprob *top;  /* [top_count] */
    const char *text;       /* [text_len] UTF-8, not NUL-terminated */
    size_t text_len;
    size_t begin;           /* in SL_EVENT_TOKEN: where the token begins, in characters of the choice's generated text */
    int finish;             /* SL_FINISH_STOP, _LENGTH, _ERROR, … in SL_EVENT_FINISH; else -1 */
    int stop;               /* in SL_EVENT_FINISH: number of the stop string that matched, or -1 */
    int32_t stop_token;     /* in SL_EVENT_FINISH: the one of spec.stop_token that ended it (not eos), or -1 */
} sl_event;

/* Loop: the next event, oldest first; pointers stay valid until the next call. false: nothing more for now. */
bool sl_request_next(sl_request *r, sl_event *ret);

/* Loop: ends the request within one step; `why` gives its finish. Only the first call counts. */
typedef enum sl_cancel { SL_CANCEL_CLIENT = 1, SL_CANCEL_TIMEOUT, SL_CANCEL_SHUTDOWN } sl_cancel;
void sl_request_cancel(sl_request *r, sl_cancel why);

/* Loop: the engine is through with it and no further event will come; it may be freed. Only true after the entry that says
 * so was taken from the ready list. */
bool sl_request_over(const sl_request *r);

/* How it ended: SL_FINISH_STOP or SL_FINISH_LENGTH if all choices did (length if any), else the failure. -1 until it is over:
 * the engine may still write it. */
int sl_request_finish(const sl_request *r);
/* The message when it failed (SL_FINISH_ERROR) and is over, else "". */
const char *sl_request_failure(const sl_request *r);

/* Numbers for the log line. generated_tokens only once over; the others as soon as they are known. */
typedef struct sl_usage {
    int64_t prompt_tokens, generated_tokens; /* prompt counted once a prompt, not once a choice */
    int64_t cached_tokens; /* of prompt_tokens: reused, not computed; final with the first token of every choice */
    int64_t differs_at;    /* token of the first prompt at which it goes on otherwise than what was known, though it begins as that
                            * does; -1: nothing known does, or it was known until there was no more to know */
    /* From the spec's `arrived` to the first step, the first token, the end: reading the request's body and tokenising its
     * prompt are in all three. 0 while unknown. */
    double queue_seconds, first_token_seconds, total_seconds;
} sl_usage;
sl_usage sl_request_usage(const sl_request *r);

#endif

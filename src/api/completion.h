/* completion.h: what the files of /v1/completions share: prompt.c reads, logprobs.c and completions.c write.
 * prompt.c: loop or text thread; the others: loop. */
#ifndef SL_API_COMPLETION_H
#define SL_API_COMPLETION_H

#include "api/answer.h"

extern const sl__reader sl__completion_reader;
extern const sl__writer sl__completion_writer;

/* A choice's buffers: the generated text, the insides of the four parallel arrays of log probabilities, and of token_ids. */
enum { SL__TEXT, SL__TOKENS, SL__LOGPROBS, SL__TOPS, SL__OFFSETS, SL__IDS };

/* Where the next token of an echoed prompt begins in its text; one a choice. */
typedef struct sl__place {
    size_t token;      /* tokens before it */
    size_t byte;       /* in the text as it was sent */
    size_t character;  /* that begin before that byte */
    sl_detokenizer detokenizer; /* instead, when the prompt was sent as tokens */
} sl__place;

void sl__logprobs_collect(sl__answer *a, const sl_event *ev); /* the event's token at the end of its choice's four arrays */

#endif

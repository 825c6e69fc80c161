/* completion.h: one /v1/completions request from body to last byte.
 * Loop thread, save between sl__text_submit and `back`, when the text thread has it.
 *
 * Life: born in sl__completions_post; freed when http is through with the exchange (x NULL), the text thread gave it back
 * (!in_text) and the engine let go of its request (NULL or over). */
#ifndef SL_API_COMPLETION_H
#define SL_API_COMPLETION_H

#include "api/fields.h"
#include "api/internal.h"

/* Where the next token of an echoed prompt begins in its text. */
typedef struct sl__place {
    size_t token;      /* tokens before it */
    size_t byte;       /* in the text as it was sent */
    size_t character;  /* that begin before that byte */
    sl_detokenizer detokenizer; /* instead, when the prompt was sent as tokens */
} sl__place;

/* What is collected of one choice: all of it for a plain answer, one event's worth for a streamed one. */
typedef struct sl__choice {
    sl_buffer text;
    sl_buffer tokens, logprobs, tops, offsets; /* insides of the four parallel JSON arrays */
    sl_buffer ids;                             /* inside of token_ids */
    sl__place place;                           /* of the next prompt token in the echoed prompt */
    size_t prompt_characters;                  /* of the echoed prompt; 0 without echo */
    bool begun;                                /* the echoed prompt was taken */
    bool sent_first;                           /* a chunk of this choice was written */
    bool fresh;                                /* collected something that was not written yet */
    bool ended;
    int finish, stop;
    int32_t stop_token;
} sl__choice;

struct sl__completion {
    sl__job job; /* first: the job is the completion */
    sl_api *api;
    sl_http_exchange *x; /* NULL: http is through with it */
    sl__completion *next, *prev;
    char id[160];
    uint64_t arrived; /* sl_clock_ns */
    int64_t created;  /* seconds since the epoch */
    uint64_t sent;    /* when the stream last got something */
    sl_arena *arena;
    char *body;
    size_t body_len;
    sl_json doc; /* until the prompts are tokenised */
    sl__fields fields;
    sl_status status; /* of parsing and tokenising */
    sl_error error;
    int prompts, choices;
    const char **prompt_text; /* [prompts]; entry NULL: given as tokens. Points into doc, later (echo only) into the arena */
    size_t *prompt_text_len;
    sl_ids *prompt; /* [prompts] */
    size_t text_bytes; /* of all prompt texts */
    bool in_text, answered, gone, timed_out, ping_due;
    bool broken; /* a choice ended by an error */
    sl_request *request;
    sl__choice *choice; /* [choices] */
    int ended;
    sl_buffer piece, key; /* scratch of logprobs.c */
    int64_t prompt_tokens, generated;
    int http_status;
};

/* prompt.c: body → fields and prompts; prompts → ids. Either thread; fill status and error. */
void sl__completion_parse(sl__completion *c);
void sl__completion_tokenize(sl__completion *c); /* also lets go of the document: it may be many times the body */

sl_usage sl__completion_usage(const sl__completion *c); /* completions.c; zeros before it was accepted */

/* logprobs.c: the event's token at the end of its choice's four parallel arrays. */
void sl__logprobs_collect(sl__completion *c, sl__choice *ch, int prompt, const sl_event *ev);

/* answer.c: events → JSON. */
void sl__answer_collect(sl__completion *c, const sl_event *ev);   /* adds the event to its choice */
void sl__answer_chunk(sl__completion *c, int choice, sl_buffer *out); /* one streamed event with what was collected; clears it */
void sl__answer_usage_chunk(sl__completion *c, sl_buffer *out);
void sl__answer_error_chunk(int status, const char *message, sl_buffer *out);
void sl__answer_whole(sl__completion *c, sl_buffer *out);
void sl__answer_done(sl__completion *c);

#endif

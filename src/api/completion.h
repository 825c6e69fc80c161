/* completion.h: one /v1/completions request from body to last byte.
 * Loop thread, save between sl__text_submit and `back`, when the text thread has it.
 *
 * Life: born in sl__completions_post; freed when its exchange is over (x NULL), the text thread gave it back (!in_text), its
 * request is over (or there is none) and no events wait to be read (!unread). */
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

/* One prompt of the request. */
typedef struct sl__prompt {
    char *text;        /* owned: as it was sent, or (echo only) what the tokens give; NULL when no longer needed */
    size_t len;
    size_t characters; /* of the text; counted for echo only */
    bool tokens;       /* it was sent as tokens */
    sl_ids ids;
} sl__prompt;

/* What is collected of one choice: all of it for a plain answer, one event's worth for a streamed one. */
typedef struct sl__choice {
    sl_buffer text;                            /* generated */
    sl_buffer tokens, logprobs, tops, offsets; /* insides of the four parallel JSON arrays */
    sl_buffer ids;                             /* inside of token_ids */
    sl__place place;                           /* of the next prompt token in the echoed prompt */
    bool sent_first;                           /* a chunk of this choice was written, the echoed prompt with it */
    bool ended;
    int finish, stop;
    int32_t stop_token;
} sl__choice;

/* A place in a whole answer's JSON. */
typedef struct sl__writing {
    bool begun;
    int choice, part; /* of the choice: see answer.c */
    size_t at;        /* in the part */
} sl__writing;

struct sl__completion {
    sl__job job; /* first: the job is the completion */
    sl_api *api;
    sl_http_exchange *x; /* NULL: over */
    sl__completion *next, *prev;
    char id[160];
    uint64_t arrived; /* sl_clock_ns */
    int64_t created;  /* seconds since the epoch */
    uint64_t sent;    /* when the stream last got something */
    uint64_t over;    /* when its exchange was; 0: it is not, or was answered at once */
    sl_arena *arena;
    char *body;
    size_t body_len;
    sl__fields fields;
    sl_status status; /* of parsing and tokenising */
    sl_error error;
    int prompts, choices;
    sl__prompt *prompt; /* [prompts] */
    size_t text_bytes;  /* of all prompt texts */
    size_t held;        /* bytes of it that count in the api's answer_bytes */
    bool in_text, answered, gone, timed_out, ping_due;
    bool broken; /* a choice ended by an error */
    sl_request *request;
    sl__choice *choice; /* [choices] */
    int ended;
    sl__completion *next_unread;
    bool unread;         /* is on that list */
    sl__writing writing; /* where a whole answer that is sent piece by piece stands */
    sl_buffer piece, key; /* scratch of logprobs.c */
    int64_t prompt_tokens, generated;
    int http_status;
};

/* prompt.c: body → fields and prompts; prompts → ids. Either thread; fill status and error. */
void sl__completion_parse(sl__completion *c); /* frees the body; no document is left, which may be many times the body */
void sl__completion_tokenize(sl__completion *c, bool (*pause)(void *), void *arg); /* pause: see sl_tokenizer_encode_pausing */
void sl__completion_drop_prompts(sl__completion *c, bool all); /* those that the answer does not show, or all */
size_t sl__completion_prompt_bytes(const sl__completion *c);

/* logprobs.c: the event's token at the end of its choice's four parallel arrays. */
void sl__logprobs_collect(sl__completion *c, sl__choice *ch, const sl_event *ev);

/* answer.c: events → JSON. */
sl_usage sl__answer_usage(const sl__completion *c);               /* zeros before it was accepted */
size_t sl__answer_bytes(const sl__choice *ch);                    /* memory that is collected */
void sl__answer_collect(sl__completion *c, const sl_event *ev);   /* adds the event to its choice */
void sl__answer_chunk(sl__completion *c, int choice, sl_buffer *out); /* one streamed event with what was collected; clears it */
void sl__answer_usage_chunk(sl__completion *c, sl_buffer *out);
void sl__answer_error_chunk(int status, const char *message, sl_buffer *out);
bool sl__answer_failed(const sl__completion *c);                  /* memory ran out while collecting */
size_t sl__answer_size(const sl__completion *c);                  /* bytes of the whole answer, roughly */
/* The whole answer, when every choice has ended: appends some 16 KiB; false: that was all. What was written is freed. */
bool sl__answer_more(sl__completion *c, sl_buffer *out);
void sl__answer_free(sl__completion *c);

#endif

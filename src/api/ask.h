/* ask.h: what a client asks the engine for: a body becomes fields and prompts, prompts become token ids.
 * Loop or text thread, one at a time: whoever has what is served. Server and reader are const.
 *
 * An endpoint's reader says what its bodies look like; the rest (limits, the model's name, the context) is the same for all. */
#ifndef SL_API_ASK_H
#define SL_API_ASK_H

#include "api/fields.h"
#include "api/internal.h"

/* One prompt. */
typedef struct sl__prompt {
    char *text;        /* owned: as it was sent, or (echo only) what the tokens give; NULL when no longer needed */
    size_t len;
    size_t characters; /* of the text; counted for echo only */
    bool tokens;       /* it was sent as tokens */
    sl_ids ids;
} sl__prompt;

typedef struct sl__ask sl__ask;

typedef struct sl__reader {
    sl__endpoint endpoint;
    size_t inline_body; /* bytes of a body that the loop reads itself; larger ones are the text thread's */
    const char *field;  /* at fault when a prompt does not fit */
    int64_t most;       /* tokens to generate where the client does not say; 0: what the context leaves */
    /* After the fields were read: takes the prompts from the body, with sl__ask_room. */
    sl_status (*read)(sl__ask *q, const sl_json *body, sl_error *e);
    sl_status (*encode)(sl__ask *q, sl__prompt *p, sl_error *e); /* a prompt's ids, with sl__ask_encode */
} sl__reader;

struct sl__ask {
    const sl_api *api;
    const sl__reader *reader;
    sl_arena *arena;   /* owned, with all that is read */
    char *body;        /* owned; NULL once it was read */
    size_t body_len;
    bool (*pause)(void *); /* for long work, see sl_tokenizer_encode_pausing; NULL: on the loop */
    void *pause_arg;
    sl__fields fields;
    bool open_ended;       /* the client did not say how many tokens at most, nor does the endpoint */
    void *own;             /* the reader's, in the arena */
    sl_status status;  /* of reading and tokenising */
    sl_error error;
    int prompts, choices;
    sl__prompt *prompt; /* [prompts] */
    size_t text_bytes;  /* of all prompts' texts */
    int64_t prompt_tokens;
};

/* Takes the body. SL_NOMEM: it was freed. */
sl_status sl__ask_begin(sl__ask *q, const sl_api *a, const sl__reader *reader, char *body, size_t len);
void sl__ask_done(sl__ask *q);

/* Both fill status and error. */
void sl__ask_read(sl__ask *q); /* frees the body; no document is left, which may be many times the body */
void sl__ask_tokenize(sl__ask *q);

/* Prompts times n: SL_INVALID if that is more than a request may have. */
sl_status sl__ask_room(sl__ask *q, size_t prompts, sl_error *e);

/* The ids of a prompt's text, unless that can be seen to be too long. parts: of the text, see sl_tokenizer_encode_parts; NULL: all
 * of it is markup. */
sl_status sl__ask_encode(sl__ask *q, sl__prompt *p, const sl_text_part *part, size_t parts, sl_error *e);

void sl__ask_drop(sl__ask *q, bool all); /* frees the prompts that the answer does not show, or all */
size_t sl__ask_bytes(const sl__ask *q);  /* that prompts take */

#endif

/* chat.h: the model's chat template as conversations use it: what it understands, found out by trying it once, and messages rendered
 * by it.
 * sl_chat_open: any one thread, when the model is there; const afterwards, so that rendering is any thread's. */
#ifndef SL_CHAT_CHAT_H
#define SL_CHAT_CHAT_H

#include "chat/messages.h"
#include "chat/think.h"
#include "template/template.h"
#include "text/tokenizer.h"

typedef struct sl_chat {
    const sl_template *template; /* NULL: the model has none */
    json_t *variables;           /* owned: an object of what the template is given beside messages, as bos_token */
    sl_understands understands;
    const sl_marks *marks;      /* around what it lets the model think; NULL: it does not speak of thinking */
    int open_token, close_token; /* marks that are special tokens, which have no text in an answer; -1: they are text */
    sl_channels channels;        /* in which it thinks and says; then there are no marks */
    int32_t end[2]; /* [ends] tokens that end an answer though the model's files do not say so */
    int ends;
    const char *why;             /* there is a template that cannot be used; "" otherwise */
    char warning[600];           /* what does not work, for the log; "" if nothing */
} sl_chat;

/* template may be NULL: there is none, or it cannot be used, and `why` says why. variables: an object of texts, as bos_token, or
 * NULL: those that the tokenizer knows; borrowed. */
sl_status sl_chat_open(sl_chat *c, const sl_template *t, const char *why, const json_t *variables, const sl_tokenizer *tokenizer,
                        sl_error *e);
void sl_chat_done(sl_chat *c);

bool sl_chat_ends(const sl_chat *c, int token); /* one of those? */
/* Does the token divide an answer's text into what is thought and what is said? */
bool sl_chat_divides(const sl_chat *c, int token);
/* An answer's text, and the dividing token behind it (any other: none), are split into what is thought and what is said. */
void sl_chat_hear(const sl_chat *c, sl_think *t, const char *text, size_t len, int token, sl_buffer *thought, sl_buffer *said);

typedef struct sl_rendered {
    sl_template_text text; /* sl_template_text_done */
    bool thinking;         /* the answer goes on with thinking that the prompt opened */
} sl_rendered;

/* The prompt of a request's body, whose document it changes: "messages", "add_generation_prompt", "continue_final_message",
 * "chat_template_kwargs", "reasoning_effort". Names in chat_template_kwargs that the template does not read are given
 * to ignore, or errors if strict. memory: see sl_messages_ready; rendering: bytes that the rendering may take, its text among them,
 * 0: the interpreter's default. */
typedef struct sl_chat_request {
    const sl_chat *chat;
    void (*ignore)(void *arg, const char *name); /* "chat_template_kwargs.x"; NULL: nobody wants to know */
    void *ignore_arg;
    bool strict;
    uint64_t memory;
    size_t rendering;
    bool (*pause)(void *); /* NULL: none; see sl_template_input */
    void *arg;
} sl_chat_request;
sl_status sl_chat_render(const sl_chat_request *r, const sl_json *body, sl_rendered *ret, sl_error *e);

/* The text's segments as the tokenizer takes them, into ret [r->text.segments]: markup is markup, content is content (Promise 6). */
void sl_rendered_parts(const sl_rendered *r, sl_text_part *ret);

#endif

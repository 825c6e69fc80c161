/* chat_template.h: the model's chat template as the API uses it: what it understands, found out by trying it once, and a request's
 * messages rendered by it.
 * sl__chat_open: loop thread, when the model is there; const afterwards, so that rendering is any thread's. */
#ifndef SL_API_CHAT_TEMPLATE_H
#define SL_API_CHAT_TEMPLATE_H

#include "api/fields.h"
#include "api/messages.h"
#include "api/think.h"
#include "template/template.h"
#include "text/tokenizer.h"

typedef struct sl__chat {
    const sl_template *template; /* NULL: the model has none */
    json_t *variables;           /* owned: an object of what the template is given beside messages, as bos_token */
    sl__understands understands;
    const sl__marks *marks;      /* around what it lets the model think; NULL: it does not speak of thinking */
    int open_token, close_token; /* marks that are special tokens, which have no text in an answer; -1: they are text */
    int end_of_turn;             /* a token that ends an answer though the model's files do not say so; -1: none */
    const char *why;             /* there is a template that cannot be used; "" otherwise */
    char warning[600];           /* what does not work, for the log; "" if nothing */
} sl__chat;

/* template may be NULL: there is none, or it cannot be used, see sl_api_config. variables: an object of texts, as bos_token, or NULL: those that the tokenizer knows; borrowed. */
sl_status sl__chat_open(sl__chat *c, const sl_template *t, const char *why, const json_t *variables, const sl_tokenizer *tokenizer,
                        sl_error *e);
void sl__chat_done(sl__chat *c);

typedef struct sl__rendered {
    sl_template_text text; /* sl_template_text_done */
    bool thinking;         /* the answer goes on with thinking that the prompt opened */
} sl__rendered;

/* The prompt of a request's body, whose document it changes: "messages", "add_generation_prompt", "continue_final_message",
 * "chat_template_kwargs", "reasoning_effort". Names in chat_template_kwargs that the template does not read are listed in
 * f->ignored, or errors if strict. memory: see sl__messages_ready. */
typedef struct sl__render {
    const sl__chat *chat;
    sl__fields *fields;
    bool strict;
    uint64_t memory;
    bool (*pause)(void *); /* NULL: none; see sl_template_input */
    void *arg;
} sl__render;
sl_status sl__chat_render(const sl__render *r, const sl_json *body, sl__rendered *ret, sl_error *e);

void sl__rendered_parts(const sl__rendered *r, sl_text_part *ret); /* [r->text.segments]: its text as the tokenizer takes it */

#endif

/* chat_conversation.h: what was said so far, and the prompt that the model's chat template makes of it.
 * The main thread; knows no terminal and no engine. */
#ifndef SL_CLI_CHAT_CONVERSATION_H
#define SL_CLI_CHAT_CONVERSATION_H

#include "chat/chat.h"
#include "text/tokenizer.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct sl_conversation {
    const sl_chat *chat; /* has a template */
    const sl_tokenizer *tokenizer;
    json_t *messages; /* an array, without the system message */
    json_t *system;   /* a text; NULL: none */
    json_t *kwargs;   /* chat_template_kwargs, by which thinking is switched; NULL: none */
    char thinks[24];  /* the word that it was switched by; "": as the template has it */
} sl_conversation;

sl_status sl_conversation_init(sl_conversation *c, const sl_chat *chat, const sl_tokenizer *tokenizer, sl_error *e);
void sl_conversation_done(sl_conversation *c); /* zero-initialised is fine */

/* A message of the user. Bytes that are no UTF-8 become U+FFFD. */
sl_status sl_conversation_ask(sl_conversation *c, const char *text, size_t len, sl_error *e);
/* The model's; what it thought may be empty. */
sl_status sl_conversation_answer(sl_conversation *c, const sl_buffer *said, const sl_buffer *thought, sl_error *e);
/* Takes the last message away. */
void sl_conversation_drop(sl_conversation *c);
bool sl_conversation_answered(const sl_conversation *c); /* is the last message the model's? */
void sl_conversation_reset(sl_conversation *c);          /* the system message stays */

/* From the next prompt on; len 0: none. SL_INVALID: the template takes no system message, says the message; then all is as it was. */
sl_status sl_conversation_system(sl_conversation *c, const char *text, size_t len, sl_error *e);

/* Switches thinking from the next prompt on, where the template reads a variable for it; "default": as the template has it.
 * SL_MISUSE: it has no such switch, or not this word; then all is as it was. */
sl_status sl_conversation_think(sl_conversation *c, const char *word, sl_error *e);
const char *sl_conversation_thinks(const sl_conversation *c);
/* Appends the words that it has: "on, off, default"; nothing where there is no switch. */
void sl_conversation_think_words(const sl_conversation *c, sl_buffer *out);

/* The prompt's ids, appended to *ids, for the model to go on with its answer. *ret_thinking: the prompt opened the answer's thinking.
 * SL_INVALID: the template refuses these messages, and says why. */
sl_status sl_conversation_prompt(const sl_conversation *c, sl_ids *ids, bool *ret_thinking, sl_error *e);

#endif

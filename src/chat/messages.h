/* messages.h: the messages of a conversation, checked and made what chat templates expect.
 * Any thread; pure. The document is its caller's. */
#ifndef SL_CHAT_MESSAGES_H
#define SL_CHAT_MESSAGES_H

#include "base/json.h"

/* What a template understands. */
typedef struct sl_understands {
    bool parts;     /* a content that is a list of parts; otherwise they are joined by newlines, as vLLM does */
    bool developer; /* the role; otherwise it is "system" */
} sl_understands;

/* Changes the list in the document that `body` points into: a content is a text (or parts of text), null is "", the arguments of
 * tool calls, which clients send as text, are values. memory: bytes that these values may take. Other members stay as they are.
 * Errors name the place ("messages[1].content[0].type: …"). */
sl_status sl_messages_ready(const sl_json *messages, const sl_understands *u, uint64_t memory, sl_error *e);

/* Appends to the text of the last message, which must be an assistant's; SL_INVALID if it is not or has none. */
sl_status sl_messages_append(const sl_json *messages, const char *tail, sl_error *e);

#endif

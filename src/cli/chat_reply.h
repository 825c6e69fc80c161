/* chat_reply.h: what the model answers, token by token: its text, what of it is thought and what is said, and all that is needed to
 * let it go on where it was cut.
 * The main thread; no terminal and no engine. */
#ifndef SL_CLI_CHAT_REPLY_H
#define SL_CLI_CHAT_REPLY_H

#include "chat/chat.h"
#include "text/tokenizer.h"

#include <stdbool.h>

typedef struct sl_reply {
    const sl_chat *chat; /* has a template */
    const sl_tokenizer *tokenizer;
    sl_ids ids;              /* the prompt's, and behind them those of the answer so far: it goes on from there */
    sl_buffer said, thought; /* UTF-8; what may still turn out to be a mark or half a character is in neither */
    sl_think think;
    sl_detokenizer detokenizer;
} sl_reply;

/* Empty, with nothing to go on from. Zero-initialised is fine before, and keeps its memory afterwards. */
void sl_reply_begin(sl_reply *r, const sl_chat *chat, const sl_tokenizer *tokenizer);
void sl_reply_done(sl_reply *r);

/* Its prompt is in ids. thinking: that opened the answer's thinking. */
void sl_reply_prompted(sl_reply *r, bool thinking);

/* Another token. false: out of memory. */
bool sl_reply_take(sl_reply *r, int32_t token);

/* It is whole: what was held back is text, and there is nothing to go on from. */
void sl_reply_end(sl_reply *r);

/* Was it cut, so that it can go on? */
static inline bool sl_reply_goes_on(const sl_reply *r) { return r->ids.count > 0; }

#endif

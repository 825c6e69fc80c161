#include "cli/chat_reply.h"

#include "base/alloc.h"

void sl_reply_begin(sl_reply *r, const sl_chat *chat, const sl_tokenizer *tokenizer) {
    r->chat = chat;
    r->tokenizer = tokenizer;
    r->ids.count = 0;
    sl_buffer_clear(&r->said);
    sl_buffer_clear(&r->thought);
    r->think = (sl_think){0};
    r->detokenizer = (sl_detokenizer){.started = true}; /* behind the prompt's text */
}

void sl_reply_done(sl_reply *r) {
    sl_free(r->ids.id);
    sl_buffer_done(&r->said);
    sl_buffer_done(&r->thought);
    *r = (sl_reply){0};
}

void sl_reply_prompted(sl_reply *r, bool thinking) {
    if (thinking) r->think.stage = SL_THINK_BEGUN;
}

static void add(sl_reply *r, const sl_buffer *text, int token) {
    sl_chat_hear(r->chat, &r->think, text->data ? text->data : "", text->len, token, &r->thought, &r->said);
}

bool sl_reply_take(sl_reply *r, int32_t token) {
    sl_buffer text = {0};
    if (!sl_ids_add(&r->ids, token)) return false;
    if (sl_tokenizer_ends(r->tokenizer, token) || sl_chat_ends(r->chat, token)) return true; /* its spelling is no text of the answer */
    sl_detokenize(r->tokenizer, &r->detokenizer, token, true, &text);
    add(r, &text, token);
    bool failed = text.failed || r->said.failed || r->thought.failed;
    sl_buffer_done(&text);
    return !failed;
}

void sl_reply_end(sl_reply *r) {
    sl_buffer text = {0};
    sl_detokenize_end(&r->detokenizer, &text);
    add(r, &text, -1);
    sl_think_end(&r->think, &r->thought, &r->said);
    sl_buffer_done(&text);
    r->ids.count = 0;
}

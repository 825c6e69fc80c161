#include "cli/chat_conversation.h"

#include "base/alloc.h"

#include <string.h>

static sl_status no_memory(sl_error *e) { return sl_fail(e, SL_NOMEM, "out of memory for the conversation"); }

sl_status sl_conversation_init(sl_conversation *c, const sl_chat *chat, const sl_tokenizer *tokenizer, sl_error *e) {
    *c = (sl_conversation){.chat = chat, .tokenizer = tokenizer, .messages = json_array()};
    return c->messages ? SL_OK : no_memory(e);
}

void sl_conversation_done(sl_conversation *c) {
    json_decref(c->messages);
    json_decref(c->system);
    *c = (sl_conversation){0};
}

static json_t *text_of(const char *text, size_t len) {
    sl_buffer clean = {0};
    sl_buffer_utf8(&clean, text, len);
    json_t *made = clean.failed ? NULL : json_stringn(clean.data ? clean.data : "", clean.len);
    sl_buffer_done(&clean);
    return made;
}

/* Takes text; NULL is "no memory". */
static json_t *message(const char *role, json_t *text) { return text ? json_pack("{s:s,s:o}", "role", role, "content", text) : NULL; }

sl_status sl_conversation_ask(sl_conversation *c, const char *text, size_t len, sl_error *e) {
    return json_array_append_new(c->messages, message("user", text_of(text, len))) ? no_memory(e) : SL_OK;
}

sl_status sl_conversation_answer(sl_conversation *c, const sl_buffer *said, const sl_buffer *thought, sl_error *e) {
    json_t *made = message("assistant", text_of(said->data ? said->data : "", said->len));
    if (made && thought->len && json_object_set_new(made, "reasoning_content", text_of(thought->data, thought->len))) {
        json_decref(made);
        made = NULL;
    }
    return json_array_append_new(c->messages, made) ? no_memory(e) : SL_OK;
}

void sl_conversation_drop(sl_conversation *c) {
    size_t count = json_array_size(c->messages);
    if (count) json_array_remove(c->messages, count - 1);
}

bool sl_conversation_answered(const sl_conversation *c) {
    size_t count = json_array_size(c->messages);
    return count && !strcmp(json_string_value(json_object_get(json_array_get(c->messages, count - 1), "role")), "assistant");
}

void sl_conversation_reset(sl_conversation *c) { json_array_clear(c->messages); }

static sl_status render(const sl_conversation *c, json_t *system, json_t *messages, sl_rendered *ret, sl_error *e) {
    json_t *all = json_array(), *body = all ? json_pack("{s:o}", "messages", all) : NULL;
    bool failed = !body || (system && json_array_append_new(all, message("system", json_incref(system)))) || json_array_extend(all, messages);
    const sl_json top = {.v = body, .origin = ""};
    sl_status st = failed ? no_memory(e) : sl_chat_render(&(sl_chat_request){.chat = c->chat}, &top, ret, e);
    json_decref(body);
    return st;
}

/* The template is asked with one message of the user, so that a refusal is about this one. */
sl_status sl_conversation_system(sl_conversation *c, const char *text, size_t len, sl_error *e) {
    json_t *system = len ? text_of(text, len) : NULL, *question = json_array();
    sl_rendered r = {0};
    sl_status st = (len && !system) || !question || json_array_append_new(question, message("user", json_string("?"))) ? no_memory(e) : SL_OK;
    if (!st && system) st = render(c, system, question, &r, e);
    sl_template_text_done(&r.text);
    json_decref(question);
    if (st) {
        json_decref(system);
        return st;
    }
    json_decref(c->system);
    c->system = system;
    return SL_OK;
}

sl_status sl_conversation_prompt(const sl_conversation *c, sl_ids *ids, bool *ret_thinking, sl_error *e) {
    sl_rendered r = {0};
    sl_status st = render(c, c->system, c->messages, &r, e);
    if (st) return st;
    sl_text_part *part = sl_realloc(NULL, r.text.segments + 1, sizeof *part);
    if (part) sl_rendered_parts(&r, part);
    st = part ? sl_tokenizer_encode_parts(c->tokenizer, r.text.text, part, r.text.segments, false, r.text.len + 16, NULL, NULL, ids, e)
              : no_memory(e);
    if (!st && !ids->count) st = sl_fail(e, SL_INVALID, "the chat template makes an empty prompt of the conversation");
    if (!st) *ret_thinking = r.thinking;
    sl_free(part);
    sl_template_text_done(&r.text);
    return st;
}

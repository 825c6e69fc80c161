#include "cli/chat_conversation.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

static sl_status no_memory(sl_error *e) { return sl_fail(e, SL_NOMEM, "out of memory for the conversation"); }

sl_status sl_conversation_init(sl_conversation *c, const sl_chat *chat, const sl_tokenizer *tokenizer, sl_error *e) {
    *c = (sl_conversation){.chat = chat, .tokenizer = tokenizer, .messages = json_array()};
    return c->messages ? SL_OK : no_memory(e);
}

void sl_conversation_done(sl_conversation *c) {
    json_decref(c->messages);
    json_decref(c->system);
    json_decref(c->kwargs);
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
    bool failed = !body || (system && json_array_append_new(all, message("system", json_incref(system)))) || json_array_extend(all, messages) ||
                  (c->kwargs && json_object_set(body, "chat_template_kwargs", c->kwargs));
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

/* By what templates switch it. Some read two of these variables. */
static const struct {
    const char *word, *variable;
    int value; /* 0, 1; WORD: the word as a text */
} switches[] = {
#define WORD 2
    {"on", "enable_thinking", 1},      {"off", "enable_thinking", 0},        {"on", "thinking", 1},           {"off", "thinking", 0},
    {"low", "reasoning_effort", WORD}, {"medium", "reasoning_effort", WORD}, {"high", "reasoning_effort", WORD},
};
enum { SWITCHES = sizeof switches / sizeof *switches };

static bool has(const sl_conversation *c, int i) { return sl_template_reads(c->chat->template, switches[i].variable); }

void sl_conversation_think_words(const sl_conversation *c, sl_buffer *out) {
    bool some = false;
    for (int i = 0; i < SWITCHES; i++) {
        bool said = !has(c, i);
        for (int k = 0; k < i && !said; k++) said = has(c, k) && !strcmp(switches[k].word, switches[i].word);
        if (!said) sl_buffer_printf(out, "%s, ", switches[i].word);
        some = some || !said;
    }
    if (some) sl_buffer_puts(out, "default");
}

const char *sl_conversation_thinks(const sl_conversation *c) { return c->thinks[0] ? c->thinks : "default"; }

sl_status sl_conversation_think(sl_conversation *c, const char *word, sl_error *e) {
    bool reset = !strcmp(word, "default"), failed = false;
    json_t *made = json_object();
    for (int i = 0; i < SWITCHES && made && !reset; i++) {
        if (strcmp(switches[i].word, word) != 0 || !has(c, i)) continue;
        json_t *value = switches[i].value == WORD ? json_string(word) : json_boolean(switches[i].value);
        failed = json_object_set_new(made, switches[i].variable, value) || failed;
    }
    sl_status st = !made || failed ? no_memory(e) : SL_OK;
    if (!st && !reset && !json_object_size(made)) {
        sl_buffer words = {0};
        sl_conversation_think_words(c, &words);
        st = words.len ? sl_fail(e, SL_MISUSE, "there is no \"%.20s\" for thinking; there is %s", word, sl_buffer_text(&words))
                       : sl_fail(e, SL_MISUSE, "this model's chat template has no switch for thinking");
        sl_buffer_done(&words);
    }
    if (st || reset) {
        json_decref(made);
        made = NULL;
    }
    if (st) return st;
    json_decref(c->kwargs);
    c->kwargs = made;
    snprintf(c->thinks, sizeof c->thinks, "%s", reset ? "" : word);
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

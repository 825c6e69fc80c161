#include "chat/chat.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

#define MOST_VARIABLES 64

typedef struct given {
    sl_template_variable v[MOST_VARIABLES];
    size_t count;
} given;

static bool give(given *vs, const char *name, const json_t *value, sl_template_origin origin) {
    if (vs->count == MOST_VARIABLES) return false;
    vs->v[vs->count++] = (sl_template_variable){name, value, origin};
    return true;
}

static bool give_usual(given *vs, const sl_chat *c, const json_t *messages, bool generate) {
    const char *name;
    json_t *value;
    bool room = give(vs, "messages", messages, SL_TEMPLATE_MESSAGES) && give(vs, "tools", NULL, SL_TEMPLATE_MARKUP) &&
                give(vs, "documents", NULL, SL_TEMPLATE_MARKUP) &&
                give(vs, "add_generation_prompt", generate ? json_true() : json_false(), SL_TEMPLATE_MARKUP);
    json_object_foreach(c->variables, name, value) room = room && give(vs, name, value, SL_TEMPLATE_MARKUP);
    return room;
}

/* --- what the template understands --- */

/* The tokenizer's own, where the model's files name none. */
static json_t *own_variables(const sl_tokenizer *t) {
    static const char *const names[] = {"bos_token", "eos_token"};
    const int ids[] = {sl_tokenizer_bos(t), sl_tokenizer_eos(t)};
    json_t *made = json_object();
    for (int i = 0; made && i < 2; i++) {
        sl_buffer piece = {0};
        if (ids[i] < 0) continue;
        sl_tokenizer_piece(t, ids[i], &piece);
        bool failed = piece.failed || json_object_set_new(made, names[i], json_stringn(piece.data ? piece.data : "", piece.len));
        sl_buffer_done(&piece);
        if (!failed) continue;
        json_decref(made);
        return NULL;
    }
    return made;
}

#define QUESTION "sluice-question"
#define ANSWER "sluice-answer"

/* Renders a conversation of ours; takes the messages. */
static bool attempt(const sl_chat *c, json_t *messages, bool generate, sl_template_text *ret, sl_error *e) {
    given vs = {.count = 0};
    sl_status st = messages && give_usual(&vs, c, messages, generate) ? SL_OK : sl_fail(e, SL_NOMEM, "out of memory");
    if (!st) st = sl_template_render(c->template, &(sl_template_input){.variable = vs.v, .variables = vs.count}, ret, e);
    if (messages) json_decref(messages);
    return st == SL_OK;
}

/* Where content has this text; NULL: nowhere. */
static const char *find_content(const sl_template_text *t, const char *text) {
    for (size_t i = 0; i < t->segments; i++) {
        const sl_template_segment *s = &t->segment[i];
        const char *at = s->content ? memmem(t->text + s->start, s->len, text, strlen(text)) : NULL;
        if (at) return at;
    }
    return NULL;
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static bool all_blank(const sl_buffer *b) {
    size_t i = 0;
    while (i < b->len && is_blank(b->data[i])) i++;
    return i == b->len;
}

/* The special token that comes after an answer, behind white space at most. */
static int special_after(const sl_tokenizer *t, const char *text, size_t len) {
    sl_ids ids = {0};
    sl_error e;
    int found = -1;
    if (sl_tokenizer_encode(t, text, len, SL_MARKUP, false, len + 16, &ids, &e) != SL_OK) return -1;
    for (size_t i = 0; i < ids.count && found < 0; i++) {
        sl_buffer piece = {0};
        if (sl_tokenizer_special(t, ids.id[i])) found = ids.id[i];
        else sl_tokenizer_piece(t, ids.id[i], &piece);
        bool other = !all_blank(&piece);
        sl_buffer_done(&piece);
        if (other) break;
    }
    sl_free(ids.id);
    return found;
}

static void add_end(sl_chat *c, const sl_tokenizer *t, int id) {
    if (id >= 0 && !sl_tokenizer_ends(t, id)) c->end[c->ends++] = id;
}

/* Harmony ends each of an answer's channels with <|end|>, and the answer with <|return|>, or <|call|> behind a call of a tool. */
static void find_ends(sl_chat *c, const sl_tokenizer *t) {
    sl_template_text text = {0};
    sl_error e;
    int end = -1, whole = sl_tokenizer_special_id(t, "<|return|>", 10);
    json_t *talk = json_pack("[{s:s,s:s},{s:s,s:s}]", "role", "user", "content", QUESTION, "role", "assistant", "content", ANSWER);
    if (attempt(c, talk, false, &text, &e)) {
        const char *at = find_content(&text, ANSWER);
        if (at) end = special_after(t, at + strlen(ANSWER), (size_t)(text.text + text.len - at) - strlen(ANSWER));
    }
    sl_template_text_done(&text);
    bool harmony = whole >= 0 && (end == whole || (end >= 0 && end == sl_tokenizer_special_id(t, "<|end|>", 7)));
    add_end(c, t, harmony ? whole : end);
    if (harmony) add_end(c, t, sl_tokenizer_special_id(t, "<|call|>", 8));
}

/* Does a list of parts become their texts? Templates that know none fail at it, or print it as Python prints a list. */
static bool takes_parts(const sl_chat *c) {
    sl_template_text text = {0};
    sl_error e;
    json_t *talk = json_pack("[{s:s,s:[{s:s,s:s},{s:s,s:s}]}]", "role", "user", "content", "type", "text", "text", QUESTION, "type", "text",
                             "text", ANSWER);
    bool takes = attempt(c, talk, true, &text, &e) && find_content(&text, QUESTION) && find_content(&text, ANSWER) &&
                 !memmem(text.text, text.len, "'type'", 6) && !memmem(text.text, text.len, "\"type\"", 6);
    sl_template_text_done(&text);
    return takes;
}

static void try_plainest(sl_chat *c) {
    sl_template_text text = {0};
    sl_error e;
    if (!attempt(c, json_pack("[{s:s,s:s}]", "role", "user", "content", QUESTION), true, &text, &e))
        snprintf(c->warning, sizeof c->warning, "the chat template fails at one message of a user: %s", e.message);
    else if (!find_content(&text, QUESTION))
        snprintf(c->warning, sizeof c->warning, "the chat template leaves out what a user says");
    sl_template_text_done(&text);
}

/* Has the model channels, with all their tokens? */
static bool find_channels(sl_chat *c, const sl_tokenizer *t) {
    const char *const names[] = {"<|channel|>", "<|message|>", "<|start|>", "<|end|>"};
    int id[4];
    if (!sl_template_mentions(c->template, names[0])) return false;
    for (int i = 0; i < 4; i++)
        if ((id[i] = sl_tokenizer_special_id(t, names[i], strlen(names[i]))) < 0) return false;
    c->channels = (sl_channels){true, id[0], id[1], id[2], id[3], sl_tokenizer_special_id(t, "<|constrain|>", 13)};
    return true;
}

sl_status sl_chat_open(sl_chat *c, const sl_template *t, const char *why, const json_t *names, const sl_tokenizer *tokenizer,
                        sl_error *e) {
    *c = (sl_chat){.template = t, .why = why ? why : "", .open_token = -1, .close_token = -1};
    if (c->why[0]) snprintf(c->warning, sizeof c->warning, "the model's chat template cannot be used: %s", c->why);
    if (!t) return SL_OK;
    c->variables = names ? json_copy((json_t *)(uintptr_t)names) : own_variables(tokenizer);
    if (!c->variables) return sl_fail(e, SL_NOMEM, "out of memory");
    try_plainest(c);
    c->understands = (sl_understands){.parts = takes_parts(c), .developer = sl_template_mentions(t, "developer")};
    find_ends(c, tokenizer);
    if (find_channels(c, tokenizer)) return SL_OK;
    for (const sl_marks *m = sl_known_marks; m->open && !c->marks; m++)
        if (sl_template_mentions(t, m->open) || sl_template_mentions(t, m->close)) c->marks = m;
    if (!c->marks) return SL_OK;
    c->open_token = sl_tokenizer_special_id(tokenizer, c->marks->open, strlen(c->marks->open));
    c->close_token = sl_tokenizer_special_id(tokenizer, c->marks->close, strlen(c->marks->close));
    return SL_OK;
}

void sl_chat_done(sl_chat *c) {
    if (c->variables) json_decref(c->variables);
    *c = (sl_chat){0};
}

bool sl_chat_ends(const sl_chat *c, int token) {
    for (int i = 0; i < c->ends; i++)
        if (c->end[i] == token) return true;
    return false;
}

bool sl_chat_divides(const sl_chat *c, int token) {
    const sl_channels *h = &c->channels;
    if (token < 0) return false;
    if (h->there) return token == h->channel || token == h->message || token == h->start || token == h->end || token == h->constrain;
    return token == c->open_token || token == c->close_token;
}

void sl_chat_hear(const sl_chat *c, sl_think *t, const char *text, size_t len, int token, sl_buffer *thought, sl_buffer *said) {
    if (c->channels.there) {
        sl_channels_feed(t, text, len, thought, said);
        sl_channels_token(t, &c->channels, token, thought, said);
        return;
    }
    if (!c->marks) {
        sl_buffer_append(said, text, len);
        return;
    }
    sl_think_feed(t, c->marks, text, len, thought, said);
    if (token < 0) return;
    if (token == c->open_token) sl_think_open(t, c->marks);
    else if (token == c->close_token) sl_think_close(t, thought);
}

/* --- a request --- */

/* What a client may not set: what a template is given by us, and Jinja's own names. */
static bool reserved(const sl_chat *c, const char *name) {
    static const char *const names[] = {"messages", "tools", "documents", "add_generation_prompt", "raise_exception", "strftime_now",
                                        "range", "dict", "namespace", "lipsum", "cycler", "joiner", "loop", "self", "caller", "varargs", "kwargs"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i], name)) return true;
    size_t len = strlen(name);
    return json_object_get(c->variables, name) || (len > 6 && !strcmp(name + len - 6, "_token")) || !strcmp(name, "additional_special_tokens");
}

static sl_status give_kwargs(const sl_chat_request *r, const sl_json *body, given *vs, sl_error *e) {
    sl_json kwargs, at;
    const char *name;
    json_t *value;
    if (!sl_json_get(body, "chat_template_kwargs", &kwargs)) return SL_OK;
    sl_status st = sl_json_object(&kwargs, e);
    if (st) return st;
    json_object_foreach(kwargs.v, name, value) {
        at = (sl_json){.v = value, .parent = &kwargs, .key = name, .origin = ""};
        if (reserved(r->chat, name)) return sl_json_fail(&at, e, "is not the client's to set");
        if (sl_template_reads(r->chat->template, name)) {
            if (!give(vs, name, json_is_null(value) ? NULL : value, SL_TEMPLATE_CONTENT)) return sl_json_fail(&kwargs, e, "has too many members");
        } else if (r->strict) {
            return sl_json_fail(&at, e, "is nothing that the model's chat template reads");
        } else {
            char full[100];
            snprintf(full, sizeof full, "chat_template_kwargs.%.70s", name);
            if (r->ignore) r->ignore(r->ignore_arg, full);
        }
    }
    return SL_OK;
}

static sl_status give_effort(const sl_chat_request *r, const sl_json *body, given *vs, sl_error *e) {
    static const char *const efforts[] = {"none", "minimal", "low", "medium", "high", "xhigh", "max"};
    sl_json at;
    const char *effort;
    if (!sl_json_get(body, "reasoning_effort", &at)) return SL_OK;
    sl_status st = sl_json_string(&at, &effort, NULL, e);
    if (st) return st;
    size_t i = 0, count = sizeof efforts / sizeof *efforts;
    while (i < count && strcmp(efforts[i], effort) != 0) i++;
    if (i == count) return sl_json_fail(&at, e, "must be none, minimal, low, medium, high, xhigh or max");
    for (size_t k = 0; k < vs->count; k++)
        if (!strcmp(vs->v[k].name, "reasoning_effort")) return SL_OK; /* chat_template_kwargs has it */
    if (sl_template_reads(r->chat->template, "reasoning_effort")) give(vs, "reasoning_effort", at.v, SL_TEMPLATE_CONTENT);
    return SL_OK;
}

/* Put behind the message that is to be continued, to find its end in what was rendered; the space shows whether the template
 * strips it (transformers does the same). */
#define CONTINUE "CONTINUE_FINAL_MESSAGE_TAG "

/* Ends the text, and its segments, after `len` bytes. */
static void cut(sl_template_text *t, size_t len) {
    while (t->segments && t->segment[t->segments - 1].start >= len) t->segments--;
    if (t->segments) t->segment[t->segments - 1].len = len - t->segment[t->segments - 1].start;
    t->len = len;
}

static sl_status cut_at_tag(sl_template_text *t, sl_error *e) {
    size_t tag = strlen(CONTINUE), at;
    const char *found = NULL, *next;
    for (const char *p = t->text, *end = t->text + t->len; (next = memmem(p, (size_t)(end - p), CONTINUE, tag - 1)); p = next + 1) found = next;
    if (!found)
        return sl_fail_param(e, SL_INVALID, "continue_final_message",
                             "continue_final_message: the model's chat template does not show the final message");
    at = (size_t)(found - t->text);
    if (t->len - at < tag || found[tag - 1] != ' ') /* stripped: so is what is continued */
        while (at && is_blank(t->text[at - 1])) at--;
    cut(t, at);
    return SL_OK;
}

/* The answer's place: behind the last thing that the client said, or, where an answer is continued, in that answer. */
static bool ends_thinking(const sl_chat *c, const sl_template_text *t, bool goes_on) {
    static const sl_marks analysis = {"<|channel|>analysis<|message|>", "<|end|>", NULL};
    const sl_marks *marks = c->channels.there ? &analysis : c->marks;
    bool open = false;
    if (!marks) return false;
    size_t i = t->segments; /* the last markup, and the answer's text behind it */
    while (i && t->segment[i - 1].content) i--;
    for (size_t k = i ? i - 1 : 0; k < t->segments; k++)
        if (!t->segment[k].content || goes_on) sl_think_left_open(marks, t->text + t->segment[k].start, t->segment[k].len, &open);
    return open;
}

void sl_rendered_parts(const sl_rendered *r, sl_text_part *ret) {
    for (size_t i = 0; i < r->text.segments; i++)
        ret[i] = (sl_text_part){r->text.segment[i].len, r->text.segment[i].content ? SL_CONTENT : SL_MARKUP};
}

sl_status sl_chat_render(const sl_chat_request *r, const sl_json *body, sl_rendered *ret, sl_error *e) {
    const sl_chat *c = r->chat;
    sl_json messages, at;
    given vs = {.count = 0};
    bool go_on = false, generate;
    if (!c->template && c->why[0])
        return sl_fail_param(e, SL_UNSUPPORTED, "messages",
                             "messages: the model's chat template cannot be used (%.200s); start the server with --chat-template FILE", c->why);
    if (!c->template)
        return sl_fail_param(e, SL_UNSUPPORTED, "messages",
                             "messages: this model has no chat template; use /v1/completions, or start the server with --chat-template FILE");
    if (!sl_json_get(body, "messages", &messages)) return sl_fail_param(e, SL_INVALID, "messages", "messages: is missing");
    sl_status st = sl_json_opt_bool(body, "continue_final_message", &go_on, e);
    generate = !go_on;
    if (!st) st = sl_json_opt_bool(body, "add_generation_prompt", &generate, e);
    if (!st && go_on && generate && sl_json_get(body, "continue_final_message", &at))
        st = sl_json_fail(&at, e, "cannot be true together with add_generation_prompt");
    if (!st) st = sl_messages_ready(&messages, &c->understands, r->memory, e);
    if (!st && go_on) st = sl_messages_append(&messages, CONTINUE, e);
    if (!st && !give_usual(&vs, c, messages.v, generate)) st = sl_fail(e, SL_UNSUPPORTED, "the model has too many special tokens");
    if (!st) st = give_kwargs(r, body, &vs, e);
    if (!st) st = give_effort(r, body, &vs, e);
    if (st) return st;
    sl_rendered made = {0};
    st = sl_template_render(c->template, &(sl_template_input){.variable = vs.v, .variables = vs.count, .limits.memory = r->rendering,
                                                          .pause = r->pause, .arg = r->arg},
                            &made.text, e);
    if (!st && go_on) st = cut_at_tag(&made.text, e);
    if (st) {
        sl_template_text_done(&made.text);
        if (!e->param[0]) snprintf(e->param, sizeof e->param, "messages");
        return st == SL_TOO_MUCH ? (e->code = SL_INVALID) : st; /* a conversation beyond what a template may use, no answer */
    }
    made.thinking = ends_thinking(c, &made.text, go_on);
    *ret = made;
    return SL_OK;
}

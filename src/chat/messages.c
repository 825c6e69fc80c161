#include "chat/messages.h"

#include "base/buffer.h"

#include <string.h>

#define LONGEST_ROLE 64

/* Members are replaced in place: the document is ours, and a second one of its size would have to be counted. */
static sl_status put(const sl_json *object, const char *key, json_t *value, sl_error *e) {
    if (value && !json_object_set_new(object->v, key, value)) return SL_OK;
    return sl_fail(e, SL_NOMEM, "out of memory");
}

static sl_status read_role(const sl_json *message, const sl_understands *u, sl_error *e) {
    sl_json at;
    const char *role;
    size_t len;
    if (!sl_json_get(message, "role", &at)) return sl_json_fail(message, e, "has no role");
    sl_status st = sl_json_string(&at, &role, &len, e);
    if (st) return st;
    if (len == 0 || len > LONGEST_ROLE) return sl_json_fail(&at, e, "must have 1 to %d bytes", LONGEST_ROLE);
    if (u->developer || len != 9 || memcmp(role, "developer", 9) != 0) return SL_OK;
    return put(message, "role", json_string("system"), e);
}

/* A part's text: {"type": "text", "text": …}, as the Responses API calls it ("input_text", "output_text"), or a plain string. */
static sl_status part_text(const sl_json *part, json_t **ret, sl_error *e) {
    sl_json at;
    const char *type = "text";
    if (json_is_string(part->v)) {
        *ret = part->v;
        return SL_OK;
    }
    sl_status st = sl_json_object(part, e);
    if (st) return st;
    if (sl_json_get(part, "type", &at) && (st = sl_json_string(&at, &type, NULL, e)) != SL_OK) return st;
    bool refusal = !strcmp(type, "refusal");
    if (!refusal && strcmp(type, "text") != 0 && strcmp(type, "input_text") != 0 && strcmp(type, "output_text") != 0)
        return sl_json_fail(&at, e, "\"%.40s\" is not supported: this model reads text", type);
    if (!sl_json_get(part, refusal ? "refusal" : "text", &at)) return sl_json_fail(part, e, "has no text");
    *ret = at.v;
    return sl_json_string(&at, &type, &(size_t){0}, e);
}

static sl_status join_parts(const sl_json *message, const sl_json *content, sl_error *e) {
    sl_buffer text = {0};
    sl_status st = SL_OK;
    size_t count = sl_json_size(content);
    for (size_t i = 0; i < count && !st; i++) {
        sl_json part;
        json_t *v = NULL;
        sl_json_at(content, i, &part);
        st = part_text(&part, &v, e);
        if (st) break;
        if (i) sl_buffer_append(&text, "\n", 1);
        sl_buffer_append(&text, json_string_value(v), json_string_length(v));
    }
    if (!st) st = text.failed ? sl_fail(e, SL_NOMEM, "out of memory")
                              : put(message, "content", json_stringn(text.data ? text.data : "", text.len), e);
    sl_buffer_done(&text);
    return st;
}

/* Every part as {"type": "text", "text": …}. */
static sl_status same_parts(const sl_json *content, sl_error *e) {
    size_t count = sl_json_size(content);
    for (size_t i = 0; i < count; i++) {
        sl_json part;
        json_t *v = NULL;
        sl_json_at(content, i, &part);
        sl_status st = part_text(&part, &v, e);
        if (st) return st;
        json_t *made = json_pack("{s:s,s:O}", "type", "text", "text", v);
        if (!made || json_array_set_new(content->v, i, made)) return sl_fail(e, SL_NOMEM, "out of memory");
    }
    return SL_OK;
}

/* May it have no content at all? An assistant's may be calls of tools; what a tool gave may be nothing, which some clients leave out. */
static bool may_be_empty(const sl_json *message) {
    const char *role = json_string_value(json_object_get(message->v, "role"));
    return !strcmp(role, "assistant") || !strcmp(role, "tool");
}

static sl_status ready_content(const sl_json *message, const sl_understands *u, sl_error *e) {
    sl_json at, other;
    if (!sl_json_get(message, "content", &at)) {
        if (!json_object_get(message->v, "content") && !may_be_empty(message)) return sl_json_fail(message, e, "has no content");
        bool refused = sl_json_get(message, "refusal", &other) && json_is_string(other.v);
        return put(message, "content", refused ? json_incref(other.v) : json_string(""), e);
    }
    if (json_is_string(at.v)) return SL_OK;
    if (!json_is_array(at.v)) return sl_json_fail(&at, e, "must be a string or an array of parts");
    return u->parts && sl_json_size(&at) ? same_parts(&at, e) : join_parts(message, &at, e);
}

/* {"function": {"name": …, "arguments": "{…}"}}: the arguments' text becomes what it spells. Text that spells no object is left as it
 * is: a model may have written it. */
static sl_status ready_call(const sl_json *call, uint64_t *memory, sl_error *e) {
    sl_json function, at, value;
    const char *text;
    size_t len;
    sl_status st = sl_json_object(call, e);
    if (st) return st;
    if (!sl_json_get(call, "function", &function)) return sl_json_fail(call, e, "has no function");
    if ((st = sl_json_object(&function, e)) != SL_OK) return st;
    if (!sl_json_get(&function, "name", &at)) return sl_json_fail(&function, e, "has no name");
    if ((st = sl_json_string(&at, &text, &len, e)) != SL_OK) return st;
    if (!sl_json_get(&function, "arguments", &at) || json_is_object(at.v)) return SL_OK;
    if ((st = sl_json_string(&at, &text, &len, e)) != SL_OK) return st;
    uint64_t cost = sl_json_cost(text, len);
    if (cost > *memory) return sl_json_fail(&at, e, "the tool calls' arguments have too many values");
    if (sl_json_parse(text, len, "", &value, NULL) != SL_OK) return SL_OK;
    *memory -= cost;
    if (json_is_object(value.v)) return put(&function, "arguments", value.v, e);
    json_decref(value.v);
    return SL_OK;
}

static sl_status ready_calls(const sl_json *message, uint64_t *memory, sl_error *e) {
    sl_json calls, call;
    if (sl_json_get(message, "function_call", &calls)) return sl_json_fail(&calls, e, "is not supported: use tool_calls");
    if (sl_json_get(message, "audio", &calls)) return sl_json_fail(&calls, e, "is not supported: this model reads text");
    if (!sl_json_get(message, "tool_calls", &calls)) return SL_OK;
    if (!json_is_array(calls.v)) return sl_json_fail(&calls, e, "must be an array");
    for (size_t i = 0; i < sl_json_size(&calls); i++) {
        sl_json_at(&calls, i, &call);
        sl_status st = ready_call(&call, memory, e);
        if (st) return st;
    }
    return SL_OK;
}

/* Members that templates print must be text. */
static sl_status check_texts(const sl_json *message, sl_error *e) {
    static const char *const names[] = {"name", "tool_call_id", "reasoning_content", "reasoning", "thinking"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        sl_json at;
        const char *text;
        size_t len;
        sl_status st = sl_json_get(message, names[i], &at) ? sl_json_string(&at, &text, &len, e) : SL_OK;
        if (st) return st;
    }
    return SL_OK;
}

sl_status sl_messages_ready(const sl_json *messages, const sl_understands *u, uint64_t memory, sl_error *e) {
    if (!json_is_array(messages->v)) return sl_json_fail(messages, e, "must be an array of messages");
    size_t count = sl_json_size(messages);
    if (!count) return sl_json_fail(messages, e, "must not be empty");
    for (size_t i = 0; i < count; i++) {
        sl_json message;
        sl_json_at(messages, i, &message);
        sl_status st = sl_json_object(&message, e);
        if (!st) st = read_role(&message, u, e);
        if (!st) st = ready_content(&message, u, e);
        if (!st) st = ready_calls(&message, &memory, e);
        if (!st) st = check_texts(&message, e);
        if (st) return st;
    }
    return SL_OK;
}

static json_t *longer(const json_t *text, const char *tail) {
    sl_buffer b = {0};
    sl_buffer_append(&b, json_string_value(text), json_string_length(text));
    sl_buffer_puts(&b, tail);
    json_t *made = b.failed ? NULL : json_stringn(b.data, b.len);
    sl_buffer_done(&b);
    return made;
}

sl_status sl_messages_append(const sl_json *messages, const char *tail, sl_error *e) {
    sl_json last, at, content, part;
    size_t count = sl_json_size(messages);
    sl_json_at(messages, count - 1, &last);
    if (!sl_json_get(&last, "role", &at) || strcmp(json_string_value(at.v), "assistant") != 0)
        return sl_json_fail(&last, e, "only a message of the assistant can be continued");
    sl_json_get(&last, "content", &content);
    if (json_is_string(content.v)) return put(&last, "content", longer(content.v, tail), e);
    sl_json_at(&content, sl_json_size(&content) - 1, &part);
    return put(&part, "text", longer(json_object_get(part.v, "text"), tail), e);
}

#include "api/completion.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <string.h>

/* The prompt field has four shapes: text, [text], [id], [[id]]. */

static sl_status room(sl__completion *c, size_t prompts, sl_error *e) {
    if (prompts * (size_t)c->fields.n > SL_MAX_CHOICES)
        return sl_fail_param(e, SL_INVALID, "prompt", "prompt: %zu prompts times n = %d is more than %d sequences", prompts,
                             (int)c->fields.n, SL_MAX_CHOICES);
    c->prompt = sl_arena_array(c->arena, SL_MEM_REQUEST, prompts, sizeof *c->prompt);
    c->choice = sl_arena_array(c->arena, SL_MEM_REQUEST, prompts * (size_t)c->fields.n, sizeof *c->choice);
    if (!c->prompt || !c->choice) return sl_fail(e, SL_NOMEM, "out of memory");
    c->prompts = (int)prompts;
    c->choices = (int)prompts * (int)c->fields.n;
    return SL_OK;
}

static sl_status take_text(sl__completion *c, int i, const sl_json *at, sl_error *e) {
    const char *text;
    size_t len;
    sl_status st = sl_json_string(at, &text, &len, e);
    if (st) return st;
    c->prompt[i].text = sl_strndup(text, len);
    if (!c->prompt[i].text) return sl_fail(e, SL_NOMEM, "out of memory");
    c->prompt[i].len = len;
    c->text_bytes += len;
    return SL_OK;
}

static sl_status take_ids(sl__completion *c, int i, const sl_json *array, sl_error *e) {
    size_t count = sl_json_size(array);
    if (count == 0) return sl_json_fail(array, e, "must not be empty");
    int32_t *id = sl_realloc(NULL, count, sizeof *id);
    if (!id) return sl_fail(e, SL_NOMEM, "out of memory");
    sl_ids *ids = &c->prompt[i].ids;
    *ids = (sl_ids){id, 0, count};
    c->prompt[i].tokens = true;
    int most = c->api->config.model.vocab - 1;
    for (size_t k = 0; k < count; k++) {
        sl_json item;
        int64_t value = 0;
        if (!sl_json_at(array, k, &item)) return sl_json_fail(array, e, "must hold token ids");
        sl_status st = sl_json_int(&item, 0, most, &value, e);
        if (st) return st;
        id[ids->count++] = (int32_t)value;
    }
    return SL_OK;
}

static sl_status read_prompts(sl__completion *c, const sl_json *body, sl_error *e) {
    sl_json at, first;
    if (!sl_json_get(body, "prompt", &at)) return sl_fail_param(e, SL_INVALID, "prompt", "prompt: is missing");
    sl_status st;
    if (json_is_string(at.v)) {
        st = room(c, 1, e);
        return st ? st : take_text(c, 0, &at, e);
    }
    if (!json_is_array(at.v))
        return sl_json_fail(&at, e, "must be a string, an array of token ids, or an array of either");
    size_t count = sl_json_size(&at);
    if (count == 0 || !sl_json_at(&at, 0, &first)) return sl_json_fail(&at, e, "must not be empty");
    if (json_is_integer(first.v)) {
        st = room(c, 1, e);
        return st ? st : take_ids(c, 0, &at, e);
    }
    if (count > SL_MAX_CHOICES)
        return sl_json_fail(&at, e, "has %zu prompts, at most %d are allowed", count, SL_MAX_CHOICES);
    st = room(c, count, e);
    for (size_t i = 0; i < count && !st; i++) {
        sl_json item;
        if (!sl_json_at(&at, i, &item)) return sl_json_fail(&at, e, "must hold strings or arrays of token ids");
        if (json_is_string(item.v)) st = take_text(c, (int)i, &item, e);
        else if (json_is_array(item.v)) st = take_ids(c, (int)i, &item, e);
        else st = sl_json_fail(&item, e, "must be a string or an array of token ids");
    }
    return st;
}

sl_status sl__body_parse(const sl_api *a, const char *body, size_t len, sl_json *ret, sl_error *e) {
    sl_status st = sl_json_parse_within(body, len, "", sl__api_bounds(a).document, ret, e);
    return st == SL_TOO_LONG ? (e->code = SL_TOO_LARGE) : st; /* too many values for so few bytes: no matter of the context */
}

static sl_status read_body(sl__completion *c, const sl_json *body, sl_error *e) {
    sl_status st = sl__fields_read(body, c->api->config.model.vocab, c->api->config.strict, c->arena, &c->fields, e);
    if (st) return st;
    if (!sl__model_known(c->api, c->fields.model))
        return sl_fail_param(e, SL_NOT_FOUND, "model", "The model `%.100s` does not exist; this server has `%s`.", c->fields.model,
                             sl_api_model_name(c->api));
    if (c->fields.max_tokens == 0 && !c->fields.echo)
        return sl_fail_param(e, SL_INVALID, "max_tokens", "max_tokens: must be at least 1 unless \"echo\" is true");
    return read_prompts(c, body, e);
}

void sl__completion_parse(sl__completion *c) {
    sl_json body = {0};
    c->status = sl__body_parse(c->api, c->body, c->body_len, &body, &c->error);
    sl_free(c->body); /* jansson copied what it needs */
    c->body = NULL;
    if (!c->status) c->status = read_body(c, &body, &c->error);
    if (body.v) json_decref(body.v);
    c->fields.model = NULL; /* lay in the document */
}

/* max_tokens, or its default, against what the context leaves. */
static sl_status fit(sl__completion *c, size_t longest, sl_error *e) {
    size_t ctx = (size_t)c->api->ctx;
    if (c->fields.max_tokens < 0) { /* not said: the API's 16, or what is left */
        size_t left = longest < ctx ? ctx - longest : 1;
        c->fields.max_tokens = left < 16 ? (int64_t)left : 16;
    }
    if (c->fields.min_tokens > c->fields.max_tokens)
        return sl_fail_param(e, SL_INVALID, "min_tokens", "min_tokens: %lld is more than max_tokens, %lld",
                             (long long)c->fields.min_tokens, (long long)c->fields.max_tokens);
    return sl_context_fits(c->api->ctx, longest, c->fields.max_tokens, e);
}

/* A text of this size is counted to its end only if it may fit: the refusal says "more than" instead. */
#define COUNTED ((size_t)256 << 10)

static sl_status hopeless(const sl__completion *c, const char *how, size_t tokens, sl_error *e) {
    return sl_fail_param(e, SL_TOO_LONG, "prompt",
                         "This model's maximum context length is %d tokens. However, your prompt has %s %zu tokens.", c->api->ctx, how,
                         tokens);
}

static sl_status encode(sl__completion *c, sl__prompt *p, bool (*pause)(void *), void *arg, sl_error *e) {
    const sl_tokenizer *t = c->api->config.tokenizer;
    size_t ctx = (size_t)c->api->ctx, least = sl_tokenizer_least(t, p->text, p->len);
    if (least > ctx) return hopeless(c, "at least", least, e);
    size_t most = p->len > COUNTED ? ctx : p->len + 16;
    sl_status st = sl_tokenizer_encode_pausing(t, p->text, p->len, SL_MARKUP, c->fields.add_special, most, pause, arg, &p->ids, e);
    return st == SL_TOO_LONG && most == ctx ? hopeless(c, "more than", ctx, e) : st;
}

/* What the answer will show of the prompt; its text goes unless it is echoed. */
static sl_status keep_text(sl__completion *c, sl__prompt *p, sl_error *e) {
    if (!c->fields.echo) {
        sl_free(p->text);
        p->text = NULL;
        return SL_OK;
    }
    if (p->tokens) {
        sl_buffer text = {0};
        sl_tokenizer_decode(c->api->config.tokenizer, p->ids.id, p->ids.count, c->fields.skip_special, &text);
        if (!text.failed) sl_buffer_text(&text);
        if (text.failed) {
            sl_buffer_done(&text);
            return sl_fail(e, SL_NOMEM, "out of memory");
        }
        p->text = text.data;
        p->len = text.len;
    }
    p->characters = sl_utf8_count(p->text, p->len);
    return SL_OK;
}

void sl__completion_tokenize(sl__completion *c, bool (*pause)(void *), void *arg) {
    sl_error *e = &c->error;
    size_t longest = 0;
    for (int i = 0; i < c->prompts && !c->status; i++) {
        sl__prompt *p = &c->prompt[i];
        if (!p->tokens) c->status = encode(c, p, pause, arg, e);
        if (!c->status && p->ids.count == 0) c->status = sl_fail_param(e, SL_INVALID, "prompt", "prompt: must not be empty");
        if (!c->status) c->status = keep_text(c, p, e);
        if (p->ids.count > longest) longest = p->ids.count;
        c->prompt_tokens += (int64_t)p->ids.count;
    }
    if (!c->status) c->status = fit(c, longest, e);
}

void sl__completion_drop_prompts(sl__completion *c, bool all) {
    for (int i = 0; i < c->prompts; i++) {
        if (all || !c->fields.echo) {
            sl_free(c->prompt[i].text);
            c->prompt[i].text = NULL;
        }
        if (all || !c->fields.return_ids) {
            sl_free(c->prompt[i].ids.id);
            c->prompt[i].ids = (sl_ids){0};
        }
    }
}

size_t sl__completion_prompt_bytes(const sl__completion *c) {
    size_t bytes = 0;
    for (int i = 0; i < c->prompts; i++)
        bytes += (c->prompt[i].text ? c->prompt[i].len : 0) + c->prompt[i].ids.cap * sizeof(int32_t);
    return bytes;
}

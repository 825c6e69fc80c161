#include "api/completion.h"

#include "base/alloc.h"

#include <string.h>

/* The prompt field has four shapes: text, [text], [id], [[id]]. */

static sl_status room(sl__completion *c, size_t prompts, sl_error *e) {
    if (prompts * (size_t)c->fields.n > SL_MAX_CHOICES)
        return sl_fail_param(e, SL_INVALID, "prompt", "prompt: %zu prompts times n = %d is more than %d sequences", prompts,
                             (int)c->fields.n, SL_MAX_CHOICES);
    c->prompt_text = sl_arena_array(c->arena, SL_MEM_REQUEST, prompts, sizeof *c->prompt_text);
    c->prompt_text_len = sl_arena_array(c->arena, SL_MEM_REQUEST, prompts, sizeof *c->prompt_text_len);
    c->prompt = sl_arena_array(c->arena, SL_MEM_REQUEST, prompts, sizeof *c->prompt);
    c->choice = sl_arena_array(c->arena, SL_MEM_REQUEST, prompts * (size_t)c->fields.n, sizeof *c->choice);
    if (!c->prompt_text || !c->prompt_text_len || !c->prompt || !c->choice) return sl_fail(e, SL_NOMEM, "out of memory");
    c->prompts = (int)prompts;
    c->choices = (int)prompts * (int)c->fields.n;
    return SL_OK;
}

static sl_status take_text(sl__completion *c, int i, const sl_json *at, sl_error *e) {
    sl_status st = sl_json_string(at, &c->prompt_text[i], &c->prompt_text_len[i], e);
    if (!st) c->text_bytes += c->prompt_text_len[i];
    return st;
}

static sl_status take_ids(sl__completion *c, int i, const sl_json *array, sl_error *e) {
    size_t count = sl_json_size(array);
    if (count == 0) return sl_json_fail(array, e, "must not be empty");
    int32_t *id = sl_realloc(NULL, count, sizeof *id);
    if (!id) return sl_fail(e, SL_NOMEM, "out of memory");
    c->prompt[i] = (sl_ids){id, 0, count};
    int most = c->api->config.model.vocab - 1;
    for (size_t k = 0; k < count; k++) {
        sl_json item;
        int64_t value = 0;
        if (!sl_json_at(array, k, &item)) return sl_json_fail(array, e, "must hold token ids");
        sl_status st = sl_json_int(&item, 0, most, &value, e);
        if (st) return st;
        id[c->prompt[i].count++] = (int32_t)value;
    }
    return SL_OK;
}

static sl_status read_prompts(sl__completion *c, sl_error *e) {
    sl_json at, first;
    if (!sl_json_get(&c->doc, "prompt", &at)) return sl_fail_param(e, SL_INVALID, "prompt", "prompt: is missing");
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

void sl__completion_parse(sl__completion *c) {
    sl_error *e = &c->error;
    c->status = sl_json_parse(c->body, c->body_len, "", &c->doc, e);
    sl_free(c->body); /* jansson copied what it needs */
    c->body = NULL;
    if (!c->status)
        c->status = sl__fields_read(&c->doc, c->api->config.model.vocab, c->api->config.strict, c->arena, &c->fields, e);
    if (!c->status && !sl__model_known(c->api, c->fields.model))
        c->status = sl_fail_param(e, SL_NOT_FOUND, "model", "The model `%.100s` does not exist; this server has `%s`.",
                                  c->fields.model, sl_api_model_name(c->api));
    if (!c->status && c->fields.max_tokens == 0 && !c->fields.echo)
        c->status = sl_fail_param(e, SL_INVALID, "max_tokens", "max_tokens: must be at least 1 unless \"echo\" is true");
    if (!c->status) c->status = read_prompts(c, e);
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

/* Keeps of the document what is still needed: an echoed prompt's text. */
static void drop_document(sl__completion *c) {
    for (int i = 0; i < c->prompts; i++) {
        if (!c->prompt_text[i]) continue;
        c->prompt_text[i] = c->fields.echo && !c->status
                                ? sl_arena_copy(c->arena, SL_MEM_REQUEST, c->prompt_text[i], c->prompt_text_len[i])
                                : NULL;
        if (c->fields.echo && !c->status && !c->prompt_text[i]) c->status = sl_fail(&c->error, SL_NOMEM, "out of memory");
    }
    if (c->doc.v) json_decref(c->doc.v);
    c->doc.v = NULL;
    c->fields.model = NULL;
}

void sl__completion_tokenize(sl__completion *c) {
    sl_error *e = &c->error;
    size_t longest = 0;
    for (int i = 0; i < c->prompts && !c->status; i++) {
        sl_ids *ids = &c->prompt[i];
        if (c->prompt_text[i])
            c->status = sl_tokenizer_encode(c->api->config.tokenizer, c->prompt_text[i], c->prompt_text_len[i], SL_MARKUP,
                                            c->fields.add_special, c->prompt_text_len[i] + 16, ids, e);
        if (!c->status && ids->count == 0) c->status = sl_fail_param(e, SL_INVALID, "prompt", "prompt: must not be empty");
        if (ids->count > longest) longest = ids->count;
        c->prompt_tokens += (int64_t)ids->count;
    }
    if (!c->status) c->status = fit(c, longest, e);
    drop_document(c);
}

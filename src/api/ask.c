#include "api/ask.h"

#include "base/alloc.h"

#include <stdio.h>

sl_status sl__ask_begin(sl__ask *q, const sl_api *a, const sl__reader *reader, char *body, size_t len) {
    *q = (sl__ask){.api = a, .reader = reader, .arena = sl_arena_new(), .body = body, .body_len = len};
    if (q->arena && body) return SL_OK;
    sl__ask_done(q);
    return SL_NOMEM;
}

void sl__ask_done(sl__ask *q) {
    sl__ask_drop(q, true);
    sl_free(q->body);
    sl_arena_free(q->arena);
    *q = (sl__ask){0};
}

sl_status sl__ask_room(sl__ask *q, size_t prompts, sl_error *e) {
    if (prompts * (size_t)q->fields.n > SL_MAX_CHOICES)
        return sl_fail_param(e, SL_INVALID, "prompt", "prompt: %zu prompts times n = %d is more than %d sequences", prompts,
                             (int)q->fields.n, SL_MAX_CHOICES);
    q->prompt = sl_arena_array(q->arena, SL_MEM_REQUEST, prompts, sizeof *q->prompt);
    if (!q->prompt) return sl_fail(e, SL_NOMEM, "out of memory");
    q->prompts = (int)prompts;
    q->choices = (int)prompts * (int)q->fields.n;
    return SL_OK;
}

static sl_status read_body(sl__ask *q, const sl_json *body, sl_error *e) {
    const sl_api *a = q->api;
    sl_status st = sl__fields_read(body, q->reader->endpoint, a->config.model.vocab, a->config.strict, q->arena, &q->fields, e);
    if (st) return st;
    if (!sl__model_known(a, q->fields.model))
        return sl_fail_param(e, SL_NOT_FOUND, "model", "The model `%.100s` does not exist; this server has `%s`.", q->fields.model,
                             sl__model_name(a));
    if (q->fields.max_tokens == 0 && !q->fields.echo)
        return sl_fail_param(e, SL_INVALID, "max_tokens", "max_tokens: must be at least 1 unless \"echo\" is true");
    return q->reader->read(q, body, e);
}

void sl__ask_read(sl__ask *q) {
    sl_json body = {0};
    q->status = sl__body_parse(q->api, q->body, q->body_len, &body, &q->error);
    sl_free(q->body); /* jansson copied what it needs */
    q->body = NULL;
    if (!q->status) q->status = read_body(q, &body, &q->error);
    if (body.v) json_decref(body.v);
    q->fields.model = NULL; /* lay in the document */
}

/* A text of this size is counted to its end only if it may fit: the refusal says "more than" instead. */
#define COUNTED ((size_t)256 << 10)

static sl_status hopeless(const sl__ask *q, const char *how, size_t tokens, sl_error *e) {
    return sl_fail_param(e, SL_TOO_LONG, q->reader->field,
                         "This model's maximum context length is %d tokens. However, your %s %s %s %zu tokens.", q->api->ctx,
                         q->reader->field, q->reader->endpoint == SL__CHAT ? "have" : "has", how, tokens);
}

sl_status sl__ask_encode(sl__ask *q, sl__prompt *p, const sl_text_part *part, size_t parts, sl_error *e) {
    const sl_tokenizer *t = q->api->config.tokenizer;
    size_t ctx = (size_t)q->api->ctx, least = sl_tokenizer_least(t, p->text, p->len);
    if (least > ctx) return hopeless(q, "at least", least, e);
    size_t most = p->len > COUNTED ? ctx : p->len + 16;
    sl_status st = part ? sl_tokenizer_encode_parts(t, p->text, part, parts, q->fields.add_special, most, q->pause, q->pause_arg, &p->ids, e)
                        : sl_tokenizer_encode_pausing(t, p->text, p->len, SL_MARKUP, q->fields.add_special, most, q->pause, q->pause_arg,
                                                      &p->ids, e);
    return st == SL_TOO_LONG && most == ctx ? hopeless(q, "more than", ctx, e) : st;
}

/* max_tokens, or its default, against what the context leaves. */
static sl_status fit(sl__ask *q, size_t longest, sl_error *e) {
    size_t ctx = (size_t)q->api->ctx;
    if (q->fields.max_tokens < 0) {
        int64_t left = longest < ctx ? (int64_t)(ctx - longest) : 1, most = q->fields.unlimited ? 0 : q->reader->most;
        q->fields.max_tokens = most == 0 || left < most ? left : most;
        q->open_ended = most == 0;
    }
    if (q->fields.min_tokens > q->fields.max_tokens)
        return sl_fail_param(e, SL_INVALID, "min_tokens", "min_tokens: %lld is more than max_tokens, %lld",
                             (long long)q->fields.min_tokens, (long long)q->fields.max_tokens);
    sl_status st = sl_context_fits(q->api->ctx, longest, q->fields.max_tokens, e);
    if (st) snprintf(e->param, sizeof e->param, "%s", q->reader->field);
    return st;
}

void sl__ask_tokenize(sl__ask *q) {
    sl_error *e = &q->error;
    size_t longest = 0;
    for (int i = 0; i < q->prompts && !q->status; i++) {
        sl__prompt *p = &q->prompt[i];
        q->status = q->reader->encode(q, p, e);
        if (p->ids.count > longest) longest = p->ids.count;
        q->prompt_tokens += (int64_t)p->ids.count;
    }
    if (!q->status) q->status = fit(q, longest, e);
}

void sl__ask_drop(sl__ask *q, bool all) {
    for (int i = 0; i < q->prompts; i++) {
        if (all || !q->fields.echo) {
            sl_free(q->prompt[i].text);
            q->prompt[i].text = NULL;
        }
        if (all || !q->fields.return_ids) {
            sl_free(q->prompt[i].ids.id);
            q->prompt[i].ids = (sl_ids){0};
        }
    }
}

size_t sl__ask_bytes(const sl__ask *q) {
    size_t bytes = 0;
    for (int i = 0; i < q->prompts; i++)
        bytes += (q->prompt[i].text ? q->prompt[i].len : 0) + q->prompt[i].ids.cap * sizeof(int32_t);
    return bytes;
}

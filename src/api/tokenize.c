#include "api/handlers.h"
#include "api/internal.h"
#include "api/pieces.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <string.h>

/* POST /tokenize: {"prompt"} or {"messages"} (vLLM's shapes) or {"content"} (llama-server's); POST /detokenize: {"tokens"};
 * POST /apply-template: {"messages"}.
 * They may carry megabytes, so large ones go through the text thread. An answer may take twenty times its request (an object
 * for each token): only the ids or the text are kept, counted with the other answers, and JSON is written as the client takes
 * it. */

typedef enum task { TOKENIZE, DETOKENIZE, APPLY_TEMPLATE } task;

typedef struct text_job {
    sl__job job; /* first */
    sl_api *api;
    sl_http_exchange *x; /* NULL: over */
    task task;
    bool in_text;
    char *body;
    size_t body_len;
    sl_status status;
    sl_error error;
    /* The answer. */
    bool llama, strings; /* tokenize: llama-server's shape; with each token's text */
    sl_ids ids;          /* tokenize */
    sl_buffer text;      /* detokenize */
    sl_rendered prompt; /* apply-template */
    size_t held;         /* bytes of them that count in the api's answer_bytes */
    /* What was written of it: of two arrays of tokens, of two copies of the text, or of the prompt and its segments, the first
     * `part`, and `at` of the next. */
    int part;
    size_t at;
} text_job;

/* --- the request --- */

static sl_status check_model(text_job *t, const sl_json *body) {
    const char *model = NULL;
    size_t len;
    sl_status st = sl_json_opt_string(body, "model", &model, &len, &t->error);
    if (!st && !sl__model_known(t->api, model))
        st = sl_fail_param(&t->error, SL_NOT_FOUND, "model", "The model `%.100s` does not exist.", model);
    return st;
}

/* The prompt that a chat with these messages has. */
static sl_status apply_template(text_job *t, const sl_json *body, sl_rendered *ret) {
    const sl_chat_request render = {.chat = &t->api->chat, .strict = t->api->config.strict,
                                    .memory = sl__api_bounds(t->api).document / 4, .rendering = sl__api_bounds(t->api).rendering,
                                    .pause = t->in_text ? sl__text_pause : NULL, .arg = t->api};
    return sl_chat_render(&render, body, ret, &t->error);
}

static void tokenize_messages(text_job *t, const sl_json *body) {
    sl_rendered prompt = {0};
    sl_error *e = &t->error;
    bool add_special = false;
    t->status = sl_json_opt_bool(body, "add_special_tokens", &add_special, e);
    if (!t->status) t->status = sl_json_opt_bool(body, "return_token_strs", &t->strings, e);
    if (!t->status) t->status = apply_template(t, body, &prompt);
    if (t->status) return;
    const sl_template_text *p = &prompt.text;
    sl_text_part *part = sl_realloc(NULL, p->segments + 1, sizeof *part);
    if (part) sl_rendered_parts(&prompt, part);
    t->status = part ? sl_tokenizer_encode_parts(t->api->config.tokenizer, p->text, part, p->segments, add_special, p->len + 16,
                                                 t->in_text ? sl__text_pause : NULL, t->api, &t->ids, e)
                     : sl_fail(e, SL_NOMEM, "out of memory");
    sl_free(part);
    sl_template_text_done(&prompt.text);
}

static void tokenize(text_job *t, const sl_json *body) {
    const char *text = NULL;
    size_t len = 0;
    bool add_special = true, parse_special = true;
    sl_error *e = &t->error;
    sl_json messages;
    if (sl_json_get(body, "messages", &messages)) {
        tokenize_messages(t, body);
        return;
    }
    if (!t->status) t->status = sl_json_opt_string(body, "prompt", &text, &len, e);
    if (!t->status && !text) {
        t->llama = true;
        add_special = false;
        t->status = sl_json_opt_string(body, "content", &text, &len, e);
    }
    if (!t->status && !text) t->status = sl_fail_param(e, SL_INVALID, "prompt", "prompt: is missing");
    if (!t->status) t->status = sl_json_opt_bool(body, t->llama ? "add_special" : "add_special_tokens", &add_special, e);
    if (!t->status) t->status = sl_json_opt_bool(body, "parse_special", &parse_special, e);
    if (!t->status) t->status = sl_json_opt_bool(body, t->llama ? "with_pieces" : "return_token_strs", &t->strings, e);
    if (!t->status)
        t->status = sl_tokenizer_encode_pausing(t->api->config.tokenizer, text, len, parse_special ? SL_MARKUP : SL_CONTENT, add_special,
                                                len + 16, t->in_text ? sl__text_pause : NULL, t->api, &t->ids, e);
}

static void detokenize(text_job *t, const sl_json *body) {
    sl_error *e = &t->error;
    sl_json at;
    if (!sl_json_get(body, "tokens", &at)) {
        t->status = sl_fail_param(e, SL_INVALID, "tokens", "tokens: is missing");
        return;
    }
    t->status = sl_json_array(&at, t->body_len, e);
    if (t->status) return;
    sl_detokenizer d = {0};
    int most = t->api->config.model.vocab - 1;
    size_t count = sl_json_size(&at), bound = sl__api_bounds(t->api).answers;
    for (size_t i = 0; i < count && !t->status; i++) {
        sl_json item;
        int64_t id = 0;
        if (!sl_json_at(&at, i, &item)) t->status = sl_json_fail(&at, e, "must hold token ids");
        if (!t->status) t->status = sl_json_int(&item, 0, most, &id, e);
        if (!t->status) sl_detokenize(t->api->config.tokenizer, &d, (int)id, false, &t->text);
        if (t->text.len > bound) t->status = sl_fail_param(e, SL_TOO_MUCH, "tokens", "tokens: give more than %zu MiB of text", bound >> 20);
    }
    if (!t->status) sl_detokenize_end(&d, &t->text);
}

static void run(sl__job *job) {
    text_job *t = (text_job *)job;
    sl_json body = {0};
    t->status = sl__body_parse(t->api, t->body, t->body_len, &body, &t->error);
    if (!t->status) t->status = sl_json_object(&body, &t->error);
    if (!t->status && t->task != DETOKENIZE) t->status = check_model(t, &body);
    if (!t->status && t->task == DETOKENIZE) detokenize(t, &body);
    else if (!t->status && t->task == TOKENIZE) tokenize(t, &body);
    else if (!t->status) t->status = apply_template(t, &body, &t->prompt);
    if (body.v) json_decref(body.v);
    sl_free(t->body);
    t->body = NULL;
}

/* --- the answer --- */

/* The bytes of a token as llama-server shows them: a string, or an array of numbers when they are no UTF-8. */
static void put_piece(const sl_buffer *piece, sl_buffer *out) {
    if (sl_utf8_valid(piece->data, piece->len)) sl_buffer_json(out, piece->data ? piece->data : "", piece->len);
    else sl__put_byte_array(piece, out);
}

/* An element of the first array: 80, or {"id":80,"piece":"q"}; of the second: "q". */
static void put_token(const text_job *t, int32_t id, sl_buffer *out) {
    bool object = t->llama && t->strings;
    if (t->part == 0 && object) sl_buffer_puts(out, "{\"id\":");
    if (t->part == 0) sl_buffer_int(out, id);
    if (t->part == 0 && object) sl_buffer_puts(out, ",\"piece\":");
    if (t->part == 0 && !object) return;
    sl_buffer piece = {0};
    sl_tokenizer_piece(t->api->config.tokenizer, id, &piece);
    if (object) put_piece(&piece, out);
    else sl__put_piece_name(&piece, out);
    if (object) sl_buffer_append(out, "}", 1);
    out->failed = out->failed || piece.failed;
    sl_buffer_done(&piece);
}

/* A slice of what tokenize answers; false: that was the last. */
static bool put_tokens(text_job *t, sl_buffer *out) {
    size_t before = out->len;
    int parts = t->strings && !t->llama ? 2 : 1;
    if (t->part == 0 && t->at == 0 && !t->llama)
        sl_buffer_printf(out, "{\"count\":%zu,\"max_model_len\":%d,\"tokens\":[", t->ids.count, t->api->ctx);
    else if (t->part == 0 && t->at == 0)
        sl_buffer_puts(out, "{\"tokens\":[");
    for (; t->part < parts; t->part++, t->at = 0) {
        for (; t->at < t->ids.count; t->at++) {
            if (out->len - before >= SL_SLICE || out->failed) return true;
            if (t->at) sl_buffer_append(out, ",", 1);
            put_token(t, t->ids.id[t->at], out);
        }
        sl_buffer_puts(out, t->part + 1 < parts ? "],\"token_strs\":[" : "]");
    }
    sl_buffer_puts(out, t->llama || t->strings ? "}" : ",\"token_strs\":null}");
    return false;
}

/* A slice of what detokenize answers: the same text for vLLM's clients and for llama-server's. */
static bool put_texts(text_job *t, sl_buffer *out) {
    if (t->at == 0) sl_buffer_puts(out, t->part == 0 ? "{\"prompt\":\"" : "\",\"content\":\"");
    if (sl__slice_text(t->text.data, t->text.len, &t->at, out)) return true;
    t->at = 0;
    if (t->part++ == 0) return true;
    sl_buffer_puts(out, "\"}");
    return false;
}

/* A slice of what apply-template answers: {"prompt": …, "segments": [{"kind": "markup", "text": …}, …]}. */
static bool put_prompt(text_job *t, sl_buffer *out) {
    const sl_template_text *p = &t->prompt.text;
    size_t before = out->len;
    if (t->part == 0 && t->at == 0) sl_buffer_puts(out, "{\"prompt\":\"");
    if (t->part == 0 && sl__slice_text(p->text, p->len, &t->at, out)) return true;
    if (t->part == 0) {
        sl_buffer_puts(out, "\",\"segments\":[");
        t->part = 1;
        t->at = 0;
    }
    for (; (size_t)t->part <= p->segments; t->part++, t->at = 0) {
        const sl_template_segment *s = &p->segment[t->part - 1];
        if (out->len - before >= SL_SLICE || out->failed) return true;
        if (t->at == 0) sl_buffer_printf(out, "%s{\"kind\":\"%s\",\"text\":\"", t->part > 1 ? "," : "", s->content ? "content" : "markup");
        if (sl__slice_text(p->text + s->start, s->len, &t->at, out)) return true;
        sl_buffer_puts(out, "\"}");
    }
    sl_buffer_puts(out, "]}");
    return false;
}

static bool fill(void *ctx, sl_buffer *out) {
    text_job *t = ctx;
    return t->task == DETOKENIZE ? put_texts(t, out) : t->task == TOKENIZE ? put_tokens(t, out) : put_prompt(t, out);
}

static void retire(text_job *t) {
    if (t->x || t->in_text) return;
    t->api->answer_bytes -= t->held;
    sl_buffer_done(&t->text);
    sl_template_text_done(&t->prompt.text);
    sl_free(t->ids.id);
    sl_free(t->body);
    sl_free(t);
}

static void on_gone(void *ctx) { atomic_store(&((text_job *)ctx)->job.cancelled, true); }

static void on_over(void *ctx) {
    text_job *t = ctx;
    t->x = NULL;
    on_gone(t);
    retire(t);
}

static const sl_http_hooks hooks = {on_gone, fill, on_over};

/* held: http holds the exchange already. Returns whether it does now. */
static bool answer(text_job *t, bool held) {
    sl_api *a = t->api;
    if (!t->status && t->text.failed) t->status = sl_fail(&t->error, SL_NOMEM, "out of memory");
    if (!t->status) {
        const sl_template_text *p = &t->prompt.text;
        t->held = t->ids.cap * sizeof *t->ids.id + t->text.cap + p->len + p->segments * sizeof *p->segment;
        a->answer_bytes += t->held;
        if (a->answer_bytes > sl__api_bounds(a).answers) t->status = sl__answer_crowded(a, t->held, &t->error);
    }
    if (t->status) {
        sl__refuse(a, t->x, &t->error);
        return held;
    }
    if (t->ids.count * (t->strings ? 32 : 8) + 2 * (t->text.len + t->prompt.text.len) > SL_ONE_PIECE) {
        if (!held) sl_http_hold(t->x, &hooks, t);
        sl_http_stream(t->x, 200, "application/json");
        return true;
    }
    sl_buffer body = {0};
    while (fill(t, &body) && !body.failed) continue;
    sl__reply_json(t->x, 200, &body);
    return held;
}

static void back(sl__job *job) {
    text_job *t = (text_job *)job;
    t->in_text = false;
    if (t->x && !atomic_load(&job->cancelled)) answer(t, true);
    retire(t);
}

static void give_up(sl__job *job) {
    text_job *t = (text_job *)job;
    if (!atomic_exchange(&job->cancelled, true))
        sl__reply_error(t->api, t->x, 503, NULL, "draining", "the server is stopping: the request was cancelled");
}

/* What is the text thread's: long texts, and whatever a template has to do with. */
static bool takes_long(const text_job *t) {
    return t->body_len > SL_INLINE_TEXT || t->task == APPLY_TEMPLATE ||
           (t->task == TOKENIZE && memmem(t->body, t->body_len, "\"messages\"", 10));
}

static void post(sl_api *a, sl_http_exchange *x, task what) {
    text_job *t = sl_calloc(1, sizeof *t);
    if (!t) {
        sl__reply_error(a, x, 503, NULL, NULL, "out of memory");
        return;
    }
    t->job = (sl__job){.run = run, .back = back, .give_up = give_up};
    t->api = a;
    t->x = x;
    t->task = what;
    t->body = sl_http_take_body(x, &t->body_len);
    t->job.bytes = t->body_len;
    if (!t->body) {
        t->status = sl_fail(&t->error, SL_NOMEM, "out of memory");
    } else if (takes_long(t)) {
        t->in_text = true;
        sl_error err;
        sl_status refused = sl__text_submit(a, &t->job, &err); /* once it is taken, t is the text thread's */
        if (!refused) {
            sl_http_hold(x, &hooks, t);
            return;
        }
        t->in_text = false;
        t->status = refused;
        t->error = err;
    } else {
        run(&t->job);
    }
    if (answer(t, false)) return;
    t->x = NULL;
    retire(t);
}

void sl__tokenize_post(void *api, sl_http_exchange *x) { post(api, x, TOKENIZE); }
void sl__detokenize_post(void *api, sl_http_exchange *x) { post(api, x, DETOKENIZE); }
void sl__apply_template_post(void *api, sl_http_exchange *x) { post(api, x, APPLY_TEMPLATE); }

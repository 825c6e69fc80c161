#include "api/internal.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <string.h>

/* POST /tokenize: {"prompt"} (vLLM's shape) or {"content"} (llama-server's); POST /detokenize: {"tokens"}.
 * Both may carry megabytes, so large ones go through the text thread. */

typedef struct text_job {
    sl__job job; /* first */
    sl_api *api;
    sl_http_exchange *x; /* NULL: over */
    bool back_to_text;   /* detokenize */
    bool in_text;
    char *body;
    size_t body_len;
    sl_buffer out;
    sl_status status;
    sl_error error;
} text_job;

/* The bytes of a token as llama-server shows them: a string, or an array of numbers when they are no UTF-8. */
static void put_piece(const sl_buffer *piece, sl_buffer *out) {
    if (sl_utf8_valid(piece->data, piece->len)) {
        sl_buffer_json(out, piece->data ? piece->data : "", piece->len);
        return;
    }
    sl_buffer_append(out, "[", 1);
    for (size_t i = 0; i < piece->len; i++) sl_buffer_printf(out, "%s%d", i ? "," : "", (unsigned char)piece->data[i]);
    sl_buffer_append(out, "]", 1);
}

static void tokenize(text_job *t, const sl_json *body) {
    const sl_tokenizer *tok = t->api->config.tokenizer;
    const char *text = NULL, *model = NULL;
    size_t len = 0, model_len;
    bool llama = false, add_special = true, parse_special = true, strings = false;
    sl_error *e = &t->error;
    sl_ids ids = {0};
    t->status = sl_json_opt_string(body, "model", &model, &model_len, e);
    if (!t->status && !sl__model_known(t->api, model))
        t->status = sl_fail_param(e, SL_NOT_FOUND, "model", "The model `%.100s` does not exist.", model);
    if (!t->status) t->status = sl_json_opt_string(body, "prompt", &text, &len, e);
    if (!t->status && !text) {
        llama = true;
        add_special = false;
        t->status = sl_json_opt_string(body, "content", &text, &len, e);
    }
    if (!t->status && !text) t->status = sl_fail_param(e, SL_INVALID, "prompt", "prompt: is missing");
    if (!t->status) t->status = sl_json_opt_bool(body, llama ? "add_special" : "add_special_tokens", &add_special, e);
    if (!t->status) t->status = sl_json_opt_bool(body, "parse_special", &parse_special, e);
    if (!t->status) t->status = sl_json_opt_bool(body, llama ? "with_pieces" : "return_token_strs", &strings, e);
    if (!t->status)
        t->status = sl_tokenizer_encode_pausing(tok, text, len, parse_special ? SL_MARKUP : SL_CONTENT, add_special, len + 16,
                                                t->in_text ? sl__text_pause : NULL, t->api, &ids, e);
    if (t->status) {
        sl_free(ids.id);
        return;
    }
    sl_buffer *out = &t->out;
    sl_buffer piece = {0};
    if (!llama)
        sl_buffer_printf(out, "{\"count\":%zu,\"max_model_len\":%d,\"tokens\":[", ids.count, t->api->ctx);
    else sl_buffer_puts(out, "{\"tokens\":[");
    for (size_t i = 0; i < ids.count; i++) {
        if (i) sl_buffer_append(out, ",", 1);
        if (!llama || !strings) {
            sl_buffer_printf(out, "%d", ids.id[i]);
            continue;
        }
        sl_buffer_clear(&piece);
        sl_tokenizer_piece(tok, ids.id[i], &piece);
        sl_buffer_printf(out, "{\"id\":%d,\"piece\":", ids.id[i]);
        put_piece(&piece, out);
        sl_buffer_append(out, "}", 1);
    }
    sl_buffer_append(out, "]", 1);
    if (!llama && strings) {
        sl_buffer_puts(out, ",\"token_strs\":[");
        for (size_t i = 0; i < ids.count; i++) {
            if (i) sl_buffer_append(out, ",", 1);
            sl_buffer_clear(&piece);
            sl_tokenizer_piece(tok, ids.id[i], &piece);
            sl__put_piece_name(&piece, out);
        }
        sl_buffer_append(out, "]", 1);
    } else if (!llama) {
        sl_buffer_puts(out, ",\"token_strs\":null");
    }
    sl_buffer_append(out, "}", 1);
    out->failed = out->failed || piece.failed;
    sl_buffer_done(&piece);
    sl_free(ids.id);
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
    sl_buffer text = {0};
    sl_detokenizer d = {0};
    int most = t->api->config.model.vocab - 1;
    size_t count = sl_json_size(&at);
    for (size_t i = 0; i < count; i++) {
        sl_json item;
        int64_t id = 0;
        if (!sl_json_at(&at, i, &item)) t->status = sl_json_fail(&at, e, "must hold token ids");
        if (!t->status) t->status = sl_json_int(&item, 0, most, &id, e);
        if (t->status) break;
        sl_detokenize(t->api->config.tokenizer, &d, (int)id, false, &text);
    }
    if (!t->status) {
        sl_detokenize_end(&d, &text);
        const char *data = text.data ? text.data : "";
        sl_buffer_puts(&t->out, "{\"prompt\":");
        sl_buffer_json(&t->out, data, text.len);
        sl_buffer_puts(&t->out, ",\"content\":");
        sl_buffer_json(&t->out, data, text.len);
        sl_buffer_puts(&t->out, "}");
        t->out.failed = t->out.failed || text.failed;
    }
    sl_buffer_done(&text);
}

static void run(sl__job *job) {
    text_job *t = (text_job *)job;
    sl_json body = {0};
    t->status = sl__body_parse(t->api, t->body, t->body_len, &body, &t->error);
    if (!t->status) t->status = sl_json_object(&body, &t->error);
    if (!t->status && t->back_to_text) detokenize(t, &body);
    else if (!t->status) tokenize(t, &body);
    if (body.v) json_decref(body.v);
}

static void retire(text_job *t) {
    if (t->x || t->in_text) return;
    sl_buffer_done(&t->out);
    sl_free(t->body);
    sl_free(t);
}

static void answer(text_job *t) {
    if (t->status) sl__refuse(t->api, t->x, &t->error);
    else sl__reply_json(t->x, 200, &t->out);
}

static void back(sl__job *job) {
    text_job *t = (text_job *)job;
    t->in_text = false;
    if (t->x && !atomic_load(&job->cancelled)) answer(t);
    retire(t);
}

static void give_up(sl__job *job) {
    text_job *t = (text_job *)job;
    if (!atomic_exchange(&job->cancelled, true))
        sl__reply_error(t->api, t->x, 503, NULL, "draining", "the server is stopping: the request was cancelled");
}

static void on_gone(void *ctx) { atomic_store(&((text_job *)ctx)->job.cancelled, true); }

static void on_over(void *ctx) {
    text_job *t = ctx;
    t->x = NULL;
    on_gone(t);
    retire(t);
}

static const sl_http_hooks hooks = {on_gone, NULL, on_over};

static void post(sl_api *a, sl_http_exchange *x, bool back_to_text) {
    text_job *t = sl_calloc(1, sizeof *t);
    if (!t) {
        sl__reply_error(a, x, 503, NULL, NULL, "out of memory");
        return;
    }
    t->job = (sl__job){.run = run, .back = back, .give_up = give_up};
    t->api = a;
    t->x = x;
    t->back_to_text = back_to_text;
    t->body = sl_http_take_body(x, &t->body_len);
    t->job.bytes = t->body_len;
    if (!t->body) {
        t->status = sl_fail(&t->error, SL_NOMEM, "out of memory");
    } else if (t->body_len > SL_INLINE_TEXT) {
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
    answer(t);
    t->x = NULL;
    retire(t);
}

void sl__tokenize_post(void *api, sl_http_exchange *x) { post(api, x, false); }
void sl__detokenize_post(void *api, sl_http_exchange *x) { post(api, x, true); }

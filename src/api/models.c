#include "api/handlers.h"
#include "api/internal.h"

#include "base/alloc.h"

#include <string.h>

/* "name,alias,alias" into a->name. */
sl_status sl__names_take(sl_api *a, sl_error *e) {
    const char *names = a->config.model_names[0] ? a->config.model_names : a->config.model.name;
    a->names = sl_strdup(names);
    if (!a->names) return sl_fail(e, SL_NOMEM, "out of memory");
    for (char *p = a->names; p;) {
        char *end = strchr(p, ',');
        if (end && a->config.model_names[0]) *end++ = 0;
        else end = NULL;
        if (*p) {
            if (a->name_count == SL_MAX_NAMES)
                return sl_fail_param(e, SL_MISUSE, "model-name", "--model-name: more than %d names", SL_MAX_NAMES);
            a->name[a->name_count++] = p;
        }
        p = end;
    }
    if (!a->name_count) a->name[a->name_count++] = "model";
    return SL_OK;
}

const char *sl__model_name(const sl_api *a) { return a->name[0]; }

bool sl__model_known(const sl_api *a, const char *name) {
    if (!name || !*name) return true;
    for (int i = 0; i < a->name_count; i++)
        if (!strcmp(a->name[i], name)) return true;
    return false;
}

static void put_model(const sl_api *a, const char *name, sl_buffer *out) {
    const sl_api_model *m = &a->config.model;
    sl_buffer_puts(out, "{\"id\":");
    sl_buffer_json(out, name, strlen(name));
    sl_buffer_printf(out, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"sluice\",\"root\":", (long long)a->created);
    sl_buffer_json(out, a->name[0], strlen(a->name[0]));
    sl_buffer_printf(out, ",\"parent\":null,\"max_model_len\":%d,\"meta\":{\"family\":\"%s\",\"type\":\"%s\",\"layers\":%d,"
                          "\"experts\":%d,\"experts_per_token\":%d,\"vocab\":%d,\"parameters\":%llu,\"active_parameters\":%llu}}",
                     a->ctx, m->family, m->type, m->layers, m->experts,
                     m->experts_per_token, m->vocab, (unsigned long long)m->parameters,
                     (unsigned long long)m->active_parameters);
}

static void put_special(const sl_tokenizer *t, const char *name, int id, sl_buffer *out) {
    sl_buffer piece = {0};
    if (id >= 0) sl_tokenizer_piece(t, id, &piece);
    sl_buffer_printf(out, ",\"%s\":", name);
    if (id >= 0) sl_buffer_json(out, piece.data ? piece.data : "", piece.len);
    else sl_buffer_puts(out, "null");
    out->failed = out->failed || piece.failed;
    sl_buffer_done(&piece);
}

/* What vLLM takes from tokenizer_config.json, as far as a tokenizer of any container knows it. lm-eval asks for eos_token to
 * see whether the server tokenises for its clients. */
void sl__tokenizer_info_get(void *api, sl_http_exchange *x) {
    const sl_api *a = api;
    const sl_tokenizer *t = a->config.tokenizer;
    sl_buffer out = {0};
    sl_buffer_puts(&out, "{\"tokenizer_class\":\"PreTrainedTokenizerFast\"");
    put_special(t, "bos_token", sl_tokenizer_bos(t), &out);
    put_special(t, "eos_token", sl_tokenizer_eos(t), &out);
    put_special(t, "pad_token", -1, &out);
    sl_buffer_printf(&out, ",\"add_bos_token\":%s,\"model_max_length\":%d,\"vocab_size\":%d,\"chat_template\":",
                     sl_tokenizer_adds_bos(t) ? "true" : "false", a->ctx, sl_tokenizer_count(t));
    size_t len = 0;
    const char *template = a->chat.template ? sl_template_source(a->chat.template, &len) : NULL;
    if (template) sl_buffer_json(&out, template, len);
    else sl_buffer_puts(&out, "null");
    sl_buffer_puts(&out, "}");
    sl__reply_json(x, 200, &out);
}

void sl__models_list(void *api, sl_http_exchange *x) {
    const sl_api *a = api;
    sl_buffer out = {0};
    sl_buffer_puts(&out, "{\"object\":\"list\",\"data\":[");
    for (int i = 0; i < a->name_count; i++) {
        if (i) sl_buffer_append(&out, ",", 1);
        put_model(a, a->name[i], &out);
    }
    sl_buffer_puts(&out, "]}");
    sl__reply_json(x, 200, &out);
}

void sl__models_get(void *api, sl_http_exchange *x) {
    const sl_api *a = api;
    const char *name = sl_http_path_rest(x);
    if (!sl__model_known(a, name) || !name[0]) {
        sl_http_reply_error(x, 404, "model", "model_not_found", "this server does not have that model");
        return;
    }
    sl_buffer out = {0};
    put_model(a, name, &out);
    sl__reply_json(x, 200, &out);
}

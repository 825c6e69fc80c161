#include "cli/chat_template.h"

#include "base/alloc.h"
#include "base/map.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- where the text is --- */

typedef struct found {
    char *text; /* owned; NULL: not found yet */
    size_t len;
} found;

static sl_status take(found *f, const char *text, size_t len, sl_error *e) {
    f->text = sl_strndup(text, len);
    f->len = len;
    return f->text ? SL_OK : sl_fail(e, SL_NOMEM, "out of memory for the chat template");
}

static sl_status read_file(const char *path, found *f, sl_error *e) {
    sl_map map = {0};
    sl_status st = sl_map_open(path, &map, e);
    if (!st) st = take(f, map.data ? (const char *)map.data : "", map.size, e);
    sl_map_close(&map);
    return st;
}

/* A file beside the model's others; one that is not there is not found. */
static sl_status read_beside(const sl_model *m, const char *name, found *f, sl_error *e) {
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/%s", m->path, name);
    return n < 0 || (size_t)n >= sizeof path || access(path, F_OK) != 0 ? SL_OK : read_file(path, f, e);
}

/* "chat_template": a text, or a list of named ones. */
static sl_status read_member(const sl_json *object, found *f, sl_error *e) {
    sl_json at, item, name, text = {0};
    if (!sl_json_get(object, "chat_template", &at)) return SL_OK;
    if (json_is_array(at.v)) {
        for (size_t i = 0; sl_json_at(&at, i, &item); i++) {
            bool is_default = sl_json_get(&item, "name", &name) && json_is_string(name.v) && !strcmp(json_string_value(name.v), "default");
            if (is_default || !text.v) sl_json_get(&item, "template", &text);
            if (is_default) break;
        }
        at = text;
    }
    if (!at.v || !json_is_string(at.v)) return SL_OK;
    return take(f, json_string_value(at.v), json_string_length(at.v), e);
}

static sl_status read_json(const char *text, size_t len, const char *origin, found *f, sl_error *e) {
    sl_json file = {0};
    sl_status st = sl_json_parse_python(text, len, origin, &file, e);
    if (!st) st = read_member(&file, f, e);
    if (file.v) json_decref(file.v);
    return st;
}

static sl_status find(const sl_loaded *l, found *f, sl_error *e) {
    const sl_vocab_source *v = sl_model_vocab(l->model);
    if (v->model) return v->chat_template ? take(f, v->chat_template, strlen(v->chat_template), e) : SL_OK;
    sl_status st = read_beside(l->model, "chat_template.jinja", f, e);
    if (!st && !f->text) {
        found json = {0};
        st = read_beside(l->model, "chat_template.json", &json, e);
        if (!st && json.text) st = read_json(json.text, json.len, "chat_template.json", f, e);
        sl_free(json.text);
    }
    if (!st && !f->text && v->tokenizer_config_json)
        st = read_json(v->tokenizer_config_json, v->tokenizer_config_json_len, "tokenizer_config.json", f, e);
    return st;
}

/* --- what it is given --- */

static bool put_token(json_t *to, const char *name, json_t *token) {
    json_t *text = json_is_object(token) ? json_object_get(token, "content") : token;
    return !json_is_string(text) || !json_object_set(to, name, text);
}

/* Every "…_token" of tokenizer_config.json, which is a text or {"content": text}; flags as add_bos_token are neither. */
static bool put_folder(json_t *to, const sl_vocab_source *v) {
    sl_json file = {0}, list;
    const char *name;
    json_t *value;
    bool ok = true;
    size_t i;
    if (!v->tokenizer_config_json ||
        sl_json_parse_python(v->tokenizer_config_json, v->tokenizer_config_json_len, "tokenizer_config.json", &file, NULL) != SL_OK)
        return true;
    json_object_foreach(file.v, name, value) {
        size_t len = strlen(name);
        if (len > 6 && !strcmp(name + len - 6, "_token")) ok = ok && put_token(to, name, value);
    }
    if (sl_json_get(&file, "additional_special_tokens", &list) && json_is_array(list.v)) {
        json_t *texts = json_array();
        json_array_foreach(list.v, i, value) {
            json_t *text = json_is_object(value) ? json_object_get(value, "content") : value;
            if (json_is_string(text)) ok = ok && !json_array_append(texts, text);
        }
        ok = ok && texts && !json_object_set_new(to, "additional_special_tokens", texts);
    }
    json_decref(file.v);
    return ok;
}

static bool put_gguf(json_t *to, const sl_vocab_source *v, const sl_tokenizer *t) {
    const struct {
        const char *name;
        int id;
    } tokens[] = {{"bos_token", v->bos}, {"eos_token", v->eos}, {"unk_token", v->unk}, {"pad_token", v->pad}};
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        sl_buffer piece = {0};
        if (tokens[i].id < 0) continue;
        sl_tokenizer_piece(t, tokens[i].id, &piece);
        bool failed = piece.failed || json_object_set_new(to, tokens[i].name, json_stringn(piece.data ? piece.data : "", piece.len));
        sl_buffer_done(&piece);
        if (failed) return false;
    }
    return true;
}

/* NULL: no memory. Empty where the files name no tokens: then the tokenizer's are used. */
static json_t *tokens_of(const sl_loaded *l) {
    const sl_vocab_source *v = sl_model_vocab(l->model);
    json_t *made = json_object();
    if (made && (v->model ? put_gguf(made, v, l->tokenizer) : put_folder(made, v))) return made;
    if (made) json_decref(made);
    return NULL;
}

sl_status sl_chat_source_open(const sl_loaded *l, const char *file, sl_chat_source *ret, sl_error *e) {
    found f = {0};
    sl_error why;
    bool named = file && *file;
    *ret = (sl_chat_source){0};
    sl_status st = named ? read_file(file, &f, &why) : find(l, &f, &why);
    if (!st && f.text) st = sl_template_parse(f.text, f.len, &ret->template, &why);
    if (st && named) sl_error_prefix(&why, "%s", file);
    sl_free(f.text);
    if (st && (named || st == SL_NOMEM)) {
        if (e) *e = why;
        return st;
    }
    if (st) snprintf(ret->why, sizeof ret->why, "%s", why.message);
    if (!ret->template) return SL_OK;
    ret->variables = tokens_of(l);
    if (!ret->variables) {
        sl_chat_source_done(ret);
        return sl_fail(e, SL_NOMEM, "out of memory for the chat template");
    }
    if (!json_object_size(ret->variables)) {
        json_decref(ret->variables);
        ret->variables = NULL;
    }
    return SL_OK;
}

void sl_chat_source_done(sl_chat_source *c) {
    c->template = sl_template_free(c->template);
    if (c->variables) json_decref(c->variables);
    c->variables = NULL;
}

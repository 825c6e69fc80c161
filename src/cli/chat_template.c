#include "cli/chat_template.h"

#include "base/alloc.h"
#include "base/map.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- where the texts are --- */

#define MOST_TEMPLATES 64
#define ADDITIONAL "additional_chat_templates"

typedef struct named {
    char *name, *text; /* owned; a text may hold a NUL */
    size_t len;
} named;

typedef struct named_templates {
    named at[MOST_TEMPLATES]; /* [count] */
    int count;
} named_templates;

static void free_all(named_templates *t) {
    for (int i = 0; i < t->count; i++) {
        sl_free(t->at[i].name);
        sl_free(t->at[i].text);
    }
    t->count = 0;
}

/* Of two with one name the later counts, as in a dict of Python's. */
static sl_status add(named_templates *t, const char *name, size_t name_len, const char *text, size_t len, sl_error *e) {
    int i = 0;
    while (i < t->count && (strlen(t->at[i].name) != name_len || memcmp(t->at[i].name, name, name_len) != 0)) i++;
    if (i == MOST_TEMPLATES) return sl_fail(e, SL_TOO_MUCH, "the model has more than %d chat templates", MOST_TEMPLATES);
    named made = {sl_strndup(name, name_len), sl_strndup(text, len), len};
    if (!made.name || !made.text) {
        sl_free(made.name);
        sl_free(made.text);
        return sl_fail(e, SL_NOMEM, "out of memory for the chat template");
    }
    if (i < t->count) {
        sl_free(t->at[i].name);
        sl_free(t->at[i].text);
    } else {
        t->count++;
    }
    t->at[i] = made;
    return SL_OK;
}

static sl_status add_file(named_templates *t, const char *name, size_t name_len, const char *path, sl_error *e) {
    sl_map map = {0};
    sl_status st = sl_map_open(path, &map, e);
    if (!st) st = add(t, name, name_len, map.data ? (const char *)map.data : "", map.size, e);
    sl_map_close(&map);
    return st;
}

/* FOLDER/NAME, if it is there and its path is no longer than any path. */
static bool beside(const sl_model *m, const char *name, char path[4096]) {
    int n = snprintf(path, 4096, "%s/%s", m->path, name);
    return n > 0 && n < 4096 && access(path, F_OK) == 0;
}

/* The files of additional_chat_templates/, each named as its file without ".jinja". */
static sl_status add_additional(named_templates *t, const sl_model *m, sl_error *e) {
    char folder[4096], path[4096 + 300];
    if (!beside(m, ADDITIONAL, folder)) return SL_OK;
    DIR *d = opendir(folder);
    if (!d) return SL_OK; /* no folder */
    sl_status st = SL_OK;
    for (struct dirent *entry; !st && (entry = readdir(d));) {
        size_t n = strlen(entry->d_name);
        if (n <= 6 || strcmp(entry->d_name + n - 6, ".jinja") != 0 || entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        st = add_file(t, entry->d_name, n - 6, path, e);
    }
    closedir(d);
    return st;
}

/* "chat_template": a text, or a list of named ones. */
static sl_status add_member(named_templates *t, const sl_json *object, sl_error *e) {
    sl_json at, item, name, text;
    if (!sl_json_get(object, "chat_template", &at)) return SL_OK;
    if (json_is_string(at.v)) return add(t, "default", 7, json_string_value(at.v), json_string_length(at.v), e);
    sl_status st = SL_OK;
    for (size_t i = 0; !st && json_is_array(at.v) && sl_json_at(&at, i, &item); i++) {
        bool whole = sl_json_get(&item, "name", &name) && json_is_string(name.v) && sl_json_get(&item, "template", &text) && json_is_string(text.v);
        if (whole) st = add(t, json_string_value(name.v), json_string_length(name.v), json_string_value(text.v), json_string_length(text.v), e);
    }
    return st;
}

static sl_status add_json(named_templates *t, const char *text, size_t len, const char *origin, sl_error *e) {
    sl_json file = {0};
    sl_status st = sl_json_parse_python(text, len, origin, &file, e);
    if (!st) st = add_member(t, &file, e);
    if (file.v) json_decref(file.v);
    return st;
}

/* GGUF's tokenizer.chat_template, and tokenizer.chat_template.NAME. */
static sl_status add_gguf(named_templates *t, const sl_model *m, const sl_vocab_source *v, sl_error *e) {
    static const char prefix[] = "tokenizer.chat_template.";
    const size_t skip = sizeof prefix - 1, head = 4 + 8; /* the type, the string's length */
    sl_key_entry key;
    sl_status st = v->chat_template ? add(t, "default", 7, v->chat_template, strlen(v->chat_template), e) : SL_OK;
    for (int i = 0; !st && sl_model_key(m, i, &key); i++) {
        uint32_t type;
        if (key.key_len <= skip || memcmp(key.key, prefix, skip) != 0 || key.size < head) continue;
        memcpy(&type, key.bytes, sizeof type);
        if (type == 8) st = add(t, key.key + skip, key.key_len - skip, (const char *)key.bytes + head, key.size - head, e); /* a string */
    }
    return st;
}

/* As transformers: files of their own take the place of all that tokenizer_config.json has. */
static sl_status add_folder(named_templates *t, const sl_model *m, const sl_vocab_source *v, sl_error *e) {
    char path[4096];
    sl_status st = beside(m, "chat_template.jinja", path) ? add_file(t, "default", 7, path, e) : SL_OK;
    if (!st) st = add_additional(t, m, e);
    if (!st && !t->count && v->tokenizer_config_json)
        st = add_json(t, v->tokenizer_config_json, v->tokenizer_config_json_len, "tokenizer_config.json", e);
    if (!st && !t->count && beside(m, "chat_template.json", path)) {
        sl_map map = {0};
        st = sl_map_open(path, &map, e);
        if (!st) st = add_json(t, (const char *)map.data, map.size, "chat_template.json", e);
        sl_map_close(&map);
    }
    return st;
}

/* The one that conversations without tools use: "default", or the only one. *ret NULL: there is none. */
static sl_status choose(const named_templates *t, const named **ret, sl_error *e) {
    char names[300] = "";
    *ret = t->count == 1 ? &t->at[0] : NULL;
    for (int i = 0; i < t->count; i++) {
        size_t n = strlen(names);
        if (strcmp(t->at[i].name, "default") == 0) *ret = &t->at[i];
        snprintf(names + n, sizeof names - n, "%s%s", n ? ", " : "", t->at[i].name);
    }
    if (*ret || !t->count) return SL_OK;
    return sl_fail(e, SL_NOT_FOUND, "the model has several chat templates and none is called default (%s): --chat-template FILE says which", names);
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

/* The text that is to be parsed, and parsing it. What is wrong with a model's own goes to *why. */
static sl_status parse(const sl_loaded *l, const char *file, sl_chat_source *ret, sl_error *why) {
    const sl_vocab_source *v = sl_model_vocab(l->model);
    named_templates t = {.count = 0};
    const named *chosen = NULL;
    sl_status st = file       ? add_file(&t, "default", 7, file, why)
                   : v->model ? add_gguf(&t, l->model, v, why)
                              : add_folder(&t, l->model, v, why);
    if (!st) st = choose(&t, &chosen, why);
    if (!st && chosen) st = sl_template_parse(chosen->text, chosen->len, &ret->template, why);
    if (st && chosen && file) sl_error_prefix(why, "%s", file);
    free_all(&t);
    return st;
}

/* Renders conversations of ours; what fails is noted. */
static sl_status try_out(sl_chat_source *c, sl_error *e) {
    sl_template_variable v[32];
    size_t count = 0;
    const char *name;
    json_t *value;
    json_object_foreach(c->variables, name, value)
        if (count < sizeof v / sizeof *v) v[count++] = (sl_template_variable){name, value, SL_TEMPLATE_MARKUP};
    return sl_template_try(c->template, &(sl_template_input){.variable = v, .variables = count}, &c->notes, e);
}

sl_status sl_chat_source_open(const sl_loaded *l, const char *file, sl_chat_source *ret, sl_error *e) {
    sl_error why = {0};
    bool given = file && *file;
    *ret = (sl_chat_source){0};
    sl_status st = parse(l, given ? file : NULL, ret, &why);
    if (st && (given || st == SL_NOMEM)) {
        if (e) *e = why;
        return st;
    }
    if (st) snprintf(ret->why, sizeof ret->why, "%s", why.message);
    if (!ret->template) return SL_OK;
    ret->variables = tokens_of(l);
    st = ret->variables ? try_out(ret, e) : sl_fail(e, SL_NOMEM, "out of memory for the chat template");
    if (st) {
        sl_chat_source_done(ret);
    } else if (!json_object_size(ret->variables)) {
        json_decref(ret->variables);
        ret->variables = NULL;
    }
    return st;
}

void sl_chat_source_done(sl_chat_source *c) {
    c->template = sl_template_free(c->template);
    if (c->variables) json_decref(c->variables);
    c->variables = NULL;
}

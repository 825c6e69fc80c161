#include "cli/chat_template.h"

#include "base/alloc.h"
#include "base/map.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
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
    const char *where; /* which file has them */
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

static int by_name(const void *a, const void *b) { return strcmp(((const named *)a)->name, ((const named *)b)->name); }

/* The files of additional_chat_templates/, each named as its file without ".jinja". A folder's files come in no order. */
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
    qsort(t->at, (size_t)t->count, sizeof *t->at, by_name);
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
    t->where = t->count ? "chat_template.jinja" : ADDITIONAL;
    if (!st) st = add_additional(t, m, e);
    if (!st && !t->count && v->tokenizer_config_json) {
        t->where = "tokenizer_config.json";
        st = add_json(t, v->tokenizer_config_json, v->tokenizer_config_json_len, t->where, e);
    }
    if (!st && !t->count && beside(m, "chat_template.json", path)) {
        sl_map map = {0};
        t->where = "chat_template.json";
        st = sl_map_open(path, &map, e);
        if (!st) st = add_json(t, (const char *)map.data, map.size, t->where, e);
        sl_map_close(&map);
    }
    return st;
}

/* As transformers: of several the one called "default"; tools, for which it would take "tool_use", are none yet. *ret NULL: there are no
 * templates. Says which it is, and which others there are. */
static sl_status choose(const named_templates *t, char said[SL_CHAT_SAID], const named **ret, sl_error *e) {
    char names[300] = "", rest[300] = "";
    *ret = NULL;
    for (int i = 0; i < t->count; i++) {
        bool is_default = strcmp(t->at[i].name, "default") == 0;
        char *list = is_default ? names : rest;
        size_t n = strlen(list);
        if (is_default) *ret = &t->at[i];
        snprintf(list + n, sizeof names - n, "%s%s", n ? ", " : "", t->at[i].name);
    }
    if (!t->count) return SL_OK;
    if (!*ret)
        return sl_fail(e, SL_NOT_FOUND, "none of the model's chat templates is called default (%s): --chat-template FILE says which to use", rest);
    snprintf(said, SL_CHAT_SAID, "%s%s%s", t->where, rest[0] ? ": default; not used: " : "", rest);
    return SL_OK;
}

/* --- what it is given --- */

static const char *const parts[] = {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};
enum { PARTS = sizeof parts / sizeof *parts };

/* A token is a text or {"content": text}. */
static json_t *text_of(json_t *token) {
    json_t *text = json_is_object(token) ? json_object_get(token, "content") : token;
    return json_is_string(text) ? text : NULL;
}

/* null takes away what was there: the model has no such token. */
static bool put_token(json_t *to, const char *name, json_t *token) {
    json_t *text = text_of(token);
    if (text) return !json_object_set(to, name, text);
    json_object_del(to, name);
    return true;
}

/* Those of the list that are not there yet. */
static bool put_list(json_t *to, json_t *list) {
    static const char name[] = "additional_special_tokens";
    json_t *all = json_object_get(to, name), *token, *other;
    size_t i, k;
    if (!json_is_array(list) || !json_array_size(list)) return true;
    if (!all && json_object_set_new(to, name, json_array())) return false;
    all = json_object_get(to, name);
    json_array_foreach(list, i, token) {
        json_t *text = text_of(token);
        bool known = !text;
        json_array_foreach(all, k, other) known = known || json_equal(other, text);
        if (!known && json_array_append(all, text)) return false;
    }
    return true;
}

/* What a tokenizer's class gives where the files say nothing. */
static const struct {
    const char *class, *model_type; /* of models whose files name no class */
    const char *token[PARTS];       /* as in parts */
} classes[] = {
    {"LlamaTokenizer", "llama mistral mixtral", {"<s>", "</s>", "<unk>"}},
    {"CodeLlamaTokenizer", "", {"<s>", "</s>", "<unk>"}},
    {"GPT2Tokenizer", "gpt2", {"<|endoftext|>", "<|endoftext|>", "<|endoftext|>"}},
    {"GPTNeoXTokenizer", "olmoe gpt_neox", {"<|endoftext|>", "<|endoftext|>", "<|endoftext|>"}},
    {"Qwen2Tokenizer", "qwen2 qwen2_moe qwen3 qwen3_moe", {NULL, "<|endoftext|>", "<|endoftext|>", NULL, "<|endoftext|>"}},
    {"GemmaTokenizer", "gemma gemma2", {"<bos>", "<eos>", "<unk>", NULL, "<pad>"}},
};

static bool is_word_of(const char *words, const char *word) {
    size_t len = strlen(word);
    for (const char *at = words; len && (at = strstr(at, word)); at++)
        if ((at == words || at[-1] == ' ') && (!at[len] || at[len] == ' ')) return true;
    return false;
}

static bool put_class(json_t *to, const json_t *file, const json_t *config) {
    const char *class = json_string_value(json_object_get(file, "tokenizer_class")), *type = json_string_value(json_object_get(config, "model_type"));
    if (!class) class = json_string_value(json_object_get(config, "tokenizer_class"));
    bool ok = true;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        size_t len = strlen(classes[i].class);
        bool is = class && !strncmp(class, classes[i].class, len) && (!class[len] || !strcmp(class + len, "Fast"));
        if (!is && (class || !type || !is_word_of(classes[i].model_type, type))) continue;
        for (size_t k = 0; k < PARTS; k++)
            if (classes[i].token[k]) ok = ok && !json_object_set_new(to, parts[k], json_string(classes[i].token[k]));
        break;
    }
    return ok;
}

static bool put_file(json_t *to, json_t *file) {
    const char *name;
    json_t *value;
    bool ok = true;
    for (size_t i = 0; i < PARTS; i++)
        if ((value = json_object_get(file, parts[i]))) ok = ok && put_token(to, parts[i], value);
    json_object_foreach(json_object_get(file, "extra_special_tokens"), name, value) ok = ok && put_token(to, name, value);
    return ok && put_list(to, json_object_get(file, "additional_special_tokens"));
}

static json_t *parse_object(const char *text, size_t len) {
    sl_json file = {0};
    if (!text || sl_json_parse_python(text, len, "", &file, NULL) != SL_OK) return NULL; /* who opened the tokenizer has said so */
    if (json_is_object(file.v)) return file.v;
    json_decref(file.v);
    return NULL;
}

/* As transformers: special_tokens_map.json counts, and before tokenizer_config.json, where that does not list the added tokens. */
static bool put_folder(json_t *to, const sl_model *m, const sl_vocab_source *v) {
    json_t *file = parse_object(v->tokenizer_config_json, v->tokenizer_config_json_len);
    json_t *config = parse_object(v->config_json, v->config_json_len), *map = NULL;
    char path[4096];
    if (!json_object_get(file, "added_tokens_decoder") && beside(m, "special_tokens_map.json", path)) {
        sl_map bytes = {0};
        if (sl_map_open(path, &bytes, NULL) == SL_OK) map = parse_object((const char *)bytes.data, bytes.size);
        sl_map_close(&bytes);
    }
    bool ok = put_class(to, file, config) && put_file(to, file) && put_file(to, map);
    json_decref(file);
    json_decref(config);
    json_decref(map);
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
    if (made && (v->model ? put_gguf(made, v, l->tokenizer) : put_folder(made, l->model, v))) return made;
    if (made) json_decref(made);
    return NULL;
}

/* The text that is to be parsed, and parsing it. What is wrong with a model's own goes to *why. */
static sl_status parse(const sl_loaded *l, const char *file, sl_chat_source *ret, sl_error *why) {
    const sl_vocab_source *v = sl_model_vocab(l->model);
    named_templates t = {.where = file ? file : "tokenizer.chat_template"};
    const named *chosen = NULL;
    sl_status st = file       ? add_file(&t, "default", 7, file, why)
                   : v->model ? add_gguf(&t, l->model, v, why)
                              : add_folder(&t, l->model, v, why);
    if (!st) st = choose(&t, ret->said, &chosen, why);
    if (!st && chosen) st = sl_template_parse(chosen->text, chosen->len, &ret->template, why);
    if (st && chosen && file) sl_error_prefix(why, "%s", file);
    if (st && file) sl_error_prefix(why, "--chat-template");
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

/* A tokenizer from a Hugging Face folder: tokenizer.json, and what transformers takes from the files beside it. */
#include "text/internal.h"

#include "base/alloc.h"
#include "base/json.h"

#include <string.h>

#define MOST_IDS (1 << 22)
#define MOST_ADDED (1 << 16)

/* An added token before the vocabulary exists. */
typedef struct added {
    const char *text; /* in one of the documents */
    size_t len;
    int64_t id;       /* -1: not known yet */
    bool special, single_word, lstrip, rstrip, normalized;
} added;

typedef struct files {
    sl_json tokenizer, tokenizer_config, generation_config, config; /* v NULL: absent */
} files;

typedef struct reader {
    sl_tokenizer *t;
    const sl_vocab_source *source;
    files f;
    json_t *vocab;
    added *added;
    size_t added_count, added_cap;
    sl_error *e;
} reader;

static sl_status parse(const char *text, size_t len, const char *origin, const char *name, sl_json *ret, sl_error *e) {
    if (!text) return SL_OK;
    sl_status s = sl_json_parse_python(text, len, name, ret, e);
    return s == SL_OK ? s : sl_error_prefix(e, "%s", origin);
}

static added *find_added(reader *r, const char *text, size_t len) {
    for (size_t i = 0; i < r->added_count; i++)
        if (r->added[i].len == len && memcmp(r->added[i].text, text, len) == 0) return &r->added[i];
    return NULL;
}

static sl_status push_added(reader *r, const added *a) {
    if (r->added_count == r->added_cap) {
        size_t cap = r->added_cap ? r->added_cap * 2 : 64;
        if (cap > MOST_ADDED) return sl_fail(r->e, SL_UNSUPPORTED, "tokenizer.json: more than %d added tokens", MOST_ADDED);
        added *grown = sl_realloc(r->added, cap, sizeof *grown);
        if (!grown) return sl_fail(r->e, SL_NOMEM, "no memory for added tokens");
        r->added = grown;
        r->added_cap = cap;
    }
    r->added[r->added_count++] = *a;
    return SL_OK;
}

/* The model's id of a text, -1 if it has none. */
static int64_t vocab_id(const reader *r, const char *text) {
    json_t *v = json_object_get(r->vocab, text);
    return v ? json_integer_value(v) : -1;
}

/* A decimal token id; -1 if the text is none. */
static int64_t number_of(const char *text) {
    int64_t id = 0;
    if (!*text || strlen(text) > 7) return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9') return -1;
        id = id * 10 + (*text - '0');
    }
    return id < MOST_IDS ? id : -1;
}

static sl_status read_flags(const sl_json *at, added *a, sl_error *e) {
    sl_json content;
    sl_status s;
    if (!sl_json_get(at, "content", &content)) return sl_json_fail(at, e, "content is missing");
    if ((s = sl_json_string(&content, &a->text, &a->len, e)) != SL_OK) return s;
    if ((s = sl_json_opt_bool(at, "special", &a->special, e)) != SL_OK) return s;
    a->normalized = !a->special;
    if ((s = sl_json_opt_bool(at, "single_word", &a->single_word, e)) != SL_OK) return s;
    if ((s = sl_json_opt_bool(at, "lstrip", &a->lstrip, e)) != SL_OK) return s;
    if ((s = sl_json_opt_bool(at, "rstrip", &a->rstrip, e)) != SL_OK) return s;
    return sl_json_opt_bool(at, "normalized", &a->normalized, e);
}

/* tokenizer.json: added_tokens */
static sl_status read_added(reader *r) {
    sl_json list, at, id;
    sl_status s;
    if (!sl_json_get(&r->f.tokenizer, "added_tokens", &list)) return SL_OK;
    if ((s = sl_json_array(&list, MOST_ADDED, r->e)) != SL_OK) return s;
    for (size_t i = 0; i < sl_json_size(&list); i++) {
        added a = {0};
        int64_t known;
        if (!sl_json_at(&list, i, &at)) return sl_json_fail(&list, r->e, "an entry is null");
        if ((s = read_flags(&at, &a, r->e)) != SL_OK) return s;
        if (!sl_json_get(&at, "id", &id)) return sl_json_fail(&at, r->e, "id is missing");
        if ((s = sl_json_int(&id, 0, MOST_IDS - 1, &a.id, r->e)) != SL_OK) return s;
        if (!a.len) continue;
        known = vocab_id(r, a.text);
        if (known >= 0 && known != a.id)
            return sl_json_fail(&id, r->e, "the vocabulary has \"%.60s\" as %lld", a.text, (long long)known);
        added *twice = find_added(r, a.text, a.len);
        if (twice) *twice = a;
        else if ((s = push_added(r, &a)) != SL_OK) return s;
    }
    return SL_OK;
}

/* tokenizer_config.json: added_tokens_decoder adds tokens and overrides their flags. */
static sl_status read_added_decoder(reader *r) {
    sl_json table;
    sl_status s;
    if (!sl_json_get(&r->f.tokenizer_config, "added_tokens_decoder", &table)) return SL_OK;
    if ((s = sl_json_object(&table, r->e)) != SL_OK) return s;
    const char *key;
    json_t *value;
    json_object_foreach(table.v, key, value) {
        sl_json at;
        added a = {0};
        if (!sl_json_get(&table, key, &at)) continue;
        if ((s = read_flags(&at, &a, r->e)) != SL_OK) return s;
        if (!a.len) continue;
        added *known = find_added(r, a.text, a.len);
        if (known) {
            a.id = known->id;
            *known = a;
            continue;
        }
        a.id = vocab_id(r, a.text);
        if (a.id < 0) a.id = number_of(key);
        if (a.id < 0) return sl_json_fail(&at, r->e, "its key is no token id");
        if ((s = push_added(r, &a)) != SL_OK) return s;
    }
    return SL_OK;
}

/* A token that tokenizer_config.json names as text or as {"content": text}; *ret NULL: absent. */
static sl_status token_text(const sl_json *config, const char *key, const char **ret, size_t *ret_len, sl_error *e) {
    sl_json at, content;
    *ret = NULL;
    if (!sl_json_get(config, key, &at)) return SL_OK;
    if (sl_json_get(&at, "content", &content)) return sl_json_string(&content, ret, ret_len, e);
    if (json_is_object(at.v)) return sl_json_fail(&at, e, "content is missing");
    return sl_json_string(&at, ret, ret_len, e);
}

/* Ordinary tokens that tokenizer_config.json gives a special part are matched as special ones. */
static sl_status read_special_parts(reader *r) {
    static const char *const parts[] = {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        added a = {.special = true};
        sl_status s = token_text(&r->f.tokenizer_config, parts[i], &a.text, &a.len, r->e);
        if (s != SL_OK) return s;
        if (!a.text || !a.len || find_added(r, a.text, a.len)) continue;
        a.id = vocab_id(r, a.text);
        if (a.id >= 0 && (s = push_added(r, &a)) != SL_OK) return s;
    }
    return SL_OK;
}

static sl_status read_vocab(reader *r, const sl_json *model) {
    sl_tokenizer *t = r->t;
    sl_json vocab;
    if (!sl_json_get(model, "vocab", &vocab)) return sl_json_fail(model, r->e, "vocab is missing");
    sl_status s = sl_json_object(&vocab, r->e);
    if (s != SL_OK) return s;
    r->vocab = vocab.v;
    const char *text;
    json_t *value;
    int64_t last = -1;
    size_t bytes = 0;
    json_object_foreach(vocab.v, text, value) {
        if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) >= MOST_IDS)
            return sl_json_fail(&vocab, r->e, "\"%.60s\" has no id from 0 to %d", text, MOST_IDS - 1);
        if (json_integer_value(value) > last) last = json_integer_value(value);
        bytes += 2 * strlen(text) + 1;
    }
    if ((s = read_added(r)) != SL_OK) return s;
    if ((s = read_added_decoder(r)) != SL_OK || (s = read_special_parts(r)) != SL_OK) return s;
    for (size_t i = 0; i < r->added_count; i++) {
        if (r->added[i].id > last) last = r->added[i].id;
        bytes += 2 * r->added[i].len;
    }
    if (last < 0) return sl_json_fail(&vocab, r->e, "it has no tokens");
    return sl__vocabulary_make(t->arena, &t->vocabulary, (int)last + 1, bytes, r->e);
}

static sl_status store_vocab(reader *r) {
    sl_tokenizer *t = r->t;
    const char *text;
    json_t *value;
    sl_status s;
    json_object_foreach(r->vocab, text, value) {
        int id = (int)json_integer_value(value);
        size_t len = strlen(text);
        int byte = t->kind == SL__CHARS ? sl__byte_name(text, len) : -1;
        uint8_t flags = byte >= 0 && t->decode_bytes ? SL__BYTE : 0;
        if (t->vocabulary.flags[id]) return sl_fail(r->e, SL_FORMAT, "tokenizer.json: model.vocab: two tokens have the id %d", id);
        if ((s = sl__build_token(t, id, text, len, flags, true, r->e)) != SL_OK) return s;
    }
    return SL_OK;
}

static void find_byte_tokens(reader *r) {
    sl_tokenizer *t = r->t;
    const char *text;
    json_t *value;
    memset(t->byte_id, 0xFF, sizeof t->byte_id);
    json_object_foreach(r->vocab, text, value) {
        int byte = sl__byte_name(text, strlen(text));
        if (byte >= 0 && sl__byte_upper(text)) t->byte_id[byte] = (int32_t)json_integer_value(value);
    }
}

/* The text that the token is searched by: normalised if it is matched after normalising. */
static sl_status search_text(const reader *r, const added *a, sl_buffer buffers[2], const char **ret, size_t *ret_len) {
    *ret = a->text;
    *ret_len = a->len;
    if (!a->normalized) return SL_OK;
    return sl__normalize(r->t->normalizer, r->t->normalizers, a->text, a->len, buffers, ret, ret_len, r->e);
}

static sl_status make_tries(reader *r, sl_buffer buffers[2]) {
    size_t bytes[2] = {0, 0};
    int tokens[2] = {0, 0};
    for (size_t i = 0; i < r->added_count; i++) {
        const char *text;
        size_t len;
        sl_status s = search_text(r, &r->added[i], buffers, &text, &len);
        if (s != SL_OK) return s;
        bytes[r->added[i].normalized] += len;
        tokens[r->added[i].normalized]++;
    }
    sl_status s = sl__trie_make(r->t->arena, &r->t->before, tokens[0], bytes[0], r->e);
    return s == SL_OK ? sl__trie_make(r->t->arena, &r->t->after, tokens[1], bytes[1], r->e) : s;
}

static sl_status store_added(reader *r) {
    sl__vocabulary *v = &r->t->vocabulary;
    sl_buffer buffers[2] = {{0}};
    sl_status s = make_tries(r, buffers);
    for (size_t i = 0; i < r->added_count && s == SL_OK; i++) {
        const added *a = &r->added[i];
        int id = (int)a->id;
        const char *text;
        size_t len;
        sl__added token = {.id = id, .special = a->special, .single_word = a->single_word, .lstrip = a->lstrip, .rstrip = a->rstrip};
        uint8_t flags = (uint8_t)(SL__ADDED | (a->special ? SL__SPECIAL : 0));
        bool byte = r->t->kind == SL__CHARS && r->t->decode_bytes && sl__byte_name(a->text, a->len) >= 0;
        if (!(v->flags[id] & SL__PRESENT)) {
            s = sl__build_token(r->t, id, a->text, a->len, (uint8_t)(flags | (byte ? SL__BYTE : 0)), false, r->e);
        } else if (vocab_id(r, a->text) == id) {
            v->flags[id] |= flags; /* its key stays */
            if (r->t->kind == SL__BYTES) s = sl__build_raw_piece(r->t, id, a->text, a->len, r->e);
        } else
            s = sl_fail(r->e, SL_FORMAT, "tokenizer.json: added token \"%.60s\" has id %d, which is another token's", a->text, id);
        if (s == SL_OK) s = search_text(r, a, buffers, &text, &len);
        if (s == SL_OK && len) s = sl__trie_add(a->normalized ? &r->t->after : &r->t->before, text, len, &token, r->e);
    }
    sl_buffer_done(&buffers[0]);
    sl_buffer_done(&buffers[1]);
    return s;
}

static sl_status read_merges(reader *r, const sl_json *model) {
    sl_tokenizer *t = r->t;
    sl_json merges;
    sl_buffer scratch = {0};
    if (!sl_json_get(model, "merges", &merges)) return sl_json_fail(model, r->e, "merges is missing");
    sl_status s = sl_json_array(&merges, MOST_IDS, r->e);
    size_t count = json_array_size(merges.v);
    if (s == SL_OK) s = sl__merges_make(t->arena, &t->merges, (int)count, r->e);
    for (size_t i = 0; i < count && s == SL_OK; i++) {
        json_t *m = json_array_get(merges.v, i), *a = json_array_get(m, 0), *b = json_array_get(m, 1);
        const char *text = json_string_value(m), *end = text ? text + json_string_length(m) : NULL;
        const char *space = text ? memchr(text, ' ', (size_t)(end - text)) : NULL;
        if (json_array_size(m) == 2 && json_is_string(a) && json_is_string(b))
            s = sl__build_merge(t, json_string_value(a), json_string_length(a), json_string_value(b), json_string_length(b),
                                (uint32_t)i, NULL, &scratch, r->e);
        else if (space && !memchr(space + 1, ' ', (size_t)(end - space) - 1))
            s = sl__build_merge(t, text, (size_t)(space - text), space + 1, (size_t)(end - space) - 1, (uint32_t)i, NULL, &scratch, r->e);
        else
            s = sl_json_fail(&merges, r->e, "entry %zu is no pair of texts", i);
    }
    sl_buffer_done(&scratch);
    return s;
}

static sl_status read_model(reader *r, const sl_json *model) {
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    sl_tokenizer *t = r->t;
    const char *type = "BPE", *unk = NULL;
    size_t len = 0;
    double dropout = 0;
    sl_status s = sl_json_opt_string(model, "type", &type, &len, r->e);
    if (s == SL_OK && strcmp(type, "BPE") != 0)
        return sl_fail(r->e, SL_UNSUPPORTED, "tokenizer.json: model.type \"%.60s\" is not supported; it has to be BPE", type);
    if (s == SL_OK) s = sl_json_opt_float(model, "dropout", 0, 1, &dropout, r->e);
    if (s == SL_OK && dropout > 0) return sl_fail(r->e, SL_UNSUPPORTED, "tokenizer.json: model.dropout is not supported");
    for (size_t i = 0; i < sizeof affixes / sizeof *affixes && s == SL_OK; i++) {
        const char *affix = "";
        s = sl_json_opt_string(model, affixes[i], &affix, &len, r->e);
        if (s == SL_OK && len && *affix) return sl_fail(r->e, SL_UNSUPPORTED, "tokenizer.json: model.%s is not supported", affixes[i]);
    }
    if (s == SL_OK) s = sl_json_opt_bool(model, "byte_fallback", &t->byte_fallback, r->e);
    if (s == SL_OK) s = sl_json_opt_bool(model, "fuse_unk", &t->fuse_unk, r->e);
    if (s == SL_OK) s = sl_json_opt_bool(model, "ignore_merges", &t->ignore_merges, r->e);
    if (s == SL_OK) s = sl_json_opt_string(model, "unk_token", &unk, &len, r->e);
    if (s == SL_OK) s = read_vocab(r, model);
    if (s != SL_OK) return s;
    if (unk) {
        json_t *id = json_object_get(r->vocab, unk);
        if (!id) return sl_fail(r->e, SL_FORMAT, "tokenizer.json: model.unk_token \"%.60s\" is not in the vocabulary", unk);
        t->unk = (int)json_integer_value(id);
    }
    if ((s = store_vocab(r)) != SL_OK || (s = store_added(r)) != SL_OK) return s;
    if (t->kind == SL__CHARS) find_byte_tokens(r);
    return read_merges(r, model);
}

static int id_of(reader *r, const char *text, size_t len) {
    const added *a = find_added(r, text, len);
    if (a) return (int)a->id;
    return (int)vocab_id(r, text);
}

/* An integer or a list of them. Ids that the vocabulary lacks can never come and are passed over. */
static sl_status read_end_ids(reader *r, const sl_json *file) {
    sl_json at, item;
    int64_t id;
    sl_status s;
    if (!sl_json_get(file, "eos_token_id", &at)) return SL_OK;
    size_t n = json_is_array(at.v) ? sl_json_size(&at) : 1;
    for (size_t i = 0; i < n; i++) {
        if (!json_is_array(at.v)) item = at;
        else if (!sl_json_at(&at, i, &item)) continue;
        if ((s = sl_json_int(&item, INT32_MIN, INT32_MAX, &id, r->e)) != SL_OK) return s;
        sl__build_end(r->t, id);
        if (r->t->eos < 0 && id >= 0 && id < r->t->vocabulary.count) r->t->eos = (int)id;
    }
    return SL_OK;
}

static sl_status read_ends(reader *r) {
    sl_tokenizer *t = r->t;
    const char *bos = NULL, *eos = NULL;
    size_t bos_len = 0, eos_len = 0;
    int64_t id = -1;
    sl_status s = sl__build_ends(t, r->e);
    if (s == SL_OK) s = token_text(&r->f.tokenizer_config, "bos_token", &bos, &bos_len, r->e);
    if (s == SL_OK) s = token_text(&r->f.tokenizer_config, "eos_token", &eos, &eos_len, r->e);
    if (s != SL_OK) return s;
    if (eos) t->eos = id_of(r, eos, eos_len);
    sl__build_end(t, t->eos);
    if ((s = read_end_ids(r, &r->f.generation_config)) != SL_OK || (s = read_end_ids(r, &r->f.config)) != SL_OK) return s;
    if (bos) {
        t->bos = id_of(r, bos, bos_len);
    } else {
        s = sl_json_opt_int(&r->f.config, "bos_token_id", INT32_MIN, INT32_MAX, &id, r->e);
        if (id >= 0 && id < t->vocabulary.count) t->bos = (int)id;
    }
    return s;
}

/* transformers rebuilds the post-processor of some classes from two flags, whatever tokenizer.json says. */
static sl_status read_around(reader *r) {
    static const struct { const char *name; bool always; } classes[] = {
        {"LlamaTokenizer", true}, {"LlamaTokenizerFast", true}, {"CodeLlamaTokenizer", true}, {"CodeLlamaTokenizerFast", true},
        {"GemmaTokenizer", true}, {"GemmaTokenizerFast", true}, {"GPTNeoXTokenizer", false}, {"GPTNeoXTokenizerFast", false},
    };
    sl_tokenizer *t = r->t;
    const sl_json *config = &r->f.tokenizer_config;
    const char *class = "";
    size_t len;
    sl_status s = sl_json_opt_string(config, "tokenizer_class", &class, &len, r->e);
    if (s != SL_OK) return s;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (strcmp(class, classes[i].name) != 0) continue;
        sl_json flag;
        bool bos = classes[i].always, eos = false;
        if (!bos && !sl_json_get(config, "add_bos_token", &flag) && !sl_json_get(config, "add_eos_token", &flag)) break;
        if ((s = sl_json_opt_bool(config, "add_bos_token", &bos, r->e)) != SL_OK) return s;
        if ((s = sl_json_opt_bool(config, "add_eos_token", &eos, r->e)) != SL_OK) return s;
        return sl__build_around(t, &t->bos, bos && t->bos >= 0, &t->eos, eos && t->eos >= 0, r->e);
    }
    return sl__pipeline_around(t, &r->f.tokenizer, r->e);
}

static sl_status read_all(reader *r) {
    sl_json model;
    if (!sl_json_get(&r->f.tokenizer, "model", &model)) return sl_json_fail(&r->f.tokenizer, r->e, "model is missing");
    sl_status s = sl__pipeline(r->t, &r->f.tokenizer, r->e);
    if (s == SL_OK) s = read_model(r, &model);
    if (s == SL_OK) s = read_ends(r);
    if (s == SL_OK) s = read_around(r);
    return s == SL_OK ? sl__build_seal(r->t, r->e) : s;
}

sl_status sl__open_hf(const sl_vocab_source *v, sl_tokenizer **ret, sl_error *e) {
    reader r = {.source = v, .e = e};
    const char *origin = v->origin ? v->origin : "model";
    sl_status s = sl__tokenizer_new("tokenizer.json", v->rows, &r.t, e);
    if (s != SL_OK) return s;
    if (!v->tokenizer_json) {
        s = sl_fail(e, SL_NOT_FOUND, "%s: there is no tokenizer.json", origin);
        goto fail;
    }
    if ((s = parse(v->tokenizer_json, v->tokenizer_json_len, origin, "tokenizer.json", &r.f.tokenizer, e)) != SL_OK) goto fail;
    if ((s = parse(v->tokenizer_config_json, v->tokenizer_config_json_len, origin, "tokenizer_config.json", &r.f.tokenizer_config, e)) != SL_OK) goto fail;
    if ((s = parse(v->generation_config_json, v->generation_config_json_len, origin, "generation_config.json", &r.f.generation_config, e)) != SL_OK) goto fail;
    if ((s = parse(v->config_json, v->config_json_len, origin, "config.json", &r.f.config, e)) != SL_OK) goto fail;
    if ((s = read_all(&r)) != SL_OK) {
        sl_error_prefix(e, "%s", origin);
        goto fail;
    }
    *ret = r.t;
    r.t = NULL;
fail:
    json_decref(r.f.tokenizer.v);
    json_decref(r.f.tokenizer_config.v);
    json_decref(r.f.generation_config.v);
    json_decref(r.f.config.v);
    sl_free(r.added);
    sl_tokenizer_free(r.t);
    return s;
}

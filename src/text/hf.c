/* A tokenizer from a Hugging Face folder: tokenizer.json, and what transformers takes from the files beside it. */
#include "text/internal.h"

#include "base/alloc.h"
#include "base/json.h"

#include <string.h>

typedef struct files {
    sl_json tokenizer, tokenizer_config, generation_config, config; /* v NULL: absent */
} files;

typedef struct reader {
    sl_tokenizer *t;
    const sl_vocab_source *source;
    files f;
    json_t *vocab;
    sl__hf_added added;
    const char *class; /* transformers' tokenizer class, perhaps with "Fast" at its end; "" if nothing says */
    sl_error *e;
} reader;

static sl_status parse(const char *text, size_t len, const char *origin, const char *name, sl_json *ret, sl_error *e) {
    if (!text) return SL_OK;
    sl_status s = sl_json_parse_python(text, len, name, ret, e);
    return s == SL_OK ? s : sl_error_prefix(e, "%s", origin);
}

static void note_moved(const reader *r) {
    const sl__hf_added *a = &r->added;
    if (!a->moved) return;
    const sl__hf_token *t = &a->token[a->first_moved];
    sl_notes_add(&r->t->notes, "%s: %d added token%s another id than added_tokens says, the first is \"%.60s\": it says %lld, and as the "
                 "tokenizers package counts it is %lld, which is used", r->t->origin, a->moved, a->moved == 1 ? " has" : "s have", t->text,
                 (long long)a->said, (long long)t->id);
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
        if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) >= SL__MOST_IDS)
            return sl_json_fail(&vocab, r->e, "\"%.60s\" has no id from 0 to %d", text, SL__MOST_IDS - 1);
        if (json_integer_value(value) > last) last = json_integer_value(value);
        bytes += 2 * strlen(text) + 1;
    }
    r->added.holes = last + 1 != (int64_t)json_object_size(vocab.v);
    if ((s = sl__hf_added_read(&r->added, r->vocab, &r->f.tokenizer, &r->f.tokenizer_config, r->e)) != SL_OK) return s;
    note_moved(r);
    for (size_t i = 0; i < r->added.count; i++) bytes += 2 * r->added.token[i].len;
    if (r->added.count && r->added.last > last) last = r->added.last;
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

/* The text by which the token is found in a text: normalised as that is, if it is matched after normalising. */
static sl_status search_text(const reader *r, const sl__hf_token *a, sl_buffer buffers[2], const char **ret, size_t *ret_len) {
    *ret = a->text;
    *ret_len = a->len;
    if (!a->normalized) return SL_OK;
    return sl__normalize(r->t->normalizer, r->t->normalizers, a->text, a->len, buffers, ret, ret_len, r->e);
}

static sl_status make_tries(reader *r, sl_buffer buffers[2]) {
    size_t bytes[2] = {0, 0};
    int tokens[2] = {0, 0};
    for (size_t i = 0; i < r->added.count; i++) {
        const char *text;
        size_t len;
        sl_status s = search_text(r, &r->added.token[i], buffers, &text, &len);
        if (s != SL_OK) return s;
        bytes[r->added.token[i].normalized] += len;
        tokens[r->added.token[i].normalized]++;
    }
    sl_status s = sl__trie_make(r->t->arena, &r->t->before, tokens[0], bytes[0], r->e);
    return s == SL_OK ? sl__trie_make(r->t->arena, &r->t->after, tokens[1], bytes[1], r->e) : s;
}

static sl_status store_added(reader *r) {
    sl__vocabulary *v = &r->t->vocabulary;
    sl_buffer buffers[2] = {{0}};
    sl_status s = make_tries(r, buffers);
    for (size_t i = 0; i < r->added.count && s == SL_OK; i++) {
        const sl__hf_token *a = &r->added.token[i];
        int id = (int)a->id;
        const char *text;
        size_t len;
        sl__added token = {.id = id, .special = a->special, .single_word = a->single_word, .lstrip = a->lstrip, .rstrip = a->rstrip};
        uint8_t flags = (uint8_t)(SL__ADDED | (a->special ? SL__SPECIAL : 0));
        bool byte = r->t->kind == SL__CHARS && r->t->decode_bytes && sl__byte_name(a->text, a->len) >= 0;
        if (!(v->flags[id] & SL__PRESENT)) {
            s = sl__build_token(r->t, id, a->text, a->len, (uint8_t)(flags | (byte ? SL__BYTE : 0)), false, r->e);
        } else if (sl__hf_vocab_id(r->vocab, a->text) == id) {
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
    sl_status s = sl_json_array(&merges, SL__MOST_IDS, r->e);
    size_t count = json_array_size(merges.v);
    if (s == SL_OK) s = sl__merges_make(t->arena, &t->merges, (int)count, r->e);
    for (size_t i = 0; i < count && s == SL_OK; i++) {
        json_t *m = json_array_get(merges.v, i), *a = json_array_get(m, 0), *b = json_array_get(m, 1);
        const char *text = json_string_value(m), *end = text ? text + json_string_length(m) : NULL;
        const char *space = text ? memchr(text, ' ', (size_t)(end - text)) : NULL;
        if (text && strncmp(text, "#version", 8) == 0) continue; /* merges.txt begins so; the reference skips it here too */
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

static int id_of(const reader *r, const char *text, size_t len) {
    const sl__hf_token *a = sl__hf_added_find(&r->added, text, len);
    return (int)(a ? a->id : sl__hf_vocab_id(r->vocab, text));
}

/* An id that config.json or generation_config.json names. One that the vocabulary lacks, however large, can never be generated
 * and is passed over: *ret is -1. */
static sl_status read_id(reader *r, const sl_json *at, int *ret) {
    int64_t id = -1;
    double x = json_is_real(at->v) ? json_real_value(at->v) : 0;
    bool huge = x >= 0x1p63 || x <= -0x1p63;
    sl_status s = huge ? SL_OK : sl_json_int(at, INT64_MIN, INT64_MAX, &id, r->e);
    *ret = id >= 0 && id < r->t->vocabulary.count ? (int)id : -1;
    if (s == SL_OK && *ret < 0 && (huge || id != -1))
        sl_notes_add(&r->t->notes, "%s: %s names a token beyond the vocabulary's %d: it is ignored", r->t->origin,
                     at->key ? at->key : at->parent->key, r->t->vocabulary.count);
    return s;
}

/* eos_token_id, an integer or a list of them. */
static sl_status read_end_ids(reader *r, const sl_json *file) {
    sl_json at, item;
    int id = -1;
    sl_status s = SL_OK;
    if (!sl_json_get(file, "eos_token_id", &at)) return SL_OK;
    size_t n = json_is_array(at.v) ? sl_json_size(&at) : 1;
    for (size_t i = 0; i < n && s == SL_OK; i++) {
        if (!json_is_array(at.v)) item = at;
        else if (!sl_json_at(&at, i, &item)) continue;
        s = read_id(r, &item, &id);
        if (s == SL_OK) sl__build_end(r->t, id);
        if (s == SL_OK && r->t->eos < 0) r->t->eos = id;
    }
    return s;
}

static sl_status read_ends(reader *r) {
    sl_tokenizer *t = r->t;
    const char *bos = NULL, *eos = NULL;
    size_t bos_len = 0, eos_len = 0;
    sl_status s = sl__build_ends(t, r->e);
    sl_json at;
    if (s == SL_OK && sl_json_get(&r->f.tokenizer_config, "bos_token", &at)) s = sl__hf_token_text(&at, &bos, &bos_len, r->e);
    if (s == SL_OK && sl_json_get(&r->f.tokenizer_config, "eos_token", &at)) s = sl__hf_token_text(&at, &eos, &eos_len, r->e);
    if (s != SL_OK) return s;
    if (eos) t->eos = id_of(r, eos, eos_len);
    sl__build_end(t, t->eos);
    if ((s = read_end_ids(r, &r->f.generation_config)) != SL_OK || (s = read_end_ids(r, &r->f.config)) != SL_OK) return s;
    if (bos) {
        t->bos = id_of(r, bos, bos_len);
    } else if (sl_json_get(&r->f.config, "bos_token_id", &at)) {
        s = read_id(r, &at, &t->bos);
    }
    return s;
}

/* The class: what one of the two configurations names, else what AutoTokenizer takes for the model's type. */
static sl_status read_class(reader *r) {
    static const struct { const char *model_type, *class; } defaults[] = {
        {"llama", "LlamaTokenizer"}, {"mistral", "LlamaTokenizer"}, {"mixtral", "LlamaTokenizer"}, {"olmoe", "GPTNeoXTokenizer"},
    };
    const char *type = "";
    size_t len;
    r->class = "";
    sl_status s = sl_json_opt_string(&r->f.config, "tokenizer_class", &r->class, &len, r->e);
    if (s == SL_OK) s = sl_json_opt_string(&r->f.tokenizer_config, "tokenizer_class", &r->class, &len, r->e);
    if (s == SL_OK) s = sl_json_opt_string(&r->f.config, "model_type", &type, &len, r->e);
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults && s == SL_OK && !*r->class; i++)
        if (strcmp(type, defaults[i].model_type) == 0) r->class = defaults[i].class;
    return s;
}

static bool is_class(const reader *r, const char *name) {
    size_t len = strlen(name);
    return strncmp(r->class, name, len) == 0 && (!r->class[len] || strcmp(r->class + len, "Fast") == 0);
}

/* transformers (4.57.6) sets add_prefix_space of a plain ByteLevel from tokenizer_config.json, false when it says nothing;
 * null leaves the file's, and LlamaTokenizer's default is null. TokenizersBackend, a class of transformers 5, keeps to the
 * file. A tokenizer.json alone is the tokenizers package's, which knows no other file. */
static sl_status read_prefix(const reader *r, sl__prefix_space *ret) {
    sl_json at;
    bool on = false;
    *ret = SL__PREFIX_AS_FILE;
    if ((!r->f.tokenizer_config.v && !r->f.config.v) || is_class(r, "LlamaTokenizer") || is_class(r, "TokenizersBackend"))
        return SL_OK;
    if (json_is_null(json_object_get(r->f.tokenizer_config.v, "add_prefix_space"))) return SL_OK;
    if (sl_json_get(&r->f.tokenizer_config, "add_prefix_space", &at)) {
        sl_status s = sl_json_bool(&at, &on, r->e);
        if (s != SL_OK) return s;
    }
    *ret = on ? SL__PREFIX_YES : SL__PREFIX_NO;
    return SL_OK;
}

/* tokenizer.json's truncation and padding are for batches in training: transformers takes them off unless the caller asks
 * for them, and a prompt is never cut here. */
static sl_status read_batching(reader *r) {
    sl_json at;
    sl_status s;
    if (sl_json_get(&r->f.tokenizer, "truncation", &at)) {
        if ((s = sl_json_object(&at, r->e)) != SL_OK) return s;
        sl_notes_add(&r->t->notes, "%s: truncation to %.0f tokens is not applied: a prompt is never cut", r->t->origin,
                     json_number_value(json_object_get(at.v, "max_length")));
    }
    if (sl_json_get(&r->f.tokenizer, "padding", &at)) {
        if ((s = sl_json_object(&at, r->e)) != SL_OK) return s;
        sl_notes_add(&r->t->notes, "%s: padding is not applied: prompts need none", r->t->origin);
    }
    return SL_OK;
}

/* transformers rebuilds the post-processor of some classes from two flags, whatever tokenizer.json says. */
static sl_status read_around(reader *r) {
    static const struct { const char *name; bool always; } classes[] = {
        {"LlamaTokenizer", true}, {"CodeLlamaTokenizer", true}, {"GemmaTokenizer", true}, {"GPTNeoXTokenizer", false},
    };
    sl_tokenizer *t = r->t;
    const sl_json *config = &r->f.tokenizer_config;
    sl_status s;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (!is_class(r, classes[i].name)) continue;
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
    sl__prefix_space prefix = SL__PREFIX_AS_FILE;
    sl_status s = read_class(r);
    if (s == SL_OK) s = read_prefix(r, &prefix);
    if (s == SL_OK) s = read_batching(r);
    if (s == SL_OK) s = sl__pipeline(r->t, &r->f.tokenizer, prefix, r->e);
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
    if ((s = parse(v->tokenizer_config_json, v->tokenizer_config_json_len, origin, "tokenizer_config.json", &r.f.tokenizer_config,
                   e)) != SL_OK) goto fail;
    if ((s = parse(v->generation_config_json, v->generation_config_json_len, origin, "generation_config.json",
                   &r.f.generation_config, e)) != SL_OK) goto fail;
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
    sl__hf_added_done(&r.added);
    sl_tokenizer_free(r.t);
    return s;
}

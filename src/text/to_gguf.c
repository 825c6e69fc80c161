/* A folder's vocabulary in GGUF's form, for a file that is to be written. The opened tokenizer says what the pipeline is;
 * the texts are read from tokenizer.json once more, since a byte-level vocabulary is kept as bytes.
 *
 * GGUF has two forms for what is served here:
 *   gpt2   merges in order, and a name for the pre-tokenizer: the pipeline has to be one that a name stands for (patterns.c)
 *   llama  scores in place of merges: any two tokens that are one together may merge, the best score first. A tokenizer.json
 *          made from such a vocabulary lists every pair of each token, token by token; then the scores are the order of
 *          tokens
 *   gemma4 the same pieces with merges in order, for those whose merges are otherwise. Readers cut texts at runs of line breaks,
 *          so that no token may have one beside another character, and put no space before a text. */
#include "text/internal.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

typedef struct writer {
    const sl_tokenizer *t;
    const sl_vocab_source *folder;
    sl_arena *arena;
    sl_vocab_source *v;
    sl_json file, config, model_config; /* v NULL: absent */
    json_t *vocab;
    sl__hf_added added;
    sl_vocab_token *token; /* [v->count] */
    sl_notes *notes;
    sl_error *e;
} writer;

static sl_status no_memory(const writer *w) { return sl_fail(w->e, SL_NOMEM, "%s: no memory for the vocabulary", w->folder->origin); }

static sl_status no_form(const writer *w, const char *what) {
    return sl_fail(w->e, SL_UNSUPPORTED, "%s: tokenizer.json: %s: GGUF has no form for this", w->folder->origin, what);
}

static sl_status set(writer *w, int64_t id, const char *text, size_t len, int type) {
    if (id < 0 || id >= w->v->count) return SL_OK; /* beyond the embedding: it can be in no text */
    char *copy = sl_arena_copy(w->arena, SL_MEM_VOCABULARY, text, len);
    if (!copy) return no_memory(w);
    w->token[id] = (sl_vocab_token){.text = copy, .len = (uint32_t)len, .type = type};
    return SL_OK;
}

/* Rows of the embedding that no token has. */
static sl_status fill_holes(writer *w) {
    for (int i = 0; i < w->v->count; i++) {
        char name[24];
        if (w->token[i].text) continue;
        int n = snprintf(name, sizeof name, "[PAD%d]", i);
        sl_status s = set(w, i, name, (size_t)n, SL_TOKEN_UNUSED);
        if (s != SL_OK) return s;
    }
    return SL_OK;
}

/* Tokens that are matched as a whole: their flags have no place in GGUF, which matters beside spaces and inside words only. */
static sl_status put_added(writer *w) {
    int flagged = 0;
    const char *first = "";
    for (size_t i = 0; i < w->added.count; i++) {
        const sl__hf_token *a = &w->added.token[i];
        int type = a->id == w->t->unk && w->t->kind == SL__CHARS ? SL_TOKEN_UNKNOWN : a->special ? SL_TOKEN_CONTROL : SL_TOKEN_USER;
        sl_status s = set(w, a->id, a->text, a->len, type);
        if (s != SL_OK) return s;
        if (!(a->lstrip || a->rstrip || a->single_word)) continue;
        if (flagged++ == 0) first = a->text;
    }
    if (flagged)
        sl_notes_add(w->notes,
                     "%s: %d added tokens (the first is \"%.40s\") take in the spaces beside them or want to be words; GGUF "
                     "cannot say that",
                     w->folder->origin, flagged, first);
    return SL_OK;
}

static sl_status put_tokens(writer *w) {
    const char *text;
    json_t *value;
    bool chars = w->t->kind == SL__CHARS;
    int most = w->t->vocabulary.count;
    w->v->count = w->folder->rows > 0 ? w->folder->rows : most;
    if (w->v->count < most)
        sl_notes_add(w->notes, "%s: %d tokens are beyond the %d rows of the embedding and are left out", w->folder->origin,
                     most - w->v->count, w->v->count);
    w->token = sl_arena_array(w->arena, SL_MEM_VOCABULARY, (size_t)w->v->count, sizeof *w->token);
    if (!w->token) return no_memory(w);
    w->v->tokens = w->token;
    sl_status s = SL_OK;
    json_object_foreach(w->vocab, text, value) {
        int64_t id = json_integer_value(value);
        int type = chars && sl__byte_name(text, strlen(text)) >= 0 ? SL_TOKEN_BYTE : chars && id == w->t->unk ? SL_TOKEN_UNKNOWN : SL_TOKEN_NORMAL;
        if ((s = set(w, id, text, strlen(text), type)) != SL_OK) return s;
    }
    s = put_added(w);
    return s == SL_OK ? fill_holes(w) : s;
}

/* ---- Byte-level: merges ---- */

static sl_status put_merge(writer *w, const json_t *merge, sl_vocab_merge *to) {
    json_t *left = json_array_get(merge, 0), *right = json_array_get(merge, 1);
    const char *text = json_string_value(merge);
    size_t len = text ? json_string_length(merge) : 0;
    char *copy;
    if (!text) { /* a pair; both are texts, as opening has seen */
        size_t l = json_string_length(left), r = json_string_length(right);
        copy = sl_arena_alloc(w->arena, SL_MEM_VOCABULARY, l + r + 2);
        if (!copy) return no_memory(w);
        memcpy(copy, json_string_value(left), l);
        copy[l] = ' ';
        memcpy(copy + l + 1, json_string_value(right), r);
        len = l + r + 1;
        if (memchr(copy, ' ', l) || memchr(copy + l + 1, ' ', r)) return no_form(w, "a merge whose parts contain a space");
    } else if (!(copy = sl_arena_copy(w->arena, SL_MEM_VOCABULARY, text, len))) {
        return no_memory(w);
    }
    *to = (sl_vocab_merge){copy, (uint32_t)len};
    return SL_OK;
}

static sl_status put_merges(writer *w, const sl_json *merges) {
    size_t count = json_array_size(merges->v);
    sl_vocab_merge *merge = sl_arena_array(w->arena, SL_MEM_VOCABULARY, count + 1, sizeof *merge);
    sl_status s = merge ? SL_OK : no_memory(w);
    for (size_t i = 0; i < count && s == SL_OK; i++) s = put_merge(w, json_array_get(merges->v, i), &merge[i]);
    w->v->merges = merge;
    w->v->merge_count = (int)count;
    return s;
}

static sl_status byte_level(writer *w, const sl_json *merges) {
    const sl_tokenizer *t = w->t;
    bool space = false;
    const char *name = sl__pre_name(t, w->arena, &space);
    sl_buffer what = {0};
    w->v->model = "gpt2";
    if (name) {
        w->v->pre = name;
        if (space) {
            w->v->add_space_prefix = 1;
            sl_notes_add(w->notes, "%s: a space is put before every text, which llama.cpp does not do for this kind", w->folder->origin);
        }
        return put_merges(w, merges);
    }
    sl_buffer_puts(&what, "no name of a pre-tokenizer stands for its pipeline (");
    for (int i = 0; i < t->normalizers; i++) sl_buffer_puts(&what, t->normalizer[i].kind == SL__NFC ? "NFC, " : "another normalizer, ");
    for (int i = 0; i < t->splitters; i++)
        sl_buffer_printf(&what, "%s%.120s", i ? ", then " : "", t->splitter[i].pattern ? t->splitter[i].pattern : "a space before");
    sl_buffer_printf(&what, "%s)", t->ignore_merges ? ", whole words first" : "");
    sl_status s = no_form(w, sl_buffer_text(&what));
    sl_buffer_done(&what);
    return s;
}

/* ---- SentencePiece: scores ---- */

typedef struct span {
    uint32_t first, last, count; /* ranks of the merges that make a token */
} span;

/* Does some other pair of tokens make this one, which no merge lists? */
static bool has_other_pair(const writer *w, int id, uint32_t listed) {
    const sl__vocabulary *v = &w->t->vocabulary;
    const char *text = sl__vocabulary_text(v, v->key[id]);
    uint32_t len = v->key[id].len, pairs = 0;
    for (uint32_t i = 1; i < len; i++) {
        if (((uint8_t)text[i] & 0xC0) == 0x80) continue;
        int left = sl__vocabulary_find(v, text, i), right = sl__vocabulary_find(v, text + i, len - i);
        pairs += left >= 0 && right >= 0 && !(v->flags[left] & SL__BYTE) && !(v->flags[right] & SL__BYTE);
    }
    return pairs > listed;
}

static sl_status merged_id(const writer *w, const json_t *merge, sl_buffer *scratch, int *ret) {
    const char *text = json_string_value(merge);
    sl_buffer_clear(scratch);
    if (text) {
        const char *space = strchr(text, ' ');
        sl_buffer_append(scratch, text, space ? (size_t)(space - text) : strlen(text));
        if (space) sl_buffer_puts(scratch, space + 1);
    } else {
        for (size_t i = 0; i < 2; i++) sl_buffer_puts(scratch, json_string_value(json_array_get(merge, i)));
    }
    if (scratch->failed) return no_memory(w);
    *ret = sl__vocabulary_any(&w->t->vocabulary, scratch->data ? scratch->data : "", scratch->len);
    return SL_OK;
}

static sl_status put_scores(writer *w, const sl_json *merges) {
    int count = w->t->vocabulary.count, id = -1;
    span *made = sl_arena_array(w->arena, SL_MEM_VOCABULARY, (size_t)count, sizeof *made);
    sl_buffer scratch = {0};
    sl_status s = made ? SL_OK : no_memory(w);
    for (size_t i = 0; i < json_array_size(merges->v) && s == SL_OK; i++) {
        s = merged_id(w, json_array_get(merges->v, i), &scratch, &id);
        if (s != SL_OK || id < 0) continue;
        if (made[id].count++ == 0) made[id].first = (uint32_t)i;
        made[id].last = (uint32_t)i;
    }
    sl_buffer_done(&scratch);
    for (int i = 0; i < count && i < w->v->count && s == SL_OK; i++) {
        const span *m = &made[i];
        uint8_t flags = w->t->vocabulary.flags[i];
        w->token[i].score = m->count ? -(float)m->first : 0;
        if (!(flags & SL__PRESENT) || (flags & (SL__ADDED | SL__BYTE))) continue;
        if ((m->count && m->last - m->first + 1 != m->count) || has_other_pair(w, i, m->count))
            s = no_form(w, "its merges are not those of a SentencePiece vocabulary, so that scores cannot stand for them");
    }
    return s;
}

/* Is a space put before a text? In GGUF that is before every piece between two control tokens. */
static sl_status prefix_space(writer *w) {
    const sl_tokenizer *t = w->t;
    bool before = false, spaces = false, other = false;
    for (int i = 0; i < t->normalizers; i++) {
        const sl__normalizer *n = &t->normalizer[i];
        if (n->kind == SL__PREPEND && strcmp(n->to, SL__LOW_LINE) == 0) before = true;
        else if (n->kind == SL__REPLACE && strcmp(n->from, " ") == 0 && strcmp(n->to, SL__LOW_LINE) == 0) spaces = true;
        else other = true;
    }
    for (int i = 0; i < t->splitters; i++) {
        const sl__splitter *sp = &t->splitter[i];
        if (sp->kind != SL__METASPACE) {
            other = true;
            continue;
        }
        spaces = true;
        before = before || sp->prepend != SL__PREPEND_NEVER;
        if (sp->prepend == SL__PREPEND_FIRST)
            sl_notes_add(w->notes,
                         "%s: a space is put before a text's beginning only; readers of GGUF put one after control tokens too",
                         w->folder->origin);
    }
    if (other || !spaces) return no_form(w, "another normalizer or pre-tokenizer than SentencePiece's spaces");
    if (!t->byte_fallback) return no_form(w, "characters without a token do not become bytes");
    w->v->add_space_prefix = before;
    return SL_OK;
}

/* May a text be cut at runs of line breaks? */
static bool lines_stand_alone(const writer *w) {
    const sl__vocabulary *v = &w->t->vocabulary;
    for (int i = 0; i < v->count; i++) {
        const char *text = sl__vocabulary_text(v, v->key[i]);
        uint32_t len = v->key[i].len, breaks = 0;
        if (!(v->flags[i] & SL__KEYED)) continue;
        for (uint32_t k = 0; k < len; k++) breaks += text[k] == '\n';
        if (breaks && breaks < len) return false;
    }
    return true;
}

static sl_status sentencepiece(writer *w, const sl_json *merges) {
    w->v->model = "llama";
    w->v->pre = "default";
    sl_status s = prefix_space(w);
    if (s != SL_OK) return s;
    s = put_scores(w, merges);
    if (s != SL_UNSUPPORTED || w->v->add_space_prefix || w->t->ignore_merges || !w->t->fuse_unk || !lines_stand_alone(w)) return s;
    w->v->model = "gemma4";
    w->v->pre = "gemma4";
    return put_merges(w, merges);
}

/* ---- Special ids ---- */

static sl_status put_around(writer *w) {
    const sl_tokenizer *t = w->t;
    sl_vocab_source *v = w->v;
    v->bos = t->bos;
    v->eos = t->eos;
    if (v->bos < 0 && t->prefix_count == 1) v->bos = t->prefix[0];
    if (v->eos < 0 && t->suffix_count == 1) v->eos = t->suffix[0];
    if (t->prefix_count > 1 || (t->prefix_count && t->prefix[0] != v->bos)) return no_form(w, "it puts other tokens before a text than bos");
    if (t->suffix_count > 1 || (t->suffix_count && t->suffix[0] != v->eos)) return no_form(w, "it puts other tokens after a text than eos");
    v->add_bos = t->prefix_count;
    v->add_eos = t->suffix_count;
    if (t->unk >= 0) v->unk = t->unk;
    int extra = 0;
    for (int i = 0; i < t->vocabulary.count && i < v->count; i++) {
        if (!t->ends[i] || i == v->eos) continue;
        if (extra == 0) v->eot = i;
        if (extra == 1) v->eom = i;
        extra++;
    }
    return SL_OK;
}

static sl_status put_padding(writer *w) {
    sl_json at;
    const char *text = NULL;
    size_t len = 0;
    int64_t id = -1;
    sl_status s = SL_OK;
    if (sl_json_get(&w->config, "pad_token", &at)) s = sl__hf_token_text(&at, &text, &len, w->e);
    if (s != SL_OK) return s;
    const sl__hf_token *a = text ? sl__hf_added_find(&w->added, text, len) : NULL;
    if (text) id = a ? a->id : sl__hf_vocab_id(w->vocab, text);
    else s = sl_json_opt_int(&w->model_config, "pad_token_id", INT32_MIN, INT32_MAX, &id, w->e);
    if (id >= 0 && id < w->v->count) w->v->pad = (int)id;
    return s;
}

/* A text, or a list of named ones, of which the one called default is taken. */
static sl_status put_template(writer *w) {
    sl_json at, item, name;
    const char *text = NULL, *called = "";
    size_t len = 0;
    sl_status s = SL_OK;
    if (!sl_json_get(&w->config, "chat_template", &at)) return SL_OK;
    if (!json_is_array(at.v)) s = sl_json_string(&at, &text, NULL, w->e);
    for (size_t i = 0; json_is_array(at.v) && i < sl_json_size(&at) && s == SL_OK; i++) {
        if (!sl_json_at(&at, i, &item)) continue;
        s = sl_json_opt_string(&item, "name", &called, &len, w->e);
        if (s == SL_OK && strcmp(called, "default") == 0 && sl_json_get(&item, "template", &name)) s = sl_json_string(&name, &text, NULL, w->e);
    }
    if (s != SL_OK || !text) return s;
    w->v->chat_template = sl_arena_copy(w->arena, SL_MEM_VOCABULARY, text, strlen(text));
    return w->v->chat_template ? SL_OK : no_memory(w);
}

static sl_status parse(writer *w, const char *text, size_t len, const char *name, sl_json *ret) {
    if (!text) return SL_OK;
    sl_status s = sl_json_parse_python(text, len, name, ret, w->e);
    return s == SL_OK ? s : sl_error_prefix(w->e, "%s", w->folder->origin);
}

static sl_status write_all(writer *w) {
    sl_json model, vocab, merges;
    if (!sl_json_get(&w->file, "model", &model) || !sl_json_get(&model, "vocab", &vocab) || !sl_json_get(&model, "merges", &merges))
        return sl_json_fail(&w->file, w->e, "model.vocab or model.merges is missing");
    w->vocab = vocab.v;
    sl_status s = sl__hf_added_read(&w->added, w->vocab, &w->file, &w->config, w->e);
    if (s == SL_OK) s = put_tokens(w);
    if (s == SL_OK) s = w->t->kind == SL__BYTES ? byte_level(w, &merges) : sentencepiece(w, &merges);
    if (s == SL_OK) s = put_around(w);
    if (s == SL_OK) s = put_padding(w);
    return s == SL_OK ? put_template(w) : s;
}

sl_status sl_tokenizer_to_gguf(const sl_tokenizer *t, const sl_vocab_source *folder, sl_arena *arena, sl_vocab_source *ret,
                               sl_notes *notes, sl_error *e) {
    sl_vocab_source v = {.pre = "", .bos = -1, .eos = -1, .unk = -1, .eot = -1, .eom = -1, .pad = -1, .add_bos = -1, .add_eos = -1,
                         .add_space_prefix = -1, .origin = folder->origin, .rows = folder->rows};
    writer w = {.t = t, .folder = folder, .arena = arena, .v = &v, .notes = notes, .e = e};
    if (!folder->tokenizer_json) return sl_fail(e, SL_NOT_FOUND, "%s: there is no tokenizer.json", folder->origin);
    sl_status s = parse(&w, folder->tokenizer_json, folder->tokenizer_json_len, "tokenizer.json", &w.file);
    if (s == SL_OK) s = parse(&w, folder->tokenizer_config_json, folder->tokenizer_config_json_len, "tokenizer_config.json", &w.config);
    if (s == SL_OK) s = parse(&w, folder->config_json, folder->config_json_len, "config.json", &w.model_config);
    if (s == SL_OK) s = write_all(&w);
    json_decref(w.file.v);
    json_decref(w.config.v);
    json_decref(w.model_config.v);
    sl__hf_added_done(&w.added);
    if (s == SL_OK) *ret = v;
    return s;
}

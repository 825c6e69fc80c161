/* The added tokens of a Hugging Face folder, from the three places that name some, in the order in which transformers adds
 * them: tokenizer.json's added_tokens, tokenizer_config.json's added_tokens_decoder, and its special parts (bos_token …).
 * A token that has no id anywhere gets the next one, which may lie beyond the model's embedding. */
#include "text/internal.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#define MOST_ADDED (1 << 16)

int64_t sl__hf_vocab_id(const json_t *vocab, const char *text) {
    json_t *v = json_object_get(vocab, text);
    return v ? json_integer_value(v) : -1;
}

/* The slot that holds the token's number + 1, or the empty one where it belongs. */
static uint32_t *slot_of(const sl__hf_added *a, const char *text, size_t len) {
    uint32_t i = (uint32_t)sl_hash_bytes(text, len) & a->mask;
    for (; a->slot[i]; i = (i + 1) & a->mask) {
        const sl__hf_token *t = &a->token[a->slot[i] - 1];
        if (t->len == len && memcmp(t->text, text, len) == 0) break;
    }
    return &a->slot[i];
}

sl__hf_token *sl__hf_added_find(const sl__hf_added *a, const char *text, size_t len) {
    uint32_t number = a->count ? *slot_of(a, text, len) : 0;
    return number ? &a->token[number - 1] : NULL;
}

static sl_status grow(sl__hf_added *a, sl_error *e) {
    size_t cap = a->cap ? a->cap * 2 : 64;
    if (cap > MOST_ADDED) return sl_fail(e, SL_UNSUPPORTED, "tokenizer.json: more than %d added tokens", MOST_ADDED);
    sl__hf_token *token = sl_realloc(a->token, cap, sizeof *token);
    if (token) a->token = token;
    uint32_t *slot = token ? sl_calloc(2 * cap, sizeof *slot) : NULL;
    if (!slot) return sl_fail(e, SL_NOMEM, "no memory for added tokens");
    sl_free(a->slot);
    a->slot = slot;
    a->cap = cap;
    a->mask = (uint32_t)(2 * cap - 1);
    for (size_t i = 0; i < a->count; i++) *slot_of(a, a->token[i].text, a->token[i].len) = (uint32_t)i + 1;
    return SL_OK;
}

/* Adds a token that is not there yet; one without an id gets the next. */
static sl_status push(sl__hf_added *a, const json_t *vocab, sl__hf_token token, sl_error *e) {
    int64_t size = (int64_t)json_object_size(vocab);
    if (a->count == a->cap) {
        sl_status s = grow(a, e);
        if (s != SL_OK) return s;
    }
    if (token.id < 0) token.id = sl__hf_vocab_id(vocab, token.text);
    if (token.id < 0) token.id = a->count && a->last >= size ? a->last + 1 : size;
    if (token.id >= SL__MOST_IDS) return sl_fail(e, SL_UNSUPPORTED, "tokenizer_config.json: no id is left for the token \"%.60s\"", token.text);
    if (token.id > a->last) a->last = token.id;
    uint32_t *slot = slot_of(a, token.text, token.len);
    a->token[a->count++] = token;
    *slot = (uint32_t)a->count;
    return SL_OK;
}

/* Adds a token, or puts it in the place of the one with its text, whose id stays. */
static sl_status put(sl__hf_added *a, const json_t *vocab, sl__hf_token token, sl_error *e) {
    sl__hf_token *known = sl__hf_added_find(a, token.text, token.len);
    if (!known) return push(a, vocab, token, e);
    token.id = known->id;
    *known = token;
    return SL_OK;
}

static sl_status read_flags(const sl_json *at, sl__hf_token *a, sl_error *e) {
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

/* The list's ids are what a token was expected to have, and no more: the tokenizers package gives it the vocabulary's, or the next
 * one, in the list's order, and the model was trained on that. Only where the next one could be a vocabulary's (that package then
 * gives it to both) the list's is taken. */
static void note_moved(sl__hf_added *a, const char *text, size_t len, int64_t said) {
    const sl__hf_token *t = sl__hf_added_find(a, text, len);
    if (t->id == said || a->moved++) return;
    a->first_moved = (size_t)(t - a->token);
    a->said = said;
}

/* tokenizer.json: added_tokens */
static sl_status read_list(sl__hf_added *a, const json_t *vocab, const sl_json *file, sl_error *e) {
    sl_json list, at, id;
    sl_status s;
    if (!sl_json_get(file, "added_tokens", &list)) return SL_OK;
    if ((s = sl_json_array(&list, MOST_ADDED, e)) != SL_OK) return s;
    for (size_t i = 0; i < sl_json_size(&list); i++) {
        sl__hf_token t = {0};
        if (!sl_json_at(&list, i, &at)) return sl_json_fail(&list, e, "an entry is null");
        if ((s = read_flags(&at, &t, e)) != SL_OK) return s;
        if (!sl_json_get(&at, "id", &id)) return sl_json_fail(&at, e, "id is missing");
        if ((s = sl_json_int(&id, 0, SL__MOST_IDS - 1, &t.id, e)) != SL_OK) return s;
        if (!t.len) continue;
        int64_t said = t.id;
        if (!a->holes || sl__hf_vocab_id(vocab, t.text) >= 0) t.id = -1;
        if ((s = put(a, vocab, t, e)) != SL_OK) return s;
        note_moved(a, t.text, t.len, said);
    }
    return SL_OK;
}

/* A decimal token id; -1 if the text is none. */
static int64_t number_of(const char *text) {
    int64_t id = 0;
    if (!*text || strlen(text) > 7) return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9') return -1;
        id = id * 10 + (*text - '0');
    }
    return id < SL__MOST_IDS ? id : -1;
}

typedef struct numbered {
    int64_t number;
    const char *key;
} numbered;

static int by_number(const void *a, const void *b) {
    int64_t x = ((const numbered *)a)->number, y = ((const numbered *)b)->number;
    return (x > y) - (x < y);
}

/* tokenizer_config.json: added_tokens_decoder adds tokens, in the order of its keys as numbers, and overrides flags. */
static sl_status read_decoder(sl__hf_added *a, const json_t *vocab, const sl_json *config, sl_error *e) {
    sl_json table;
    sl_status s;
    if (!sl_json_get(config, "added_tokens_decoder", &table)) return SL_OK;
    if ((s = sl_json_object(&table, e)) != SL_OK) return s;
    size_t count = 0;
    numbered *order = sl_calloc(sl_json_size(&table) + 1, sizeof *order);
    if (!order) return sl_fail(e, SL_NOMEM, "no memory for added tokens");
    const char *key;
    json_t *value;
    json_object_foreach(table.v, key, value) order[count++] = (numbered){number_of(key), key};
    qsort(order, count, sizeof *order, by_number);
    for (size_t i = 0; i < count && s == SL_OK; i++) {
        sl_json at;
        sl__hf_token t = {.id = -1};
        if (!sl_json_get(&table, order[i].key, &at)) continue;
        if (order[i].number < 0) s = sl_json_fail(&at, e, "its key is no token id");
        if (s == SL_OK) s = read_flags(&at, &t, e);
        if (s == SL_OK && t.len) s = put(a, vocab, t, e);
    }
    sl_free(order);
    return s;
}

sl_status sl__hf_token_text(const sl_json *at, const char **ret, size_t *ret_len, sl_error *e) {
    sl_json content;
    if (sl_json_get(at, "content", &content)) return sl_json_string(&content, ret, ret_len, e);
    if (json_is_object(at->v)) return sl_json_fail(at, e, "content is missing");
    return sl_json_string(at, ret, ret_len, e);
}

static sl_status add_special(sl__hf_added *a, const json_t *vocab, const sl_json *at, sl_error *e) {
    sl__hf_token t = {.id = -1, .special = true};
    sl_status s = sl__hf_token_text(at, &t.text, &t.len, e);
    if (s != SL_OK || !t.len || sl__hf_added_find(a, t.text, t.len)) return s;
    return push(a, vocab, t, e);
}

/* A list of special tokens, or an object that gives each a part of its own ({"image_token": "<img>"}). */
static sl_status add_all(sl__hf_added *a, const json_t *vocab, const sl_json *list, sl_error *e) {
    sl_json at;
    sl_status s = SL_OK;
    const char *key;
    json_t *value;
    if (json_is_object(list->v)) {
        json_object_foreach(list->v, key, value)
            if (s == SL_OK && sl_json_get(list, key, &at)) s = add_special(a, vocab, &at, e);
        return s;
    }
    s = sl_json_array(list, MOST_ADDED, e);
    for (size_t i = 0; s == SL_OK && i < sl_json_size(list); i++)
        if (sl_json_at(list, i, &at)) s = add_special(a, vocab, &at, e);
    return s;
}

/* Tokens that tokenizer_config.json gives a special part, and tokenizer.json's padding token in place of a pad_token. */
static sl_status read_parts(sl__hf_added *a, const json_t *vocab, const sl_json *file, const sl_json *config, sl_error *e) {
    static const char *const parts[] = {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};
    sl_json at, list, padding;
    sl_status s = SL_OK;
    for (size_t i = 0; i < sizeof parts / sizeof *parts && s == SL_OK; i++) {
        if (sl_json_get(config, parts[i], &at)) s = add_special(a, vocab, &at, e);
        else if (strcmp(parts[i], "pad_token") == 0 && sl_json_get(file, "padding", &padding) && sl_json_get(&padding, "pad_token", &at))
            s = add_special(a, vocab, &at, e);
    }
    if (s == SL_OK && sl_json_get(config, "additional_special_tokens", &list)) s = add_all(a, vocab, &list, e);
    if (s == SL_OK && sl_json_get(config, "extra_special_tokens", &list)) s = add_all(a, vocab, &list, e);
    return s;
}

sl_status sl__hf_added_read(sl__hf_added *a, const json_t *vocab, const sl_json *file, const sl_json *config, sl_error *e) {
    sl_status s = read_list(a, vocab, file, e);
    if (s == SL_OK) s = read_decoder(a, vocab, config, e);
    return s == SL_OK ? read_parts(a, vocab, file, config, e) : s;
}

void sl__hf_added_done(sl__hf_added *a) {
    sl_free(a->token);
    sl_free(a->slot);
    *a = (sl__hf_added){0};
}

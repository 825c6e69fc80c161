/* Encoding: the stages one after the other (internal.h), and what can be asked about a tokenizer. */
#include "text/tokenizer.h"

#include "base/alloc.h"
#include "text/internal.h"

#include <string.h>

#define LONGEST_TEXT (256u << 20)
#define MATCH_LIMIT 100000000u /* backtracks of one match; a long run of spaces alone is worth a million */

sl_tokenizer *sl_tokenizer_free(sl_tokenizer *t) {
    if (!t) return NULL;
    for (int i = 0; i < SL__SPLITTERS; i++) sl__splitter_done(&t->splitter[i]);
    sl_arena_free(t->arena);
    return NULL;
}

static sl_status normalized(sl__encoder *en, const char *text, size_t len, bool first) {
    const sl_tokenizer *t = en->t;
    sl_status s = sl__normalize(t->normalizer, t->normalizers, text, len, en->normal, &text, &len, en->e);
    return s == SL_OK ? sl__trie_cut(en, &t->after, text, len, first, sl__pretokenize) : s;
}

static sl_status prepare(sl__encoder *en) {
    en->match = pcre2_match_data_create(1, NULL);
    en->limits = pcre2_match_context_create(NULL);
    if (!en->match || !en->limits) return sl_fail(en->e, SL_NOMEM, "no memory to tokenise");
    pcre2_set_match_limit(en->limits, MATCH_LIMIT);
    return SL_OK;
}

static void finish(sl__encoder *en) {
    for (int i = 0; i < 2; i++) {
        sl_buffer_done(&en->normal[i]);
        sl_buffer_done(&en->rewritten[i]);
        sl_free(en->words[i].word);
    }
    sl_free(en->symbols);
    sl_free(en->heap);
    pcre2_match_data_free(en->match);
    pcre2_match_context_free(en->limits);
}

sl_status sl_tokenizer_encode(const sl_tokenizer *t, const char *text, size_t len, sl_markup markup, bool add_special,
                              size_t most, sl_ids *ids, sl_error *e) {
    return sl_tokenizer_encode_pausing(t, text, len, markup, add_special, most, NULL, NULL, ids, e);
}

sl_status sl_tokenizer_encode_pausing(const sl_tokenizer *t, const char *text, size_t len, sl_markup markup, bool add_special,
                                      size_t most, bool (*pause)(void *), void *arg, sl_ids *ids, sl_error *e) {
    size_t before = ids->count;
    sl_buffer repaired = {0};
    sl__encoder en = {.t = t, .markup = markup, .ids = ids, .most = before + most, .pause = pause, .pause_arg = arg, .e = e};
    sl_status s = SL_OK;
    if (en.most < before) en.most = SIZE_MAX;
    if (len > LONGEST_TEXT) return sl_fail(e, SL_TOO_LONG, "a text of %zu bytes is longer than the %u that can be tokenised", len, LONGEST_TEXT);
    if (sl_utf8_prefix(text, len) < len) {
        sl_buffer_utf8(&repaired, text, len);
        if (repaired.failed) {
            s = sl_fail(e, SL_NOMEM, "no memory for a text of %zu bytes", len);
            goto fail;
        }
        text = repaired.data;
        len = repaired.len;
    }
    if ((s = prepare(&en)) != SL_OK) goto fail;
    for (int i = 0; add_special && i < t->prefix_count && s == SL_OK; i++) s = sl__emit(&en, t->prefix[i]);
    if (s == SL_OK) s = sl__trie_cut(&en, &t->before, text, len, true, normalized);
    for (int i = 0; add_special && i < t->suffix_count && s == SL_OK; i++) s = sl__emit(&en, t->suffix[i]);
fail:
    if (s != SL_OK) ids->count = before;
    finish(&en);
    sl_buffer_done(&repaired);
    return s;
}

int sl_tokenizer_count(const sl_tokenizer *t) { return t->vocabulary.count; }
int sl_tokenizer_bos(const sl_tokenizer *t) { return t->bos; }
int sl_tokenizer_eos(const sl_tokenizer *t) { return t->eos; }
size_t sl_tokenizer_longest(const sl_tokenizer *t) { return t->longest; }
size_t sl_tokenizer_memory(const sl_tokenizer *t) { return sl_arena_used(t->arena, SL_MEM_VOCABULARY); }

static bool in_range(const sl_tokenizer *t, int id) { return id >= 0 && id < t->vocabulary.count; }

bool sl_tokenizer_ends(const sl_tokenizer *t, int id) { return in_range(t, id) && t->ends[id]; }

bool sl_tokenizer_special(const sl_tokenizer *t, int id) {
    return in_range(t, id) && (t->vocabulary.flags[id] & SL__SPECIAL) != 0;
}

int sl_tokenizer_special_id(const sl_tokenizer *t, const char *text, size_t len) {
    const sl__added *a = sl__trie_find(&t->special, text, len);
    return a ? a->id : -1;
}

const sl_notes *sl_tokenizer_notes(const sl_tokenizer *t) { return &t->notes; }

int sl_tokenizer_prefix(const sl_tokenizer *t) { return t->prefix_count; }
bool sl_tokenizer_adds_bos(const sl_tokenizer *t) { return t->prefix_count && t->bos >= 0 && t->prefix[0] == t->bos; }

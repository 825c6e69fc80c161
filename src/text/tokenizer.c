/* Encoding: the stages one after the other (internal.h), and what can be asked about a tokenizer. */
#include "text/tokenizer.h"

#include "base/alloc.h"
#include "base/checked.h"
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
    sl_status s = sl__normalize_parts(en, text, len, &text, &len);
    return s == SL_OK ? sl__trie_cut(en, &en->t->after, text, len, first, sl__pretokenize) : s;
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
    sl_free(en->parts.run);
    sl_free(en->normal_parts.run);
    sl_buffer_done(&en->joined);
    sl_free(en->symbols);
    sl_free(en->heap);
    pcre2_match_data_free(en->match);
    pcre2_match_context_free(en->limits);
}

sl_status sl_tokenizer_encode(const sl_tokenizer *t, const char *text, size_t len, sl_markup markup, bool add_special,
                              size_t most, sl_ids *ids, sl_error *e) {
    return sl_tokenizer_encode_pausing(t, text, len, markup, add_special, most, NULL, NULL, ids, e);
}

/* The ids of well-formed text after those that *en->ids has; none on failure. */
static sl_status encode(sl__encoder *en, const char *text, size_t len, bool add_special) {
    const sl_tokenizer *t = en->t;
    size_t before = en->ids->count;
    sl_status s = prepare(en);
    for (int i = 0; add_special && i < t->prefix_count && s == SL_OK; i++) s = sl__emit(en, t->prefix[i]);
    if (s == SL_OK) s = sl__trie_cut(en, &t->before, text, len, true, normalized);
    for (int i = 0; add_special && i < t->suffix_count && s == SL_OK; i++) s = sl__emit(en, t->suffix[i]);
    if (s != SL_OK) en->ids->count = before;
    return s;
}

static size_t up_to(const sl_ids *ids, size_t most) { return ids->count + most < most ? SIZE_MAX : ids->count + most; }

static sl_status too_long(size_t len, sl_error *e) {
    return sl_fail(e, SL_TOO_LONG, "a text of %zu bytes is longer than the %u that can be tokenised", len, LONGEST_TEXT);
}

sl_status sl_tokenizer_encode_pausing(const sl_tokenizer *t, const char *text, size_t len, sl_markup markup, bool add_special,
                                      size_t most, bool (*pause)(void *), void *arg, sl_ids *ids, sl_error *e) {
    sl_buffer repaired = {0};
    sl__encoder en = {.t = t, .markup = markup, .ids = ids, .most = up_to(ids, most), .pause = pause, .pause_arg = arg, .e = e};
    if (len > LONGEST_TEXT) return too_long(len, e);
    if (sl_utf8_prefix(text, len) < len) {
        sl_buffer_utf8(&repaired, text, len);
        if (repaired.failed) {
            sl_buffer_done(&repaired);
            return sl_fail(e, SL_NOMEM, "no memory for a text of %zu bytes", len);
        }
        text = repaired.data;
        len = repaired.len;
    }
    sl_status s = encode(&en, text, len, add_special);
    finish(&en);
    sl_buffer_done(&repaired);
    return s;
}

sl_status sl_tokenizer_encode_parts(const sl_tokenizer *t, const char *text, const sl_text_part *part, size_t parts,
                                    bool add_special, size_t most, bool (*pause)(void *), void *arg, sl_ids *ids, sl_error *e) {
    sl__encoder en = {.t = t, .markup = SL_CONTENT, .ids = ids, .most = up_to(ids, most), .pause = pause, .pause_arg = arg, .e = e};
    size_t len = 0;
    sl_status s = SL_OK;
    en.parts.text = text;
    for (size_t i = 0; i < parts && s == SL_OK; i++) {
        if (!sl_add(len, part[i].len, &len) || len > LONGEST_TEXT) s = too_long(len, e);
        else if (!sl__runs_add(&en.parts, part[i].len, part[i].markup)) s = sl_fail(e, SL_NOMEM, "no memory for the parts of a text");
    }
    if (s == SL_OK && sl_utf8_prefix(text, len) < len) s = sl_fail(e, SL_INVALID, "the text is no UTF-8");
    if (s == SL_OK) s = encode(&en, text, len, add_special);
    finish(&en);
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

/* Added tokens: matched as a whole, leftmost first and of those the longest, as the tokenizers package does. */
#include "text/internal.h"

#include "text/scanner.h"

#include <string.h>

#define LONGEST_ADDED 1024 /* bytes; bounds what one position of a text can cost */

sl_status sl__trie_make(sl_arena *a, sl__trie *t, int tokens, size_t bytes, sl_error *e) {
    memset(t->root, 0xFF, sizeof t->root);
    t->cap = tokens;
    if (bytes > INT32_MAX) return sl_fail(e, SL_FORMAT, "added tokens have %zu bytes of text", bytes);
    t->room = (int)bytes;
    if (!tokens) return SL_OK;
    t->added = sl_arena_array(a, SL_MEM_VOCABULARY, (size_t)tokens, sizeof *t->added);
    t->node = sl_arena_array(a, SL_MEM_VOCABULARY, bytes ? bytes : 1, sizeof *t->node);
    if (!t->added || !t->node) return sl_fail(e, SL_NOMEM, "no memory for %d added tokens", tokens);
    return SL_OK;
}

/* The node for `byte` in the list of siblings that *link begins, made at its end if it is missing. */
static int32_t step_or_make(sl__trie *t, int32_t *link, uint8_t byte) {
    while (*link >= 0 && t->node[*link].byte != byte) link = &t->node[*link].sibling;
    if (*link < 0) {
        t->node[t->nodes] = (sl__trie_node){.child = -1, .sibling = -1, .token = -1, .byte = byte};
        *link = t->nodes++;
    }
    return *link;
}

sl_status sl__trie_add(sl__trie *t, const char *text, size_t len, const sl__added *token, sl_error *e) {
    if (len > LONGEST_ADDED)
        return sl_fail(e, SL_UNSUPPORTED, "added token %d has %zu bytes; more than %d are not supported", (int)token->id, len,
                       LONGEST_ADDED);
    if (!len || t->count == t->cap || (size_t)(t->room - t->nodes) < len)
        return sl_fail(e, SL_FORMAT, "added token %d has no text", (int)token->id);
    int32_t node = -1, *link = &t->root[(uint8_t)text[0]];
    for (size_t i = 0; i < len; i++) {
        node = step_or_make(t, link, (uint8_t)text[i]);
        link = &t->node[node].child;
    }
    t->added[t->count] = *token;
    t->node[node].token = t->count++;
    return SL_OK;
}

/* The longest token that begins at text; NULL: none. */
static const sl__added *match_at(const sl__trie *t, const char *text, size_t len, size_t *ret_len) {
    const sl__added *found = NULL;
    int32_t node = t->root[(uint8_t)text[0]];
    for (size_t i = 0; node >= 0;) {
        i++;
        if (t->node[node].token >= 0) {
            found = &t->added[t->node[node].token];
            *ret_len = i;
        }
        if (i == len) break;
        node = t->node[node].child;
        while (node >= 0 && t->node[node].byte != (uint8_t)text[i]) node = t->node[node].sibling;
    }
    return found;
}

const sl__added *sl__trie_find(const sl__trie *t, const char *text, size_t len) {
    int32_t node = -1, next = len ? t->root[(uint8_t)text[0]] : -1;
    for (size_t i = 0; i < len; i++) {
        while (next >= 0 && t->node[next].byte != (uint8_t)text[i]) next = t->node[next].sibling;
        if (next < 0) return NULL;
        node = next;
        next = t->node[node].child;
    }
    return node >= 0 && t->node[node].token >= 0 ? &t->added[t->node[node].token] : NULL;
}

static uint32_t point_before(const char *text, size_t at, size_t *ret_start) {
    do at--;
    while (at && ((uint8_t)text[at] & 0xC0) == 0x80);
    *ret_start = at;
    return sl_utf8_point(text + at);
}

static bool stands_alone(const char *text, size_t len, size_t start, size_t stop) {
    size_t at;
    if (start && sl__is_word(point_before(text, start, &at))) return false;
    return stop == len || !sl__is_word(sl_utf8_point(text + stop));
}

/* The longest token that begins at text and may stand there: a special one only in markup as a whole. What spells a special
 * token in content is text to its end (*ret_len bytes, NULL is returned), as the reference has it. */
static const sl__added *token_at(const sl__encoder *en, const sl__trie *t, const char *text, size_t len, size_t *ret_len) {
    *ret_len = 1;
    if (t->root[(uint8_t)text[0]] < 0) return NULL;
    const sl__added *token = match_at(t, text, len, ret_len);
    if (!token) {
        *ret_len = 1;
        return NULL;
    }
    if (!token->special) return token;
    sl_markup markup;
    size_t run = sl__run_at(en, text, &markup);
    if (run >= *ret_len) return markup == SL_MARKUP ? token : NULL;
    token = match_at(t, text, run, ret_len); /* it would reach into the next part: a shorter one? */
    if (token && (!token->special || markup == SL_MARKUP)) return token;
    *ret_len = 1;
    return NULL;
}

sl_status sl__trie_cut(sl__encoder *en, const sl__trie *t, const char *text, size_t len, bool first, sl__between *between) {
    size_t done = 0;   /* the text before this place has become ids */
    size_t spaces = 0; /* where the last run of white space that rstrip walked over ends: no run is walked over twice */
    sl_status s = SL_OK;
    for (size_t i = 0; t->count && i < len && s == SL_OK;) {
        size_t n, start = i, stop;
        const sl__added *token = token_at(en, t, text + i, len - i, &n);
        i = stop = start + n;
        if (!token) continue;
        if (token->single_word && !stands_alone(text, len, start, stop)) continue;
        for (size_t at; token->lstrip && start > done && sl__is_space(point_before(text, start, &at));) start = at;
        if (token->rstrip) {
            if (stop < spaces) stop = spaces;
            while (stop < len && sl__is_space(sl_utf8_point(text + stop))) {
                int step;
                sl_utf8_next(text + stop, len - stop, &step);
                stop += (size_t)step;
            }
            spaces = stop;
        }
        if (done < start) s = between(en, text + done, start - done, first && done == 0);
        if (s == SL_OK) s = sl__emit(en, token->id);
        done = stop;
    }
    if (s == SL_OK && done < len) s = between(en, text + done, len - done, first && done == 0);
    return s;
}

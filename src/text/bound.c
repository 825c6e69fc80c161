#include "text/internal.h"

/* How few ids a text can become, seen without tokenising it: for a prompt that can never fit.
 *
 * An id covers at most as many bytes as the longest token has, if every byte of the text ends up in some token. That is so
 * unless something drops bytes or makes them fewer on the way: a normalizer that composes or replaces, a special token that
 * swallows white space, a pre-tokenizer that removes what it does not match, unknown characters that are dropped or fused. */

static bool swallows(const sl__trie *t) {
    for (int i = 0; i < t->count; i++)
        if (t->added[i].lstrip || t->added[i].rstrip) return true;
    return false;
}

/* Characters below U+0300 are their own NFC and begin with a byte below 0xCC; the other forms leave only ASCII alone. */
static bool shrinks(const sl__normalizer *n, const char *text, size_t len) {
    if (n->kind == SL__PREPEND) return false;
    if (n->kind == SL__REPLACE) return n->to_len < n->from_len;
    uint8_t least = n->kind == SL__NFC ? 0xCC : 0x80;
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)text[i] >= least) return true;
    return false;
}

static bool drops_unknown(const sl_tokenizer *t) {
    bool bytes = t->kind == SL__BYTES || t->byte_fallback;
    for (int i = 0; i < 256 && bytes; i++) bytes = t->byte_id[i] >= 0;
    return !bytes && (t->unk < 0 || t->fuse_unk);
}

size_t sl_tokenizer_least(const sl_tokenizer *t, const char *text, size_t len) {
    if (swallows(&t->before) || swallows(&t->after) || drops_unknown(t)) return 0;
    for (int i = 0; i < t->splitters; i++)
        if (t->splitter[i].kind == SL__SPLIT && !(t->splitter[i].keep_gaps && t->splitter[i].keep_matches)) return 0;
    size_t longest = t->longest > t->vocabulary.longest_key ? t->longest : t->vocabulary.longest_key;
    if (longest < 4) longest = 4; /* an unknown character */
    size_t least = (len + longest - 1) / longest;
    if (least < 2) return least;  /* nothing is gained by looking further */
    for (int i = 0; i < t->normalizers; i++)
        if (shrinks(&t->normalizer[i], text, len)) return 0;
    return least;
}

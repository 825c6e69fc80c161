/* Which parts of a text are markup, where special tokens are themselves, and which are content, where they are text.
 *
 * Tokens that are matched in the raw text are found by their place in it. Those that are matched in normalised text (few
 * vocabularies have special ones among them) need the places in that: such a piece is then normalised part by part, so that its
 * parts are known. A character that would combine with the one before it across two parts does not: a text of the client never
 * changes the template's. */
#include "text/internal.h"

#include "base/alloc.h"

bool sl__runs_add(sl__runs *r, size_t bytes, sl_markup markup) {
    if (!bytes) return true;
    struct sl__run *last = r->count ? &r->run[r->count - 1] : NULL;
    r->len += bytes;
    if (last && last->markup == markup) {
        last->end = r->len;
        return true;
    }
    if (r->count == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 32;
        struct sl__run *grown = sl_realloc(r->run, cap, sizeof *grown);
        if (!grown) return false;
        r->run = grown;
        r->cap = cap;
    }
    r->run[r->count++] = (struct sl__run){r->len, markup};
    return true;
}

static bool holds(const sl__runs *r, const char *at) { return r->text && r->count && at >= r->text && at < r->text + r->len; }

size_t sl__run_at(const sl__encoder *en, const char *at, sl_markup *ret) {
    const sl__runs *r = holds(&en->normal_parts, at) ? &en->normal_parts : &en->parts;
    if (!holds(r, at)) { /* no parts, or what was made of a part without special tokens */
        *ret = en->markup;
        return SIZE_MAX;
    }
    size_t place = (size_t)(at - r->text), low = 0, high = r->count - 1; /* the first run that ends behind it */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->run[middle].end <= place) low = middle + 1;
        else high = middle;
    }
    *ret = r->run[low].markup;
    return r->run[low].end - place;
}

static bool has_special(const sl__trie *t) {
    for (int i = 0; i < t->count; i++)
        if (t->added[i].special) return true;
    return false;
}

sl_status sl__normalize_parts(sl__encoder *en, const char *text, size_t len, const char **ret, size_t *ret_len) {
    const sl_tokenizer *t = en->t;
    sl__runs *to = &en->normal_parts;
    to->text = NULL; /* until it is made */
    to->count = to->len = 0;
    if (!en->parts.count || !t->normalizers || !has_special(&t->after))
        return sl__normalize(t->normalizer, t->normalizers, text, len, en->normal, ret, ret_len, en->e);
    sl_buffer_clear(&en->joined);
    sl__normalizer rest[SL__NORMALIZERS]; /* what is put before a piece is not put before each of its parts */
    int rest_count = 0;
    for (int i = 0; i < t->normalizers; i++)
        if (t->normalizer[i].kind != SL__PREPEND) rest[rest_count++] = t->normalizer[i];
    for (size_t done = 0, n; done < len; done += n) {
        sl_markup markup;
        const char *part;
        size_t part_len;
        n = sl__run_at(en, text + done, &markup);
        if (n > len - done) n = len - done;
        sl_status s = sl__normalize(done ? rest : t->normalizer, done ? rest_count : t->normalizers, text + done, n, en->normal, &part,
                                    &part_len, en->e);
        if (s != SL_OK) return s;
        sl_buffer_append(&en->joined, part, part_len);
        if (en->joined.failed || !sl__runs_add(to, part_len, markup)) return sl_fail(en->e, SL_NOMEM, "no memory to normalise text");
    }
    *ret = to->text = en->joined.data;
    *ret_len = en->joined.len;
    return SL_OK;
}

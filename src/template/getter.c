/* getter.c: attributes by their path, and sorting by them. */
#include "template/internal.h"

static bool add_part(sl__render *r, sl__getter *g, const sl__string *s, size_t from, size_t to) {
    sl__value part;
    if (g->parts == sizeof g->part / sizeof *g->part) return sl__fail(r, SL_UNSUPPORTED, "an attribute of more than 16 parts is not supported");
    if (!sl__part(r, s, from, to - from, &part)) return false;
    bool digits = to > from, large;
    const char *text = sl__bytes(part.s);
    for (size_t i = 0; i < part.s->len; i++) digits &= text[i] >= '0' && text[i] <= '9';
    int64_t number;
    if (digits && sl__parse_int(text, part.s->len, 10, &number, &large)) part = sl__int(number);
    g->part[g->parts++] = part;
    return true;
}

bool sl__getter_make(sl__render *r, const sl__value *attribute, const sl__value *otherwise, bool lower, sl__getter *ret) {
    *ret = (sl__getter){.otherwise = otherwise && otherwise->kind != SL__MISSING && otherwise->kind != SL__NONE ? otherwise : NULL, .lower = lower};
    if (!attribute || attribute->kind == SL__MISSING || attribute->kind == SL__NONE) return true;
    if (attribute->kind != SL__STRING) {
        ret->part[ret->parts++] = *attribute;
        return true;
    }
    const char *text = sl__bytes(attribute->s);
    size_t from = 0;
    for (size_t i = 0; i <= attribute->s->len; i++) {
        if (i < attribute->s->len && text[i] != '.') continue;
        if (!add_part(r, ret, attribute->s, from, i)) return false;
        from = i + 1;
    }
    return true;
}

bool sl__getter_get(sl__render *r, const sl__getter *g, const sl__value *item, sl__value *ret) {
    sl__value v = *item;
    for (size_t i = 0; i < g->parts; i++) {
        if (!sl__getitem(r, &v, &g->part[i], &v)) return false;
        if (g->otherwise && v.kind == SL__UNDEFINED) v = *g->otherwise;
    }
    if (g->lower && v.kind == SL__STRING && !sl__change_case(r, v.s, SL__LOWER, &v)) return false;
    *ret = v;
    return true;
}

/* Merges [at, mid) and [mid, end) of `from` into `to`; order holds numbers of items. */
static bool merge(sl__render *r, const sl__value *key, bool reverse, const size_t *from, size_t at, size_t mid, size_t end, size_t *to) {
    size_t left = at, right = mid;
    for (size_t k = at; k < end; k++) {
        bool take_right = left == mid;
        if (left < mid && right < end) {
            const sl__value *a = &key[from[left]], *b = &key[from[right]];
            if (!sl__less(r, "<", reverse ? a : b, reverse ? b : a, &take_right)) return false;
        }
        to[k] = take_right ? from[right++] : from[left++];
    }
    return true;
}

bool sl__sort(sl__render *r, sl__items *items, sl__items *keys, bool reverse) {
    size_t n = items->used;
    if (n < 2) return true;
    size_t *order = sl__take(r, n * 2 * sizeof *order), *other = order + n;
    sl__value *sorted = sl__take(r, n * 2 * sizeof *sorted);
    if (!order || !sorted) return false;
    for (size_t i = 0; i < n; i++) order[i] = i;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t at = 0; at < n; at += 2 * width) {
            size_t mid = at + width < n ? at + width : n, end = at + 2 * width < n ? at + 2 * width : n;
            if (!merge(r, keys->at, reverse, order, at, mid, end, other)) return false;
        }
        size_t *swap = order;
        order = other;
        other = swap;
    }
    for (size_t i = 0; i < n; i++) {
        sorted[i] = items->at[order[i]];
        sorted[n + i] = keys->at[order[i]];
    }
    memcpy(items->at, sorted, n * sizeof *sorted);
    memcpy(keys->at, sorted + n, n * sizeof *sorted);
    return true;
}

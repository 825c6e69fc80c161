/* tojson.c: the filter tojson as transformers defines it: Python's json.dumps with ensure_ascii off, and its options. */
#include "template/internal.h"

#include <math.h>
#include <stdio.h>

typedef struct writer {
    sl__render *r;
    sl__store *to;
    const sl__string *between, *colon; /* separators */
    const sl__string *indent;          /* NULL: all on one line */
    bool ascii, sorted;
    int level;
} writer;

static bool write(writer *w, const sl__value *v);

static const char *escaped(const writer *w, uint32_t c, char buffer[16]) {
    switch (c) {
    case '"': return "\\\"";
    case '\\': return "\\\\";
    case '\n': return "\\n";
    case '\r': return "\\r";
    case '\t': return "\\t";
    case '\b': return "\\b";
    case '\f': return "\\f";
    default: break;
    }
    if (c < 0x20 || (w->ascii && c >= 0x7F && c < 0x10000)) return sprintf(buffer, "\\u%04x", c), buffer;
    if (!w->ascii || c < 0x10000) return NULL;
    sprintf(buffer, "\\u%04x\\u%04x", 0xD800 + ((c - 0x10000) >> 10), 0xDC00 + ((c - 0x10000) & 0x3FF));
    return buffer;
}

static bool write_string(writer *w, const sl__string *s) {
    const char *text = sl__bytes(s);
    size_t plain = 0;
    char buffer[16];
    if (!sl__puts(w->r, w->to, "\"")) return false;
    for (size_t at = 0, n; at < s->len; at += n) {
        uint32_t point = sl__point(text + at, s->len - at, &n);
        const char *as = escaped(w, point, buffer);
        if (!as) continue;
        if (!sl__put_part(w->r, w->to, s, plain, at - plain) || !sl__put(w->r, w->to, as, strlen(as), sl__content_at(s, at))) return false;
        plain = at + n;
    }
    return sl__put_part(w->r, w->to, s, plain, s->len - plain) && sl__puts(w->r, w->to, "\"");
}

static bool new_line(writer *w) {
    if (!w->indent) return true;
    if (!sl__puts(w->r, w->to, "\n")) return false;
    for (int i = 0; i < w->level; i++)
        if (!sl__put_whole(w->r, w->to, w->indent)) return false;
    return true;
}

static bool write_float(writer *w, const sl__value *v) {
    char text[32];
    size_t n = sl__float_text(v->f, text);
    if (isnan(v->f)) n = (size_t)sprintf(text, "NaN");
    if (isinf(v->f)) n = (size_t)sprintf(text, v->f < 0 ? "-Infinity" : "Infinity");
    return sl__put(w->r, w->to, text, n, v->content);
}

static bool write_list(writer *w, const sl__list *l) {
    if (!l->count) return sl__puts(w->r, w->to, "[]");
    if (!sl__puts(w->r, w->to, "[")) return false;
    w->level++;
    for (size_t i = 0; i < l->count; i++) {
        if (i && !sl__put_whole(w->r, w->to, w->between)) return false;
        if (!new_line(w) || !write(w, sl__at(l, i))) return false;
    }
    w->level--;
    return new_line(w) && sl__puts(w->r, w->to, "]");
}

static bool write_key(writer *w, const sl__value *key) {
    sl__render *r = w->r;
    switch (key->kind) {
    case SL__STRING: return write_string(w, key->s);
    case SL__NONE: return sl__puts(r, w->to, "\"null\"");
    case SL__BOOL: return sl__puts(r, w->to, key->yes ? "\"true\"" : "\"false\"");
    case SL__INT: case SL__FLOAT: return sl__puts(r, w->to, "\"") && write(w, key) && sl__puts(r, w->to, "\"");
    default: return sl__raise(r, "tojson: keys must be str, int, float, bool or None, not %s", sl__type_name(key));
    }
}

/* The entries in the order of their keys: an insertion sort by halves keeps equal ones as they are. */
static bool sorted_entries(writer *w, const sl__dict *d, const sl__entry **order) {
    for (size_t i = 0; i < d->count; i++) {
        size_t lo = 0, hi = i;
        while (lo < hi) {
            size_t mid = lo + (hi - lo) / 2;
            bool less;
            if (!sl__less(w->r, "<", &d->entry[i].key, &order[mid]->key, &less)) return false;
            if (less) hi = mid;
            else lo = mid + 1;
        }
        if (!sl__charge(w->r, (i - lo) * sizeof *order)) return false;
        memmove(order + lo + 1, order + lo, (i - lo) * sizeof *order);
        order[lo] = &d->entry[i];
    }
    return true;
}

static bool write_dict(writer *w, const sl__dict *d) {
    if (!d->count) return sl__puts(w->r, w->to, "{}");
    const sl__entry **order = NULL;
    if (w->sorted && (!(order = sl__take(w->r, d->count * sizeof *order)) || !sorted_entries(w, d, order))) return false;
    if (!sl__puts(w->r, w->to, "{")) return false;
    w->level++;
    for (size_t i = 0; i < d->count; i++) {
        const sl__entry *e = order ? order[i] : &d->entry[i];
        if (i && !sl__put_whole(w->r, w->to, w->between)) return false;
        if (!new_line(w) || !write_key(w, &e->key) || !sl__put_whole(w->r, w->to, w->colon) || !write(w, &e->value)) return false;
    }
    w->level--;
    return new_line(w) && sl__puts(w->r, w->to, "}");
}

static bool write(writer *w, const sl__value *v) {
    sl__render *r = w->r;
    switch (v->kind) {
    case SL__NONE: return sl__put(r, w->to, "null", 4, v->content);
    case SL__BOOL: return sl__put(r, w->to, v->yes ? "true" : "false", v->yes ? 4 : 5, v->content);
    case SL__INT: return sl__put_repr(r, w->to, v);
    case SL__FLOAT: return write_float(w, v);
    case SL__STRING: return write_string(w, v->s);
    case SL__LIST: case SL__TUPLE: case SL__DICT: break;
    default: return sl__raise(r, "tojson: Object of type %s is not JSON serializable", sl__type_name(v));
    }
    if (!sl__step(r) || !sl__enter(r)) return false;
    bool good = v->kind == SL__DICT ? write_dict(w, v->dict) : write_list(w, v->list);
    sl__leave(r);
    return good;
}

static bool separators(writer *w, const sl__value *v) {
    sl__render *r = w->r;
    sl__items *items;
    sl__value text;
    if (v->kind == SL__MISSING || v->kind == SL__NONE) {
        if (!sl__text(r, w->indent ? "," : ", ", w->indent ? 1 : 2, false, &text)) return false;
        w->between = text.s;
        if (!sl__text(r, ": ", 2, false, &text)) return false;
        w->colon = text.s;
        return true;
    }
    if (!sl__collect(r, v, &items)) return false;
    if (items->used != 2) return sl__raise(r, "tojson: separators must be two strings");
    return sl__want_string(r, &items->at[0], "tojson", &w->between) && sl__want_string(r, &items->at[1], "tojson", &w->colon);
}

/* ensure_ascii indent separators sort_keys */
bool sl__tojson(sl__render *r, const sl__value *self, const sl__args *a, sl__value *ret) {
    writer w = {.r = r, .to = sl__store_new(r, 0)};
    const sl__value *indent = &a->at[1];
    sl__value text;
    if (!w.to) return false;
    w.ascii = a->at[0].kind != SL__MISSING && sl__true(&a->at[0]);
    w.sorted = a->at[3].kind != SL__MISSING && sl__true(&a->at[3]);
    if (indent->kind == SL__STRING) {
        w.indent = indent->s;
    } else if (sl__is_int(indent)) {
        static const char blanks[] = "                                                                ";
        int64_t n = sl__int_of(indent);
        if (n >= (int64_t)sizeof blanks) return sl__fail(r, SL_TOO_MUCH, "tojson: an indent of more than %zu is not supported", sizeof blanks - 1);
        if (!sl__text(r, blanks, n > 0 ? (size_t)n : 0, false, &text)) return false;
        w.indent = text.s;
    } else if (indent->kind != SL__MISSING && indent->kind != SL__NONE) {
        return sl__raise(r, "tojson: indent must be an int or a str, not %s", sl__type_name(indent));
    }
    return separators(&w, &a->at[2]) && write(&w, self) && sl__finish(r, w.to, ret);
}

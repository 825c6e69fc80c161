/* print.c: str() and repr() of values, as Python writes them. */
#include "template/internal.h"

#include <inttypes.h>
#include <stdio.h>

static bool put_int(sl__render *r, sl__store *to, int64_t i, bool content) {
    char text[24];
    return sl__put(r, to, text, (size_t)snprintf(text, sizeof text, "%" PRId64, i), content);
}

/* What stands for a character inside quotes: NULL where it stands for itself. */
static const char *escaped(uint32_t c, char quote, char buffer[16]) {
    if (c == (unsigned char)quote || c == '\\') sprintf(buffer, "\\%c", (char)c);
    else if (c == '\n') return "\\n";
    else if (c == '\r') return "\\r";
    else if (c == '\t') return "\\t";
    else if (c >= 0x20 && c < 0x7F) return NULL;
    else if (c < 0x20 || c == 0x7F) sprintf(buffer, "\\x%02x", c);
    else if (sl__in_class(c, SL__PRINTABLE)) return NULL;
    else sprintf(buffer, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
    return buffer;
}

static bool put_quoted(sl__render *r, sl__store *to, const sl__string *s) {
    const char *text = sl__bytes(s);
    char quote = memchr(text, '\'', s->len) && !memchr(text, '"', s->len) ? '"' : '\'', buffer[16];
    size_t plain = 0;
    if (!sl__put(r, to, &quote, 1, false)) return false;
    for (size_t at = 0, n; at < s->len; at += n) {
        uint32_t point = sl__point(text + at, s->len - at, &n);
        const char *as = escaped(point, quote, buffer);
        if (!as) continue;
        if (!sl__put_part(r, to, s, plain, at - plain) || !sl__put(r, to, as, strlen(as), sl__content_at(s, at))) return false;
        plain = at + n;
    }
    return sl__put_part(r, to, s, plain, s->len - plain) && sl__put(r, to, &quote, 1, false);
}

static bool put_items(sl__render *r, sl__store *to, const sl__list *l) {
    for (size_t i = 0; i < l->count; i++)
        if ((i && !sl__puts(r, to, ", ")) || !sl__put_repr(r, to, sl__at(l, i))) return false;
    return true;
}

static bool put_dict(sl__render *r, sl__store *to, const sl__dict *d) {
    if (!sl__puts(r, to, "{")) return false;
    for (size_t i = 0; i < d->count; i++)
        if ((i && !sl__puts(r, to, ", ")) || !sl__put_repr(r, to, &d->entry[i].key) || !sl__puts(r, to, ": ") ||
            !sl__put_repr(r, to, &d->entry[i].value))
            return false;
    return sl__puts(r, to, "}");
}

static bool put_view(sl__render *r, sl__store *to, const sl__value *v) {
    sl__items *items;
    if (!sl__puts(r, to, sl__type_name(v)) || !sl__puts(r, to, "([") || !sl__collect(r, v, &items)) return false;
    return put_items(r, to, &(sl__list){.items = items, .count = items->used}) && sl__puts(r, to, "])");
}

static bool put_range(sl__render *r, sl__store *to, const sl__range *v) {
    char text[96];
    int n = snprintf(text, sizeof text, "range(%" PRId64 ", %" PRId64, v->start, v->stop);
    if (v->step != 1) n += snprintf(text + n, sizeof text - (size_t)n, ", %" PRId64, v->step);
    return sl__put(r, to, text, (size_t)n, false) && sl__puts(r, to, ")");
}

/* What a template cannot mean to show: Python prints an address. */
static bool put_other(sl__render *r, sl__store *to, const sl__value *v) {
    if (v->kind == SL__MACRO) {
        const sl__string *name = v->macro->node->name;
        if (!name) return sl__puts(r, to, "<Macro anonymous>");
        return sl__puts(r, to, "<Macro ") && put_quoted(r, to, name) && sl__puts(r, to, ">");
    }
    return sl__puts(r, to, "<") && sl__puts(r, to, sl__type_name(v)) && sl__puts(r, to, " object>");
}

static bool put_list(sl__render *r, sl__store *to, const sl__value *v) {
    bool tuple = v->kind == SL__TUPLE;
    return sl__puts(r, to, tuple ? "(" : "[") && put_items(r, to, v->list) && (!tuple || v->list->count != 1 || sl__puts(r, to, ",")) &&
           sl__puts(r, to, tuple ? ")" : "]");
}

static bool put_nested(sl__render *r, sl__store *to, const sl__value *v) {
    switch (v->kind) {
    case SL__LIST: case SL__TUPLE: return put_list(r, to, v);
    case SL__DICT: return put_dict(r, to, v->dict);
    case SL__VIEW: return put_view(r, to, v);
    case SL__RANGE: return put_range(r, to, v->range);
    case SL__SPACE: return sl__puts(r, to, "<Namespace ") && put_dict(r, to, v->space->dict) && sl__puts(r, to, ">");
    case SL__LOOP: {
        int64_t length;
        sl__value index;
        const sl__string *name = sl__constant(r->arena, "index", 5);
        return name && sl__loop_attribute(r, v->loop, name, &index) && sl__loop_length(r, v->loop, &length) &&
               sl__puts(r, to, "<LoopContext ") && put_int(r, to, index.i, false) && sl__puts(r, to, "/") &&
               put_int(r, to, length, false) && sl__puts(r, to, ">");
    }
    default: return put_other(r, to, v);
    }
}

bool sl__put_repr(sl__render *r, sl__store *to, const sl__value *v) {
    char text[32];
    switch (v->kind) {
    case SL__UNDEFINED: return sl__puts(r, to, "Undefined");
    case SL__NONE: return sl__put(r, to, "None", 4, v->content);
    case SL__BOOL: return sl__put(r, to, v->yes ? "True" : "False", v->yes ? 4 : 5, v->content);
    case SL__INT: return put_int(r, to, v->i, v->content);
    case SL__FLOAT: return sl__put(r, to, text, sl__float_text(v->f, text), v->content);
    case SL__STRING:
        if (!v->safe) return put_quoted(r, to, v->s);
        return sl__puts(r, to, "Markup(") && put_quoted(r, to, v->s) && sl__puts(r, to, ")");
    default: break;
    }
    if (!sl__step(r) || !sl__enter(r)) return false;
    bool good = put_nested(r, to, v);
    sl__leave(r);
    return good;
}

bool sl__put_str(sl__render *r, sl__store *to, const sl__value *v) {
    if (v->kind == SL__STRING) return sl__put_whole(r, to, v->s);
    return v->kind == SL__UNDEFINED || sl__put_repr(r, to, v);
}

bool sl__str(sl__render *r, const sl__value *v, sl__value *ret) {
    if (v->kind == SL__STRING) {
        *ret = *v;
        ret->safe = false;
        return true;
    }
    sl__store *to = sl__store_new(r, 0);
    return to && sl__put_str(r, to, v) && sl__finish(r, to, ret);
}

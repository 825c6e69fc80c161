/* text_filters.c: filters of strings. Most take any value and work on str() of it. */
#include "template/internal.h"

typedef const sl__args args;
typedef const sl__value value;

static bool given(value *v) { return v->kind != SL__MISSING; }

/* soft_str(self) */
static bool soft(sl__render *r, value *self, sl__value *ret) {
    if (self->kind == SL__STRING) return *ret = *self, true;
    return sl__str(r, self, ret);
}

static bool change(sl__render *r, value *self, sl__case how, sl__value *ret) {
    sl__value s;
    if (!soft(r, self, &s) || !sl__change_case(r, s.s, how, ret)) return false;
    ret->safe = s.safe;
    return true;
}
static bool upper(sl__render *r, value *self, args *a, sl__value *ret) { return (void)a, change(r, self, SL__UPPER, ret); }
static bool lower(sl__render *r, value *self, args *a, sl__value *ret) { return (void)a, change(r, self, SL__LOWER, ret); }
static bool capitalize(sl__render *r, value *self, args *a, sl__value *ret) { return (void)a, change(r, self, SL__CAPITAL, ret); }

/* A word begins behind white space and - ( { [ <. */
static bool title(sl__render *r, value *self, args *a, sl__value *ret) {
    sl__value s, part;
    sl__store *to = sl__store_new(r, 0);
    (void)a;
    if (!to || !soft(r, self, &s)) return false;
    const char *text = sl__bytes(s.s);
    for (size_t at = 0, n; at < s.s->len;) {
        size_t from = at, first = 0;
        while (at < s.s->len) {
            bool gap = sl__is_space_at(text + at, s.s->len - at, &n) || strchr("-({[<", text[at]);
            if (gap && at > from) break;
            if (!first) first = n;
            at += n;
            if (gap) break;
        }
        if (!sl__part(r, s.s, from, first, &part) || !sl__change_case(r, part.s, SL__UPPER, &part) || !sl__put_whole(r, to, part.s)) return false;
        if (at == from + first) continue;
        if (!sl__part(r, s.s, from + first, at - from - first, &part) || !sl__change_case(r, part.s, SL__LOWER, &part) ||
            !sl__put_whole(r, to, part.s))
            return false;
    }
    return sl__finish(r, to, ret);
}

static bool trim(sl__render *r, value *self, args *a, sl__value *ret) {
    sl__value s;
    const sl__string *chars = NULL;
    if (!soft(r, self, &s)) return false;
    if (given(&a->at[0]) && a->at[0].kind != SL__NONE && !sl__want_string(r, &a->at[0], "trim", &chars)) return false;
    if (!sl__strip(r, s.s, chars, SL__BOTH, ret)) return false;
    ret->safe = s.safe;
    return true;
}

static bool replace(sl__render *r, value *self, args *a, sl__value *ret) {
    sl__value s, old, fresh;
    int64_t count = -1;
    if (given(&a->at[2]) && a->at[2].kind != SL__NONE && !sl__want_int(r, &a->at[2], "replace", &count)) return false;
    return sl__str(r, self, &s) && sl__str(r, &a->at[0], &old) && sl__str(r, &a->at[1], &fresh) && sl__replace(r, s.s, old.s, fresh.s, count, ret);
}

static bool indent(sl__render *r, value *self, args *a, sl__value *ret) {
    sl__value by = {0}, lines;
    int64_t width = 4;
    if (given(&a->at[0]) && a->at[0].kind == SL__STRING) by = a->at[0];
    else if (given(&a->at[0]) && !sl__want_int(r, &a->at[0], "indent", &width)) return false;
    bool first = given(&a->at[1]) && sl__true(&a->at[1]), blank = given(&a->at[2]) && sl__true(&a->at[2]);
    if (self->kind == SL__UNDEFINED) return sl__use_undefined(r, self);
    if (self->kind != SL__STRING) return sl__raise(r, "indent: unsupported operand type(s) for +=: '%s' and 'str'", sl__type_name(self));
    sl__store *to = sl__store_new(r, self->s->len), *blanks = sl__store_new(r, 0);
    if (!to || !blanks) return false;
    if (by.kind != SL__STRING) {
        for (int64_t i = 0; i < width; i++)
            if (!sl__step(r) || !sl__put(r, blanks, " ", 1, false)) return false;
        if (!sl__finish(r, blanks, &by)) return false;
    }
    if (!sl__split_lines(r, self->s, false, &lines)) return false;
    /* Jinja adds a newline first: a text that ends with a line's end has one more line, which is empty. */
    size_t count = lines.list->count;
    const char *text = sl__bytes(self->s);
    size_t end = self->s->len, n = 0;
    if (end) {
        size_t at = end;
        do at--;
        while (at && ((unsigned char)text[at] & 0xC0) == 0x80);
        sl__value last;
        if (!sl__part(r, self->s, at, end - at, &last) || !sl__split_lines(r, last.s, false, &last)) return false;
        n = last.list->count && !sl__at(last.list, 0)->s->len; /* the last character is a line's end */
        if (text[end - 1] == '\r') n = 0;                      /* \r and the newline that is added are one */
    }
    count += n || !end;
    sl__string nothing = {by.s->store, 0, 0, 0};
    if (first && !sl__put_whole(r, to, by.s)) return false;
    for (size_t i = 0; i < count; i++) {
        const sl__string *line = i < lines.list->count ? sl__at(lines.list, i)->s : &nothing;
        if (i && !sl__puts(r, to, "\n")) return false;
        if (i && (blank || line->len) && !sl__put_whole(r, to, by.s)) return false;
        if (!sl__put_whole(r, to, line)) return false;
    }
    if (!sl__finish(r, to, ret)) return false;
    ret->safe = self->safe;
    return true;
}

static bool truncate_(sl__render *r, value *self, args *a, sl__value *ret) {
    int64_t length = 255, leeway = 5, chars;
    sl__value end, part, pieces;
    bool kill = given(&a->at[1]) && sl__true(&a->at[1]);
    if (given(&a->at[0]) && !sl__want_int(r, &a->at[0], "truncate", &length)) return false;
    if (given(&a->at[3]) && a->at[3].kind != SL__NONE && !sl__want_int(r, &a->at[3], "truncate", &leeway)) return false;
    if (given(&a->at[2])) end = a->at[2];
    else if (!sl__text(r, "...", 3, false, &end)) return false;
    const sl__string *tail;
    if (!sl__want_string(r, &end, "truncate", &tail)) return false;
    if (length < (int64_t)sl__chars(tail) || leeway < 0) return sl__raise(r, "truncate: expected length >= %zu and leeway >= 0", sl__chars(tail));
    if (!sl__length(r, self, &chars)) return false;
    *ret = *self;
    if (chars <= length || chars - length <= leeway) return true;
    if (self->kind != SL__STRING) return sl__fail(r, SL_UNSUPPORTED, "truncate of what is no string is not supported");
    if (!sl__slice_string(r, self->s, 0, 1, length - (int64_t)sl__chars(tail), &part)) return false;
    if (!kill) {
        sl__value blank;
        if (!sl__text(r, " ", 1, false, &blank) || !sl__split(r, part.s, blank.s, 1, true, &pieces)) return false;
        part = *sl__at(pieces.list, 0);
    }
    return sl__concat(r, part.s, tail, ret);
}

static bool center(sl__render *r, value *self, args *a, sl__value *ret) {
    sl__value s;
    int64_t width = 80;
    if (given(&a->at[0]) && !sl__want_int(r, &a->at[0], "center", &width)) return false;
    return soft(r, self, &s) && sl__pad(r, s.s, width, NULL, SL__BOTH, ret);
}

static bool wordcount(sl__render *r, value *self, args *a, sl__value *ret) {
    sl__value s;
    int64_t n = 0;
    bool inside = false;
    (void)a;
    if (!soft(r, self, &s) || !sl__charge(r, s.s->len)) return false;
    const char *text = sl__bytes(s.s);
    for (size_t at = 0, len; at < s.s->len; at += len) {
        uint32_t p = sl__point(text + at, s.s->len - at, &len);
        bool word = p == '_' || sl__in_class(p, SL__ALPHA) || sl__in_class(p, SL__DECIMAL) || sl__in_class(p, SL__NUMERIC);
        n += word && !inside;
        inside = word;
    }
    *ret = sl__int(n);
    return true;
}

static bool format(sl__render *r, value *self, args *a, sl__value *ret) {
    sl__value s, with;
    if (a->count && a->names) return sl__raise(r, "can't handle positional and keyword arguments at the same time");
    if (!soft(r, self, &s)) return false;
    if (a->names) {
        sl__dict *d = sl__dict_new(r, a->names);
        if (!d) return false;
        for (size_t i = 0; i < a->names; i++) {
            sl__value key = sl__string_value(a->named[i].name);
            if (!sl__dict_set(r, d, &key, &a->named[i].value)) return false;
        }
        with = sl__dict_value(d);
    } else {
        sl__items *items = sl__items_new(r, a->count);
        if (!items) return false;
        for (size_t i = 0; i < a->count; i++)
            if (!sl__push(r, items, &a->at[i])) return false;
        if (!sl__list_of(r, SL__TUPLE, items, &with)) return false;
    }
    return sl__percent(r, &s, &with, ret);
}

static bool safe(sl__render *r, value *self, args *a, sl__value *ret) {
    (void)a;
    if (!soft(r, self, ret)) return false;
    ret->safe = true;
    return true;
}

static bool escape(sl__render *r, value *self, args *a, sl__value *ret) {
    sl__value s;
    (void)a;
    if (!soft(r, self, &s)) return false;
    return s.safe ? (*ret = s, true) : sl__escape(r, s.s, ret);
}

static bool forceescape(sl__render *r, value *self, args *a, sl__value *ret) {
    sl__value s;
    (void)a;
    return soft(r, self, &s) && sl__escape(r, s.s, ret);
}

const sl__row sl__text_filters[] = {
    {"trim", trim, "chars", 0}, {"upper", upper, "", 0}, {"lower", lower, "", 0}, {"title", title, "", 0},
    {"capitalize", capitalize, "", 0}, {"replace", replace, "old new count", 2}, {"indent", indent, "width first blank", 0},
    {"truncate", truncate_, "length killwords end leeway", 0}, {"center", center, "width", 0}, {"wordcount", wordcount, "", 0},
    {"format", format, NULL, 0}, {"safe", safe, "", 0}, {"escape", escape, "", 0}, {"e", escape, "", 0},
    {"forceescape", forceescape, "", 0}, {0},
};

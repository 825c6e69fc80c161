/* string_methods.c: the methods of str. Of a string that is safe (values.h) the result is safe too, where it is a string. */
#include "template/internal.h"

typedef const sl__args args;
typedef const sl__value value;

static bool given(value *v) { return v->kind != SL__MISSING; }

/* Optional text: NULL for None or nothing. */
static bool text_or_none(sl__render *r, value *v, const char *what, const sl__string **ret) {
    *ret = NULL;
    return !given(v) || v->kind == SL__NONE || sl__want_string(r, v, what, ret);
}

static bool keep(value *self, sl__value *ret, bool good) {
    if (good && ret->kind == SL__STRING) ret->safe = self->safe;
    return good;
}

/* The same for a list or tuple of parts. */
static bool keep_all(value *self, sl__value *ret, bool good) {
    for (size_t i = 0; good && self->safe && i < ret->list->count; i++) ret->list->items->at[ret->list->start + i].safe = true;
    return good;
}

#define CASE(name, how)                                                                                                \
    static bool name(sl__render *r, value *self, args *a, sl__value *ret) {                                            \
        (void)a;                                                                                                       \
        return keep(self, ret, sl__change_case(r, self->s, how, ret));                                                 \
    }
CASE(upper, SL__UPPER)
CASE(lower, SL__LOWER)
CASE(title, SL__TITLE)
CASE(capitalize, SL__CAPITAL)
CASE(swapcase, SL__SWAP)
CASE(casefold, SL__FOLD)

static bool strip_side(sl__render *r, value *self, args *a, sl__side side, const char *what, sl__value *ret) {
    const sl__string *chars;
    return text_or_none(r, &a->at[0], what, &chars) && keep(self, ret, sl__strip(r, self->s, chars, side, ret));
}
static bool strip(sl__render *r, value *self, args *a, sl__value *ret) { return strip_side(r, self, a, SL__BOTH, "strip", ret); }
static bool lstrip(sl__render *r, value *self, args *a, sl__value *ret) { return strip_side(r, self, a, SL__LEFT, "lstrip", ret); }
static bool rstrip(sl__render *r, value *self, args *a, sl__value *ret) { return strip_side(r, self, a, SL__RIGHT, "rstrip", ret); }

static bool split_side(sl__render *r, value *self, args *a, bool right, sl__value *ret) {
    const sl__string *separator;
    int64_t most = -1;
    return text_or_none(r, &a->at[0], "split", &separator) && (!given(&a->at[1]) || sl__want_int(r, &a->at[1], "split", &most)) &&
           keep_all(self, ret, sl__split(r, self->s, separator, most, right, ret));
}
static bool split(sl__render *r, value *self, args *a, sl__value *ret) { return split_side(r, self, a, false, ret); }
static bool rsplit(sl__render *r, value *self, args *a, sl__value *ret) { return split_side(r, self, a, true, ret); }

static bool splitlines(sl__render *r, value *self, args *a, sl__value *ret) {
    int64_t ends = 0;
    if (given(&a->at[0]) && !sl__want_int(r, &a->at[0], "splitlines", &ends)) return false;
    return keep_all(self, ret, sl__split_lines(r, self->s, ends != 0, ret));
}

static bool part_three(sl__render *r, value *self, size_t at, size_t len, sl__value *ret) {
    sl__items *items = sl__items_new(r, 3);
    sl__value v[3];
    const sl__string *s = self->s;
    if (!items || !sl__part(r, s, 0, at, &v[0]) || !sl__part(r, s, at, len, &v[1]) ||
        !sl__part(r, s, at + len, s->len - at - len, &v[2]))
        return false;
    for (int i = 0; i < 3; i++)
        if (!sl__push(r, items, &v[i])) return false;
    return keep_all(self, ret, sl__list_of(r, SL__TUPLE, items, ret));
}

static bool partition_side(sl__render *r, value *self, args *a, bool right, sl__value *ret) {
    const sl__string *separator;
    if (!sl__want_string(r, &a->at[0], "partition", &separator) || !sl__charge(r, self->s->len)) return false;
    if (!separator->len) return sl__raise(r, "empty separator");
    size_t at = right ? sl__find_last(self->s, 0, self->s->len, separator) : sl__find(self->s, 0, self->s->len, separator);
    if (at != SIZE_MAX) return part_three(r, self, at, separator->len, ret);
    return right ? part_three(r, self, 0, 0, ret) : part_three(r, self, self->s->len, 0, ret);
}
static bool partition(sl__render *r, value *self, args *a, sl__value *ret) { return partition_side(r, self, a, false, ret); }
static bool rpartition(sl__render *r, value *self, args *a, sl__value *ret) { return partition_side(r, self, a, true, ret); }

static bool replace(sl__render *r, value *self, args *a, sl__value *ret) {
    const sl__string *old, *fresh;
    int64_t count = -1;
    return sl__want_string(r, &a->at[0], "replace", &old) && sl__want_string(r, &a->at[1], "replace", &fresh) &&
           (!given(&a->at[2]) || sl__want_int(r, &a->at[2], "replace", &count)) &&
           keep(self, ret, sl__replace(r, self->s, old, fresh, count, ret));
}

static bool join(sl__render *r, value *self, args *a, sl__value *ret) {
    sl__store *to = sl__store_new(r, 0);
    sl__cursor c;
    sl__value v;
    int more;
    if (!to || !sl__iterate(r, &a->at[0], &c)) return false;
    for (size_t i = 0; (more = sl__next(r, &c, &v)) == 1; i++) {
        if (v.kind != SL__STRING) return sl__raise(r, "sequence item %zu: expected str instance, %s found", i, sl__type_name(&v));
        if (self->safe && !v.safe && !sl__escape(r, v.s, &v)) return false;
        if ((i && !sl__put_whole(r, to, self->s)) || !sl__put_whole(r, to, v.s)) return false;
    }
    return more == 0 && keep(self, ret, sl__finish(r, to, ret));
}

/* [start, end) in bytes, of the characters that two arguments say. false in *ret_any: nothing can lie there. */
static bool bounds(sl__render *r, value *self, args *a, size_t *ret_from, size_t *ret_to, bool *ret_any) {
    int64_t from = 0, to = INT64_MAX, chars = (int64_t)sl__chars(self->s);
    if (given(&a->at[1]) && a->at[1].kind != SL__NONE && !sl__want_int(r, &a->at[1], "find", &from)) return false;
    if (given(&a->at[2]) && a->at[2].kind != SL__NONE && !sl__want_int(r, &a->at[2], "find", &to)) return false;
    if (from < 0) from = from < -chars ? 0 : from + chars;
    if (to < 0) to = to < -chars ? 0 : to + chars;
    if (to > chars) to = chars;
    *ret_any = from <= to;
    *ret_from = sl__byte_of(self->s, (size_t)from);
    *ret_to = sl__byte_of(self->s, (size_t)to);
    return sl__charge(r, self->s->len);
}

static bool find_side(sl__render *r, value *self, args *a, bool right, sl__value *ret) {
    const sl__string *what;
    size_t from, to, at = SIZE_MAX;
    bool any;
    if (!sl__want_string(r, &a->at[0], "find", &what) || !bounds(r, self, a, &from, &to, &any)) return false;
    if (any) at = right ? sl__find_last(self->s, from, to, what) : sl__find(self->s, from, to, what);
    sl__string before = *self->s;
    before.len = at;
    before.chars = SL__UNCOUNTED;
    *ret = sl__int(at == SIZE_MAX ? -1 : (int64_t)sl__chars(&before));
    return true;
}
static bool find(sl__render *r, value *self, args *a, sl__value *ret) { return find_side(r, self, a, false, ret); }
static bool rfind(sl__render *r, value *self, args *a, sl__value *ret) { return find_side(r, self, a, true, ret); }
static bool found(sl__render *r, const sl__value *ret) { return ret->i >= 0 || sl__raise(r, "substring not found"); }
static bool str_index(sl__render *r, value *self, args *a, sl__value *ret) { return find_side(r, self, a, false, ret) && found(r, ret); }
static bool rindex_(sl__render *r, value *self, args *a, sl__value *ret) { return find_side(r, self, a, true, ret) && found(r, ret); }

static bool count(sl__render *r, value *self, args *a, sl__value *ret) {
    const sl__string *what;
    size_t from, to;
    bool any;
    int64_t n = 0;
    if (!sl__want_string(r, &a->at[0], "count", &what) || !bounds(r, self, a, &from, &to, &any)) return false;
    if (any && !what->len) {
        sl__string part = *self->s;
        part.start += from;
        part.len = to - from;
        part.chars = SL__UNCOUNTED;
        n = (int64_t)sl__chars(&part) + 1;
    } else if (any) {
        for (size_t at = from; (at = sl__find(self->s, at, to, what)) != SIZE_MAX; at += what->len) n++;
    }
    *ret = sl__int(n);
    return true;
}

static bool begins(value *self, size_t from, size_t to, const sl__string *with, bool at_end) {
    if (with->len > to - from) return false;
    return memcmp(sl__bytes(self->s) + (at_end ? to - with->len : from), sl__bytes(with), with->len) == 0;
}

static bool starts_or_ends(sl__render *r, value *self, args *a, bool at_end, sl__value *ret) {
    size_t from, to;
    bool any, yes = false;
    const char *what = at_end ? "endswith" : "startswith";
    const sl__string *s;
    if ((given(&a->at[1]) || given(&a->at[2])) ? !bounds(r, self, a, &from, &to, &any)
                                               : (from = 0, to = self->s->len, any = true, false))
        return false;
    if (a->at[0].kind == SL__TUPLE) {
        for (size_t i = 0; i < a->at[0].list->count && !yes; i++) {
            if (!sl__want_string(r, sl__at(a->at[0].list, i), what, &s)) return false;
            yes = any && begins(self, from, to, s, at_end);
        }
    } else {
        if (a->at[0].kind != SL__STRING) return sl__raise(r, "%s first arg must be str or a tuple of str, not %s", what, sl__type_name(&a->at[0]));
        yes = any && begins(self, from, to, a->at[0].s, at_end);
    }
    *ret = sl__bool(yes);
    return true;
}
static bool startswith(sl__render *r, value *self, args *a, sl__value *ret) { return starts_or_ends(r, self, a, false, ret); }
static bool endswith(sl__render *r, value *self, args *a, sl__value *ret) { return starts_or_ends(r, self, a, true, ret); }

static bool removeprefix(sl__render *r, value *self, args *a, sl__value *ret) {
    const sl__string *s;
    if (!sl__want_string(r, &a->at[0], "removeprefix", &s)) return false;
    size_t n = begins(self, 0, self->s->len, s, false) ? s->len : 0;
    return keep(self, ret, sl__part(r, self->s, n, self->s->len - n, ret));
}
static bool removesuffix(sl__render *r, value *self, args *a, sl__value *ret) {
    const sl__string *s;
    if (!sl__want_string(r, &a->at[0], "removesuffix", &s)) return false;
    size_t n = begins(self, 0, self->s->len, s, true) ? s->len : 0;
    return keep(self, ret, sl__part(r, self->s, 0, self->s->len - n, ret));
}

static bool pad(sl__render *r, value *self, args *a, sl__side side, sl__value *ret) {
    int64_t width;
    const sl__string *fill = NULL;
    return sl__want_int(r, &a->at[0], "center", &width) && (!given(&a->at[1]) || sl__want_string(r, &a->at[1], "center", &fill)) &&
           keep(self, ret, sl__pad(r, self->s, width, fill, side, ret));
}
static bool center(sl__render *r, value *self, args *a, sl__value *ret) { return pad(r, self, a, SL__BOTH, ret); }
static bool ljust(sl__render *r, value *self, args *a, sl__value *ret) { return pad(r, self, a, SL__RIGHT, ret); }
static bool rjust(sl__render *r, value *self, args *a, sl__value *ret) { return pad(r, self, a, SL__LEFT, ret); }

static bool zfill(sl__render *r, value *self, args *a, sl__value *ret) {
    int64_t width;
    sl__value zero, part;
    if (!sl__want_int(r, &a->at[0], "zfill", &width) || !sl__text(r, "0", 1, false, &zero)) return false;
    size_t sign = self->s->len && strchr("+-", *sl__bytes(self->s)) ? 1 : 0;
    if (!sign || width <= (int64_t)sl__chars(self->s)) return keep(self, ret, sl__pad(r, self->s, width, zero.s, SL__LEFT, ret));
    if (!sl__part(r, self->s, sign, self->s->len - sign, &part) || !sl__pad(r, part.s, width - 1, zero.s, SL__LEFT, &part)) return false;
    sl__value head;
    return sl__part(r, self->s, 0, sign, &head) && keep(self, ret, sl__concat(r, head.s, part.s, ret));
}

static bool expandtabs(sl__render *r, value *self, args *a, sl__value *ret) {
    int64_t size = 8, column = 0;
    sl__store *to = sl__store_new(r, self->s->len);
    const char *text = sl__bytes(self->s);
    if (!to || (given(&a->at[0]) && !sl__want_int(r, &a->at[0], "expandtabs", &size))) return false;
    if (size > 1000) return sl__fail(r, SL_UNSUPPORTED, "tabs of more than 1000 columns are not supported");
    for (size_t at = 0, n; at < self->s->len; at += n) {
        sl__point(text + at, self->s->len - at, &n);
        if (text[at] != '\t') {
            if (!sl__put_part(r, to, self->s, at, n)) return false;
            column = text[at] == '\n' || text[at] == '\r' ? 0 : column + 1;
            continue;
        }
        for (int64_t add = size > 0 ? size - column % size : 0; add > 0; add--, column++)
            if (!sl__put(r, to, " ", 1, sl__content_at(self->s, at))) return false;
    }
    return keep(self, ret, sl__finish(r, to, ret));
}

static bool format(sl__render *r, value *self, args *a, sl__value *ret) {
    if (self->safe) return sl__fail(r, SL_UNSUPPORTED, "format() of a string that is safe is not supported");
    return sl__format(r, self->s, a, ret);
}

static bool format_map(sl__render *r, value *self, args *a, sl__value *ret) {
    sl__args named = {0};
    if (a->at[0].kind != SL__DICT) return sl__raise(r, "format_map() takes a dict");
    const sl__dict *d = a->at[0].dict;
    sl__named *list = sl__take(r, (d->count + 1) * sizeof *list);
    if (!list) return false;
    for (size_t i = 0; i < d->count; i++)
        if (d->entry[i].key.kind == SL__STRING) list[named.names++] = (sl__named){d->entry[i].key.s, d->entry[i].value};
    named.named = list;
    return sl__format(r, self->s, &named, ret);
}

/* Is every character in the class, and is there one? */
static bool all_in(sl__render *r, value *self, sl__class c, sl__class or, bool empty, sl__value *ret) {
    const char *text = sl__bytes(self->s);
    bool yes = empty || self->s->len;
    for (size_t at = 0, n; at < self->s->len && yes; at += n) {
        uint32_t p = sl__point(text + at, self->s->len - at, &n);
        yes = sl__in_class(p, c) || (or != c && (sl__in_class(p, or) || sl__in_class(p, SL__DIGIT) || sl__in_class(p, SL__NUMERIC)));
    }
    *ret = sl__bool(yes);
    return sl__charge(r, self->s->len);
}
#define ALL(name, c, or, empty)                                                                                        \
    static bool name(sl__render *r, value *self, args *a, sl__value *ret) { return (void)a, all_in(r, self, c, or, empty, ret); }
ALL(isalpha_, SL__ALPHA, SL__ALPHA, false)
ALL(isalnum_, SL__ALPHA, SL__DECIMAL, false)
ALL(isdecimal, SL__DECIMAL, SL__DECIMAL, false)
ALL(isdigit_, SL__DIGIT, SL__DIGIT, false)
ALL(isnumeric, SL__NUMERIC, SL__NUMERIC, false)
ALL(isprintable, SL__PRINTABLE, SL__PRINTABLE, true)

static bool isspace_(sl__render *r, value *self, args *a, sl__value *ret) {
    const char *text = sl__bytes(self->s);
    bool yes = self->s->len;
    (void)a;
    for (size_t at = 0, n; at < self->s->len && yes; at += n) yes = sl__is_space_at(text + at, self->s->len - at, &n);
    *ret = sl__bool(yes);
    return sl__charge(r, self->s->len);
}

static bool isascii_(sl__render *r, value *self, args *a, sl__value *ret) {
    (void)a;
    *ret = sl__bool(sl__chars(self->s) == self->s->len);
    return sl__charge(r, self->s->len);
}

static bool isidentifier(sl__render *r, value *self, args *a, sl__value *ret) {
    const char *text = sl__bytes(self->s);
    bool yes = self->s->len;
    (void)a;
    for (size_t at = 0, n; at < self->s->len && yes; at += n)
        yes = sl__in_class(sl__point(text + at, self->s->len - at, &n), at ? SL__WORD_PART : SL__WORD_START);
    *ret = sl__bool(yes);
    return sl__charge(r, self->s->len);
}

/* Letters of one case alone, and at least one. */
static bool only_case(sl__render *r, value *self, sl__class wanted, sl__class other, sl__value *ret) {
    const char *text = sl__bytes(self->s);
    bool any = false, yes = true;
    for (size_t at = 0, n; at < self->s->len && yes; at += n) {
        uint32_t p = sl__point(text + at, self->s->len - at, &n);
        yes = !sl__in_class(p, other);
        any |= sl__in_class(p, wanted);
    }
    *ret = sl__bool(yes && any);
    return sl__charge(r, self->s->len);
}
static bool isupper_(sl__render *r, value *self, args *a, sl__value *ret) { return (void)a, only_case(r, self, SL__IS_UPPER, SL__IS_LOWER, ret); }
static bool islower_(sl__render *r, value *self, args *a, sl__value *ret) { return (void)a, only_case(r, self, SL__IS_LOWER, SL__IS_UPPER, ret); }

static bool istitle(sl__render *r, value *self, args *a, sl__value *ret) {
    const char *text = sl__bytes(self->s);
    bool any = false, yes = true, inside = false;
    (void)a;
    for (size_t at = 0, n; at < self->s->len && yes; at += n) {
        uint32_t p = sl__point(text + at, self->s->len - at, &n);
        bool up = sl__in_class(p, SL__IS_UPPER), low = sl__in_class(p, SL__IS_LOWER);
        yes = up ? !inside : low ? inside : true;
        inside = up || low;
        any |= inside;
    }
    *ret = sl__bool(yes && any);
    return sl__charge(r, self->s->len);
}

static bool not_here(sl__render *r, value *self, args *a, sl__value *ret) {
    (void)self, (void)a, (void)ret;
    return sl__fail(r, SL_UNSUPPORTED, "encode(), maketrans() and translate() are not supported");
}

#define M(name, f, spec, required) {{name, f, spec, required}, false}
const sl__method sl__string_methods[] = {
    M("strip", strip, "_", 0), M("lstrip", lstrip, "_", 0), M("rstrip", rstrip, "_", 0), M("split", split, "sep maxsplit", 0),
    M("rsplit", rsplit, "sep maxsplit", 0), M("startswith", startswith, "_ _ _", 1), M("endswith", endswith, "_ _ _", 1),
    M("replace", replace, "_ _ _", 2), M("join", join, "_", 1), M("upper", upper, "", 0), M("lower", lower, "", 0),
    M("title", title, "", 0), M("capitalize", capitalize, "", 0), M("swapcase", swapcase, "", 0), M("casefold", casefold, "", 0),
    M("splitlines", splitlines, "keepends", 0), M("partition", partition, "_", 1), M("rpartition", rpartition, "_", 1),
    M("find", find, "_ _ _", 1), M("rfind", rfind, "_ _ _", 1), M("index", str_index, "_ _ _", 1), M("rindex", rindex_, "_ _ _", 1),
    M("count", count, "_ _ _", 1), M("removeprefix", removeprefix, "_", 1), M("removesuffix", removesuffix, "_", 1),
    M("center", center, "_ _", 1), M("ljust", ljust, "_ _", 1), M("rjust", rjust, "_ _", 1), M("zfill", zfill, "_", 1),
    M("expandtabs", expandtabs, "tabsize", 0), M("format", format, NULL, 0), M("format_map", format_map, "_", 1),
    M("isalpha", isalpha_, "", 0), M("isalnum", isalnum_, "", 0), M("isdecimal", isdecimal, "", 0), M("isdigit", isdigit_, "", 0),
    M("isnumeric", isnumeric, "", 0), M("isprintable", isprintable, "", 0), M("isspace", isspace_, "", 0),
    M("isascii", isascii_, "", 0), M("isidentifier", isidentifier, "", 0), M("isupper", isupper_, "", 0),
    M("islower", islower_, "", 0), M("istitle", istitle, "", 0), M("encode", not_here, NULL, 0), M("translate", not_here, NULL, 0),
    M("maketrans", not_here, NULL, 0), {{0}, false},
};

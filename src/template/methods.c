/* methods.c: methods of lists, tuples, dicts, numbers and the rest. Those that would change their object are known, so that
 * the sandbox can refuse them. */
#include "template/internal.h"

#include <math.h>

#define UNSAFE(n) {{n, NULL, "", 0}, true}
#define PROPERTY(n, f) {{n, f, NULL, -1}, false}

static bool view(sl__render *r, const sl__value *self, sl__view_kind kind, sl__value *ret) {
    sl__view *v = sl__take(r, sizeof *v);
    if (!v) return false;
    *v = (sl__view){self->dict, kind};
    *ret = (sl__value){.kind = SL__VIEW, .view = v};
    return true;
}

static bool dict_keys(sl__render *r, const sl__value *self, const sl__args *a, sl__value *ret) { return (void)a, view(r, self, SL__KEYS, ret); }
static bool dict_values(sl__render *r, const sl__value *self, const sl__args *a, sl__value *ret) { return (void)a, view(r, self, SL__VALUES, ret); }
static bool dict_items(sl__render *r, const sl__value *self, const sl__args *a, sl__value *ret) { return (void)a, view(r, self, SL__ITEMS, ret); }

static bool dict_get(sl__render *r, const sl__value *self, const sl__args *a, sl__value *ret) {
    const sl__value *found;
    if (!sl__dict_get(r, self->dict, &a->at[0], &found)) return false;
    *ret = found ? *found : a->at[1].kind == SL__MISSING ? SL__VALUE_NONE : a->at[1];
    return true;
}

static bool same(sl__render *r, const sl__value *self, const sl__args *a, sl__value *ret) {
    (void)r, (void)a;
    *ret = *self;
    return true;
}

static bool list_count(sl__render *r, const sl__value *self, const sl__args *a, sl__value *ret) {
    int64_t n = 0;
    bool equal;
    sl__cursor c;
    sl__value v;
    int more;
    if (!sl__iterate(r, self, &c)) return false;
    while ((more = sl__next(r, &c, &v)) == 1) {
        if (!sl__equal(r, &v, &a->at[0], &equal)) return false;
        n += equal;
    }
    *ret = sl__int(n);
    return more == 0;
}

static bool list_index(sl__render *r, const sl__value *self, const sl__args *a, sl__value *ret) {
    int64_t from = 0, to = INT64_MAX, n = 0, count;
    if (a->at[1].kind != SL__MISSING && !sl__want_int(r, &a->at[1], "index", &from)) return false;
    if (a->at[2].kind != SL__MISSING && !sl__want_int(r, &a->at[2], "index", &to)) return false;
    if (!sl__length(r, self, &count)) return false;
    if (from < 0) from = from < -count ? 0 : from + count;
    if (to < 0) to += count;
    sl__cursor c;
    sl__value v;
    bool equal;
    if (!sl__iterate(r, self, &c)) return false;
    for (int more; (more = sl__next(r, &c, &v)) != 0; n++) {
        if (more < 0) return false;
        if (n < from || n >= to) continue;
        if (!sl__equal(r, &v, &a->at[0], &equal)) return false;
        if (equal) return *ret = sl__int(n), true;
    }
    return sl__raise(r, "the value is not in the %s", sl__type_name(self));
}

static bool own_number(sl__render *r, const sl__value *self, const sl__args *a, sl__value *ret) {
    (void)r, (void)a;
    *ret = *self;
    if (self->kind == SL__BOOL) *ret = sl__int(self->yes);
    ret->content = self->content;
    return true;
}

static bool zero(sl__render *r, const sl__value *self, const sl__args *a, sl__value *ret) {
    (void)r, (void)a;
    *ret = self->kind == SL__FLOAT ? sl__float(0) : sl__int(0);
    return true;
}

static bool one(sl__render *r, const sl__value *self, const sl__args *a, sl__value *ret) {
    (void)r, (void)a, (void)self;
    *ret = sl__int(1);
    return true;
}

static bool bit_length(sl__render *r, const sl__value *self, const sl__args *a, sl__value *ret) {
    (void)r, (void)a;
    int64_t i = sl__int_of(self);
    uint64_t n = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    *ret = sl__int(n ? 64 - __builtin_clzll(n) : 0);
    return true;
}

static bool is_integer(sl__render *r, const sl__value *self, const sl__args *a, sl__value *ret) {
    (void)r, (void)a;
    *ret = sl__bool(isfinite(self->f) && floor(self->f) == self->f);
    return true;
}

static bool cycler_next(sl__render *r, const sl__value *self, const sl__args *a, sl__value *ret) {
    (void)r, (void)a;
    sl__cycler *c = self->cycler;
    *ret = *sl__at(c->items, c->at);
    c->at = (c->at + 1) % c->items->count;
    return true;
}

static bool cycler_reset(sl__render *r, const sl__value *self, const sl__args *a, sl__value *ret) {
    (void)r, (void)a;
    self->cycler->at = 0;
    *ret = SL__VALUE_NONE;
    return true;
}

/* dict.fromkeys(items, value=None) of the global dict */
static bool from_keys(sl__render *r, const sl__value *self, const sl__args *a, sl__value *ret) {
    sl__dict *d = sl__dict_new(r, 0);
    sl__cursor c;
    sl__value key, value = a->at[1].kind == SL__MISSING ? SL__VALUE_NONE : a->at[1];
    int more;
    (void)self;
    if (!d || !sl__iterate(r, &a->at[0], &c)) return false;
    while ((more = sl__next(r, &c, &key)) == 1)
        if (!sl__dict_set(r, d, &key, &value)) return false;
    *ret = sl__dict_value(d);
    return more == 0;
}

static const sl__method list_methods[] = {
    {{"count", list_count, "_", 1}, false}, {{"index", list_index, "_ _ _", 1}, false}, {{"copy", same, "", 0}, false},
    UNSAFE("append"), UNSAFE("clear"), UNSAFE("extend"), UNSAFE("insert"), UNSAFE("pop"), UNSAFE("remove"), UNSAFE("reverse"),
    UNSAFE("sort"), {{0}, false},
};
static const sl__method tuple_methods[] = {
    {{"count", list_count, "_", 1}, false}, {{"index", list_index, "_ _ _", 1}, false}, {{0}, false},
};
static const sl__method dict_methods[] = {
    {{"get", dict_get, "_ _", 1}, false}, {{"items", dict_items, "", 0}, false}, {{"keys", dict_keys, "", 0}, false},
    {{"values", dict_values, "", 0}, false}, {{"copy", same, "", 0}, false}, {{"fromkeys", from_keys, "_ _", 1}, false},
    UNSAFE("clear"), UNSAFE("pop"), UNSAFE("popitem"), UNSAFE("setdefault"), UNSAFE("update"), {{0}, false},
};
static const sl__method int_methods[] = {
    PROPERTY("real", own_number), PROPERTY("imag", zero), PROPERTY("numerator", own_number), PROPERTY("denominator", one),
    {{"bit_length", bit_length, "", 0}, false}, {{"conjugate", own_number, "", 0}, false}, {{0}, false},
};
static const sl__method float_methods[] = {
    PROPERTY("real", own_number), PROPERTY("imag", zero), {{"is_integer", is_integer, "", 0}, false},
    {{"conjugate", own_number, "", 0}, false}, {{0}, false},
};
static const sl__method cycler_methods[] = {
    {{"next", cycler_next, "", 0}, false}, {{"reset", cycler_reset, "", 0}, false}, {{0}, false},
};
static const sl__method dict_global_methods[] = {{{"fromkeys", from_keys, "_ _", 1}, false}, {{0}, false}};

const sl__method *sl__find_method(const sl__value *self, const sl__string *name) {
    const sl__method *m = NULL;
    switch (self->kind) {
    case SL__STRING: m = sl__string_methods; break;
    case SL__LIST: m = list_methods; break;
    case SL__TUPLE: case SL__RANGE: m = tuple_methods; break;
    case SL__DICT: m = dict_methods; break;
    case SL__BOOL: case SL__INT: m = int_methods; break;
    case SL__FLOAT: m = float_methods; break;
    case SL__CYCLER: m = cycler_methods; break;
    case SL__LOOP: m = sl__loop_methods; break;
    case SL__GLOBAL: m = strcmp(self->global->row.name, "dict") == 0 ? dict_global_methods : NULL; break;
    default: break;
    }
    for (; m && m->row.name; m++)
        if (sl__is(name, m->row.name)) return m;
    return NULL;
}

/* filters.c: finding a filter, and those that take any value: default, length, int, tojson … */
#include "template/internal.h"

#include <math.h>

typedef const sl__args args;
typedef const sl__value value;

static bool given(value *v) { return v->kind != SL__MISSING; }

static bool default_(sl__render *r, value *self, args *a, sl__value *ret) {
    bool all = given(&a->at[1]) && sl__true(&a->at[1]);
    *ret = *self;
    if (self->kind != SL__UNDEFINED && (!all || sl__true(self))) return true;
    if (!given(&a->at[0])) return sl__text(r, "", 0, false, ret);
    *ret = a->at[0];
    return true;
}

static bool length(sl__render *r, value *self, args *a, sl__value *ret) {
    int64_t n;
    (void)a;
    if (!sl__length(r, self, &n)) return false;
    *ret = sl__int(n);
    return true;
}

static bool string(sl__render *r, value *self, args *a, sl__value *ret) {
    (void)a;
    if (self->kind == SL__STRING) return *ret = *self, true; /* stays safe */
    return sl__str(r, self, ret);
}

static bool to_float(sl__render *r, value *self, double *ret, bool *ret_good) {
    *ret_good = true;
    if (self->kind == SL__UNDEFINED) return sl__use_undefined(r, self);
    if (self->kind == SL__STRING) return *ret_good = sl__parse_float(sl__bytes(self->s), self->s->len, ret), true;
    return *ret_good = sl__number(self, ret), true;
}

static bool int_(sl__render *r, value *self, args *a, sl__value *ret) {
    int64_t i, base = 10;
    bool large = false, good;
    double f;
    sl__value otherwise = given(&a->at[0]) ? a->at[0] : sl__int(0);
    if (given(&a->at[1]) && !sl__want_int(r, &a->at[1], "int", &base)) return false;
    if (sl__is_int(self)) {
        *ret = sl__int(sl__int_of(self));
        ret->content = self->content;
        return true;
    }
    if (self->kind == SL__STRING) {
        if (base == 1 || base < 0 || base > 36) return sl__fail(r, SL_UNSUPPORTED, "int() with the base %d is not supported", (int)base);
        if (sl__parse_int(sl__bytes(self->s), self->s->len, (int)base, &i, &large)) {
            *ret = sl__int(i);
            ret->content = self->s->len && sl__content_at(self->s, 0);
            return true;
        }
        if (large) return sl__fail(r, SL_UNSUPPORTED, "an integer beyond 64 bits is not supported");
    }
    if (!to_float(r, self, &f, &good)) return false;
    if (!good || isnan(f)) return *ret = otherwise, true;
    if (isinf(f)) return self->kind == SL__STRING ? (*ret = otherwise, true) : sl__raise(r, "cannot convert float infinity to integer");
    if (!(fabs(f) < 0x1p63)) return sl__fail(r, SL_UNSUPPORTED, "an integer beyond 64 bits is not supported");
    *ret = sl__int((int64_t)f);
    ret->content = self->content;
    return true;
}

static bool float_(sl__render *r, value *self, args *a, sl__value *ret) {
    double f;
    bool good;
    if (!to_float(r, self, &f, &good)) return false;
    *ret = good ? sl__float(f) : given(&a->at[0]) ? a->at[0] : sl__float(0);
    if (good) ret->content = self->kind == SL__STRING ? self->s->len && sl__content_at(self->s, 0) : self->content;
    return true;
}

static bool abs_(sl__render *r, value *self, args *a, sl__value *ret) {
    (void)a;
    if (self->kind == SL__FLOAT) *ret = sl__float(fabs(self->f));
    else if (sl__is_int(self) && sl__int_of(self) < 0) return sl__negate(r, SL__N_NEG, self, ret);
    else if (sl__is_int(self)) *ret = sl__int(sl__int_of(self));
    else if (self->kind == SL__UNDEFINED) return sl__use_undefined(r, self);
    else return sl__raise(r, "bad operand type for abs(): '%s'", sl__type_name(self));
    ret->content = self->content;
    return true;
}

/* math.ceil or floor of value * 10 ** precision, over 10 ** precision */
static bool round_to(sl__render *r, value *self, int64_t precision, bool up, sl__value *ret) {
    sl__value unit, ten = sl__int(10), digits = sl__int(precision), scaled;
    if (!sl__operate(r, SL__N_POW, &ten, &digits, &unit) || !sl__operate(r, SL__N_MUL, self, &unit, &scaled)) return false;
    if (scaled.kind == SL__FLOAT) {
        double whole = up ? ceil(scaled.f) : floor(scaled.f);
        if (!isfinite(whole)) return sl__raise(r, "cannot convert float infinity or NaN to integer");
        scaled = fabs(whole) < 0x1p63 ? sl__int((int64_t)whole) : sl__float(whole); /* which is whole already */
    }
    return sl__operate(r, SL__N_DIV, &scaled, &unit, ret);
}

static bool round_(sl__render *r, value *self, args *a, sl__value *ret) {
    int64_t precision = 0;
    const sl__string *method = NULL;
    if (given(&a->at[0]) && !sl__want_int(r, &a->at[0], "round", &precision)) return false;
    if (given(&a->at[1]) && !sl__want_string(r, &a->at[1], "round", &method)) return false;
    if (method && !sl__is(method, "common") && !sl__is(method, "ceil") && !sl__is(method, "floor"))
        return sl__raise(r, "method must be common, ceil or floor");
    if (self->kind == SL__UNDEFINED) return sl__use_undefined(r, self);
    if (self->kind != SL__FLOAT && !sl__is_int(self)) return sl__raise(r, "type %s doesn't define __round__ method", sl__type_name(self));
    bool content = self->content;
    if (method && !sl__is(method, "common")) {
        if (!round_to(r, self, precision, sl__is(method, "ceil"), ret)) return false;
    } else if (self->kind == SL__FLOAT) {
        *ret = sl__float(sl__round_float(self->f, precision));
    } else {
        int64_t i = sl__int_of(self), unit = 1;
        for (; precision < 0 && unit <= INT64_MAX / 10; precision++) unit *= 10;
        int64_t rest = precision < 0 ? i : i % unit, half = unit / 2, low = i - rest;
        if (precision < 0) unit = 0, low = 0, rest = 0;
        if (rest < 0) low -= unit, rest += unit;
        bool up = unit > 1 && (rest > half || (rest == half && low / unit % 2 != 0));
        if (up && __builtin_add_overflow(low, unit, &low)) return sl__fail(r, SL_UNSUPPORTED, "an integer beyond 64 bits is not supported");
        *ret = sl__int(unit > 1 || precision < 0 ? low : i);
    }
    ret->content = content;
    return true;
}

static bool items(sl__render *r, value *self, args *a, sl__value *ret) {
    sl__items *all = sl__items_new(r, 0);
    (void)a;
    if (!all) return false;
    if (self->kind == SL__UNDEFINED) return sl__generator(r, all, false, "generator", ret);
    if (self->kind != SL__DICT) {
        sl__raise(r, "Can only get item pairs from a mapping.");
        return sl__generator(r, all, true, "generator", ret);
    }
    sl__view view = {self->dict, SL__ITEMS};
    sl__value v = {.kind = SL__VIEW, .view = &view};
    return sl__collect(r, &v, &all) && sl__generator(r, all, false, "generator", ret);
}

static bool dictsort(sl__render *r, value *self, args *a, sl__value *ret) {
    const sl__string *by = NULL;
    bool sensitive = given(&a->at[0]) && sl__true(&a->at[0]), reverse = given(&a->at[2]) && sl__true(&a->at[2]);
    if (given(&a->at[1]) && !sl__want_string(r, &a->at[1], "dictsort", &by)) return false;
    if (by && !sl__is(by, "key") && !sl__is(by, "value")) return sl__raise(r, "You can only sort by either \"key\" or \"value\"");
    if (self->kind == SL__UNDEFINED) return sl__use_undefined(r, self);
    if (self->kind != SL__DICT) return sl__raise(r, "'%s' object has no attribute 'items'", sl__type_name(self));
    sl__items *keys = sl__items_new(r, self->dict->count), *pairs;
    sl__view view = {self->dict, SL__ITEMS};
    sl__value v = {.kind = SL__VIEW, .view = &view}, key;
    if (!keys || !sl__collect(r, &v, &pairs)) return false;
    for (size_t i = 0; i < self->dict->count; i++) {
        key = by && sl__is(by, "value") ? self->dict->entry[i].value : self->dict->entry[i].key;
        if (!sensitive && key.kind == SL__STRING && !sl__change_case(r, key.s, SL__LOWER, &key)) return false;
        if (!sl__push(r, keys, &key)) return false;
    }
    return sl__sort(r, pairs, keys, reverse) && sl__list_of(r, SL__LIST, pairs, ret);
}

static bool attr(sl__render *r, value *self, args *a, sl__value *ret) {
    const sl__string *name;
    if (!sl__want_string(r, &a->at[0], "attr", &name)) return false;
    sl__value found;
    if (self->kind == SL__DICT && !sl__find_method(self, name)) {
        return sl__undefined_value(r, ret, "'dict object' has no attribute '%.*s'", (int)name->len, sl__bytes(name));
    }
    if (!sl__getattr(r, self, name, &found)) return false;
    *ret = found;
    return true;
}

static bool not_here(sl__render *r, value *self, args *a, sl__value *ret) {
    (void)self, (void)a, (void)ret;
    return sl__fail(r, SL_UNSUPPORTED,
                    "the filters random, pprint, urlize, urlencode, xmlattr, striptags, filesizeformat and wordwrap are not "
                    "supported");
}

const sl__row sl__value_filters[] = {
    {"default", default_, "default_value boolean", 0}, {"d", default_, "default_value boolean", 0}, {"length", length, "", 0},
    {"count", length, "", 0}, {"string", string, "", 0}, {"int", int_, "default base", 0}, {"float", float_, "default", 0},
    {"abs", abs_, "", 0}, {"round", round_, "precision method", 0}, {"items", items, "", 0},
    {"dictsort", dictsort, "case_sensitive by reverse", 0}, {"attr", attr, "name", 1},
    {"tojson", sl__tojson, "ensure_ascii indent separators sort_keys", 0}, {"random", not_here, NULL, 0}, {"pprint", not_here, NULL, 0},
    {"urlize", not_here, NULL, 0}, {"urlencode", not_here, NULL, 0}, {"xmlattr", not_here, NULL, 0}, {"striptags", not_here, NULL, 0},
    {"filesizeformat", not_here, NULL, 0}, {"wordwrap", not_here, NULL, 0}, {0},
};

const sl__row *sl__find_filter(const char *name, size_t len) {
    const sl__row *const tables[] = {sl__value_filters, sl__text_filters, sl__list_filters};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        const sl__row *found = sl__find_row(tables[i], name, len);
        if (found) return found;
    }
    return NULL;
}

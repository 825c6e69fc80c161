/* list_filters.c: filters of lists and of what else can be gone through. Those that are generators in Jinja give an iterator:
 * it is true, has no length, can be gone through once, and fails where Jinja's would only when it gets there. */
#include "template/internal.h"

typedef const sl__args args;
typedef const sl__value value;

static bool given(value *v) { return v->kind != SL__MISSING; }
static bool yes(value *v) { return given(v) && sl__true(v); }

static bool join(sl__render *r, value *self, args *a, sl__value *ret) {
    sl__store *to = sl__store_new(r, 0);
    sl__value separator = {0}, v;
    sl__getter getter;
    sl__cursor c;
    int more;
    if (!to || !sl__getter_make(r, &a->at[1], NULL, false, &getter)) return false;
    if (given(&a->at[0]) && !sl__str(r, &a->at[0], &separator)) return false;
    if (!sl__iterate(r, self, &c)) return false;
    for (size_t i = 0; (more = sl__next(r, &c, &v)) == 1; i++) {
        if (i && separator.kind == SL__STRING && !sl__put_whole(r, to, separator.s)) return false;
        if (!sl__getter_get(r, &getter, &v, &v) || !sl__put_str(r, to, &v)) return false;
    }
    return more == 0 && sl__finish(r, to, ret);
}

static bool first(sl__render *r, value *self, args *a, sl__value *ret) {
    sl__cursor c;
    (void)a;
    if (!sl__iterate(r, self, &c)) return false;
    int more = sl__next(r, &c, ret);
    return more == 0 ? sl__undefined_value(r, ret, "No first item, sequence was empty.") : more > 0;
}

/* What reversed() takes: all but generators. */
static bool reversed_items(sl__render *r, value *self, sl__items **ret) {
    if (self->kind == SL__ITERATOR) return sl__raise(r, "'%s' object is not reversible", sl__type_name(self));
    sl__items *all;
    if (!sl__collect(r, self, &all)) return false;
    for (size_t i = 0; i < all->used / 2; i++) {
        sl__value v = all->at[i];
        all->at[i] = all->at[all->used - 1 - i];
        all->at[all->used - 1 - i] = v;
    }
    *ret = all;
    return true;
}

static bool last(sl__render *r, value *self, args *a, sl__value *ret) {
    int64_t n;
    (void)a;
    if (self->kind == SL__LIST || self->kind == SL__TUPLE || self->kind == SL__STRING || self->kind == SL__RANGE) {
        if (!sl__length(r, self, &n)) return false;
        sl__value at = sl__int(-1);
        if (!n) return sl__undefined_value(r, ret, "No last item, sequence was empty.");
        if (!sl__getitem(r, self, &at, ret)) return false;
        ret->safe = false;
        return true;
    }
    sl__items *all;
    if (!reversed_items(r, self, &all)) return false;
    if (!all->used) return sl__undefined_value(r, ret, "No last item, sequence was empty.");
    *ret = all->at[0];
    return true;
}

static bool list(sl__render *r, value *self, args *a, sl__value *ret) {
    sl__items *all;
    (void)a;
    return sl__collect(r, self, &all) && sl__list_of(r, SL__LIST, all, ret);
}

static bool reverse(sl__render *r, value *self, args *a, sl__value *ret) {
    sl__items *all;
    (void)a;
    if (self->kind == SL__STRING) {
        int64_t n = (int64_t)sl__chars(self->s);
        if (!sl__slice_string(r, self->s, n - 1, -1, n, ret)) return false;
        ret->safe = self->safe;
        return true;
    }
    if (self->kind == SL__ITERATOR) { /* becomes a list */
        sl__iterator *it = self->iterator;
        if (!sl__collect(r, self, &all)) return false;
        sl__list whole = {.items = all, .count = all->used};
        (void)it;
        sl__value v = {.kind = SL__LIST, .list = &whole};
        return reversed_items(r, &v, &all) && sl__list_of(r, SL__LIST, all, ret);
    }
    const char *type = self->kind == SL__LIST ? "list_reverseiterator" : self->kind == SL__RANGE ? "range_iterator" : "reversed";
    return reversed_items(r, self, &all) && sl__generator(r, all, false, type, ret);
}

static bool collect_keys(sl__render *r, sl__items *items, const sl__getter *g, sl__items **ret) {
    if (!(*ret = sl__items_new(r, items->used))) return false;
    for (size_t i = 0; i < items->used; i++) {
        sl__value key;
        if (!sl__getter_get(r, g, &items->at[i], &key) || !sl__push(r, *ret, &key)) return false;
    }
    return true;
}

/* Keys as sort has them: a list of an item's attributes "a,b", or of the item alone. That they are lists shows where two
 * attributes are equal but have no order, as two that are undefined. */
static bool collect_key_lists(sl__render *r, sl__items *items, value *attribute, bool lower, sl__items **ret) {
    sl__value comma, names;
    sl__items *one = sl__items_new(r, 1);
    if (attribute->kind == SL__STRING) {
        if (!sl__text(r, ",", 1, false, &comma) || !sl__split(r, attribute->s, comma.s, -1, false, &names)) return false;
    } else if (!one || !sl__push(r, one, attribute) || !sl__list_of(r, SL__LIST, one, &names)) {
        return false;
    }
    if (!(*ret = sl__items_new(r, items->used))) return false;
    for (size_t i = 0; i < items->used; i++) {
        sl__items *parts = sl__items_new(r, names.list->count);
        sl__value key;
        if (!parts) return false;
        for (size_t k = 0; k < names.list->count; k++) {
            sl__getter g;
            if (!sl__getter_make(r, sl__at(names.list, k), NULL, lower, &g) || !sl__getter_get(r, &g, &items->at[i], &key) ||
                !sl__push(r, parts, &key))
                return false;
        }
        if (!sl__list_of(r, SL__LIST, parts, &key) || !sl__push(r, *ret, &key)) return false;
    }
    return true;
}

static bool sort(sl__render *r, value *self, args *a, sl__value *ret) {
    sl__items *all, *keys;
    return sl__collect(r, self, &all) && collect_key_lists(r, all, &a->at[2], !yes(&a->at[1]), &keys) &&
           sl__sort(r, all, keys, yes(&a->at[0])) && sl__list_of(r, SL__LIST, all, ret);
}

static bool unique_into(sl__render *r, value *self, args *a, sl__items *out) {
    sl__getter g;
    sl__cursor c;
    sl__value v, key, mark = sl__bool(true);
    sl__dict *seen = sl__dict_new(r, 0);
    const sl__value *found;
    int more;
    if (!seen || !sl__getter_make(r, &a->at[1], NULL, !yes(&a->at[0]), &g) || !sl__iterate(r, self, &c)) return false;
    while ((more = sl__next(r, &c, &v)) == 1) {
        if (!sl__getter_get(r, &g, &v, &key) || !sl__dict_get(r, seen, &key, &found)) return false;
        if (!found && (!sl__dict_set(r, seen, &key, &mark) || !sl__push(r, out, &v))) return false;
    }
    return more == 0;
}

/* Fills items by `fill`, and makes a generator of them whether it failed or not. */
typedef bool filling(sl__render *r, value *self, args *a, sl__items *out);
static bool generate(sl__render *r, value *self, args *a, filling *fill, sl__value *ret) {
    sl__items *out = sl__items_new(r, 0);
    int depth = r->depth;
    if (!out) return false;
    bool failed = !fill(r, self, a, out);
    r->depth = depth;
    return sl__generator(r, out, failed, "generator", ret);
}

static bool unique(sl__render *r, value *self, args *a, sl__value *ret) { return generate(r, self, a, unique_into, ret); }

static bool extreme(sl__render *r, value *self, args *a, bool largest, sl__value *ret) {
    sl__getter g;
    sl__cursor c;
    sl__value v, key, best = {0};
    bool better;
    int more;
    if (!sl__getter_make(r, &a->at[1], NULL, !yes(&a->at[0]), &g) || !sl__iterate(r, self, &c)) return false;
    while ((more = sl__next(r, &c, &v)) == 1) {
        if (!sl__getter_get(r, &g, &v, &key)) return false;
        better = true;
        if (best.kind != SL__MISSING && !sl__less(r, largest ? ">" : "<", &key, &best, &better)) return false;
        if (better) *ret = v, best = key;
    }
    if (more < 0) return false;
    return best.kind != SL__MISSING || sl__undefined_value(r, ret, "No aggregated item, sequence was empty.");
}
static bool min_(sl__render *r, value *self, args *a, sl__value *ret) { return extreme(r, self, a, false, ret); }
static bool max_(sl__render *r, value *self, args *a, sl__value *ret) { return extreme(r, self, a, true, ret); }

static bool sum(sl__render *r, value *self, args *a, sl__value *ret) {
    sl__getter g;
    sl__cursor c;
    sl__value v, total = given(&a->at[1]) ? a->at[1] : sl__int(0);
    int more;
    if (total.kind == SL__STRING) return sl__raise(r, "sum() can't sum strings [use ''.join(seq) instead]");
    if (!sl__getter_make(r, &a->at[0], NULL, false, &g) || !sl__iterate(r, self, &c)) return false;
    while ((more = sl__next(r, &c, &v)) == 1)
        if (!sl__getter_get(r, &g, &v, &v) || !sl__operate(r, SL__N_ADD, &total, &v, &total)) return false;
    *ret = total;
    return more == 0;
}

static bool push_list(sl__render *r, sl__items *out, sl__items *part) {
    sl__value v;
    return sl__list_of(r, SL__LIST, part, &v) && sl__push(r, out, &v);
}

static bool batch_into(sl__render *r, value *self, args *a, sl__items *out) {
    int64_t size;
    sl__cursor c;
    sl__value v;
    sl__items *part = sl__items_new(r, 0);
    int more;
    bool fill = given(&a->at[1]) && a->at[1].kind != SL__NONE;
    if (!part || !sl__want_int(r, &a->at[0], "batch", &size) || !sl__iterate(r, self, &c)) return false;
    while ((more = sl__next(r, &c, &v)) == 1) {
        if ((int64_t)part->used == size) {
            if (!push_list(r, out, part) || !(part = sl__items_new(r, 0))) return false;
        }
        if (!sl__push(r, part, &v)) return false;
    }
    if (more < 0) return false;
    if (!part->used) return true;
    while (fill && (int64_t)part->used < size)
        if (!sl__push(r, part, &a->at[1])) return false;
    return push_list(r, out, part);
}
static bool batch(sl__render *r, value *self, args *a, sl__value *ret) { return generate(r, self, a, batch_into, ret); }

static bool slice_into(sl__render *r, value *self, args *a, sl__items *out) {
    int64_t slices;
    sl__items *all;
    bool fill = given(&a->at[1]) && a->at[1].kind != SL__NONE;
    if (!sl__collect(r, self, &all) || !sl__want_int(r, &a->at[0], "slice", &slices)) return false;
    if (!slices) return sl__raise(r, "integer division or modulo by zero");
    if (slices < 0) return true;
    size_t n = (size_t)slices, each = all->used / n, extra = all->used % n, at = 0;
    for (size_t i = 0; i < n; i++) {
        sl__items *part = sl__items_new(r, 0);
        size_t end = at + each + (i < extra);
        if (!part) return false;
        for (; at < end; at++)
            if (!sl__push(r, part, &all->at[at])) return false;
        if (fill && i >= extra && !sl__push(r, part, &a->at[1])) return false;
        if (!push_list(r, out, part)) return false;
    }
    return true;
}
static bool slice(sl__render *r, value *self, args *a, sl__value *ret) { return generate(r, self, a, slice_into, ret); }

static bool groupby(sl__render *r, value *self, args *a, sl__value *ret) {
    sl__getter g, shown;
    sl__items *all, *keys, *out = sl__items_new(r, 0), *part = NULL;
    bool sensitive = yes(&a->at[2]), same;
    if (!out || !sl__getter_make(r, &a->at[0], &a->at[1], !sensitive, &g) || !sl__getter_make(r, &a->at[0], &a->at[1], false, &shown)) return false;
    if (!sl__collect(r, self, &all) || !collect_keys(r, all, &g, &keys) || !sl__sort(r, all, keys, false)) return false;
    for (size_t i = 0; i < all->used; i++) {
        if (i && !sl__equal(r, &keys->at[i - 1], &keys->at[i], &same)) return false;
        if (!i || !same) {
            if (!(part = sl__items_new(r, 0))) return false;
            sl__value key, group;
            if (!sl__getter_get(r, &shown, &all->at[i], &key)) return false;
            /* the list is filled while the group is known already */
            sl__list *members = sl__take(r, sizeof *members);
            if (!members) return false;
            *members = (sl__list){.items = part};
            sl__value list_value = {.kind = SL__LIST, .list = members};
            if (!sl__pair(r, &key, &list_value, &group)) return false;
            ((sl__list *)(uintptr_t)group.list)->group = true;
            if (!sl__push(r, out, &group)) return false;
        }
        if (!sl__push(r, part, &all->at[i])) return false;
        const sl__value *group = &out->at[out->used - 1];
        ((sl__list *)(uintptr_t)sl__at(group->list, 1)->list)->count = part->used;
    }
    return sl__list_of(r, SL__LIST, out, ret);
}

/* The arguments behind the first `skip`. */
static sl__args rest_of(args *a, size_t skip) {
    return (sl__args){.at = a->at + skip, .count = a->count - skip, .named = a->named, .names = a->names};
}

static bool map_into(sl__render *r, value *self, args *a, sl__items *out) {
    sl__cursor c;
    sl__value v;
    int more;
    if (!sl__true(self)) return true;
    const sl__value *attribute = a->count ? NULL : sl__named_arg(a, "attribute");
    sl__getter g;
    const sl__row *filter = NULL;
    sl__args rest = {0};
    if (attribute) {
        for (size_t i = 0; i < a->names; i++)
            if (!sl__is(a->named[i].name, "attribute") && !sl__is(a->named[i].name, "default"))
                return sl__raise(r, "Unexpected keyword argument '%.60s'", sl__bytes(a->named[i].name));
        if (!sl__getter_make(r, attribute, sl__named_arg(a, "default"), false, &g)) return false;
    } else {
        const sl__string *name;
        if (!a->count) return sl__raise(r, "map requires a filter argument");
        if (!sl__want_string(r, &a->at[0], "map", &name)) return false;
        if (!(filter = sl__find_filter(sl__bytes(name), name->len))) return sl__raise(r, "No filter named '%.*s'.", (int)name->len, sl__bytes(name));
        rest = rest_of(a, 1);
    }
    if (!sl__iterate(r, self, &c)) return false;
    while ((more = sl__next(r, &c, &v)) == 1) {
        sl__value result;
        if (attribute ? !sl__getter_get(r, &g, &v, &result) : !sl__call_row(r, filter, &v, &rest, &result)) return false;
        if (!sl__push(r, out, &result)) return false;
    }
    return more == 0;
}
static bool map(sl__render *r, value *self, args *a, sl__value *ret) { return generate(r, self, a, map_into, ret); }

static bool choose(sl__render *r, value *self, args *a, bool attribute, bool wanted, sl__items *out) {
    sl__cursor c;
    sl__value v, subject, result;
    int more;
    sl__getter g = {0};
    const sl__row *test = NULL;
    size_t off = attribute;
    if (!sl__true(self)) return true;
    if (attribute) {
        if (!a->count) return sl__raise(r, "Missing parameter for attribute name");
        if (!sl__getter_make(r, &a->at[0], NULL, false, &g)) return false;
    }
    sl__args rest = {0};
    if (a->count > off) {
        const sl__string *name;
        if (!sl__want_string(r, &a->at[off], "select", &name)) return false;
        if (!(test = sl__find_test(sl__bytes(name), name->len))) return sl__raise(r, "No test named '%.*s'.", (int)name->len, sl__bytes(name));
        rest = rest_of(a, off + 1);
    }
    if (!sl__iterate(r, self, &c)) return false;
    while ((more = sl__next(r, &c, &v)) == 1) {
        if (!sl__getter_get(r, &g, &v, &subject)) return false;
        result = subject;
        if (test && !sl__call_row(r, test, &subject, &rest, &result)) return false;
        if (sl__true(&result) == wanted && !sl__push(r, out, &v)) return false;
    }
    return more == 0;
}
static bool select_into(sl__render *r, value *self, args *a, sl__items *out) { return choose(r, self, a, false, true, out); }
static bool reject_into(sl__render *r, value *self, args *a, sl__items *out) { return choose(r, self, a, false, false, out); }
static bool selectattr_into(sl__render *r, value *self, args *a, sl__items *out) { return choose(r, self, a, true, true, out); }
static bool rejectattr_into(sl__render *r, value *self, args *a, sl__items *out) { return choose(r, self, a, true, false, out); }
static bool select_(sl__render *r, value *self, args *a, sl__value *ret) { return generate(r, self, a, select_into, ret); }
static bool reject(sl__render *r, value *self, args *a, sl__value *ret) { return generate(r, self, a, reject_into, ret); }
static bool selectattr(sl__render *r, value *self, args *a, sl__value *ret) { return generate(r, self, a, selectattr_into, ret); }
static bool rejectattr(sl__render *r, value *self, args *a, sl__value *ret) { return generate(r, self, a, rejectattr_into, ret); }

const sl__row sl__list_filters[] = {
    {"join", join, "d attribute", 0}, {"first", first, "", 0}, {"last", last, "", 0}, {"list", list, "", 0}, {"reverse", reverse, "", 0},
    {"sort", sort, "reverse case_sensitive attribute", 0}, {"unique", unique, "case_sensitive attribute", 0},
    {"min", min_, "case_sensitive attribute", 0}, {"max", max_, "case_sensitive attribute", 0}, {"sum", sum, "attribute start", 0},
    {"batch", batch, "linecount fill_with", 1}, {"slice", slice, "slices fill_with", 1},
    {"groupby", groupby, "attribute default case_sensitive", 1}, {"map", map, NULL, 0}, {"select", select_, NULL, 0},
    {"reject", reject, NULL, 0}, {"selectattr", selectattr, NULL, 0}, {"rejectattr", rejectattr, NULL, 0}, {0},
};

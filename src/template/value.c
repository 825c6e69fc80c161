/* value.c: comparing values, as Python does. Where a string came from makes no difference. */
#include "template/internal.h"

#include "base/hash.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

bool sl__undefined_value(sl__render *r, sl__value *ret, const char *fmt, ...) {
    char text[256];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    sl__undefined *u = sl__take(r, sizeof *u + len + 1);
    if (!u) return false;
    memcpy(u + 1, text, len);
    u->message = (const char *)(u + 1);
    *ret = (sl__value){.kind = SL__UNDEFINED, .undefined = u};
    return true;
}

bool sl__use_undefined(sl__render *r, const sl__value *v) { return sl__raise(r, "%s", v->undefined->message); }

bool sl__true(const sl__value *v) {
    switch (v->kind) {
    case SL__MISSING: case SL__UNDEFINED: case SL__NONE: return false;
    case SL__BOOL: return v->yes;
    case SL__INT: return v->i != 0;
    case SL__FLOAT: return v->f != 0;
    case SL__STRING: return v->s->len != 0;
    case SL__LIST: case SL__TUPLE: return v->list->count != 0;
    case SL__DICT: return v->dict->count != 0;
    case SL__VIEW: return v->view->dict->count != 0;
    case SL__RANGE: return v->range->count != 0;
    default: return true;
    }
}

const char *sl__type_name(const sl__value *v) {
    switch (v->kind) {
    case SL__UNDEFINED: return "Undefined";
    case SL__NONE: return "NoneType";
    case SL__BOOL: return "bool";
    case SL__INT: return "int";
    case SL__FLOAT: return "float";
    case SL__STRING: return v->safe ? "Markup" : "str";
    case SL__LIST: return "list";
    case SL__TUPLE: return "tuple";
    case SL__DICT: return "dict";
    case SL__VIEW: return v->view->kind == SL__KEYS ? "dict_keys" : v->view->kind == SL__VALUES ? "dict_values" : "dict_items";
    case SL__RANGE: return "range";
    case SL__ITERATOR: return v->iterator->type;
    case SL__SPACE: return "Namespace";
    case SL__MACRO: return "Macro";
    case SL__LOOP: return "LoopContext";
    case SL__METHOD: return "builtin_function_or_method";
    case SL__GLOBAL: return v->global->type;
    case SL__CYCLER: return "Cycler";
    case SL__JOINER: return "Joiner";
    case SL__MISSING: break;
    }
    return "missing";
}

void sl__object_name(const sl__value *v, char ret[64]) {
    if (v->kind == SL__NONE) snprintf(ret, 64, "None");
    else snprintf(ret, 64, "%s object", sl__type_name(v));
}

bool sl__number(const sl__value *v, double *ret) {
    if (v->kind != SL__FLOAT && !sl__is_int(v)) return false;
    *ret = v->kind == SL__FLOAT ? v->f : (double)sl__int_of(v);
    return true;
}

/* -1, 0, 1; 2: not comparable (NaN). Exact: a long double holds 64 bits of integer and every double. */
static int compare_numbers(const sl__value *a, const sl__value *b) {
    long double x = a->kind == SL__FLOAT ? (long double)a->f : (long double)sl__int_of(a);
    long double y = b->kind == SL__FLOAT ? (long double)b->f : (long double)sl__int_of(b);
    return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
}

static bool is_number(const sl__value *v) { return v->kind == SL__FLOAT || sl__is_int(v); }

bool sl__identical(const sl__value *a, const sl__value *b) {
    if (a->kind != b->kind) return false;
    switch (a->kind) {
    case SL__NONE: return true;
    case SL__BOOL: return a->yes == b->yes;
    case SL__INT: return a->i == b->i && a->i >= -5 && a->i <= 256; /* those that CPython has once */
    case SL__FLOAT: return false;
    default: return a->s == b->s;
    }
}

static bool equal_lists(sl__render *r, const sl__list *a, const sl__list *b, bool *ret) {
    *ret = a->count == b->count;
    for (size_t i = 0; i < a->count && *ret; i++)
        if (!sl__equal(r, sl__at(a, i), sl__at(b, i), ret)) return false;
    return true;
}

static bool equal_dicts(sl__render *r, const sl__dict *a, const sl__dict *b, bool values, bool *ret) {
    *ret = a->count == b->count;
    for (size_t i = 0; i < a->count && *ret; i++) {
        const sl__value *other;
        if (!sl__dict_get(r, b, &a->entry[i].key, &other)) return false;
        *ret = other != NULL;
        if (other && values && !sl__equal(r, &a->entry[i].value, other, ret)) return false;
    }
    return true;
}

bool sl__equal(sl__render *r, const sl__value *a, const sl__value *b, bool *ret) {
    if (!sl__step(r)) return false;
    if (is_number(a) && is_number(b)) return *ret = compare_numbers(a, b) == 0, true;
    *ret = false;
    if (a->kind != b->kind) return true;
    bool good = true;
    switch (a->kind) {
    case SL__UNDEFINED: case SL__NONE: return *ret = true;
    case SL__STRING: return *ret = sl__same(a->s, b->s), sl__charge(r, a->s->len);
    case SL__RANGE:
        *ret = a->range->count == b->range->count && (!a->range->count || a->range->start == b->range->start) &&
               (a->range->count < 2 || a->range->step == b->range->step);
        return true;
    case SL__LIST: case SL__TUPLE:
        if (a->list == b->list) return *ret = true;
        if (!sl__enter(r)) return false;
        good = equal_lists(r, a->list, b->list, ret);
        sl__leave(r);
        return good;
    case SL__DICT:
        if (a->dict == b->dict) return *ret = true;
        if (!sl__enter(r)) return false;
        good = equal_dicts(r, a->dict, b->dict, true, ret);
        sl__leave(r);
        return good;
    case SL__VIEW:
        if (a->view->kind != b->view->kind || a->view->kind == SL__VALUES) return *ret = a->view == b->view, true;
        return equal_dicts(r, a->view->dict, b->view->dict, a->view->kind == SL__ITEMS, ret);
    default: return *ret = a->s == b->s, true;
    }
}

static bool holds(const char *op, int order) {
    if (order == 2) return false;
    return op[0] == '<' ? order < 0 || (op[1] && order == 0) : order > 0 || (op[1] && order == 0);
}

static bool less_lists(sl__render *r, const char *op, const sl__list *a, const sl__list *b, bool *ret) {
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        bool same;
        if (!sl__equal(r, sl__at(a, i), sl__at(b, i), &same)) return false;
        if (!same) return sl__less(r, op, sl__at(a, i), sl__at(b, i), ret);
    }
    *ret = holds(op, a->count < b->count ? -1 : a->count > b->count);
    return true;
}

bool sl__less(sl__render *r, const char *op, const sl__value *a, const sl__value *b, bool *ret) {
    if (!sl__step(r)) return false;
    if (is_number(a) && is_number(b)) return *ret = holds(op, compare_numbers(a, b)), true;
    if (a->kind == SL__UNDEFINED || b->kind == SL__UNDEFINED) return sl__use_undefined(r, a->kind == SL__UNDEFINED ? a : b);
    if (a->kind == SL__STRING && b->kind == SL__STRING) {
        size_t n = a->s->len < b->s->len ? a->s->len : b->s->len;
        int order = n ? memcmp(sl__bytes(a->s), sl__bytes(b->s), n) : 0; /* UTF-8 sorts as its code points do */
        if (!order) order = a->s->len < b->s->len ? -1 : a->s->len > b->s->len;
        *ret = holds(op, order < 0 ? -1 : order > 0);
        return sl__charge(r, n);
    }
    if ((a->kind == SL__LIST || a->kind == SL__TUPLE) && a->kind == b->kind) {
        if (!sl__enter(r)) return false;
        bool good = less_lists(r, op, a->list, b->list, ret);
        sl__leave(r);
        return good;
    }
    return sl__raise(r, "'%s' not supported between instances of '%s' and '%s'", op, sl__type_name(a), sl__type_name(b));
}

bool sl__hash(sl__render *r, const sl__value *v, uint64_t *ret) {
    uint64_t h = (uint64_t)v->kind;
    switch (v->kind) {
    case SL__STRING: return *ret = sl_hash_bytes(sl__bytes(v->s), v->s->len), sl__charge(r, v->s->len);
    case SL__BOOL: case SL__INT: return *ret = sl_hash_number((uint64_t)sl__int_of(v)), true;
    case SL__FLOAT:
        if (v->f == floor(v->f) && fabs(v->f) < 0x1p63) return *ret = sl_hash_number((uint64_t)(int64_t)v->f), true;
        return *ret = sl_hash_bytes(&v->f, sizeof v->f), true;
    case SL__LIST: case SL__DICT: case SL__VIEW: return sl__raise(r, "unhashable type: '%s'", sl__type_name(v));
    case SL__TUPLE:
        if (!sl__enter(r)) return false;
        for (size_t i = 0; i < v->list->count; i++) {
            uint64_t part;
            if (!sl__step(r) || !sl__hash(r, sl__at(v->list, i), &part)) return false;
            h = sl_hash_number(h * 31 + part);
        }
        sl__leave(r);
        break;
    case SL__NONE: case SL__UNDEFINED: break;
    default: h = sl_hash_number((uint64_t)(uintptr_t)v->s); break;
    }
    *ret = h;
    return true;
}

bool sl__contains(sl__render *r, const sl__value *container, const sl__value *item, bool *ret) {
    *ret = false;
    const sl__value *found;
    switch (container->kind) {
    case SL__STRING:
        if (item->kind == SL__UNDEFINED) return sl__raise(r, "'in <string>' requires string as left operand, not Undefined");
        if (item->kind != SL__STRING) return sl__raise(r, "'in <string>' requires string as left operand, not %s", sl__type_name(item));
        *ret = sl__find(container->s, 0, container->s->len, item->s) != SIZE_MAX;
        return sl__charge(r, container->s->len);
    case SL__DICT:
        if (!sl__dict_get(r, container->dict, item, &found)) return false;
        *ret = found != NULL;
        return true;
    case SL__VIEW:
        if (container->view->kind == SL__KEYS) {
            sl__value dict = sl__dict_value(container->view->dict);
            return sl__contains(r, &dict, item, ret);
        }
        break;
    case SL__NONE: case SL__BOOL: case SL__INT: case SL__FLOAT: case SL__SPACE: case SL__MACRO: case SL__METHOD: case SL__GLOBAL:
    case SL__CYCLER: case SL__JOINER:
        return sl__raise(r, "argument of type '%s' is not iterable", sl__type_name(container));
    default: break;
    }
    sl__cursor c;
    sl__value v;
    int more;
    if (!sl__iterate(r, container, &c)) return false;
    while ((more = sl__next(r, &c, &v)) == 1) {
        if (sl__identical(&v, item)) return *ret = true;
        if (!sl__equal(r, &v, item, ret)) return false;
        if (*ret) return true;
    }
    return more == 0;
}

bool sl__length(sl__render *r, const sl__value *v, int64_t *ret) {
    switch (v->kind) {
    case SL__UNDEFINED: *ret = 0; return true;
    case SL__STRING: *ret = (int64_t)sl__chars(v->s); return true;
    case SL__LIST: case SL__TUPLE: *ret = (int64_t)v->list->count; return true;
    case SL__DICT: *ret = (int64_t)v->dict->count; return true;
    case SL__VIEW: *ret = (int64_t)v->view->dict->count; return true;
    case SL__RANGE: *ret = v->range->count; return true;
    case SL__LOOP: return sl__loop_length(r, v->loop, ret);
    default: return sl__raise(r, "object of type '%s' has no len()", sl__type_name(v));
    }
}

/* attribute.c: a.name, a[key] and slices, as the sandbox's environment has them: a.name looks for a method first and then for
 * an item, a[key] the other way round; what neither finds is undefined. */
#include "template/internal.h"

#include <inttypes.h>

/* An index that may be negative, and a length: the place, or false. */
static bool index_of(int64_t i, int64_t count, size_t *ret) {
    if (i < 0) i += count;
    if (i < 0 || i >= count) return false;
    *ret = (size_t)i;
    return true;
}

bool sl__subscript(sl__render *r, const sl__value *v, const sl__value *key, bool *ret_found, sl__value *ret) {
    const sl__value *found;
    size_t at;
    *ret_found = false;
    switch (v->kind) {
    case SL__UNDEFINED: return sl__use_undefined(r, v);
    case SL__DICT:
        if (key->kind == SL__STRING) {
            found = sl__dict_find(v->dict, key->s);
        } else {
            if (key->kind == SL__LIST || key->kind == SL__DICT || key->kind == SL__VIEW) return true; /* a TypeError: not found */
            if (!sl__dict_get(r, v->dict, key, &found)) return false;
        }
        *ret_found = found != NULL;
        if (found) *ret = *found;
        return true;
    case SL__LIST: case SL__TUPLE:
        if (!sl__is_int(key) || !index_of(sl__int_of(key), (int64_t)v->list->count, &at)) return true;
        *ret_found = true;
        *ret = *sl__at(v->list, at);
        return true;
    case SL__STRING:
        if (!sl__is_int(key) || !index_of(sl__int_of(key), (int64_t)sl__chars(v->s), &at)) return true;
        *ret_found = true;
        if (!sl__slice_string(r, v->s, (int64_t)at, 1, 1, ret)) return false;
        ret->safe = v->safe;
        return true;
    case SL__RANGE:
        if (!sl__is_int(key) || !index_of(sl__int_of(key), v->range->count, &at)) return true;
        *ret_found = true;
        *ret = sl__int(v->range->start + (int64_t)at * v->range->step);
        return true;
    default: return true;
    }
}

/* The attribute, by Python's getattr. Unsafe ones are undefined in a way that says so. */
static bool attribute(sl__render *r, const sl__value *v, const sl__string *name, bool *ret_found, sl__value *ret) {
    *ret_found = true;
    if (v->kind == SL__UNDEFINED) {
        if (name->len > 4 && memcmp(sl__bytes(name), "__", 2) == 0) return *ret_found = false, true;
        return sl__use_undefined(r, v);
    }
    if (v->kind == SL__SPACE) {
        const sl__value *found = sl__dict_find(v->space->dict, name);
        if (found) return *ret = *found, true;
    } else if (v->kind == SL__LOOP) {
        if (!sl__loop_attribute(r, v->loop, name, ret)) return false;
        if (ret->kind != SL__MISSING) return true;
    } else if (v->kind == SL__TUPLE && v->list->group && (sl__is(name, "grouper") || sl__is(name, "list"))) {
        return *ret = *sl__at(v->list, sl__is(name, "list")), true;
    } else if (v->kind == SL__RANGE && (sl__is(name, "start") || sl__is(name, "stop") || sl__is(name, "step"))) {
        return *ret = sl__int(sl__is(name, "start") ? v->range->start : sl__is(name, "stop") ? v->range->stop : v->range->step), true;
    } else if (v->kind == SL__CYCLER && sl__is(name, "current")) {
        return *ret = *sl__at(v->cycler->items, v->cycler->at), true;
    } else if (v->kind == SL__MACRO && v->macro->node->name && sl__is(name, "name")) {
        return *ret = sl__string_value(v->macro->node->name), true;
    }
    const sl__method *method = sl__find_method(v, name);
    if (method && !method->unsafe) {
        if (!method->row.spec && method->row.required < 0) /* a property */
            return method->row.work(r, v, NULL, ret);
        sl__bound *bound = sl__take(r, sizeof *bound);
        if (!bound) return false;
        *bound = (sl__bound){*v, method};
        *ret = (sl__value){.kind = SL__METHOD, .bound = bound};
        return true;
    }
    if (method || (name->len && *sl__bytes(name) == '_' && name->len > 1 && sl__bytes(name)[1] == '_' && v->kind != SL__SPACE &&
                   (sl__is(name, "__class__") || sl__is(name, "__doc__") || sl__is(name, "__init__") || sl__is(name, "__dir__"))))
        return sl__undefined_value(r, ret, "access to attribute '%.*s' of '%s' object is unsafe.", (int)name->len, sl__bytes(name), sl__type_name(v));
    *ret_found = false;
    return true;
}

static bool nothing_named(sl__render *r, const sl__value *v, const sl__string *name, sl__value *ret) {
    char object[64];
    sl__object_name(v, object);
    return sl__undefined_value(r, ret, "'%s' has no attribute '%.*s'", object, name->len < 100 ? (int)name->len : 100, sl__bytes(name));
}

bool sl__getattr(sl__render *r, const sl__value *v, const sl__string *name, sl__value *ret) {
    bool found;
    if (!attribute(r, v, name, &found, ret)) return false;
    if (found) return true;
    sl__value key = sl__string_value(name);
    if (!sl__subscript(r, v, &key, &found, ret)) return false;
    return found || nothing_named(r, v, name, ret);
}

bool sl__getitem(sl__render *r, const sl__value *v, const sl__value *key, sl__value *ret) {
    bool found;
    if (!sl__subscript(r, v, key, &found, ret)) return false;
    if (found) return true;
    if (key->kind == SL__STRING) {
        if (!attribute(r, v, key->s, &found, ret)) return false;
        return found || nothing_named(r, v, key->s, ret);
    }
    char object[64];
    sl__object_name(v, object);
    sl__store *what = sl__store_new(r, 0);
    if (!what || !sl__put_repr(r, what, key)) return false;
    return sl__undefined_value(r, ret, "%s has no element %.*s", object, what->used < 60 ? (int)what->used : 60, what->data);
}

/* One bound of a slice; NONE or MISSING: not given. */
static bool bound_of(sl__render *r, const sl__value *v, int64_t otherwise, int64_t *ret) {
    *ret = otherwise;
    if (v->kind == SL__MISSING || v->kind == SL__NONE) return true;
    if (!sl__is_int(v)) return sl__raise(r, "slice indices must be integers or None or have an __index__ method");
    *ret = sl__int_of(v);
    return true;
}

/* Python's slice.indices(): start, step and how many. */
static bool indices(sl__render *r, const sl__value bounds[3], int64_t length, int64_t *ret_start, int64_t *ret_step, int64_t *ret_count) {
    int64_t step, start, stop;
    if (!bound_of(r, &bounds[2], 1, &step)) return false;
    if (!step) return sl__raise(r, "slice step cannot be zero");
    if (step < -INT64_MAX) step = -INT64_MAX;
    int64_t low = step < 0 ? -1 : 0, high = step < 0 ? length - 1 : length;
    if (!bound_of(r, &bounds[0], step < 0 ? INT64_MAX : 0, &start) || !bound_of(r, &bounds[1], step < 0 ? INT64_MIN : INT64_MAX, &stop))
        return false;
    bool open_stop = bounds[1].kind == SL__MISSING || bounds[1].kind == SL__NONE;
    if (start < 0) start += length;
    if (start < low) start = low;
    if (start > high) start = high;
    if (open_stop) {
        stop = step < 0 ? -1 : length;
    } else {
        if (stop < 0) stop = stop < -length - 1 ? low : stop + length;
        if (stop < low) stop = low;
        if (stop > high) stop = high;
    }
    *ret_start = start;
    *ret_step = step;
    *ret_count = step > 0 ? (stop > start ? (stop - start - 1) / step + 1 : 0) : (stop < start ? (start - stop - 1) / -step + 1 : 0);
    return true;
}

bool sl__slice(sl__render *r, const sl__value *v, const sl__value bounds[3], sl__value *ret) {
    int64_t length, start, step, count;
    switch (v->kind) {
    case SL__UNDEFINED: return sl__use_undefined(r, v);
    case SL__STRING: case SL__LIST: case SL__TUPLE: case SL__RANGE: break;
    case SL__DICT: return sl__raise(r, "unhashable type: 'slice'");
    default: return sl__raise(r, "'%s' object is not subscriptable", sl__type_name(v));
    }
    if (!sl__length(r, v, &length) || !indices(r, bounds, length, &start, &step, &count)) return false;
    if (v->kind == SL__STRING) {
        if (!sl__slice_string(r, v->s, start, step, count, ret)) return false;
        ret->safe = v->safe;
        return true;
    }
    if (v->kind == SL__RANGE) {
        sl__range *range = sl__take(r, sizeof *range);
        if (!range) return false;
        const sl__range *of = v->range;
        *range = (sl__range){.start = of->start + start * of->step, .step = of->step * step, .count = count};
        range->stop = range->start + count * range->step;
        *ret = (sl__value){.kind = SL__RANGE, .range = range};
        return true;
    }
    if (step == 1) { /* shares the items */
        sl__list *l = sl__take(r, sizeof *l);
        if (!l) return false;
        *l = (sl__list){.items = v->list->items, .start = v->list->start + (size_t)start, .count = (size_t)count};
        *ret = (sl__value){.kind = v->kind, .list = l};
        return true;
    }
    sl__items *items = sl__items_new(r, (size_t)count);
    if (!items) return false;
    for (int64_t i = 0; i < count; i++)
        if (!sl__push(r, items, sl__at(v->list, (size_t)(start + i * step)))) return false;
    return sl__list_of(r, v->kind, items, ret);
}

/* globals.c: what every template can call: range, dict, namespace, cycler, joiner, raise_exception, strftime_now. */
#include "template/internal.h"

#include "base/clock.h"

#include <time.h>

typedef const sl__args args;
typedef const sl__value value;

#define RANGE_MAX 100000 /* as Jinja's sandbox */

static bool range(sl__render *r, value *self, args *a, sl__value *ret) {
    int64_t bound[3] = {0, 0, 1}, n;
    (void)self;
    if (a->names) return sl__raise(r, "range() takes no keyword arguments");
    if (!a->count || a->count > 3) return sl__raise(r, "range expected at least 1 and at most 3 arguments, got %zu", a->count);
    for (size_t i = 0; i < a->count; i++) {
        if (!sl__want_int(r, &a->at[i], "range", &bound[a->count == 1 ? 1 : i])) return false;
        if (bound[a->count == 1 ? 1 : i] > INT64_MAX / 8 || bound[a->count == 1 ? 1 : i] < -(INT64_MAX / 8))
            return sl__fail(r, SL_UNSUPPORTED, "a range of numbers so large is not supported");
    }
    int64_t start = bound[0], stop = bound[1], step = bound[2];
    if (!step) return sl__raise(r, "range() arg 3 must not be zero");
    n = step > 0 ? (stop > start ? (stop - start - 1) / step + 1 : 0) : (stop < start ? (start - stop - 1) / -step + 1 : 0);
    if (n > RANGE_MAX) return sl__raise(r, "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).", RANGE_MAX);
    sl__range *v = sl__take(r, sizeof *v);
    if (!v) return false;
    *v = (sl__range){start, stop, step, n};
    *ret = (sl__value){.kind = SL__RANGE, .range = v};
    return true;
}

static bool make_dict(sl__render *r, const char *what, args *a, sl__dict **ret) {
    if (a->count > 1) return sl__raise(r, "%s expected at most 1 argument, got %zu", what, a->count);
    sl__dict *d = sl__dict_new(r, a->names);
    if (!d || (a->count && !sl__dict_fill(r, d, what, &a->at[0]))) return false;
    for (size_t i = 0; i < a->names; i++) {
        sl__value key = sl__string_value(a->named[i].name);
        if (!sl__dict_set(r, d, &key, &a->named[i].value)) return false;
    }
    *ret = d;
    return true;
}

static bool dict(sl__render *r, value *self, args *a, sl__value *ret) {
    sl__dict *d;
    (void)self;
    if (!make_dict(r, "dict", a, &d)) return false;
    *ret = sl__dict_value(d);
    return true;
}

static bool namespace(sl__render *r, value *self, args *a, sl__value *ret) {
    sl__dict *d;
    (void)self;
    if (!make_dict(r, "dict", a, &d)) return false;
    for (size_t i = 0; i < d->count; i++)
        if (d->entry[i].key.kind == SL__STRING && d->entry[i].key.s->len && *sl__bytes(d->entry[i].key.s) == '_')
            return sl__raise(r, "Chat templates cannot store underscore-prefixed attributes on a namespace");
    sl__space *s = sl__take(r, sizeof *s);
    if (!s) return false;
    s->dict = d;
    *ret = (sl__value){.kind = SL__SPACE, .space = s};
    return true;
}

static bool cycler(sl__render *r, value *self, args *a, sl__value *ret) {
    sl__items *items = sl__items_new(r, a->count);
    sl__value list;
    (void)self;
    if (a->names) return sl__raise(r, "cycler() got an unexpected keyword argument");
    if (!a->count) return sl__raise(r, "at least one item has to be provided");
    if (!items) return false;
    for (size_t i = 0; i < a->count; i++)
        if (!sl__push(r, items, &a->at[i])) return false;
    sl__cycler *c = sl__take(r, sizeof *c);
    if (!c || !sl__list_of(r, SL__TUPLE, items, &list)) return false;
    c->items = list.list;
    *ret = (sl__value){.kind = SL__CYCLER, .cycler = c};
    return true;
}

static bool joiner(sl__render *r, value *self, args *a, sl__value *ret) {
    sl__value separator = a->at[0];
    (void)self;
    if (separator.kind == SL__MISSING && !sl__text(r, ", ", 2, false, &separator)) return false;
    sl__joiner *j = sl__take(r, sizeof *j);
    if (!j || !sl__want_string(r, &separator, "joiner", &j->separator)) return false;
    *ret = (sl__value){.kind = SL__JOINER, .joiner = j};
    return true;
}

static bool raise_exception(sl__render *r, value *self, args *a, sl__value *ret) {
    sl__value text;
    (void)self, (void)ret;
    if (!sl__str(r, &a->at[0], &text)) return false;
    return sl__fail(r, SL_INVALID, "%.*s", text.s->len < 300 ? (int)text.s->len : 300, sl__bytes(text.s));
}

static bool strftime_now(sl__render *r, value *self, args *a, sl__value *ret) {
    const sl__string *format;
    char how[256], text[1024];
    size_t n = 0;
    (void)self;
    if (!sl__want_string(r, &a->at[0], "strftime_now", &format)) return false;
    const char *s = sl__bytes(format);
    for (size_t i = 0; i < format->len; i++) {
        if (n + 8 > sizeof how) return sl__fail(r, SL_UNSUPPORTED, "strftime_now: the format is too long");
        if (s[i] == '%' && i + 1 < format->len && s[i + 1] == 'f') { /* microseconds, which the clock does not have */
            memcpy(how + n, "000000", 6);
            n += 6;
            i++;
            continue;
        }
        if (s[i] == '%' && i + 1 < format->len && (s[i + 1] == 'z' || s[i + 1] == 'Z')) { /* a time without zone has none */
            i++;
            continue;
        }
        how[n++] = s[i];
        if (s[i] == '%' && i + 1 < format->len) how[n++] = s[++i];
    }
    how[n] = 0;
    time_t now = (time_t)(r->in->now ? r->in->now(r->in->arg) : sl_clock_unix());
    struct tm local;
    if (!localtime_r(&now, &local)) return sl__raise(r, "strftime_now: the time is out of range");
    size_t len = strftime(text, sizeof text, how, &local);
    if (!len && n) len = 0;
    return sl__text(r, text, len, false, ret);
}

static bool lipsum(sl__render *r, value *self, args *a, sl__value *ret) {
    (void)self, (void)a, (void)ret;
    return sl__fail(r, SL_UNSUPPORTED, "lipsum() is not supported");
}

static const sl__global globals[] = {
    {{"range", range, NULL, 0}, "function"}, {{"dict", dict, NULL, 0}, "TemplateDict"}, {{"namespace", namespace, NULL, 0}, "type"},
    {{"cycler", cycler, NULL, 0}, "type"}, {{"joiner", joiner, "sep", 0}, "type"},
    {{"raise_exception", raise_exception, "message", 1}, "function"}, {{"strftime_now", strftime_now, "format", 1}, "function"},
    {{"lipsum", lipsum, NULL, 0}, "function"},
};

const sl__global *sl__find_global(const sl__string *name) {
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++)
        if (sl__is(name, globals[i].row.name)) return &globals[i];
    return NULL;
}

bool sl__variable(sl__render *r, const sl__string *name, sl__value *ret) {
    const sl__value *found = sl__dict_find(r->variables, name);
    const sl__global *global = found ? NULL : sl__find_global(name);
    *ret = found ? *found : global ? (sl__value){.kind = SL__GLOBAL, .global = global} : (sl__value){.kind = SL__MISSING};
    return true;
}

/* json.c */
#include "base/json.h"
#include "base/internal.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* jansson gives a number beyond int64 back as a real of that size, and json_text.c one beyond double as 1e308. */
#define PAST_INT 0x1p63
#define PAST_REAL 1e308

static sl_status parse(sl__json_text *t, const char *origin, bool python, sl_json *ret, sl_error *e) {
    sl_json top = {.origin = origin};
    const char *between = *origin ? ": " : "";
    if (sl__json_prepare(t, python) != SL_OK) return sl_fail(e, SL_NOMEM, "%s%sout of memory", origin, between);
    if (t->deep) return sl_json_fail(&top, e, "JSON nests deeper than %d", SL_JSON_DEPTH);
    if (t->nul) {
        sl_free(t->copy);
        return sl_json_fail(&top, e, "is not valid JSON: it has a NUL byte");
    }
    if (t->cost > t->most)
        return sl_fail(e, SL_TOO_LONG, "%s%stoo many values: reading them may take %" PRIu64 " bytes, at most %" PRIu64 " are allowed",
                       *origin ? origin : "the body has", *origin ? ": " : " ", t->cost, t->most);
    json_error_t error;
    top.v = json_loadb(t->text, t->len, (python ? 0 : JSON_REJECT_DUPLICATES) | JSON_ALLOW_NUL, &error);
    sl_free(t->copy);
    if (!top.v) {
        if (json_error_code(&error) == json_error_out_of_memory) return sl_fail(e, SL_NOMEM, "%s%sout of memory", origin, between);
        return sl_json_fail(&top, e, "is not valid JSON: line %d, column %d: %s", error.line, error.column, error.text);
    }
    *ret = top;
    return SL_OK;
}

sl_status sl_json_parse(const char *text, size_t len, const char *origin, sl_json *ret, sl_error *e) {
    return sl_json_parse_within(text, len, origin, UINT64_MAX, ret, e);
}

sl_status sl_json_parse_within(const char *text, size_t len, const char *origin, uint64_t most, sl_json *ret, sl_error *e) {
    return parse(&(sl__json_text){.text = text, .len = len, .most = most}, origin, false, ret, e);
}

sl_status sl_json_parse_python(const char *text, size_t len, const char *origin, sl_json *ret, sl_error *e) {
    return parse(&(sl__json_text){.text = text, .len = len, .most = UINT64_MAX}, origin, true, ret, e);
}

/* "config.json: rope_scaling.factor: must be …" */
sl_status sl_json_fail(const sl_json *at, sl_error *e, const char *fmt, ...) {
    const sl_json *steps[SL_JSON_DEPTH + 2];
    int count = 0;
    char path[256] = "", param[64] = "", what[256];
    const sl_json *top = at;
    for (; top->parent; top = top->parent)
        if (count < SL_JSON_DEPTH + 2) steps[count++] = top;
    size_t used = 0;
    for (int i = count; i-- > 0 && used < sizeof path;) {
        const sl_json *s = steps[i];
        int n = s->key ? snprintf(path + used, sizeof path - used, "%s%s", used ? "." : "", s->key)
                       : snprintf(path + used, sizeof path - used, "[%zu]", s->index);
        if (i == count - 1) snprintf(param, sizeof param, "%s", path);
        used += (size_t)(n > 0 ? n : 0);
    }
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    bool file = top->origin && *top->origin;
    if (!file && !*path) return sl_fail(e, SL_INVALID, "the body %s", what);
    return sl_fail_param(e, file ? SL_FORMAT : SL_INVALID, param, "%s%s%s%s%s", file ? top->origin : "",
                         file ? ": " : "", path, *path ? ": " : "", what);
}

bool sl_json_get(const sl_json *obj, const char *key, sl_json *ret) {
    json_t *v = json_object_get(obj->v, key);
    *ret = (sl_json){.v = json_is_null(v) ? NULL : v, .parent = obj, .key = key};
    return ret->v != NULL;
}

bool sl_json_at(const sl_json *array, size_t i, sl_json *ret) {
    *ret = (sl_json){.v = json_array_get(array->v, i), .parent = array, .index = i};
    return ret->v != NULL;
}

size_t sl_json_size(const sl_json *v) {
    return json_is_object(v->v) ? json_object_size(v->v) : json_array_size(v->v);
}

/* "must be <what>", or that it is missing. */
static sl_status wrong(const sl_json *at, sl_error *e, const char *what) {
    return at->v ? sl_json_fail(at, e, "must be %s", what) : sl_json_fail(at, e, "is missing (must be %s)", what);
}

/* past: a real of this size is more than the type holds. */
static sl_status wrong_range(const sl_json *at, sl_error *e, const char *type, double lo, double hi, double past) {
    char what[128];
    double x = json_is_real(at->v) ? json_real_value(at->v) : 0;
    if (fabs(x) >= past && hi < 9e15)
        return sl_json_fail(at, e, "is too %s (must be %s from %.16g to %.16g)", x < 0 ? "small" : "large", type, lo, hi);
    if (fabs(x) >= past) return sl_json_fail(at, e, "is too %s", x < 0 ? "small" : "large");
    if (hi >= 9e15) snprintf(what, sizeof what, "%s of at least %.16g", type, lo);
    else snprintf(what, sizeof what, "%s from %.16g to %.16g", type, lo, hi);
    return wrong(at, e, what);
}

sl_status sl_json_int(const sl_json *at, int64_t lo, int64_t hi, int64_t *ret, sl_error *e) {
    int64_t x;
    bool whole = true;
    if (json_is_integer(at->v)) {
        x = json_integer_value(at->v);
    } else {
        double r = json_real_value(at->v); /* 0 when it is no real */
        whole = json_is_real(at->v) && fabs(r) < PAST_INT && floor(r) == r;
        x = whole ? (int64_t)r : 0;
    }
    if (!whole || x < lo || x > hi) return wrong_range(at, e, "an integer", (double)lo, (double)hi, PAST_INT);
    *ret = x;
    return SL_OK;
}

sl_status sl_json_float(const sl_json *at, double lo, double hi, double *ret, sl_error *e) {
    double x = json_number_value(at->v);
    if (!json_is_number(at->v) || !(x >= lo && x <= hi) || fabs(x) >= PAST_REAL)
        return wrong_range(at, e, "a number", lo, hi, PAST_REAL);
    *ret = x;
    return SL_OK;
}

sl_status sl_json_bool(const sl_json *at, bool *ret, sl_error *e) {
    if (!json_is_boolean(at->v)) return wrong(at, e, "true or false");
    *ret = json_is_true(at->v);
    return SL_OK;
}

sl_status sl_json_string(const sl_json *at, const char **ret, size_t *ret_len, sl_error *e) {
    if (!json_is_string(at->v)) return wrong(at, e, "a string");
    const char *s = json_string_value(at->v);
    size_t len = json_string_length(at->v);
    if (!ret_len && strlen(s) != len) return sl_json_fail(at, e, "must not contain U+0000");
    *ret = s;
    if (ret_len) *ret_len = len;
    return SL_OK;
}

sl_status sl_json_array(const sl_json *at, size_t max, sl_error *e) {
    if (!json_is_array(at->v)) return wrong(at, e, "an array");
    if (json_array_size(at->v) > max) return sl_json_fail(at, e, "must have at most %zu elements", max);
    return SL_OK;
}

sl_status sl_json_object(const sl_json *at, sl_error *e) {
    return json_is_object(at->v) ? SL_OK : wrong(at, e, "an object");
}

sl_status sl_json_opt_int(const sl_json *obj, const char *key, int64_t lo, int64_t hi, int64_t *ret, sl_error *e) {
    sl_json at;
    return sl_json_get(obj, key, &at) ? sl_json_int(&at, lo, hi, ret, e) : SL_OK;
}

sl_status sl_json_opt_float(const sl_json *obj, const char *key, double lo, double hi, double *ret, sl_error *e) {
    sl_json at;
    return sl_json_get(obj, key, &at) ? sl_json_float(&at, lo, hi, ret, e) : SL_OK;
}

sl_status sl_json_opt_bool(const sl_json *obj, const char *key, bool *ret, sl_error *e) {
    sl_json at;
    return sl_json_get(obj, key, &at) ? sl_json_bool(&at, ret, e) : SL_OK;
}

sl_status sl_json_opt_string(const sl_json *obj, const char *key, const char **ret, size_t *ret_len, sl_error *e) {
    sl_json at;
    return sl_json_get(obj, key, &at) ? sl_json_string(&at, ret, ret_len, e) : SL_OK;
}

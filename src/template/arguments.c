/* arguments.c: rows of the tables: found by name, called with their arguments sorted. */
#include "template/internal.h"

const sl__row *sl__find_row(const sl__row *rows, const char *name, size_t len) {
    for (; rows->name; rows++)
        if (strlen(rows->name) == len && memcmp(rows->name, name, len) == 0) return rows;
    return NULL;
}

bool sl__want_string(sl__render *r, const sl__value *v, const char *what, const sl__string **ret) {
    if (v->kind == SL__UNDEFINED) return sl__raise(r, "%s: expected a str, but %s", what, v->undefined->message);
    if (v->kind != SL__STRING) return sl__raise(r, "%s: expected a str, not %s", what, sl__type_name(v));
    *ret = v->s;
    return true;
}

bool sl__want_int(sl__render *r, const sl__value *v, const char *what, int64_t *ret) {
    if (v->kind == SL__UNDEFINED) return sl__use_undefined(r, v);
    if (!sl__is_int(v)) return sl__raise(r, "%s: '%s' object cannot be interpreted as an integer", what, sl__type_name(v));
    *ret = sl__int_of(v);
    return true;
}

const sl__value *sl__named_arg(const sl__args *a, const char *name) {
    for (size_t i = 0; i < a->names; i++)
        if (sl__is(a->named[i].name, name)) return &a->named[i].value;
    return NULL;
}

/* Which name of the spec is this? -1: none. "_" is no name. */
static int place_of(const char *spec, const sl__string *name) {
    for (int i = 0; *spec; i++) {
        size_t n = strcspn(spec, " ");
        if (n == name->len && memcmp(spec, sl__bytes(name), n) == 0 && !(n == 1 && *spec == '_')) return i;
        spec += n + (spec[n] == ' ');
    }
    return -1;
}

bool sl__call_row(sl__render *r, const sl__row *row, const sl__value *self, const sl__args *a, sl__value *ret) {
    if (!row->spec) return row->work(r, self, a, ret);
    sl__value at[SL__ARGUMENTS_MAX] = {{0}};
    size_t most = *row->spec != 0;
    for (const char *s = row->spec; *s; s++) most += *s == ' ';
    if (a->count > most) return sl__raise(r, "%s() takes at most %zu argument(s), but %zu were given", row->name, most, a->count);
    for (size_t i = 0; i < a->count; i++) at[i] = a->at[i];
    for (size_t i = 0; i < a->names; i++) {
        int place = place_of(row->spec, a->named[i].name);
        const sl__string *name = a->named[i].name;
        if (place < 0) return sl__raise(r, "%s() got an unexpected keyword argument '%.*s'", row->name, (int)name->len, sl__bytes(name));
        if (at[place].kind != SL__MISSING)
            return sl__raise(r, "%s() got multiple values for argument '%.*s'", row->name, (int)name->len, sl__bytes(name));
        at[place] = a->named[i].value;
    }
    for (int i = 0; i < row->required; i++)
        if (at[i].kind == SL__MISSING) return sl__raise(r, "%s() misses %d required argument(s)", row->name, row->required);
    return row->work(r, self, &(sl__args){.at = at, .count = most}, ret);
}

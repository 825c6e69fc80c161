/* from_json.c: variables, from JSON. Strings are not copied: the JSON outlives the rendering. */
#include "template/internal.h"

static bool from_text(sl__render *r, const char *text, size_t len, bool content, sl__value *ret) {
    struct {
        sl__string string;
        sl__store store;
        sl__run run;
    } *s = sl__take(r, sizeof *s);
    if (!s) return false;
    s->run = (sl__run){0, content};
    s->store = (sl__store){.data = (char *)(uintptr_t)text, .used = len, .cap = len, .run = &s->run, .runs = len != 0, .run_cap = 1, .fixed = true};
    s->string = (sl__string){&s->store, 0, len, SL__UNCOUNTED};
    *ret = sl__string_value(&s->string);
    return true;
}

static bool from_array(sl__render *r, const json_t *v, bool content, sl__value *ret) {
    size_t count = json_array_size(v);
    sl__items *items = sl__items_new(r, count);
    if (!items) return false;
    for (size_t i = 0; i < count; i++) {
        sl__value item;
        if (!sl__from_json(r, json_array_get(v, i), content, &item) || !sl__push(r, items, &item)) return false;
    }
    return sl__list_of(r, SL__LIST, items, ret);
}

static bool set_member(sl__render *r, sl__dict *d, const char *key, bool content, const sl__value *v) {
    sl__value name;
    return from_text(r, key, strlen(key), content, &name) && sl__dict_set(r, d, &name, v);
}

static bool from_object(sl__render *r, const json_t *v, bool content, sl__value *ret) {
    sl__dict *d = sl__dict_new(r, json_object_size(v));
    const char *key;
    json_t *member, *object = (json_t *)(uintptr_t)v;
    if (!d) return false;
    json_object_foreach(object, key, member) {
        sl__value value;
        if (!sl__from_json(r, member, content, &value) || !set_member(r, d, key, content, &value)) return false;
    }
    *ret = sl__dict_value(d);
    return true;
}

bool sl__from_json(sl__render *r, const json_t *v, bool content, sl__value *ret) {
    bool good = true;
    if (!sl__step(r) || !sl__enter(r)) return false;
    switch (v ? json_typeof(v) : JSON_NULL) {
    case JSON_OBJECT: good = from_object(r, v, content, ret); break;
    case JSON_ARRAY: good = from_array(r, v, content, ret); break;
    case JSON_STRING: good = from_text(r, json_string_value(v), json_string_length(v), content, ret); break;
    case JSON_INTEGER: *ret = sl__int(json_integer_value(v)), ret->content = content; break;
    case JSON_REAL: *ret = sl__float(json_real_value(v)), ret->content = content; break;
    case JSON_TRUE: case JSON_FALSE: *ret = sl__bool(json_is_true(v)), ret->content = content; break;
    case JSON_NULL: *ret = SL__VALUE_NONE, ret->content = content; break;
    }
    sl__leave(r);
    return good;
}

static bool known_role(const json_t *v) {
    static const char *const roles[] = {"system", "user", "assistant", "tool", "developer", "function", "ipython"};
    for (size_t i = 0; json_is_string(v) && i < sizeof roles / sizeof *roles; i++)
        if (strlen(roles[i]) == json_string_length(v) && strcmp(roles[i], json_string_value(v)) == 0) return true;
    return false;
}

static bool message(sl__render *r, const json_t *v, sl__value *ret) {
    static const char *const names[] = {"reasoning_content", "thinking", "reasoning"};
    sl__dict *d = sl__dict_new(r, json_object_size(v) + 2);
    const json_t *reasoning = NULL;
    const char *key;
    json_t *member, *object = (json_t *)(uintptr_t)v;
    sl__value value;
    if (!d) return false;
    for (int i = 0; i < 3 && !reasoning; i++) {
        reasoning = json_object_get(v, names[i]);
        if (json_is_null(reasoning)) reasoning = NULL;
    }
    if (reasoning && (!sl__from_json(r, reasoning, true, &value) || !set_member(r, d, "thinking", false, &value))) return false;
    json_object_foreach(object, key, member) {
        if (json_is_null(member)) continue;
        bool markup = strcmp(key, "role") == 0 && known_role(member);
        if (!sl__from_json(r, member, !markup, &value) || !set_member(r, d, key, true, &value)) return false;
    }
    if (reasoning && (!sl__from_json(r, reasoning, true, &value) || !set_member(r, d, "reasoning_content", false, &value))) return false;
    *ret = sl__dict_value(d);
    return true;
}

bool sl__messages(sl__render *r, const json_t *v, sl__value *ret) {
    size_t count = json_array_size(v);
    if (!json_is_array(v)) return sl__from_json(r, v, true, ret);
    sl__items *items = sl__items_new(r, count);
    if (!items) return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *m = json_array_get(v, i);
        sl__value item;
        if (!(json_is_object(m) ? message(r, m, &item) : sl__from_json(r, m, true, &item)) || !sl__push(r, items, &item)) return false;
    }
    return sl__list_of(r, SL__LIST, items, ret);
}

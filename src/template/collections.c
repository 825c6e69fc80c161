/* collections.c: lists, dicts, and going through what can be gone through. */
#include "template/internal.h"

#include "base/checked.h"
#include "base/hash.h"

#define SEARCHED 8 /* entries of a dict that are looked through one by one */

sl__items *sl__items_new(sl__render *r, size_t cap) {
    sl__items *items = sl__take(r, sizeof *items);
    size_t bytes;
    if (!items) return NULL;
    if (!sl_mul(cap, sizeof *items->at, &bytes)) return sl__fail(r, SL_TOO_MUCH, "a list is too long"), NULL;
    if (cap && !(items->at = sl__take(r, bytes))) return NULL;
    items->cap = cap;
    return items;
}

bool sl__push(sl__render *r, sl__items *items, const sl__value *v) {
    if (items->used == items->cap) {
        size_t cap = items->cap + items->cap / 2 + 4, bytes;
        sl__value *at = sl_mul(cap, sizeof *at, &bytes) ? sl__take(r, bytes) : NULL;
        if (!at) return false;
        if (items->used) memcpy(at, items->at, items->used * sizeof *at);
        items->at = at;
        items->cap = cap;
    }
    items->at[items->used++] = *v;
    return sl__step(r);
}

bool sl__list_of(sl__render *r, sl__kind kind, sl__items *items, sl__value *ret) {
    sl__list *l = sl__take(r, sizeof *l);
    if (!l) return false;
    *l = (sl__list){.items = items, .count = items->used};
    *ret = (sl__value){.kind = kind, .list = l};
    return true;
}

bool sl__pair(sl__render *r, const sl__value *a, const sl__value *b, sl__value *ret) {
    sl__items *items = sl__items_new(r, 2);
    return items && sl__push(r, items, a) && sl__push(r, items, b) && sl__list_of(r, SL__TUPLE, items, ret);
}

sl__dict *sl__dict_new(sl__render *r, size_t cap) {
    sl__dict *d = sl__take(r, sizeof *d);
    size_t bytes;
    if (!d) return NULL;
    if (!sl_mul(cap, sizeof *d->entry, &bytes)) return sl__fail(r, SL_TOO_MUCH, "a dict is too large"), NULL;
    if (cap && !(d->entry = sl__take(r, bytes))) return NULL;
    d->cap = cap;
    return d;
}

static void place(sl__dict *d, size_t number) {
    size_t at = d->entry[number].hash & (d->slots - 1);
    while (d->index[at]) at = (at + 1) & (d->slots - 1);
    d->index[at] = (uint32_t)number + 1;
}

static bool make_index(sl__render *r, sl__dict *d) {
    d->slots = d->slots ? d->slots * 4 : 64;
    if (d->slots > UINT32_MAX / 8) return sl__fail(r, SL_TOO_MUCH, "a dict is too large");
    if (!(d->index = sl__take(r, d->slots * sizeof *d->index))) return false;
    for (size_t i = 0; i < d->count; i++) place(d, i);
    return true;
}

/* The entry of a key: its number, -1: none; -2: failed. */
static int64_t entry_of(sl__render *r, const sl__dict *d, const sl__value *key, uint64_t hash) {
    bool same;
    if (!d->index) {
        for (size_t i = 0; i < d->count; i++) {
            if (d->entry[i].hash != hash) continue;
            if (!sl__equal(r, &d->entry[i].key, key, &same)) return -2;
            if (same) return (int64_t)i;
        }
        return -1;
    }
    for (size_t at = hash & (d->slots - 1); d->index[at]; at = (at + 1) & (d->slots - 1)) {
        const sl__entry *e = &d->entry[d->index[at] - 1];
        if (e->hash != hash) continue;
        if (!sl__equal(r, &e->key, key, &same)) return -2;
        if (same) return (int64_t)d->index[at] - 1;
    }
    return -1;
}

bool sl__dict_set(sl__render *r, sl__dict *d, const sl__value *key, const sl__value *value) {
    uint64_t hash;
    if (!sl__step(r) || !sl__hash(r, key, &hash)) return false;
    int64_t at = entry_of(r, d, key, hash);
    if (at == -2) return false;
    if (at >= 0) {
        d->entry[at].value = *value;
        return true;
    }
    if (d->count == d->cap) {
        size_t cap = d->cap + d->cap / 2 + 4;
        sl__entry *entry = sl__take(r, cap * sizeof *entry);
        if (!entry) return false;
        if (d->count) memcpy(entry, d->entry, d->count * sizeof *entry);
        d->entry = entry;
        d->cap = cap;
    }
    d->entry[d->count++] = (sl__entry){*key, *value, hash};
    if (d->count <= SEARCHED) return true;
    if (d->count * 2 > d->slots) return make_index(r, d);
    place(d, d->count - 1);
    return true;
}

bool sl__dict_get(sl__render *r, const sl__dict *d, const sl__value *key, const sl__value **ret) {
    uint64_t hash;
    if (!sl__hash(r, key, &hash)) return false;
    int64_t at = entry_of(r, d, key, hash);
    *ret = at >= 0 ? &d->entry[at].value : NULL;
    return at != -2;
}

const sl__value *sl__dict_find(const sl__dict *d, const sl__string *key) {
    uint64_t hash = sl_hash_bytes(sl__bytes(key), key->len);
    if (!d->index) {
        for (size_t i = 0; i < d->count; i++)
            if (d->entry[i].hash == hash && d->entry[i].key.kind == SL__STRING && sl__same(d->entry[i].key.s, key)) return &d->entry[i].value;
        return NULL;
    }
    for (size_t at = hash & (d->slots - 1); d->index[at]; at = (at + 1) & (d->slots - 1)) {
        const sl__entry *e = &d->entry[d->index[at] - 1];
        if (e->hash == hash && e->key.kind == SL__STRING && sl__same(e->key.s, key)) return &e->value;
    }
    return NULL;
}

const sl__value *sl__dict_named(const sl__dict *d, const char *key) {
    sl__store store = {.data = (char *)(uintptr_t)key, .used = strlen(key)};
    return sl__dict_find(d, &(sl__string){&store, 0, store.used, SL__UNCOUNTED});
}

/* dict(from): from another dict, or from pairs. */
bool sl__dict_fill(sl__render *r, sl__dict *d, const char *what, const sl__value *from) {
    const sl__dict *other = from->kind == SL__DICT ? from->dict : from->kind == SL__SPACE ? from->space->dict : NULL;
    for (size_t i = 0; other && i < other->count; i++)
        if (!sl__dict_set(r, d, &other->entry[i].key, &other->entry[i].value)) return false;
    if (other) return true;
    sl__cursor c;
    sl__value v;
    int more;
    if (!sl__iterate(r, from, &c)) return false;
    for (size_t i = 0; (more = sl__next(r, &c, &v)) == 1; i++) {
        sl__items *pair;
        if (!sl__collect(r, &v, &pair)) return false;
        if (pair->used != 2)
            return sl__raise(r, "%s update sequence element #%zu has length %zu; 2 is required", what, i, pair->used);
        if (!sl__dict_set(r, d, &pair->at[0], &pair->at[1])) return false;
    }
    return more == 0;
}

bool sl__iterate(sl__render *r, const sl__value *v, sl__cursor *ret) {
    switch (v->kind) {
    case SL__UNDEFINED: case SL__STRING: case SL__LIST: case SL__TUPLE: case SL__DICT: case SL__VIEW: case SL__RANGE: case SL__ITERATOR:
        *ret = (sl__cursor){.source = *v};
        return true;
    case SL__LOOP: return sl__fail(r, SL_UNSUPPORTED, "going through the variable loop is not supported");
    default: return sl__raise(r, "'%s' object is not iterable", sl__type_name(v));
    }
}

static int next_of_dict(sl__render *r, sl__cursor *c, const sl__dict *d, sl__view_kind kind, sl__value *ret) {
    if (c->at >= d->count) return 0;
    const sl__entry *e = &d->entry[c->at++];
    if (kind == SL__ITEMS) return sl__pair(r, &e->key, &e->value, ret) ? 1 : -1;
    *ret = kind == SL__KEYS ? e->key : e->value;
    return 1;
}

int sl__next(sl__render *r, sl__cursor *c, sl__value *ret) {
    const sl__value *v = &c->source;
    size_t n;
    if (!sl__step(r)) return -1;
    switch (v->kind) {
    case SL__STRING:
        if (c->byte >= v->s->len) return 0;
        sl__point(sl__bytes(v->s) + c->byte, v->s->len - c->byte, &n);
        c->byte += n;
        if (!sl__part(r, v->s, c->byte - n, n, ret)) return -1;
        ret->safe = false;
        return 1;
    case SL__LIST: case SL__TUPLE:
        if (c->at >= v->list->count) return 0;
        *ret = *sl__at(v->list, c->at++);
        return 1;
    case SL__DICT: return next_of_dict(r, c, v->dict, SL__KEYS, ret);
    case SL__VIEW: return next_of_dict(r, c, v->view->dict, v->view->kind, ret);
    case SL__RANGE:
        if ((int64_t)c->at >= v->range->count) return 0;
        *ret = sl__int(v->range->start + (int64_t)c->at++ * v->range->step);
        return 1;
    case SL__ITERATOR:
        if (v->iterator->at < v->iterator->items->used) {
            *ret = v->iterator->items->at[v->iterator->at++];
            return 1;
        }
        if (!v->iterator->pending) return 0;
        *r->error = *v->iterator->pending;
        v->iterator->pending = NULL;
        return -1;
    default: return 0;
    }
}

bool sl__collect(sl__render *r, const sl__value *v, sl__items **ret) {
    sl__cursor c;
    sl__value item;
    int more;
    sl__items *items = sl__items_new(r, v->kind == SL__LIST || v->kind == SL__TUPLE ? v->list->count : 0);
    if (!items || !sl__iterate(r, v, &c)) return false;
    while ((more = sl__next(r, &c, &item)) == 1)
        if (!sl__push(r, items, &item)) return false;
    *ret = items;
    return more == 0;
}

bool sl__generator(sl__render *r, sl__items *items, bool failed, const char *type, sl__value *ret) {
    if (failed && (r->final || !items)) return false;
    sl__iterator *it = sl__take(r, sizeof *it + (failed ? sizeof *it->pending : 0));
    if (!it) return false;
    *it = (sl__iterator){.items = items, .type = type};
    if (failed) {
        it->pending = (sl_error *)(it + 1);
        *it->pending = *r->error;
    }
    *ret = (sl__value){.kind = SL__ITERATOR, .iterator = it};
    return true;
}

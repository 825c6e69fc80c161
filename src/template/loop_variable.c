/* loop_variable.c: the variable loop. Items are fetched one by one and filtered when they are fetched, one item ahead where
 * loop.last or loop.nextitem is asked; loop.length of a filtered loop fetches them all, as in Jinja. */
#include "template/internal.h"

int sl__loop_fetch(sl__render *r, sl__loop *l, sl__value *ret) {
    for (;;) {
        bool pass;
        int more = sl__next(r, &l->cursor, ret);
        if (more != 1 || !l->test) return more;
        if (!l->passes(r, l, ret, &pass)) return -1;
        if (pass) return 1;
    }
}

/* 1: there is one more, and it is in l->after. */
static int peek(sl__render *r, sl__loop *l) {
    if (l->has_after) return 1;
    int more = sl__loop_fetch(r, l, &l->after);
    l->has_after = more == 1;
    return more;
}

bool sl__loop_length(sl__render *r, sl__loop *l, int64_t *ret) {
    if (!l->has_length && !l->test && l->iterable.kind != SL__ITERATOR) {
        if (!sl__length(r, &l->iterable, &l->length)) return false;
    } else if (!l->has_length) { /* fetch the rest */
        sl__items *rest = sl__items_new(r, 0);
        sl__value v;
        int more;
        if (!rest) return false;
        while ((more = sl__loop_fetch(r, l, &v)) == 1)
            if (!sl__push(r, rest, &v)) return false;
        if (more < 0 || !sl__list_of(r, SL__LIST, rest, &v)) return false;
        l->length = (int64_t)rest->used + l->index0 + 1 + l->has_after;
        l->cursor = (sl__cursor){.source = v};
        l->test = NULL;
        l->iterable = v;
    }
    l->has_length = true;
    *ret = l->length;
    return true;
}

static bool loop_cycle(sl__render *r, const sl__value *self, const sl__args *a, sl__value *ret) {
    if (a->names) return sl__raise(r, "cycle() got an unexpected keyword argument");
    if (!a->count) return sl__raise(r, "no items for cycling given");
    *ret = a->at[(size_t)self->loop->index0 % a->count];
    return true;
}

static bool loop_changed(sl__render *r, const sl__value *self, const sl__args *a, sl__value *ret) {
    sl__loop *l = self->loop;
    sl__items *items = sl__items_new(r, a->count);
    sl__value now;
    bool same = false;
    if (a->names) return sl__raise(r, "changed() got an unexpected keyword argument");
    if (!items) return false;
    for (size_t i = 0; i < a->count; i++)
        if (!sl__push(r, items, &a->at[i])) return false;
    if (!sl__list_of(r, SL__TUPLE, items, &now) || (l->has_changed && !sl__equal(r, &l->changed, &now, &same))) return false;
    l->changed = now;
    l->has_changed = true;
    *ret = sl__bool(!same);
    return true;
}

const sl__method sl__loop_methods[] = {
    {{"cycle", loop_cycle, NULL, 0}, false}, {{"changed", loop_changed, NULL, 0}, false}, {{0}, false},
};

bool sl__loop_attribute(sl__render *r, sl__loop *l, const sl__string *name, sl__value *ret) {
    int more;
    int64_t n;
    *ret = (sl__value){.kind = SL__MISSING};
    if (sl__is(name, "index")) return *ret = sl__int(l->index0 + 1), true;
    if (sl__is(name, "index0")) return *ret = sl__int(l->index0), true;
    if (sl__is(name, "first")) return *ret = sl__bool(l->index0 == 0), true;
    if (sl__is(name, "depth")) return *ret = sl__int(l->depth0 + 1), true;
    if (sl__is(name, "depth0")) return *ret = sl__int(l->depth0), true;
    if (sl__is(name, "last")) {
        if ((more = peek(r, l)) < 0) return false;
        return *ret = sl__bool(!more), true;
    }
    if (sl__is(name, "nextitem")) {
        if ((more = peek(r, l)) < 0) return false;
        if (!more) return sl__undefined_value(r, ret, "there is no next item");
        return *ret = l->after, true;
    }
    if (sl__is(name, "previtem")) {
        if (!l->index0) return sl__undefined_value(r, ret, "there is no previous item");
        return *ret = l->before, true;
    }
    bool from_end = sl__is(name, "revindex"), from_end0 = sl__is(name, "revindex0");
    if (!from_end && !from_end0 && !sl__is(name, "length")) return true;
    if (!sl__loop_length(r, l, &n)) return false;
    *ret = sl__int(from_end ? n - l->index0 : from_end0 ? n - l->index0 - 1 : n);
    return true;
}

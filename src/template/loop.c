/* loop.c: {% for %} and its variable loop. Items are fetched one by one and filtered when they are fetched, one item ahead
 * where loop.last or loop.nextitem is asked; loop.length of a filtered loop fetches them all, as in Jinja. */
#include "template/internal.h"

struct sl__loop {
    const sl__node *node;
    sl__record *outer;    /* that of the function in which the loop stands */
    sl__record *test;     /* of the filter's function; NULL: no filter */
    sl__value iterable;
    sl__cursor cursor;
    int64_t index0, depth0;
    bool has_after, has_length, has_changed;
    sl__value after, current, before, changed;
    int64_t length;
};

/* Does the loop's filter let the item through? */
static bool passes(sl__render *r, sl__loop *l, const sl__value *item, bool *ret) {
    sl__record *before = r->record;
    sl__value v;
    r->record = l->test;
    bool good = sl__assign(r, l->node->list.at[0], item) && sl__eval(r, l->node->c, &v);
    r->record = before;
    *ret = good && sl__true(&v);
    return good;
}

static int fetch(sl__render *r, sl__loop *l, sl__value *ret) {
    for (;;) {
        bool pass;
        int more = sl__next(r, &l->cursor, ret);
        if (more != 1 || !l->test) return more;
        if (!passes(r, l, ret, &pass)) return -1;
        if (pass) return 1;
    }
}

/* 1: there is one more, and it is in l->after. */
static int peek(sl__render *r, sl__loop *l) {
    if (l->has_after) return 1;
    int more = fetch(r, l, &l->after);
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
        while ((more = fetch(r, l, &v)) == 1)
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

static bool prepare(sl__render *r, sl__loop *l, const sl__node *n, const sl__value *items, int64_t depth0, sl__record *outer) {
    *l = (sl__loop){.node = n, .outer = outer, .iterable = *items, .index0 = -1, .depth0 = depth0};
    if (!sl__iterate(r, items, &l->cursor)) return false;
    if (!n->c) return true;
    if (!sl__new_record(r, n->test_function->slots, r->record, &l->test)) return false;
    sl__record *before = r->record;
    r->record = l->test;
    sl__enter_frame(r, n->inner);
    r->record = before;
    return true;
}

/* The loop, in the record of the function that its body belongs to. */
static sl__flow run(sl__render *r, const sl__node *n, const sl__value *items, int64_t depth0, sl__record *outer) {
    sl__loop *l = sl__take(r, sizeof *l);
    if (!l || !prepare(r, l, n, items, depth0, outer)) return SL__FAILED;
    bool completed = false; /* a body, to its end: else the loop's else runs */
    for (;;) {
        sl__value item;
        int more = 1;
        if (l->has_after) item = l->after, l->has_after = false;
        else more = fetch(r, l, &item);
        if (more < 0) return SL__FAILED;
        if (!more) break;
        l->index0++;
        l->before = l->current;
        l->current = item;
        if (!sl__assign(r, n->a, &item)) return SL__FAILED;
        *sl__slot_at(r, n->slot) = (sl__value){.kind = SL__LOOP, .loop = l};
        sl__enter_frame(r, n->frame);
        sl__flow flow = sl__exec(r, &n->body);
        if (flow == SL__FAILED) return SL__FAILED;
        completed |= flow == SL__NEXT;
        if (flow == SL__BREAK) break;
    }
    if (completed || !n->other.count) return SL__NEXT;
    sl__enter_frame(r, n->rest);
    return sl__exec(r, &n->other);
}

/* A recursive loop is a function: its output is a string. */
static bool run_recursive(sl__render *r, const sl__node *n, const sl__value *items, int64_t depth0, sl__record *outer, sl__value *ret) {
    sl__record *record, *before = r->record;
    sl__store *out = r->out;
    if (!sl__enter(r)) return false;
    bool good = sl__new_record(r, n->function->slots, outer, &record) && (r->out = sl__store_new(r, 0));
    if (good) {
        r->record = record;
        good = run(r, n, items, depth0, outer) != SL__FAILED && sl__finish(r, r->out, ret);
    }
    r->record = before;
    r->out = out;
    sl__leave(r);
    return good;
}

bool sl__loop_again(sl__render *r, sl__loop *l, const sl__value *items, sl__value *ret) {
    if (!l->node->recursive) return sl__raise(r, "The loop must have the 'recursive' marker to be called recursively.");
    return run_recursive(r, l->node, items, l->depth0 + 1, l->outer, ret);
}

sl__flow sl__for(sl__render *r, const sl__node *n) {
    sl__value items, text;
    if (!sl__eval(r, n->b, &items)) return SL__FAILED;
    r->line = n->line;
    if (!n->recursive) return run(r, n, &items, 0, r->record);
    return run_recursive(r, n, &items, 0, r->record, &text) && sl__put_whole(r, r->out, text.s) ? SL__NEXT : SL__FAILED;
}

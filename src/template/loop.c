/* loop.c: {% for %}. */
#include "template/internal.h"

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

static bool prepare(sl__render *r, sl__loop *l, const sl__node *n, const sl__value *items, int64_t depth0, sl__record *outer) {
    *l = (sl__loop){.node = n, .outer = outer, .iterable = *items, .index0 = -1, .depth0 = depth0, .passes = passes};
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
        else more = sl__loop_fetch(r, l, &item);
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

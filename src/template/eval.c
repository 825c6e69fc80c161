/* eval.c: what an expression is worth. */
#include "template/internal.h"

sl__value *sl__slot_at(sl__render *r, sl__slot slot) {
    sl__record *record = r->record;
    for (uint16_t out = slot.out; out; out--) record = record->outer;
    return &record->slot[slot.index];
}

static bool eval_name(sl__render *r, const sl__node *n, sl__value *ret) {
    *ret = *sl__slot_at(r, n->slot);
    if (ret->kind != SL__MISSING) return true;
    return sl__undefined_value(r, ret, "'%.*s' is undefined", n->name->len < 100 ? (int)n->name->len : 100, sl__bytes(n->name));
}

static bool eval_list(sl__render *r, const sl__node *n, sl__value *ret) {
    sl__items *items = sl__items_new(r, n->list.count);
    if (!items) return false;
    for (size_t i = 0; i < n->list.count; i++) {
        sl__value v;
        if (!sl__eval(r, n->list.at[i], &v) || !sl__push(r, items, &v)) return false;
    }
    return sl__list_of(r, n->kind == SL__N_LIST ? SL__LIST : SL__TUPLE, items, ret);
}

static bool eval_dict(sl__render *r, const sl__node *n, sl__value *ret) {
    sl__dict *d = sl__dict_new(r, n->list.count);
    if (!d) return false;
    for (size_t i = 0; i < n->list.count; i++) {
        sl__value key, v;
        if (!sl__eval(r, n->list.at[i]->a, &key) || !sl__eval(r, n->list.at[i]->b, &v) || !sl__dict_set(r, d, &key, &v)) return false;
    }
    *ret = sl__dict_value(d);
    return true;
}

static bool eval_item(sl__render *r, const sl__node *n, sl__value *ret) {
    sl__value of, key;
    if (!sl__eval(r, n->a, &of)) return false;
    r->line = n->line;
    if (n->b->kind != SL__N_SLICE) return sl__eval(r, n->b, &key) && sl__getitem(r, &of, &key, ret);
    sl__value bounds[3] = {{0}};
    const sl__node *part[3] = {n->b->a, n->b->b, n->b->c};
    for (int i = 0; i < 3; i++)
        if (part[i] && !sl__eval(r, part[i], &bounds[i])) return false;
    return sl__slice(r, &of, bounds, ret);
}

/* *args and **kwargs behind those that are written out. */
static bool eval_spread(sl__render *r, const sl__node *n, sl__value **at, sl__args *a, sl__named **named) {
    sl__value v;
    if (n->b) {
        sl__items *items;
        if (!sl__eval(r, n->b, &v) || !sl__collect(r, &v, &items)) return false;
        sl__value *all = sl__take(r, (a->count + items->used + 1) * sizeof *all);
        if (!all) return false;
        if (a->count) memcpy(all, *at, a->count * sizeof *all);
        if (items->used) memcpy(all + a->count, items->at, items->used * sizeof *all);
        *at = all;
        a->count += items->used;
    }
    if (n->c) {
        if (!sl__eval(r, n->c, &v)) return false;
        if (v.kind != SL__DICT) return sl__raise(r, "argument after ** must be a mapping, not %s", sl__type_name(&v));
        sl__named *all = sl__take(r, (a->names + v.dict->count + 2) * sizeof *all);
        if (!all) return false;
        if (a->names) memcpy(all, *named, a->names * sizeof *all);
        for (size_t i = 0; i < v.dict->count; i++) {
            const sl__entry *e = &v.dict->entry[i];
            if (e->key.kind != SL__STRING) return sl__raise(r, "keywords must be strings");
            for (size_t k = 0; k < a->names; k++)
                if (sl__same(all[k].name, e->key.s))
                    return sl__raise(r, "got multiple values for keyword argument '%.*s'", (int)e->key.s->len,
                                     sl__bytes(e->key.s));
            all[a->names++] = (sl__named){e->key.s, e->value};
        }
        *named = all;
    }
    return true;
}

bool sl__eval_args(sl__render *r, const sl__node *n, const sl__value *caller, sl__args *ret) {
    sl__args a = {.count = n->list.count};
    sl__value *at = NULL;
    sl__named *named = NULL;
    if (a.count && !(at = sl__take(r, a.count * sizeof *at))) return false;
    for (size_t i = 0; i < a.count; i++)
        if (!sl__eval(r, n->list.at[i], &at[i])) return false;
    if ((n->more.count || caller) && !(named = sl__take(r, (n->more.count + 1) * sizeof *named))) return false;
    for (; a.names < n->more.count; a.names++) {
        named[a.names].name = n->more.at[a.names]->name;
        if (!sl__eval(r, n->more.at[a.names]->a, &named[a.names].value)) return false;
    }
    if ((n->b || n->c) && !eval_spread(r, n, &at, &a, &named)) return false;
    if (caller) {
        if (!named && !(named = sl__take(r, sizeof *named))) return false;
        const sl__string *name = sl__constant(r->arena, "caller", 6);
        if (!name) return sl__fail(r, SL_NOMEM, "out of memory");
        named[a.names++] = (sl__named){name, *caller};
    }
    a.at = at;
    a.named = named;
    *ret = a;
    return true;
}

static bool eval_call(sl__render *r, const sl__node *n, sl__value *ret) {
    sl__value f;
    sl__args a;
    if (!sl__eval(r, n->a, &f) || !sl__eval_args(r, n, NULL, &a)) return false;
    r->line = n->line;
    return sl__call(r, &f, &a, ret);
}

bool sl__apply_filter(sl__render *r, const sl__node *n, const sl__value *input, sl__value *ret) {
    sl__value v;
    sl__args a;
    if (!n->a) v = *input; /* a chain without a beginning, {% filter a|b %}, begins with the input */
    else if (!(input ? sl__apply_filter(r, n->a, input, &v) : sl__eval(r, n->a, &v))) return false;
    if (!sl__eval_args(r, n, NULL, &a)) return false;
    r->line = n->line;
    const sl__row *row = n->known;
    if (!row) return sl__raise(r, "No filter named '%.*s' found.", (int)n->name->len, sl__bytes(n->name));
    return sl__call_row(r, row, &v, &a, ret);
}

static bool eval_test(sl__render *r, const sl__node *n, sl__value *ret) {
    sl__value v;
    sl__args a;
    if (!sl__eval(r, n->a, &v) || !sl__eval_args(r, n, NULL, &a)) return false;
    r->line = n->line;
    const sl__row *row = n->known;
    if (!row) return sl__raise(r, "No test named '%.*s' found.", (int)n->name->len, sl__bytes(n->name));
    return sl__call_row(r, row, &v, &a, ret);
}

static bool compare_one(sl__render *r, sl__word op, const sl__value *a, const sl__value *b, bool *ret) {
    switch (op) {
    case SL__W_EQ: return sl__equal(r, a, b, ret);
    case SL__W_NE:
        if (!sl__equal(r, a, b, ret)) return false;
        *ret = !*ret;
        return true;
    case SL__W_LT: return sl__less(r, "<", a, b, ret);
    case SL__W_LE: return sl__less(r, "<=", a, b, ret);
    case SL__W_GT: return sl__less(r, ">", a, b, ret);
    case SL__W_GE: return sl__less(r, ">=", a, b, ret);
    default:
        if (!sl__contains(r, b, a, ret)) return false;
        if (op == SL__W_NOT_IN) *ret = !*ret;
        return true;
    }
}

static bool eval_compare(sl__render *r, const sl__node *n, sl__value *ret) {
    sl__value left, right;
    bool holds = true;
    if (!sl__eval(r, n->a, &left)) return false;
    for (size_t i = 0; i < n->list.count && holds; i++) {
        const sl__node *operand = n->list.at[i];
        if (!sl__eval(r, operand->a, &right)) return false;
        r->line = n->line;
        if (!compare_one(r, operand->op, &left, &right, &holds)) return false;
        left = right;
    }
    *ret = sl__bool(holds);
    return true;
}

static bool eval_concat(sl__render *r, const sl__node *n, sl__value *ret) {
    sl__value all, v;
    if (!sl__eval(r, n->list.at[0], &v) || !sl__str(r, &v, &all)) return false;
    for (size_t i = 1; i < n->list.count; i++)
        if (!sl__eval(r, n->list.at[i], &v) || !sl__str(r, &v, &v) || !sl__concat(r, all.s, v.s, &all)) return false;
    *ret = all;
    return true;
}

static bool eval_cond(sl__render *r, const sl__node *n, sl__value *ret) {
    sl__value v;
    if (!sl__eval(r, n->a, &v)) return false;
    if (sl__true(&v)) return sl__eval(r, n->b, ret);
    if (n->c) return sl__eval(r, n->c, ret);
    return sl__undefined_value(r, ret, "the inline if-expression on line %d evaluated to false and no else section was defined.", n->line);
}

static bool eval_node(sl__render *r, const sl__node *n, sl__value *ret) {
    sl__value a, b;
    switch (n->kind) {
    case SL__N_TUPLE: case SL__N_LIST: return eval_list(r, n, ret);
    case SL__N_DICT: return eval_dict(r, n, ret);
    case SL__N_GETATTR:
        if (!sl__eval(r, n->a, &a)) return false;
        r->line = n->line;
        return sl__getattr(r, &a, n->name, ret);
    case SL__N_GETITEM: return eval_item(r, n, ret);
    case SL__N_CALL: return eval_call(r, n, ret);
    case SL__N_FILTER: return sl__apply_filter(r, n, NULL, ret);
    case SL__N_TEST: return eval_test(r, n, ret);
    case SL__N_NEG: case SL__N_POS: return sl__eval(r, n->a, &a) && sl__negate(r, n->kind, &a, ret);
    case SL__N_NOT:
        if (!sl__eval(r, n->a, &a)) return false;
        *ret = sl__bool(!sl__true(&a));
        return true;
    case SL__N_AND: case SL__N_OR:
        if (!sl__eval(r, n->a, ret)) return false;
        return sl__true(ret) == (n->kind == SL__N_OR) || sl__eval(r, n->b, ret);
    case SL__N_ADD: case SL__N_SUB: case SL__N_MUL: case SL__N_DIV: case SL__N_FLOORDIV: case SL__N_MOD: case SL__N_POW:
        if (!sl__eval(r, n->a, &a) || !sl__eval(r, n->b, &b)) return false;
        r->line = n->line;
        return sl__operate(r, n->kind, &a, &b, ret);
    case SL__N_COMPARE: return eval_compare(r, n, ret);
    case SL__N_CONCAT: return eval_concat(r, n, ret);
    case SL__N_COND: return eval_cond(r, n, ret);
    default: return sl__fail(r, SL_UNSUPPORTED, "this expression is not supported");
    }
}

bool sl__eval(sl__render *r, const sl__node *n, sl__value *ret) {
    if (!sl__step(r)) return false;
    if (n->kind == SL__N_CONST) return *ret = n->value, true;
    if (n->kind == SL__N_NAME) return eval_name(r, n, ret);
    if (!sl__enter(r)) return false;
    bool good = eval_node(r, n, ret);
    sl__leave(r);
    return good;
}

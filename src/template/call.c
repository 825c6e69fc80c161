/* call.c: calling: what can be called, and the template's own macros. */
#include "template/internal.h"

bool sl__new_record(sl__render *r, size_t slots, sl__record *outer, sl__record **ret) {
    sl__record *record = sl__take(r, sizeof *record + slots * sizeof *record->slot);
    if (!record) return false;
    record->outer = outer;
    *ret = record;
    return true;
}

/* The parameters of a macro, from positional arguments and names; marks the names that were used. */
static bool take_parameters(sl__render *r, const sl__node *n, const sl__args *a, bool *used) {
    for (size_t i = 0; i < n->list.count; i++) {
        const sl__node *parameter = n->list.at[i];
        sl__value v = {0};
        if (i < a->count) {
            v = a->at[i];
        } else {
            for (size_t k = 0; k < a->names; k++)
                if (sl__same(a->named[k].name, parameter->name)) v = a->named[k].value, used[k] = true;
        }
        *sl__slot_at(r, parameter->slot) = v;
    }
    return true;
}

static bool fill_defaults(sl__render *r, const sl__node *n) {
    size_t first = n->list.count - n->more.count;
    for (size_t i = 0; i < n->list.count; i++) {
        const sl__node *parameter = n->list.at[i];
        if (sl__slot_at(r, parameter->slot)->kind != SL__MISSING) continue;
        sl__value v;
        if (i >= first) {
            if (!sl__eval(r, n->more.at[i - first], &v)) return false;
        } else if (!sl__undefined_value(r, &v, "parameter '%.*s' was not provided", (int)parameter->name->len, sl__bytes(parameter->name))) {
            return false;
        }
        *sl__slot_at(r, parameter->slot) = v;
    }
    return true;
}

/* caller, kwargs and varargs, where the body speaks of them; else what is left over is an error. */
static bool take_rest(sl__render *r, const sl__node *n, const sl__args *a, bool *used) {
    const sl__function *f = n->function;
    const char *name = n->name ? sl__bytes(n->name) : "anonymous";
    int length = n->name ? (int)n->name->len : 9;
    if (f->caller) {
        sl__value v = {0};
        for (size_t k = 0; k < a->names; k++)
            if (!used[k] && sl__is(a->named[k].name, "caller")) v = a->named[k].value, used[k] = true;
        if ((v.kind == SL__MISSING || v.kind == SL__NONE) && !sl__undefined_value(r, &v, "No caller defined")) return false;
        *sl__slot_at(r, f->caller_at) = v;
    }
    if (f->kwargs) {
        sl__dict *d = sl__dict_new(r, a->names);
        if (!d) return false;
        for (size_t k = 0; k < a->names; k++) {
            sl__value key = sl__string_value(a->named[k].name);
            if (!used[k] && !sl__dict_set(r, d, &key, &a->named[k].value)) return false;
        }
        *sl__slot_at(r, f->kwargs_at) = sl__dict_value(d);
    } else {
        for (size_t k = 0; k < a->names; k++)
            if (!used[k])
                return sl__raise(r, "macro '%.*s' takes no keyword argument '%.*s'", length, name, (int)a->named[k].name->len,
                                 sl__bytes(a->named[k].name));
    }
    if (f->varargs) {
        sl__items *items = sl__items_new(r, 0);
        for (size_t i = n->list.count; items && i < a->count; i++)
            if (!sl__push(r, items, &a->at[i])) return false;
        if (!items || !sl__list_of(r, SL__TUPLE, items, sl__slot_at(r, f->varargs_at))) return false;
    } else if (a->count > n->list.count) {
        return sl__raise(r, "macro '%.*s' takes not more than %zu argument(s)", length, name, n->list.count);
    }
    return true;
}

static bool call_macro(sl__render *r, const sl__macro *m, const sl__args *a, sl__value *ret) {
    const sl__node *n = m->node;
    sl__record *record, *before = r->record;
    sl__store *out = r->out;
    bool *used = sl__take(r, a->names + 1);
    if (!used || !sl__enter(r)) return false;
    bool good = sl__new_record(r, n->function->slots, m->record, &record) && (r->record = record) && (r->out = sl__store_new(r, 0));
    if (good) {
        sl__enter_frame(r, n->frame);
        good = take_parameters(r, n, a, used) && take_rest(r, n, a, used) && fill_defaults(r, n) && sl__exec(r, &n->body) == SL__NEXT &&
               sl__finish(r, r->out, ret);
    }
    r->record = before;
    r->out = out;
    sl__leave(r);
    return good;
}

static bool call_joiner(sl__render *r, sl__joiner *j, sl__value *ret) {
    if (!j->used) return j->used = true, sl__text(r, "", 0, false, ret);
    *ret = sl__string_value(j->separator);
    return true;
}

bool sl__call(sl__render *r, const sl__value *f, const sl__args *a, sl__value *ret) {
    if (!sl__step(r)) return false;
    switch (f->kind) {
    case SL__MACRO: return call_macro(r, f->macro, a, ret);
    case SL__METHOD: return sl__call_row(r, &f->bound->method->row, &f->bound->self, a, ret);
    case SL__GLOBAL: return sl__call_row(r, &f->global->row, f, a, ret);
    case SL__JOINER: return call_joiner(r, f->joiner, ret);
    case SL__LOOP:
        if (a->count != 1 || a->names) return sl__raise(r, "loop() takes one argument");
        return sl__loop_again(r, f->loop, &a->at[0], ret);
    case SL__UNDEFINED: return sl__use_undefined(r, f);
    default: return sl__raise(r, "'%s' object is not callable", sl__type_name(f));
    }
}

/* exec.c: what a statement does. */
#include "template/internal.h"

void sl__enter_frame(sl__render *r, const sl__frame *f) {
    for (size_t i = 0; i < f->loads; i++) {
        const sl__load *load = &f->load[i];
        sl__value *slot = &r->record->slot[load->index];
        if (load->kind == SL__LOAD_MISSING) *slot = (sl__value){.kind = SL__MISSING};
        else if (load->kind == SL__LOAD_OUTER) *slot = *sl__slot_at(r, load->outer);
        else sl__variable(r, load->name, slot);
    }
}

/* To a namespace's attribute. */
static bool assign_attribute(sl__render *r, const sl__node *n, const sl__value *v) {
    const sl__value *space = sl__slot_at(r, n->slot);
    if (space->kind != SL__SPACE) return sl__raise(r, "cannot assign attribute on non-namespace object");
    if (n->attr->len && *sl__bytes(n->attr) == '_')
        return sl__raise(r, "Chat templates cannot store underscore-prefixed attributes on a namespace, but got '%.60s'", sl__bytes(n->attr));
    sl__value key = sl__string_value(n->attr);
    return sl__dict_set(r, space->space->dict, &key, v);
}

static bool unpack(sl__render *r, const sl__node *target, const sl__value *v) {
    size_t want = target->list.count, got = 0;
    sl__cursor c;
    sl__value item;
    int more;
    if (v->kind != SL__UNDEFINED && (v->kind == SL__NONE || v->kind == SL__INT || v->kind == SL__FLOAT || v->kind == SL__BOOL))
        return sl__raise(r, "cannot unpack non-iterable %s object", sl__type_name(v));
    sl__value *items = sl__take(r, (want + 1) * sizeof *items);
    if (!items || !sl__iterate(r, v, &c)) return false;
    while ((more = sl__next(r, &c, &item)) == 1) {
        if (got == want) return sl__raise(r, "too many values to unpack (expected %zu)", want);
        items[got++] = item;
    }
    if (more < 0) return false;
    if (got < want) return sl__raise(r, "not enough values to unpack (expected %zu, got %zu)", want, got);
    for (size_t i = 0; i < want; i++)
        if (!sl__assign(r, target->list.at[i], &items[i])) return false;
    return true;
}

bool sl__assign(sl__render *r, const sl__node *target, const sl__value *v) {
    if (target->kind == SL__N_NAME) return *sl__slot_at(r, target->slot) = *v, true;
    return target->kind == SL__N_NSREF ? assign_attribute(r, target, v) : unpack(r, target, v);
}

/* Are all namespaces of a target some, before its value is computed? */
static bool check_spaces(sl__render *r, const sl__node *target) {
    if (target->kind == SL__N_NSREF && sl__slot_at(r, target->slot)->kind != SL__SPACE)
        return sl__raise(r, "cannot assign attribute on non-namespace object");
    for (size_t i = 0; i < target->list.count; i++)
        if (!check_spaces(r, target->list.at[i])) return false;
    return true;
}

static bool print(sl__render *r, const sl__value *v) {
    if (!sl__put_str(r, r->out, v)) return false;
    return r->out->used <= r->output || sl__fail(r, SL_TOO_MUCH, "the template writes more than %zu bytes", r->output);
}

/* What a block's filter or call gives: Jinja joins it to the output as it is, so it has to be a string. */
static bool print_string(sl__render *r, const sl__value *v) {
    return v->kind == SL__STRING ? print(r, v) : sl__raise(r, "expected str instance, %s found", sl__type_name(v));
}

/* Runs a body with its output kept apart, as a string. */
static sl__flow capture(sl__render *r, const sl__node *n, sl__value *ret) {
    sl__store *out = r->out;
    if (!(r->out = sl__store_new(r, 0))) return SL__FAILED;
    sl__enter_frame(r, n->frame);
    sl__flow flow = sl__exec(r, &n->body);
    if (flow == SL__NEXT && !sl__finish(r, r->out, ret)) flow = SL__FAILED;
    r->out = out;
    return flow;
}

static sl__flow set_block(sl__render *r, const sl__node *n) {
    sl__value v;
    sl__flow flow = capture(r, n, &v);
    if (flow != SL__NEXT) return flow;
    if (n->b && !sl__apply_filter(r, n->b, &v, &v)) return SL__FAILED;
    return sl__assign(r, n->a, &v) ? SL__NEXT : SL__FAILED;
}

static sl__flow filter_block(sl__render *r, const sl__node *n) {
    sl__value v;
    sl__flow flow = capture(r, n, &v);
    if (flow != SL__NEXT) return flow;
    return sl__apply_filter(r, n->a, &v, &v) && print_string(r, &v) ? SL__NEXT : SL__FAILED;
}

static sl__flow with(sl__render *r, const sl__node *n) {
    sl__enter_frame(r, n->frame);
    for (size_t i = 0; i < n->list.count; i++) {
        sl__value v;
        if (!sl__eval(r, n->more.at[i], &v) || !sl__assign(r, n->list.at[i], &v)) return SL__FAILED;
    }
    return sl__exec(r, &n->body);
}

static bool make_macro(sl__render *r, const sl__node *n, sl__value *ret) {
    sl__macro *m = sl__take(r, sizeof *m);
    if (!m) return false;
    *m = (sl__macro){n, r->record};
    *ret = (sl__value){.kind = SL__MACRO, .macro = m};
    return true;
}

static bool call_block(sl__render *r, const sl__node *n) {
    sl__value caller, f, v;
    sl__args a;
    return make_macro(r, n, &caller) && sl__eval(r, n->a->a, &f) && sl__eval_args(r, n->a, &caller, &a) &&
           sl__call(r, &f, &a, &v) && print_string(r, &v);
}

static sl__flow exec_if(sl__render *r, const sl__node *n) {
    sl__value v;
    if (!sl__eval(r, n->a, &v)) return SL__FAILED;
    return sl__exec(r, sl__true(&v) ? &n->body : &n->other);
}

static sl__flow exec_node(sl__render *r, const sl__node *n) {
    sl__value v;
    bool good;
    switch (n->kind) {
    case SL__N_DATA: good = print(r, &n->value); break;
    case SL__N_PRINT: good = sl__eval(r, n->a, &v) && print(r, &v); break;
    case SL__N_IF: return exec_if(r, n);
    case SL__N_FOR: return sl__for(r, n);
    case SL__N_SET: good = check_spaces(r, n->a) && sl__eval(r, n->b, &v) && sl__assign(r, n->a, &v); break;
    case SL__N_SET_BLOCK: return set_block(r, n);
    case SL__N_FILTER_BLOCK: return filter_block(r, n);
    case SL__N_WITH: return with(r, n);
    case SL__N_MACRO:
        good = make_macro(r, n, &v);
        if (good) *sl__slot_at(r, n->slot) = v;
        break;
    case SL__N_CALL_BLOCK: good = call_block(r, n); break;
    case SL__N_GENERATION: good = make_macro(r, n, &v) && sl__call(r, &v, &(sl__args){0}, &v) && print(r, &v); break;
    case SL__N_BREAK: return SL__BREAK;
    case SL__N_CONTINUE: return SL__CONTINUE;
    default: good = sl__fail(r, SL_UNSUPPORTED, "this statement is not supported");
    }
    return good ? SL__NEXT : SL__FAILED;
}

sl__flow sl__exec(sl__render *r, const sl__nodes *body) {
    if (!sl__enter(r)) return SL__FAILED;
    sl__flow flow = SL__NEXT;
    for (size_t i = 0; i < body->count && flow == SL__NEXT; i++) {
        if (!sl__step(r)) flow = SL__FAILED;
        if (flow == SL__NEXT) {
            r->line = body->at[i]->line;
            flow = exec_node(r, body->at[i]);
        }
    }
    sl__leave(r);
    return flow;
}

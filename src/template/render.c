/* render.c: one rendering from its variables to its segments. */
#include "template/internal.h"

#include "base/alloc.h"

enum { STEPS = 20 * 1000 * 1000, MEMORY = 64 << 20, OUTPUT = 32 << 20, NESTING = 1000 };

static bool set_variable(sl__render *r, const char *name, const sl__value *v) {
    sl__value key;
    return sl__text(r, name, strlen(name), false, &key) && sl__dict_set(r, r->variables, &key, v);
}

static bool set_variables(sl__render *r) {
    sl__value none = SL__VALUE_NONE, no = sl__bool(false), v;
    if (!(r->variables = sl__dict_new(r, r->in->variables + 3))) return false;
    if (!set_variable(r, "tools", &none) || !set_variable(r, "documents", &none) || !set_variable(r, "add_generation_prompt", &no)) return false;
    for (size_t i = 0; i < r->in->variables; i++) {
        const sl_template_variable *from = &r->in->variable[i];
        bool good = from->origin == SL_TEMPLATE_MESSAGES ? sl__messages(r, from->value, &v)
                                                         : sl__from_json(r, from->value, from->origin == SL_TEMPLATE_CONTENT, &v);
        if (!good || !set_variable(r, from->name, &v)) return false;
    }
    return true;
}

static bool take_out(sl__render *r, sl_template_text *ret) {
    const sl__store *out = r->out;
    sl_template_text text = {.len = out->used, .segments = out->runs};
    if (!sl__may_take(r, text.len + 1 + (text.segments + 1) * sizeof *text.segment)) return false;
    text.text = sl_malloc(text.len + 1);
    text.segment = sl_calloc(text.segments ? text.segments : 1, sizeof *text.segment);
    if (!text.text || !text.segment) {
        sl_template_text_done(&text);
        return sl__fail(r, SL_NOMEM, "out of memory");
    }
    if (text.len) memcpy(text.text, out->data, text.len);
    text.text[text.len] = 0;
    for (size_t i = 0; i < out->runs; i++) {
        size_t end = i + 1 < out->runs ? out->run[i + 1].start : out->used;
        text.segment[i] = (sl_template_segment){out->run[i].start, end - out->run[i].start, out->run[i].content};
    }
    *ret = text;
    return true;
}

sl_status sl_template_render(const sl_template *t, const sl_template_input *in, sl_template_text *ret, sl_error *e) {
    sl_error own = {0};
    const sl_template_limits *l = &in->limits;
    sl__render r = {.t = t, .in = in, .error = &own, .line = 1, .arena = sl_arena_new()};
    r.steps = l->steps ? l->steps : STEPS;
    r.memory = l->memory ? l->memory : MEMORY;
    r.output = l->output ? l->output : OUTPUT;
    r.nesting = l->nesting ? l->nesting : NESTING;
    bool good = r.arena || sl__fail(&r, SL_NOMEM, "out of memory");
    good = good && set_variables(&r) && sl__new_record(&r, t->function->slots, NULL, &r.record) && (r.out = sl__store_new(&r, 4096)) != NULL;
    if (good) {
        sl__enter_frame(&r, t->frame);
        good = sl__exec(&r, &t->body) == SL__NEXT;
    }
    if (good && r.out->used > r.output) good = sl__fail(&r, SL_TOO_MUCH, "the template writes more than %zu bytes", r.output);
    good = good && take_out(&r, ret);
    sl_arena_free(r.arena);
    if (!good && e) *e = own;
    return good ? SL_OK : own.code;
}

void sl_template_text_done(sl_template_text *text) {
    sl_free(text->text);
    sl_free(text->segment);
    *text = (sl_template_text){0};
}

static bool names(const sl__string *s, const char *name) { return s && sl__is(s, name); }

static bool mentions(const sl__node *n, const char *name);

static bool any_mentions(const sl__nodes *list, const char *name) {
    for (size_t i = 0; i < list->count; i++)
        if (mentions(list->at[i], name)) return true;
    return false;
}

static bool mentions(const sl__node *n, const char *name) {
    if (!n) return false;
    bool text = (n->kind == SL__N_CONST || n->kind == SL__N_DATA) && n->value.kind == SL__STRING;
    if (text && memmem(sl__bytes(n->value.s), n->value.s->len, name, strlen(name))) return true;
    bool named = n->kind == SL__N_NAME || n->kind == SL__N_GETATTR;
    return (named && names(n->name, name)) || mentions(n->a, name) || mentions(n->b, name) || mentions(n->c, name) ||
           any_mentions(&n->list, name) || any_mentions(&n->more, name) || any_mentions(&n->body, name) || any_mentions(&n->other, name);
}

bool sl_template_mentions(const sl_template *t, const char *name) { return any_mentions(&t->body, name); }

static bool loads(const sl__frame *f, const char *name) {
    for (size_t i = 0; f && i < f->loads; i++)
        if (f->load[i].kind == SL__LOAD_VARIABLE && sl__is(f->load[i].name, name)) return true;
    return false;
}

static bool reads(const sl__nodes *list, const char *name) {
    for (size_t i = 0; i < list->count; i++) {
        const sl__node *n = list->at[i];
        if (loads(n->frame, name) || loads(n->inner, name) || loads(n->rest, name) || reads(&n->body, name) || reads(&n->other, name)) return true;
    }
    return false;
}

bool sl_template_reads(const sl_template *t, const char *name) { return loads(t->frame, name) || reads(&t->body, name); }

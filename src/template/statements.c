/* statements.c: the tags of a template, and parsing a whole one. */
#include "template/internal.h"

#include "base/utf8.h"

#include <string.h>

typedef sl__node *parse_tag(sl__parser *p);

static bool one_of(const sl__token *t, const char *const *names) {
    for (; names && *names; names++)
        if (sl__is_name(t, *names)) return true;
    return false;
}

/* The body of a tag up to one of its ends, which is then the word at hand: "%}" and statements and "{% end". */
static bool tag_body(sl__parser *p, const char *const *ends, sl__nodes *ret) {
    if (p->now.word == SL__W_COLON && !sl__advance(p)) return false;
    if (!sl__expect(p, SL__W_BLOCK_END) || !sl__parse_body(p, ends, ret)) return false;
    if (p->now.word == SL__W_END)
        return sl__syntax(p, p->now.line, SL_FORMAT, "unexpected end of template: {%% %s %%} is missing", ends[0]);
    return true;
}

static bool whole_body(sl__parser *p, const char *end, sl__nodes *ret) {
    return tag_body(p, (const char *const[]){end, NULL}, ret) && sl__advance(p);
}

/* Can it be assigned to? Names become targets; others are refused as Jinja does. */
static bool assignable(sl__parser *p, const sl__node *n) {
    if (n->kind == SL__N_NAME) {
        if (!sl__is(n->name, "loop")) return true;
        return p->loops ? sl__syntax(p, n->line, SL_FORMAT, "can't assign to special loop variable in for-loop target") : true;
    }
    if (n->kind == SL__N_NSREF) return true;
    if (n->kind != SL__N_TUPLE) return sl__syntax(p, n->line, SL_FORMAT, "can't assign to this expression");
    for (size_t i = 0; i < n->list.count; i++)
        if (!assignable(p, n->list.at[i])) return false;
    return true;
}

static sl__node *parse_target(sl__parser *p, const char *end, bool namespaces) {
    sl__node *n = sl__parse_tuple(p, &(sl__tuple_rules){.simple = true, .end = end, .namespaces = namespaces});
    return n && assignable(p, n) ? n : NULL;
}

static sl__node *parse_plain_name(sl__parser *p) {
    sl__token t = p->now;
    sl__node *n = sl__node_new(p, SL__N_NAME, t.line);
    if (!n || !sl__expect(p, SL__W_NAME)) return NULL;
    static const char *const reserved[] = {"true", "false", "none", "True", "False", "None", NULL};
    if (one_of(&t, reserved)) return sl__syntax(p, t.line, SL_FORMAT, "can't assign to '%.*s'", (int)t.len, t.text), NULL;
    if (!(n->name = sl__constant(p->arena, t.text, t.len))) return sl__no_memory(p), NULL;
    return n;
}

static sl__node *parse_set(sl__parser *p) {
    sl__node *n = sl__node_new(p, SL__N_SET, p->now.line);
    if (!n || !sl__advance(p) || !(n->a = parse_target(p, NULL, true))) return NULL;
    if (p->now.word == SL__W_ASSIGN)
        return sl__advance(p) && (n->b = sl__parse_tuple(p, &(sl__tuple_rules){0})) ? n : NULL;
    n->kind = SL__N_SET_BLOCK;
    if (p->now.word == SL__W_PIPE && !(n->b = sl__parse_filters(p, NULL, false))) return NULL;
    return whole_body(p, "endset", &n->body) ? n : NULL;
}

static sl__node *parse_for(sl__parser *p) {
    static const char *const ends[] = {"endfor", "else", NULL};
    sl__node *n = sl__node_new(p, SL__N_FOR, p->now.line);
    if (!n || !sl__advance(p)) return NULL;
    p->loops++;
    if (!(n->a = parse_target(p, "in", false))) return NULL;
    if (!sl__is_name(&p->now, "in")) return sl__expect(p, SL__W_NAME), sl__syntax(p, p->now.line, SL_FORMAT, "expected 'in' in a for loop"), NULL;
    if (!sl__advance(p) || !(n->b = sl__parse_tuple(p, &(sl__tuple_rules){.no_conditional = true, .end = "recursive"}))) return NULL;
    if (sl__is_name(&p->now, "if") && (!sl__advance(p) || !(n->c = sl__parse_expression(p)))) return NULL;
    n->recursive = sl__is_name(&p->now, "recursive");
    if (n->recursive && !sl__advance(p)) return NULL;
    if (!tag_body(p, ends, &n->body)) return NULL;
    p->loops--;
    bool other = sl__is_name(&p->now, "else");
    if (!sl__advance(p)) return NULL;
    return !other || whole_body(p, "endfor", &n->other) ? n : NULL;
}

/* From behind "if" or "elif". An elif is an if in the else of the one before. */
static sl__node *parse_if_rest(sl__parser *p, int line) {
    static const char *const ends[] = {"endif", "elif", "else", NULL};
    sl__node *n = sl__node_new(p, SL__N_IF, line), *first = n;
    for (;;) {
        if (!n || !(n->a = sl__parse_tuple(p, &(sl__tuple_rules){.no_conditional = true})) || !tag_body(p, ends, &n->body)) return NULL;
        if (!sl__is_name(&p->now, "elif")) break;
        sl__node *next = sl__node_new(p, SL__N_IF, p->now.line);
        if (!next || !sl__nodes_add(p, &n->other, next) || !sl__advance(p)) return NULL;
        n = next;
    }
    bool other = sl__is_name(&p->now, "else");
    if (!sl__advance(p)) return NULL;
    return !other || whole_body(p, "endif", &n->other) ? first : NULL;
}

static sl__node *parse_if(sl__parser *p) {
    int line = p->now.line;
    return sl__advance(p) ? parse_if_rest(p, line) : NULL;
}

static sl__node *parse_with(sl__parser *p) {
    sl__node *n = sl__node_new(p, SL__N_WITH, p->now.line);
    if (!n || !sl__advance(p)) return NULL;
    while (p->now.word != SL__W_BLOCK_END) {
        if (n->list.count && !sl__expect(p, SL__W_COMMA)) return NULL;
        /* parse_assign_target takes a tuple here, so "a, b = …" is one target; with one name it ends at = */
        sl__node *target = parse_target(p, NULL, false), *value;
        if (!target || !sl__expect(p, SL__W_ASSIGN) || !(value = sl__parse_expression(p))) return NULL;
        if (!sl__nodes_add(p, &n->list, target) || !sl__nodes_add(p, &n->more, value)) return NULL;
    }
    return whole_body(p, "endwith", &n->body) ? n : NULL;
}

/* ( a, b=1 ) */
static bool parse_signature(sl__parser *p, sl__node *n) {
    if (!sl__expect(p, SL__W_LPAREN)) return false;
    while (p->now.word != SL__W_RPAREN) {
        if (n->list.count && !sl__expect(p, SL__W_COMMA)) return false;
        sl__node *name = parse_plain_name(p);
        if (!name) return false;
        for (size_t i = 0; i < n->list.count; i++)
            if (sl__same(n->list.at[i]->name, name->name))
                return sl__syntax(p, name->line, SL_FORMAT, "duplicate argument '%.60s'", sl__bytes(name->name));
        if (p->now.word == SL__W_ASSIGN) {
            sl__node *value = sl__advance(p) ? sl__parse_expression(p) : NULL;
            if (!value || !sl__nodes_add(p, &n->more, value)) return false;
        } else if (n->more.count) {
            return sl__syntax(p, name->line, SL_FORMAT, "non-default argument follows default argument");
        }
        if (!sl__nodes_add(p, &n->list, name)) return false;
    }
    return sl__expect(p, SL__W_RPAREN);
}

/* The body of what is a function: loops outside are not its own. */
static bool function_body(sl__parser *p, const char *end, sl__nodes *ret) {
    int loops = p->loops;
    p->loops = 0;
    bool good = whole_body(p, end, ret);
    p->loops = loops;
    return good;
}

static sl__node *parse_macro(sl__parser *p) {
    sl__node *n = sl__node_new(p, SL__N_MACRO, p->now.line);
    if (!n || !sl__advance(p)) return NULL;
    sl__node *name = parse_plain_name(p);
    if (!name || !parse_signature(p, n)) return NULL;
    n->name = name->name;
    return function_body(p, "endmacro", &n->body) ? n : NULL;
}

static sl__node *parse_call_block(sl__parser *p) {
    sl__node *n = sl__node_new(p, SL__N_CALL_BLOCK, p->now.line);
    if (!n || !sl__advance(p) || (p->now.word == SL__W_LPAREN && !parse_signature(p, n))) return NULL;
    if (!(n->a = sl__parse_expression(p))) return NULL;
    if (n->a->kind != SL__N_CALL) return sl__syntax(p, n->line, SL_FORMAT, "expected call in {%% call %%}"), NULL;
    return function_body(p, "endcall", &n->body) ? n : NULL;
}

static sl__node *parse_filter_block(sl__parser *p) {
    sl__node *n = sl__node_new(p, SL__N_FILTER_BLOCK, p->now.line);
    if (!n || !sl__advance(p) || !(n->a = sl__parse_filters(p, NULL, true))) return NULL;
    return whole_body(p, "endfilter", &n->body) ? n : NULL;
}

static sl__node *parse_generation(sl__parser *p) {
    sl__node *n = sl__node_new(p, SL__N_GENERATION, p->now.line);
    return n && sl__advance(p) && function_body(p, "endgeneration", &n->body) ? n : NULL;
}

static sl__node *parse_jump(sl__parser *p) {
    bool out = sl__is_name(&p->now, "break");
    if (!p->loops) return sl__syntax(p, p->now.line, SL_FORMAT, "'%s' outside loop", out ? "break" : "continue"), NULL;
    sl__node *n = sl__node_new(p, out ? SL__N_BREAK : SL__N_CONTINUE, p->now.line);
    return n && sl__advance(p) ? n : NULL;
}

/* {% print a, b %}: what it prints, as one node of several in a body of its own. */
static sl__node *parse_print(sl__parser *p) {
    sl__node *all = sl__node_new(p, SL__N_IF, p->now.line);
    if (!all || !(all->a = sl__node_new(p, SL__N_CONST, p->now.line)) || !sl__advance(p)) return NULL;
    all->a->value = sl__bool(true);
    while (p->now.word != SL__W_BLOCK_END) {
        if (all->body.count && !sl__expect(p, SL__W_COMMA)) return NULL;
        sl__node *n = sl__node_new(p, SL__N_PRINT, p->now.line);
        if (!n || !(n->a = sl__parse_expression(p)) || !sl__nodes_add(p, &all->body, n)) return NULL;
    }
    return all;
}

static sl__node *parse_unsupported(sl__parser *p) {
    sl__syntax(p, p->now.line, SL_UNSUPPORTED, "{%% %.*s %%} is not supported in a chat template", (int)p->now.len, p->now.text);
    return NULL;
}

static const struct {
    const char *name;
    parse_tag *parse;
} tags[] = {
    {"if", parse_if}, {"for", parse_for}, {"set", parse_set}, {"macro", parse_macro}, {"with", parse_with},
    {"call", parse_call_block}, {"filter", parse_filter_block}, {"generation", parse_generation}, {"break", parse_jump},
    {"continue", parse_jump}, {"print", parse_print},
    {"block", parse_unsupported}, {"extends", parse_unsupported}, {"include", parse_unsupported},
    {"import", parse_unsupported}, {"from", parse_unsupported}, {"autoescape", parse_unsupported},
};

static sl__node *parse_statement(sl__parser *p) {
    if (p->now.word != SL__W_NAME) return sl__syntax(p, p->now.line, SL_FORMAT, "tag name expected"), NULL;
    if (!sl__deeper(p)) return NULL;
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        if (!sl__is_name(&p->now, tags[i].name)) continue;
        sl__node *n = tags[i].parse(p);
        p->depth--;
        return n;
    }
    sl__syntax(p, p->now.line, SL_FORMAT, "encountered unknown tag '%.*s'", p->now.len < 60 ? (int)p->now.len : 60, p->now.text);
    return NULL;
}

bool sl__parse_body(sl__parser *p, const char *const *ends, sl__nodes *ret) {
    while (p->now.word != SL__W_END) {
        sl__node *n = NULL;
        switch (p->now.word) {
        case SL__W_DATA:
            if (!(n = sl__node_new(p, SL__N_DATA, p->now.line))) return false;
            const sl__string *s = sl__constant(p->arena, p->now.text, p->now.len);
            if (!s) return sl__no_memory(p);
            n->value = sl__string_value(s);
            if (!sl__advance(p)) return false;
            break;
        case SL__W_PRINT_BEGIN:
            if (!(n = sl__node_new(p, SL__N_PRINT, p->now.line)) || !sl__advance(p)) return false;
            if (!(n->a = sl__parse_tuple(p, &(sl__tuple_rules){0})) || !sl__expect(p, SL__W_PRINT_END)) return false;
            break;
        default: /* {% */
            if (!sl__advance(p)) return false;
            if (one_of(&p->now, ends)) return true;
            if (!(n = parse_statement(p)) || !sl__expect(p, SL__W_BLOCK_END)) return false;
        }
        if (!sl__nodes_add(p, ret, n)) return false;
    }
    return true;
}

/* The source with \r\n and \r made \n, and without the newline at its end. */
static bool take_source(sl__parser *p, const char *text, size_t len) {
    char *to = sl_arena_alloc(p->arena, SL_MEM_VOCABULARY, len + 1);
    if (!to) return sl__no_memory(p);
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\r' && i + 1 < len && text[i + 1] == '\n') continue;
        to[n++] = text[i] == '\r' ? '\n' : text[i];
    }
    if (n && to[n - 1] == '\n') n--;
    p->text = to;
    p->len = n;
    return true;
}

sl_status sl_template_parse(const char *text, size_t len, sl_template **ret, sl_error *e) {
    sl_error own = {0};
    sl_arena *arena = sl_arena_new();
    sl_template *t = arena ? sl_arena_alloc(arena, SL_MEM_VOCABULARY, sizeof *t) : NULL;
    sl__parser p = {.arena = arena, .error = &own, .line = 1, .line_starting = true};
    if (!t) {
        sl__no_memory(&p);
        goto fail;
    }
    t->arena = arena;
    if (!sl_utf8_valid(text, len)) {
        sl__syntax(&p, 1, SL_FORMAT, "the template is not valid UTF-8");
        goto fail;
    }
    if (!(t->source = sl_arena_copy(arena, SL_MEM_VOCABULARY, text, len))) {
        sl__no_memory(&p);
        goto fail;
    }
    t->source_len = len;
    if (!take_source(&p, text, len) || !sl__advance(&p) || !sl__parse_body(&p, NULL, &t->body) ||
        !sl__place_names(&p, &t->body, &t->function, &t->frame))
        goto fail;
    *ret = t;
    return SL_OK;
fail:
    sl_arena_free(arena);
    if (e) *e = own;
    return own.code;
}

sl_template *sl_template_free(sl_template *t) {
    if (t) sl_arena_free(t->arena);
    return NULL;
}

const char *sl_template_source(const sl_template *t, size_t *ret_len) {
    if (ret_len) *ret_len = t->source_len;
    return t->source;
}

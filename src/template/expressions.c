/* expressions.c: the expressions of a template, with Jinja's rules of which operator binds tighter. */
#include "template/internal.h"

static sl__node *parse_or(sl__parser *p);
static sl__node *parse_unary(sl__parser *p, bool filters);

/* With each recursion of the parser the depth is counted; this undoes it. */
static sl__node *leave(sl__parser *p, sl__node *n) {
    p->depth--;
    return n;
}

static sl__node *constant(sl__parser *p, int line, sl__value v) {
    sl__node *n = sl__node_new(p, SL__N_CONST, line);
    if (n) n->value = v;
    return n;
}

static const sl__string *text_of(sl__parser *p, const sl__token *t) {
    const sl__string *s = sl__constant(p->arena, t->text, t->len);
    if (!s) sl__no_memory(p);
    return s;
}

static sl__node *unexpected(sl__parser *p, const char *what) {
    char got[64];
    sl__syntax(p, p->now.line, SL_FORMAT, "%s '%s'", what, sl__word_name(&p->now, got));
    return NULL;
}

sl__node *sl__parse_expression(sl__parser *p) {
    if (!sl__deeper(p)) return NULL;
    sl__node *n = parse_or(p);
    while (n && sl__is_name(&p->now, "if")) {
        sl__node *cond = sl__node_new(p, SL__N_COND, p->now.line);
        if (!cond || !sl__advance(p)) return NULL;
        cond->b = n;
        if (!(cond->a = parse_or(p))) return NULL;
        if (sl__is_name(&p->now, "else") && (!sl__advance(p) || !(cond->c = sl__parse_expression(p)))) return NULL;
        n = cond;
    }
    return leave(p, n);
}

static sl__node *pair_of(sl__parser *p, sl__node_kind kind, int line, sl__node *a, sl__node *b) {
    sl__node *n = a && b ? sl__node_new(p, kind, line) : NULL;
    if (n) {
        n->a = a;
        n->b = b;
    }
    return n;
}

static sl__node *parse_concat(sl__parser *p);

static sl__node *parse_math1(sl__parser *p) {
    sl__node *n = parse_concat(p);
    while (n && (p->now.word == SL__W_ADD || p->now.word == SL__W_SUB)) {
        int line = p->now.line;
        sl__node_kind kind = p->now.word == SL__W_ADD ? SL__N_ADD : SL__N_SUB;
        if (!sl__advance(p)) return NULL;
        n = pair_of(p, kind, line, n, parse_concat(p));
    }
    return n;
}

/* The operator at hand, advanced over; false with *ret_failed unset: there is none. */
static bool comparison(sl__parser *p, sl__word *ret, bool *ret_failed) {
    sl__token next;
    *ret_failed = false;
    *ret = p->now.word;
    if (p->now.word < SL__W_EQ || p->now.word > SL__W_LE) {
        if (sl__is_name(&p->now, "not")) {
            if (!sl__peek(p, &next)) return *ret_failed = true, false;
            if (!sl__is_name(&next, "in")) return false;
            if (!sl__advance(p)) return *ret_failed = true, false;
            *ret = SL__W_NOT_IN;
        } else if (sl__is_name(&p->now, "in")) {
            *ret = SL__W_NAME;
        } else {
            return false;
        }
    }
    *ret_failed = !sl__advance(p);
    return !*ret_failed;
}

static sl__node *parse_compare(sl__parser *p) {
    int line = p->now.line;
    sl__node *n = parse_math1(p), *compare = NULL;
    sl__word op;
    bool failed = false;
    while (n && comparison(p, &op, &failed)) {
        if (!compare) {
            if (!(compare = sl__node_new(p, SL__N_COMPARE, line))) return NULL;
            compare->a = n;
        }
        sl__node *operand = sl__node_new(p, SL__N_OPERAND, line);
        if (!operand || !(operand->a = parse_math1(p)) || !sl__nodes_add(p, &compare->list, operand)) return NULL;
        operand->op = op;
    }
    return failed ? NULL : compare ? compare : n;
}

static sl__node *parse_not(sl__parser *p) {
    if (!sl__is_name(&p->now, "not")) return parse_compare(p);
    if (!sl__deeper(p)) return NULL;
    sl__node *n = sl__node_new(p, SL__N_NOT, p->now.line);
    if (!n || !sl__advance(p) || !(n->a = parse_not(p))) return NULL;
    return leave(p, n);
}

static sl__node *parse_and(sl__parser *p) {
    sl__node *n = parse_not(p);
    while (n && sl__is_name(&p->now, "and")) {
        int line = p->now.line;
        n = sl__advance(p) ? pair_of(p, SL__N_AND, line, n, parse_not(p)) : NULL;
    }
    return n;
}

static sl__node *parse_or(sl__parser *p) {
    sl__node *n = parse_and(p);
    while (n && sl__is_name(&p->now, "or")) {
        int line = p->now.line;
        n = sl__advance(p) ? pair_of(p, SL__N_OR, line, n, parse_and(p)) : NULL;
    }
    return n;
}

static sl__node *parse_pow(sl__parser *p) {
    sl__node *n = parse_unary(p, true);
    while (n && p->now.word == SL__W_POW) {
        int line = p->now.line;
        n = sl__advance(p) ? pair_of(p, SL__N_POW, line, n, parse_unary(p, true)) : NULL;
    }
    return n;
}

static sl__node *parse_math2(sl__parser *p) {
    sl__node *n = parse_pow(p);
    for (;;) {
        int line = p->now.line;
        sl__node_kind kind;
        switch (n ? p->now.word : SL__W_END) {
        case SL__W_MUL: kind = SL__N_MUL; break;
        case SL__W_DIV: kind = SL__N_DIV; break;
        case SL__W_FLOORDIV: kind = SL__N_FLOORDIV; break;
        case SL__W_MOD: kind = SL__N_MOD; break;
        default: return n;
        }
        n = sl__advance(p) ? pair_of(p, kind, line, n, parse_pow(p)) : NULL;
    }
}

static sl__node *parse_concat(sl__parser *p) {
    sl__node *n = parse_math2(p), *all = NULL;
    while (n && p->now.word == SL__W_TILDE) {
        if (!all) {
            if (!(all = sl__node_new(p, SL__N_CONCAT, p->now.line)) || !sl__nodes_add(p, &all->list, n)) return NULL;
        }
        if (!sl__advance(p) || !(n = parse_math2(p)) || !sl__nodes_add(p, &all->list, n)) return NULL;
    }
    return !n ? NULL : all ? all : n;
}

/* Between brackets that are advanced over: expressions with commas between, of which the last may be followed by one. */
static bool parse_items(sl__parser *p, sl__word end, bool pairs, sl__nodes *ret) {
    if (!sl__advance(p)) return false;
    while (p->now.word != end) {
        if (ret->count && !sl__expect(p, SL__W_COMMA)) return false;
        if (ret->count && p->now.word == end) break;
        sl__node *n = sl__parse_expression(p);
        if (n && pairs) n = sl__expect(p, SL__W_COLON) ? pair_of(p, SL__N_PAIR, n->line, n, sl__parse_expression(p)) : NULL;
        if (!n || !sl__nodes_add(p, ret, n)) return false;
    }
    return sl__advance(p);
}

static sl__node *parse_name(sl__parser *p, bool namespaces) {
    sl__token t = p->now;
    if (!sl__advance(p)) return NULL;
    bool yes = sl__is_name(&t, "true") || sl__is_name(&t, "True");
    if (yes || sl__is_name(&t, "false") || sl__is_name(&t, "False")) return constant(p, t.line, sl__bool(yes));
    if (sl__is_name(&t, "none") || sl__is_name(&t, "None")) return constant(p, t.line, SL__VALUE_NONE);
    bool reference = namespaces && p->now.word == SL__W_DOT;
    sl__node *n = sl__node_new(p, reference ? SL__N_NSREF : SL__N_NAME, t.line);
    if (!n || !(n->name = text_of(p, &t))) return NULL;
    if (!reference) return n;
    if (!sl__advance(p)) return NULL;
    t = p->now;
    return sl__expect(p, SL__W_NAME) && (n->attr = text_of(p, &t)) ? n : NULL;
}

/* A string, and those that follow it at once. */
static sl__node *parse_strings(sl__parser *p) {
    sl__token t = p->now;
    char *all = NULL;
    size_t len = 0, cap = 0;
    while (p->now.word == SL__W_STRING) {
        if (len + p->now.len > cap) {
            cap = (len + p->now.len) * 2;
            char *larger = sl_arena_alloc(p->arena, SL_MEM_VOCABULARY, cap);
            if (!larger) return sl__no_memory(p), NULL;
            if (len) memcpy(larger, all, len);
            all = larger;
        }
        if (p->now.len) memcpy(all + len, p->now.text, p->now.len);
        len += p->now.len;
        if (!sl__advance(p)) return NULL;
    }
    const sl__string *s = sl__constant(p->arena, all, len);
    return s ? constant(p, t.line, sl__string_value(s)) : (sl__no_memory(p), NULL);
}

static sl__node *parse_primary(sl__parser *p, bool namespaces) {
    sl__token t = p->now;
    sl__node *n;
    switch (t.word) {
    case SL__W_NAME: return parse_name(p, namespaces);
    case SL__W_STRING: return parse_strings(p);
    case SL__W_INT: return sl__advance(p) ? constant(p, t.line, sl__int(t.number)) : NULL;
    case SL__W_FLOAT: return sl__advance(p) ? constant(p, t.line, sl__float(t.real)) : NULL;
    case SL__W_LPAREN:
        if (!sl__advance(p)) return NULL;
        n = sl__parse_tuple(p, &(sl__tuple_rules){.parentheses = true});
        return n && sl__expect(p, SL__W_RPAREN) ? n : NULL;
    case SL__W_LBRACKET:
        n = sl__node_new(p, SL__N_LIST, t.line);
        return n && parse_items(p, SL__W_RBRACKET, false, &n->list) ? n : NULL;
    case SL__W_LBRACE:
        n = sl__node_new(p, SL__N_DICT, t.line);
        return n && parse_items(p, SL__W_RBRACE, true, &n->list) ? n : NULL;
    default: return unexpected(p, "unexpected");
    }
}

sl__node *sl__parse_tuple(sl__parser *p, const sl__tuple_rules *rules) {
    if (!sl__deeper(p)) return NULL;
    int line = p->now.line;
    sl__nodes list = {0};
    bool tuple = false;
    for (;;) {
        if (list.count && !sl__expect(p, SL__W_COMMA)) return NULL;
        sl__word w = p->now.word;
        if (w == SL__W_PRINT_END || w == SL__W_BLOCK_END || w == SL__W_RPAREN || (rules->end && sl__is_name(&p->now, rules->end))) break;
        sl__node *n = rules->simple           ? parse_primary(p, rules->namespaces)
                      : rules->no_conditional ? parse_or(p)
                                              : sl__parse_expression(p);
        if (!n || !sl__nodes_add(p, &list, n)) return NULL;
        if (p->now.word != SL__W_COMMA) break;
        tuple = true;
    }
    if (!tuple && list.count) return leave(p, list.at[0]);
    if (!tuple && !rules->parentheses) return unexpected(p, "expected an expression, got");
    sl__node *n = sl__node_new(p, SL__N_TUPLE, line);
    if (n) n->list = list;
    return leave(p, n);
}

static bool parse_keyword(sl__parser *p, sl__node *call) {
    sl__node *n = sl__node_new(p, SL__N_KEYWORD, p->now.line);
    if (!n || !(n->name = text_of(p, &p->now)) || !sl__advance(p) || !sl__advance(p)) return false;
    for (size_t i = 0; i < call->more.count; i++)
        if (sl__same(call->more.at[i]->name, n->name))
            return sl__syntax(p, n->line, SL_FORMAT, "keyword argument repeated: %.60s", sl__bytes(n->name));
    return (n->a = sl__parse_expression(p)) && sl__nodes_add(p, &call->more, n);
}

/* ( a, b, name=c, *d, **e ) into call->list, more, b and c. */
static bool parse_arguments(sl__parser *p, sl__node *call) {
    int line = p->now.line;
    if (!sl__expect(p, SL__W_LPAREN)) return false;
    for (bool comma = false; p->now.word != SL__W_RPAREN; comma = true) {
        if (comma) {
            if (!sl__expect(p, SL__W_COMMA)) return false;
            if (p->now.word == SL__W_RPAREN) break;
        }
        sl__token next;
        bool fits;
        if (p->now.word == SL__W_MUL) {
            fits = !call->b && !call->c;
            if (fits && (!sl__advance(p) || !(call->b = sl__parse_expression(p)))) return false;
        } else if (p->now.word == SL__W_POW) {
            fits = !call->c;
            if (fits && (!sl__advance(p) || !(call->c = sl__parse_expression(p)))) return false;
        } else if (!sl__peek(p, &next)) {
            return false;
        } else if (p->now.word == SL__W_NAME && next.word == SL__W_ASSIGN) {
            fits = !call->c;
            if (fits && !parse_keyword(p, call)) return false;
        } else {
            fits = !call->b && !call->c && !call->more.count;
            sl__node *n = fits ? sl__parse_expression(p) : NULL;
            if (fits && (!n || !sl__nodes_add(p, &call->list, n))) return false;
        }
        if (!fits) return sl__syntax(p, line, SL_FORMAT, "invalid syntax for function call expression");
    }
    return sl__expect(p, SL__W_RPAREN);
}

static sl__node *parse_call(sl__parser *p, sl__node *of) {
    sl__node *n = sl__node_new(p, SL__N_CALL, p->now.line);
    if (!n) return NULL;
    n->a = of;
    return parse_arguments(p, n) ? n : NULL;
}

static sl__node *parse_subscribed(sl__parser *p) {
    sl__node *first = NULL;
    int line = p->now.line;
    if (p->now.word != SL__W_COLON) {
        first = sl__parse_expression(p);
        if (!first || p->now.word != SL__W_COLON) return first;
    }
    sl__node *n = sl__node_new(p, SL__N_SLICE, line);
    if (!n || !sl__advance(p)) return NULL;
    n->a = first;
    sl__word w = p->now.word;
    if (w != SL__W_COLON && w != SL__W_RBRACKET && w != SL__W_COMMA && !(n->b = sl__parse_expression(p))) return NULL;
    if (p->now.word != SL__W_COLON) return n;
    if (!sl__advance(p)) return NULL;
    w = p->now.word;
    if (w != SL__W_RBRACKET && w != SL__W_COMMA && !(n->c = sl__parse_expression(p))) return NULL;
    return n;
}

static sl__node *parse_brackets(sl__parser *p, sl__node *of, int line) {
    sl__nodes list = {0};
    while (p->now.word != SL__W_RBRACKET) {
        if (list.count && !sl__expect(p, SL__W_COMMA)) return NULL;
        sl__node *n = parse_subscribed(p);
        if (!n || !sl__nodes_add(p, &list, n)) return NULL;
        if (n->kind == SL__N_SLICE && (list.count > 1 || p->now.word != SL__W_RBRACKET))
            return sl__syntax(p, line, SL_UNSUPPORTED, "a slice among several subscripts is not supported"), NULL;
    }
    if (!sl__advance(p)) return NULL;
    sl__node *key = list.count == 1 ? list.at[0] : sl__node_new(p, SL__N_TUPLE, line);
    if (key && list.count != 1) key->list = list;
    return pair_of(p, SL__N_GETITEM, line, of, key);
}

static sl__node *parse_subscript(sl__parser *p, sl__node *of) {
    sl__token t = p->now;
    if (!sl__advance(p)) return NULL;
    if (t.word == SL__W_LBRACKET) return parse_brackets(p, of, t.line);
    sl__token attr = p->now;
    if (!sl__advance(p)) return NULL;
    if (attr.word == SL__W_INT) return pair_of(p, SL__N_GETITEM, t.line, of, constant(p, attr.line, sl__int(attr.number)));
    if (attr.word != SL__W_NAME) return sl__syntax(p, attr.line, SL_FORMAT, "expected name or number"), NULL;
    sl__node *n = sl__node_new(p, SL__N_GETATTR, t.line);
    if (!n || !(n->name = text_of(p, &attr))) return NULL;
    n->a = of;
    return n;
}

static sl__node *parse_postfix(sl__parser *p, sl__node *n) {
    for (int chain = 0; n; chain++) {
        if (chain == SL__TREE_DEPTH) return sl__syntax(p, p->now.line, SL_TOO_MUCH, "an expression is longer than %d steps", chain), NULL;
        if (p->now.word == SL__W_DOT || p->now.word == SL__W_LBRACKET) n = parse_subscript(p, n);
        else if (p->now.word == SL__W_LPAREN) n = parse_call(p, n);
        else break;
    }
    return n;
}

/* The name of a filter or test, which may have dots. */
static const sl__string *dotted_name(sl__parser *p) {
    sl__token t = p->now;
    if (!sl__expect(p, SL__W_NAME)) return NULL;
    const sl__string *name = text_of(p, &t);
    if (name && p->now.word == SL__W_DOT)
        return sl__syntax(p, t.line, SL_FORMAT, "no filter or test has a name that begins '%.60s.'", sl__bytes(name)), NULL;
    return name;
}

sl__node *sl__parse_filters(sl__parser *p, sl__node *n, bool begun) {
    for (int chain = 0; p->now.word == SL__W_PIPE || begun; begun = false, chain++) {
        if (chain == SL__TREE_DEPTH) return sl__syntax(p, p->now.line, SL_TOO_MUCH, "more than %d filters in a row", chain), NULL;
        if (!begun && !sl__advance(p)) return NULL;
        sl__node *filter = sl__node_new(p, SL__N_FILTER, p->now.line);
        if (!filter || !(filter->name = dotted_name(p))) return NULL;
        filter->a = n;
        filter->known = sl__find_filter(sl__bytes(filter->name), filter->name->len);
        if (p->now.word == SL__W_LPAREN && !parse_arguments(p, filter)) return NULL;
        n = filter;
    }
    return n;
}

static bool begins_argument(const sl__token *t) {
    if (t->word == SL__W_NAME) return !sl__is_name(t, "else") && !sl__is_name(t, "or") && !sl__is_name(t, "and");
    return t->word == SL__W_STRING || t->word == SL__W_INT || t->word == SL__W_FLOAT || t->word == SL__W_LBRACKET || t->word == SL__W_LBRACE;
}

static sl__node *parse_test(sl__parser *p, sl__node *of) {
    int line = p->now.line;
    if (!sl__advance(p)) return NULL;
    bool negated = sl__is_name(&p->now, "not");
    if (negated && !sl__advance(p)) return NULL;
    sl__node *n = sl__node_new(p, SL__N_TEST, line);
    if (!n || !(n->name = dotted_name(p))) return NULL;
    n->a = of;
    n->known = sl__find_test(sl__bytes(n->name), n->name->len);
    if (p->now.word == SL__W_LPAREN) {
        if (!parse_arguments(p, n)) return NULL;
    } else if (begins_argument(&p->now)) {
        if (sl__is_name(&p->now, "is")) return sl__syntax(p, line, SL_FORMAT, "You cannot chain multiple tests with is"), NULL;
        sl__node *argument = parse_primary(p, false);
        if (argument) argument = parse_postfix(p, argument);
        if (!argument || !sl__nodes_add(p, &n->list, argument)) return NULL;
    }
    if (!negated) return n;
    sl__node *no = sl__node_new(p, SL__N_NOT, line);
    if (no) no->a = n;
    return no;
}

static sl__node *parse_unary(sl__parser *p, bool filters) {
    sl__node *n;
    if (!sl__deeper(p)) return NULL;
    if (p->now.word == SL__W_SUB || p->now.word == SL__W_ADD) {
        n = sl__node_new(p, p->now.word == SL__W_SUB ? SL__N_NEG : SL__N_POS, p->now.line);
        if (!n || !sl__advance(p) || !(n->a = parse_unary(p, false))) return NULL;
    } else {
        n = parse_primary(p, false);
    }
    n = n ? parse_postfix(p, n) : NULL;
    for (int chain = 0; n && filters; chain++) {
        if (chain == SL__TREE_DEPTH) return sl__syntax(p, p->now.line, SL_TOO_MUCH, "an expression is longer than %d steps", chain), NULL;
        if (p->now.word == SL__W_PIPE) n = sl__parse_filters(p, n, false);
        else if (sl__is_name(&p->now, "is")) n = parse_test(p, n);
        else if (p->now.word == SL__W_LPAREN) n = parse_call(p, n);
        else break;
    }
    return leave(p, n);
}

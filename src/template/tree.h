/* tree.h: a template as a tree, and what makes it: words (lexer.c), expressions (expressions.c), statements (statements.c),
 * and where each name lives (scope.c).
 * One thread while it is parsed; constant afterwards. Everything lies in the template's arena.
 *
 * Names live where Jinja's compiler puts them: a function (the template itself, a macro, a call block, a recursive loop, a
 * loop's filter) has numbered slots; a frame (a loop's body, a with block …) lists what its slots hold when it is entered.
 * So a name is found by counting functions outward and a number, never by its text. */
#ifndef SL_TEMPLATE_TREE_H
#define SL_TEMPLATE_TREE_H

#include "base/arena.h"
#include "base/error.h"
#include "template/values.h"

#define SL__TREE_DEPTH 150 /* constructs inside one another; Python's own limit is about as near */

/* Words of a template. */
typedef enum sl__word {
    SL__W_END, SL__W_DATA, SL__W_BLOCK_BEGIN, SL__W_BLOCK_END, SL__W_PRINT_BEGIN, SL__W_PRINT_END, SL__W_NAME, SL__W_STRING,
    SL__W_INT, SL__W_FLOAT,
    SL__W_ADD, SL__W_SUB, SL__W_DIV, SL__W_FLOORDIV, SL__W_MUL, SL__W_MOD, SL__W_POW, SL__W_TILDE, SL__W_LBRACKET,
    SL__W_RBRACKET, SL__W_LPAREN, SL__W_RPAREN, SL__W_LBRACE, SL__W_RBRACE, SL__W_EQ, SL__W_NE, SL__W_GT, SL__W_GE, SL__W_LT,
    SL__W_LE, SL__W_ASSIGN, SL__W_DOT, SL__W_COLON, SL__W_PIPE, SL__W_COMMA, SL__W_SEMICOLON,
} sl__word;

typedef struct sl__token {
    sl__word word;
    int line;
    const char *text; /* [len] of a name, a string (its escapes resolved) or data */
    size_t len;
    int64_t number;   /* of an int */
    double real;      /* of a float */
} sl__token;

typedef enum sl__node_kind {
    /* Expressions */
    SL__N_CONST,    /* value */
    SL__N_NAME,     /* name, slot */
    SL__N_TUPLE,    /* list */
    SL__N_LIST,     /* list */
    SL__N_DICT,     /* list: SL__N_PAIR */
    SL__N_PAIR,     /* a: key, b: value */
    SL__N_GETATTR,  /* a . name */
    SL__N_GETITEM,  /* a [ b ] */
    SL__N_SLICE,    /* a : b : c, each may be NULL; only as the b of a GETITEM */
    SL__N_CALL,     /* a ( list, more: KEYWORD, b: *args, c: **kwargs ) */
    SL__N_FILTER,   /* a | name ( list, more, b, c ); a is NULL in {% filter %} and {% set x | … %} */
    SL__N_TEST,     /* a is name ( list, more, b, c ) */
    SL__N_KEYWORD,  /* name = a */
    SL__N_NEG, SL__N_POS, SL__N_NOT, /* a */
    SL__N_ADD, SL__N_SUB, SL__N_MUL, SL__N_DIV, SL__N_FLOORDIV, SL__N_MOD, SL__N_POW, /* a, b */
    SL__N_CONCAT,   /* list, joined by ~ */
    SL__N_AND, SL__N_OR, /* a, b */
    SL__N_COMPARE,  /* a, list: OPERAND */
    SL__N_OPERAND,  /* op, a */
    SL__N_COND,     /* b if a else c; c may be NULL */
    SL__N_NSREF,    /* name . attr, as a target */
    /* Statements */
    SL__N_DATA,     /* value: text of the template */
    SL__N_PRINT,    /* a */
    SL__N_IF,       /* if a: body, else: other */
    SL__N_FOR,      /* for a in b if c: body, else: other; frame of the body, inner of the test, rest of the else */
    SL__N_SET,      /* a = b */
    SL__N_SET_BLOCK,   /* a = body, through filter b; frame of the body */
    SL__N_MACRO,       /* name, list: parameters, more: defaults, body; function, frame */
    SL__N_CALL_BLOCK,  /* a: the CALL, list: parameters, more: defaults, body; function, frame */
    SL__N_FILTER_BLOCK, /* a: FILTER, body; frame */
    SL__N_WITH,        /* list: names, more: values, body; frame */
    SL__N_GENERATION,  /* body; function, frame */
    SL__N_BREAK, SL__N_CONTINUE,
} sl__node_kind;

typedef struct sl__node sl__node;
typedef struct sl__nodes {
    sl__node **at; /* [count] */
    size_t count;
} sl__nodes;

/* Where a name lives: `out` functions outward, in slot `index`. */
typedef struct sl__slot {
    uint16_t out, index;
} sl__slot;

/* What a frame's slot holds when the frame is entered. */
typedef enum sl__load_kind {
    SL__LOAD_NOTHING,  /* a parameter: somebody else sets it */
    SL__LOAD_MISSING,  /* nothing yet */
    SL__LOAD_VARIABLE, /* the variable of that name that rendering was given, or a global */
    SL__LOAD_OUTER,    /* what the name means outside */
} sl__load_kind;

typedef struct sl__load {
    sl__load_kind kind;
    uint16_t index;         /* of the slot, in the frame's own function */
    sl__slot outer;
    const sl__string *name;
} sl__load;

typedef struct sl__frame {
    sl__load *load; /* [loads] */
    size_t loads;
} sl__frame;

/* A function of the template: what its activation needs. */
typedef struct sl__function {
    size_t slots;
    bool caller, kwargs, varargs;            /* does the body speak of them, so that calls must provide them? */
    sl__slot caller_at, kwargs_at, varargs_at, loop_at; /* in the function itself: out is 0 */
    int explicit_caller; /* which parameter is called "caller"; -1: none */
} sl__function;

struct sl__node {
    sl__node_kind kind;
    int line;
    sl__word op;        /* of an OPERAND; SL__W_NAME is "in", SL__W_NOT_IN "not in" */
    bool recursive;     /* FOR */
    bool soft;          /* FILTER, TEST: an unknown name fails when it is reached, as in Jinja inside {% if %} */
    sl__slot slot;      /* NAME, NSREF, MACRO; FOR: the variable `loop` */
    const sl__string *name, *attr;
    sl__value value;
    sl__node *a, *b, *c;
    sl__nodes list, more, body, other;
    const void *known;  /* FILTER, TEST: its row in the table, NULL: unknown */
    const sl__frame *frame, *inner, *rest;
    const sl__function *function, *test_function;
};

/* Parsing. */
typedef struct sl__parser {
    sl_arena *arena;
    sl_error *error;
    const char *text; /* [len] the source, newlines made \n */
    size_t len, at;
    int line;
    /* lexer */
    enum { SL__IN_DATA, SL__IN_BLOCK, SL__IN_PRINT } state;
    bool line_starting;  /* the last match ended with a newline, or nothing was matched yet */
    char open[SL__TREE_DEPTH]; /* brackets to be closed */
    int opened;
    sl__token pushed;    /* a token that was read after data and comes next */
    bool has_pushed;
    bool has_next;       /* one token of look-ahead */
    sl__token next;
    sl__token now;
    int depth;
    int loops;           /* for loops around, in this function */
} sl__parser;

#define SL__W_NOT_IN SL__W_SEMICOLON /* as an operand's op */

/* lexer.c. false: the error is set. */
bool sl__lex(sl__parser *p, sl__token *ret);
bool sl__advance(sl__parser *p);              /* p->now becomes the next token */
bool sl__peek(sl__parser *p, sl__token *ret); /* the one after p->now */
bool sl__syntax(sl__parser *p, int line, sl_status code, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
bool sl__no_memory(sl__parser *p);
const char *sl__word_name(const sl__token *t, char buffer[64]);
bool sl__expect(sl__parser *p, sl__word word);
bool sl__is_name(const sl__token *t, const char *name);
sl__node *sl__node_new(sl__parser *p, sl__node_kind kind, int line);
bool sl__nodes_add(sl__parser *p, sl__nodes *list, sl__node *n);
bool sl__deeper(sl__parser *p);

/* expressions.c. NULL: the error is set. */
typedef struct sl__tuple_rules {
    bool simple, no_conditional, parentheses, namespaces;
    const char *end; /* a name that ends it */
} sl__tuple_rules;
sl__node *sl__parse_expression(sl__parser *p);
sl__node *sl__parse_tuple(sl__parser *p, const sl__tuple_rules *rules);
sl__node *sl__parse_filters(sl__parser *p, sl__node *n, bool begun);

/* statements.c */
bool sl__parse_body(sl__parser *p, const char *const *ends, sl__nodes *ret);

/* scope.c */
bool sl__place_names(sl__parser *p, const sl__nodes *body, const sl__function **ret_function, const sl__frame **ret_frame);

struct sl_template {
    sl_arena *arena;
    const char *source;
    size_t source_len;
    sl__nodes body;
    const sl__function *function;
    const sl__frame *frame;
};

#endif

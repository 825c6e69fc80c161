/* internal.h: a rendering, and what the files of template/ share to work with values.
 * One thread, that of the rendering.
 *
 * Functions that can fail return false (or -1) after sl__fail has filled the rendering's error. Memory comes from the
 * rendering's arena and is never given back before it ends: what was read once stays readable. */
#ifndef SL_TEMPLATE_INTERNAL_H
#define SL_TEMPLATE_INTERNAL_H

#include "base/arena.h"
#include "template/template.h"
#include "template/tree.h"
#include "template/values.h"

#include <string.h>

/* The slots of one call of a function. */
typedef struct sl__record {
    struct sl__record *outer; /* the function around it in the template; NULL: none */
    sl__value slot[];
} sl__record;

typedef struct sl__render {
    const sl_template *t;
    const sl_template_input *in;
    sl_arena *arena;
    char *free; /* [left] of the chunk in use */
    size_t left, taken;
    size_t memory, output; /* limits */
    uint64_t steps;        /* left */
    uint64_t until_pause;
    int depth, nesting;
    int line;              /* of the construct at work */
    sl_error *error;
    bool final;            /* the error is a limit's: it must not be put off */
    sl__dict *variables;
    sl__record *record;
    sl__store *out;
} sl__render;

/* pool.c: memory, steps, nesting, errors. */
void *sl__take(sl__render *r, size_t size); /* 16-byte aligned, zeroed; NULL: the error is set */
bool sl__may_take(sl__render *r, size_t size); /* counts so many bytes of another allocation as the rendering's */
bool sl__step(sl__render *r);
bool sl__charge(sl__render *r, size_t bytes); /* for work on so many bytes */
bool sl__enter(sl__render *r);                /* one level deeper; sl__leave afterwards */
static inline void sl__leave(sl__render *r) { r->depth--; }
bool sl__fail(sl__render *r, sl_status code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* What Python would raise: SL_INVALID. */
#define sl__raise(r, ...) sl__fail(r, SL_INVALID, __VA_ARGS__)

/* text.c: strings. */
sl__store *sl__store_new(sl__render *r, size_t cap);
bool sl__put(sl__render *r, sl__store *to, const char *bytes, size_t len, bool content);
bool sl__put_part(sl__render *r, sl__store *to, const sl__string *s, size_t start, size_t len); /* bytes of s */
bool sl__put_whole(sl__render *r, sl__store *to, const sl__string *s);
bool sl__puts(sl__render *r, sl__store *to, const char *text);
/* As many bytes as the part of s, each from where its counterpart in s is. */
bool sl__content_at(const sl__string *s, size_t byte);
bool sl__finish(sl__render *r, sl__store *store, sl__value *ret); /* the whole store as a string */
bool sl__text(sl__render *r, const char *bytes, size_t len, bool content, sl__value *ret); /* copies */
bool sl__part(sl__render *r, const sl__string *s, size_t start, size_t len, sl__value *ret); /* shares */
bool sl__concat(sl__render *r, const sl__string *a, const sl__string *b, sl__value *ret);
bool sl__escape(sl__render *r, const sl__string *s, sl__value *ret); /* & < > " ' for HTML, as MarkupSafe */
size_t sl__chars(const sl__string *s);
size_t sl__byte_of(const sl__string *s, size_t index); /* of the character; the end if there are fewer */
bool sl__slice_string(sl__render *r, const sl__string *s, int64_t start, int64_t step, int64_t count, sl__value *ret);
static inline const char *sl__bytes(const sl__string *s) { return s->store->data + s->start; }
bool sl__is(const sl__string *s, const char *text);
bool sl__same(const sl__string *a, const sl__string *b);
/* The first, the last place of `what` at or after byte `from` and before `to`; SIZE_MAX: none. */
size_t sl__find(const sl__string *s, size_t from, size_t to, const sl__string *what);
size_t sl__find_last(const sl__string *s, size_t from, size_t to, const sl__string *what);
/* A string of a template: markup, in its arena, its characters counted. */
const sl__string *sl__constant(sl_arena *a, const char *text, size_t len);

/* value.c: making and comparing values. */
#define SL__VALUE_NONE ((sl__value){.kind = SL__NONE})
static inline sl__value sl__bool(bool yes) { return (sl__value){.kind = SL__BOOL, .yes = yes}; }
static inline sl__value sl__int(int64_t i) { return (sl__value){.kind = SL__INT, .i = i}; }
static inline sl__value sl__float(double f) { return (sl__value){.kind = SL__FLOAT, .f = f}; }
static inline sl__value sl__string_value(const sl__string *s) { return (sl__value){.kind = SL__STRING, .s = s}; }
bool sl__undefined_value(sl__render *r, sl__value *ret, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool sl__use_undefined(sl__render *r, const sl__value *v); /* fails with what v says */
bool sl__true(const sl__value *v);
const char *sl__type_name(const sl__value *v);
void sl__object_name(const sl__value *v, char ret[64]); /* "dict object" */
bool sl__equal(sl__render *r, const sl__value *a, const sl__value *b, bool *ret);
bool sl__less(sl__render *r, const char *op, const sl__value *a, const sl__value *b, bool *ret); /* op: "<", "<=", ">", ">=" */
bool sl__hash(sl__render *r, const sl__value *v, uint64_t *ret);
bool sl__contains(sl__render *r, const sl__value *container, const sl__value *item, bool *ret);
bool sl__identical(const sl__value *a, const sl__value *b);
static inline bool sl__is_int(const sl__value *v) { return v->kind == SL__INT || v->kind == SL__BOOL; }
static inline int64_t sl__int_of(const sl__value *v) { return v->kind == SL__BOOL ? v->yes : v->i; }
bool sl__number(const sl__value *v, double *ret); /* a bool, int or float */
bool sl__length(sl__render *r, const sl__value *v, int64_t *ret); /* len() */

/* collections.c: lists, dicts, iteration. */
sl__items *sl__items_new(sl__render *r, size_t cap);
bool sl__push(sl__render *r, sl__items *items, const sl__value *v);
bool sl__list_of(sl__render *r, sl__kind kind, sl__items *items, sl__value *ret); /* all of items */
bool sl__pair(sl__render *r, const sl__value *a, const sl__value *b, sl__value *ret); /* a tuple */
static inline const sl__value *sl__at(const sl__list *l, size_t i) { return l->items->at + l->start + i; }
sl__dict *sl__dict_new(sl__render *r, size_t cap);
bool sl__dict_set(sl__render *r, sl__dict *d, const sl__value *key, const sl__value *value);
bool sl__dict_get(sl__render *r, const sl__dict *d, const sl__value *key, const sl__value **ret); /* NULL: not there */
const sl__value *sl__dict_find(const sl__dict *d, const sl__string *key);
const sl__value *sl__dict_named(const sl__dict *d, const char *key);
static inline sl__value sl__dict_value(const sl__dict *d) { return (sl__value){.kind = SL__DICT, .dict = d}; }
bool sl__dict_fill(sl__render *r, sl__dict *d, const char *what, const sl__value *from); /* dict(from) */

typedef struct sl__cursor {
    sl__value source;
    size_t at, byte;
} sl__cursor;
bool sl__iterate(sl__render *r, const sl__value *v, sl__cursor *ret);
int sl__next(sl__render *r, sl__cursor *c, sl__value *ret); /* 1, 0 at the end, -1 */
bool sl__collect(sl__render *r, const sl__value *v, sl__items **ret); /* list(v) */
/* A generator over items; what failed after the last of them fails when somebody gets there. */
struct sl__iterator {
    sl__items *items;
    size_t at;
    sl_error *pending; /* NULL: none */
    const char *type;
};
bool sl__generator(sl__render *r, sl__items *items, bool failed, const char *type, sl__value *ret);

/* Arguments of a call. */
typedef struct sl__named {
    const sl__string *name;
    sl__value value;
} sl__named;

typedef struct sl__args {
    const sl__value *at; /* [count] */
    size_t count;
    const sl__named *named; /* [names] */
    size_t names;
} sl__args;

/* loop_variable.c */
struct sl__loop {
    const sl__node *node;
    sl__record *outer;    /* that of the function in which the loop stands */
    sl__record *test;     /* of the filter's function; NULL: no filter */
    sl__value iterable;
    sl__cursor cursor;
    int64_t index0, depth0;
    bool (*passes)(sl__render *r, sl__loop *l, const sl__value *item, bool *ret); /* does its filter, if it has one, let the item through? */
    bool has_after, has_length, has_changed;
    sl__value after, current, before, changed;
    int64_t length;
};
int sl__loop_fetch(sl__render *r, sl__loop *loop, sl__value *ret); /* its next item: 1, 0 at the end, -1 */
bool sl__loop_attribute(sl__render *r, sl__loop *loop, const sl__string *name, sl__value *ret);
bool sl__loop_length(sl__render *r, sl__loop *loop, int64_t *ret);

/* print.c, numbers.c, tojson.c */
bool sl__put_str(sl__render *r, sl__store *to, const sl__value *v);
bool sl__put_repr(sl__render *r, sl__store *to, const sl__value *v);
bool sl__str(sl__render *r, const sl__value *v, sl__value *ret); /* str(v); a string is itself */
size_t sl__float_text(double f, char ret[32]);
bool sl__parse_int(const char *text, size_t len, int base, int64_t *ret, bool *ret_too_large);
bool sl__parse_float(const char *text, size_t len, double *ret);
double sl__round_float(double x, int64_t digits);
bool sl__tojson(sl__render *r, const sl__value *self, const sl__args *a, sl__value *ret);

/* Calls.
 *
 * A filter, test, method or global. With a spec (names of the arguments, a blank between two; "_" for one that has no name)
 * it gets as many arguments as the spec has, those that were not given SL__MISSING; without one it gets them as they came. */
typedef bool sl__work(sl__render *r, const sl__value *self, const sl__args *a, sl__value *ret);
typedef struct sl__row {
    const char *name;
    sl__work *work;
    const char *spec; /* NULL: any */
    int required;
} sl__row;
#define SL__ARGUMENTS_MAX 8

/* arguments.c */
const sl__row *sl__find_row(const sl__row *rows, const char *name, size_t len);
bool sl__call_row(sl__render *r, const sl__row *row, const sl__value *self, const sl__args *a, sl__value *ret);
const sl__value *sl__named_arg(const sl__args *a, const char *name);
/* An argument that is a string, or an integer; what: "replace", for the message. */
bool sl__want_string(sl__render *r, const sl__value *v, const char *what, const sl__string **ret);
bool sl__want_int(sl__render *r, const sl__value *v, const char *what, int64_t *ret);

typedef struct sl__method {
    sl__row row;
    bool unsafe; /* would change what it is called on */
} sl__method;

struct sl__global {
    sl__row row;
    const char *type;
};

/* Tables. */
const sl__row *sl__find_filter(const char *name, size_t len);
const sl__row *sl__find_test(const char *name, size_t len);
const sl__method *sl__find_method(const sl__value *self, const sl__string *name);
const sl__global *sl__find_global(const sl__string *name);
extern const sl__row sl__text_filters[], sl__list_filters[], sl__value_filters[]; /* each ends with a row without a name */
extern const sl__method sl__string_methods[], sl__loop_methods[]; /* each ends with a row without a name */

/* getter.c: the attribute of an item as filters name it: "a.b.0", a number, or nothing: the item itself. */
typedef struct sl__getter {
    sl__value part[16];
    size_t parts;
    const sl__value *otherwise; /* for what is undefined; NULL: it stays undefined */
    bool lower;                 /* strings in lower case */
} sl__getter;
bool sl__getter_make(sl__render *r, const sl__value *attribute, const sl__value *otherwise, bool lower, sl__getter *ret);
bool sl__getter_get(sl__render *r, const sl__getter *g, const sl__value *item, sl__value *ret);
/* Sorts items by the values of the keys, [used] beside them; equal ones stay as they are. */
bool sl__sort(sl__render *r, sl__items *items, sl__items *keys, bool reverse);

/* text_work.c: what string methods and filters share. Each keeps where its characters come from. */
typedef enum sl__case { SL__UPPER, SL__LOWER, SL__TITLE, SL__CAPITAL, SL__SWAP, SL__FOLD } sl__case;
bool sl__change_case(sl__render *r, const sl__string *s, sl__case how, sl__value *ret);
typedef enum sl__side { SL__LEFT = 1, SL__RIGHT = 2, SL__BOTH = 3 } sl__side;
bool sl__strip(sl__render *r, const sl__string *s, const sl__string *chars, sl__side side, sl__value *ret);
bool sl__replace(sl__render *r, const sl__string *s, const sl__string *old, const sl__string *fresh, int64_t count, sl__value *ret);
bool sl__split(sl__render *r, const sl__string *s, const sl__string *separator, int64_t most, bool from_right, sl__value *ret);
bool sl__split_lines(sl__render *r, const sl__string *s, bool keep, sl__value *ret);
bool sl__pad(sl__render *r, const sl__string *s, int64_t width, const sl__string *fill, sl__side side, sl__value *ret);

/* format.c: "…" % args, str.format */
bool sl__percent(sl__render *r, const sl__value *format, const sl__value *args, sl__value *ret);
bool sl__format(sl__render *r, const sl__string *format, const sl__args *a, sl__value *ret);
bool sl__format_spec(sl__render *r, const sl__value *v, const char *spec, size_t len, sl__store *to);

/* unicode.c */
typedef enum sl__class { SL__ALPHA, SL__DECIMAL, SL__DIGIT, SL__NUMERIC, SL__PRINTABLE, SL__CASED, SL__IGNORABLE, SL__IS_UPPER,
                         SL__IS_LOWER, SL__WORD_START, SL__WORD_PART, SL__CLASSES } sl__class;
bool sl__in_class(uint32_t point, sl__class c);
/* The code points that one becomes; returns how many (1 to 3). how is UPPER, LOWER, TITLE or FOLD. */
int sl__map_case(uint32_t point, sl__case how, uint32_t ret[3]);
size_t sl__utf8(uint32_t point, char ret[4]);
bool sl__is_space_at(const char *text, size_t len, size_t *ret_len); /* white space, as str.isspace has it */
uint32_t sl__point(const char *text, size_t left, size_t *ret_len); /* of well-formed text */

/* operators.c */
bool sl__operate(sl__render *r, sl__node_kind op, const sl__value *a, const sl__value *b, sl__value *ret);
bool sl__negate(sl__render *r, sl__node_kind op, const sl__value *a, sl__value *ret); /* NEG or POS */

/* attribute.c: a.name, a[b], a[b:c:d] as the sandbox has them */
bool sl__getattr(sl__render *r, const sl__value *v, const sl__string *name, sl__value *ret);
bool sl__getitem(sl__render *r, const sl__value *v, const sl__value *key, sl__value *ret);
bool sl__slice(sl__render *r, const sl__value *v, const sl__value bounds[3], sl__value *ret);
bool sl__subscript(sl__render *r, const sl__value *v, const sl__value *key, bool *ret_found, sl__value *ret); /* v[key] alone */

/* eval.c, exec.c, call.c, loop.c, render.c */
bool sl__eval(sl__render *r, const sl__node *n, sl__value *ret);
bool sl__call(sl__render *r, const sl__value *f, const sl__args *a, sl__value *ret);
bool sl__eval_args(sl__render *r, const sl__node *n, const sl__value *caller, sl__args *ret);
bool sl__apply_filter(sl__render *r, const sl__node *n, const sl__value *input, sl__value *ret);
typedef enum sl__flow { SL__NEXT, SL__BREAK, SL__CONTINUE, SL__FAILED } sl__flow;
sl__flow sl__exec(sl__render *r, const sl__nodes *body);
void sl__enter_frame(sl__render *r, const sl__frame *f);
sl__value *sl__slot_at(sl__render *r, sl__slot slot);
bool sl__assign(sl__render *r, const sl__node *target, const sl__value *v);
bool sl__new_record(sl__render *r, size_t slots, sl__record *outer, sl__record **ret);
sl__flow sl__for(sl__render *r, const sl__node *n);
bool sl__loop_again(sl__render *r, sl__loop *loop, const sl__value *items, sl__value *ret); /* of a recursive loop */
bool sl__variable(sl__render *r, const sl__string *name, sl__value *ret); /* a variable or a global; MISSING: neither */
bool sl__from_json(sl__render *r, const json_t *v, bool content, sl__value *ret);
bool sl__messages(sl__render *r, const json_t *v, sl__value *ret);

struct sl__macro {
    const sl__node *node; /* MACRO, CALL_BLOCK or GENERATION */
    sl__record *record;   /* of the function that it stands in */
};

#endif

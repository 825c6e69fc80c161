/* values.h: what a template works with: Python's values, as far as templates use them.
 * Constants of a template are constant, any thread; all others belong to one rendering and its thread.
 *
 * A string is a part of a store: bytes that are only ever appended to, and runs that say which of them came from the request.
 * A slice shares its store; appending to a string that ends where its store ends writes behind it, so that `x = x + y` in a
 * loop costs what y costs. Lists share their items in the same way. Nothing that a template can reach ever changes, but
 * namespaces, loops, cyclers, joiners and iterators. */
#ifndef SL_TEMPLATE_VALUES_H
#define SL_TEMPLATE_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum sl__kind {
    SL__MISSING, /* a slot that holds nothing; no value of a template */
    SL__UNDEFINED,
    SL__NONE,
    SL__BOOL,
    SL__INT,
    SL__FLOAT,
    SL__STRING,
    SL__LIST,
    SL__TUPLE,
    SL__DICT,
    SL__VIEW,     /* keys(), values() or items() of a dict */
    SL__RANGE,
    SL__ITERATOR, /* a generator of Python's: can be gone through once */
    SL__SPACE,    /* namespace */
    SL__MACRO,
    SL__LOOP,
    SL__METHOD,   /* a method and what it is a method of */
    SL__GLOBAL,   /* range, namespace, dict … */
    SL__CYCLER,
    SL__JOINER,
} sl__kind;

typedef struct sl__run {
    size_t start;
    bool content;
} sl__run;

typedef struct sl__store {
    char *data;
    size_t used, cap;
    sl__run *run; /* [runs] in ascending order; the first starts at 0, two neighbours differ */
    size_t runs, run_cap;
    bool fixed; /* belongs to the template or to the request's JSON: nothing may be appended */
} sl__store;

typedef struct sl__string {
    sl__store *store;
    size_t start, len; /* bytes */
    size_t chars;      /* code points; SL__UNCOUNTED until somebody asks */
} sl__string;
#define SL__UNCOUNTED SIZE_MAX

typedef struct sl__list sl__list;
typedef struct sl__dict sl__dict;
typedef struct sl__view sl__view;
typedef struct sl__range sl__range;
typedef struct sl__iterator sl__iterator;
typedef struct sl__space sl__space;
typedef struct sl__macro sl__macro;
typedef struct sl__loop sl__loop;
typedef struct sl__bound sl__bound;
typedef struct sl__global sl__global;
typedef struct sl__cycler sl__cycler;
typedef struct sl__joiner sl__joiner;
typedef struct sl__undefined sl__undefined;

typedef struct sl__value {
    sl__kind kind;
    bool content; /* of a number, boolean or None: it came from the request */
    bool safe;    /* of a string: what |safe and |escape give, to which others are added with &, <, > and quotes escaped */
    union {
        bool yes;
        int64_t i;
        double f;
        const sl__string *s;
        const sl__list *list; /* LIST and TUPLE */
        const sl__dict *dict;
        const sl__view *view;
        const sl__range *range;
        sl__iterator *iterator;
        sl__space *space;
        const sl__macro *macro;
        sl__loop *loop;
        const sl__bound *bound;
        const sl__global *global;
        sl__cycler *cycler;
        sl__joiner *joiner;
        const sl__undefined *undefined;
    };
} sl__value;

typedef struct sl__items {
    sl__value *at;
    size_t used, cap;
} sl__items;

struct sl__list {
    sl__items *items;
    size_t start, count;
    bool group; /* a tuple of groupby: has .grouper and .list */
};

typedef struct sl__entry {
    sl__value key, value;
    uint64_t hash;
} sl__entry;

struct sl__dict {
    sl__entry *entry; /* [count] in the order of insertion */
    size_t count, cap;
    uint32_t *index;  /* [slots] number of an entry + 1, 0: empty; NULL while there are few */
    size_t slots;     /* a power of two */
};

typedef enum sl__view_kind { SL__KEYS, SL__VALUES, SL__ITEMS } sl__view_kind;
struct sl__view {
    const sl__dict *dict;
    sl__view_kind kind;
};

struct sl__range {
    int64_t start, stop, step;
    int64_t count;
};

struct sl__undefined {
    const char *message; /* what using it says */
};

struct sl__space {
    sl__dict *dict;
};

struct sl__bound {
    sl__value self;
    const struct sl__method *method;
};

struct sl__cycler {
    const sl__list *items;
    size_t at;
};

struct sl__joiner {
    const sl__string *separator;
    bool used;
};

#endif

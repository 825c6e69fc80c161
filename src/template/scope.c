/* scope.c: where each name of a template lives. It does what Jinja's compiler does when it turns a template into Python
 * functions, so that a name means here what it means there, in the odd cases too:
 *
 *   - a for loop's body, a macro, a with block … is a scope; {% if %} is none;
 *   - a scope looks at all of its statements first (not into the scopes inside it): a name that is read before it is set is
 *     the variable from outside, a name that is set first is nothing until then;
 *   - a name that a scope sets begins each time with what it means outside, and is forgotten at the end;
 *   - a function (see tree.h) finds the names around it as they are when it runs, not as they were when it was made. */
#include "template/internal.h"

#include "base/alloc.h"

#define NAMES_MAX 4000 /* of a function; keeps searching them cheap whatever the template is */

typedef struct symbol {
    const sl__string *name;
    uint16_t index;
    sl__load_kind load;
    sl__slot outer; /* of LOAD_OUTER; `out` counted from the scope's function */
    bool stored;
} symbol;

typedef struct function {
    struct function *outer;
    sl__function *made;
    struct {
        int level;
        const sl__string *name;
    } *slot; /* [made->slots] */
} function;

typedef struct scope {
    struct scope *parent;
    function *function;
    int level;
    symbol *symbol;
    size_t symbols, cap;
} scope;

typedef struct placing {
    sl__parser *p;
    scope *now;
    bool soft; /* inside an if, where an unknown filter fails when it is reached */
} placing;

static bool load_body(placing *g, const sl__nodes *body);
static bool place_body(placing *g, const sl__nodes *body);
static bool place(placing *g, sl__node *n);

static symbol *find_own(scope *s, const sl__string *name) {
    for (size_t i = 0; i < s->symbols; i++)
        if (sl__same(s->symbol[i].name, name)) return &s->symbol[i];
    return NULL;
}

/* The slot that a name has in scope s or outside of it, seen from function f. */
static bool find_slot(scope *s, const function *f, const sl__string *name, sl__slot *ret) {
    for (; s; s = s->parent) {
        symbol *found = find_own(s, name);
        if (!found) continue;
        uint16_t out = 0;
        for (; f != s->function; f = f->outer) out++;
        *ret = (sl__slot){out, found->index};
        return true;
    }
    return false;
}

/* The slot of (level, name) in a function: scopes beside each other share them. */
static bool slot_for(placing *g, function *f, int level, const sl__string *name, uint16_t *ret) {
    size_t count = f->made->slots;
    for (size_t i = 0; i < count; i++) {
        if (f->slot[i].level != level || !sl__same(f->slot[i].name, name)) continue;
        *ret = (uint16_t)i;
        return true;
    }
    if (count == NAMES_MAX) return sl__syntax(g->p, g->p->line, SL_TOO_MUCH, "more than %d names", NAMES_MAX);
    if ((count & (count - 1)) == 0) {
        void *slot = sl_realloc(f->slot, count ? count * 2 : 1, sizeof *f->slot);
        if (!slot) return sl__no_memory(g->p);
        f->slot = slot;
    }
    f->slot[count].level = level;
    f->slot[count].name = name;
    f->made->slots++;
    *ret = (uint16_t)count;
    return true;
}

static bool reserve(placing *g, scope *s, size_t count) {
    if (count <= s->cap) return true;
    size_t cap = s->cap ? s->cap * 2 : 8;
    while (cap < count) cap *= 2;
    void *grown = sl_realloc(s->symbol, cap, sizeof *s->symbol);
    if (!grown) return sl__no_memory(g->p);
    s->symbol = grown;
    s->cap = cap;
    return true;
}

static symbol *define(placing *g, const sl__string *name, sl__load_kind load) {
    scope *s = g->now;
    symbol *found = find_own(s, name);
    if (!found) {
        uint16_t index;
        if (!reserve(g, s, s->symbols + 1) || !slot_for(g, s->function, s->level, name, &index)) return NULL;
        found = &s->symbol[s->symbols++];
        *found = (symbol){.name = name, .index = index};
    }
    found->load = load;
    return found;
}

static bool parameter(placing *g, const sl__string *name) {
    symbol *s = define(g, name, SL__LOAD_NOTHING);
    if (s) s->stored = true;
    return s != NULL;
}

static bool store(placing *g, const sl__string *name) {
    symbol *found = find_own(g->now, name);
    if (!found) {
        sl__slot outer;
        bool outside = find_slot(g->now->parent, g->now->function, name, &outer);
        if (!(found = define(g, name, outside ? SL__LOAD_OUTER : SL__LOAD_MISSING))) return false;
        if (outside) found->outer = outer;
    }
    found->stored = true;
    return true;
}

static bool load(placing *g, const sl__string *name) {
    sl__slot ignored;
    return find_slot(g->now, g->now->function, name, &ignored) || define(g, name, SL__LOAD_VARIABLE);
}

/* Targets: names are stored (or are parameters), namespaces read. */
static bool load_target(placing *g, const sl__node *n, bool as_parameter) {
    if (n->kind == SL__N_NAME) return as_parameter ? parameter(g, n->name) : store(g, n->name);
    if (n->kind == SL__N_NSREF) return load(g, n->name);
    for (size_t i = 0; i < n->list.count; i++)
        if (!load_target(g, n->list.at[i], as_parameter)) return false;
    return true;
}

static bool load_expressions(placing *g, const sl__nodes *list);

static bool load_expression(placing *g, const sl__node *n) {
    if (!n) return true;
    if (n->kind == SL__N_NAME) return load(g, n->name);
    return load_expression(g, n->a) && load_expression(g, n->b) && load_expression(g, n->c) && load_expressions(g, &n->list) &&
           load_expressions(g, &n->more);
}

static bool load_expressions(placing *g, const sl__nodes *list) {
    for (size_t i = 0; i < list->count; i++)
        if (!load_expression(g, list->at[i])) return false;
    return true;
}

/* Takes over what a branch of an if knows. What the scope itself has set stays set, the rest is not yet. */
static bool merge(placing *g, const scope *branch) {
    scope *s = g->now;
    for (size_t i = 0; i < branch->symbols; i++) {
        const symbol *from = &branch->symbol[i];
        symbol *own = i < s->symbols && s->symbol[i].name == from->name ? &s->symbol[i] : find_own(s, from->name);
        bool stored = own && own->stored;
        if (!own) {
            if (!reserve(g, s, s->symbols + 1)) return false;
            own = &s->symbol[s->symbols++];
        }
        *own = *from;
        own->stored = stored;
    }
    return true;
}

/* The two branches of an if, each seen from the state before it; then what they know together. A name that only branches set
 * is before that what it means outside. */
static bool load_if(placing *g, const sl__node *n) {
    scope *s = g->now;
    scope branch[2] = {{0}};
    bool good = load_expression(g, n->a);
    for (int i = 0; i < 2 && good; i++) {
        branch[i] = (scope){.parent = s->parent, .function = s->function, .level = s->level};
        if (!(good = reserve(g, &branch[i], s->symbols))) break;
        if (s->symbols) memcpy(branch[i].symbol, s->symbol, s->symbols * sizeof *s->symbol);
        branch[i].symbols = s->symbols;
        g->now = &branch[i];
        good = load_body(g, i ? &n->other : &n->body);
        g->now = s;
    }
    good = good && merge(g, &branch[0]) && merge(g, &branch[1]);
    for (int i = 0; i < 2 && good; i++) {
        for (size_t k = 0; k < branch[i].symbols; k++) {
            if (!branch[i].symbol[k].stored) continue;
            symbol *own = find_own(s, branch[i].symbol[k].name);
            if (own->stored) continue;
            own->load = find_slot(s->parent, s->function, own->name, &own->outer) ? SL__LOAD_OUTER : SL__LOAD_VARIABLE;
            own->stored = true;
        }
    }
    sl_free(branch[0].symbol);
    sl_free(branch[1].symbol);
    return good;
}

static bool load_statement(placing *g, const sl__node *n) {
    switch (n->kind) {
    case SL__N_IF: return load_if(g, n);
    case SL__N_FOR: return load_expression(g, n->b);
    case SL__N_SET: return load_expression(g, n->b) && load_target(g, n->a, false);
    case SL__N_SET_BLOCK: return load_target(g, n->a, false);
    case SL__N_MACRO: return store(g, n->name);
    case SL__N_WITH: return load_expressions(g, &n->more);
    case SL__N_PRINT: case SL__N_CALL_BLOCK: case SL__N_FILTER_BLOCK: return load_expression(g, n->a);
    default: return true;
    }
}

static bool load_body(placing *g, const sl__nodes *body) {
    for (size_t i = 0; i < body->count; i++)
        if (!load_statement(g, body->at[i])) return false;
    return true;
}

/* Is `name` read in n, without having been set there before? 1: yes, 0: no, -1: it is set. */
static int speaks_of_all(const sl__nodes *list, const char *name);
static int speaks_of(const sl__node *n, const char *name) {
    if (!n) return 0;
    if (n->kind == SL__N_NAME) return sl__is(n->name, name);
    if (n->kind == SL__N_SET || n->kind == SL__N_SET_BLOCK || n->kind == SL__N_FOR) {
        if (n->a->kind == SL__N_NAME && sl__is(n->a->name, name)) {
            int value = n->kind == SL__N_SET ? speaks_of(n->b, name) : 0;
            return value ? value : -1;
        }
    } else {
        int found = speaks_of(n->a, name);
        if (found) return found;
    }
    const sl__node *part[] = {n->b, n->c};
    for (int i = 0; i < 2; i++) {
        int found = speaks_of(part[i], name);
        if (found) return found;
    }
    const sl__nodes *list[] = {n->kind == SL__N_MACRO || n->kind == SL__N_CALL_BLOCK ? NULL : &n->list, &n->more, &n->body, &n->other};
    for (int i = 0; i < 4; i++) {
        int found = list[i] ? speaks_of_all(list[i], name) : 0;
        if (found) return found;
    }
    return 0;
}

static int speaks_of_all(const sl__nodes *list, const char *name) {
    for (size_t i = 0; i < list->count; i++) {
        int found = speaks_of(list->at[i], name);
        if (found) return found;
    }
    return 0;
}

/* Scopes. */
static bool open_function(placing *g, function *f) {
    f->made = sl_arena_alloc(g->p->arena, SL_MEM_VOCABULARY, sizeof *f->made);
    if (!f->made) return sl__no_memory(g->p);
    f->made->explicit_caller = -1;
    return true;
}

static void open_scope(placing *g, scope *s, function *f) {
    *s = (scope){.parent = g->now, .function = f, .level = g->now ? g->now->level + 1 : 0};
    g->now = s;
}

/* The loads of the scope at hand, as the frame that the tree keeps; the scope stays open. */
static const sl__frame *frame_of(placing *g) {
    const scope *s = g->now;
    sl__frame *f = sl_arena_alloc(g->p->arena, SL_MEM_VOCABULARY, sizeof *f);
    sl__load *load = sl_arena_array(g->p->arena, SL_MEM_VOCABULARY, s->symbols ? s->symbols : 1, sizeof *load);
    if (!f || !load) return sl__no_memory(g->p), NULL;
    for (size_t i = 0; i < s->symbols; i++) {
        const symbol *from = &s->symbol[i];
        if (from->load == SL__LOAD_NOTHING) continue;
        load[f->loads++] = (sl__load){from->load, from->index, from->outer, from->name};
    }
    f->load = load;
    return f;
}

static void close_scope(placing *g) {
    scope *s = g->now;
    g->now = s->parent;
    sl_free(s->symbol);
    s->symbol = NULL;
}

static bool place_all(placing *g, const sl__nodes *list) {
    for (size_t i = 0; i < list->count; i++)
        if (!place(g, list->at[i])) return false;
    return true;
}

static sl__slot own_slot(placing *g, const char *name) {
    for (size_t i = 0; i < g->now->symbols; i++)
        if (sl__is(g->now->symbol[i].name, name)) return (sl__slot){0, g->now->symbol[i].index};
    return (sl__slot){0, 0};
}

static bool special(placing *g, const sl__node *n, const char *name, bool *ret_used, sl__slot *ret_slot) {
    for (size_t i = 0; i < n->list.count; i++)
        if (sl__is(n->list.at[i]->name, name)) return true;
    if (speaks_of_all(&n->body, name) != 1) return true;
    const sl__string *s = sl__constant(g->p->arena, name, strlen(name));
    if (!s) return sl__no_memory(g->p);
    if (!parameter(g, s)) return false;
    *ret_used = true;
    *ret_slot = own_slot(g, name);
    return true;
}

/* A macro, call block or generation block: a function. */
static bool place_function(placing *g, sl__node *n) {
    function f = {.outer = g->now->function};
    scope s;
    if (!open_function(g, &f)) return false;
    open_scope(g, &s, &f);
    bool soft = g->soft, good = true;
    g->soft = false;
    for (size_t i = 0; i < n->list.count && good; i++) {
        good = parameter(g, n->list.at[i]->name);
        if (!sl__is(n->list.at[i]->name, "caller")) continue;
        f.made->explicit_caller = (int)i;
        if (speaks_of_all(&n->body, "caller") == 1 && i + n->more.count < n->list.count)
            good = sl__syntax(g->p, n->line, SL_FORMAT, "the special \"caller\" argument must be omitted or be given a default");
    }
    good = good && load_expressions(g, &n->more) && load_body(g, &n->body) &&
           special(g, n, "caller", &f.made->caller, &f.made->caller_at) &&
           special(g, n, "kwargs", &f.made->kwargs, &f.made->kwargs_at) &&
           special(g, n, "varargs", &f.made->varargs, &f.made->varargs_at) && (n->frame = frame_of(g)) != NULL &&
           place_all(g, &n->list) && place_all(g, &n->more) && place_body(g, &n->body);
    n->function = f.made;
    g->soft = soft;
    close_scope(g);
    sl_free(f.slot);
    return good;
}

static sl__node *copy_target(placing *g, const sl__node *n) {
    sl__node *copy = sl__node_new(g->p, n->kind, n->line);
    if (!copy) return NULL;
    copy->name = n->name;
    copy->attr = n->attr;
    for (size_t i = 0; i < n->list.count; i++) {
        sl__node *part = copy_target(g, n->list.at[i]);
        if (!part || !sl__nodes_add(g->p, &copy->list, part)) return NULL;
    }
    return copy;
}

/* The filter of a loop: a function of its own, with its own copy of the target in n->list. */
static bool place_loop_test(placing *g, sl__node *n) {
    function f = {.outer = g->now->function};
    scope s;
    sl__node *target = copy_target(g, n->a);
    if (!target || !sl__nodes_add(g->p, &n->list, target) || !open_function(g, &f)) return false;
    open_scope(g, &s, &f);
    bool soft = g->soft;
    g->soft = false;
    bool good = load_target(g, target, true) && load_expression(g, n->c) && (n->inner = frame_of(g)) != NULL && place(g, target) &&
                place(g, n->c);
    g->soft = soft;
    n->test_function = f.made;
    close_scope(g);
    sl_free(f.slot);
    return good;
}

static bool place_for(placing *g, sl__node *n) {
    if (!place(g, n->b)) return false;
    function own = {.outer = g->now->function}, *f = g->now->function;
    scope s;
    const sl__string *loop = sl__constant(g->p->arena, "loop", 4);
    if (!loop) return sl__no_memory(g->p);
    if (n->recursive) {
        if (!open_function(g, &own)) return false;
        f = &own;
    }
    bool soft = g->soft;
    g->soft = false;
    bool good = !n->c || n->recursive || place_loop_test(g, n);
    open_scope(g, &s, f);
    good = good && parameter(g, loop) && load_target(g, n->a, true) && load_body(g, &n->body) && (n->frame = frame_of(g)) != NULL &&
           place(g, n->a) && place_body(g, &n->body);
    n->slot = own_slot(g, "loop");
    close_scope(g);
    if (good && n->recursive && n->c) { /* the test's function stands inside the loop's */
        scope between = {.parent = g->now, .function = f, .level = g->now->level};
        g->now = &between;
        good = place_loop_test(g, n);
        g->now = between.parent;
    }
    if (good && n->other.count) {
        open_scope(g, &s, f);
        good = load_body(g, &n->other) && (n->rest = frame_of(g)) != NULL && place_body(g, &n->other);
        close_scope(g);
    }
    g->soft = soft;
    n->function = n->recursive ? own.made : NULL;
    sl_free(own.slot);
    return good;
}

/* What has a body that is a scope but no function: set, filter, with. */
static bool place_block(placing *g, sl__node *n) {
    bool with = n->kind == SL__N_WITH, set = n->kind == SL__N_SET_BLOCK, good = true;
    if (with) good = place_all(g, &n->more);
    if (set) good = place(g, n->a);
    scope s;
    open_scope(g, &s, g->now->function);
    bool soft = g->soft;
    g->soft = false;
    for (size_t i = 0; with && i < n->list.count && good; i++) good = load_target(g, n->list.at[i], true);
    sl__node *filter = set ? n->b : with ? NULL : n->a;
    good = good && load_body(g, &n->body) && load_expression(g, filter) && (n->frame = frame_of(g)) != NULL &&
           (!with || place_all(g, &n->list)) && (!filter || place(g, filter)) && place_body(g, &n->body);
    g->soft = soft;
    close_scope(g);
    return good;
}

static bool place_name(placing *g, sl__node *n) {
    return find_slot(g->now, g->now->function, n->name, &n->slot) ||
           sl__syntax(g->p, n->line, SL_UNSUPPORTED, "the name '%.60s' is used where it has no place", sl__bytes(n->name));
}

/* A filter or test: there is one of this name? */
static bool place_known(placing *g, sl__node *n) {
    n->soft = g->soft;
    if (n->known || n->soft) return true;
    return sl__syntax(g->p, n->line, SL_FORMAT, "No %s named '%.60s'.", n->kind == SL__N_FILTER ? "filter" : "test", sl__bytes(n->name));
}

static bool place(placing *g, sl__node *n) {
    if (!n) return true;
    bool soft = g->soft, good;
    switch (n->kind) {
    case SL__N_NAME: case SL__N_NSREF: return place_name(g, n);
    case SL__N_MACRO: return place_name(g, n) && place_function(g, n);
    case SL__N_CALL_BLOCK: return place_function(g, n) && place(g, n->a);
    case SL__N_GENERATION: return place_function(g, n);
    case SL__N_FOR: return place_for(g, n);
    case SL__N_SET_BLOCK: case SL__N_FILTER_BLOCK: case SL__N_WITH: return place_block(g, n);
    case SL__N_IF: case SL__N_COND:
        g->soft = true;
        good = place(g, n->a) && place(g, n->b) && place(g, n->c) && place_body(g, &n->body) && place_body(g, &n->other);
        g->soft = soft;
        return good;
    case SL__N_FILTER: case SL__N_TEST:
        if (!place_known(g, n)) return false;
        break;
    default: break;
    }
    return place(g, n->a) && place(g, n->b) && place(g, n->c) && place_all(g, &n->list) && place_all(g, &n->more);
}

static bool place_body(placing *g, const sl__nodes *body) { return place_all(g, body); }

bool sl__place_names(sl__parser *p, const sl__nodes *body, const sl__function **ret_function, const sl__frame **ret_frame) {
    placing g = {.p = p};
    function f = {0};
    scope s;
    if (!open_function(&g, &f)) return false;
    open_scope(&g, &s, &f);
    bool good = load_body(&g, body) && (*ret_frame = frame_of(&g)) != NULL && place_body(&g, body);
    close_scope(&g);
    *ret_function = f.made;
    sl_free(f.slot);
    return good;
}

/* tests.c: what stands behind "is". */
#include "template/internal.h"

typedef const sl__args args;
typedef const sl__value value;

#define TEST(name, condition)                                                                                          \
    static bool name(sl__render *r, value *v, args *a, sl__value *ret) {                                               \
        (void)r, (void)a;                                                                                              \
        return *ret = sl__bool(condition), true;                                                                       \
    }
TEST(defined, v->kind != SL__UNDEFINED)
TEST(undefined, v->kind == SL__UNDEFINED)
TEST(none, v->kind == SL__NONE)
TEST(boolean, v->kind == SL__BOOL)
TEST(true_, v->kind == SL__BOOL && v->yes)
TEST(false_, v->kind == SL__BOOL && !v->yes)
TEST(integer, v->kind == SL__INT)
TEST(float_, v->kind == SL__FLOAT)
TEST(number, v->kind == SL__INT || v->kind == SL__FLOAT || v->kind == SL__BOOL)
TEST(string, v->kind == SL__STRING)
TEST(mapping, v->kind == SL__DICT)
TEST(escaped, v->kind == SL__STRING && v->safe)
TEST(sequence, v->kind == SL__UNDEFINED || v->kind == SL__STRING || v->kind == SL__LIST || v->kind == SL__TUPLE || v->kind == SL__DICT ||
                   v->kind == SL__RANGE)
TEST(iterable, v->kind == SL__UNDEFINED || v->kind == SL__STRING || v->kind == SL__LIST || v->kind == SL__TUPLE || v->kind == SL__DICT ||
                   v->kind == SL__RANGE || v->kind == SL__VIEW || v->kind == SL__ITERATOR || v->kind == SL__LOOP)
TEST(callable, v->kind == SL__UNDEFINED || v->kind == SL__MACRO || v->kind == SL__LOOP || v->kind == SL__METHOD ||
                   v->kind == SL__GLOBAL || v->kind == SL__JOINER)
TEST(sameas, sl__identical(v, &a->at[0]))

/* Is it the name of a row? What cannot be a key of a dict is an error. */
static bool names_row(sl__render *r, value *v, const sl__row *find(const char *, size_t), sl__value *ret) {
    uint64_t ignored;
    *ret = sl__bool(v->kind == SL__STRING && find(sl__bytes(v->s), v->s->len));
    return sl__hash(r, v, &ignored);
}
static bool filter(sl__render *r, value *v, args *a, sl__value *ret) { return (void)a, names_row(r, v, sl__find_filter, ret); }
static bool test(sl__render *r, value *v, args *a, sl__value *ret) { return (void)a, names_row(r, v, sl__find_test, ret); }

static bool has_remainder(sl__render *r, value *v, value *by, int64_t wanted, sl__value *ret) {
    sl__value rest, want = sl__int(wanted);
    bool equal;
    if (!sl__operate(r, SL__N_MOD, v, by, &rest) || !sl__equal(r, &rest, &want, &equal)) return false;
    *ret = sl__bool(equal);
    return true;
}
static bool odd(sl__render *r, value *v, args *a, sl__value *ret) {
    return (void)a, has_remainder(r, v, &(sl__value){.kind = SL__INT, .i = 2}, 1, ret);
}
static bool even(sl__render *r, value *v, args *a, sl__value *ret) {
    return (void)a, has_remainder(r, v, &(sl__value){.kind = SL__INT, .i = 2}, 0, ret);
}
static bool divisibleby(sl__render *r, value *v, args *a, sl__value *ret) { return has_remainder(r, v, &a->at[0], 0, ret); }

static bool method_of_str(sl__render *r, value *v, const char *method, sl__value *ret) {
    sl__value s;
    if (!sl__str(r, v, &s)) return false;
    for (const sl__method *m = sl__string_methods; m->row.name; m++)
        if (strcmp(m->row.name, method) == 0) return m->row.work(r, &s, NULL, ret);
    return false;
}
static bool lower(sl__render *r, value *v, args *a, sl__value *ret) { return (void)a, method_of_str(r, v, "islower", ret); }
static bool upper(sl__render *r, value *v, args *a, sl__value *ret) { return (void)a, method_of_str(r, v, "isupper", ret); }

static bool in(sl__render *r, value *v, args *a, sl__value *ret) {
    bool found;
    if (!sl__contains(r, &a->at[0], v, &found)) return false;
    *ret = sl__bool(found);
    return true;
}

static bool eq(sl__render *r, value *v, args *a, sl__value *ret) {
    bool same;
    if (!sl__equal(r, v, &a->at[0], &same)) return false;
    *ret = sl__bool(same);
    return true;
}
static bool ne(sl__render *r, value *v, args *a, sl__value *ret) {
    if (!eq(r, v, a, ret)) return false;
    ret->yes = !ret->yes;
    return true;
}

static bool order(sl__render *r, const char *op, value *v, args *a, sl__value *ret) {
    bool holds;
    if (!sl__less(r, op, v, &a->at[0], &holds)) return false;
    *ret = sl__bool(holds);
    return true;
}
static bool gt(sl__render *r, value *v, args *a, sl__value *ret) { return order(r, ">", v, a, ret); }
static bool ge(sl__render *r, value *v, args *a, sl__value *ret) { return order(r, ">=", v, a, ret); }
static bool lt(sl__render *r, value *v, args *a, sl__value *ret) { return order(r, "<", v, a, ret); }
static bool le(sl__render *r, value *v, args *a, sl__value *ret) { return order(r, "<=", v, a, ret); }

static const sl__row rows[] = {
    {"defined", defined, "", 0}, {"undefined", undefined, "", 0}, {"none", none, "", 0}, {"boolean", boolean, "", 0},
    {"true", true_, "", 0}, {"false", false_, "", 0}, {"integer", integer, "", 0}, {"float", float_, "", 0}, {"number", number, "", 0},
    {"string", string, "", 0}, {"mapping", mapping, "", 0}, {"sequence", sequence, "", 0}, {"iterable", iterable, "", 0},
    {"callable", callable, "", 0}, {"escaped", escaped, "", 0}, {"filter", filter, "", 0}, {"test", test, "", 0},
    {"sameas", sameas, "other", 1}, {"odd", odd, "", 0}, {"even", even, "", 0}, {"divisibleby", divisibleby, "num", 1},
    {"lower", lower, "", 0}, {"upper", upper, "", 0}, {"in", in, "seq", 1}, {"==", eq, "_", 1}, {"eq", eq, "_", 1},
    {"equalto", eq, "_", 1}, {"!=", ne, "_", 1}, {"ne", ne, "_", 1}, {">", gt, "_", 1}, {"gt", gt, "_", 1}, {"greaterthan", gt, "_", 1},
    {">=", ge, "_", 1}, {"ge", ge, "_", 1}, {"<", lt, "_", 1}, {"lt", lt, "_", 1}, {"lessthan", lt, "_", 1}, {"<=", le, "_", 1},
    {"le", le, "_", 1}, {0},
};

const sl__row *sl__find_test(const char *name, size_t len) { return sl__find_row(rows, name, len); }

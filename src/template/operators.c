/* operators.c: arithmetic, as Python does it. Integers are of 64 bits; what Python would make longer is an error. */
#include "template/internal.h"

#include <math.h>
#include <stdio.h>

static const char *sign_of(sl__node_kind op) {
    switch (op) {
    case SL__N_ADD: return "+";
    case SL__N_SUB: return "-";
    case SL__N_MUL: return "*";
    case SL__N_DIV: return "/";
    case SL__N_FLOORDIV: return "//";
    case SL__N_MOD: return "%";
    default: return "** or pow()";
    }
}

static bool too_large(sl__render *r) { return sl__fail(r, SL_UNSUPPORTED, "an integer beyond 64 bits is not supported"); }

static bool power(sl__render *r, int64_t base, int64_t exponent, int64_t *ret) {
    int64_t result = 1;
    for (; exponent; exponent >>= 1) {
        if ((exponent & 1) && __builtin_mul_overflow(result, base, &result)) return too_large(r);
        if (exponent > 1 && __builtin_mul_overflow(base, base, &base)) return too_large(r);
    }
    *ret = result;
    return true;
}

static bool operate_ints(sl__render *r, sl__node_kind op, int64_t a, int64_t b, sl__value *ret) {
    int64_t result = 0;
    switch (op) {
    case SL__N_ADD: if (__builtin_add_overflow(a, b, &result)) return too_large(r); break;
    case SL__N_SUB: if (__builtin_sub_overflow(a, b, &result)) return too_large(r); break;
    case SL__N_MUL: if (__builtin_mul_overflow(a, b, &result)) return too_large(r); break;
    case SL__N_DIV:
        if (!b) return sl__raise(r, "division by zero");
        *ret = sl__float((double)((long double)a / (long double)b));
        return true;
    case SL__N_FLOORDIV: case SL__N_MOD:
        if (!b) return sl__raise(r, "integer division or modulo by zero");
        if (a == INT64_MIN && b == -1) {
            if (op == SL__N_FLOORDIV) return too_large(r);
            break;
        }
        result = a / b;
        if (a % b != 0 && (a < 0) != (b < 0)) result--;
        if (op == SL__N_MOD) result = a - result * b;
        break;
    default:
        if (b < 0) {
            if (!a) return sl__raise(r, "0.0 cannot be raised to a negative power");
            *ret = sl__float(pow((double)a, (double)b));
            return true;
        }
        if (!power(r, a, b, &result)) return false;
    }
    *ret = sl__int(result);
    return true;
}

static bool operate_floats(sl__render *r, sl__node_kind op, double a, double b, sl__value *ret) {
    double x = 0;
    switch (op) {
    case SL__N_ADD: x = a + b; break;
    case SL__N_SUB: x = a - b; break;
    case SL__N_MUL: x = a * b; break;
    case SL__N_DIV:
        if (b == 0) return sl__raise(r, "float division by zero");
        x = a / b;
        break;
    case SL__N_FLOORDIV: case SL__N_MOD: {
        if (b == 0) return sl__raise(r, op == SL__N_MOD ? "float modulo" : "float floor division by zero");
        double mod = fmod(a, b), div = (a - mod) / b;
        if (mod != 0) {
            if ((b < 0) != (mod < 0)) mod += b, div -= 1;
        } else {
            mod = copysign(0, b);
        }
        double whole = floor(div);
        if (div != 0 && div - whole > 0.5) whole += 1;
        if (div == 0) whole = copysign(0, a / b);
        x = op == SL__N_MOD ? mod : whole;
        break;
    }
    default:
        if (a == 0 && b < 0) return sl__raise(r, "0.0 cannot be raised to a negative power");
        if (a < 0 && floor(b) != b && isfinite(a) && isfinite(b)) return sl__fail(r, SL_UNSUPPORTED, "complex numbers are not supported");
        x = pow(a, b);
        if (isinf(x) && isfinite(a) && isfinite(b)) return sl__raise(r, "(34, 'Numerical result out of range')");
    }
    *ret = sl__float(x);
    return true;
}

static bool add_lists(sl__render *r, const sl__value *a, const sl__value *b, sl__value *ret) {
    const sl__list *x = a->list, *y = b->list;
    sl__items *items = x->items;
    size_t start = x->start;
    if (x->start + x->count != items->used) { /* something else stands behind it already */
        if (!(items = sl__items_new(r, x->count + y->count))) return false;
        start = 0;
        for (size_t i = 0; i < x->count; i++)
            if (!sl__push(r, items, sl__at(x, i))) return false;
    }
    for (size_t i = 0; i < y->count; i++) {
        sl__value v = *sl__at(y, i);
        if (!sl__push(r, items, &v)) return false;
    }
    sl__list *l = sl__take(r, sizeof *l);
    if (!l) return false;
    *l = (sl__list){.items = items, .start = start, .count = x->count + y->count};
    *ret = (sl__value){.kind = a->kind, .list = l};
    return true;
}

static bool repeat(sl__render *r, const sl__value *v, int64_t times, sl__value *ret) {
    if (v->kind == SL__STRING) {
        sl__store *to = sl__store_new(r, 0);
        if (!to) return false;
        for (int64_t i = 0; i < times && v->s->len; i++)
            if (!sl__step(r) || !sl__put_whole(r, to, v->s)) return false;
        if (!sl__finish(r, to, ret)) return false;
        ret->safe = v->safe;
        return true;
    }
    sl__items *items = sl__items_new(r, 0);
    if (!items) return false;
    for (int64_t i = 0; i < times && v->list->count; i++)
        for (size_t k = 0; k < v->list->count; k++)
            if (!sl__push(r, items, sl__at(v->list, k))) return false;
    return sl__list_of(r, v->kind, items, ret);
}

static bool add_strings(sl__render *r, const sl__value *a, const sl__value *b, sl__value *ret) {
    sl__value x = *a, y = *b;
    bool safe = a->safe || b->safe;
    if (safe && !a->safe && !sl__escape(r, a->s, &x)) return false;
    if (safe && !b->safe && !sl__escape(r, b->s, &y)) return false;
    if (!sl__concat(r, x.s, y.s, ret)) return false;
    ret->safe = safe;
    return true;
}

static bool is_sequence(const sl__value *v) { return v->kind == SL__STRING || v->kind == SL__LIST || v->kind == SL__TUPLE; }

bool sl__operate(sl__render *r, sl__node_kind op, const sl__value *a, const sl__value *b, sl__value *ret) {
    double x, y;
    if (sl__is_int(a) && sl__is_int(b)) {
        if (!operate_ints(r, op, sl__int_of(a), sl__int_of(b), ret)) return false;
        ret->content = a->content || b->content;
        return true;
    }
    if (sl__number(a, &x) && sl__number(b, &y)) {
        if (!operate_floats(r, op, x, y, ret)) return false;
        ret->content = a->content || b->content;
        return true;
    }
    if (op == SL__N_MOD && a->kind == SL__STRING) return sl__percent(r, a, b, ret);
    if (a->kind == SL__UNDEFINED || b->kind == SL__UNDEFINED) return sl__use_undefined(r, a->kind == SL__UNDEFINED ? a : b);
    if (op == SL__N_ADD) {
        if (a->kind == SL__STRING && b->kind == SL__STRING) return add_strings(r, a, b, ret);
        if ((a->kind == SL__LIST || a->kind == SL__TUPLE) && a->kind == b->kind) return add_lists(r, a, b, ret);
        if (a->kind == SL__STRING)
            return sl__raise(r, "can only concatenate str (not \"%s\") to str", sl__type_name(b));
    }
    if (op == SL__N_MUL && is_sequence(a) && sl__is_int(b)) return repeat(r, a, sl__int_of(b), ret);
    if (op == SL__N_MUL && is_sequence(b) && sl__is_int(a)) return repeat(r, b, sl__int_of(a), ret);
    if (op == SL__N_SUB && a->kind == SL__VIEW) return sl__fail(r, SL_UNSUPPORTED, "sets are not supported");
    return sl__raise(r, "unsupported operand type(s) for %s: '%s' and '%s'", sign_of(op), sl__type_name(a), sl__type_name(b));
}

bool sl__negate(sl__render *r, sl__node_kind op, const sl__value *a, sl__value *ret) {
    bool negative = op == SL__N_NEG;
    if (a->kind == SL__UNDEFINED) return sl__use_undefined(r, a);
    if (a->kind == SL__FLOAT) {
        *ret = sl__float(negative ? -a->f : a->f);
    } else if (sl__is_int(a)) {
        int64_t i = sl__int_of(a);
        if (negative && i == INT64_MIN) return too_large(r);
        *ret = sl__int(negative ? -i : i);
    } else {
        return sl__raise(r, "bad operand type for unary %s: '%s'", negative ? "-" : "+", sl__type_name(a));
    }
    ret->content = a->content;
    return true;
}

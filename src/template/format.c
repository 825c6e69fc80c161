/* format.c: "…" % values, and str.format() with its little language. */
#include "template/internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define WIDEST 100000 /* columns */

typedef struct spec {
    char fill[5], align, sign, type;
    size_t fill_len;
    bool alternate, zero;
    char group;
    int width, precision; /* -1: not given */
} spec;

static bool parse_width(const char **s, const char *end, int *ret) {
    *ret = -1;
    for (; *s < end && **s >= '0' && **s <= '9'; ++*s) {
        *ret = (*ret < 0 ? 0 : *ret * 10) + (**s - '0');
        if (*ret > WIDEST) return false;
    }
    return true;
}

/* text between padding. Numbers put the padding of '=' between sign and digits. */
static bool put_padded(sl__render *r, sl__store *to, const spec *p, const sl__value *text, char align) {
    const sl__string *s = text->s;
    int64_t missing = p->width - (int64_t)sl__chars(s), left = align == '>' ? missing : align == '^' ? missing / 2 : 0;
    size_t head = align == '=' && s->len && strchr("+- ", *sl__bytes(s)) ? 1 : 0;
    if (align == '=') left = missing;
    if (!sl__put_part(r, to, s, 0, head)) return false;
    for (int64_t i = 0; i < left; i++)
        if (!sl__put(r, to, p->fill, p->fill_len, false)) return false;
    if (!sl__put_part(r, to, s, head, s->len - head)) return false;
    for (int64_t i = left > 0 ? left : 0; i < missing; i++)
        if (!sl__put(r, to, p->fill, p->fill_len, false)) return false;
    return true;
}

/* digits with a separator each three (or four) before the point. */
static size_t group_digits(const char *from, char mark, int size, char *to) {
    size_t head = strspn(from, "+- "), digits = strspn(from + head, "0123456789abcdefABCDEF"), n = 0;
    if (size == 3) digits = strspn(from + head, "0123456789");
    memcpy(to, from, head);
    n = head;
    for (size_t i = 0; i < digits; i++) {
        if (i && (digits - i) % (size_t)size == 0) to[n++] = mark;
        to[n++] = from[head + i];
    }
    strcpy(to + n, from + head + digits);
    return n + strlen(from + head + digits);
}

static bool int_text(sl__render *r, const spec *p, int64_t i, char *text) {
    uint64_t n = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    char digits[80], *to = text;
    size_t at = sizeof digits;
    unsigned base = p->type == 'b' ? 2 : p->type == 'o' ? 8 : p->type == 'x' || p->type == 'X' ? 16 : 10;
    digits[--at] = 0;
    do digits[--at] = (p->type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef")[n % base];
    while (n /= base);
    if (i < 0) *to++ = '-';
    else if (p->sign == '+' || p->sign == ' ') *to++ = p->sign;
    if (p->alternate && base != 10) to += sprintf(to, "0%c", p->type);
    strcpy(to, digits + at);
    (void)r;
    return true;
}

/* repr() in the shape of %g: what format() does for a float without a type, but for ".0" and the sign. */
static void float_digits(const spec *p, double f, char type, int precision, char *text, size_t size) {
    char format[16];
    snprintf(format, sizeof format, "%%%s.*%c", p->alternate ? "#" : "", type);
    snprintf(text, size, format, precision, f);
}

static bool float_text(sl__render *r, const spec *p, double f, char *text, size_t size) {
    char *to = text;
    bool percent = p->type == '%';
    if (percent) f *= 100;
    if (!signbit(f) && (p->sign == '+' || p->sign == ' ')) *to++ = p->sign, size--;
    if (p->precision > 300) return sl__fail(r, SL_UNSUPPORTED, "a precision of more than 300 is not supported");
    char type = percent ? 'f' : p->type == 'n' ? 'g' : p->type;
    if (!isfinite(f)) {
        snprintf(to, size, "%s%s", isnan(f) ? "nan" : f < 0 ? "-inf" : "inf", percent ? "%" : "");
        if (type == 'F' || type == 'E' || type == 'G')
            for (; *to; to++) *to = (char)(*to >= 'a' && *to <= 'z' ? *to - 32 : *to);
        return true;
    }
    if (!type) {
        if (p->precision < 0) {
            char plain[32];
            sl__float_text(f, plain);
            snprintf(to, size, "%s", plain);
        } else {
            float_digits(p, f, 'g', p->precision ? p->precision : 1, to, size);
            if (!strpbrk(to, ".e")) snprintf(to + strlen(to), size - strlen(to), ".0");
        }
    } else {
        float_digits(p, f, type, p->precision < 0 ? 6 : p->precision, to, size);
    }
    if (percent) snprintf(to + strlen(to), size - strlen(to), "%%");
    return true;
}

static bool number_text(sl__render *r, const spec *p, const sl__value *v, char *text, size_t size) {
    double f = 0;
    bool integral = sl__is_int(v) && (!p->type || strchr("bdoxXnc", p->type));
    if (!integral && p->type && !strchr("eEfFgGn%", p->type))
        return sl__raise(r, "Unknown format code '%c' for object of type '%s'", p->type, sl__type_name(v));
    if (integral && p->precision >= 0) return sl__raise(r, "Precision not allowed in integer format specifier");
    if (integral) return int_text(r, p, sl__int_of(v), text);
    sl__number(v, &f);
    return float_text(r, p, f, text, size);
}

static bool parse_spec(sl__render *r, const char *s, size_t len, spec *p) {
    const char *end = s + len;
    *p = (spec){.fill = " ", .fill_len = 1, .width = -1, .precision = -1};
    size_t n = 0;
    if (len) sl__point(s, len, &n);
    if (n && n < len && strchr("<>=^", s[n])) {
        memcpy(p->fill, s, n);
        p->fill_len = n;
        p->align = s[n];
        s += n + 1;
    } else if (s < end && strchr("<>=^", *s)) {
        p->align = *s++;
    }
    if (s < end && strchr("+- ", *s)) p->sign = *s++;
    if (s < end && *s == '#') p->alternate = true, s++;
    if (s < end && *s == '0') {
        p->zero = true;
        s++;
        if (!p->align) {
            p->align = '=';
            p->fill[0] = '0';
            p->fill_len = 1;
        }
    }
    if (!parse_width(&s, end, &p->width)) return sl__fail(r, SL_UNSUPPORTED, "a format wider than %d is not supported", WIDEST);
    if (s < end && (*s == ',' || *s == '_')) p->group = *s++;
    if (s < end && *s == '.') {
        s++;
        if (!parse_width(&s, end, &p->precision) || p->precision < 0) return sl__raise(r, "Format specifier missing precision");
    }
    if (s < end) p->type = *s++;
    return s == end ? true : sl__raise(r, "Invalid format specifier");
}

bool sl__format_spec(sl__render *r, const sl__value *v, const char *s, size_t len, sl__store *to) {
    spec p;
    if (!len) return sl__put_str(r, to, v);
    if (!parse_spec(r, s, len, &p)) return false;
    sl__value text;
    if (v->kind == SL__STRING) {
        if (p.type && p.type != 's') return sl__raise(r, "Unknown format code '%c' for object of type 'str'", p.type);
        if (p.align == '=') {
            if (!p.zero) return sl__raise(r, "'=' alignment not allowed in string format specifier");
            p.align = '<'; /* a plain 0 before the width */
        }
        if (p.sign) return sl__raise(r, "Sign not allowed in string format specifier");
        if (p.group) return sl__raise(r, "Cannot specify ',' with 's'.");
        text = *v;
        if (p.precision >= 0 &&
            !sl__slice_string(r, v->s, 0, 1, (int64_t)sl__chars(v->s) < p.precision ? (int64_t)sl__chars(v->s) : p.precision,
                              &text))
            return false;
        return put_padded(r, to, &p, &text, p.align ? p.align : '<');
    }
    if (v->kind != SL__FLOAT && !sl__is_int(v)) return sl__raise(r, "unsupported format string passed to %s.__format__", sl__type_name(v));
    if (v->kind == SL__BOOL && !p.type) { /* format(True, "5") is that of the string only without a spec */
        p.type = 0;
    }
    char plain[700], grouped[1000];
    if (p.type == 'c') return sl__fail(r, SL_UNSUPPORTED, "the format code 'c' is not supported");
    if (!number_text(r, &p, v, plain, sizeof plain)) return false;
    size_t n = strlen(plain);
    bool wide = p.group && p.type && strchr("boxX", p.type);
    if (p.group) n = group_digits(plain, p.group, wide ? 4 : 3, grouped);
    if (p.group && p.align == '=' && p.fill[0] == '0' && p.width > (int)n)
        return sl__fail(r, SL_UNSUPPORTED, "zero padding together with '%c' is not supported", p.group);
    return sl__text(r, p.group ? grouped : plain, n, v->content, &text) && put_padded(r, to, &p, &text, p.align ? p.align : '>');
}

/* str.format: a field's value: "0.name[key]". */
static bool field(sl__render *r, const char *s, size_t len, const sl__args *a, int *automatic, sl__value *ret) {
    size_t n = strcspn(s, ".[}:!");
    if (n > len) n = len;
    sl__value v = {0};
    if (!n) {
        if (*automatic < 0) return sl__raise(r, "cannot switch from manual field specification to automatic field numbering");
        size_t number = (size_t)(*automatic)++;
        if (number >= a->count) return sl__raise(r, "Replacement index %zu out of range for positional args tuple", number);
        v = a->at[number];
    } else if (s[0] >= '0' && s[0] <= '9') {
        if (*automatic > 0) return sl__raise(r, "cannot switch from automatic field numbering to manual field specification");
        *automatic = -1;
        unsigned long number = strtoul(s, NULL, 10);
        if (number >= a->count) return sl__raise(r, "Replacement index %lu out of range for positional args tuple", number);
        v = a->at[number];
    } else {
        const sl__value *found = NULL;
        for (size_t i = 0; i < a->names; i++)
            if (a->named[i].name->len == n && memcmp(sl__bytes(a->named[i].name), s, n) == 0) found = &a->named[i].value;
        if (!found) return sl__raise(r, "KeyError: '%.*s'", (int)n, s);
        v = *found;
    }
    while (n < len) {
        bool attribute = s[n] == '.';
        size_t from = n + 1, to = from;
        while (to < len && (attribute ? s[to] != '.' && s[to] != '[' : s[to] != ']')) to++;
        sl__value key;
        if ((!attribute && (s[n] != '[' || to == len)) || to == from) return sl__raise(r, "Empty attribute in format string");
        if (!sl__text(r, s + from, to - from, false, &key)) return false;
        if (attribute) {
            if (!sl__getattr(r, &v, key.s, &v)) return false;
        } else {
            if (s[from] >= '0' && s[from] <= '9') key = sl__int(strtol(s + from, NULL, 10));
            if (!sl__getitem(r, &v, &key, &v)) return false;
            to++;
        }
        n = to;
    }
    *ret = v;
    return true;
}

/* One {…} of str.format, without its braces. */
static bool replacement(sl__render *r, const char *s, size_t len, const sl__args *a, int *automatic, sl__store *to) {
    size_t n = 0;
    for (int inside = 0; n < len && (inside || (s[n] != ':' && s[n] != '!')); n++) inside = s[n] == '[' ? 1 : s[n] == ']' ? 0 : inside;
    sl__value v;
    if (!field(r, s, n, a, automatic, &v)) return false;
    if (n < len && s[n] == '!') {
        if (n + 1 >= len) return sl__raise(r, "end of string while looking for conversion specifier");
        char how = s[n + 1];
        sl__store *text = sl__store_new(r, 0);
        if (!text ||
            !(how == 'r'   ? sl__put_repr(r, text, &v)
              : how == 's' ? sl__put_str(r, text, &v)
                           : sl__raise(r, "Unknown conversion specifier %c", how)) ||
            !sl__finish(r, text, &v))
            return false;
        n += 2;
    }
    if (n < len && s[n] != ':') return sl__raise(r, "expected ':' after conversion specifier");
    if (n < len) n++;
    if (memchr(s + n, '{', len - n)) return sl__fail(r, SL_UNSUPPORTED, "fields inside a format specification are not supported");
    return sl__format_spec(r, &v, s + n, len - n, to);
}

bool sl__format(sl__render *r, const sl__string *format, const sl__args *a, sl__value *ret) {
    sl__store *to = sl__store_new(r, format->len);
    const char *s = sl__bytes(format);
    int automatic = 0;
    if (!to) return false;
    for (size_t at = 0; at < format->len;) {
        size_t n = 0;
        while (at + n < format->len && s[at + n] != '{' && s[at + n] != '}') n++;
        if (!sl__put_part(r, to, format, at, n) || !sl__step(r)) return false;
        at += n;
        if (at == format->len) break;
        if (at + 1 < format->len && s[at + 1] == s[at]) { /* {{ or }} */
            if (!sl__put_part(r, to, format, at, 1)) return false;
            at += 2;
            continue;
        }
        if (s[at] == '}') return sl__raise(r, "Single '}' encountered in format string");
        size_t end = at + 1;
        for (int deep = 1; end < format->len && deep; end++) deep += s[end] == '{' ? 1 : s[end] == '}' ? -1 : 0;
        if (s[end - 1] != '}' || end == at + 1) return sl__raise(r, "expected '}' before end of string");
        char *copy = sl__take(r, end - at);
        if (!copy) return false;
        memcpy(copy, s + at + 1, end - at - 2);
        if (!replacement(r, copy, end - at - 2, a, &automatic, to)) return false;
        at = end;
    }
    return sl__finish(r, to, ret);
}

typedef struct percent {
    const sl__value *args;
    size_t next;
    bool mapping;
} percent;

static bool next_argument(sl__render *r, percent *p, sl__value *ret) {
    if (p->args->kind == SL__TUPLE) {
        if (p->next >= p->args->list->count) return sl__raise(r, "not enough arguments for format string");
        *ret = *sl__at(p->args->list, p->next++);
        return true;
    }
    if (p->next++) return sl__raise(r, "not enough arguments for format string");
    *ret = *p->args;
    return true;
}

static bool star_or_number(sl__render *r, percent *p, const char **s, const char *end, int *ret) {
    if (*s < end && **s == '*') {
        sl__value v;
        int64_t n;
        ++*s;
        if (!next_argument(r, p, &v) || !sl__want_int(r, &v, "%", &n)) return false;
        if (n > WIDEST || n < -WIDEST) return sl__fail(r, SL_UNSUPPORTED, "a format wider than %d is not supported", WIDEST);
        *ret = (int)n;
        return true;
    }
    return parse_width(s, end, ret) || sl__fail(r, SL_UNSUPPORTED, "a format wider than %d is not supported", WIDEST);
}

static bool percent_number(sl__render *r, const spec *p, const sl__value *v, sl__value *ret) {
    char plain[700], spaced[1000];
    double f;
    spec own = *p;
    if (own.type == 'i' || own.type == 'u') own.type = 'd';
    bool integral = strchr("doxX", own.type) != NULL;
    if (!sl__number(v, &f))
        return sl__raise(r, "%%%c format: a real number is required, not %s", p->type, sl__type_name(v));
    sl__value whole = *v;
    if (integral && v->kind == SL__FLOAT) {
        if (own.type != 'd') return sl__raise(r, "%%%c format: an integer is required, not float", p->type);
        if (!(fabs(f) < 0x1p63)) return sl__fail(r, SL_UNSUPPORTED, "an integer beyond 64 bits is not supported");
        whole = sl__int((int64_t)f);
    }
    int precision = own.precision;
    if (integral) own.precision = -1;
    if (!number_text(r, &own, &whole, plain, sizeof plain)) return false;
    if (integral && precision > 0) { /* at least so many digits */
        size_t head = strspn(plain, "+- "), digits = strlen(plain + head);
        if (precision > 300) return sl__fail(r, SL_UNSUPPORTED, "a precision of more than 300 is not supported");
        snprintf(spaced, sizeof spaced, "%.*s%0*d%s", (int)head, plain, precision > (int)digits ? precision - (int)digits : 0, 0, plain + head);
        if (precision > (int)digits) strcpy(plain, spaced);
    }
    return sl__text(r, plain, strlen(plain), v->content, ret);
}

/* One %… from behind its percent sign; *s is moved behind it. */
static bool conversion(sl__render *r, percent *p, bool safe, const char **s, const char *end, sl__store *to) {
    spec f = {.fill = " ", .fill_len = 1, .width = -1, .precision = -1};
    sl__value v, text;
    bool have = false;
    if (*s < end && **s == '(') {
        const char *close = memchr(*s, ')', (size_t)(end - *s));
        if (p->args->kind != SL__DICT) return sl__raise(r, "format requires a mapping");
        if (!close) return sl__raise(r, "incomplete format key");
        const sl__value *found;
        if (!sl__text(r, *s + 1, (size_t)(close - *s - 1), false, &text) || !sl__dict_get(r, p->args->dict, &text, &found)) return false;
        if (!found) return sl__raise(r, "KeyError: '%.*s'", (int)text.s->len, sl__bytes(text.s));
        v = *found;
        have = p->mapping = true;
        *s = close + 1;
    }
    for (; *s < end && strchr("-+ #0", **s); ++*s) {
        if (**s == '-') f.align = '<';
        else if (**s == '+') f.sign = '+';
        else if (**s == ' ') f.sign = f.sign ? f.sign : ' ';
        else if (**s == '#') f.alternate = true;
        else f.zero = true;
    }
    if (!star_or_number(r, p, s, end, &f.width)) return false;
    if (f.width < -1) f.align = '<', f.width = -f.width;
    if (*s < end && **s == '.') {
        ++*s;
        if (!star_or_number(r, p, s, end, &f.precision)) return false;
        if (f.precision < 0) f.precision = 0;
    }
    while (*s < end && strchr("hlL", **s)) ++*s;
    if (*s == end) return sl__raise(r, "incomplete format");
    f.type = *(*s)++;
    if (f.type == '%') return sl__put(r, to, "%", 1, false);
    if (!have && !next_argument(r, p, &v)) return false;
    if (f.type == 's' || f.type == 'r' || f.type == 'a') {
        sl__store *plain = sl__store_new(r, 0);
        if (!plain || !(f.type == 's' ? sl__put_str(r, plain, &v) : sl__put_repr(r, plain, &v)) || !sl__finish(r, plain, &text)) return false;
        if (safe && !(v.kind == SL__STRING && v.safe) && !sl__escape(r, text.s, &text)) return false;
        int64_t chars = (int64_t)sl__chars(text.s);
        if (f.precision >= 0 && f.precision < chars && !sl__slice_string(r, text.s, 0, 1, f.precision, &text)) return false;
        return put_padded(r, to, &f, &text, f.align ? f.align : '>');
    }
    if (f.type == 'c' && v.kind == SL__STRING && sl__chars(v.s) == 1) return put_padded(r, to, &f, &v, f.align ? f.align : '>');
    if (!strchr("diuoxXeEfFgG", f.type)) return sl__raise(r, "unsupported format character '%c'", f.type);
    if (!percent_number(r, &f, &v, &text)) return false;
    if (f.zero && f.align != '<') f.fill[0] = '0', f.align = '=';
    return put_padded(r, to, &f, &text, f.align ? f.align : '>');
}

bool sl__percent(sl__render *r, const sl__value *format, const sl__value *args, sl__value *ret) {
    sl__store *to = sl__store_new(r, format->s->len);
    percent p = {.args = args};
    if (!to) return false;
    const char *from = sl__bytes(format->s), *s = from, *end = s + format->s->len;
    while (s < end) {
        const char *sign = memchr(s, '%', (size_t)(end - s)), *stop = sign ? sign : end;
        if (!sl__put_part(r, to, format->s, (size_t)(s - from), (size_t)(stop - s)) || !sl__step(r)) return false;
        s = stop;
        if (!sign) break;
        s++;
        if (!conversion(r, &p, format->safe, &s, end, to)) return false;
    }
    bool all = args->kind == SL__TUPLE ? p.next >= args->list->count
                                       : p.next || p.mapping || args->kind == SL__DICT || args->kind == SL__LIST || args->kind == SL__RANGE ||
                                             args->kind == SL__UNDEFINED;
    if (!all) return sl__raise(r, "not all arguments converted during string formatting");
    if (!sl__finish(r, to, ret)) return false;
    ret->safe = format->safe;
    return true;
}

/* numbers.c: numbers as Python reads, rounds and writes them. */
#include "template/internal.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* repr(f): the fewest digits that give the same number back. */
size_t sl__float_text(double f, char ret[32]) {
    if (isnan(f)) return (size_t)sprintf(ret, "nan");
    if (isinf(f)) return (size_t)sprintf(ret, f < 0 ? "-inf" : "inf");
    if (f == 0) return (size_t)sprintf(ret, signbit(f) ? "-0.0" : "0.0");
    char text[40], digits[24];
    for (int precision = 0; precision < 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, f);
        if (strtod(text, NULL) == f) break;
    }
    const char *from = text + (*text == '-');
    int count = 0, exponent = atoi(strchr(text, 'e') + 1);
    for (; *from != 'e'; from++)
        if (*from != '.') digits[count++] = *from;
    char *to = ret;
    if (f < 0) *to++ = '-';
    if (exponent < -4 || exponent >= 16) {
        *to++ = digits[0];
        if (count > 1) to += sprintf(to, ".%.*s", count - 1, digits + 1);
        to += sprintf(to, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
    } else if (exponent < 0) {
        to += sprintf(to, "0.%.*s%.*s", -exponent - 1, "0000", count, digits);
    } else if (count <= exponent + 1) {
        to += sprintf(to, "%.*s%.*s.0", count, digits, exponent + 1 - count, "0000000000000000");
    } else {
        to += sprintf(to, "%.*s.%.*s", exponent + 1, digits, count - exponent - 1, digits + exponent + 1);
    }
    return (size_t)(to - ret);
}

/* text without white space around it. */
static void trim(const char **text, size_t *len) {
    size_t n;
    while (*len && sl__is_space_at(*text, *len, &n)) *text += n, *len -= n;
    for (;;) {
        size_t at = *len;
        if (!at) return;
        do at--;
        while (at && ((unsigned char)(*text)[at] & 0xC0) == 0x80);
        if (!sl__is_space_at(*text + at, *len - at, &n)) return;
        *len = at;
    }
}

static int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return (c | 32) >= 'a' && (c | 32) <= 'z' ? (c | 32) - 'a' + 10 : 99;
}

/* int(text, base). false: it is none, or (*ret_too_large) one beyond 64 bits. */
bool sl__parse_int(const char *text, size_t len, int base, int64_t *ret, bool *ret_too_large) {
    *ret_too_large = false;
    trim(&text, &len);
    bool negative = len && *text == '-';
    if (len && (*text == '-' || *text == '+')) text++, len--;
    char prefix = len > 1 && *text == '0' ? (char)(text[1] | 32) : 0;
    int of_prefix = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 0;
    bool any = base == 0, skipped = of_prefix && (any || base == of_prefix);
    if (skipped) {
        base = of_prefix;
        text += 2;
        len -= 2;
        if (len && *text == '_') text++, len--;
    } else if (any) {
        base = 10;
    }
    bool zeros = any && !skipped && len > 1 && *text == '0'; /* int("010", 0) is an error, int("00", 0) is not */
    uint64_t n = 0;
    bool large = false;
    if (!len) return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '_' && i && i + 1 < len && text[i - 1] != '_') continue;
        int d = digit(text[i]);
        if (d >= base || (zeros && d)) return false;
        large |= __builtin_mul_overflow(n, (uint64_t)base, &n) || __builtin_add_overflow(n, (uint64_t)d, &n);
    }
    if (large || n > (uint64_t)INT64_MAX + negative) return *ret_too_large = true, false;
    *ret = negative ? (int64_t)(0 - n) : (int64_t)n;
    return true;
}

/* float(text) */
bool sl__parse_float(const char *text, size_t len, double *ret) {
    char plain[512];
    size_t n = 0;
    trim(&text, &len);
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '_') {
            if (!i || i + 1 == len || digit(text[i - 1]) > 9 || digit(text[i + 1]) > 9) return false;
            continue;
        }
        bool letter = (c | 32) >= 'a' && (c | 32) <= 'z';
        if (!letter && digit(c) > 9 && c != '.' && c != '+' && c != '-') return false;
        if (n + 1 == sizeof plain) return false;
        plain[n++] = c;
    }
    plain[n] = 0;
    if (!n || strpbrk(plain, "xXpP")) return false; /* hexadecimal floats are C's */
    for (size_t i = 0; i < n; i++)
        if (plain[i] == 'n' || plain[i] == 'N') { /* nan, inf and infinity only */
            const char *word = plain + (*plain == '+' || *plain == '-');
            if (strcasecmp(word, "nan") != 0 && strcasecmp(word, "inf") != 0 && strcasecmp(word, "infinity") != 0) return false;
            break;
        }
    char *end;
    *ret = strtod(plain, &end);
    return *end == 0;
}

/* round(x, digits): to even where the decimal is exactly between two. */
double sl__round_float(double x, int64_t digits) {
    if (!isfinite(x) || digits > 330) return x;
    if (digits < -330) return 0 * x;
    char text[800];
    if (digits >= 0) {
        snprintf(text, sizeof text, "%.*f", (int)digits, x);
        return strtod(text, NULL);
    }
    long double unit = powl(10, (long double)-digits);
    return (double)(rintl((long double)x / unit) * unit);
}

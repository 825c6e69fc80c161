/* What is done to JSON text before jansson reads it: brackets are counted, memory is estimated, and the few things that
 * jansson refuses though they are valid (or though Python writes them) are replaced, byte for byte in the same place:
 *
 *   18446744073709551615      an integer beyond int64       184467440737095516e2    a real, its last digits lost
 *   1e400, 9e308              a real of 1e308 or more       1e308                   which no field's range admits
 *   "\ud800"                  half of a surrogate pair      "\ufffd"
 *   {"\u0000": 1}             NUL in a key                  {"\uffff": 1}           jansson's keys are C strings
 *   NaN                       only in files                 "N"                     a string: no field takes it for a number
 *   Infinity, -Infinity       only in files                 1e308, -1e308
 *
 * Texts that need none of this, nearly all, are not copied. Where text is no JSON at all, what is counted and replaced here
 * may be off, but not before the place where jansson stops. */
#include "base/internal.h"
#include "base/json.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

/* ---- What jansson 2.14 allocates for a value, in bytes of glibc's heap ---- */

#define OBJECT_COST 240 /* the object and its first 8 buckets */
#define ARRAY_COST 128  /* the array and its first 8 slots */
#define NUMBER_COST 32
#define STRING_COST 48  /* beside its bytes */
#define SLOT_COST 24    /* of an array's element: 8 bytes in a table that may be half empty, and in the old table while it grows */
#define BUCKET_COST 48  /* of an object's member: 16 bytes, likewise */
#define PAIR_BYTES 57   /* of a member's entry, beside its name */

/* A block of n bytes as malloc makes it. */
static uint64_t block(uint64_t n) {
    uint64_t size = (n + 8 + 15) & ~UINT64_C(15);
    if (n >= 128 * 1024) size += 4096; /* mapped for itself, in whole pages */
    return size < 32 ? 32 : size;
}

/* ---- Numbers ---- */

typedef enum number { NUMBER_FITS, NUMBER_LONG, NUMBER_HUGE } number;

static bool digit(char c) { return c >= '0' && c <= '9'; }

/* The length of the number at the beginning of text[0 … len), which is a digit or a minus and a digit; and whether jansson
 * can hold it. */
static size_t scan_number(const char *text, size_t len, number *ret) {
    size_t i = text[0] == '-', first = i;
    int64_t digits = 0, exponent = 0, leading = -1; /* leading: the index of the first digit that is not 0 */
    bool real = false, negative = false;
    for (; i < len && digit(text[i]); i++, digits++)
        if (leading < 0 && text[i] != '0') leading = digits;
    if (text[first] == '0' && digits > 1) return i; /* no JSON: jansson says so */
    int64_t before_point = digits;
    if (i + 1 < len && text[i] == '.' && digit(text[i + 1])) {
        real = true;
        for (i++; i < len && digit(text[i]); i++, digits++)
            if (leading < 0 && text[i] != '0') leading = digits;
    }
    if (i + 1 < len && (text[i] == 'e' || text[i] == 'E')) {
        size_t j = i + 1;
        if (text[j] == '-' || text[j] == '+') negative = text[j++] == '-';
        if (j < len && digit(text[j])) {
            real = true;
            for (; j < len && digit(text[j]); j++)
                if (exponent < INT64_C(1) << 50) exponent = exponent * 10 + (text[j] - '0');
            i = j;
        }
    }
    /* With one digit before its point the number is d.ddd times ten to the power of this. */
    int64_t power = before_point - 1 - leading + (negative ? -exponent : exponent);
    if (leading >= 0 && power >= 308) *ret = NUMBER_HUGE;
    else if (!real && digits > 19) *ret = NUMBER_LONG;
    else if (!real && digits == 19 && memcmp(text + first, "9223372036854775807", 19) > 0 &&
             !(first && memcmp(text + first, "9223372036854775808", 19) == 0)) *ret = NUMBER_LONG;
    return i;
}

/* Overwrites a number of `len` bytes that jansson cannot hold with one that it can, and spaces. */
static void replace_number(char *text, size_t len, number kind) {
    size_t sign = text[0] == '-', used;
    char tail[24];
    if (kind == NUMBER_HUGE) {
        memcpy(text + sign, "1e308", 5); /* the shortest number of that size has as many bytes */
        used = sign + 5;
    } else {
        int n = snprintf(tail, sizeof tail, "e%zu", len - sign - 17); /* 17 digits are what a double holds */
        memcpy(text + sign + 17, tail, (size_t)n);
        used = sign + 17 + (size_t)n;
    }
    memset(text + used, ' ', len - used);
}

/* As Python's json writes what JSON has no number for. */
static bool is_number_word(const char *text, size_t len) {
    return (len == 3 && memcmp(text, "NaN", 3) == 0) || (len == 8 && memcmp(text, "Infinity", 8) == 0) ||
           (len == 9 && memcmp(text, "-Infinity", 9) == 0);
}

static void replace_word(char *text, size_t len) {
    if (len == 3) memcpy(text, "\"N\"", 3);
    else replace_number(text, len, NUMBER_HUGE);
}

/* ---- Strings ---- */

/* The code unit of the escape \uXXXX at text, -1 if there is none. */
static int32_t code_unit(const char *text, size_t len) {
    int32_t unit = 0;
    if (len < 6 || text[0] != '\\' || text[1] != 'u') return -1;
    for (int i = 2; i < 6; i++) {
        char c = text[i];
        int32_t x = digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (x < 0) return -1;
        unit = unit * 16 + x;
    }
    return unit;
}

/* The index of the quote that ends the string whose first byte is text[0], or len. Says whether it has a half of a
 * surrogate pair, which is replaced in `out` (if any), and whether it has an escaped NUL. */
static size_t scan_string(const char *text, size_t len, char *out, bool *ret_half, bool *ret_nul) {
    size_t i = 0;
    for (; i < len && text[i] != '"'; i++) {
        if (text[i] != '\\') continue;
        int32_t unit = code_unit(text + i, len - i);
        if (unit < 0) {
            i++;
            continue;
        }
        bool high = unit >= 0xD800 && unit <= 0xDBFF, low = unit >= 0xDC00 && unit <= 0xDFFF;
        int32_t next = high ? code_unit(text + i + 6, len - i - 6) : -1;
        bool pair = next >= 0xDC00 && next <= 0xDFFF;
        if (unit == 0) *ret_nul = true;
        if ((high || low) && !pair) {
            *ret_half = true;
            if (out) memcpy(out + i, "\\ufffd", 6);
        }
        i += pair ? 11 : 5;
    }
    return i < len ? i : len;
}

static void replace_nuls(char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '\\') continue;
        if (code_unit(text + i, len - i) == 0) memcpy(text + i, "\\uffff", 6);
        i++;
    }
}

/* Is the next thing a colon? */
static bool before_colon(const char *text, size_t len) {
    size_t i = 0;
    while (i < len && (text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r')) i++;
    return i < len && text[i] == ':';
}

/* ---- The walk ---- */

typedef struct walk {
    uint64_t cost;
    size_t longest; /* bytes of a token, which jansson gathers in a buffer that doubles */
    int depth;
    bool deep; /* nests deeper than SL_JSON_DEPTH: the walk stopped there */
    bool nul;  /* a NUL outside strings, which jansson passes over after a number */
    bool odd;  /* something has to be replaced, or may have to be */
} walk;

static void longest(walk *w, size_t n) {
    if (n > w->longest) w->longest = n;
}

/* From the byte after the opening quote to the byte after the closing one. */
static size_t walk_string(walk *w, const char *text, size_t len, char *out) {
    bool half = false, nul = false;
    size_t n = scan_string(text, len, out, &half, &nul);
    bool key = n < len && before_colon(text + n + 1, len - n - 1);
    w->cost += block(n + 3) + (key ? block(PAIR_BYTES + n) + BUCKET_COST : STRING_COST);
    w->odd = w->odd || half || (nul && key);
    longest(w, n);
    if (out && nul && key) replace_nuls(out, n);
    return n < len ? n + 1 : len;
}

static size_t walk_number(walk *w, const char *text, size_t len, char *out) {
    number kind = NUMBER_FITS;
    size_t n = scan_number(text, len, &kind);
    w->cost += NUMBER_COST;
    longest(w, n);
    if (kind != NUMBER_FITS) {
        w->odd = true;
        if (out) replace_number(out, n, kind);
    }
    return n;
}

/* true, false, null, and where `allowed`, what Python has beside them; or something that is no JSON. */
static size_t walk_word(walk *w, const char *text, size_t len, bool allowed, char *out) {
    size_t n = text[0] == '-';
    while (n < len && ((text[n] >= 'a' && text[n] <= 'z') || (text[n] >= 'A' && text[n] <= 'Z'))) n++;
    longest(w, n);
    if (!allowed || !is_number_word(text, n) || before_colon(text + n, len - n)) return n;
    w->cost += STRING_COST + block(4);
    w->odd = true;
    if (out) replace_word(out, n);
    return n;
}

/* Does the byte before a number or word belong to it, so that this is not where it begins? "1.Infinity" is nothing. */
static bool joined(const char *text, size_t i) {
    char c = i ? text[i - 1] : ' ';
    return digit(c) || c == '.' || c == '-' || c == '+' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Walks over the text once; with `out`, a copy of it, replaces there what jansson refuses. */
static walk walk_text(const char *text, size_t len, bool python, char *out) {
    walk w = {.cost = 0};
    for (size_t i = 0; i < len;) {
        char c = text[i], *at = out ? out + i : NULL;
        if (c == '"') {
            i += 1 + walk_string(&w, text + i + 1, len - i - 1, at ? at + 1 : NULL);
        } else if (digit(c) || (c == '-' && i + 1 < len && digit(text[i + 1]))) {
            i += walk_number(&w, text + i, len - i, joined(text, i) ? NULL : at);
        } else if (c == '-' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
            i += walk_word(&w, text + i, len - i, python && !joined(text, i), at);
        } else {
            if (c == ',') w.cost += SLOT_COST;
            else if (c == '{') w.cost += OBJECT_COST;
            else if (c == '[') w.cost += ARRAY_COST;
            w.nul = w.nul || c == 0;
            w.depth += (c == '{' || c == '[') - (c == '}' || c == ']');
            if (w.depth > SL_JSON_DEPTH) {
                w.deep = true;
                return w;
            }
            i++;
        }
    }
    w.cost += 3 * block(w.longest + 3);
    w.cost += w.cost / 64 + 512; /* tables that round up to whole pages, and blocks of jansson's own for a moment */
    if (w.odd) w.cost += block(len);
    return w;
}

sl_status sl__json_prepare(sl__json_text *t, bool python) {
    if (t->len >= 3 && memcmp(t->text, "\xEF\xBB\xBF", 3) == 0) t->text += 3, t->len -= 3; /* a byte order mark */
    walk w = walk_text(t->text, t->len, python, NULL);
    t->cost = w.cost;
    t->deep = w.deep;
    t->nul = w.nul;
    t->copy = NULL;
    if (w.deep || !w.odd || w.cost > t->most) return SL_OK;
    t->copy = sl_malloc(t->len);
    if (!t->copy) return SL_NOMEM;
    memcpy(t->copy, t->text, t->len);
    walk_text(t->text, t->len, python, t->copy);
    t->text = t->copy;
    return SL_OK;
}

uint64_t sl_json_cost(const char *text, size_t len) { return walk_text(text, len, true, NULL).cost; }

/* lexer.c: a template's words, as Jinja's lexer cuts them with trim_blocks and lstrip_blocks.
 *
 * Outside of {{ … }} and {% … %} everything is data. A tag that begins with - takes the white space before it, one that ends
 * with - the white space behind it; + keeps it; otherwise the newline right after %} or #} goes, and blanks between the
 * start of a line and {% or {# go. The newline at the very end of the source goes. */
#include "template/tree.h"

#include "base/checked.h"
#include "base/utf8.h"
#include "template/internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    char text[3];
    sl__word word;
} operators[] = { /* longer ones first */
    {"//", SL__W_FLOORDIV}, {"**", SL__W_POW}, {"==", SL__W_EQ}, {"!=", SL__W_NE}, {">=", SL__W_GE}, {"<=", SL__W_LE},
    {"+", SL__W_ADD}, {"-", SL__W_SUB}, {"/", SL__W_DIV}, {"*", SL__W_MUL}, {"%", SL__W_MOD}, {"~", SL__W_TILDE},
    {"[", SL__W_LBRACKET}, {"]", SL__W_RBRACKET}, {"(", SL__W_LPAREN}, {")", SL__W_RPAREN}, {"{", SL__W_LBRACE},
    {"}", SL__W_RBRACE}, {">", SL__W_GT}, {"<", SL__W_LT}, {"=", SL__W_ASSIGN}, {".", SL__W_DOT}, {":", SL__W_COLON},
    {"|", SL__W_PIPE}, {",", SL__W_COMMA}, {";", SL__W_SEMICOLON},
};

bool sl__syntax(sl__parser *p, int line, sl_status code, const char *fmt, ...) {
    char what[360];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    sl_fail(p->error, code, "line %d: %s", line, what);
    return false;
}

bool sl__no_memory(sl__parser *p) { return sl__syntax(p, p->line, SL_NOMEM, "out of memory"); }

const char *sl__word_name(const sl__token *t, char buffer[64]) {
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (operators[i].word == t->word) return operators[i].text;
    switch (t->word) {
    case SL__W_END: return "end of template";
    case SL__W_DATA: return "template text";
    case SL__W_BLOCK_BEGIN: return "{%";
    case SL__W_BLOCK_END: return "%}";
    case SL__W_PRINT_BEGIN: return "{{";
    case SL__W_PRINT_END: return "}}";
    case SL__W_STRING: return "string";
    case SL__W_INT: return "integer";
    case SL__W_FLOAT: return "float";
    default: break;
    }
    snprintf(buffer, 64, "%.*s", t->len < 60 ? (int)t->len : 60, t->text ? t->text : "name");
    return buffer;
}

static size_t space_run(const char *text, size_t len) {
    size_t at = 0, n;
    while (at < len && sl__is_space_at(text + at, len - at, &n)) at += n;
    return at;
}

/* Length of text without the white space at its end. */
static size_t without_space(const char *text, size_t len) {
    while (len) {
        size_t at = len, n;
        do at--;
        while (at && ((unsigned char)text[at] & 0xC0) == 0x80);
        if (!sl__is_space_at(text + at, len - at, &n)) break;
        len = at;
    }
    return len;
}

static void count_lines(sl__parser *p, size_t from, size_t to) {
    for (const char *s = p->text + from, *end = p->text + to; (s = memchr(s, '\n', (size_t)(end - s))); s++) p->line++;
}

/* At `at` of the source "{%" or what else `open` is, a sign, white space, the name, white space, an optional sign and "%}":
 * the length of all that, 0 if it is something else. Signs are given back as '-', '+' or 0. */
static size_t raw_tag(const sl__parser *p, size_t at, const char *name, char *ret_before, char *ret_after) {
    size_t from = at, n = strlen(name);
    if (p->len - at < 2 || memcmp(p->text + at, "{%", 2) != 0) return 0;
    at += 2;
    *ret_before = at < p->len && (p->text[at] == '-' || p->text[at] == '+') ? p->text[at++] : 0;
    at += space_run(p->text + at, p->len - at);
    if (p->len - at < n || memcmp(p->text + at, name, n) != 0) return 0;
    at += n;
    at += space_run(p->text + at, p->len - at);
    *ret_after = at < p->len && (p->text[at] == '-' || (p->text[at] == '+' && strcmp(name, "endraw") == 0)) ? p->text[at++] : 0;
    if (p->len - at < 2 || memcmp(p->text + at, "%}", 2) != 0) return 0;
    return at + 2 - from;
}

/* What follows a tag's end: white space after -, one newline where blocks are trimmed. */
static size_t behind(const sl__parser *p, size_t at, char sign, bool trims) {
    if (sign == '-') return space_run(p->text + at, p->len - at);
    return !sign && trims && at < p->len && p->text[at] == '\n';
}

/* Length of the data before a tag, given the tag's sign; block: its tag is no {{. */
static size_t data_before(const sl__parser *p, size_t from, size_t to, char sign, bool block) {
    const char *text = p->text + from;
    size_t len = to - from;
    if (sign == '-') return without_space(text, len);
    if (sign == '+' || !block) return len;
    const char *newline = len ? memrchr(text, '\n', len) : NULL;
    size_t line = newline ? (size_t)(newline - text) + 1 : 0;
    if (!line && !p->line_starting) return len;
    return line < len && space_run(text + line, len - line) == len - line ? line : len;
}

static void data_token(sl__parser *p, size_t from, size_t len, sl__token *ret) {
    *ret = (sl__token){.word = SL__W_DATA, .line = p->line, .text = p->text + from, .len = len};
}

/* {# … #}, of which `at` is behind the {# and its sign. */
static bool skip_comment(sl__parser *p, size_t at) {
    const char *end = p->len - at >= 2 ? memmem(p->text + at, p->len - at, "#}", 2) : NULL;
    if (!end) return sl__syntax(p, p->line, SL_FORMAT, "missing end of comment tag");
    size_t stop = (size_t)(end - p->text);
    char sign = stop > at && (end[-1] == '-' || end[-1] == '+') ? end[-1] : 0;
    p->at = stop + 2;
    p->at += behind(p, p->at, sign, true);
    return true;
}

/* The text between {% raw %} and {% endraw %}; `at` is behind the former. */
static bool raw_data(sl__parser *p, size_t at, sl__token *ret) {
    char before, after;
    size_t n = 0, end = at;
    for (; end < p->len && !n; end += !n)
        if (p->text[end] == '{') n = raw_tag(p, end, "endraw", &before, &after);
    if (!n) return sl__syntax(p, p->line, SL_FORMAT, "missing end of raw directive");
    data_token(p, at, data_before(p, at, end, before, true), ret);
    p->at = end + n;
    p->at += behind(p, p->at, after, true);
    return true;
}

/* In data: gives the data up to the next tag, and keeps the tag's first word for the next call. */
static bool lex_data(sl__parser *p, sl__token *ret) {
    while (p->at < p->len) {
        size_t from = p->at, at = from;
        for (; at < p->len; at++) {
            const char *brace = memchr(p->text + at, '{', p->len - at);
            at = brace ? (size_t)(brace - p->text) : p->len;
            if (at + 1 < p->len && strchr("{%#", p->text[at + 1])) break;
        }
        if (at >= p->len) { /* the rest */
            data_token(p, from, p->len - from, ret);
            count_lines(p, from, p->len);
            p->at = p->len;
            return true;
        }
        char sign = 0, after = 0, kind = p->text[at + 1];
        size_t raw = kind == '%' ? raw_tag(p, at, "raw", &sign, &after) : 0;
        if (!raw && at + 2 < p->len && (p->text[at + 2] == '-' || p->text[at + 2] == '+')) sign = p->text[at + 2];
        size_t len = data_before(p, from, at, sign, kind != '{');
        data_token(p, from, len, ret);
        count_lines(p, from, at);
        p->line_starting = false;
        size_t behind_tag = at + 2 + (sign != 0);
        size_t lines_from = at;
        if (raw) {
            size_t start = at + raw + behind(p, at + raw, after, false);
            count_lines(p, lines_from, start);
            p->line_starting = p->text[start - 1] == '\n';
            lines_from = start;
            if (!raw_data(p, start, &p->pushed)) return false;
            p->has_pushed = p->pushed.len > 0;
        } else if (kind == '#') {
            if (!skip_comment(p, behind_tag)) return false;
        } else {
            p->at = behind_tag;
            p->state = kind == '%' ? SL__IN_BLOCK : SL__IN_PRINT;
            p->pushed = (sl__token){.word = kind == '%' ? SL__W_BLOCK_BEGIN : SL__W_PRINT_BEGIN, .line = p->line};
            p->has_pushed = true;
        }
        count_lines(p, lines_from, p->at);
        if (raw || kind == '#') p->line_starting = p->text[p->at - 1] == '\n';
        if (ret->len) return true;
        if (p->has_pushed) {
            *ret = p->pushed;
            p->has_pushed = false;
            return true;
        }
    }
    *ret = (sl__token){.word = SL__W_END, .line = p->line};
    return true;
}

/* Decimal digits with single _ between them, from `at`: the length. */
static size_t digits(const sl__parser *p, size_t at, int base) {
    size_t from = at;
    for (; at < p->len; at++) {
        char c = p->text[at];
        if (c == '_' && at > from && at + 1 < p->len) c = p->text[++at];
        int value = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 99;
        if (value >= base) return (p->text[at - (at > from)] == '_' ? at - 1 : at) - from;
    }
    return at - from;
}

/* A float or an int at p->at. */
static bool lex_number(sl__parser *p, sl__token *ret) {
    size_t at = p->at, whole = digits(p, at, 10), end = at + whole;
    bool after_dot = at && p->text[at - 1] == '.', real = false;
    size_t fraction = !after_dot && end < p->len && p->text[end] == '.' ? digits(p, end + 1, 10) : 0;
    if (fraction) end += 1 + fraction, real = true;
    if (!after_dot && end < p->len && (p->text[end] | 32) == 'e') {
        size_t exponent = end + 1;
        if (exponent < p->len && (p->text[exponent] == '+' || p->text[exponent] == '-')) exponent++;
        size_t n = digits(p, exponent, 10);
        if (n) end = exponent + n, real = true;
    }
    int base = 10;
    if (!real) {
        char prefix = p->text[at] == '0' && at + 1 < p->len ? (char)(p->text[at + 1] | 32) : 0;
        base = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 10;
        size_t skip = base == 10 ? 0 : at + 2 < p->len && p->text[at + 2] == '_' ? 3 : 2;
        size_t n = base == 10 ? 0 : digits(p, at + skip, base);
        if (n) {
            end = at + skip + n;
        } else {
            base = 10;
            if (p->text[at] == '0') /* 0, 00, 0_0, but 07 is 0 and then 7 */
                for (end = at + 1; end < p->len && (p->text[end] == '0' || (p->text[end] == '_' && end + 1 < p->len &&
                                                                             p->text[end + 1] == '0'));)
                    end++;
        }
    }
    char text[400];
    size_t n = 0;
    for (size_t i = at + (base == 10 ? 0 : 2); i < end; i++) {
        if (p->text[i] == '_') continue;
        if (n + 1 == sizeof text) return sl__syntax(p, p->line, SL_UNSUPPORTED, "a number of so many digits is not supported");
        text[n++] = p->text[i];
    }
    text[n] = 0;
    *ret = (sl__token){.word = real ? SL__W_FLOAT : SL__W_INT, .line = p->line};
    p->at = end;
    if (real) {
        ret->real = strtod(text, NULL);
        return true;
    }
    errno = 0;
    unsigned long long number = strtoull(text, NULL, base);
    if (errno || number > INT64_MAX)
        return sl__syntax(p, p->line, SL_UNSUPPORTED, "the integer %.40s is beyond 64 bits, which is not supported", text);
    ret->number = (int64_t)number;
    return true;
}

/* Resolves one escape at s[0] = '\\'; n > 1 bytes are there. Returns how many it used, 0: malformed. */
static size_t escape(const char *s, size_t n, char *to, size_t *ret_len) {
    static const char simple[] = "n\nt\tr\rb\bf\fv\va\a\\\\''\"\"";
    char c = s[1];
    *ret_len = 1;
    for (size_t i = 0; i + 1 < sizeof simple; i += 2)
        if (simple[i] == c) return *to = simple[i + 1], 2;
    if (c == '\n') return *ret_len = 0, 2;
    uint32_t point = 0;
    size_t used = 2;
    if (c >= '0' && c <= '7') {
        for (used = 1; used < 4 && used < n && s[used] >= '0' && s[used] <= '7'; used++) point = point * 8 + (uint32_t)(s[used] - '0');
        return *ret_len = sl__utf8(point, to), used;
    }
    size_t want = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (want) {
        if (n < 2 + want) return 0;
        for (; used < 2 + want; used++) {
            int d = s[used] >= '0' && s[used] <= '9'                 ? s[used] - '0'
                    : (s[used] | 32) >= 'a' && (s[used] | 32) <= 'f' ? (s[used] | 32) - 'a' + 10
                                                                     : -1;
            if (d < 0) return 0;
            point = point << 4 | (uint32_t)d;
        }
        if (point > 0x10FFFF) return 0;
        if (point >= 0xD800 && point < 0xE000) point = 0xFFFD; /* no character of UTF-8 */
        return *ret_len = sl__utf8(point, to), used;
    }
    if ((unsigned char)c < 0x80) { /* an unknown escape stays as it is */
        to[0] = '\\';
        to[1] = c;
        return *ret_len = 2, 2;
    }
    size_t len; /* Python writes the character out as ASCII first, which leaves "\xe9" behind the backslash */
    point = sl__point(s + 1, n - 1, &len);
    *ret_len = (size_t)sprintf(to, point < 0x100 ? "\\x%02x" : point < 0x10000 ? "\\u%04x" : "\\U%08x", point);
    return 1 + len;
}

static bool lex_string(sl__parser *p, sl__token *ret) {
    char quote = p->text[p->at];
    size_t from = p->at + 1, end = from;
    while (end < p->len && p->text[end] != quote) end += p->text[end] == '\\' ? 2 : 1;
    if (end >= p->len) return sl__syntax(p, p->line, SL_FORMAT, "unexpected char %c: the string does not end", quote);
    char *to = sl_arena_alloc(p->arena, SL_MEM_VOCABULARY, (end - from) * 5 + 16);
    if (!to) return sl__no_memory(p);
    size_t n = 0;
    for (size_t i = from; i < end;) {
        if (p->text[i] != '\\') {
            to[n++] = p->text[i++];
            continue;
        }
        if (p->text[i + 1] == 'N') return sl__syntax(p, p->line, SL_UNSUPPORTED, "the escape \\N{…} is not supported");
        size_t len, used = escape(p->text + i, end - i, to + n, &len);
        if (!used) return sl__syntax(p, p->line, SL_FORMAT, "a string has a truncated or illegal escape");
        n += len;
        i += used;
    }
    *ret = (sl__token){.word = SL__W_STRING, .line = p->line, .text = to, .len = n};
    count_lines(p, from, end);
    p->at = end + 1;
    return true;
}

static bool lex_operator(sl__parser *p, sl__token *ret) {
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        size_t n = strlen(operators[i].text);
        if (p->len - p->at < n || memcmp(p->text + p->at, operators[i].text, n) != 0) continue;
        char c = operators[i].text[0];
        if (n == 1 && strchr("{[(", c)) {
            if (p->opened == SL__TREE_DEPTH) return sl__syntax(p, p->line, SL_TOO_MUCH, "brackets nest deeper than %d", SL__TREE_DEPTH);
            p->open[p->opened++] = c == '(' ? ')' : c == '[' ? ']' : '}';
        } else if (n == 1 && strchr("}])", c)) {
            if (!p->opened) return sl__syntax(p, p->line, SL_FORMAT, "unexpected '%c'", c);
            char expected = p->open[--p->opened];
            if (expected != c) return sl__syntax(p, p->line, SL_FORMAT, "unexpected '%c', expected '%c'", c, expected);
        }
        *ret = (sl__token){.word = operators[i].word, .line = p->line};
        p->at += n;
        return true;
    }
    size_t n;
    sl__point(p->text + p->at, p->len - p->at, &n);
    return sl__syntax(p, p->line, SL_FORMAT, "unexpected char '%.*s'", (int)n, p->text + p->at);
}

/* The end of a tag at p->at: the length with its sign, 0 if it is none. */
static size_t tag_end(const sl__parser *p, char *ret_sign) {
    const char *s = p->text + p->at, *end = p->state == SL__IN_BLOCK ? "%}" : "}}";
    size_t left = p->len - p->at;
    *ret_sign = left > 2 && (s[0] == '-' || (s[0] == '+' && p->state == SL__IN_BLOCK)) ? s[0] : 0;
    size_t skip = *ret_sign != 0;
    return left >= skip + 2 && memcmp(s + skip, end, 2) == 0 ? skip + 2 : 0;
}

static size_t name_length(const char *text, size_t len) {
    size_t at = 0, n;
    for (; at < len; at += n) {
        uint32_t point = sl__point(text + at, len - at, &n);
        if (!sl__in_class(point, at ? SL__WORD_PART : SL__WORD_START)) break;
    }
    return at;
}

bool sl__lex(sl__parser *p, sl__token *ret) {
    if (p->has_pushed) {
        *ret = p->pushed;
        p->has_pushed = false;
        return true;
    }
    if (p->state == SL__IN_DATA) return lex_data(p, ret);
    for (;;) {
        char sign;
        size_t n = p->opened ? 0 : tag_end(p, &sign);
        if (n) {
            bool block = p->state == SL__IN_BLOCK;
            *ret = (sl__token){.word = block ? SL__W_BLOCK_END : SL__W_PRINT_END, .line = p->line};
            size_t from = p->at;
            p->at += n;
            p->at += behind(p, p->at, sign, block);
            count_lines(p, from, p->at);
            p->line_starting = p->text[p->at - 1] == '\n';
            p->state = SL__IN_DATA;
            return true;
        }
        size_t blank = space_run(p->text + p->at, p->len - p->at);
        if (!blank) break;
        count_lines(p, p->at, p->at + blank);
        p->at += blank;
    }
    if (p->at >= p->len) {
        *ret = (sl__token){.word = SL__W_END, .line = p->line};
        return true;
    }
    char c = p->text[p->at];
    if (c >= '0' && c <= '9') return lex_number(p, ret);
    size_t n = name_length(p->text + p->at, p->len - p->at);
    if (n) {
        *ret = (sl__token){.word = SL__W_NAME, .line = p->line, .text = p->text + p->at, .len = n};
        p->at += n;
        return true;
    }
    return c == '\'' || c == '"' ? lex_string(p, ret) : lex_operator(p, ret);
}

bool sl__advance(sl__parser *p) {
    if (p->has_next) {
        p->now = p->next;
        p->has_next = false;
        return true;
    }
    return sl__lex(p, &p->now);
}

bool sl__peek(sl__parser *p, sl__token *ret) {
    if (!p->has_next && !sl__lex(p, &p->next)) return false;
    p->has_next = true;
    *ret = p->next;
    return true;
}

bool sl__is_name(const sl__token *t, const char *name) {
    return t->word == SL__W_NAME && t->len == strlen(name) && memcmp(t->text, name, t->len) == 0;
}

bool sl__expect(sl__parser *p, sl__word word) {
    if (p->now.word == word) return sl__advance(p);
    char got[64], wanted[64];
    return sl__syntax(p, p->now.line, SL_FORMAT, "expected '%s', got '%s'", sl__word_name(&(sl__token){.word = word}, wanted),
                      sl__word_name(&p->now, got));
}

sl__node *sl__node_new(sl__parser *p, sl__node_kind kind, int line) {
    sl__node *n = sl_arena_alloc(p->arena, SL_MEM_VOCABULARY, sizeof *n);
    if (!n) return sl__no_memory(p), NULL;
    n->kind = kind;
    n->line = line;
    return n;
}

bool sl__nodes_add(sl__parser *p, sl__nodes *list, sl__node *n) {
    if ((list->count & (list->count - 1)) == 0) { /* 0, 1, 2, 4, 8 …: full */
        sl__node **at = sl_arena_array(p->arena, SL_MEM_VOCABULARY, list->count ? list->count * 2 : 1, sizeof *at);
        if (!at) return sl__no_memory(p);
        if (list->count) memcpy(at, list->at, list->count * sizeof *at);
        list->at = at;
    }
    list->at[list->count++] = n;
    return true;
}

bool sl__deeper(sl__parser *p) {
    if (p->depth == SL__TREE_DEPTH)
        return sl__syntax(p, p->now.line, SL_TOO_MUCH, "the template nests deeper than %d", SL__TREE_DEPTH);
    p->depth++;
    return true;
}

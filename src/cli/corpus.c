#include "cli/corpus.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE ((size_t)256 << 10)     /* bytes that are tokenised at once */
#define MOST_TOKENS INT64_C(2147483647)

typedef struct reading {
    const sl_tokenizer *t;
    sl_corpus *c;
    uint64_t most;
    bool (*go_on)(void);
    bool stdin_taken;
    char *piece; /* [PIECE] */
} reading;

/* A text's own name: the last part of its path, without .txt. */
static const char *name_of(sl_corpus *c, const char *path) {
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/') len--;
    size_t from = len;
    while (from > 0 && path[from - 1] != '/') from--;
    if (!strcmp(path, "-")) return "stdin";
    const char *name = path + from;
    size_t n = len - from;
    if (n > 4 && !memcmp(name + n - 4, ".txt", 4)) n -= 4;
    if (!n || (name[0] == '.' && (n == 1 || (n == 2 && name[1] == '.')))) name = path, n = strlen(path);
    return sl_arena_copy(c->arena, SL_MEM_OTHER, name, n);
}

static sl_domain *domain_called(sl_corpus *c, const char *name) {
    for (int i = 0; i < c->domains; i++)
        if (!strcmp(c->domain[i].name, name)) return &c->domain[i];
    return NULL;
}

/* Where the text of a full piece may be cut: after the last end of a line whose next line begins with more than blanks, so that
 * the two parts' tokens are those of the whole; else after a blank, else between two characters. */
static size_t cut_of(const char *text, size_t len) {
    for (size_t i = len - 1; i > len / 2; i--)
        if (text[i - 1] == '\n' && !strchr(" \t\r\n", text[i])) return i;
    for (size_t i = len - 1; i > len / 2; i--)
        if (text[i] == ' ' && text[i - 1] != ' ') return i;
    size_t i = len;
    while (i > len - 4 && ((unsigned char)text[i - 1] & 0xc0) == 0x80) i--; /* continuation bytes, then what they continue */
    return i > 1 && (unsigned char)text[i - 1] >= 0xc0 ? i - 1 : len;
}

static size_t ill_formed(const char *text, size_t len) {
    size_t bad = 0;
    if (sl_utf8_valid(text, len)) return 0;
    for (size_t i = 0; i < len;) {
        int n;
        if (sl_utf8_next(text + i, len - i, &n) != SL_UTF8_GOOD) bad += (size_t)n;
        i += (size_t)n;
    }
    return bad;
}

/* Is it binary? A NUL in 64 bytes is too many to tell documents apart, and so is one in 256 of the other controls that texts do not have. */
static bool is_binary(const char *text, size_t len, size_t *ret_first) {
    size_t nul = 0, other = 0;
    for (size_t i = len; i-- > 0;) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 || (c >= '\b' && c <= '\r') || c == 0x1b) continue;
        *(c ? &other : &nul) += 1;
        *ret_first = i;
    }
    return nul * 64 > len || other * 256 > len;
}

static sl_status check_piece(const char *path, const char *text, size_t len, size_t at, sl_error *e) {
    size_t first = 0;
    bool utf16 = len > 1 && !at && (!memcmp(text, "\xff\xfe", 2) || !memcmp(text, "\xfe\xff", 2));
    if (utf16) return sl_fail(e, SL_FORMAT, "%s: UTF-16; texts have to be UTF-8", path);
    if (is_binary(text, len, &first))
        return sl_fail(e, SL_FORMAT, "%s: binary, no text: byte %zu is 0x%02x", path, at + first, (unsigned char)text[first]);
    size_t bad = ill_formed(text, len);
    if (bad * 10 > len)
        return sl_fail(e, SL_FORMAT, "%s: no text in UTF-8: %zu of the %zu bytes from byte %zu on belong to no character", path, bad, len, at);
    return SL_OK;
}

/* The ids so far are a document; nothing if there are none since the last one. */
static sl_status end_document(sl_domain *d, sl_error *e) {
    if (d->ids.count == (d->documents ? d->end[d->documents - 1] : 0)) return SL_OK;
    if (d->documents == d->end_cap) {
        size_t cap = d->end_cap ? 2 * d->end_cap : 16;
        size_t *end = sl_realloc(d->end, cap, sizeof *end);
        if (!end) return sl_fail(e, SL_NOMEM, "out of memory");
        d->end = end;
        d->end_cap = cap;
    }
    d->end[d->documents++] = d->ids.count;
    return SL_OK;
}

/* Tokenises a piece, document by document, and keeps what the cap lets in. */
static sl_status take_piece(reading *r, sl_domain *d, const char *path, const char *text, size_t len, sl_error *e) {
    for (size_t i = 0; i < len;) {
        const char *nul = memchr(text + i, 0, len - i);
        size_t n = nul ? (size_t)(nul - text) - i : len - i;
        sl_status st = n ? sl_tokenizer_encode(r->t, text + i, n, SL_CONTENT, false, n * 4 + 16, &d->ids, e) : SL_OK;
        if (st) return sl_error_prefix(e, "%s", path);
        if (r->most && d->ids.count > r->most) d->more = true, d->ids.count = (size_t)r->most;
        if (nul && (st = end_document(d, e))) return st;
        if (d->more) break;
        i += n + (nul ? 1 : 0);
    }
    return SL_OK;
}

static sl_status fill(int fd, const char *path, char *to, size_t *len, bool *ended, sl_error *e) {
    while (*len < PIECE && !*ended) {
        ssize_t n = read(fd, to + *len, PIECE - *len);
        if (n < 0 && errno != EINTR) return sl_fail(e, SL_IO, "%s: %s", path, strerror(errno));
        if (n == 0) *ended = true;
        if (n > 0) *len += (size_t)n;
    }
    return SL_OK;
}

static sl_status read_text(reading *r, sl_domain *d, int fd, const char *path, sl_error *e) {
    size_t len = 0, at = 0, bad = 0, before = d->ids.count;
    bool ended = false;
    for (;;) {
        if (!r->go_on()) return sl_fail(e, SL_CANCELLED, "interrupted");
        sl_status st = fill(fd, path, r->piece, &len, &ended, e);
        if (st) return st;
        if (!len) break;
        if (r->most && d->ids.count >= r->most) {
            d->more = true;
            break;
        }
        size_t cut = ended ? len : cut_of(r->piece, len), skip = !at && len >= 3 && !memcmp(r->piece, "\xef\xbb\xbf", 3) ? 3 : 0;
        if ((st = check_piece(path, r->piece, cut, at, e)) || (st = take_piece(r, d, path, r->piece + skip, cut - skip, e))) return st;
        bad += ill_formed(r->piece, cut);
        memmove(r->piece, r->piece + cut, len - cut);
        len -= cut;
        at += cut;
    }
    if (!at && d->more) return SL_OK; /* the cap was reached before this file */
    if (!at) return sl_fail(e, SL_FORMAT, "%s: empty", path);
    if (d->ids.count == before) return sl_fail(e, SL_FORMAT, "%s: gives no tokens", path);
    if (bad) sl_notes_add(&r->c->notes, "%s: %zu bytes are no UTF-8 and were read as U+FFFD", path, bad);
    return SL_OK;
}

static sl_status read_file(reading *r, sl_domain *d, const char *path, sl_error *e) {
    size_t before = d->ids.count, documents = d->documents;
    if (r->most && before >= r->most) {
        d->more = true;
        return SL_OK;
    }
    const char **file = sl_realloc(d->file, (size_t)d->files + 1, sizeof *file);
    const char *copy = sl_arena_copy(r->c->arena, SL_MEM_OTHER, path, strlen(path));
    if (file) d->file = file;
    if (!file || !copy) return sl_fail(e, SL_NOMEM, "out of memory");
    int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    if (fd < 0) return sl_fail(e, SL_IO, "%s: %s", path, strerror(errno));
    sl_status st = read_text(r, d, fd, path, e);
    if (fd != STDIN_FILENO) close(fd);
    if (!st) st = end_document(d, e);
    if (st) d->ids.count = before, d->documents = documents; /* a file counts whole or not at all */
    else if (d->ids.count > before) d->file[d->files++] = copy;
    return st;
}

static int by_name(const FTSENT **a, const FTSENT **b) { return strcmp((*a)->fts_name, (*b)->fts_name); }

/* The regular files of a folder, in the order of their names; what is no text is passed over with a note. */
static sl_status read_folder(reading *r, sl_domain *d, const char *path, sl_error *e) {
    size_t before = d->ids.count;
    char *const roots[] = {(char *)(uintptr_t)path, NULL};
    FTS *walk = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_name);
    if (!walk) return sl_fail(e, SL_IO, "%s: %s", path, strerror(errno));
    sl_status st = SL_OK;
    for (FTSENT *f; !st && (f = fts_read(walk));) {
        if (f->fts_level > 0 && f->fts_name[0] == '.') {
            fts_set(walk, f, FTS_SKIP);
        } else if (f->fts_info == FTS_F) {
            st = read_file(r, d, f->fts_accpath, e);
            if (st && st != SL_CANCELLED && st != SL_NOMEM) {
                sl_notes_add(&r->c->notes, "passed over: %s", e->message);
                st = SL_OK;
            }
        } else if (f->fts_info == FTS_DNR || f->fts_info == FTS_ERR || f->fts_info == FTS_NS) {
            sl_notes_add(&r->c->notes, "passed over: %s: %s", f->fts_path, strerror(f->fts_errno));
        }
    }
    fts_close(walk);
    if (!st && d->ids.count == before && !d->more) return sl_fail(e, SL_FORMAT, "%s: no text in any file of this folder", path);
    return st;
}

/* The domain of an argument: the one that has its name already, or a new one. */
static sl_domain *domain_for(sl_corpus *c, const char *name, bool named, const char *path, sl_error *e) {
    sl_domain *d = domain_called(c, name);
    if (d && !named && !d->named && strcmp(d->argument, path)) { /* two files of one name */
        d->name = d->argument;
        name = path;
        d = domain_called(c, name);
    }
    if (d && !named) {
        sl_fail(e, SL_MISUSE, "%s: there is a domain of this name already; call one of them by NAME=%s", name, path);
        return NULL;
    }
    if (d) return d;
    if (c->domains == SL_CORPUS_DOMAINS) {
        sl_fail(e, SL_TOO_MUCH, "%s: more than %d domains; put the files of one domain into a folder, or give them the same NAME=", path,
                SL_CORPUS_DOMAINS);
        return NULL;
    }
    d = &c->domain[c->domains++];
    *d = (sl_domain){.name = name, .named = named, .argument = path};
    return d;
}

static sl_status read_argument(reading *r, const char *argument, sl_error *e) {
    struct stat st;
    const char *path = argument, *equals = strchr(argument, '='), *name = NULL;
    bool there = !strcmp(argument, "-") || stat(argument, &st) == 0;
    if (!there && equals) {
        if (equals == argument) return sl_fail(e, SL_MISUSE, "%s: no name before the =", argument);
        path = equals + 1;
        name = sl_arena_copy(r->c->arena, SL_MEM_OTHER, argument, (size_t)(equals - argument));
        there = !strcmp(path, "-") || stat(path, &st) == 0;
    } else {
        name = name_of(r->c, path);
    }
    if (!name) return sl_fail(e, SL_NOMEM, "out of memory");
    if (!there) return sl_fail(e, SL_IO, "%s: %s", path, path[0] ? strerror(errno) : "no path after the =");
    if (!strcmp(path, "-") && r->stdin_taken) return sl_fail(e, SL_MISUSE, "-: standard input can be read once only");
    r->stdin_taken |= !strcmp(path, "-");
    sl_domain *d = domain_for(r->c, name, path != argument, path, e);
    if (!d) return e->code;
    if (strcmp(path, "-")) return S_ISDIR(st.st_mode) ? read_folder(r, d, path, e) : read_file(r, d, path, e);
    return read_file(r, d, path, e);
}

sl_status sl_corpus_read(const char *const *arguments, int count, const sl_tokenizer *t, uint64_t most, bool (*go_on)(void),
                         sl_corpus **ret, sl_error *e) {
    reading r = {.t = t, .most = most, .go_on = go_on, .c = sl_calloc(1, sizeof *r.c), .piece = sl_malloc(PIECE)};
    sl_status st = SL_OK;
    if (!r.c || !r.piece || !(r.c->arena = sl_arena_new())) st = sl_fail(e, SL_NOMEM, "out of memory");
    for (int i = 0; i < count && !st; i++) st = read_argument(&r, arguments[i], e);
    for (int i = 0; !st && i < r.c->domains; i++) r.c->tokens += r.c->domain[i].ids.count;
    if (!st && r.c->tokens > (uint64_t)MOST_TOKENS)
        st = sl_fail(e, SL_TOO_MUCH, "%llu tokens are more than can be counted (%lld): lower --tokens", (unsigned long long)r.c->tokens,
                     (long long)MOST_TOKENS);
    sl_free(r.piece);
    if (st) sl_corpus_free(r.c);
    else *ret = r.c;
    return st;
}

sl_corpus *sl_corpus_free(sl_corpus *c) {
    if (!c) return NULL;
    for (int i = 0; i < c->domains; i++) {
        sl_free(c->domain[i].file);
        sl_free(c->domain[i].end);
        sl_free(c->domain[i].ids.id);
    }
    sl_arena_free(c->arena);
    sl_free(c);
    return NULL;
}

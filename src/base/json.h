/* json.h: typed getters over jansson whose errors name the field's path ("config.json: rope_scaling.factor: …").
 * Any thread; a cursor is a value that points into a document and must not outlive it.
 *
 * Invariants
 *   1. Depth is at most SL_JSON_DEPTH (checked before jansson parses: no recursion follows input further than that).
 *   2. Every number that JSON can spell is readable, however large; only a getter that wants a number complains, by name,
 *      that it is too large. Half of a surrogate pair ("\ud83d", which Python and JavaScript send when they cut a text in
 *      two) is U+FFFD; U+0000 in a member's name is U+FFFF, since names are C strings here; a byte order mark is skipped.
 *   3. Trailing bytes and bad UTF-8 are errors. So are a member's name that occurs twice and NaN or Infinity, but for
 *      files that Python wrote (sl_json_parse_python): there the last of two members counts, as it does for Python.
 *   4. null is the same as absent for every optional getter. Booleans and strings are never numbers. An integral
 *      real (16.0, 1e3) is accepted where an integer is wanted. */
#ifndef SL_BASE_JSON_H
#define SL_BASE_JSON_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SL_JSON_DEPTH 64

typedef struct sl_json {
    json_t *v;                    /* borrowed; NULL: absent */
    const struct sl_json *parent; /* NULL at the top; must outlive this cursor */
    const char *key;              /* member name, or NULL */
    size_t index;                 /* array index when key is NULL */
    const char *origin;           /* at the top: a file's path, or "" for a request body */
} sl_json;

/* Parses and fills the top cursor; ret->v is owned by the caller: json_decref(ret->v). */
sl_status sl_json_parse(const char *text, size_t len, const char *origin, sl_json *ret, sl_error *e);
/* The same for what Python's json reads and writes, where that is more than JSON: a model's config.json and its like.
 * Infinity is a number that is too large for every getter, NaN is none. */
sl_status sl_json_parse_python(const char *text, size_t len, const char *origin, sl_json *ret, sl_error *e);
/* As sl_json_parse; SL_TOO_LONG ("too many values …") before anything is allocated if sl_json_cost() is above `most`. */
sl_status sl_json_parse_within(const char *text, size_t len, const char *origin, uint64_t most, sl_json *ret, sl_error *e);

/* An upper bound of the heap that parsing this text takes, in bytes with malloc's own, while it is parsed and as a document:
 * 10 to 130 bytes for a byte of text. Walks over the text once. */
uint64_t sl_json_cost(const char *text, size_t len);

bool sl_json_get(const sl_json *obj, const char *key, sl_json *ret); /* false: absent, null, or obj is no object; ret->v is NULL then */
bool sl_json_at(const sl_json *array, size_t i, sl_json *ret); /* false: beyond the end, or no array; null is a value here */
size_t sl_json_size(const sl_json *array_or_object);

/* Errors are SL_INVALID (origin "") or SL_FORMAT (a file), with the path; param is the first path component. */
sl_status sl_json_fail(const sl_json *at, sl_error *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The value must be there and of the type. */
sl_status sl_json_int(const sl_json *at, int64_t lo, int64_t hi, int64_t *ret, sl_error *e);
sl_status sl_json_float(const sl_json *at, double lo, double hi, double *ret, sl_error *e);
sl_status sl_json_bool(const sl_json *at, bool *ret, sl_error *e);
/* Without ret_len a string that contains U+0000 is an error: it would look shorter than it is. */
sl_status sl_json_string(const sl_json *at, const char **ret, size_t *ret_len, sl_error *e);
sl_status sl_json_array(const sl_json *at, size_t max, sl_error *e);
sl_status sl_json_object(const sl_json *at, sl_error *e);

/* Optional members: absent or null leaves *ret as it is and is SL_OK. */
sl_status sl_json_opt_int(const sl_json *obj, const char *key, int64_t lo, int64_t hi, int64_t *ret, sl_error *e);
sl_status sl_json_opt_float(const sl_json *obj, const char *key, double lo, double hi, double *ret, sl_error *e);
sl_status sl_json_opt_bool(const sl_json *obj, const char *key, bool *ret, sl_error *e);
sl_status sl_json_opt_string(const sl_json *obj, const char *key, const char **ret, size_t *ret_len, sl_error *e);

#endif

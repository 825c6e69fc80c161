/* JSON text, repaired for jansson. What jansson reads of the text as it is, is read, and as the same value; and reading takes no more
 * memory than was said before. */
#include "base/json.h"

#include "must.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- jansson's memory, as glibc's malloc would lay it out ---- */

static uint64_t now, most;

static uint64_t block(size_t n) {
    uint64_t size = (n + 8 + 15) & ~UINT64_C(15);
    if (n >= 128 * 1024) size += 4096;
    return size < 32 ? 32 : size;
}

static void *take(size_t n) {
    size_t *p = malloc(n + 16);
    if (!p) return NULL;
    *p = n;
    now += block(n);
    if (now > most) most = now;
    return p + 2;
}

static void give(void *p) {
    if (!p) return;
    size_t *whole = (size_t *)p - 2;
    now -= block(*whole);
    free(whole);
}

/* ---- the same value? ---- */

/* Reals of 1e308 and more are 1e308; depth is at most SL_JSON_DEPTH. */
static bool same(const json_t *a, const json_t *b) {
    if (json_typeof(a) != json_typeof(b)) return json_is_number(a) && json_is_real(b) && fabs(json_number_value(b)) >= 1e308;
    if (json_is_real(a)) {
        double x = json_real_value(a), y = json_real_value(b);
        return x == y || (fabs(x) >= 1e308 && fabs(y) >= 1e308 && (x < 0) == (y < 0));
    }
    if (json_is_array(a)) {
        if (json_array_size(a) != json_array_size(b)) return false;
        for (size_t i = 0; i < json_array_size(a); i++)
            if (!same(json_array_get(a, i), json_array_get(b, i))) return false;
        return true;
    }
    if (!json_is_object(a)) return json_equal(a, b);
    const char *key;
    json_t *value;
    if (json_object_size(a) != json_object_size(b)) return false;
    json_object_foreach((json_t *)(uintptr_t)a, key, value) {
        const json_t *other = json_object_get(b, key);
        if (!other || !same(value, other)) return false;
    }
    return true;
}

static void parse(const char *text, size_t size, bool python) {
    sl_json top = {0};
    sl_error e = {0};
    json_error_t wrong;
    bool nul = memchr(text, 0, size) != NULL;
    json_t *raw = nul ? NULL : json_loadb(text, size, (python ? 0 : JSON_REJECT_DUPLICATES) | JSON_ALLOW_NUL, &wrong);
    now = most = 0;
    sl_status st = python ? sl_json_parse_python(text, size, "f", &top, &e) : sl_json_parse(text, size, "f", &top, &e);
    must(most <= sl_json_cost(text, size));
    must((st == SL_OK) == (top.v != NULL) && (st == SL_OK || e.message[0]));
    if (raw && !(st != SL_OK && strstr(e.message, "nests deeper"))) must(st == SL_OK && same(raw, top.v));
    if (top.v) json_decref(top.v);
    now += UINT32_MAX; /* raw's blocks were counted before */
    if (raw) json_decref(raw);
    if (!python && sl_json_parse_within(text, size, "", sl_json_cost(text, size), &top, &e) == SL_OK) json_decref(top.v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_set_alloc_funcs(take, give);
    parse((const char *)data, size, false);
    parse((const char *)data, size, true);
    return 0;
}

/* How much each column of a matrix matters: the mean square of what it is multiplied by, over some text. In the two forms in
 * which llama-imatrix writes it:
 *
 *   GGUF    general.type "imatrix"; for each matrix NAME.in_sum2 [matrices][cols], the sums of squares, and NAME.counts
 *           [matrices][1], how many rows went in; of stacked experts each has a count of its own
 *   legacy  i32 entries; each: i32 length, name, i32 calls, i32 values, floats (the mean squares times the calls); then the
 *           number of chunks and the text's name, which may be missing. Experts that no row went to have zeros.
 *
 * An expert that no row went to has nothing to say about its columns: they count alike. One that few rows went to says
 * little, which is noted. */
#include "convert/internal.h"

#include "base/alloc.h"
#include "base/map.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MOST_ENTRIES (1 << 20)

struct sl__imatrix {
    sl_model *gguf; /* keeps the mapping; NULL: legacy */
    sl_map map;
    const char *path;
    sl__imatrix_entry *entry;
    int entries;
    uint32_t chunks;
    const char *dataset; /* "" if it is not said */
    float *values;       /* of the tensor that was asked for last; room for the largest */
};

static float float_at(const uint8_t *p, uint64_t i) {
    float x;
    memcpy(&x, p + i * sizeof x, sizeof x);
    return x;
}

static const sl__imatrix_entry *find(const sl__imatrix *x, const char *name) {
    size_t len = strlen(name);
    for (int i = 0; i < x->entries; i++)
        if (x->entry[i].len == len && memcmp(x->entry[i].name, name, len) == 0) return &x->entry[i];
    return NULL;
}

/* ---- What it says ---- */

const sl__imatrix_entry *sl__imatrix_find(const sl__imatrix *x, const sl__out *o) {
    const sl__imatrix_entry *n = find(x, o->name);
    bool fits = n && n->values == (uint64_t)o->slices * (uint64_t)o->slice->cols && (!n->counts || n->matrices == (uint64_t)o->slices);
    return fits ? n : NULL;
}

float sl__imatrix_sum(const sl__imatrix_entry *n, size_t i) { return float_at(n->sums, i); }

double sl__imatrix_rows(const sl__imatrix_entry *n, int slice, int window) {
    return n->counts ? (double)float_at(n->counts, (uint64_t)slice) : (double)n->calls * window;
}

uint32_t sl__imatrix_chunks(const sl__imatrix *x) { return x->chunks; }

/* Name i of the GGUF form's array of strings. */
static const char *listed_dataset(const sl__imatrix *x, int i, sl_arena *arena) {
    enum { ARRAY = 9, STRING = 8 };
    static const char key[] = "imatrix.datasets";
    sl_key_entry k;
    for (int n = 0; sl_model_key(x->gguf, n, &k); n++) {
        uint32_t kind[2];
        uint64_t count, len;
        size_t at = sizeof kind + sizeof count;
        if (k.key_len != sizeof key - 1 || memcmp(k.key, key, sizeof key - 1) != 0 || k.size < at) continue;
        memcpy(kind, k.bytes, sizeof kind);
        memcpy(&count, k.bytes + sizeof kind, sizeof count);
        if (kind[0] != ARRAY || kind[1] != STRING || (uint64_t)i >= count) return NULL;
        for (int j = 0; at + sizeof len <= k.size; j++) {
            memcpy(&len, k.bytes + at, sizeof len);
            at += sizeof len;
            if (len > k.size - at) return NULL;
            if (j == i) return sl_arena_copy(arena, SL_MEM_METADATA, (const char *)k.bytes + at, (size_t)len);
            at += (size_t)len;
        }
    }
    return NULL;
}

const char *sl__imatrix_dataset(const sl__imatrix *x, int i, sl_arena *arena) {
    if (x->gguf) return listed_dataset(x, i, arena);
    return i == 0 && x->dataset[0] ? x->dataset : NULL;
}

/* ---- Reading ---- */

static const char *without(const char *name, const char *suffix, size_t *ret_len) {
    size_t n = strlen(name), m = strlen(suffix);
    *ret_len = n - (n > m ? m : 0);
    return n > m && strcmp(name + n - m, suffix) == 0 ? name : NULL;
}

static sl_status read_gguf(sl__imatrix *x, sl_arena *arena, sl_error *e) {
    sl_tensor_entry t, other;
    sl_key_entry k;
    size_t len, other_len;
    int count = 0;
    while (sl_model_tensor(x->gguf, count, &t)) count++;
    x->entry = sl_arena_array(arena, SL_MEM_METADATA, (size_t)count + 1, sizeof *x->entry);
    if (!x->entry) return sl_fail(e, SL_NOMEM, "out of memory for %s", x->path);
    for (int i = 0; sl_model_tensor(x->gguf, i, &t); i++) {
        const char *name = without(t.name, ".in_sum2", &len);
        if (!name) continue;
        sl__imatrix_entry n = {.name = name, .len = len, .sums = t.data, .values = t.bytes / sizeof(float)};
        /* Its counts stand beside it: names are in order of the alphabet, as llama-imatrix writes them. */
        for (int j = i ? i - 1 : 0; !n.counts && j <= i + 1 && sl_model_tensor(x->gguf, j, &other); j++)
            if (without(other.name, ".counts", &other_len) && other_len == len && memcmp(other.name, name, len) == 0 &&
                strcmp(other.type, "F32") == 0) {
                n.counts = other.data;
                n.matrices = other.bytes / sizeof(float);
            }
        if (strcmp(t.type, "F32") != 0 || !n.counts || !n.matrices || n.values % n.matrices)
            return sl_fail(e, SL_FORMAT, "%s: tensor \"%s\" has no counts that fit it", x->path, t.name);
        x->entry[x->entries++] = n;
    }
    for (int i = 0; sl_model_key(x->gguf, i, &k); i++)
        if (k.key_len == 19 && memcmp(k.key, "imatrix.chunk_count", 19) == 0 && k.size == 8) memcpy(&x->chunks, k.bytes + 4, 4);
    const char *dataset = listed_dataset(x, 0, arena); /* peers name the first as well */
    if (dataset) x->dataset = dataset;
    return SL_OK;
}

typedef struct reader {
    const uint8_t *p;
    size_t left;
} reader;

static const uint8_t *bytes(reader *r, uint64_t n) {
    const uint8_t *p = r->p;
    if (n > r->left) return NULL;
    r->p += n;
    r->left -= (size_t)n;
    return p;
}

static bool read_int(reader *r, int32_t least, int32_t *ret) {
    const uint8_t *p = bytes(r, 4);
    if (p) memcpy(ret, p, 4);
    return p && *ret >= least;
}

static sl_status read_legacy(sl__imatrix *x, sl_arena *arena, sl_error *e) {
    reader r = {x->map.data, x->map.size};
    int32_t count = 0, len = 0, calls = 0, values = 0, chunks = 0;
    if (!read_int(&r, 1, &count) || count > MOST_ENTRIES || (uint64_t)count > r.left / 12)
        return sl_fail(e, SL_FORMAT, "%s is no importance matrix: neither GGUF nor the older form", x->path);
    x->entry = sl_arena_array(arena, SL_MEM_METADATA, (size_t)count, sizeof *x->entry);
    if (!x->entry) return sl_fail(e, SL_NOMEM, "out of memory for %s", x->path);
    for (int i = 0; i < count; i++) {
        sl__imatrix_entry n = {0};
        bool good = read_int(&r, 1, &len) && (n.name = (const char *)bytes(&r, (uint64_t)len)) != NULL && read_int(&r, INT32_MIN, &calls) &&
                    read_int(&r, 1, &values) && (n.sums = bytes(&r, (uint64_t)values * sizeof(float))) != NULL;
        if (!good) return sl_fail(e, SL_FORMAT, "%s: the importance matrix ends inside entry %d of %d", x->path, i + 1, count);
        n.len = (size_t)len;
        n.values = (uint64_t)values;
        n.calls = calls > 0 ? (float)calls : 1;
        x->entry[x->entries++] = n;
    }
    if (!read_int(&r, 0, &chunks)) return SL_OK;
    x->chunks = (uint32_t)chunks;
    const uint8_t *name = read_int(&r, 1, &len) ? bytes(&r, (uint64_t)len) : NULL;
    if (name) x->dataset = sl_arena_copy(arena, SL_MEM_METADATA, (const char *)name, (size_t)len);
    return x->dataset ? SL_OK : sl_fail(e, SL_NOMEM, "out of memory for %s", x->path);
}

static sl_status read_file(sl__imatrix *x, sl_arena *arena, sl_error *e) {
    sl_error refused;
    sl_status s = sl_map_open(x->path, &x->map, e);
    if (s != SL_OK) return s;
    if (x->map.size < 4 || memcmp(x->map.data, "GGUF", 4) != 0) return read_legacy(x, arena, e);
    /* As a model it is refused, but its tensors and keys are read. */
    s = sl_model_open_partly(x->path, &x->gguf, &refused);
    if (!x->gguf) return sl_fail(e, s == SL_OK ? SL_FORMAT : s, "%s", refused.message);
    return read_gguf(x, arena, e);
}

/* ---- Using ---- */

static bool quantises(const sl__out *o) { return o->part != SL__PART_VECTOR && o->part != SL__PART_ROUTER; }

/* Checks what there is against the plan, and says what is missing or weak. */
static sl_status survey(const sl__imatrix *x, const sl__plan *p, sl_notes *notes, sl_error *e) {
    int known = 0, missing = 0, blind = 0, weak = 0;
    const char *first_missing = "", *first_blind = "";
    for (int i = 0; i < p->count; i++) {
        const sl__out *o = &p->out[i];
        const sl__imatrix_entry *n = quantises(o) ? find(x, o->name) : NULL;
        uint64_t want = (uint64_t)o->slices * (uint64_t)o->slice->cols;
        if (!quantises(o)) continue;
        if (!n) {
            /* Nothing is multiplied by an embedding, and the output is left out by default. */
            if (o->part != SL__PART_EMBEDDING && o->part != SL__PART_OUTPUT && missing++ == 0) first_missing = o->name;
            continue;
        }
        known++;
        if (n->values != want || (n->counts && n->matrices != (uint64_t)o->slices))
            return sl_fail(e, SL_INVALID,
                           "%s: \"%s\" has %" PRIu64 " values, but the model's has %d times %d: it is another model's", x->path,
                           o->name, n->values, o->slices, o->slice->cols);
        for (uint64_t j = 0; j < n->values; j++)
            if (!(float_at(n->sums, j) >= 0) || !isfinite(float_at(n->sums, j)))
                return sl_fail(e, SL_FORMAT, "%s: \"%s\" has a value that is negative or not a number", x->path, o->name);
        for (uint64_t j = 0; n->counts && o->dims == 3 && j < n->matrices; j++) {
            float rows = float_at(n->counts, j);
            if (!(rows > 0) && blind++ == 0) first_blind = o->name;
            if (rows > 0 && rows < SL__FEW_ROWS) weak++;
        }
    }
    if (!known) return sl_fail(e, SL_INVALID, "%s: it names none of the model's matrices", x->path);
    if (missing)
        sl_notes_add(notes, "%s: nothing about %d of %d matrices (the first is %s): they are quantised without", x->path, missing,
                     missing + known, first_missing);
    if (blind)
        sl_notes_add(
            notes,
            "%s: %d experts' matrices saw no row at all (the first are in %s): their columns count alike; calibrate on more text",
            x->path, blind, first_blind);
    if (weak)
        sl_notes_add(notes,
                     "%s: %d experts' matrices saw fewer than %d rows: their importances say little; calibrate on more text",
                     x->path, weak, SL__FEW_ROWS);
    return SL_OK;
}

static sl_status room(sl__imatrix *x, const sl__plan *p, sl_arena *arena, sl_error *e) {
    size_t most = 1;
    for (int i = 0; i < p->count; i++) {
        size_t n = (size_t)p->out[i].slices * (size_t)p->out[i].slice->cols;
        if (n > most) most = n;
    }
    x->values = sl_arena_array(arena, SL_MEM_WORKSPACE, most, sizeof *x->values);
    return x->values ? SL_OK : sl_fail(e, SL_NOMEM, "out of memory for %s", x->path);
}

sl_status sl__imatrix_open(const char *path, const sl__plan *p, sl_arena *arena, sl_notes *notes, sl__imatrix **ret, sl_error *e) {
    sl__imatrix *x = sl_arena_alloc(arena, SL_MEM_METADATA, sizeof *x);
    if (!x) return sl_fail(e, SL_NOMEM, "out of memory for %s", path);
    x->path = path;
    x->dataset = "";
    sl_status s = read_file(x, arena, e);
    if (s == SL_OK) s = survey(x, p, notes, e);
    if (s == SL_OK) s = room(x, p, arena, e);
    if (s == SL_OK) *ret = x;
    else sl__imatrix_close(x);
    return s;
}

void sl__imatrix_close(sl__imatrix *x) {
    if (!x) return;
    sl_model_close(x->gguf);
    sl_map_close(&x->map);
}

const float *sl__imatrix_for(sl__imatrix *x, const sl__out *o) {
    const sl__imatrix_entry *n = quantises(o) ? find(x, o->name) : NULL;
    if (!n) return NULL;
    uint64_t cols = (uint64_t)o->slice->cols;
    for (uint64_t i = 0; i < n->values; i++) {
        float rows = n->counts ? float_at(n->counts, i / cols) : n->calls;
        x->values[i] = rows > 0 ? float_at(n->sums, i) / rows : 1;
    }
    return x->values;
}

void sl__imatrix_keys(const sl__imatrix *x, sl__keys *k) {
    sl__put_string(k, "quantize.imatrix.file", x->path);
    if (x->dataset[0]) sl__put_string(k, "quantize.imatrix.dataset", x->dataset);
    sl__put_u32(k, "quantize.imatrix.entries_count", (uint32_t)x->entries);
    if (x->chunks) sl__put_u32(k, "quantize.imatrix.chunks_count", x->chunks);
}

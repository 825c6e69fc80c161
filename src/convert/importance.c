/* Counting importances, and the GGUF file that holds them (imatrix.c says what stands in it). The tensors are those of
 * the new file that `convert` would write, so that names and slices are the same. Sums are kept in double: a long text
 * adds millions of small squares to large sums. */
#include "convert/importance.h"

#include "convert/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct counted {
    const sl__out *out;
    double *sum;    /* [slices][cols] */
    uint64_t *rows; /* [slices] */
} counted;

/* Where a matrix of the model is counted. */
typedef struct place {
    const sl_matrix *matrix;
    counted *in;
    int slice;
} place;

struct sl_importance {
    sl_arena *arena;
    sl__plan plan;
    counted *tensor; /* [tensors] */
    place *place;    /* [places] by address of the matrix */
    int tensors, places;
    const char **dataset; /* [datasets] */
    int datasets, room;
    uint64_t windows;
};

static bool counts(const sl__out *o) { return o->dims >= 2 && o->layer >= 0; }

static int by_matrix(const void *a, const void *b) {
    const place *p = a, *q = b;
    return (p->matrix > q->matrix) - (p->matrix < q->matrix);
}

static sl_status take_room(sl_importance *x, sl_error *e) {
    size_t matrices = 0;
    for (int i = 0; i < x->plan.count; i++)
        if (counts(&x->plan.out[i])) x->tensors++, matrices += (size_t)x->plan.out[i].slices;
    x->tensor = sl_arena_array(x->arena, SL_MEM_WORKSPACE, (size_t)x->tensors, sizeof *x->tensor);
    x->place = sl_arena_array(x->arena, SL_MEM_WORKSPACE, matrices, sizeof *x->place);
    if (!x->tensor || !x->place) return sl_fail(e, SL_NOMEM, "out of memory for the importances");
    counted *next = x->tensor;
    for (int i = 0; i < x->plan.count; i++) {
        const sl__out *o = &x->plan.out[i];
        if (!counts(o)) continue;
        *next = (counted){
            o,
            sl_arena_array(x->arena, SL_MEM_WORKSPACE, (size_t)o->slices * (size_t)o->slice->cols, sizeof *next->sum),
            sl_arena_array(x->arena, SL_MEM_WORKSPACE, (size_t)o->slices, sizeof *next->rows)};
        if (!next->sum || !next->rows) return sl_fail(e, SL_NOMEM, "out of memory for the importances");
        for (int j = 0; j < o->slices; j++) x->place[x->places++] = (place){o->told ? o->told : sl__out_slice(o, j), next, j};
        next++;
    }
    qsort(x->place, (size_t)x->places, sizeof *x->place, by_matrix);
    return SL_OK;
}

sl_status sl_importance_new(const sl_model *m, sl_importance **ret, sl_error *e) {
    sl_arena *arena = sl_arena_new();
    sl_importance *x = arena ? sl_arena_alloc(arena, SL_MEM_WORKSPACE, sizeof *x) : NULL;
    sl_status s = x ? SL_OK : sl_fail(e, SL_NOMEM, "out of memory for the importances");
    if (x) x->arena = arena;
    if (s == SL_OK) s = sl__plan_make(m, arena, &x->plan, e);
    if (s == SL_OK) s = take_room(x, e);
    if (s == SL_OK)
        *ret = x;
    else
        sl_arena_free(arena);
    return s;
}

sl_importance *sl_importance_free(sl_importance *x) {
    if (x) sl_arena_free(x->arena);
    return NULL;
}

/* Columns in the order of the file. */
static void count(const place *p, int cols, const float *rows, const int32_t *row, int n) {
    double *sum = p->in->sum + (size_t)p->slice * (size_t)cols;
    const int32_t *order = p->in->out->cols;
    for (int i = 0; i < n; i++) {
        const float *v = rows + (size_t)(row ? row[i] : i) * (size_t)cols;
        for (int j = 0; j < cols; j++) {
            double one = (double)v[order ? order[j] : j];
            sum[j] += one * one;
        }
    }
    p->in->rows[p->slice] += (uint64_t)n;
}

void sl_importance_count(void *importance, const sl_matrix *w, const float *rows, const int32_t *row, int n) {
    sl_importance *x = importance;
    const place key = {.matrix = w}, *p = bsearch(&key, x->place, (size_t)x->places, sizeof key, by_matrix), *last = x->place + x->places;
    while (p && p > x->place && p[-1].matrix == w) p--;
    for (; p && p < last && p->matrix == w; p++) count(p, w->cols, rows, row, n); /* one matrix may become two tensors */
}

void sl_importance_window(sl_importance *x) { x->windows++; }

sl_status sl_importance_dataset(sl_importance *x, const char *name, sl_error *e) {
    if (x->datasets == x->room) {
        int room = x->room ? 2 * x->room : 16;
        const char **more = sl_arena_array(x->arena, SL_MEM_METADATA, (size_t)room, sizeof *more);
        if (!more) return sl_fail(e, SL_NOMEM, "out of memory for the importances");
        if (x->datasets) memcpy(more, x->dataset, (size_t)x->datasets * sizeof *more);
        x->dataset = more;
        x->room = room;
    }
    const char *copy = sl_arena_copy(x->arena, SL_MEM_METADATA, name, strlen(name));
    if (!copy) return sl_fail(e, SL_NOMEM, "out of memory for the importances");
    x->dataset[x->datasets++] = copy;
    return SL_OK;
}

/* ---- Adding a file ---- */

static sl_status add_datasets(sl_importance *x, const sl__imatrix *file, sl_arena *arena, sl_error *e) {
    const char *name;
    sl_status s = SL_OK;
    for (int i = 0; s == SL_OK && (name = sl__imatrix_dataset(file, i, arena)) != NULL; i++)
        s = sl_importance_dataset(x, name, e);
    return s;
}

static void add_tensor(counted *t, const sl__imatrix_entry *n, int window) {
    size_t cols = (size_t)t->out->slice->cols;
    for (int i = 0; i < t->out->slices; i++) {
        double rows = sl__imatrix_rows(n, i, window), scale = n->counts ? 1 : window;
        if (!(rows > 0)) continue;
        for (size_t j = 0; j < cols; j++)
            t->sum[(size_t)i * cols + j] += scale * (double)sl__imatrix_sum(n, (size_t)i * cols + j);
        t->rows[i] += (uint64_t)llround(rows);
    }
}

sl_status sl_importance_add(sl_importance *x, const char *path, int window, sl_error *e) {
    sl_arena *arena = sl_arena_new();
    sl__imatrix *file = NULL;
    sl_notes passed = {0}; /* what the file alone lacks does not matter beside the rest */
    sl_status s = arena ? sl__imatrix_open(path, &x->plan, arena, &passed, &file, e)
                        : sl_fail(e, SL_NOMEM, "out of memory for %s", path);
    if (s == SL_OK) s = add_datasets(x, file, arena, e);
    for (int i = 0; i < x->tensors && s == SL_OK; i++) {
        const sl__imatrix_entry *n = sl__imatrix_find(file, x->tensor[i].out);
        if (n) add_tensor(&x->tensor[i], n, window);
    }
    if (s == SL_OK) x->windows += sl__imatrix_chunks(file);
    sl__imatrix_close(file);
    sl_arena_free(arena);
    return s;
}

/* ---- Writing ---- */

sl_importance_experts sl_importance_seen(const sl_importance *x) {
    sl_importance_experts r = {0};
    for (int i = 0; i < x->tensors; i++) {
        const counted *t = &x->tensor[i];
        if (t->out->part != SL__PART_DOWN || t->out->dims != 3) continue; /* gate and up see the same rows */
        for (int j = 0; j < t->out->slices; j++) {
            uint64_t n = t->rows[j];
            if (r.experts == 0 || n < r.least) r.least = n;
            if (n > r.most) r.most = n;
            r.experts++;
            r.blind += n == 0;
            r.weak += n > 0 && n < SL__FEW_ROWS;
        }
    }
    return r;
}

static bool any(const counted *t) {
    for (int i = 0; i < t->out->slices; i++)
        if (t->rows[i]) return true;
    return false;
}

static int by_name(const void *a, const void *b) {
    const counted *const *p = a, *const *q = b;
    return strcmp((*p)->out->name, (*q)->out->name);
}

sl_status sl_importance_target(const sl_importance *x, const char *path, bool force, sl_error *e) {
    struct stat st;
    uint64_t bytes = 0;
    bool there = stat(path, &st) == 0;
    if (there && S_ISDIR(st.st_mode)) return sl_fail(e, SL_INVALID, "%s is a folder: name a file", path);
    if (there && !S_ISREG(st.st_mode)) return sl_fail(e, SL_INVALID, "%s is no ordinary file", path);
    if (there && !force) return sl_fail(e, SL_INVALID, "%s is there already (--force replaces it)", path);
    for (int i = 0; i < x->tensors; i++)
        bytes +=
            ((uint64_t)x->tensor[i].out->slice->cols + 1) * (uint64_t)x->tensor[i].out->slices * sizeof(float) + 256;
    return sl__output_room(path, bytes, e);
}

/* The tensors that saw anything, by name, as llama-imatrix orders them. */
static sl_status list(const sl_importance *x, sl_arena *arena, const counted ***ret, int *ret_count, sl_error *e) {
    const counted **t = sl_arena_array(arena, SL_MEM_METADATA, (size_t)x->tensors + 1, sizeof *t);
    int n = 0;
    if (!t) return sl_fail(e, SL_NOMEM, "out of memory for the importances");
    for (int i = 0; i < x->tensors; i++) {
        size_t values = (size_t)x->tensor[i].out->slices * (size_t)x->tensor[i].out->slice->cols;
        for (size_t j = 0; j < values; j++)
            if (!isfinite((float)x->tensor[i].sum[j]))
                return sl_fail(e, SL_INVALID, "tensor \"%s\" was multiplied by something that is no finite number",
                               x->tensor[i].out->name);
        if (any(&x->tensor[i])) t[n++] = &x->tensor[i];
    }
    if (!n) return sl_fail(e, SL_INVALID, "nothing was counted: there is nothing to write");
    qsort(t, (size_t)n, sizeof *t, by_name);
    *ret = t;
    *ret_count = n;
    return SL_OK;
}

static void put_keys(const sl_importance *x, int window, sl__keys *k) {
    enum { STRING = 8 };
    sl__put_string(k, "general.type", "imatrix");
    sl__put_array(k, "imatrix.datasets", STRING, (uint64_t)x->datasets);
    for (int i = 0; i < x->datasets; i++) sl__put_text(k, x->dataset[i], strlen(x->dataset[i]));
    sl__put_u32(k, "imatrix.chunk_count", x->windows > UINT32_MAX ? UINT32_MAX : (uint32_t)x->windows);
    sl__put_u32(k, "imatrix.chunk_size", (uint32_t)window);
}

/* One tensor's info and its data's place. */
static void put_info(sl__keys *k, const char *tensor, const char *suffix, uint64_t cols, uint64_t rows,
                     uint64_t *offset) {
    char name[96];
    uint32_t dims = 2, type = (uint32_t)sl_types[SL_TYPE_F32].ggml_id;
    uint64_t ne[2] = {cols, rows};
    snprintf(name, sizeof name, "%s%s", tensor, suffix);
    sl__put_text(k, name, strlen(name));
    sl__put_bytes(k, &dims, sizeof dims);
    sl__put_bytes(k, ne, sizeof ne);
    sl__put_bytes(k, &type, sizeof type);
    sl__put_bytes(k, offset, sizeof *offset);
    *offset += (cols * rows * sizeof(float) + SL__ALIGNMENT - 1) / SL__ALIGNMENT * SL__ALIGNMENT;
}

static void pad(sl_buffer *to) {
    while (to->len % SL__ALIGNMENT && !to->failed) sl_buffer_append(to, "", 1);
}

static void put_floats(sl_buffer *to, const double *sum, const uint64_t *rows, size_t n) {
    for (size_t i = 0; i < n && !to->failed; i++)
        sl_buffer_append(to, &(float){sum ? (float)sum[i] : (float)rows[i]}, sizeof(float));
    pad(to);
}

/* The whole file, in memory: it is small beside the model. */
static sl_status put_file(const sl_importance *x, int window, sl_buffer *to, sl_error *e) {
    sl__keys keys = {0}, infos = {0};
    const counted **tensor = NULL;
    int count = 0;
    uint64_t offset = 0, tensors;
    sl_arena *arena = sl_arena_new();
    sl_status s =
        arena ? list(x, arena, &tensor, &count, e) : sl_fail(e, SL_NOMEM, "out of memory for the importances");
    put_keys(x, window, &keys);
    for (int i = 0; i < count; i++) {
        const sl__out *o = tensor[i]->out;
        put_info(&infos, o->name, ".in_sum2", (uint64_t)o->slice->cols, (uint64_t)o->slices, &offset);
        put_info(&infos, o->name, ".counts", 1, (uint64_t)o->slices, &offset);
    }
    tensors = 2 * (uint64_t)count;
    sl_buffer_append(to, "GGUF", 4);
    sl_buffer_append(to, &(uint32_t){3}, sizeof(uint32_t));
    sl_buffer_append(to, &tensors, sizeof tensors);
    sl_buffer_append(to, &(uint64_t){keys.count}, sizeof(uint64_t));
    sl_buffer_append(to, keys.bytes.data, keys.bytes.len);
    sl_buffer_append(to, infos.bytes.data, infos.bytes.len);
    pad(to);
    for (int i = 0; i < count; i++) {
        const sl__out *o = tensor[i]->out;
        put_floats(to, tensor[i]->sum, NULL, (size_t)o->slices * (size_t)o->slice->cols);
        put_floats(to, NULL, tensor[i]->rows, (size_t)o->slices);
    }
    if (s == SL_OK && (to->failed || keys.bytes.failed || infos.bytes.failed))
        s = sl_fail(e, SL_NOMEM, "out of memory for the importances");
    sl_buffer_done(&keys.bytes);
    sl_buffer_done(&infos.bytes);
    sl_arena_free(arena);
    return s;
}

static void note_experts(const sl_importance *x, sl_notes *notes) {
    sl_importance_experts seen = sl_importance_seen(x);
    if (seen.blind)
        sl_notes_add(notes,
                     "%d of %d experts saw no row at all: their columns will count alike; give more text, or text of "
                     "other kinds",
                     seen.blind, seen.experts);
    if (seen.weak)
        sl_notes_add(notes,
                     "%d of %d experts saw fewer than %d rows: their importances say little; give more text, or text "
                     "of other kinds",
                     seen.weak, seen.experts, SL__FEW_ROWS);
}

sl_status sl_importance_write(const sl_importance *x, const char *path, bool force, int window, sl_notes *notes,
                              sl_error *e) {
    sl__output out = {.fd = -1};
    sl_buffer file = {0};
    sl_status s = put_file(x, window, &file, e);
    if (s == SL_OK) s = sl__output_open(path, file.len, &out, e);
    if (s == SL_OK) s = sl__output_write(&out, file.data, file.len, e);
    if (s == SL_OK) s = sl__output_commit(&out, force, e);
    if (s == SL_OK) note_experts(x, notes);
    sl__output_drop(&out);
    sl_buffer_done(&file);
    return s;
}

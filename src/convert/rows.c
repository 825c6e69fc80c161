/* Rows of one tensor, in pieces of a few megabytes that all workers share; between two of them a run can be stopped. */
#include "convert/internal.h"

#include "base/alloc.h"
#include "base/workers.h"
#include "convert/quantise.h"
#include "kernels/kernels.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#define PIECE (4u << 20) /* bytes of the new file at most, unless a row has more: a second or so of the slowest quantiser */
#define ITEM 65536        /* values of an item */

struct sl__rows {
    sl_workers *workers;
    float *scratch;  /* [workers][2][widest] a row, and with its columns in another order */
    size_t widest;   /* values of the longest row */
    uint8_t *bytes;  /* [room] */
    size_t room;
    /* The piece being converted. */
    const sl__out *o;
    const float *importance; /* [slices][cols], NULL: none */
    int64_t first, count;    /* rows */
    int per_item;
    size_t stride;           /* bytes of a new row */
    atomic_int_fast64_t bad; /* the lowest row with a value that cannot be had; INT64_MAX: none */
};

static void found_bad(sl__rows *w, int64_t row) {
    int_fast64_t lowest = atomic_load(&w->bad);
    while (row < lowest && !atomic_compare_exchange_weak(&w->bad, &lowest, row)) {}
}

static bool too_large(const float *x, int n) {
    for (int i = 0; i < n; i++)
        if (!(fabsf(x[i]) < 65520)) return true;
    return false;
}

static void convert_row(sl__rows *w, int64_t row, float *x, uint8_t *to) {
    const sl__out *o = w->o;
    int rows = o->slice->rows, slice = (int)(row / rows), in = (int)(row % rows);
    const sl_matrix *m = sl__out_slice(o, slice);
    if (o->heads) in = sl__permuted_row(in, rows / o->heads);
    if (o->rows) in = o->rows[in];
    if (m->type == o->type && !m->across && !o->cols) {
        memcpy(to, m->data + (size_t)in * m->stride, w->stride);
        return;
    }
    if (m->apart && o->type == SL_TYPE_MXFP4) {
        sl_planes_join(m, in, to);
        return;
    }
    sl_matrix_widen(m, in, x);
    if (o->cols) {
        const float *from = x;
        x += w->widest;
        for (int i = 0; i < m->cols; i++) x[i] = from[o->cols[i]];
    }
    bool bad = sl_types[o->type].quantised ? sl_quantise_bad(x, (size_t)m->cols) >= 0 : o->type == SL_TYPE_F16 && too_large(x, m->cols);
    if (bad) found_bad(w, row);
    else sl_quantise_row(o->type, x, m->cols, w->importance ? w->importance + (size_t)slice * (size_t)m->cols : NULL, to);
}

static void region(void *arg, int self) {
    sl__rows *w = arg;
    float *x = w->scratch + (size_t)self * 2 * w->widest;
    for (int64_t i; (i = sl_workers_take(w->workers, self)) * w->per_item < w->count;)
        for (int64_t r = i * w->per_item; r < (i + 1) * w->per_item && r < w->count; r++)
            convert_row(w, w->first + r, x, w->bytes + (size_t)r * w->stride);
    sl_workers_barrier(w->workers, self);
}

static size_t stride_of(const sl__out *o) { return (size_t)(o->bytes / ((uint64_t)o->slice->rows * (uint64_t)o->slices)); }

sl_status sl__rows_new(const sl__plan *p, int threads, sl__rows **ret, sl_error *e) {
    sl__rows *w = sl_calloc(1, sizeof *w);
    if (!w) return sl_fail(e, SL_NOMEM, "out of memory for the conversion");
    w->room = PIECE;
    for (int i = 0; i < p->count; i++) {
        size_t stride = stride_of(&p->out[i]), cols = ((size_t)p->out[i].slice->cols + 15) / 16 * 16;
        if (stride > w->room) w->room = stride;
        if (cols > w->widest) w->widest = cols;
    }
    w->bytes = sl_malloc(w->room);
    w->scratch = sl_aligned(64, (size_t)threads * 2 * w->widest * sizeof *w->scratch);
    sl_status s = w->bytes && w->scratch ? sl_workers_new(threads, 0, &w->workers, e) : sl_fail(e, SL_NOMEM, "out of memory for the conversion");
    if (s == SL_OK) *ret = w;
    else sl__rows_free(w);
    return s;
}

sl__rows *sl__rows_free(sl__rows *w) {
    if (!w) return NULL;
    sl_workers_free(w->workers);
    sl_free(w->bytes);
    sl_free(w->scratch);
    sl_free(w);
    return NULL;
}

sl_status sl__rows_convert(sl__rows *w, const sl__out *o, const float *importance, int64_t first, int64_t *ret_rows, const uint8_t **ret_bytes,
                           size_t *ret_size, sl_error *e) {
    int64_t rows = (int64_t)o->slice->rows * o->slices;
    w->o = o;
    w->importance = importance;
    w->stride = stride_of(o);
    w->first = first;
    w->count = (int64_t)(w->room / w->stride);
    if (w->count > rows - first) w->count = rows - first;
    w->per_item = ITEM / o->slice->cols > 1 ? ITEM / o->slice->cols : 1;
    atomic_store(&w->bad, INT64_MAX);
    sl_workers_run(w->workers, region, w);
    int64_t bad = atomic_load(&w->bad);
    if (bad != INT64_MAX)
        return sl_fail(e, SL_UNSUPPORTED, "tensor \"%s\", row %lld: a value is infinite, not a number or too large for %s; bf16 and f32 can hold it",
                       o->name, (long long)bad, sl_types[o->type].name);
    *ret_rows = w->count;
    *ret_bytes = w->bytes;
    *ret_size = (size_t)w->count * w->stride;
    return SL_OK;
}

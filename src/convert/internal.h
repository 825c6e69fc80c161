/* internal.h: what the files of convert/ share.
 * Quantisers are pure functions, any thread; the rest belongs to the thread that converts. */
#ifndef SL_CONVERT_INTERNAL_H
#define SL_CONVERT_INTERNAL_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/notes.h"
#include "kernels/types.h"
#include "model/model.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- fit.c: the searches for a scale ----
 * Each rounds n values to codes so that the weighted error is small, and returns the scale that belongs to them. Every sum
 * is over ascending indices in float: another order would choose another candidate where two are nearly equal. */

/* The nearest integer, ties to even, by the addition of 1.5 * 2^23, whose low mantissa bits then are the integer: right for
 * |x| < 2^22. Larger values and NaN give some integer, always the same one. */
int sl__nearest(float x);

#define SL__NOTHING 1e-15f /* below this the largest value of a group counts as zero */

/* Starting points (least + step * i + most) / range, i in 0 … steps. What is made small is the sum of weighted squares of the
 * errors, or of their sizes. */
typedef struct sl__search {
    float least, step;
    int steps;
    bool absolute;
} sl__search;

/* x is about scale * code - *ret_min, code in 0 … most, scale and min at least 0: a least-squares fit from each starting point,
 * of which the best one counts. n is at most 32. */
float sl__fit_scale_min(int n, int most, const float *x, const float *weight, sl__search from, uint8_t *code, float *ret_min);

/* x is about scale * code, code in -most … most - 1, given out as code + most (all 0 where x is nothing but zeros): the best
 * of 19 scales. weight NULL: x^2. */
float sl__fit_scale(int n, int most, const float *x, const float *weight, uint8_t *code);

/* As sl__fit_scale without weights, from the first scale alone; then each code by itself while that helps, at most five times
 * around. */
float sl__fit_refined(int n, int most, const float *x, uint8_t *code);

/* x, at least 0, is about scale * code, code in 0 … most: the best of nine scales, then each code by itself while that
 * helps, at most five times around. */
float sl__fit_positive(int n, int most, const float *x, const float *weight, uint8_t *code);

/* ---- mix.c: which tensor gets which type ---- */

/* Where a kind of tensor gets a better type than elsewhere. Layers of n. */
typedef enum sl__where {
    SL__NOWHERE,
    SL__FIRST_TWO,          /* layers */
    SL__FIRST_FOUR,
    SL__FIRST_SIXTEENTH,    /* of the layers */
    SL__FIRST_EIGHTH,
    SL__EIGHTH_KNOWN,       /* the first eighth, if there is an importance matrix */
    SL__EIGHTH_UNKNOWN,     /* the first eighth, if there is none */
    SL__ENDS_AND_THIRDS,    /* the first and the last eighth, and every third layer between them */
    SL__FOUR_HEADS_SHARE,   /* everywhere in models where at least four query heads have one head of keys and values */
} sl__where;

typedef struct sl__choice {
    sl_type usual, better;
    sl__where where;
} sl__choice;

typedef struct sl__mix {
    const char *name;
    int file_type; /* general.file_type */
    sl_type base, output;
    sl__choice v, down;
    sl_type o, o_of_eight; /* of_eight: in a model of 8 experts */
    bool stacked_only;     /* base is for the experts' matrices; every other one becomes Q8_0 */
} sl__mix;

/* What a tensor is to the rules. VECTOR and ROUTER are never quantised. */
typedef enum sl__part {
    SL__PART_VECTOR, SL__PART_ROUTER, SL__PART_EMBEDDING, SL__PART_OUTPUT, SL__PART_Q, SL__PART_K, SL__PART_V, SL__PART_O,
    SL__PART_GATE, SL__PART_UP, SL__PART_DOWN,
} sl__part;

/* SL_MISUSE: no such name; SL_UNSUPPORTED: a name that peers have, whose types are not served. */
sl_status sl__mix_find(const char *name, const sl__mix **ret, sl_error *e);

typedef struct sl__placed {
    sl__part part; /* OUTPUT: also the embedding where it is the output too */
    int layer, cols;
    bool stacked;   /* one matrix for each expert */
    bool important; /* there is an importance matrix */
} sl__placed;

/* The type of a matrix. *ret_wanted: NULL, or the type that the rule asks for and that cannot be had with so many columns. */
sl_type sl__mix_type(const sl__mix *m, const sl_hparams *hp, sl__placed at, const char **ret_wanted);

/* ---- plan.c: from a model to the tensors of the new file ---- */

/* A tensor of the new file: `slices` matrices of one shape, one after the other. */
typedef struct sl__out {
    char name[64];
    sl__part part;
    int layer;               /* -1: none */
    const sl_matrix *slice;  /* the first; the next ones follow every `step` bytes */
    size_t step;
    const sl_matrix *told;   /* of the model's, if `slice` is none: what that one is multiplied by counts for this tensor; else NULL */
    int slices;
    int dims;                /* 1: a vector, 2: a matrix, 3: one for each expert */
    int heads;               /* rows are reordered head by head, from pairs (j, j + d/2) to pairs (2j, 2j + 1); 0: as they are */
    const int32_t *rows;     /* [slice->rows] the matrix's row that becomes row i of the file; NULL: row i */
    const int32_t *cols;     /* [slice->cols] likewise its columns */
    sl_type type;
    const char *wanted;      /* type that the mix asks for where it is another; NULL: none */
    uint64_t bytes;
    uint64_t offset;         /* into its file's data */
    int file;
    bool requantised;        /* from a quantised type to another type */
} sl__out;

typedef struct sl__plan {
    const sl_model *model;
    sl_arena *arena;
    struct {
        const int32_t *in, *gate, *heads, *values; /* orders (sl__out.rows) of a gated delta net's q, k and v; of its gates where it has a
                                                    * matrix for both, or for them alone; of value heads; of all their values. NULL: as they are */
    } delta;
    sl__out *out; /* [count] in the order of the file */
    int count, cap;
    uint64_t bytes; /* of all tensors, without padding */
    int files;
} sl__plan;

/* Lists the tensors, with the names, shapes and order that llama.cpp's converter gives them. */
sl_status sl__plan_make(const sl_model *m, sl_arena *arena, sl__plan *ret, sl_error *e);
/* Chooses types; then files of at most split_size bytes of tensors each (0: one file; a tensor is never cut), and offsets. */
sl_status sl__plan_types(sl__plan *p, const sl__mix *mix, bool important, uint64_t split_size, sl_error *e);
static inline const sl_matrix *sl__out_slice(const sl__out *o, int i) {
    return (const sl_matrix *)(const void *)((const char *)(const void *)o->slice + (size_t)i * o->step);
}

/* ---- keys.c, tokenizer.c: the key-values ---- */

#define SL__ALIGNMENT 32 /* of tensors in a file that is written: GGUF's default */

/* Key-values in their file form, counted. */
typedef struct sl__keys {
    sl_buffer bytes;
    uint64_t count;
} sl__keys;

void sl__put_u32(sl__keys *k, const char *key, uint32_t x);
void sl__put_i32(sl__keys *k, const char *key, int32_t x);
void sl__put_u16(sl__keys *k, const char *key, uint16_t x);
void sl__put_float(sl__keys *k, const char *key, float x);
void sl__put_bool(sl__keys *k, const char *key, bool x);
void sl__put_string(sl__keys *k, const char *key, const char *text);
/* An array's head; the elements follow by sl__put_bytes or, for strings, sl__put_text. */
void sl__put_array(sl__keys *k, const char *key, uint32_t element_type, uint64_t count);
void sl__put_text(sl__keys *k, const char *text, size_t len);
void sl__put_bytes(sl__keys *k, const void *data, size_t len);

/* General keys, the architecture's, and the file's types. What GGUF or its other readers cannot say is refused or noted. */
sl_status sl__keys_model(const sl__plan *p, const sl__mix *mix, sl__keys *k, sl_notes *notes, sl_error *e);
/* tokenizer.ggml.* of a folder's model. */
sl_status sl__keys_tokenizer(const sl_model *m, sl_arena *arena, sl__keys *k, sl_notes *notes, sl_error *e);

/* ---- output.c: files that are there whole or not at all ---- */

typedef struct sl__output {
    int fd;
    char *path;      /* the final one */
    char *temporary; /* "": the file has no name yet; else its name */
} sl__output;

/* Opens a new file in the folder of `path`, with room for `bytes` reserved where the file system can. */
sl_status sl__output_open(const char *path, uint64_t bytes, sl__output *ret, sl_error *e);
sl_status sl__output_write(sl__output *o, const void *data, size_t size, sl_error *e);
sl_status sl__output_zeros(sl__output *o, size_t size, sl_error *e);
/* To the disk, under its final name; force: over a file that is there. */
sl_status sl__output_commit(sl__output *o, bool force, sl_error *e);
void sl__output_drop(sl__output *o); /* closes; removes what has no final name yet; zero-initialised is fine (fd -1) */
sl_status sl__output_room(const char *path, uint64_t bytes, sl_error *e);
/* Row of the checkpoint that becomes this row of a head-by-head reordered matrix: 2j + s comes from s * d/2 + j. */
int sl__permuted_row(int row, int head_dim);
/* general.architecture of the files that are written for a family; NULL: there is none. */
/* Can GGUF say of divided rope what holds for long sequences: is their factor on attention that of short ones? */
bool sl__keeps_long_rope(const sl_hparams *hp);
const char *sl__architecture(const sl_family *f);

/* ---- rows.c: the work ---- */

typedef struct sl__rows sl__rows;
sl_status sl__rows_new(const sl__plan *p, int threads, sl__rows **ret, sl_error *e); /* the plan's types are chosen */
sl__rows *sl__rows_free(sl__rows *w); /* NULL is fine; returns NULL */
/* Converts rows from `first` on, as many as fit: *ret_rows of them, at *ret_bytes until the next call. */
sl_status sl__rows_convert(sl__rows *w, const sl__out *o, const float *importance, int64_t first, int64_t *ret_rows, const uint8_t **ret_bytes,
                           size_t *ret_size, sl_error *e);

/* ---- imatrix.c: how much each column matters ---- */

typedef struct sl__imatrix sl__imatrix;
/* Reads a file in either of the peers' forms and finds the plan's matrices in it. Memory is the arena's. */
sl_status sl__imatrix_open(const char *path, const sl__plan *p, sl_arena *arena, sl_notes *notes, sl__imatrix **ret, sl_error *e);
void sl__imatrix_close(sl__imatrix *x); /* NULL is fine */
/* [slices][cols], valid until the next call; NULL: nothing is known of this tensor. */
const float *sl__imatrix_for(sl__imatrix *x, const sl__out *o);
void sl__imatrix_keys(const sl__imatrix *x, sl__keys *k); /* quantize.imatrix.* */

/* What it says of one tensor, as it stands in the file. */
typedef struct sl__imatrix_entry {
    const char *name; /* of the matrix, with .weight */
    size_t len;
    const uint8_t *sums; /* [values] floats, unaligned */
    uint64_t values;
    const uint8_t *counts; /* [matrices] floats; NULL: legacy */
    uint64_t matrices;
    float calls;
} sl__imatrix_entry;
/* NULL: nothing, or something that does not have the tensor's shape. */
const sl__imatrix_entry *sl__imatrix_find(const sl__imatrix *x, const sl__out *o);
float sl__imatrix_sum(const sl__imatrix_entry *n, size_t i); /* of squares, of [slices][cols]; legacy: mean square times calls */
double sl__imatrix_rows(const sl__imatrix_entry *n, int slice, int window); /* legacy: calls of `window` rows */
uint32_t sl__imatrix_chunks(const sl__imatrix *x);
/* Name i of the texts, valid as long as the arena and x; NULL past the last. */
const char *sl__imatrix_dataset(const sl__imatrix *x, int i, sl_arena *arena);

#define SL__FEW_ROWS 32 /* rows below which an expert's importances say little */

#endif

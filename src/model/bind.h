/* bind.h: what the files of the binder share: tensor names to pointers (bind.c), the readers that all of it is made of
 * (bind_tensors.c), and the parts of a layer that have a file of their own.
 * While a model is opened, by the thread that opens it. What readers return points into the mapped files, or into the model's
 * arena where values had to be converted. */
#ifndef SL_MODEL_BIND_H
#define SL_MODEL_BIND_H

#include "model/internal.h"

/* Of a gated delta net. Matrices without ".weight"; some checkpoints have two of them in one. */
typedef struct sl__delta_names {
    const char *in, *gate, *in_gate;           /* q, k and v; gates; all of these */
    const char *in_gate_old;                   /* another name of the latter; NULL: none */
    const char *strength, *decay, *both;
    const char *out, *norm;
    const char *taps, *decay_bias, *decay_rate; /* whole names */
    const char *decay_bias_too;                 /* another name of that one; NULL: none */
} sl__delta_names;

/* What a container calls its tensors. Inside a block the whole name is layer, number, dot, name and ".weight" or ".bias":
 * "blk.3.attn_q.weight", "model.layers.3.self_attn.q_proj.weight". */
typedef struct sl__names {
    const char *layer;
    const char *embedding, *output, *output_norm, *rope_divisors;
    const char *attn_norm, *q, *k, *v, *o, *q_norm, *k_norm, *ffn_norm;
    const char *qkv, *gate, *mixed_norm, *fed_norm; /* q, k and v in one; of attention's result; after the parts */
    const char *output_bias, *output_norm_bias;
    const char *sinks;  /* whole name in the layer, as the next three */
    const char *stream_scale, *router_scale, *expert_scale;
    const char *own_inputs, *own_projection, *own_norm; /* whole names; in a layer those of the next line, without ".weight" */
    const char *layer_own_gate, *layer_own_projection, *layer_own_norm;
    const char *dense_fed_norm, *routed_norm, *routed_fed_norm; /* as in sl_layer */
    const char *ffn[3]; /* dense: gate, up, down */
    sl__delta_names delta;
} sl__names;

typedef struct sl__binder {
    sl__open *o;
    const sl__names *n;
    const sl_family *family;
    const sl_hparams *hp;
    bool gguf;
    int layer; /* -1: outside the blocks */
    sl_error *e;
} sl__binder;

/* ---- bind_tensors.c. A tensor that is not there, or has another shape or a type that is not read, is an error that names it. ---- */

#define SL__BIND_NAME 160 /* bytes of a whole name */

/* The tensor of that name inside the current block, or by its whole name outside, which is written to full; NULL: not there. */
sl__tensor *sl__bind_find(const sl__binder *b, char full[SL__BIND_NAME], const char *fmt, ...) __attribute__((format(printf, 3, 4)));
sl_status sl__bind_missing(const sl__binder *b, const char *full);
/* The tensor must be [a][rows][cols], dimensions of 1 aside, and of a type that is read. Marks it as used. */
sl_status sl__bind_take(const sl__binder *b, sl__tensor *t, uint64_t a, uint64_t rows, uint64_t cols);
/* Rows [first, first + rows) of slice `slice` of a tensor that was taken, whose slices have `all` rows of `cols` values each: of a
 * stack of experts the slice is the expert. */
sl_matrix sl__bind_part(const sl__tensor *t, int slice, int all, int first, int rows, int cols);
sl_status sl__bind_matrix(const sl__binder *b, const char *name, int rows, int cols, sl_matrix *ret); /* NAME.weight */

/* As floats: F32 that is aligned is used where it is, the rest is converted. */
sl_status sl__bind_floats_of(const sl__binder *b, sl__tensor *t, int rows, int cols, const float **ret);
sl_status sl__bind_vector_of(const sl__binder *b, sl__tensor *t, int n, const float **ret);
sl_status sl__bind_vector(const sl__binder *b, const char *name, int n, const float **ret); /* NAME.weight */
/* Computes with copies: ret [n] becomes what `of` makes of it. */
sl_status sl__bind_changed(const sl__binder *b, int n, float (*of)(float), const float **ret);
/* A norm's weight, of which the file may have 1 less. */
sl_status sl__bind_norm_of(const sl__binder *b, sl__tensor *t, int n, const float **ret);
sl_status sl__bind_norm_vector(const sl__binder *b, const char *name, int n, const float **ret); /* NAME.weight */
/* A norm of the stream: its weight, and where the family's norm has one its bias. */
sl_status sl__bind_norm(const sl__binder *b, const char *name, const float **ret_weight, const float **ret_bias);
/* The bias NAME.bias, [n]; *ret stays as it is where there is none. want: 1 it must be there, 0 it must not, -1 it may. */
sl_status sl__bind_bias(const sl__binder *b, const char *name, int want, int n, const float **ret);

/* ---- bind_delta.c: a layer's mixer that is a gated delta net, with its norm. ---- */
sl_status sl__bind_delta(const sl__binder *b, sl_layer *l);

/* ---- bind_feed_forward.c: a network by the names of its gate, up and down; a part that routes. ---- */
sl_status sl__bind_ffn(const sl__binder *b, const char *const name[3], int ff, sl_ffn_weights *ret);
sl_status sl__bind_routed(const sl__binder *b, sl_layer *l);

#endif

/* Tensor names to pointers, once. Both containers have the same structure under other names; a table has both spellings.
 *
 * Presence is part of the structure: a bias, norm or gate that the family's row and the file's declarations do not
 * foresee is an error, and so is a tensor inside a block that nothing here would read: it would change the answer. */
#include "model/internal.h"

#include "base/buffer.h"
#include "base/checked.h"
#include "base/fmath.h"
#include "kernels/kernels.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a gated delta net. Matrices without ".weight"; some checkpoints have two of them in one. */
typedef struct delta_names {
    const char *in, *gate, *in_gate;           /* q, k and v; gates; all of these */
    const char *in_gate_old;                   /* another name of the latter; NULL: none */
    const char *strength, *decay, *both;
    const char *out, *norm;
    const char *taps, *decay_bias, *decay_rate; /* whole names */
} delta_names;

/* What a container calls its tensors. Inside a block the whole name is layer, number, dot, name and ".weight" or ".bias":
 * "blk.3.attn_q.weight", "model.layers.3.self_attn.q_proj.weight". */
typedef struct names {
    const char *layer;
    const char *embedding, *output, *output_norm, *rope_divisors;
    const char *attn_norm, *q, *k, *v, *o, *q_norm, *k_norm, *ffn_norm;
    const char *qkv, *gate, *mixed_norm, *fed_norm; /* q, k and v in one; of attention's result; after the parts */
    const char *output_bias, *output_norm_bias;
    const char *sinks;  /* whole name in the layer */
    const char *ffn[3]; /* dense: gate, up, down */
    delta_names delta;
} names;

static const names gguf_names = {
    .layer = "blk.", .embedding = "token_embd.weight", .output = "output.weight", .output_norm = "output_norm.weight",
    .rope_divisors = "rope_freqs.weight", .attn_norm = "attn_norm", .q = "attn_q", .k = "attn_k", .v = "attn_v",
    .o = "attn_output", .q_norm = "attn_q_norm", .k_norm = "attn_k_norm", .ffn_norm = "ffn_norm",
    .ffn = {"ffn_gate", "ffn_up", "ffn_down"}, .qkv = "attn_qkv", .gate = "attn_gate", .mixed_norm = "post_attention_norm",
    .fed_norm = "post_ffw_norm", .output_bias = "output.bias", .output_norm_bias = "output_norm.bias",
    .sinks = "attn_sinks.weight",
    .delta = {.in = "attn_qkv", .gate = "attn_gate", .in_gate = "attn_qkvz", .in_gate_old = "ssm_in", .strength = "ssm_beta",
              .decay = "ssm_alpha", .both = "ssm_ba", .out = "ssm_out", .norm = "ssm_norm", .taps = "ssm_conv1d.weight",
              .decay_bias = "ssm_dt.bias", .decay_rate = "ssm_a"},
};

static const names hf_names = {
    .layer = "model.layers.", .embedding = "model.embed_tokens.weight", .output = "lm_head.weight",
    .output_norm = "model.norm.weight", .attn_norm = "input_layernorm", .q = "self_attn.q_proj", .k = "self_attn.k_proj",
    .v = "self_attn.v_proj", .o = "self_attn.o_proj", .q_norm = "self_attn.q_norm", .k_norm = "self_attn.k_norm",
    .ffn_norm = "post_attention_layernorm", .ffn = {"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}, .gate = "self_attn.gate_proj",
    .output_bias = "lm_head.bias", .output_norm_bias = "model.norm.bias", .sinks = "self_attn.sinks",
    .delta = {.in = "linear_attn.in_proj_qkv", .gate = "linear_attn.in_proj_z", .in_gate = "linear_attn.in_proj_qkvz",
              .strength = "linear_attn.in_proj_b", .decay = "linear_attn.in_proj_a", .both = "linear_attn.in_proj_ba",
              .out = "linear_attn.out_proj", .norm = "linear_attn.norm", .taps = "linear_attn.conv1d.weight",
              .decay_bias = "linear_attn.dt_bias", .decay_rate = "linear_attn.A_log"},
};

/* Where a checkpoint describes more than a language model, names of that part begin otherwise. */
static const struct {
    const char *layer, *embedding, *output_norm;
} wrappings[] = {
    {"model.language_model.layers.", "model.language_model.embed_tokens.weight", "model.language_model.norm.weight"},
    {"language_model.model.layers.", "language_model.model.embed_tokens.weight", "language_model.model.norm.weight"},
};

/* Names as the family's class has them. */
static names names_of(const sl_family *f, const sl__tensors *tensors) {
    names n = hf_names;
    for (size_t i = 0; i < sizeof wrappings / sizeof *wrappings; i++) {
        if (!sl__tensors_find(tensors, wrappings[i].embedding)) continue;
        n.layer = wrappings[i].layer;
        n.embedding = wrappings[i].embedding;
        n.output_norm = wrappings[i].output_norm;
    }
    const struct {
        const char *given, **name;
    } own[] = {{f->hf_attention_names[0], &n.q_norm}, {f->hf_attention_names[1], &n.k_norm}, {f->hf_attention_names[2], &n.o},
               {f->hf_attention_names[3], &n.qkv}, {f->hf_norm_names[0], &n.ffn_norm}, {f->hf_norm_names[1], &n.mixed_norm},
               {f->hf_norm_names[2], &n.fed_norm}, {f->hf_embedding, &n.embedding}};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (own[i].given) *own[i].name = own[i].given;
    return n;
}

typedef struct binder {
    sl__open *o;
    const names *n;
    const sl_family *family;
    const sl_hparams *hp;
    bool gguf;
    int layer; /* -1: outside the blocks */
    sl_error *e;
} binder;

#define NAME_SIZE 160

/* The tensor of that name inside the current block, or by its whole name outside; NULL: not there. */
static sl__tensor *find(const binder *b, char full[NAME_SIZE], const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static sl__tensor *find(const binder *b, char full[NAME_SIZE], const char *fmt, ...) {
    int n = b->layer >= 0 ? snprintf(full, NAME_SIZE, "%s%d.", b->n->layer, b->layer) : 0;
    va_list args;
    va_start(args, fmt);
    vsnprintf(full + n, NAME_SIZE - (size_t)n, fmt, args);
    va_end(args);
    return sl__tensors_find(&b->o->tensors, full);
}

static sl_status missing(const binder *b, const char *full) {
    return sl_fail(b->e, SL_FORMAT, "tensor \"%s\" is missing", full);
}

/* Names the type, and those that would do. */
static sl_status unread_type(const binder *b, const sl__tensor *t) {
    char number[32] = "";
    sl_buffer known = {0};
    if (b->gguf && strncmp(t->type_name, "ggml type ", 10) != 0) snprintf(number, sizeof number, " (ggml type %" PRIu32 ")", t->type_id);
    for (int i = 0; i < SL_TYPE_COUNT; i++)
        if (b->gguf || !sl_types[i].quantised) sl_buffer_printf(&known, "%s%s", known.len ? ", " : "", sl_types[i].name);
    sl_status s = sl_fail(b->e, SL_UNSUPPORTED, "tensor \"%s\" has type %s%s%s; supported are %s", t->name, t->type_name, number,
                          b->gguf ? sl__gguf_type_remark(t->type_id) : "", sl_buffer_text(&known));
    sl_buffer_done(&known);
    return s;
}

/* The tensor must be [a][rows][cols], dimensions of 1 aside, and of a type that is read. Marks it as used. */
static sl_status take(const binder *b, sl__tensor *t, uint64_t a, uint64_t rows, uint64_t cols) {
    char have[96], want[96];
    if (!sl__tensor_is(t, a, rows, cols)) {
        sl__tensor w = {.dims = a > 1 ? 3 : rows > 1 ? 2 : 1, .shape = {a, rows, cols}};
        if (a == 1 && rows > 1) memcpy(w.shape, (uint64_t[]){rows, cols}, 2 * sizeof *w.shape);
        if (a == 1 && rows == 1) w.shape[0] = cols;
        return sl_fail(b->e, SL_FORMAT, "tensor \"%s\" has shape %s, but the hyperparameters say %s", t->name,
                       sl__tensor_shape(t, have, sizeof have), sl__tensor_shape(&w, want, sizeof want));
    }
    if (t->type < 0) return unread_type(b, t);
    t->used = true;
    return SL_OK;
}

/* Rows [first, first + rows) of slice `slice` of a tensor whose slices have `all` rows of `cols` values each: of a stack of
 * experts the slice is the expert. */
static sl_matrix part(const sl__tensor *t, int slice, int all, int first, int rows, int cols) {
    const sl_type_info *info = &sl_types[t->type];
    size_t stride = (size_t)cols / (size_t)info->block_values * (size_t)info->block_bytes;
    size_t row = (size_t)slice * (size_t)all + (size_t)first;
    return (sl_matrix){.data = t->data + row * stride, .stride = stride, .rows = rows, .cols = cols, .type = (sl_type)t->type};
}

static sl_status matrix(const binder *b, const char *name, int rows, int cols, sl_matrix *ret) {
    char full[NAME_SIZE];
    sl__tensor *t = find(b, full, "%s.weight", name);
    if (!t) return missing(b, full);
    sl_status s = take(b, t, 1, (uint64_t)rows, (uint64_t)cols);
    if (s == SL_OK) *ret = part(t, 0, rows, 0, rows, cols);
    return s;
}

/* F32 that is aligned is used where it is, the rest is converted. */
static sl_status floats_of(const binder *b, sl__tensor *t, int rows, int cols, const float **ret) {
    int n = rows * cols;
    sl_status s = take(b, t, 1, (uint64_t)rows, (uint64_t)cols);
    if (s != SL_OK) return s;
    if (t->type == SL_TYPE_F32 && (uintptr_t)t->data % _Alignof(float) == 0) {
        *ret = (const float *)(const void *)t->data;
        return SL_OK;
    }
    if (t->type != SL_TYPE_F32 && t->type != SL_TYPE_F16 && t->type != SL_TYPE_BF16)
        return sl_fail(b->e, SL_UNSUPPORTED, "tensor \"%s\" is a vector of type %s, which is not supported", t->name, t->type_name);
    float *copy = sl_arena_array(b->o->arena, SL_MEM_METADATA, (size_t)n, sizeof *copy);
    if (!copy) return sl_fail(b->e, SL_NOMEM, "out of memory for tensor \"%s\"", t->name);
    for (int i = 0; i < n; i++) {
        uint32_t bits = 0;
        memcpy(&bits, t->data + (size_t)i * (size_t)sl_types[t->type].block_bytes, (size_t)sl_types[t->type].block_bytes);
        if (t->type == SL_TYPE_BF16) bits <<= 16;
        if (t->type == SL_TYPE_F16) copy[i] = sl_f16_to_f32((uint16_t)bits);
        else memcpy(&copy[i], &bits, sizeof bits);
    }
    *ret = copy;
    return SL_OK;
}

static sl_status vector_of(const binder *b, sl__tensor *t, int n, const float **ret) { return floats_of(b, t, 1, n, ret); }

/* Computes with copies: ret [n] becomes what `of` makes of it. */
static sl_status changed(const binder *b, int n, float (*of)(float), const float **ret) {
    float *copy = sl_arena_array(b->o->arena, SL_MEM_METADATA, (size_t)n, sizeof *copy);
    if (!copy) return sl_fail(b->e, SL_NOMEM, "out of memory for a vector of %d values", n);
    for (int i = 0; i < n; i++) copy[i] = of((*ret)[i]);
    *ret = copy;
    return SL_OK;
}

static float plus_one(float x) { return x + 1; }

/* A norm's weight, of which the file may have 1 less. */
static sl_status norm_of(const binder *b, sl__tensor *t, int n, const float **ret) {
    sl_status s = vector_of(b, t, n, ret);
    return s == SL_OK && !b->gguf && b->family->hf_norms_less_one ? changed(b, n, plus_one, ret) : s;
}

static sl_status norm_vector(const binder *b, const char *name, int n, const float **ret) {
    char full[NAME_SIZE];
    sl__tensor *t = find(b, full, "%s.weight", name);
    return t ? norm_of(b, t, n, ret) : missing(b, full);
}

static sl_status vector(const binder *b, const char *name, int n, const float **ret) {
    char full[NAME_SIZE];
    sl__tensor *t = find(b, full, "%s.weight", name);
    return t ? vector_of(b, t, n, ret) : missing(b, full);
}

/* The bias NAME.bias, [n]; *ret stays as it is where there is none. want: 1 it must be there, 0 it must not, -1 it may. */
static sl_status bias(const binder *b, const char *name, int want, int n, const float **ret) {
    char full[NAME_SIZE];
    sl__tensor *t = find(b, full, "%s.bias", name);
    if (!t) return want == 1 ? missing(b, full) : SL_OK;
    if (want == 0) return sl_fail(b->e, SL_UNSUPPORTED, "tensor \"%s\" is a bias that this model must not have", full);
    return vector_of(b, t, n, ret);
}

/* A norm of the stream: its weight, and where the family's norm has one its bias. */
static sl_status norm(const binder *b, const char *name, const float **ret_weight, const float **ret_bias) {
    sl_status s = norm_vector(b, name, b->hp->width, ret_weight);
    return s == SL_OK ? bias(b, name, b->hp->norm == SL_NORM_LAYER ? -1 : 0, b->hp->width, ret_bias) : s;
}

/* q, k and v in one matrix, in this order, and their biases likewise. */
static sl_status fused_qkv(const binder *b, sl__tensor *t, sl_layer *l) {
    int q = b->hp->heads * b->hp->head_dim, kv = b->hp->kv_heads * b->hp->head_dim, all = q + 2 * kv, width = b->hp->width;
    const float *all_biases = NULL;
    sl_status s = take(b, t, 1, (uint64_t)all, (uint64_t)width);
    if (s == SL_OK) s = bias(b, b->n->qkv, b->o->declared.qkv_bias, all, &all_biases);
    if (s != SL_OK) return s;
    l->qkv_fused = true;
    l->q = part(t, 0, all, 0, q, width);
    l->k = part(t, 0, all, q, kv, width);
    l->v = part(t, 0, all, q + kv, kv, width);
    if (!all_biases) return SL_OK;
    l->q_bias = all_biases;
    l->k_bias = all_biases + q;
    l->v_bias = all_biases + q + kv;
    return SL_OK;
}

/* q's matrix and bias, which may have gates too. */
static int query_rows(const sl_hparams *hp) { return hp->heads * hp->head_dim * (hp->query_gated ? 2 : 1); }

static sl_status separate_qkv(const binder *b, sl_layer *l) {
    const names *n = b->n;
    int q = query_rows(b->hp), kv = b->hp->kv_heads * b->hp->head_dim;
    sl_status s = matrix(b, n->q, q, b->hp->width, &l->q);
    if (s == SL_OK) s = matrix(b, n->k, kv, b->hp->width, &l->k);
    if (s == SL_OK) s = matrix(b, n->v, kv, b->hp->width, &l->v);
    if (s == SL_OK) s = bias(b, n->q, b->o->declared.qkv_bias, q, &l->q_bias);
    if (s == SL_OK) s = bias(b, n->k, l->q_bias ? 1 : 0, kv, &l->k_bias);
    if (s == SL_OK) s = bias(b, n->v, l->q_bias ? 1 : 0, kv, &l->v_bias);
    return s;
}

static float rate_of(float x) { return -sl_expf(x); }

static sl_status delta_projections(const binder *b, sl_delta_weights *w) {
    const sl_hparams *hp = b->hp;
    const delta_names *n = &b->n->delta;
    int heads = hp->delta_value_heads, values = sl_delta_values(hp), channels = sl_delta_channels(hp);
    char full[NAME_SIZE];
    const char *in_gate = n->in_gate_old && find(b, full, "%s.weight", n->in_gate_old) ? n->in_gate_old : n->in_gate;
    bool one = find(b, full, "%s.weight", in_gate), both = find(b, full, "%s.weight", n->both);
    sl_status s = one ? matrix(b, in_gate, channels + values, hp->width, &w->in) : matrix(b, n->in, channels, hp->width, &w->in);
    if (s == SL_OK && !one) s = matrix(b, n->gate, values, hp->width, &w->gate);
    if (s == SL_OK && both) return matrix(b, n->both, 2 * heads, hp->width, &w->strength);
    if (s == SL_OK) s = matrix(b, n->strength, heads, hp->width, &w->strength);
    return s == SL_OK ? matrix(b, n->decay, heads, hp->width, &w->decay) : s;
}

static sl_status delta(const binder *b, sl_layer *l) {
    const sl_hparams *hp = b->hp;
    const delta_names *n = &b->n->delta;
    sl_delta_weights *w = &l->delta;
    int heads = hp->delta_value_heads, values = sl_delta_values(hp), channels = sl_delta_channels(hp);
    const struct {
        const char *name;
        int rows, cols;
        const float **ret;
    } vectors[] = {{n->taps, channels, hp->delta_taps, &w->taps},
                   {n->decay_bias, 1, heads, &w->decay_bias},
                   {n->decay_rate, 1, heads, &w->decay_rate}};
    char full[NAME_SIZE];
    sl_status s = norm(b, b->n->attn_norm, &l->attn_norm, &l->attn_norm_bias);
    if (s == SL_OK) s = delta_projections(b, w);
    for (size_t i = 0; s == SL_OK && i < sizeof vectors / sizeof *vectors; i++) {
        sl__tensor *t = find(b, full, "%s", vectors[i].name);
        s = t ? floats_of(b, t, vectors[i].rows, vectors[i].cols, vectors[i].ret) : missing(b, full);
    }
    if (s == SL_OK && !b->gguf) s = changed(b, heads, rate_of, &w->decay_rate); /* GGUF has it as it is computed with */
    if (s == SL_OK) s = vector(b, n->norm, hp->delta_value_dim, &w->norm);
    return s == SL_OK ? matrix(b, n->out, hp->width, values, &l->o) : s;
}

static sl_status attention(const binder *b, sl_layer *l) {
    const sl_hparams *hp = b->hp;
    const names *n = b->n;
    int q = hp->heads * hp->head_dim, kv = hp->kv_heads * hp->head_dim;
    char full[NAME_SIZE];
    sl__tensor *qkv = n->qkv ? find(b, full, "%s.weight", n->qkv) : NULL;
    sl_status s = norm(b, n->attn_norm, &l->attn_norm, &l->attn_norm_bias);
    if (s == SL_OK) s = qkv ? fused_qkv(b, qkv, l) : separate_qkv(b, l);
    if (s == SL_OK && b->family->attention_gate) s = matrix(b, n->gate, q, hp->width, &l->gate);
    if (s == SL_OK) s = matrix(b, n->o, hp->width, q, &l->o);
    if (s == SL_OK) s = bias(b, n->o, b->o->declared.o_bias, hp->width, &l->o_bias);
    if (s == SL_OK && b->family->sinks) {
        sl__tensor *t = find(b, full, "%s", n->sinks);
        s = t ? vector_of(b, t, hp->heads, &l->sinks) : missing(b, full);
    }
    if (s != SL_OK || hp->qk_norm == SL_QK_NORM_NONE) return s;
    bool whole = hp->qk_norm == SL_QK_NORM_FULL;
    s = norm_vector(b, n->q_norm, whole ? q : hp->head_dim, &l->q_norm);
    if (s == SL_OK) s = norm_vector(b, n->k_norm, whole ? kv : hp->head_dim, &l->k_norm);
    return s;
}

static sl_status ffn(const binder *b, const char *const name[3], int ff, sl_ffn_weights *ret) {
    sl_status s = matrix(b, name[0], ff, b->hp->width, &ret->gate);
    if (s == SL_OK) s = matrix(b, name[1], ff, b->hp->width, &ret->up);
    if (s == SL_OK) s = matrix(b, name[2], b->hp->width, ff, &ret->down);
    return s;
}

/* Rows first, first + step … of every expert's slice of a tensor. */
typedef struct rows_of {
    int all, first, step, count; /* rows of a slice; the matrix's */
} rows_of;

static void put_matrix(sl_ffn_weights *expert, size_t member, const sl_matrix *m) { memcpy((char *)expert + member, m, sizeof *m); }

/* One tensor for all experts: [experts][rows][cols], or [experts][cols][rows]. */
static sl_status stacked(const binder *b, sl__tensor *t, bool across, rows_of r, int cols, sl_ffn_weights *experts, size_t member) {
    sl_status s = take(b, t, (uint64_t)b->hp->experts, (uint64_t)(across ? cols : r.all), (uint64_t)(across ? r.all : cols));
    if (s != SL_OK) return s;
    for (int i = 0; i < b->hp->experts; i++) {
        sl_matrix m = part(t, i, r.all, r.first, r.count, cols);
        if (across) {
            size_t size = (size_t)sl_types[t->type].block_bytes;
            m.data = t->data + ((size_t)i * (size_t)cols * (size_t)r.all + (size_t)r.first) * size;
            m.stride = (size_t)r.step * size;
            m.across = (size_t)r.all * size;
        } else {
            m.stride *= (size_t)r.step;
        }
        put_matrix(&experts[i], member, &m);
    }
    return SL_OK;
}

/* Is it bytes, a number of them for every row of every expert? */
static bool is_plane(const binder *b, const sl__tensor *t, int rows, int row_bytes) {
    return (strcmp(t->type_name, "U8") == 0 || strcmp(t->type_name, "F8_E8M0") == 0) && t->dims >= 2 &&
           t->shape[0] == (uint64_t)b->hp->experts && t->shape[1] == (uint64_t)rows &&
           t->bytes == (uint64_t)b->hp->experts * (uint64_t)rows * (uint64_t)row_bytes;
}

/* MXFP4 in two tensors: [experts][rows][cols / 32][16] bytes, and a scale for each sixteen of them. */
static sl_status two_planes(const binder *b, const char *name, rows_of r, int cols, sl_ffn_weights *experts, size_t member) {
    char full[NAME_SIZE];
    sl__tensor *scales = find(b, full, "%s_scales", name);
    if (!scales) return missing(b, full);
    sl__tensor *blocks = find(b, full, "%s_blocks", name);
    if (cols % 32 || !is_plane(b, blocks, r.all, cols / 2) || !is_plane(b, scales, r.all, cols / 32))
        return sl_fail(b->e, SL_FORMAT, "tensors \"%s\" and \"%s\" are no MXFP4 of %d experts of %d rows of %d values", blocks->name,
                       scales->name, b->hp->experts, r.all, cols);
    size_t row = (size_t)cols / 2;
    for (int i = 0; i < b->hp->experts; i++) {
        size_t at = ((size_t)i * (size_t)r.all + (size_t)r.first) * row;
        put_matrix(&experts[i], member,
                   &(sl_matrix){.data = blocks->data + at, .stride = (size_t)r.step * row, .rows = r.count, .cols = cols,
                                .type = SL_TYPE_MXFP4_PLANES, .apart = scales->data + at / 16});
    }
    if (blocks->used) return SL_OK;
    blocks->used = scales->used = true;
    blocks->type = scales->type = SL_TYPE_MXFP4_PLANES;
    blocks->values *= 2; /* counted are weights */
    scales->values = 0;
    return SL_OK;
}

/* A tensor of all experts by its name without ".weight": of any of the forms above. */
static sl_status stack(const binder *b, const char *name, rows_of r, int cols, sl_ffn_weights *experts, size_t member) {
    char full[NAME_SIZE];
    if (!b->gguf && find(b, full, "%s_blocks", name)) return two_planes(b, name, r, cols, experts, member);
    sl__tensor *t = find(b, full, "%s%s", name, b->gguf ? ".weight" : "");
    bool across = !b->gguf && b->family->hf_experts_across;
    if (!t) return missing(b, full);
    if (!across && r.all != cols && sl__tensor_is(t, (uint64_t)b->hp->experts, (uint64_t)cols, (uint64_t)r.all))
        return sl_fail(b->e, SL_UNSUPPORTED, "tensor \"%s\" is transposed ([experts][in][out]), which is not supported", t->name);
    return stacked(b, t, across, r, cols, experts, member);
}

/* A bias of every expert, [experts][rows], by its name without ".bias" or "_bias". */
static sl_status stacked_bias(const binder *b, const char *name, rows_of r, sl_ffn_weights *experts, size_t member) {
    char full[NAME_SIZE];
    sl__tensor *t = find(b, full, "%s%s", name, b->gguf ? ".bias" : "_bias");
    if (!t) return missing(b, full);
    sl_status s = take(b, t, 1, (uint64_t)b->hp->experts, (uint64_t)r.all);
    if (s != SL_OK) return s;
    if (sl_types[t->type].quantised) return sl_fail(b->e, SL_UNSUPPORTED, "tensor \"%s\" is a bias of type %s, which is not supported", t->name, t->type_name);
    size_t size = (size_t)sl_types[t->type].block_bytes;
    for (int i = 0; i < b->hp->experts; i++) {
        sl_vector v = {t->data + ((size_t)i * (size_t)r.all + (size_t)r.first) * size, (size_t)r.step * size, (sl_type)t->type};
        memcpy((char *)&experts[i] + member, &v, sizeof v);
    }
    return SL_OK;
}

/* Gate and up of all experts in one tensor, down in another. */
static sl_status fused_experts(const binder *b, const char *gate_up, const char *down, sl_ffn_weights *experts) {
    int ff = b->hp->expert_ff, width = b->hp->width;
    bool alternate = !b->gguf && b->family->hf_experts_interleaved;
    rows_of gate = {2 * ff, 0, alternate ? 2 : 1, ff}, up = {2 * ff, alternate ? 1 : ff, alternate ? 2 : 1, ff}, all = {width, 0, 1, width};
    sl_status s = stack(b, gate_up, gate, width, experts, offsetof(sl_ffn_weights, gate));
    if (s == SL_OK) s = stack(b, gate_up, up, width, experts, offsetof(sl_ffn_weights, up));
    if (s == SL_OK) s = stack(b, down, all, ff, experts, offsetof(sl_ffn_weights, down));
    if (s != SL_OK || !b->family->expert_biases) return s;
    s = stacked_bias(b, gate_up, gate, experts, offsetof(sl_ffn_weights, gate_bias));
    if (s == SL_OK) s = stacked_bias(b, gate_up, up, experts, offsetof(sl_ffn_weights, up_bias));
    return s == SL_OK ? stacked_bias(b, down, all, experts, offsetof(sl_ffn_weights, down_bias)) : s;
}

static sl_status gguf_experts(const binder *b, sl_ffn_weights *experts) {
    int ff = b->hp->expert_ff, width = b->hp->width;
    char full[NAME_SIZE];
    if (find(b, full, "ffn_gate_up_exps.weight")) return fused_experts(b, "ffn_gate_up_exps", "ffn_down_exps", experts);
    if (find(b, full, "ffn_gate.0.weight")) { /* files of early 2024: a tensor an expert */
        sl_status s = SL_OK;
        for (int i = 0; i < b->hp->experts && s == SL_OK; i++) {
            char name[3][32];
            for (int j = 0; j < 3; j++) snprintf(name[j], sizeof name[j], "%s.%d", b->n->ffn[j], i);
            s = ffn(b, (const char *const[]){name[0], name[1], name[2]}, ff, &experts[i]);
        }
        return s;
    }
    const struct {
        const char *name;
        int rows, cols;
        size_t member, bias;
    } stacks[] = {
        {"ffn_gate_exps", ff, width, offsetof(sl_ffn_weights, gate), offsetof(sl_ffn_weights, gate_bias)},
        {"ffn_up_exps", ff, width, offsetof(sl_ffn_weights, up), offsetof(sl_ffn_weights, up_bias)},
        {"ffn_down_exps", width, ff, offsetof(sl_ffn_weights, down), offsetof(sl_ffn_weights, down_bias)},
    };
    for (int i = 0; i < 3; i++) {
        rows_of r = {stacks[i].rows, 0, 1, stacks[i].rows};
        sl_status s = stack(b, stacks[i].name, r, stacks[i].cols, experts, stacks[i].member);
        if (s == SL_OK && b->family->expert_biases) s = stacked_bias(b, stacks[i].name, r, experts, stacks[i].bias);
        if (s != SL_OK) return s;
    }
    return SL_OK;
}

/* Are experts' gates and ups in one tensor of that name, in one plane or two? */
static bool has_stack(const binder *b, const char *name) {
    char full[NAME_SIZE];
    return find(b, full, "%s", name) || find(b, full, "%s_blocks", name);
}

static sl_status hf_experts(const binder *b, sl_ffn_weights *experts) {
    const sl_family *f = b->family;
    char gate_up[64], down[64];
    snprintf(gate_up, sizeof gate_up, "%s.experts.gate_up_proj", f->hf_moe_fused);
    snprintf(down, sizeof down, "%s.experts.down_proj", f->hf_moe_fused);
    if (has_stack(b, gate_up)) return fused_experts(b, gate_up, down, experts);
    snprintf(gate_up, sizeof gate_up, "%s.%s", f->hf_moe, f->hf_experts_fused[0] ? f->hf_experts_fused[0] : "");
    snprintf(down, sizeof down, "%s.%s", f->hf_moe, f->hf_experts_fused[1] ? f->hf_experts_fused[1] : "");
    if (f->hf_experts_fused[0] && has_stack(b, gate_up)) return fused_experts(b, gate_up, down, experts);
    sl_status s = SL_OK;
    for (int i = 0; i < b->hp->experts && s == SL_OK; i++) {
        char name[3][96];
        for (int j = 0; j < 3; j++) snprintf(name[j], sizeof name[j], "%s.experts.%d.%s", f->hf_moe, i, f->hf_proj[j]);
        s = ffn(b, (const char *const[]){name[0], name[1], name[2]}, b->hp->expert_ff, &experts[i]);
    }
    return s;
}

/* The bias for the choice alone. A router that has one and was trained with it chooses other experts without. */
static sl_status router_bias(const binder *b, const float **ret) {
    char full[NAME_SIZE];
    const sl_family *f = b->family;
    sl__tensor *t = b->gguf ? find(b, full, "exp_probs_b.bias") : find(b, full, "%s.%s", f->hf_moe, f->hf_router_bias);
    if (!t && !b->gguf) t = find(b, full, "%s.%s", f->hf_moe_fused, f->hf_router_bias);
    return t ? vector_of(b, t, b->hp->experts, ret) : missing(b, full);
}

/* The shared expert's gate and up in one tensor [2 ff][width], gate's rows first. */
static sl_status fused_shared(const binder *b, sl__tensor *t, sl_ffn_weights *ret) {
    const char *down_name = b->family->hf_shared_fused[1];
    int ff = b->hp->shared_ff, width = b->hp->width;
    char full[NAME_SIZE];
    sl__tensor *down = find(b, full, "%s", down_name);
    if (!down) return missing(b, full);
    sl_status s = take(b, t, 1, 2 * (uint64_t)ff, (uint64_t)width);
    if (s == SL_OK) s = take(b, down, 1, (uint64_t)width, (uint64_t)ff);
    if (s != SL_OK) return s;
    ret->gate = part(t, 0, 2 * ff, 0, ff, width);
    ret->up = part(t, 0, 2 * ff, ff, ff, width);
    ret->down = part(down, 0, width, 0, width, ff);
    return SL_OK;
}

/* Router, experts, and the shared expert with its gate. */
static sl_status routed(const binder *b, sl_layer *l) {
    const sl_family *f = b->family;
    const sl_hparams *hp = b->hp;
    char full[NAME_SIZE], router[64], shared_gate[64], shared[3][96];
    sl_ffn_weights *experts = sl_arena_array(b->o->arena, SL_MEM_METADATA, (size_t)hp->experts, sizeof *experts);
    if (!experts) return sl_fail(b->e, SL_NOMEM, "out of memory for the experts");
    if (b->gguf) {
        snprintf(router, sizeof router, "ffn_gate_inp");
        snprintf(shared_gate, sizeof shared_gate, "ffn_gate_inp_shexp");
        for (int i = 0; i < 3; i++) snprintf(shared[i], sizeof shared[i], "%s_shexp", b->n->ffn[i]);
    } else {
        snprintf(full, sizeof full, "%s.experts.gate_up_proj", f->hf_moe_fused);
        bool fused = has_stack(b, full);
        const char *moe = fused ? f->hf_moe_fused : f->hf_moe;
        snprintf(router, sizeof router, "%s.%s", moe, f->hf_router);
        snprintf(shared_gate, sizeof shared_gate, "%s.%s", moe, f->hf_shared_gate ? f->hf_shared_gate : "");
        for (int i = 0; i < 3; i++)
            snprintf(shared[i], sizeof shared[i], "%s.%s.%s", moe, f->hf_shared ? f->hf_shared : "", f->hf_proj[i]);
    }
    sl_status s = matrix(b, router, hp->experts, hp->width, &l->router);
    if (s == SL_OK) s = bias(b, router, f->router_biased, hp->experts, &l->router_offset);
    if (s == SL_OK && f->hf_router_bias) s = router_bias(b, &l->router_bias);
    if (s == SL_OK) s = b->gguf ? gguf_experts(b, experts) : hf_experts(b, experts);
    if (s == SL_OK && hp->shared_ff) {
        sl__tensor *fused = !b->gguf && f->hf_shared_fused[0] ? find(b, full, "%s", f->hf_shared_fused[0]) : NULL;
        s = fused ? fused_shared(b, fused, &l->shared)
                  : ffn(b, (const char *const[]){shared[0], shared[1], shared[2]}, hp->shared_ff, &l->shared);
        if (s == SL_OK && hp->shared_gate == SL_SHARED_SIGMOID) s = vector(b, shared_gate, hp->width, &l->shared_gate);
    }
    l->experts = experts;
    return s;
}

static sl_status globals(binder *b) {
    sl_model *m = &b->o->model;
    const sl_hparams *hp = b->hp;
    const sl__declared *d = &b->o->declared;
    char full[NAME_SIZE];
    b->layer = -1;
    sl__tensor *embedding = find(b, full, "%s", b->n->embedding);
    if (!embedding) return missing(b, full);
    sl_status s = take(b, embedding, 1, (uint64_t)hp->vocab, (uint64_t)hp->width);
    if (s != SL_OK) return s;
    m->embedding = m->output = part(embedding, 0, hp->vocab, 0, hp->vocab, hp->width);
    sl__tensor *output = find(b, full, "%s", b->n->output);
    if (!output && d->tied == 0) return missing(b, full);
    m->hp.tied = !output || d->tied == 1;
    if (!m->hp.tied) {
        s = take(b, output, 1, (uint64_t)hp->vocab, (uint64_t)hp->width);
        if (s != SL_OK) return s;
        m->output = part(output, 0, hp->vocab, 0, hp->vocab, hp->width);
    }
    sl__tensor *norm = find(b, full, "%s", b->n->output_norm);
    if (!norm) return missing(b, full);
    s = norm_of(b, norm, hp->width, &m->output_norm);
    sl__tensor *norm_bias = find(b, full, "%s", b->n->output_norm_bias);
    if (s == SL_OK && norm_bias && hp->norm == SL_NORM_LAYER) s = vector_of(b, norm_bias, hp->width, &m->output_norm_bias);
    sl__tensor *output_bias = find(b, full, "%s", b->n->output_bias);
    if (s == SL_OK && !output_bias && d->output_bias == 1) return missing(b, full);
    if (s == SL_OK && output_bias && d->output_bias != 0) s = vector_of(b, output_bias, hp->vocab, &m->output_bias);
    sl__tensor *divisors = s == SL_OK && b->n->rope_divisors ? find(b, full, "%s", b->n->rope_divisors) : NULL;
    if (divisors) s = vector_of(b, divisors, hp->rope_dims / 2, &m->rope_divisors);
    for (int i = 0; s == SL_OK && divisors && i < hp->rope_dims / 2; i++)
        if (!(m->rope_divisors[i] >= 1e-6f && m->rope_divisors[i] <= 1e6f))
            s = sl_fail(b->e, SL_FORMAT, "tensor \"%s\" has a divisor of %g", divisors->name, (double)m->rope_divisors[i]);
    return s;
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* Tensors that nothing reads and that change nothing: rope tables that old converters wrote, scales of quantised KV. */
static bool harmless(const char *name) {
    static const char *const ends[] = {".rotary_emb.inv_freq", ".rope_freqs.weight", ".attn_rot_embd.weight", ".attn_rot_embd",
                                       ".k_scale", ".v_scale"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends_with(name, ends[i])) return true;
    return false;
}

/* Tensors outside the blocks that would change the answer if anything here read them. */
static bool weighty(const char *name) {
    static const char *const all[] = {"output.bias", "output_norm.bias", "token_embd_norm.weight", "rope_factors_long.weight",
                                      "rope_factors_short.weight", "lm_head.bias", "model.norm.bias"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(name, all[i]) == 0) return true;
    return false;
}

static sl_status refuse_unread(const binder *b) {
    size_t prefix = strlen(b->n->layer);
    for (uint32_t i = 0; i < b->o->tensors.index.count; i++) {
        const sl__tensor *t = &b->o->tensors.entry[i];
        if (t->used || t->ignored || harmless(t->name)) continue;
        bool inside = strncmp(t->name, b->n->layer, prefix) == 0 && strtol(t->name + prefix, NULL, 10) < b->hp->layers;
        if (inside || weighty(t->name))
            return sl_fail(b->e, SL_UNSUPPORTED, "tensor \"%.200s\" is nothing that family %s has", t->name, b->family->name);
    }
    return SL_OK;
}

/* The norms but the first. With parallel wiring that one serves both parts. */
static sl_status block_norms(const binder *b, sl_layer *l) {
    if (b->hp->wiring == SL_WIRING_PARALLEL) {
        l->ffn_norm = l->attn_norm;
        l->ffn_norm_bias = l->attn_norm_bias;
        return SL_OK;
    }
    const char *name = b->gguf && b->family->gguf_ffn_norm ? b->family->gguf_ffn_norm : b->n->ffn_norm;
    sl_status s = norm(b, name, &l->ffn_norm, &l->ffn_norm_bias);
    if (b->hp->wiring != SL_WIRING_SANDWICH) return s;
    if (s == SL_OK) s = norm_vector(b, b->n->mixed_norm, b->hp->width, &l->mixed_norm);
    return s == SL_OK ? norm_vector(b, b->n->fed_norm, b->hp->width, &l->fed_norm) : s;
}

sl_status sl__bind(sl__open *o, bool gguf, sl_error *e) {
    names own = names_of(o->model.family, &o->tensors);
    binder b = {.o = o, .n = gguf ? &gguf_names : &own, .family = o->model.family, .hp = &o->model.hp, .gguf = gguf, .e = e};
    o->layer = sl_arena_array(o->arena, SL_MEM_METADATA, (size_t)b.hp->layers, sizeof *o->layer);
    if (!o->layer) return sl_fail(e, SL_NOMEM, "out of memory for the layers");
    o->model.layer = o->layer;
    sl_status s = globals(&b);
    for (int i = 0; i < b.hp->layers && s == SL_OK; i++) {
        b.layer = i;
        sl_layer *l = &o->layer[i];
        s = b.hp->mixer[i] == SL_MIXER_DELTA ? delta(&b, l) : attention(&b, l);
        if (s == SL_OK) s = block_norms(&b, l);
        if (s == SL_OK) s = b.hp->sparse[i] ? routed(&b, l) : ffn(&b, b.n->ffn, b.hp->ff, &l->dense);
    }
    if (s == SL_OK) s = refuse_unread(&b);
    return s;
}

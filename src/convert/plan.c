/* From an open model to the tensors of a new file. The model is bound already: both containers, every spelling of experts
 * (one tensor each, stacked, gate and up in one) come out as the same list, in the names that llama.cpp reads. */
#include "convert/internal.h"

#include "base/checked.h"
#include "base/fmath.h"

#include <stdio.h>
#include <string.h>

static sl__out *add(sl__plan *p, sl__part part, int layer, const char *name, const char *suffix) {
    sl__out *o = &p->out[p->count++];
    *o = (sl__out){.part = part, .layer = layer, .slices = 1};
    if (layer >= 0) snprintf(o->name, sizeof o->name, "blk.%d.%s.%s", layer, name, suffix);
    else snprintf(o->name, sizeof o->name, "%s.%s", name, suffix);
    return o;
}

static void add_matrix(sl__plan *p, sl__part part, int layer, const char *name, const sl_matrix *m, int heads) {
    sl__out *o = add(p, part, layer, name, "weight");
    o->slice = m;
    o->dims = 2;
    o->heads = heads;
}

/* The rows of a head in GGUF's order for the llama architecture: file row 2j + s is row s * d/2 + j of the checkpoint. */
int sl__permuted_row(int row, int head_dim) {
    int head = row / head_dim, i = row % head_dim;
    return head * head_dim + i % 2 * (head_dim / 2) + i / 2;
}

/* n floats, as a matrix of one row; heads: reordered like the rows of the matrix whose bias they are. */
static sl_status add_vector(sl__plan *p, int layer, const char *name, const char *suffix, const float *x, int n, int heads, sl_error *e) {
    if (!x) return SL_OK;
    sl_matrix *m = sl_arena_alloc(p->arena, SL_MEM_METADATA, sizeof *m);
    float *copy = heads ? sl_arena_array(p->arena, SL_MEM_METADATA, (size_t)n, sizeof *copy) : NULL;
    if (!m || (heads && !copy)) return sl_fail(e, SL_NOMEM, "out of memory for the tensor list");
    for (int i = 0; heads && i < n; i++) copy[i] = x[sl__permuted_row(i, n / heads)];
    *m = (sl_matrix){.data = (const uint8_t *)(heads ? copy : x), .stride = (size_t)n * sizeof *x, .rows = 1, .cols = n, .type = SL_TYPE_F32};
    sl__out *o = add(p, SL__PART_VECTOR, layer, name, suffix);
    o->slice = m;
    o->dims = 1;
    return SL_OK;
}

/* What the base frequencies are divided by, so that a part of the pairs stands still, or that they become those of llama3
 * scaling, where the file has the scaling's parameters. The divisor is the one of which this server makes the same frequency, to
 * the bit, if there is one. */
static sl_status rope_divisors(sl__plan *p, const float **ret, sl_error *e) {
    const sl_hparams *hp = &p->model->hp;
    *ret = p->model->rope_divisors;
    bool stands = hp->rope_scaling == SL_ROPE_PROPORTIONAL;
    if (*ret || (!stands && hp->rope_scaling != SL_ROPE_LLAMA3)) return SL_OK;
    float *divisor = sl_arena_array(p->arena, SL_MEM_METADATA, (size_t)hp->rope_dims / 2, sizeof *divisor);
    if (!divisor) return sl_fail(e, SL_NOMEM, "out of memory for the tensor list");
    for (int j = 0; stands && j < hp->rope_dims / 2; j++) divisor[j] = j < hp->rope_turning ? hp->rope_factor : 1e30f; /* as peers have it */
    if (stands) {
        *ret = divisor;
        return SL_OK;
    }
    for (int j = 0; j < hp->rope_dims / 2; j++) {
        float f = 1 / sl_powf(hp->rope_theta, (float)(2 * j) / (float)hp->rope_dims);
        float original = (float)hp->rope_original, wavelength = 6.283185307179586f / f;
        float smooth = (original / wavelength - hp->rope_low) / (hp->rope_high - hp->rope_low); /* unused where both bounds are one */
        float scaled = (1 - smooth) * f / hp->rope_factor + smooth * f;
        divisor[j] = wavelength < original / hp->rope_high ? 1 : wavelength >= original / hp->rope_low ? hp->rope_factor : f / scaled;
        if (divisor[j] == 1 || divisor[j] == hp->rope_factor) continue;
        const float middle = divisor[j];
        for (int ulp = -4; ulp <= 4 && f / divisor[j] != scaled; ulp++) {
            uint32_t bits;
            memcpy(&bits, &middle, sizeof bits);
            bits += (uint32_t)ulp;
            memcpy(&divisor[j], &bits, sizeof bits);
        }
        if (f / divisor[j] != scaled) divisor[j] = middle;
    }
    *ret = divisor;
    return SL_OK;
}

/* A bias of every expert, [experts][n], as one matrix. */
static sl_status add_expert_biases(sl__plan *p, int i, const char *name, const sl_vector *first, const sl_vector *second, int n, sl_error *e) {
    if (!first->data) return SL_OK;
    sl_matrix *m = sl_arena_alloc(p->arena, SL_MEM_METADATA, sizeof *m);
    if (!m) return sl_fail(e, SL_NOMEM, "out of memory for the tensor list");
    int experts = p->model->hp.experts;
    *m = (sl_matrix){.data = first->data, .stride = experts > 1 ? (size_t)(second->data - first->data) : 0, .rows = experts, .cols = n,
                     .type = first->type, .across = first->step};
    sl__out *o = add(p, SL__PART_VECTOR, i, name, "bias");
    o->slice = m;
    o->dims = 2;
    return SL_OK;
}

static sl_status add_biases(sl__plan *p, int i, sl_error *e) {
    const sl_ffn_weights *a = &p->model->layer[i].experts[0], *b = a + (p->model->hp.experts > 1);
    const sl_hparams *hp = &p->model->hp;
    sl_status s = add_expert_biases(p, i, "ffn_gate_exps", &a->gate_bias, &b->gate_bias, hp->expert_ff, e);
    if (s == SL_OK) s = add_expert_biases(p, i, "ffn_up_exps", &a->up_bias, &b->up_bias, hp->expert_ff, e);
    return s == SL_OK ? add_expert_biases(p, i, "ffn_down_exps", &a->down_bias, &b->down_bias, hp->width, e) : s;
}

static void add_experts(sl__plan *p, int i) {
    const sl_layer *l = &p->model->layer[i];
    const struct {
        const char *name;
        sl__part part;
        const sl_matrix *first;
    } all[] = {{"ffn_gate_exps", SL__PART_GATE, &l->experts[0].gate}, {"ffn_up_exps", SL__PART_UP, &l->experts[0].up},
               {"ffn_down_exps", SL__PART_DOWN, &l->experts[0].down}};
    for (int j = 0; j < 3; j++) {
        add_matrix(p, all[j].part, i, all[j].name, all[j].first, 0);
        p->out[p->count - 1].dims = 3;
        p->out[p->count - 1].slices = p->model->hp.experts;
        p->out[p->count - 1].step = sizeof(sl_ffn_weights);
    }
}

static void add_dense(sl__plan *p, int i, const sl_ffn_weights *f, const char *gate, const char *up, const char *down) {
    add_matrix(p, SL__PART_GATE, i, gate, &f->gate, 0);
    add_matrix(p, SL__PART_UP, i, up, &f->up, 0);
    add_matrix(p, SL__PART_DOWN, i, down, &f->down, 0);
}

/* They stay one tensor, as in the files of peers for such models, and its type is chosen as if it were v alone, as peers do. */
static sl_status add_fused_qkv(sl__plan *p, int i, const sl_layer *l, int q, int kv, sl_error *e) {
    sl_matrix *m = sl_arena_alloc(p->arena, SL_MEM_METADATA, sizeof *m);
    if (!m) return sl_fail(e, SL_NOMEM, "out of memory for the tensor list");
    *m = l->q;
    m->rows = q + 2 * kv;
    add_matrix(p, SL__PART_V, i, "attn_qkv", m, 0);
    p->out[p->count - 1].told = &l->q;
    return add_vector(p, i, "attn_qkv", "bias", l->q_bias, q + 2 * kv, 0, e);
}

static sl_status add_qkv(sl__plan *p, int i, const sl_layer *l, int kv, bool permute, sl_error *e) {
    int q_heads = permute ? p->model->hp.heads[i] : 0, kv_heads = permute ? p->model->hp.kv_heads[i] : 0;
    add_matrix(p, SL__PART_Q, i, "attn_q", &l->q, q_heads);
    sl_status s = add_vector(p, i, "attn_q", "bias", l->q_bias, l->q.rows, q_heads, e);
    if (!l->k.data) return s;
    add_matrix(p, SL__PART_K, i, "attn_k", &l->k, kv_heads);
    if (s == SL_OK) s = add_vector(p, i, "attn_k", "bias", l->k_bias, kv, kv_heads, e);
    if (l->v.data) add_matrix(p, SL__PART_V, i, "attn_v", &l->v, 0);
    return s == SL_OK ? add_vector(p, i, "attn_v", "bias", l->v_bias, kv, 0, e) : s;
}

static sl_status add_attention(sl__plan *p, int i, bool permute, sl_error *e) {
    const sl_hparams *hp = &p->model->hp;
    const sl_layer *l = &p->model->layer[i];
    int dim = hp->head_dim[i], q = hp->heads[i] * dim, kv = hp->kv_heads[i] * dim;
    bool full = hp->qk_norm == SL_QK_NORM_FULL;
    if (l->gate.data) add_matrix(p, SL__PART_Q, i, "attn_gate", &l->gate, 0);
    sl_status s = l->qkv_fused ? add_fused_qkv(p, i, l, q, kv, e) : add_qkv(p, i, l, kv, permute, e);
    add_matrix(p, SL__PART_O, i, "attn_output", &l->o, 0);
    if (s == SL_OK) s = add_vector(p, i, "attn_output", "bias", l->o_bias, hp->width, 0, e);
    if (s == SL_OK) s = add_vector(p, i, "attn_q_norm", "weight", l->q_norm, full ? q : dim, 0, e);
    if (s == SL_OK) s = add_vector(p, i, "attn_k_norm", "weight", l->k_norm, full ? kv : dim, 0, e);
    return s == SL_OK ? add_vector(p, i, "attn_sinks", "weight", l->sinks, hp->heads[i], 0, e) : s;
}

/* Gated delta nets of a folder. Their value heads stand by key head, v heads for each; in files of some architectures the first ones of
 * all key heads stand first, then the second ones: head t of the file is head t % K * v + t / K of the folder. Some checkpoints have q, k,
 * v and gates in one matrix, key head by key head, [q | k | v of its heads | gates of its heads]. */
static int32_t *order_of(sl__plan *p, int n) { return sl_arena_array(p->arena, SL_MEM_METADATA, (size_t)n, sizeof(int32_t)); }

static sl_status delta_orders(sl__plan *p, bool fused, bool tiled, sl_error *e) {
    const sl_hparams *hp = &p->model->hp;
    int key_heads = hp->delta_key_heads, each = hp->delta_value_heads / key_heads, k_dim = hp->delta_key_dim, v_dim = hp->delta_value_dim;
    int keys = sl_delta_keys(hp), values = sl_delta_values(hp), block = 2 * k_dim + 2 * each * v_dim;
    int32_t *in = order_of(p, 2 * keys + values), *gate = order_of(p, values), *heads = order_of(p, hp->delta_value_heads),
        *all = order_of(p, values);
    if (!in || !gate || !heads || !all) return sl_fail(e, SL_NOMEM, "out of memory for the tensor list");
    for (int i = 0; i < keys; i++) {
        int at = i / k_dim * block + i % k_dim;
        in[i] = fused ? at : i;
        in[keys + i] = fused ? at + k_dim : keys + i;
    }
    for (int t = 0; t < hp->delta_value_heads; t++) heads[t] = tiled ? t % key_heads * each + t / key_heads : t;
    for (int i = 0; i < values; i++) {
        int head = heads[i / v_dim], at = head / each * block + 2 * k_dim + head % each * v_dim + i % v_dim;
        all[i] = head * v_dim + i % v_dim;
        in[2 * keys + i] = fused ? at : 2 * keys + all[i];
        gate[i] = fused ? at + each * v_dim : all[i];
    }
    p->delta.in = in, p->delta.gate = gate;
    if (tiled) p->delta.heads = heads, p->delta.values = all;
    return SL_OK;
}

static void add_delta_matrix(sl__plan *p, sl__part part, int i, const char *name, const sl_matrix *m, const int32_t *rows, const int32_t *cols) {
    add_matrix(p, part, i, name, m, 0);
    p->out[p->count - 1].rows = rows;
    p->out[p->count - 1].cols = cols;
}

/* q, k and v, and the gates, out of one matrix. */
static sl_status add_parted(sl__plan *p, int i, const sl_matrix *both, sl_error *e) {
    sl_matrix *part = sl_arena_array(p->arena, SL_MEM_METADATA, 2, sizeof *part);
    if (!part) return sl_fail(e, SL_NOMEM, "out of memory for the tensor list");
    part[0] = part[1] = *both;
    part[0].rows = sl_delta_channels(&p->model->hp);
    part[1].rows = sl_delta_values(&p->model->hp);
    add_delta_matrix(p, SL__PART_V, i, "attn_qkv", &part[0], p->delta.in, NULL);
    p->out[p->count - 1].told = both;
    add_delta_matrix(p, SL__PART_Q, i, "attn_gate", &part[1], p->delta.gate, NULL);
    p->out[p->count - 1].told = both;
    return SL_OK;
}

/* n floats in an order, NULL: as they are. */
static sl_status add_ordered(sl__plan *p, int i, const char *name, const char *suffix, const float *x, int n, const int32_t *order, sl_error *e) {
    float *copy = sl_arena_array(p->arena, SL_MEM_METADATA, (size_t)n, sizeof *copy);
    if (!copy) return sl_fail(e, SL_NOMEM, "out of memory for the tensor list");
    for (int j = 0; j < n; j++) copy[j] = x[order ? order[j] : j];
    return add_vector(p, i, name, suffix, copy, n, 0, e);
}

/* Of a GGUF source as the file has it. Peers choose the type of q, k and v as v's, and those of all other matrices as q's. */
static sl_status add_delta(sl__plan *p, int i, const sl_family *target, sl_error *e) {
    const sl_hparams *hp = &p->model->hp;
    const sl_layer *l = &p->model->layer[i];
    const sl_delta_weights *w = &l->delta;
    bool folder = strcmp(p->model->container, "gguf") != 0, fused = !w->gate.data;
    bool tiled = folder && target->gguf_delta_tiled && hp->delta_value_heads > hp->delta_key_heads && hp->delta_key_heads > 1;
    int heads = hp->delta_value_heads;
    sl_status s = folder && !p->delta.in && (fused || tiled) ? delta_orders(p, fused, tiled, e) : SL_OK;
    if (s == SL_OK && folder && fused) s = add_parted(p, i, &w->in, e);
    if (s != SL_OK) return s;
    if (!folder || !fused) add_delta_matrix(p, SL__PART_V, i, fused ? "ssm_in" : "attn_qkv", &w->in, p->delta.in, NULL);
    if (!fused) add_delta_matrix(p, SL__PART_Q, i, "attn_gate", &w->gate, p->delta.gate, NULL);
    add_delta_matrix(p, SL__PART_Q, i, w->decay.data ? "ssm_beta" : "ssm_ba", &w->strength, w->decay.data ? p->delta.heads : NULL, NULL);
    if (w->decay.data) add_delta_matrix(p, SL__PART_Q, i, "ssm_alpha", &w->decay, p->delta.heads, NULL);
    add_delta_matrix(p, SL__PART_Q, i, "ssm_out", &l->o, NULL, p->delta.values);
    sl_matrix *taps = sl_arena_alloc(p->arena, SL_MEM_METADATA, sizeof *taps);
    if (!taps) return sl_fail(e, SL_NOMEM, "out of memory for the tensor list");
    *taps = (sl_matrix){.data = (const uint8_t *)w->taps, .stride = (size_t)hp->delta_taps * sizeof(float), .rows = sl_delta_channels(hp),
                        .cols = hp->delta_taps, .type = SL_TYPE_F32};
    sl__out *o = add(p, SL__PART_VECTOR, i, "ssm_conv1d", "weight");
    o->slice = taps;
    o->dims = 2;
    o->rows = fused ? NULL : p->delta.in; /* channels stand as the file has them, whatever the matrix */
    s = add_ordered(p, i, "ssm_dt", "bias", w->decay_bias, heads, p->delta.heads, e);
    if (s == SL_OK) s = add_vector(p, i, "ssm_norm", "weight", w->norm, hp->delta_value_dim, 0, e);
    if (s == SL_OK) s = add_ordered(p, i, "ssm_a", "", w->decay_rate, heads, p->delta.heads, e);
    if (s == SL_OK) snprintf(p->out[p->count - 1].name, sizeof p->out->name, "blk.%d.ssm_a", i); /* no suffix */
    return s;
}

/* What a layer has that has a dense network beside its experts, and its router's vectors. */
static sl_status add_beside(sl__plan *p, int i, sl_error *e) {
    int width = p->model->hp.width;
    const sl_layer *l = &p->model->layer[i];
    sl_status s = add_vector(p, i, "post_ffw_norm_1", "weight", l->dense_fed_norm, width, 0, e);
    if (s == SL_OK) s = add_vector(p, i, "pre_ffw_norm_2", "weight", l->routed_norm, width, 0, e);
    if (s == SL_OK) s = add_vector(p, i, "post_ffw_norm_2", "weight", l->routed_fed_norm, width, 0, e);
    if (s == SL_OK) s = add_vector(p, i, "ffn_gate_inp", "scale", l->router_norm, width, 0, e);
    return s == SL_OK ? add_vector(p, i, "ffn_down_exps", "scale", l->expert_scale, p->model->hp.experts, 0, e) : s;
}

/* target: the row that reads such a GGUF file. */
static sl_status add_layer(sl__plan *p, int i, const sl_family *target, bool permute, sl_error *e) {
    const char *ffn_norm = target->gguf_ffn_norm ? target->gguf_ffn_norm : "ffn_norm";
    const sl_hparams *hp = &p->model->hp;
    const sl_layer *l = &p->model->layer[i];
    sl_status s = add_vector(p, i, "attn_norm", "weight", l->attn_norm, hp->width, 0, e);
    if (s == SL_OK) s = add_vector(p, i, "attn_norm", "bias", l->attn_norm_bias, hp->width, 0, e);
    if (s == SL_OK) s = hp->mixer[i] == SL_MIXER_DELTA ? add_delta(p, i, target, e) : add_attention(p, i, permute, e);
    if (s == SL_OK && hp->wiring != SL_WIRING_PARALLEL) s = add_vector(p, i, ffn_norm, "weight", l->ffn_norm, hp->width, 0, e);
    if (s == SL_OK && hp->wiring != SL_WIRING_PARALLEL) s = add_vector(p, i, ffn_norm, "bias", l->ffn_norm_bias, hp->width, 0, e);
    if (s == SL_OK) s = add_vector(p, i, "post_attention_norm", "weight", l->mixed_norm, hp->width, 0, e);
    if (s == SL_OK) s = add_vector(p, i, "post_ffw_norm", "weight", l->fed_norm, hp->width, 0, e);
    if (s == SL_OK && l->own_gate.data) {
        add_matrix(p, SL__PART_Q, i, "inp_gate", &l->own_gate, 0);
        add_matrix(p, SL__PART_Q, i, "proj", &l->own_projection, 0);
        s = add_vector(p, i, "post_norm", "weight", l->own_norm, hp->width, 0, e);
    }
    if (s == SL_OK) s = add_vector(p, i, "layer_output_scale", "weight", l->stream_scale, 1, 0, e);
    if (l->dense.gate.data) add_dense(p, i, &l->dense, "ffn_gate", "ffn_up", "ffn_down");
    if (s != SL_OK || !hp->sparse[i]) return s;
    s = add_beside(p, i, e);
    if (s != SL_OK) return s;
    add_matrix(p, SL__PART_ROUTER, i, "ffn_gate_inp", &l->router, 0);
    s = add_vector(p, i, "ffn_gate_inp", "bias", l->router_offset, hp->experts, 0, e);
    if (s == SL_OK) s = add_vector(p, i, "exp_probs_b", "bias", l->router_bias, hp->experts, 0, e);
    add_experts(p, i);
    if (s == SL_OK) s = add_biases(p, i, e);
    if (s == SL_OK && l->shared.gate.data) {
        add_dense(p, i, &l->shared, "ffn_gate_shexp", "ffn_up_shexp", "ffn_down_shexp");
        s = add_vector(p, i, "ffn_gate_inp_shexp", "weight", l->shared_gate, hp->width, 0, e);
    }
    return s;
}

sl_status sl__plan_make(const sl_model *m, sl_arena *arena, sl__plan *ret, sl_error *e) {
    enum { MOST_IN_LAYER = 40, MOST_OUTSIDE = 11 };
    sl__plan p = {.model = m, .arena = arena};
    const float *divisors = NULL;
    p.out = sl_arena_array(arena, SL_MEM_METADATA, (size_t)m->hp.layers * MOST_IN_LAYER + MOST_OUTSIDE, sizeof *p.out);
    if (!p.out) return sl_fail(e, SL_NOMEM, "out of memory for the tensor list");
    const char *arch = sl__architecture(m->family);
    const sl_family *target = arch ? sl_family_by_gguf(arch, m->family->routed) : NULL;
    if (!target) return sl_fail(e, SL_UNSUPPORTED, "%s: family %s has no GGUF architecture", m->path, m->family->name);
    /* In a GGUF file of that architecture the rows stand reordered already. */
    bool permute = target->gguf_qk_permuted && strcmp(m->container, "gguf") != 0;
    add_matrix(&p, m->hp.tied ? SL__PART_OUTPUT : SL__PART_EMBEDDING, -1, "token_embd", &m->embedding, 0);
    sl_status s = rope_divisors(&p, &divisors, e);
    if (m->own_inputs.data) {
        add_matrix(&p, SL__PART_EMBEDDING, -1, "per_layer_token_embd", &m->own_inputs, 0);
        add_matrix(&p, SL__PART_Q, -1, "per_layer_model_proj", &m->own_projection, 0);
    }
    if (s == SL_OK) s = add_vector(&p, -1, "per_layer_proj_norm", "weight", m->own_norm, m->hp.layer_input, 0, e);
    if (s == SL_OK) s = add_vector(&p, -1, "rope_freqs", "weight", divisors, m->hp.rope_dims / 2, 0, e);
    if (s == SL_OK && m->hp.rope_scaling == SL_ROPE_DIVIDED)
        s = add_vector(&p, -1, "rope_factors_short", "weight", m->hp.rope_divisor, m->hp.rope_dims / 2, 0, e);
    if (s == SL_OK && sl__keeps_long_rope(&m->hp))
        s = add_vector(&p, -1, "rope_factors_long", "weight", m->hp.rope_long_divisor, m->hp.rope_dims / 2, 0, e);
    for (int i = 0; i < m->hp.layers && s == SL_OK; i++) s = add_layer(&p, i, target, permute, e);
    if (s == SL_OK) s = add_vector(&p, -1, "output_norm", "weight", m->output_norm, m->hp.width, 0, e);
    if (s == SL_OK) s = add_vector(&p, -1, "output_norm", "bias", m->output_norm_bias, m->hp.width, 0, e);
    if (s == SL_OK) s = add_vector(&p, -1, "output", "bias", m->output_bias, m->hp.vocab, 0, e);
    if (!m->hp.tied) add_matrix(&p, SL__PART_OUTPUT, -1, "output", &m->output, 0);
    if (s == SL_OK) *ret = p;
    return s;
}

/* Vectors are float32. A router stays what it is, but out of a folder becomes float32, as peers' converter makes it. */
static sl_type type_of(const sl__plan *p, const sl__out *o, const sl__mix *mix, bool important, const char **ret_wanted) {
    *ret_wanted = NULL;
    if (o->part == SL__PART_VECTOR) return SL_TYPE_F32;
    if (o->part == SL__PART_ROUTER) return strcmp(p->model->container, "gguf") == 0 ? o->slice->type : SL_TYPE_F32;
    const sl__placed at = {o->part, o->layer, o->slice->cols, o->dims == 3, important};
    return sl__mix_type(mix, &p->model->hp, at, ret_wanted);
}

static sl_status measure(sl__plan *p, sl__out *o, sl_error *e) {
    const sl_type_info *t = &sl_types[o->type];
    size_t bytes;
    if (!sl_mul((size_t)(o->slice->cols / t->block_values), (size_t)t->block_bytes, &bytes) || !sl_mul(bytes, (size_t)o->slice->rows, &bytes) ||
        !sl_mul(bytes, (size_t)o->slices, &bytes) || !sl_add((size_t)p->bytes, bytes, &(size_t){0}))
        return sl_fail(e, SL_TOO_LARGE, "tensor \"%s\" would have more bytes than can be counted", o->name);
    o->bytes = bytes;
    p->bytes += bytes;
    for (int i = 0; i < o->slices; i++) {
        sl_type from = sl__out_slice(o, i)->type;
        bool joined = from == SL_TYPE_MXFP4_PLANES && o->type == SL_TYPE_MXFP4;
        if (sl_types[from].quantised && from != o->type && !joined) o->requantised = true;
    }
    return SL_OK;
}

sl_status sl__plan_types(sl__plan *p, const sl__mix *mix, bool important, uint64_t split_size, sl_error *e) {
    uint64_t offset = 0, padded;
    p->bytes = 0;
    p->files = 1;
    for (int i = 0; i < p->count; i++) {
        sl__out *o = &p->out[i];
        o->type = type_of(p, o, mix, important, &o->wanted);
        sl_status s = measure(p, o, e);
        if (s != SL_OK) return s;
        padded = (o->bytes + SL__ALIGNMENT - 1) / SL__ALIGNMENT * SL__ALIGNMENT;
        if (split_size && offset && offset + padded > split_size) {
            p->files++;
            offset = 0;
        }
        o->file = p->files - 1;
        o->offset = offset;
        offset += padded;
    }
    return SL_OK;
}

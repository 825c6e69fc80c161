/* Tensor names to pointers, once. Both containers have the same structure under other names; a table has both spellings.
 *
 * Presence is part of the structure: a bias, norm or gate that the family's row and the file's declarations do not
 * foresee is an error, and so is a tensor inside a block that nothing here would read: it would change the answer. */
#include "model/bind.h"

#include <stdlib.h>
#include <string.h>

static const sl__names gguf_names = {
    .layer = "blk.", .embedding = "token_embd.weight", .output = "output.weight", .output_norm = "output_norm.weight",
    .rope_divisors = "rope_freqs.weight", .attn_norm = "attn_norm", .q = "attn_q", .k = "attn_k", .v = "attn_v",
    .o = "attn_output", .q_norm = "attn_q_norm", .k_norm = "attn_k_norm", .ffn_norm = "ffn_norm",
    .ffn = {"ffn_gate", "ffn_up", "ffn_down"}, .qkv = "attn_qkv", .gate = "attn_gate", .mixed_norm = "post_attention_norm",
    .fed_norm = "post_ffw_norm", .output_bias = "output.bias", .output_norm_bias = "output_norm.bias",
    .sinks = "attn_sinks.weight", .stream_scale = "layer_output_scale.weight", .router_scale = "ffn_gate_inp.scale",
    .expert_scale = "ffn_down_exps.scale", .dense_fed_norm = "post_ffw_norm_1", .routed_norm = "pre_ffw_norm_2",
    .routed_fed_norm = "post_ffw_norm_2", .own_inputs = "per_layer_token_embd.weight", .own_projection = "per_layer_model_proj.weight",
    .own_norm = "per_layer_proj_norm.weight", .layer_own_gate = "inp_gate", .layer_own_projection = "proj", .layer_own_norm = "post_norm",
    .delta = {.in = "attn_qkv", .gate = "attn_gate", .in_gate = "attn_qkvz", .in_gate_old = "ssm_in", .strength = "ssm_beta",
              .decay = "ssm_alpha", .both = "ssm_ba", .out = "ssm_out", .norm = "ssm_norm", .taps = "ssm_conv1d.weight",
              .decay_bias = "ssm_dt.bias", .decay_bias_too = "ssm_dt", /* Ollama's */
              .decay_rate = "ssm_a"},
};

static const sl__names hf_names = {
    .layer = "model.layers.", .embedding = "model.embed_tokens.weight", .output = "lm_head.weight",
    .output_norm = "model.norm.weight", .attn_norm = "input_layernorm", .q = "self_attn.q_proj", .k = "self_attn.k_proj",
    .v = "self_attn.v_proj", .o = "self_attn.o_proj", .q_norm = "self_attn.q_norm", .k_norm = "self_attn.k_norm",
    .ffn_norm = "post_attention_layernorm", .ffn = {"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}, .gate = "self_attn.gate_proj",
    .output_bias = "lm_head.bias", .output_norm_bias = "model.norm.bias", .sinks = "self_attn.sinks",
    .stream_scale = "layer_scalar", .router_scale = "router.scale", .expert_scale = "router.per_expert_scale",
    .dense_fed_norm = "post_feedforward_layernorm_1", .routed_norm = "pre_feedforward_layernorm_2",
    .routed_fed_norm = "post_feedforward_layernorm_2", .own_inputs = "model.embed_tokens_per_layer.weight",
    .own_projection = "model.per_layer_model_projection.weight", .own_norm = "model.per_layer_projection_norm.weight",
    .layer_own_gate = "per_layer_input_gate", .layer_own_projection = "per_layer_projection", .layer_own_norm = "post_per_layer_input_norm",
    .delta = {.in = "linear_attn.in_proj_qkv", .gate = "linear_attn.in_proj_z", .in_gate = "linear_attn.in_proj_qkvz",
              .strength = "linear_attn.in_proj_b", .decay = "linear_attn.in_proj_a", .both = "linear_attn.in_proj_ba",
              .out = "linear_attn.out_proj", .norm = "linear_attn.norm", .taps = "linear_attn.conv1d.weight",
              .decay_bias = "linear_attn.dt_bias", .decay_rate = "linear_attn.A_log"},
};

/* Names of the language model begin otherwise where a checkpoint describes more than that, and where a class without an output was
 * saved: then the class's own name is missing. */
static const struct {
    const char *layer, *embedding, *output_norm, *output_norm_bias, *output;
    const char *own[3];
} wrappings[] = {
#define WRAPPED(front, output)                                                                                          \
    {front "layers.", front "embed_tokens.weight", front "norm.weight", front "norm.bias", output,                      \
     {front "embed_tokens_per_layer.weight", front "per_layer_model_projection.weight", front "per_layer_projection_norm.weight"}}
    WRAPPED("model.language_model.", "lm_head.weight"),
    WRAPPED("language_model.model.", "language_model.lm_head.weight"),
    WRAPPED("language_model.", "lm_head.weight"),
    WRAPPED("", "lm_head.weight"),
#undef WRAPPED
};

/* Names as the family's class has them. */
static sl__names names_of(const sl_family *f, const sl__tensors *tensors) {
    sl__names n = hf_names;
    for (size_t i = 0; i < sizeof wrappings / sizeof *wrappings; i++) {
        if (!sl__tensors_find(tensors, wrappings[i].embedding)) continue;
        n.layer = wrappings[i].layer;
        n.embedding = wrappings[i].embedding;
        n.output_norm = wrappings[i].output_norm;
        n.output_norm_bias = wrappings[i].output_norm_bias;
        n.own_inputs = wrappings[i].own[0], n.own_projection = wrappings[i].own[1], n.own_norm = wrappings[i].own[2];
        if (sl__tensors_find(tensors, wrappings[i].output)) n.output = wrappings[i].output;
    }
    const struct {
        const char *given, **name;
    } own[] = {{f->hf_attention_names[0], &n.q_norm}, {f->hf_attention_names[1], &n.k_norm}, {f->hf_attention_names[2], &n.o},
               {f->hf_attention_names[3], &n.qkv}, {f->hf_norm_names[0], &n.ffn_norm}, {f->hf_norm_names[1], &n.mixed_norm},
               {f->hf_norm_names[2], &n.fed_norm}, {f->hf_embedding, &n.embedding}, {f->hf_dense[0], &n.ffn[0]}, {f->hf_dense[1], &n.ffn[1]},
               {f->hf_dense[2], &n.ffn[2]}};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (own[i].given) *own[i].name = own[i].given;
    return n;
}

/* Rows of the current layer's queries, and of its keys or values. */
static int q_rows(const sl__binder *b) { return b->hp->heads[b->layer] * b->hp->head_dim[b->layer]; }
static int kv_rows(const sl__binder *b) { return b->hp->kv_heads[b->layer] * b->hp->head_dim[b->layer]; }

/* q, k and v in one matrix, in this order, and their biases likewise. */
static sl_status fused_qkv(const sl__binder *b, sl__tensor *t, sl_layer *l) {
    int q = q_rows(b), kv = kv_rows(b), all = q + 2 * kv, width = b->hp->width;
    const float *all_biases = NULL;
    sl_status s = sl__bind_take(b, t, 1, (uint64_t)all, (uint64_t)width);
    if (s == SL_OK) s = sl__bind_bias(b, b->n->qkv, b->o->declared.qkv_bias, all, &all_biases);
    if (s != SL_OK) return s;
    l->qkv_fused = true;
    l->q = sl__bind_part(t, 0, all, 0, q, width);
    l->k = sl__bind_part(t, 0, all, q, kv, width);
    l->v = sl__bind_part(t, 0, all, q + kv, kv, width);
    if (!all_biases) return SL_OK;
    l->q_bias = all_biases;
    l->k_bias = all_biases + q;
    l->v_bias = all_biases + q + kv;
    return SL_OK;
}

static sl_status separate_qkv(const sl__binder *b, sl_layer *l) {
    const sl__names *n = b->n;
    int q = q_rows(b) * (b->hp->query_gated ? 2 : 1), kv = kv_rows(b);
    sl_status s = sl__bind_matrix(b, n->q, q, b->hp->width, &l->q);
    bool keyed = b->hp->keyed_values[b->layer];
    if (s == SL_OK) s = sl__bind_bias(b, n->q, b->o->declared.qkv_bias, q, &l->q_bias);
    if (s != SL_OK || b->hp->keys_of[b->layer]) return s;
    s = sl__bind_matrix(b, n->k, kv, b->hp->width, &l->k);
    if (s == SL_OK && !keyed) s = sl__bind_matrix(b, n->v, kv, b->hp->width, &l->v);
    if (s == SL_OK) s = sl__bind_bias(b, n->k, l->q_bias ? 1 : 0, kv, &l->k_bias);
    if (s == SL_OK && !keyed) s = sl__bind_bias(b, n->v, l->q_bias ? 1 : 0, kv, &l->v_bias);
    return s;
}

/* A vector by its whole name in the layer. */
static sl_status whole_vector(const sl__binder *b, const char *name, int n, const float **ret) {
    char full[SL__BIND_NAME];
    sl__tensor *t = sl__bind_find(b, full, "%s", name);
    return t ? sl__bind_vector_of(b, t, n, ret) : sl__bind_missing(b, full);
}

static sl_status attention(const sl__binder *b, sl_layer *l) {
    const sl_hparams *hp = b->hp;
    const sl__names *n = b->n;
    int q = q_rows(b), kv = kv_rows(b), dim = hp->head_dim[b->layer];
    char full[SL__BIND_NAME];
    sl__tensor *qkv = n->qkv ? sl__bind_find(b, full, "%s.weight", n->qkv) : NULL;
    sl_status s = sl__bind_norm(b, n->attn_norm, &l->attn_norm, &l->attn_norm_bias);
    if (s == SL_OK) s = qkv ? fused_qkv(b, qkv, l) : separate_qkv(b, l);
    if (s == SL_OK && b->family->attention_gate) s = sl__bind_matrix(b, n->gate, q, hp->width, &l->gate);
    if (s == SL_OK) s = sl__bind_matrix(b, n->o, hp->width, q, &l->o);
    if (s == SL_OK) s = sl__bind_bias(b, n->o, b->o->declared.o_bias, hp->width, &l->o_bias);
    if (s == SL_OK && b->family->sinks) s = whole_vector(b, n->sinks, hp->heads[b->layer], &l->sinks);
    if (s != SL_OK || hp->qk_norm == SL_QK_NORM_NONE || hp->qk_norm == SL_QK_NORM_PLAIN_AFTER) return s;
    bool whole = hp->qk_norm == SL_QK_NORM_FULL;
    s = sl__bind_norm_vector(b, n->q_norm, whole ? q : dim, &l->q_norm);
    return s == SL_OK && l->k.data ? sl__bind_norm_vector(b, n->k_norm, whole ? kv : dim, &l->k_norm) : s;
}

/* Is the output matrix of a model that is said to be tied another one than the embedding? Files that were trained on, untied, say so
 * wrongly, and the reference then takes what is there. Rows here and there are compared, as a file's weights are not to be read at start:
 * of two matrices that were trained apart every row differs. */
static bool untied(const sl__binder *b, const sl__tensor *output, const sl_matrix *embedding) {
    enum { SAMPLES = 16 };
    int rows = embedding->rows, cols = embedding->cols;
    if (output->type < 0 || !sl__tensor_is(output, 1, (uint64_t)rows, (uint64_t)cols)) return false;
    sl_matrix own = sl__bind_part(output, 0, rows, 0, rows, cols);
    bool differs = own.type != embedding->type;
    for (int i = 0; i < SAMPLES && !differs; i++) {
        size_t at = (size_t)((int64_t)(rows - 1) * i / (SAMPLES - 1)) * own.stride;
        differs = memcmp(own.data + at, embedding->data + at, own.stride) != 0;
    }
    if (differs)
        sl_notes_add(&b->o->notes, "%s: tie_word_embeddings is true, but tensor \"%s\" is another one than the embedding: it is used",
                     b->o->model.path, output->name);
    return differs;
}

static sl_status globals(sl__binder *b) {
    sl_model *m = &b->o->model;
    const sl_hparams *hp = b->hp;
    const sl__declared *d = &b->o->declared;
    char full[SL__BIND_NAME];
    b->layer = -1;
    sl__tensor *embedding = sl__bind_find(b, full, "%s", b->n->embedding);
    if (!embedding) return sl__bind_missing(b, full);
    sl_status s = sl__bind_take(b, embedding, 1, (uint64_t)hp->vocab, (uint64_t)hp->width);
    if (s != SL_OK) return s;
    m->embedding = m->output = sl__bind_part(embedding, 0, hp->vocab, 0, hp->vocab, hp->width);
    sl__tensor *output = sl__bind_find(b, full, "%s", b->n->output);
    if (!output && d->tied == 0) return sl__bind_missing(b, full);
    m->hp.tied = !output || (d->tied == 1 && !untied(b, output, &m->embedding));
    if (!m->hp.tied) {
        s = sl__bind_take(b, output, 1, (uint64_t)hp->vocab, (uint64_t)hp->width);
        if (s != SL_OK) return s;
        m->output = sl__bind_part(output, 0, hp->vocab, 0, hp->vocab, hp->width);
    }
    sl__tensor *norm = sl__bind_find(b, full, "%s", b->n->output_norm);
    if (!norm) return sl__bind_missing(b, full);
    s = sl__bind_norm_of(b, norm, hp->width, &m->output_norm);
    sl__tensor *norm_bias = sl__bind_find(b, full, "%s", b->n->output_norm_bias);
    if (s == SL_OK && norm_bias && hp->norm == SL_NORM_LAYER) s = sl__bind_vector_of(b, norm_bias, hp->width, &m->output_norm_bias);
    sl__tensor *output_bias = sl__bind_find(b, full, "%s", b->n->output_bias);
    if (s == SL_OK && !output_bias && d->output_bias == 1) return sl__bind_missing(b, full);
    if (s == SL_OK && output_bias && d->output_bias != 0) s = sl__bind_vector_of(b, output_bias, hp->vocab, &m->output_bias);
    sl__tensor *divisors = s == SL_OK && b->n->rope_divisors ? sl__bind_find(b, full, "%s", b->n->rope_divisors) : NULL;
    if (divisors && divisors->used) divisors = NULL; /* read as another kind of scaling already */
    if (divisors) s = sl__bind_vector_of(b, divisors, hp->rope_dims / 2, &m->rope_divisors);
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
                                      "rope_factors_short.weight", "lm_head.bias", "model.norm.bias", "norm.bias"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(name, all[i]) == 0) return true;
    return false;
}

static sl_status refuse_unread(const sl__binder *b) {
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
static sl_status block_norms(const sl__binder *b, sl_layer *l) {
    if (b->hp->wiring == SL_WIRING_PARALLEL) {
        l->ffn_norm = l->attn_norm;
        l->ffn_norm_bias = l->attn_norm_bias;
        return SL_OK;
    }
    const char *name = b->gguf && b->family->gguf_ffn_norm ? b->family->gguf_ffn_norm : b->n->ffn_norm;
    sl_status s = sl__bind_norm(b, name, &l->ffn_norm, &l->ffn_norm_bias);
    if (b->hp->wiring != SL_WIRING_SANDWICH) return s;
    if (s == SL_OK) s = sl__bind_norm_vector(b, b->n->mixed_norm, b->hp->width, &l->mixed_norm);
    return s == SL_OK ? sl__bind_norm_vector(b, b->n->fed_norm, b->hp->width, &l->fed_norm) : s;
}

/* The norms that only a layer has whose dense network stands beside experts. */
static sl_status beside_norms(const sl__binder *b, sl_layer *l) {
    int width = b->hp->width;
    sl_status s = sl__bind_norm_vector(b, b->n->dense_fed_norm, width, &l->dense_fed_norm);
    if (s == SL_OK) s = sl__bind_norm_vector(b, b->n->routed_norm, width, &l->routed_norm);
    return s == SL_OK ? sl__bind_norm_vector(b, b->n->routed_fed_norm, width, &l->routed_fed_norm) : s;
}

/* The router's norm, and the experts' scales. */
static sl_status router_extras(const sl__binder *b, sl_layer *l) {
    sl_status s = b->family->router_normed ? whole_vector(b, b->n->router_scale, b->hp->width, &l->router_norm) : SL_OK;
    return s == SL_OK && b->family->expert_scales ? whole_vector(b, b->n->expert_scale, b->hp->experts, &l->expert_scale) : s;
}

/* What a layer has of a token for itself. */
static sl_status own_input(const sl__binder *b, sl_layer *l) {
    int values = b->hp->layer_input, width = b->hp->width;
    sl_status s = sl__bind_matrix(b, b->n->layer_own_gate, values, width, &l->own_gate);
    if (s == SL_OK) s = sl__bind_matrix(b, b->n->layer_own_projection, width, values, &l->own_projection);
    return s == SL_OK ? sl__bind_norm_vector(b, b->n->layer_own_norm, width, &l->own_norm) : s;
}

/* Likewise, for all layers together. */
static sl_status own_inputs(sl__binder *b) {
    sl_model *m = &b->o->model;
    int values = b->hp->layer_input, all = values * b->hp->layers;
    const struct {
        const char *name;
        int rows, cols;
        sl_matrix *ret;
    } matrices[] = {{b->n->own_inputs, b->hp->vocab, all, &m->own_inputs}, {b->n->own_projection, all, b->hp->width, &m->own_projection}};
    char full[SL__BIND_NAME];
    b->layer = -1;
    for (int i = 0; i < 2; i++) {
        sl__tensor *t = sl__bind_find(b, full, "%s", matrices[i].name);
        if (!t) return sl__bind_missing(b, full);
        sl_status s = sl__bind_take(b, t, 1, (uint64_t)matrices[i].rows, (uint64_t)matrices[i].cols);
        if (s != SL_OK) return s;
        *matrices[i].ret = sl__bind_part(t, 0, matrices[i].rows, 0, matrices[i].rows, matrices[i].cols);
    }
    return whole_vector(b, b->n->own_norm, values, &m->own_norm);
}

/* Tensors of keys that a layer has, though it attends to another's: nobody reads them. */
static void pass_over_keys(const sl__binder *b) {
    const char *const names[] = {b->n->k, b->n->v, b->n->k_norm};
    char full[SL__BIND_NAME];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        sl__tensor *t = sl__bind_find(b, full, "%s.weight", names[i]);
        if (t) t->ignored = true;
    }
}

static sl_status feed_forward(const sl__binder *b, sl_layer *l) {
    bool sparse = b->hp->sparse[b->layer], beside = sparse && b->hp->dense_beside;
    sl_status s = block_norms(b, l);
    if (s == SL_OK && (!sparse || beside)) s = sl__bind_ffn(b, b->n->ffn, sl_ff(b->hp, b->layer), &l->dense);
    if (s == SL_OK && beside) s = beside_norms(b, l);
    if (s == SL_OK && sparse) s = sl__bind_routed(b, l);
    return s == SL_OK && sparse ? router_extras(b, l) : s;
}

sl_status sl__bind(sl__open *o, bool gguf, sl_error *e) {
    sl__names own = names_of(o->model.family, &o->tensors);
    sl__binder b = {.o = o, .n = gguf ? &gguf_names : &own, .family = o->model.family, .hp = &o->model.hp, .gguf = gguf, .e = e};
    o->layer = sl_arena_array(o->arena, SL_MEM_METADATA, (size_t)b.hp->layers, sizeof *o->layer);
    if (!o->layer) return sl_fail(e, SL_NOMEM, "out of memory for the layers");
    o->model.layer = o->layer;
    sl_status s = globals(&b);
    if (s == SL_OK && b.hp->layer_input) s = own_inputs(&b);
    for (int i = 0; i < b.hp->layers && s == SL_OK; i++) {
        b.layer = i;
        sl_layer *l = &o->layer[i];
        s = b.hp->mixer[i] == SL_MIXER_DELTA ? sl__bind_delta(&b, l) : attention(&b, l);
        if (s == SL_OK) s = feed_forward(&b, l);
        if (s == SL_OK && b.hp->layer_input) s = own_input(&b, l);
        if (b.hp->keys_of[i]) pass_over_keys(&b);
        if (s == SL_OK && b.family->stream_scaled) s = whole_vector(&b, b.n->stream_scale, 1, &l->stream_scale);
    }
    if (s == SL_OK) s = refuse_unread(&b);
    return s;
}

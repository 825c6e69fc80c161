/* The key-values of a new file. Of a GGUF file they are taken over byte by byte, but for those that speak of its types and
 * parts; of a folder they are made from the hyperparameters, in the spelling and with the value types that llama.cpp wants
 * (it refuses others: counts are u32, factors f32). */
#include "convert/internal.h"

#include "base/fmath.h"
#include "base/json.h"

#include <stdio.h>
#include <string.h>

enum { U16 = 2, U32 = 4, I32 = 5, F32 = 6, BOOL = 7, STRING = 8, ARRAY = 9 }; /* GGUF's value types */

void sl__put_bytes(sl__keys *k, const void *data, size_t len) { sl_buffer_append(&k->bytes, data, len); }

void sl__put_text(sl__keys *k, const char *text, size_t len) {
    uint64_t n = len;
    sl__put_bytes(k, &n, sizeof n);
    sl__put_bytes(k, text, len);
}

static void put_key(sl__keys *k, const char *key, uint32_t type) {
    sl__put_text(k, key, strlen(key));
    sl__put_bytes(k, &type, sizeof type);
    k->count++;
}

static void put(sl__keys *k, const char *key, uint32_t type, const void *value, size_t size) {
    put_key(k, key, type);
    sl__put_bytes(k, value, size);
}

void sl__put_u16(sl__keys *k, const char *key, uint16_t x) { put(k, key, U16, &x, sizeof x); }
void sl__put_u32(sl__keys *k, const char *key, uint32_t x) { put(k, key, U32, &x, sizeof x); }
void sl__put_i32(sl__keys *k, const char *key, int32_t x) { put(k, key, I32, &x, sizeof x); }
void sl__put_float(sl__keys *k, const char *key, float x) { put(k, key, F32, &x, sizeof x); }
void sl__put_bool(sl__keys *k, const char *key, bool x) { put(k, key, BOOL, &(uint8_t){x}, 1); }

void sl__put_string(sl__keys *k, const char *key, const char *text) {
    put_key(k, key, STRING);
    sl__put_text(k, text, strlen(text));
}

void sl__put_array(sl__keys *k, const char *key, uint32_t element_type, uint64_t count) {
    put_key(k, key, ARRAY);
    sl__put_bytes(k, &element_type, sizeof element_type);
    sl__put_bytes(k, &count, sizeof count);
}

/* Is it `exact`, or does it begin with `prefix` (which ends with a dot)? */
static bool key_is(const sl_key_entry *x, const char *name) {
    size_t n = strlen(name);
    return name[n - 1] == '.' ? x->key_len > n && memcmp(x->key, name, n) == 0 : x->key_len == n && memcmp(x->key, name, n) == 0;
}

/* Everything but what the new file says for itself: its types, alignment and parts, and what its codes were weighted by. */
static void take_over(const sl_model *m, sl__keys *k) {
    static const char *const own[] = {"general.file_type", "general.quantization_version", "general.alignment", "split.", "quantize."};
    sl_key_entry x;
    for (int i = 0; sl_model_key(m, i, &x); i++) {
        bool skip = false;
        for (size_t j = 0; j < sizeof own / sizeof *own; j++) skip = skip || key_is(&x, own[j]);
        if (skip) continue;
        sl__put_text(k, x.key, x.key_len);
        sl__put_bytes(k, x.bytes, x.size);
        k->count++;
    }
}

/* "ARCH.name" */
static const char *below(char buf[128], const char *arch, const char *name) {
    snprintf(buf, 128, "%s.%s", arch, name);
    return buf;
}

const char *sl__architecture(const sl_family *f) { return f->gguf_arch ? f->gguf_arch : f->gguf_as; }

/* The window, and which layers have it where not all do, unless readers know both by the architecture. */
static void put_windows(const sl_model *m, const char *arch, sl__keys *k, sl_notes *notes) {
    const sl_hparams *hp = &m->hp;
    const sl_family *f = m->family;
    int window = 0;
    bool all = true, usual = f->gguf_window != 0;
    char b[128];
    for (int i = 0; i < hp->layers; i++) {
        if (hp->window[i]) window = hp->window[i];
        all = all && hp->window[i];
        usual = usual && (hp->window[i] != 0) == !hp->unrotated[i];
    }
    if (!window && !f->gguf_window) return;
    if (window != f->gguf_window) sl__put_u32(k, below(b, arch, "attention.sliding_window"), (uint32_t)window);
    if (window && f->gguf_window && !(usual && window == f->gguf_window))
        sl_notes_add(notes, "%s: chunks of %d positions, or layers that have them, are others than llama.cpp expects of \"%s\": "
                            "it will answer otherwise",
                     m->path, window, arch);
    if (usual || !window) return;
    if (all && !m->family->default_window_interval && !m->family->default_window_layers && !m->family->hf_window_switch) return;
    sl__put_array(k, below(b, arch, "attention.sliding_window_pattern"), BOOL, (uint64_t)hp->layers);
    for (int i = 0; i < hp->layers; i++) sl__put_bytes(k, &(uint8_t){hp->window[i] != 0}, 1);
}

static void put_scales(const sl_model *m, const char *arch, sl__keys *k) {
    const sl_hparams *hp = &m->hp;
    char b[128];
    float logits = hp->logit_scale != 0 ? hp->logit_scale : 1;
    if (hp->logit_cap != 0) sl__put_float(k, below(b, arch, "final_logit_softcapping"), hp->logit_cap);
    if (m->family->hf_logit_scale_key) sl__put_float(k, below(b, arch, "logit_scale"), logits);
    if (!m->family->multipliers) return;
    sl__put_float(k, below(b, arch, "logit_scale"), 1 / logits);
    sl__put_float(k, below(b, arch, "embedding_scale"), hp->embedding_scale != 0 ? hp->embedding_scale : 1);
    sl__put_float(k, below(b, arch, "residual_scale"), hp->residual_scale != 0 ? hp->residual_scale : 1);
    sl__put_float(k, below(b, arch, "attention.scale"), hp->attention_scale);
}

/* A number that all layers have, or one for each. */
static void put_by_layer(sl__keys *k, const char *key, const int *x, int layers) {
    bool same = true;
    for (int i = 1; i < layers; i++) same = same && x[i] == x[0];
    if (same) {
        sl__put_u32(k, key, (uint32_t)x[0]);
        return;
    }
    sl__put_array(k, key, I32, (uint64_t)layers);
    for (int i = 0; i < layers; i++) sl__put_bytes(k, &(int32_t){x[i]}, sizeof(int32_t));
}

/* The size of a head is said for layers without a window, and once more for those with one if there it is another. */
static void put_heads(const sl_hparams *hp, const char *arch, sl__keys *k) {
    int dim = hp->head_dim[0], in_window = 0;
    char b[128];
    for (int i = hp->layers - 1; i >= 0; i--) *(hp->window[i] ? &in_window : &dim) = hp->head_dim[i];
    put_by_layer(k, below(b, arch, "attention.head_count"), hp->heads, hp->layers);
    put_by_layer(k, below(b, arch, "attention.head_count_kv"), hp->kv_heads, hp->layers);
    sl__put_u32(k, below(b, arch, "attention.key_length"), (uint32_t)dim);
    sl__put_u32(k, below(b, arch, "attention.value_length"), (uint32_t)dim);
    if (!in_window || in_window == dim) return;
    sl__put_u32(k, below(b, arch, "attention.key_length_swa"), (uint32_t)in_window);
    sl__put_u32(k, below(b, arch, "attention.value_length_swa"), (uint32_t)in_window);
}

static void put_ff(const sl_hparams *hp, const char *arch, sl__keys *k) {
    int ff[SL_MAX_LAYERS];
    char b[128];
    for (int i = 0; i < hp->layers; i++) ff[i] = hp->ff ? sl_ff(hp, i) : hp->expert_ff;
    put_by_layer(k, below(b, arch, "feed_forward_length"), ff, hp->layers);
}

static void put_temperature(const sl_model *m, const char *arch, sl__keys *k, sl_notes *notes) {
    const sl_hparams *hp = &m->hp;
    char b[128];
    if (hp->temperature_length == m->family->default_temperature_length && hp->temperature_scale == m->family->default_temperature_scale) return;
    sl__put_u32(k, below(b, arch, "attention.temperature_length"), (uint32_t)hp->temperature_length);
    sl__put_float(k, below(b, arch, "attention.temperature_scale"), hp->temperature_scale);
    sl_notes_add(notes, "%s: queries grow otherwise than llama.cpp expects of \"%s\" (floor_scale, attn_scale): it will answer "
                        "otherwise", m->path, arch);
}

static void put_sizes(const sl_model *m, const char *arch, sl__keys *k, sl_notes *notes) {
    const sl_hparams *hp = &m->hp;
    char b[128];
    sl__put_u32(k, below(b, arch, "vocab_size"), (uint32_t)hp->vocab);
    sl__put_u32(k, below(b, arch, "context_length"), (uint32_t)hp->context);
    sl__put_u32(k, below(b, arch, "embedding_length"), (uint32_t)hp->width);
    sl__put_u32(k, below(b, arch, "block_count"), (uint32_t)hp->layers);
    put_ff(hp, arch, k);
    put_heads(hp, arch, k);
    bool layer = hp->norm == SL_NORM_LAYER && m->family->hf_layer_norm_eps_key;
    sl__put_float(k, below(b, arch, layer ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon"), hp->norm_eps);
    put_windows(m, arch, k, notes);
    put_temperature(m, arch, k, notes);
    put_scales(m, arch, k);
    if (hp->qkv_clip != 0) sl__put_float(k, below(b, arch, "attention.clamp_kqv"), hp->qkv_clip);
    int shared = 0;
    for (int i = 0; i < hp->layers; i++) shared += hp->keys_of[i] != 0;
    if (m->family->hf_shared_keys_key) sl__put_u32(k, below(b, arch, "attention.shared_kv_layers"), (uint32_t)shared);
    if (m->family->hf_shared_keys_key) sl__put_u32(k, below(b, arch, "embedding_length_per_layer_input"), (uint32_t)hp->layer_input);
}

/* What the router does with its logits, in so far as keys say it. */
static void put_router(const sl_model *m, const char *arch, sl__keys *k, sl_notes *notes) {
    const sl_hparams *hp = &m->hp;
    const sl_family *f = m->family;
    bool sigmoid = hp->router_score == SL_ROUTER_SIGMOID, sum = hp->router_norm == SL_ROUTER_SUM;
    bool unexpected = hp->router_norm != f->router_norm && hp->router_norm != SL_ROUTER_SHARE;
    char b[128];
    if (sigmoid) sl__put_u32(k, below(b, arch, "expert_gating_func"), (uint32_t)sl_router_score_code(hp->router_score));
    else if (f->hf_router_score_key) /* the softmax over all, divided by the sum of the chosen: their softmax */
        sl__put_u32(k, below(b, arch, "expert_gating_func"), (uint32_t)sl_router_score_code(SL_ROUTER_SOFTMAX));
    if (f->hf_router_scale_key) sl__put_float(k, below(b, arch, "expert_weights_scale"), hp->router_scale);
    /* Peers write this for sigmoid routers; of others they know it by the architecture. */
    if (unexpected || ((sigmoid || f->hf_router_score_key) && f->hf_router_norm_key))
        sl__put_bool(k, below(b, arch, "expert_weights_norm"), sum || hp->router_norm == SL_ROUTER_SHARE);
    if (unexpected)
        sl_notes_add(notes, "%s: the experts' weights are %s, which llama.cpp does not expect of \"%s\": it will answer otherwise", m->path,
                     sum ? "divided by their sum" : "not divided by their sum", arch);
    if (!f->router_groups) return;
    sl__put_u32(k, below(b, arch, "expert_group_count"), (uint32_t)hp->router_groups);
    sl__put_u32(k, below(b, arch, "expert_group_used_count"), (uint32_t)hp->router_groups_used);
}

/* Every so many of the layers from `first` on, counted from 1, routes, as llama.cpp finds them. */
static void put_interval(const sl_model *m, const char *arch, int first, sl__keys *k, sl_notes *notes) {
    const sl_hparams *hp = &m->hp;
    int second = first + 1, interval;
    char b[128];
    while (second < hp->layers && !hp->sparse[second]) second++;
    interval = second < hp->layers ? second - first : 1;
    sl__put_u32(k, below(b, arch, "interleave_moe_layer_step"), (uint32_t)interval);
    for (int i = first; i < hp->layers; i++) {
        if (hp->sparse[i] == ((i + 1) % interval == 0)) continue;
        sl_notes_add(notes, "%s: layer %d is another one than llama.cpp expects of \"%s\", which does not load the file", m->path, i, arch);
        return;
    }
}

static void put_experts(const sl_model *m, const char *arch, sl__keys *k, sl_notes *notes) {
    const sl_hparams *hp = &m->hp;
    const sl_family *f = m->family;
    char b[128];
    int dense = 0; /* layers before the first that routes */
    while (dense < hp->layers && !hp->sparse[dense]) dense++;
    sl__put_u32(k, below(b, arch, "expert_count"), (uint32_t)hp->experts);
    sl__put_u32(k, below(b, arch, "expert_used_count"), (uint32_t)hp->experts_used);
    /* Where a family's config has one width for both, so has its architecture, most often. */
    if (f->gguf_expert_ff || strcmp(f->hf_expert_ff_key, "intermediate_size") != 0)
        sl__put_u32(k, below(b, arch, "expert_feed_forward_length"), (uint32_t)hp->expert_ff);
    if (hp->shared_ff) sl__put_u32(k, below(b, arch, "expert_shared_feed_forward_length"), (uint32_t)hp->shared_ff);
    if (f->hf_shared_count_key) sl__put_u32(k, below(b, arch, "expert_shared_count"), (uint32_t)(hp->shared_ff / hp->expert_ff));
    if (f->hf_dense_first_key || f->hf_layer_range) sl__put_u32(k, below(b, arch, "leading_dense_block_count"), (uint32_t)dense);
    if (f->hf_layer_range || f->hf_layer_list) put_interval(m, arch, dense, k, notes);
    put_router(m, arch, k, notes);
}

/* Of a model in which no layer routes, though its family has experts. Keys about experts would say what is not there. */
static void put_no_experts(const sl_model *m, const char *arch, sl__keys *k, sl_notes *notes) {
    const sl_family *f = m->family;
    char b[128];
    if (!f->routed || f->hf_routed_key) return; /* such models are usual */
    if (f->hf_dense_first_key || f->hf_layer_range) sl__put_u32(k, below(b, arch, "leading_dense_block_count"), (uint32_t)m->hp.layers);
    if (f->hf_layer_list) sl__put_u32(k, below(b, arch, "interleave_moe_layer_step"), 0);
    else sl_notes_add(notes, "%s: no layer routes: llama.cpp, which expects experts of \"%s\", may not load the file", m->path, arch);
}

/* yarn's own factor on cosine and sine is 1 + 0.1 ln(factor); a file says what to multiply that by. */
static void put_attention_factor(const sl_hparams *hp, const char *arch, sl__keys *k) {
    double own = hp->rope_scaling == SL_ROPE_YARN ? 1 + 0.1 * (hp->rope_factor > 1 ? sl_logd((double)hp->rope_factor) : 0) : 1;
    char b[128];
    float factor = (float)((double)hp->rope_attention / own), best = factor;
    if (hp->rope_attention == (float)own) return;
    for (int i = -4; i <= 4; i++) { /* the float that a reader multiplies to exactly this one, if there is one */
        uint32_t bits;
        float near;
        memcpy(&bits, &factor, sizeof bits);
        bits += (uint32_t)i;
        memcpy(&near, &bits, sizeof near);
        if ((float)((double)near * own) == hp->rope_attention) best = near;
    }
    sl__put_float(k, below(b, arch, "rope.scaling.attn_factor"), best);
}

bool sl__keeps_long_rope(const sl_hparams *hp) { return hp->rope_long && hp->rope_long_attention == hp->rope_attention; }

static sl_status put_rope(const sl_model *m, const char *arch, sl__keys *k, sl_error *e) {
    const sl_hparams *hp = &m->hp;
    char b[128];
    sl__put_u32(k, below(b, arch, "rope.dimension_count"), (uint32_t)hp->rope_dims);
    sl__put_float(k, below(b, arch, "rope.freq_base"), hp->rope_theta);
    if (hp->window_rope_theta != 0) sl__put_float(k, below(b, arch, "rope.freq_base_swa"), hp->window_rope_theta);
    if (hp->window_rope_theta != 0 && hp->window_rope_dims != hp->rope_dims)
        sl__put_u32(k, below(b, arch, "rope.dimension_count_swa"), (uint32_t)hp->window_rope_dims);
    put_attention_factor(hp, arch, k);
    if (hp->rope_scaling == SL_ROPE_DIVIDED) {
        sl__put_string(k, below(b, arch, "rope.scaling.type"), "longrope");
        sl__put_u32(k, below(b, arch, "rope.scaling.original_context_length"), (uint32_t)hp->rope_original);
    }
    if (hp->rope_scaling == SL_ROPE_LINEAR || hp->rope_scaling == SL_ROPE_YARN) {
        sl__put_string(k, below(b, arch, "rope.scaling.type"), hp->rope_scaling == SL_ROPE_YARN ? "yarn" : "linear");
        sl__put_float(k, below(b, arch, "rope.scaling.factor"), hp->rope_factor);
    }
    if (hp->rope_scaling != SL_ROPE_YARN) return SL_OK; /* llama3 is in the tensor rope_freqs */
    if (hp->rope_truncate == m->family->gguf_yarn_unrounded)
        return sl_fail(e, SL_UNSUPPORTED, "%s: yarn %s rounded corners (truncate: %s) is nothing that GGUF can say of \"%s\"", m->path,
                       hp->rope_truncate ? "with" : "without", hp->rope_truncate ? "true" : "false", arch);
    sl__put_u32(k, below(b, arch, "rope.scaling.original_context_length"), (uint32_t)hp->rope_original);
    if (hp->rope_high != 32) sl__put_float(k, below(b, arch, "rope.scaling.yarn_beta_fast"), hp->rope_high);
    if (hp->rope_low != 1) sl__put_float(k, below(b, arch, "rope.scaling.yarn_beta_slow"), hp->rope_low);
    return SL_OK;
}

/* generation_config.json's defaults, which peers carry as well. */
static sl_status put_sampling(const sl_vocab_source *v, sl__keys *k, sl_error *e) {
    static const struct {
        const char *from, *to;
    } floats[] = {{"temperature", "general.sampling.temp"}, {"top_p", "general.sampling.top_p"}, {"min_p", "general.sampling.min_p"},
                  {"repetition_penalty", "general.sampling.penalty_repeat"}};
    sl_json top, at;
    if (!v->generation_config_json) return SL_OK;
    sl_status s = sl_json_parse_python(v->generation_config_json, v->generation_config_json_len, "generation_config.json", &top, e);
    if (s != SL_OK) return s;
    int64_t top_k = -1;
    s = sl_json_opt_int(&top, "top_k", 0, INT32_MAX, &top_k, e);
    if (s == SL_OK && top_k >= 0) sl__put_i32(k, "general.sampling.top_k", (int32_t)top_k);
    for (size_t i = 0; i < sizeof floats / sizeof *floats && s == SL_OK; i++) {
        double x = 0;
        if (!sl_json_get(&top, floats[i].from, &at)) continue;
        s = sl_json_float(&at, -1e30, 1e30, &x, e);
        if (s == SL_OK) sl__put_float(k, floats[i].to, (float)x);
    }
    json_decref(top.v);
    return s;
}

/* Sizes of gated delta nets. Which layers they are tensors tell; peers want an interval too. */
static void put_delta(const sl_model *m, const char *arch, sl__keys *k, sl_notes *notes) {
    const sl_hparams *hp = &m->hp;
    char b[128];
    int interval = 1;
    while (interval < hp->layers && hp->mixer[interval - 1] == SL_MIXER_DELTA) interval++;
    sl__put_u32(k, below(b, arch, "ssm.conv_kernel"), (uint32_t)hp->delta_taps);
    sl__put_u32(k, below(b, arch, "ssm.state_size"), (uint32_t)hp->delta_key_dim);
    sl__put_u32(k, below(b, arch, "ssm.group_count"), (uint32_t)hp->delta_key_heads);
    sl__put_u32(k, below(b, arch, "ssm.time_step_rank"), (uint32_t)hp->delta_value_heads);
    sl__put_u32(k, below(b, arch, "ssm.inner_size"), (uint32_t)sl_delta_values(hp));
    sl__put_u32(k, below(b, arch, "full_attention_interval"), (uint32_t)interval);
    for (int i = 0; i < hp->layers; i++) {
        if ((hp->mixer[i] == SL_MIXER_DELTA) == ((i + 1) % interval != 0)) continue;
        sl_notes_add(notes, "%s: layer %d is another one than llama.cpp expects of \"%s\", which does not load the file", m->path, i, arch);
        return;
    }
}

/* The axes of pictures' positions, which readers want; a text's are all the same. */
static void put_sections(const char *arch, sl__keys *k) {
    static const int32_t sections[] = {11, 11, 10, 0}; /* as in all released models */
    char b[128];
    sl__put_array(k, below(b, arch, "rope.dimension_sections"), I32, 4);
    sl__put_bytes(k, sections, sizeof sections);
}

static sl_status make(const sl_model *m, sl__keys *k, sl_notes *notes, sl_error *e) {
    const char *arch = sl__architecture(m->family);
    if (!arch) return sl_fail(e, SL_UNSUPPORTED, "%s: family %s has no GGUF architecture", m->path, m->family->name);
    sl__put_string(k, "general.architecture", arch);
    sl__put_string(k, "general.type", "model");
    sl__put_string(k, "general.name", m->name);
    if (m->hp.activation_alpha != m->family->default_activation_alpha || m->hp.activation_limit != m->family->default_activation_limit)
        return sl_fail(e, SL_UNSUPPORTED,
                       "%s: a gate with other bounds than the usual (swiglu_limit, swiglu_alpha) is nothing that GGUF can say",
                       m->path);
    sl_status s = put_sampling(sl_model_vocab(m), k, e);
    put_sizes(m, arch, k, notes);
    if (m->family->delta_mixers) put_delta(m, arch, k, notes);
    if (m->family->gguf_rope_sections) put_sections(arch, k);
    if (m->hp.experts) put_experts(m, arch, k, notes);
    else put_no_experts(m, arch, k, notes);
    for (int i = 0; m->family->hf_dense_rule && m->hp.experts && i < m->hp.layers; i++) {
        if (m->hp.sparse[i]) continue;
        sl_notes_add(notes, "%s: not every layer routes (layer %d does not): llama.cpp does not load such a \"%s\"", m->path, i, arch);
        break;
    }
    if (m->hp.qkv_clip != 0) sl_notes_add(notes, "%s: q, k and v are clipped, which llama.cpp does not do for \"%s\"", m->path, arch);
    return s == SL_OK ? put_rope(m, arch, k, e) : s;
}

sl_status sl__keys_model(const sl__plan *p, const sl__mix *mix, sl__keys *k, sl_notes *notes, sl_error *e) {
    bool quantised = false;
    sl_status s = SL_OK;
    const sl_hparams *hp = &p->model->hp;
    if (hp->rope_long && !sl__keeps_long_rope(hp))
        sl_notes_add(notes, "%s: the rope divisors for sequences of more than %d positions are not kept: GGUF has no factor on "
                            "attention of their own",
                     p->model->path, hp->rope_original);
    if (strcmp(p->model->container, "gguf") == 0) take_over(p->model, k);
    else s = make(p->model, k, notes, e);
    if (s != SL_OK) return s;
    for (int i = 0; i < p->count; i++) quantised = quantised || sl_types[p->out[i].type].quantised;
    sl__put_u32(k, "general.file_type", (uint32_t)mix->file_type);
    if (quantised) sl__put_u32(k, "general.quantization_version", 2);
    return SL_OK;
}

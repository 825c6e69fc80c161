/* GGUF keys to hyperparameters. Keys begin with the architecture ("qwen3moe.block_count"). A key whose value would change
 * the answer and is not supported is refused by name. Where no key tells, tensors do: which layers route, how wide an
 * expert is. */
#include "model/internal.h"

#include "base/fmath.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct keys {
    const sl__gguf *g;
    const char *arch;
    char name[128];
} keys;

static const char *name_of(keys *k, const char *key) {
    snprintf(k->name, sizeof k->name, "%s.%s", k->arch, key);
    return k->name;
}

static sl_status get_int(keys *k, const char *key, bool required, int lo, int hi, int *ret, sl_error *e) {
    int64_t x = *ret;
    sl_status s = sl__gguf_uniform(k->g, name_of(k, key), required, lo, hi, &x, e);
    if (s == SL_OK) *ret = (int)x;
    return s;
}

static sl_status get_float(keys *k, const char *key, bool required, double lo, double hi, float *ret, sl_error *e) {
    double x = (double)*ret;
    sl_status s = sl__gguf_float(k->g, name_of(k, key), required, lo, hi, &x, e);
    if (s == SL_OK) *ret = (float)x;
    return s;
}

/* Keys that are read by no code here and must have a neutral value. */
static sl_status refuse_others(keys *k, const sl_hparams *hp, sl_error *e) {
    static const struct {
        const char *key;
        double neutral; /* 0 is neutral as well */
    } floats[] = {
        {"embedding_scale", 1}, {"residual_scale", 1}, {"logit_scale", 1}, {"expert_weights_scale", 1},
        {"final_logit_softcapping", 0}, {"attn_logit_softcapping", 0}, {"router_logit_softcapping", 0},
        {"rope.scaling.yarn_log_multiplier", 0},
    };
    static const struct {
        const char *key;
        int neutral;
    } ints[] = {
        {"attention.q_lora_rank", 0}, {"attention.kv_lora_rank", 0}, {"attention.key_length_mla", 0},
        {"attention.value_length_mla", 0}, {"expert_group_count", 1}, {"expert_gating_func", 1},
        {"nextn_predict_layers", 0}, {"shortconv.l_cache", 0},
    };
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
        float x = 0;
        sl_status s = get_float(k, floats[i].key, false, -1e30, 1e30, &x, e);
        if (s != SL_OK) return s;
        if (x != 0 && (double)x != floats[i].neutral) return sl_fail(e, SL_UNSUPPORTED, "%s is %g, which is not supported", k->name, (double)x);
    }
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
        int x = 0;
        sl_status s = get_int(k, ints[i].key, false, 0, INT32_MAX, &x, e);
        if (s != SL_OK) return s;
        if (x != 0 && x != ints[i].neutral) return sl_fail(e, SL_UNSUPPORTED, "%s is %d, which is not supported", k->name, x);
    }
    int window = 0;
    float scale = 0;
    sl_status s = get_int(k, "attention.sliding_window", false, 0, INT32_MAX, &window, e);
    if (s == SL_OK) s = get_float(k, "attention.scale", false, 0, 1e30, &scale, e);
    if (s != SL_OK) return s;
    if (window != 0 && window < hp->context)
        return sl_fail(e, SL_UNSUPPORTED, "%s.attention.sliding_window is %d: sliding windows are not supported", k->arch, window);
    float usual = 1 / sl_sqrtf((float)hp->head_dim);
    if (scale != 0 && (scale < 0.999f * usual || scale > 1.001f * usual))
        return sl_fail(e, SL_UNSUPPORTED, "%s.attention.scale is %g, which is not supported", k->arch, (double)scale);
    return SL_OK;
}

static sl_status read_yarn(keys *k, sl_hparams *hp, sl_error *e) {
    float ext = 1, attn = 1, yarn_attn = 1;
    hp->rope_low = 1;
    hp->rope_high = 32;
    hp->rope_original = hp->context;
    sl_status s = get_int(k, "rope.scaling.original_context_length", false, 1, INT32_MAX, &hp->rope_original, e);
    if (s == SL_OK) s = get_float(k, "rope.scaling.yarn_beta_slow", false, 1e-3, 1e6, &hp->rope_low, e);
    if (s == SL_OK) s = get_float(k, "rope.scaling.yarn_beta_fast", false, 1e-3, 1e6, &hp->rope_high, e);
    if (s == SL_OK) s = get_float(k, "rope.scaling.yarn_ext_factor", false, 0, 1e6, &ext, e);
    if (s == SL_OK) s = get_float(k, "rope.scaling.yarn_attn_factor", false, 1e-3, 1e6, &yarn_attn, e);
    if (s == SL_OK) s = get_float(k, "rope.scaling.attn_factor", false, 1e-3, 1e6, &attn, e);
    if (s != SL_OK) return s;
    if (ext != 1) return sl_fail(e, SL_UNSUPPORTED, "%s.rope.scaling.yarn_ext_factor is %g, which is not supported", k->arch, (double)ext);
    hp->rope_scaling = SL_ROPE_YARN;
    double log_factor = hp->rope_factor > 1 ? sl_logd((double)hp->rope_factor) : 0;
    hp->rope_attention = (float)((double)attn * (double)yarn_attn * (1 + 0.1 * log_factor));
    return SL_OK;
}

static sl_status read_rope(keys *k, sl_arena *arena, sl_hparams *hp, sl_error *e) {
    const char *type = "linear";
    float factor = 0;
    hp->rope_dims = hp->head_dim;
    hp->rope_theta = 10000;
    sl_status s = get_int(k, "rope.dimension_count", false, 2, INT32_MAX, &hp->rope_dims, e);
    if (s == SL_OK) s = get_float(k, "rope.freq_base", false, 1, 1e12, &hp->rope_theta, e);
    if (s == SL_OK) s = get_float(k, "rope.scale_linear", false, 0, 1e6, &factor, e);
    if (s == SL_OK) s = get_float(k, "rope.scaling.factor", false, 0, 1e6, &factor, e);
    if (s == SL_OK) s = sl__gguf_string(k->g, name_of(k, "rope.scaling.type"), false, arena, SL_MEM_METADATA, &type, e);
    if (s != SL_OK) return s;
    if (strcmp(type, "none") == 0) return SL_OK;
    hp->rope_factor = factor == 0 ? 1 : factor;
    if (strcmp(type, "yarn") == 0) return read_yarn(k, hp, e);
    if (strcmp(type, "linear") != 0)
        return sl_fail(e, SL_UNSUPPORTED, "%s.rope.scaling.type \"%.40s\" is not supported", k->arch, type);
    if (hp->rope_factor != 1) hp->rope_scaling = SL_ROPE_LINEAR;
    return SL_OK;
}

/* Rows of the first layer's expert tensor, where no key tells how wide an expert is. */
static void width_from(const sl__open *o, const char *suffix, int *ret) {
    for (int i = 0; i < o->model.hp.layers; i++) {
        char name[80];
        snprintf(name, sizeof name, "blk.%d.%s", i, suffix);
        const sl__tensor *t = sl__tensors_find(&o->tensors, name);
        if (!t || t->dims < 2 || t->shape[t->dims - 2] > INT32_MAX) continue;
        *ret = (int)t->shape[t->dims - 2];
        return;
    }
}

static sl_status read_experts(keys *k, sl__open *o, sl_error *e) {
    sl_hparams *hp = &o->model.hp;
    const sl_family *f = o->model.family;
    bool norm = hp->router_norm == SL_ROUTER_SUM, given = norm;
    bool own_width = strcmp(f->hf_expert_ff_key, "intermediate_size") != 0;
    sl_status s = get_int(k, "expert_used_count", true, 1, hp->experts, &hp->experts_used, e);
    if (s == SL_OK) s = get_int(k, "expert_feed_forward_length", false, 1, INT32_MAX, &hp->expert_ff, e);
    if (s == SL_OK && f->shared_gate != SL_SHARED_NONE)
        s = get_int(k, "expert_shared_feed_forward_length", false, 0, INT32_MAX, &hp->shared_ff, e);
    if (s == SL_OK) s = sl__gguf_bool(k->g, name_of(k, "expert_weights_norm"), &given, e);
    if (s != SL_OK) return s;
    if (f->hf_router_norm_key) hp->router_norm = given ? SL_ROUTER_SUM : SL_ROUTER_KEEP;
    else if (given != norm) return sl_fail(e, SL_UNSUPPORTED, "%s is %s, which is not supported", k->name, given ? "true" : "false");
    if (hp->expert_ff == 0 && !own_width) hp->expert_ff = hp->ff;
    if (hp->expert_ff == 0) width_from(o, "ffn_gate_exps.weight", &hp->expert_ff);
    if (hp->shared_ff == 0 && f->shared_gate != SL_SHARED_NONE) width_from(o, "ffn_gate_shexp.weight", &hp->shared_ff);
    return SL_OK;
}

/* A layer routes if it has a router. */
static void find_sparse(sl__open *o) {
    sl_hparams *hp = &o->model.hp;
    bool dense = false;
    for (int i = 0; i < hp->layers; i++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%d.ffn_gate_inp.weight", i);
        hp->sparse[i] = hp->experts > 0 && sl__tensors_find(&o->tensors, name);
        dense = dense || !hp->sparse[i];
    }
    if (!dense) hp->ff = 0;
}

static sl_status choose_family(const sl__gguf *g, sl__open *o, const char **ret_arch, int *ret_experts, sl_error *e) {
    const char *arch = NULL, *type = "model";
    int64_t experts = 0;
    char key[128];
    sl_status s = sl__gguf_string(g, "general.architecture", true, o->arena, SL_MEM_METADATA, &arch, e);
    if (s == SL_OK) s = sl__gguf_string(g, "general.type", false, o->arena, SL_MEM_METADATA, &type, e);
    if (s != SL_OK) return s;
    if (strcmp(type, "model") != 0) return sl_fail(e, SL_UNSUPPORTED, "general.type is \"%.40s\": this file is no language model", type);
    if (strlen(arch) > 60) return sl__family_unknown("architecture", arch, true, e);
    snprintf(key, sizeof key, "%s.expert_count", arch);
    s = sl__gguf_int(g, key, false, 0, SL_MAX_EXPERTS, &experts, e);
    if (s != SL_OK) return s;
    o->model.family = sl_family_by_gguf(arch, experts > 0);
    if (!o->model.family) {
        const sl_family *other = sl_family_by_gguf(arch, experts == 0);
        if (!other) return sl__family_unknown("architecture", arch, true, e);
        return sl_fail(e, SL_FORMAT, "architecture \"%s\" %s, but %s is %" PRId64, arch, other->routed ? "has experts" : "is dense", key,
                       experts);
    }
    *ret_arch = arch;
    *ret_experts = (int)experts;
    return SL_OK;
}

static sl_status read_sizes(keys *k, sl_hparams *hp, sl_error *e) {
    int value_length = 0;
    sl_status s = get_int(k, "block_count", true, 1, SL_MAX_LAYERS, &hp->layers, e);
    if (s == SL_OK) s = get_int(k, "context_length", true, 1, INT32_MAX, &hp->context, e);
    if (s == SL_OK) s = get_int(k, "embedding_length", true, 1, INT32_MAX, &hp->width, e);
    if (s == SL_OK) s = get_int(k, "feed_forward_length", false, 0, INT32_MAX, &hp->ff, e);
    if (s == SL_OK) s = get_int(k, "attention.head_count", true, 1, 65536, &hp->heads, e);
    if (s != SL_OK) return s;
    hp->kv_heads = hp->heads;
    hp->head_dim = hp->width / hp->heads;
    s = get_int(k, "attention.head_count_kv", false, 1, hp->heads, &hp->kv_heads, e);
    if (s == SL_OK) s = get_int(k, "attention.key_length", false, 1, INT32_MAX, &hp->head_dim, e);
    value_length = hp->head_dim;
    if (s == SL_OK) s = get_int(k, "attention.value_length", false, 1, INT32_MAX, &value_length, e);
    if (s == SL_OK) s = get_float(k, "attention.layer_norm_rms_epsilon", true, 1e-30, 1, &hp->norm_eps, e);
    if (s == SL_OK) s = get_float(k, "attention.clamp_kqv", false, 0, 1e30, &hp->qkv_clip, e);
    if (s == SL_OK && value_length != hp->head_dim)
        s = sl_fail(e, SL_UNSUPPORTED, "%s.attention.value_length is %d, another than key_length %d", k->arch, value_length, hp->head_dim);
    return s;
}

sl_status sl__gguf_hparams(const sl__gguf *g, sl__open *o, sl_error *e) {
    keys k = {.g = g};
    int experts = 0;
    sl_status s = choose_family(g, o, &k.arch, &experts, e);
    if (s != SL_OK) return s;
    sl_hparams *hp = &o->model.hp;
    sl__hparams_start(o->model.family, hp);
    hp->experts = experts;
    if (o->model.family->gguf_qk_permuted) hp->rope_style = SL_ROPE_INTERLEAVED;
    const sl__tensor *embedding = sl__tensors_find(&o->tensors, "token_embd.weight");
    if (!embedding || embedding->dims != 2) return sl_fail(e, SL_FORMAT, "tensor \"token_embd.weight\" is missing or no matrix");
    hp->vocab = embedding->shape[0] > INT32_MAX ? INT32_MAX : (int)embedding->shape[0];
    s = read_sizes(&k, hp, e);
    if (s == SL_OK) s = read_rope(&k, o->arena, hp, e);
    if (s == SL_OK && experts) s = read_experts(&k, o, e);
    if (s == SL_OK) s = refuse_others(&k, hp, e);
    if (s != SL_OK) return s;
    find_sparse(o);
    hp->tied = !sl__tensors_find(&o->tensors, "output.weight");
    o->declared = (sl__declared){
        .qkv_bias = o->model.family->hf_bias_key ? -1 : 0, .o_bias = o->model.family->bias_on_output ? -1 : 0, .tied = -1};
    return sl__hparams_check(hp, e);
}

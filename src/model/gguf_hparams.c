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

/* Keys below the architecture that are read elsewhere in this file, or that change nothing. */
static const char *const known[] = {
    "block_count", "context_length", "embedding_length", "feed_forward_length", "vocab_size", "expert_count", "expert_used_count",
    "expert_feed_forward_length", "expert_shared_feed_forward_length", "expert_weights_norm", "attention.head_count",
    "attention.head_count_kv", "attention.key_length", "attention.value_length", "attention.key_length_swa",
    "attention.value_length_swa", "attention.layer_norm_rms_epsilon",
    "attention.layer_norm_epsilon", "attention.clamp_kqv", "attention.scale", "attention.causal", "attention.sliding_window",
    "rope.dimension_count", "rope.freq_base", "rope.scale_linear", "rope.scaling.type", "rope.scaling.factor",
    "rope.scaling.attn_factor", "rope.scaling.original_context_length", "rope.scaling.finetuned",
    "rope.scaling.yarn_ext_factor", "rope.scaling.yarn_attn_factor", "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow", "tensor_data_layout", "use_parallel_residual",
    /* The tensors say it: which layers route, and that there is a shared expert. */
    "leading_dense_block_count", "interleave_moe_layer_step", "moe_every_n_layers", "expert_shared_count", "nextn_predict_layers",
    /* Read with the experts, and held against what the family has. */
    "expert_weights_scale", "expert_group_count", "expert_group_used_count", "expert_gating_func",
    /* Which layers have the window: gguf_layers.c. What they rotate by must be what all rotate by, or is read: read_window_rope. */
    "attention.sliding_window_pattern", "rope.freq_base_swa", "rope.dimension_count_swa",
    /* Held against the family in read_scales. */
    "attention.temperature_length", "attention.temperature_scale", "embedding_scale", "residual_scale", "logit_scale", "final_logit_softcapping",
    /* Held against the family in read_sharing. */
    "attention.shared_kv_layers", "embedding_length_per_layer_input",
    /* Axes of pictures; a text's are all the same. */
    "rope.dimension_sections",
    /* Gated delta nets: sizes in gguf_layers.c; which layers they are tensors say. */
    "ssm.conv_kernel", "ssm.state_size", "ssm.group_count", "ssm.time_step_rank", "ssm.inner_size", "full_attention_interval",
    "attention.recurrent_layers",
};

/* Keys that change what a model computes and have no code here, with the values that leave it alone (0 always does). */
static const struct {
    const char *key;
    double neutral;
} neutrals[] = {
    {"expert_group_scale", 1},
    {"attn_logit_softcapping", 0}, {"router_logit_softcapping", 0}, {"swiglu_clamp_exp", 0},
    {"swiglu_clamp_shexp", 0}, {"activation_sparsity_scale", 0}, {"attention.max_alibi_bias", 0}, {"attention.output_scale", 1},
    {"rope.scaling.yarn_log_multiplier", 0},
    {"rope.scaling.alpha", 0}, {"attention.q_lora_rank", 0}, {"attention.kv_lora_rank", 0}, {"attention.key_length_mla", 0},
    {"attention.value_length_mla", 0}, {"attention.relative_buckets_count", 0},
    {"shortconv.l_cache", 0}, {"rescale_every_n_layers", 0}, {"token_shift_count", 0},
    {"n_deepstack_layers", 0}, {"moe_latent_size", 0}, {"pooling_type", 0},
    {"swin_norm", 0}, {"decoder_block_count", 0},
};

/* Element i of a value (0 if it is no array): any number, and a boolean as 0 or 1. false: a string. */
static bool number_of(const sl__gguf_value *v, uint64_t i, double *ret) {
    uint8_t type = v->type == SL__GGUF_ARRAY ? v->element : v->type;
    if (type == SL__GGUF_STRING) return false;
    *ret = type == SL__GGUF_BOOL ? v->data[i] != 0 : sl__gguf_number_at(v, i);
    return true;
}

static sl_status refuse_key(const keys *k, const char *key, const sl__gguf_value *v, double neutral, sl_error *e) {
    for (uint64_t i = 0; i < v->count; i++) { /* an array has a value for each layer */
        double x = 0;
        if (!number_of(v, i, &x)) return sl_fail(e, SL_FORMAT, "%s.%s is no number", k->arch, key);
        if (x != 0 && x != neutral) return sl_fail(e, SL_UNSUPPORTED, "%s.%s is %g, which is not supported", k->arch, key, x);
    }
    return SL_OK;
}

/* Goes over the keys below the architecture: each is known, or has a neutral value, or is refused, or is noted as ignored. */
static sl_status refuse_others(const keys *k, sl_notes *notes, sl_error *e) {
    size_t prefix = strlen(k->arch) + 1;
    for (uint32_t i = 0; i < k->g->keys.count; i++) {
        const sl__name *n = &k->g->keys.name[i];
        if (n->len <= prefix || memcmp(n->text, k->arch, prefix - 1) != 0 || n->text[prefix - 1] != '.') continue;
        char key[96];
        size_t len = n->len - prefix;
        snprintf(key, sizeof key, "%.*s", (int)(len < sizeof key ? len : sizeof key - 1), n->text + prefix);
        bool done = false;
        for (size_t j = 0; j < sizeof known / sizeof *known && !done; j++) done = strcmp(key, known[j]) == 0;
        for (size_t j = 0; j < sizeof neutrals / sizeof *neutrals && !done; j++) {
            if (strcmp(key, neutrals[j].key) != 0) continue;
            sl_status s = refuse_key(k, key, &k->g->value[i], neutrals[j].neutral, e);
            if (s != SL_OK) return s;
            done = true;
        }
        if (!done) sl_notes_add(notes, "%s: %s.%s is not known here and is ignored", k->g->origin, k->arch, key);
    }
    return SL_OK;
}

/* Attention that sees later tokens, attention and feed-forward part side by side: there is a key for each, and no code here.
 * hp_scales: the family may have another factor on the scores than the usual one. */
static sl_status read_attention(keys *k, bool hp_scales, sl_hparams *hp, sl_error *e) {
    bool causal = true, parallel = false;
    float scale = 0;
    sl_status s = sl__gguf_bool(k->g, name_of(k, "attention.causal"), &causal, e);
    if (s == SL_OK && !causal) s = sl_fail(e, SL_UNSUPPORTED, "%s is false: attention that sees later tokens is not supported", k->name);
    if (s == SL_OK) s = sl__gguf_bool(k->g, name_of(k, "use_parallel_residual"), &parallel, e);
    if (s == SL_OK && parallel) s = sl_fail(e, SL_UNSUPPORTED, "%s is true, which is not supported", k->name);
    if (s == SL_OK) s = get_float(k, "attention.scale", false, 0, 1e30, &scale, e);
    if (s == SL_OK && hp_scales) hp->attention_scale = scale;
    else if (s == SL_OK && !sl__usual_scale(hp, scale))
        s = sl_fail(e, SL_UNSUPPORTED, "%s is %g, which is not supported, only one over the root of the head dimension", k->name, (double)scale);
    return s;
}

/* A factor that the family has, or does not have: then it must be 1; 0 is none. */
static sl_status read_scale(keys *k, const char *key, bool has, float *ret, sl_error *e) {
    float x = 0;
    sl_status s = get_float(k, key, false, 0, 1e6, &x, e);
    if (s == SL_OK && !has && x != 0 && x != 1) s = sl_fail(e, SL_UNSUPPORTED, "%s is %g, which is not supported", k->name, (double)x);
    if (s == SL_OK && has && x != 1) *ret = x;
    return s;
}

/* The growth of queries in layers that do not rotate: a key with 0, or none in a family that has no such thing, means none. */
static sl_status read_temperature(keys *k, sl_hparams *hp, sl_error *e) {
    bool has = hp->temperature_length != 0;
    int length = (int)hp->temperature_length;
    sl_status s = get_int(k, "attention.temperature_length", false, 0, INT32_MAX, &length, e);
    if (s == SL_OK) hp->temperature_length = (float)length;
    if (s == SL_OK) s = get_float(k, "attention.temperature_scale", false, 0, 1e6, &hp->temperature_scale, e);
    if (s != SL_OK) return s;
    if (hp->temperature_length == 0 || hp->temperature_scale == 0) hp->temperature_length = hp->temperature_scale = 0;
    if (!has && hp->temperature_length != 0)
        return sl_fail(e, SL_UNSUPPORTED, "%s is %g, which is not supported", name_of(k, "attention.temperature_length"),
                       (double)hp->temperature_length);
    return SL_OK;
}

static sl_status read_scales(keys *k, const sl_family *f, sl_hparams *hp, sl_error *e) {
    float logits = 0;
    sl_status s = read_scale(k, "embedding_scale", f->multipliers, &hp->embedding_scale, e);
    if (s == SL_OK) s = read_scale(k, "residual_scale", f->multipliers, &hp->residual_scale, e);
    if (s == SL_OK) s = read_temperature(k, hp, e);
    if (s == SL_OK) s = read_scale(k, "logit_scale", f->multipliers || f->hf_logit_scale_key, &logits, e);
    if (logits != 0) hp->logit_scale = f->multipliers ? 1 / logits : logits; /* of Granite's files a divisor */
    if (f->gguf_embedding_root) hp->embedding_scale = sl_sqrtf((float)hp->width);
    if (f->gguf_width_scored_layers && hp->layers == f->gguf_width_scored_layers && hp->heads[0])
        hp->attention_scale = 1 / sl_sqrtf((float)hp->width / (float)hp->heads[0]);
    float cap = 0;
    if (s == SL_OK) s = get_float(k, "final_logit_softcapping", false, 0, 1e6, &cap, e);
    if (s == SL_OK && cap != 0 && !f->logit_cap) s = sl_fail(e, SL_UNSUPPORTED, "%s is %g, which is not supported", k->name, (double)cap);
    if (s == SL_OK) hp->logit_cap = cap;
    return s;
}

/* The epsilon says which norm it is, where a family has both. Where both are given, norms are RMS norms, as config.json's readers
 * have it: peers write down what that file says, and there both may be. */
static sl_status read_norm(keys *k, const sl_family *f, sl_hparams *hp, sl_error *e) {
    float rms = 0;
    sl_status s = f->hf_layer_norm_eps_key ? get_float(k, "attention.layer_norm_rms_epsilon", false, 0, 1, &rms, e) : SL_OK;
    if (s != SL_OK) return s;
    bool layer = f->hf_layer_norm_eps_key && rms == 0 && sl__gguf_find(k->g, name_of(k, "attention.layer_norm_epsilon"));
    if (f->hf_layer_norm_eps_key && !layer) hp->norm = SL_NORM_RMS;
    return get_float(k, layer ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", true, SL__NORM_EPS, &hp->norm_eps, e);
}

/* Factors on cosine and sine apply whatever the type of scaling is; yarn adds its own. */
static sl_status read_attention_factor(keys *k, sl_hparams *hp, sl_error *e) {
    float attn = 1, yarn_attn = 1;
    sl_status s = get_float(k, "rope.scaling.yarn_attn_factor", false, SL__ROPE_ATTENTION, &yarn_attn, e);
    if (s == SL_OK) s = get_float(k, "rope.scaling.attn_factor", false, SL__ROPE_ATTENTION, &attn, e);
    hp->rope_attention = (float)((double)attn * (double)yarn_attn);
    return s;
}

static sl_status read_yarn(keys *k, const sl_family *f, sl_hparams *hp, sl_error *e) {
    float ext = 1;
    hp->rope_low = 1;
    hp->rope_high = 32;
    hp->rope_original = hp->context;
    sl_status s = get_int(k, "rope.scaling.original_context_length", false, 1, INT32_MAX, &hp->rope_original, e);
    if (s == SL_OK) s = get_float(k, "rope.scaling.yarn_beta_slow", false, SL__TURNS, &hp->rope_low, e);
    if (s == SL_OK) s = get_float(k, "rope.scaling.yarn_beta_fast", false, SL__TURNS, &hp->rope_high, e);
    if (s == SL_OK) s = get_float(k, "rope.scaling.yarn_ext_factor", false, 0, 1e6, &ext, e);
    if (s != SL_OK) return s;
    if (ext != 1) return sl_fail(e, SL_UNSUPPORTED, "%s is %g, which is not supported", k->name, (double)ext);
    hp->rope_scaling = SL_ROPE_YARN;
    hp->rope_truncate = !f->gguf_yarn_unrounded;
    double log_factor = hp->rope_factor > 1 ? sl_logd((double)hp->rope_factor) : 0;
    hp->rope_attention = (float)((double)hp->rope_attention * (1 + 0.1 * log_factor));
    return SL_OK;
}

/* Divisors in a tensor: a list of one for each pair. */
static sl_status read_divisors(sl__open *o, const char *name, float *ret, sl_error *e) {
    const sl_hparams *hp = &o->model.hp;
    sl__tensor *t = sl__tensors_find(&o->tensors, name);
    if (!t) return sl_fail(e, SL_FORMAT, "tensor \"%s\" is missing", name);
    if (t->type != SL_TYPE_F32 || t->values != (uint64_t)(hp->rope_dims / 2) || t->values > SL_MAX_ROPE_PAIRS)
        return sl_fail(e, SL_FORMAT, "tensor \"%s\" is no list of one float for each of %d pairs", name, hp->rope_dims / 2);
    memcpy(ret, t->data, (size_t)t->values * sizeof *ret);
    t->used = true;
    return SL_OK;
}

static sl_status read_divided(keys *k, sl__open *o, sl_error *e) {
    sl_hparams *hp = &o->model.hp;
    hp->rope_original = hp->context;
    hp->rope_long = sl__tensors_find(&o->tensors, "rope_factors_long.weight");
    sl_status s = get_int(k, "rope.scaling.original_context_length", false, 1, INT32_MAX, &hp->rope_original, e);
    if (s == SL_OK) s = read_divisors(o, "rope_factors_short.weight", hp->rope_divisor, e);
    if (s == SL_OK && hp->rope_long) s = read_divisors(o, "rope_factors_long.weight", hp->rope_long_divisor, e);
    if (s != SL_OK) return s;
    hp->rope_factor = 1;
    hp->rope_long_attention = hp->rope_attention;
    hp->rope_scaling = SL_ROPE_DIVIDED;
    return SL_OK;
}

/* Peers write rope of which a part of the pairs stands still as divisors by which these practically do: some equal ones, then
 * 1e30. That they stand altogether is how config.json's readers have it. */
static bool read_standing(sl__open *o) {
    sl_hparams *hp = &o->model.hp;
    sl__tensor *t = sl__tensors_find(&o->tensors, "rope_freqs.weight");
    float first = 0;
    int turning = 0;
    if (!t || t->type != SL_TYPE_F32 || hp->rope_dims < 2 || t->values != (uint64_t)(hp->rope_dims / 2)) return false;
    for (int j = 0; j < hp->rope_dims / 2; j++) {
        float divisor;
        memcpy(&divisor, t->data + (size_t)j * sizeof divisor, sizeof divisor);
        if (j == 0) first = divisor;
        bool stands = divisor >= 1e29f;
        if (!stands && (j > turning || divisor != first)) return false;
        turning += !stands;
    }
    if (turning == 0 || turning == hp->rope_dims / 2) return false;
    hp->rope_scaling = SL_ROPE_PROPORTIONAL;
    hp->rope_factor = first;
    hp->rope_turning = turning;
    t->used = true;
    return true;
}

/* Layers with a window that rotate by another base, and then perhaps more or fewer values. */
static sl_status read_window_rope(keys *k, sl_hparams *hp, sl_error *e) {
    bool own = hp->window_rope_theta != 0;
    float base = hp->rope_theta;
    int dims = hp->rope_dims;
    if (own) hp->window_rope_dims = hp->rope_dims;
    sl_status s = get_float(k, "rope.freq_base_swa", false, SL__ROPE_THETA, own ? &hp->window_rope_theta : &base, e);
    if (s == SL_OK && base != hp->rope_theta)
        return sl_fail(e, SL_UNSUPPORTED, "%s is %g, another than rope.freq_base, which is not supported", k->name, (double)base);
    if (s == SL_OK) s = get_int(k, "rope.dimension_count_swa", false, 1, INT32_MAX, own ? &hp->window_rope_dims : &dims, e);
    if (s == SL_OK && dims != hp->rope_dims)
        s = sl_fail(e, SL_UNSUPPORTED, "%s is %d, another than rope.dimension_count, which is not supported", k->name, dims);
    return s;
}

static sl_status read_rope(keys *k, sl__open *o, sl_error *e) {
    sl_hparams *hp = &o->model.hp;
    sl_arena *arena = o->arena;
    const char *type = "linear";
    float factor = 0; /* 0, which some files say, means no scaling too */
    hp->rope_dims = hp->head_dim[0];
    hp->rope_theta = 10000;
    sl_status s = get_int(k, "rope.dimension_count", false, 2, INT32_MAX, &hp->rope_dims, e);
    if (s == SL_OK) s = get_float(k, "rope.freq_base", false, SL__ROPE_THETA, &hp->rope_theta, e);
    if (s == SL_OK) s = get_float(k, "rope.scale_linear", false, 0, 1e6, &factor, e);
    if (s == SL_OK) s = get_float(k, "rope.scaling.factor", false, 0, 1e6, &factor, e);
    if (s == SL_OK) s = sl__gguf_string(k->g, name_of(k, "rope.scaling.type"), false, arena, SL_MEM_METADATA, &type, e);
    if (s == SL_OK) s = read_attention_factor(k, hp, e);
    if (s != SL_OK || strcmp(type, "none") == 0) return s;
    hp->rope_factor = factor == 0 ? 1 : factor;
    if (strcmp(type, "yarn") == 0) return read_yarn(k, o->model.family, hp, e);
    /* Peers write the tensors of long rope, and no type. */
    bool divided = !sl__gguf_find(k->g, name_of(k, "rope.scaling.type")) && sl__tensors_find(&o->tensors, "rope_factors_short.weight");
    if (divided || strcmp(type, "longrope") == 0) return read_divided(k, o, e);
    if (read_standing(o)) return SL_OK;
    if (strcmp(type, "linear") != 0)
        return sl_fail(e, SL_UNSUPPORTED, "%s.rope.scaling.type \"%.40s\" is not supported", k->arch, type);
    if (hp->rope_factor != 1) hp->rope_scaling = SL_ROPE_LINEAR;
    return SL_OK;
}

/* How wide an expert is, where no key tells: the values of the first layer's tensor, which is [experts][ff][width] for
 * routed experts and [ff][width] for the shared one. */
static void width_from(const sl__open *o, const char *suffix, int experts, int *ret) {
    uint64_t one = (uint64_t)experts * (uint64_t)o->model.hp.width;
    for (int i = 0; i < o->model.hp.layers; i++) {
        char name[80];
        snprintf(name, sizeof name, "blk.%d.%s", i, suffix);
        const sl__tensor *t = sl__tensors_find(&o->tensors, name);
        if (!t || t->values % one || t->values / one > INT32_MAX) continue;
        *ret = (int)(t->values / one);
        return;
    }
}

/* An integer key that says what the family says already; 0, and no key at all, mean the same. */
static sl_status expect_int(keys *k, const char *key, int want, sl_error *e) {
    int have = 0;
    sl_status s = get_int(k, key, false, 0, INT32_MAX, &have, e);
    if (s == SL_OK && have != 0 && have != want)
        s = sl_fail(e, SL_UNSUPPORTED, "%s is %d, which is not supported, only %d", name_of(k, key), have, want);
    return s;
}

/* What the router does with its logits, beside what the family alone says. */
static sl_status read_router(keys *k, const sl_family *f, sl_hparams *hp, sl_error *e) {
    sl_status s = SL_OK;
    if (f->hf_router_score_key) {
        int code = 0;
        s = get_int(k, "expert_gating_func", false, 0, 3, &code, e);
        if (code == 1 || code == 3) sl__router_by_share(hp); /* peers write 1 of a softmax over the chosen */
    } else {
        s = expect_int(k, "expert_gating_func", sl_router_score_code(f->router_score), e);
    }
    float scale = 0;
    if (s == SL_OK) s = get_float(k, "expert_weights_scale", false, 0, 1e30, &scale, e);
    if (s == SL_OK && scale != 0 && scale != 1 && !f->hf_router_scale_key)
        s = sl_fail(e, SL_UNSUPPORTED, "%s is %g, which is not supported", name_of(k, "expert_weights_scale"), (double)scale);
    if (s == SL_OK && f->hf_router_scale_key) hp->router_scale = scale == 0 ? 1 : scale;
    if (s != SL_OK) return s;
    if (!f->router_groups) {
        s = expect_int(k, "expert_group_count", 1, e);
        return s == SL_OK ? expect_int(k, "expert_group_used_count", 1, e) : s;
    }
    s = get_int(k, "expert_group_count", false, 0, SL_MAX_EXPERTS, &hp->router_groups, e);
    if (s == SL_OK) s = get_int(k, "expert_group_used_count", false, 0, SL_MAX_EXPERTS, &hp->router_groups_used, e);
    if (hp->router_groups <= 1) hp->router_groups = hp->router_groups_used = 1; /* 0: none */
    return s;
}

static sl_status read_experts(keys *k, sl__open *o, sl_error *e) {
    sl_hparams *hp = &o->model.hp;
    const sl_family *f = o->model.family;
    bool norm = hp->router_norm != SL_ROUTER_KEEP, given = norm;
    bool own_width = strcmp(f->hf_expert_ff_key, "intermediate_size") != 0;
    sl_status s = get_int(k, "expert_used_count", true, 1, hp->experts, &hp->experts_used, e);
    if (s == SL_OK) s = get_int(k, "expert_feed_forward_length", false, 1, INT32_MAX, &hp->expert_ff, e);
    if (s == SL_OK && f->shared_gate != SL_SHARED_NONE)
        s = get_int(k, "expert_shared_feed_forward_length", false, 0, INT32_MAX, &hp->shared_ff, e);
    if (s == SL_OK) s = sl__gguf_bool(k->g, name_of(k, "expert_weights_norm"), &given, e);
    if (s != SL_OK) return s;
    if (f->hf_router_norm_key && hp->router_norm != SL_ROUTER_SHARE) hp->router_norm = given ? SL_ROUTER_SUM : SL_ROUTER_KEEP;
    else if (!f->hf_router_norm_key && given != norm)
        return sl_fail(e, SL_UNSUPPORTED, "%s is %s, which is not supported", k->name, given ? "true" : "false");
    if (hp->expert_ff == 0 && !own_width) hp->expert_ff = hp->ff;
    if (hp->expert_ff == 0) width_from(o, "ffn_gate_exps.weight", hp->experts, &hp->expert_ff);
    if (f->gguf_shared_ff_guessed) hp->shared_ff = 0;
    if (hp->shared_ff == 0 && f->shared_gate != SL_SHARED_NONE) width_from(o, "ffn_gate_shexp.weight", 1, &hp->shared_ff);
    if (f->hf_shared_mean_key) sl__shared_mean(hp);
    return SL_OK;
}

/* The norm of q and k is there where the family says so; or, if that differs from model to model, where the tensor is, or the number
 * of experts tells. */
static void find_qk_norm(sl__open *o) {
    if (o->model.hp.qk_norm == SL_QK_NORM_PLAIN_AFTER) {
        if (o->model.hp.experts == o->model.family->gguf_unnormed_experts) o->model.hp.qk_norm = SL_QK_NORM_NONE;
        return;
    }
    if (o->model.family->hf_qk_norm_key && !sl__tensors_find(&o->tensors, "blk.0.attn_q_norm.weight")) o->model.hp.qk_norm = SL_QK_NORM_NONE;
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
    if (!dense && !hp->dense_beside) hp->ff = 0;
}

/* Values are keys in layers without a v. */
static void find_keyed_values(sl__open *o) {
    sl_hparams *hp = &o->model.hp;
    for (int i = 0; o->model.family->hf_keyed_values_key && i < hp->layers; i++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%d.attn_v.weight", i);
        hp->keyed_values[i] = !sl__tensors_find(&o->tensors, name);
    }
}

/* A layer is a gated delta net if it has that one's decay. */
static void find_mixers(sl__open *o) {
    sl_hparams *hp = &o->model.hp;
    for (int i = 0; o->model.family->delta_mixers && i < hp->layers; i++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%d.ssm_a", i);
        hp->mixer[i] = sl__tensors_find(&o->tensors, name) ? SL_MIXER_DELTA : SL_MIXER_ATTENTION;
    }
}

/* The first router that the file has; NULL: no layer routes. */
static const char *first_router(const sl__open *o) {
    for (int i = 0; i < SL_MAX_LAYERS; i++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%d.ffn_gate_inp.weight", i);
        const sl__tensor *t = sl__tensors_find(&o->tensors, name);
        if (t) return t->name;
    }
    return NULL;
}

/* Which of the rows of its architecture: one has experts, another none. Where there is only one with experts, a file without is of that
 * one all the same, of which then no layer routes. */
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
    const sl_family *other = sl_family_by_gguf(arch, experts == 0);
    if (!o->model.family && !other) return sl__family_unknown("architecture", arch, true, e);
    if (!o->model.family && !other->routed) return sl_fail(e, SL_FORMAT, "architecture \"%s\" is dense, but %s is %" PRId64, arch, key, experts);
    const char *router = experts == 0 ? first_router(o) : NULL;
    if (router)
        return sl_fail(e, SL_FORMAT, "%s is %s, but the file has experts: tensor \"%s\" is a router", key,
                       sl__gguf_find(g, key) ? "0" : "missing", router);
    if (!o->model.family) o->model.family = other;
    *ret_arch = arch;
    *ret_experts = (int)experts;
    return SL_OK;
}

/* Heads of every layer; the size of a head, which layers with a window may have otherwise (gguf_layers.c). */
static sl_status read_heads(keys *k, sl_hparams *hp, sl_error *e) {
    int dim = 0, value_length;
    sl_status s = sl__gguf_by_layer(k->g, name_of(k, "attention.head_count"), true, 65536, hp->layers, hp->heads, e);
    memcpy(hp->kv_heads, hp->heads, sizeof hp->kv_heads);
    if (s == SL_OK) s = sl__gguf_by_layer(k->g, name_of(k, "attention.head_count_kv"), false, 65536, hp->layers, hp->kv_heads, e);
    if (s == SL_OK && hp->heads[0]) dim = hp->width / hp->heads[0];
    if (s == SL_OK) s = get_int(k, "attention.key_length", false, 1, INT32_MAX, &dim, e);
    value_length = dim;
    if (s == SL_OK) s = get_int(k, "attention.value_length", false, 1, INT32_MAX, &value_length, e);
    for (int i = 0; i < hp->layers; i++) hp->head_dim[i] = dim;
    if (s == SL_OK && value_length != dim)
        s = sl_fail(e, SL_UNSUPPORTED, "%s.attention.value_length is %d, another than key_length %d", k->arch, value_length, dim);
    return s;
}

/* One width, or one for each layer: either that of most families' layers, or where the family has such, twice as much. */
static sl_status read_ff(keys *k, const sl_family *f, sl_hparams *hp, sl_error *e) {
    int ff[SL_MAX_LAYERS] = {0};
    if (!f->hf_ff_doubled_key) return get_int(k, "feed_forward_length", false, 0, INT32_MAX, &hp->ff, e);
    sl_status s = sl__gguf_by_layer(k->g, name_of(k, "feed_forward_length"), false, INT32_MAX, hp->layers, ff, e);
    hp->ff = ff[0];
    for (int i = 0; s == SL_OK && i < hp->layers; i++) {
        hp->ff_doubled[i] = ff[i] != ff[0];
        if (ff[i] != ff[0] && (ff[i] % 2 || ff[i] / 2 != ff[0]))
            s = sl_fail(e, SL_UNSUPPORTED, "%s of layer %d is %d, neither %d as that of the first nor twice as much", k->name, i, ff[i], ff[0]);
    }
    return s;
}

/* How many of the last layers only foretell further tokens. A file may have the number of the configuration that it was made of, and
 * not those layers: then its last ones have nothing of theirs, and are layers as the others. */
static int count_predictors(sl__open *o, int layers, int said) {
    bool ordinary = false;
    for (int i = layers - said; i < layers; i++) {
        char own[64], usual[64];
        size_t n = (size_t)snprintf(own, sizeof own, "blk.%d.nextn.", i);
        for (uint32_t j = 0; j < o->tensors.index.count; j++)
            if (strncmp(o->tensors.entry[j].name, own, n) == 0) return said;
        snprintf(usual, sizeof usual, "blk.%d.attn_norm.weight", i);
        ordinary = ordinary || sl__tensors_find(&o->tensors, usual);
    }
    if (!ordinary) return said;
    sl_notes_add(&o->notes, "%s: nextn_predict_layers is %d, but the last layers are ordinary ones: they are used", o->gguf.origin, said);
    return 0;
}

static sl_status read_sizes(keys *k, sl__open *o, sl_error *e) {
    int predictors = 0; /* nothing here uses them */
    const sl_family *f = o->model.family;
    sl_hparams *hp = &o->model.hp;
    sl_status s = get_int(k, "block_count", true, 1, SL_MAX_LAYERS, &hp->layers, e);
    if (s == SL_OK) s = get_int(k, "nextn_predict_layers", false, 0, hp->layers - 1, &predictors, e);
    if (s == SL_OK && predictors) hp->layers -= count_predictors(o, hp->layers, predictors);
    if (s == SL_OK) s = get_int(k, "context_length", true, 1, INT32_MAX, &hp->context, e);
    if (s == SL_OK) s = get_int(k, "embedding_length", true, 1, INT32_MAX, &hp->width, e);
    if (s == SL_OK) s = read_ff(k, f, hp, e);
    if (s == SL_OK) s = read_heads(k, hp, e);
    if (s == SL_OK) s = read_norm(k, f, hp, e);
    return s == SL_OK ? get_float(k, "attention.clamp_kqv", false, SL__CLIP, &hp->qkv_clip, e) : s;
}

/* Which layers attend to others' keys, and what each has of a token. */
static sl_status read_sharing(keys *k, const sl_family *f, sl_hparams *hp, sl_error *e) {
    int shared = 0;
    sl_status s = get_int(k, "attention.shared_kv_layers", false, 0, f->hf_shared_keys_key ? hp->layers - 1 : 0, &shared, e);
    if (s == SL_OK) s = get_int(k, "embedding_length_per_layer_input", false, 0, f->hf_layer_input_key ? INT32_MAX : 0, &hp->layer_input, e);
    if (s != SL_OK) return s;
    sl__hparams_share_keys(hp, shared);
    for (int i = hp->layers - shared; i < hp->layers; i++)
        if (!hp->keys_of[i])
            return sl_fail(e, SL_FORMAT,
                           "%s.attention.shared_kv_layers is %d: no layer of the kind of layer %d is left that has keys", k->arch,
                           shared, i);
    return SL_OK;
}

/* The embedding's rows are the vocabulary; its last dimension, dimensions of 1 aside, is the width. */
static sl_status read_vocabulary(sl__open *o, sl_error *e) {
    const sl__tensor *t = sl__tensors_find(&o->tensors, "token_embd.weight");
    if (!t) return sl_fail(e, SL_FORMAT, "tensor \"token_embd.weight\" is missing");
    uint64_t width = 1;
    for (int i = 0; i < t->dims && o->model.hp.width > 1; i++)
        if (t->shape[i] != 1) width = t->shape[i];
    uint64_t rows = width ? t->values / width : 0;
    o->model.hp.vocab = rows > INT32_MAX ? INT32_MAX : (int)rows;
    return SL_OK;
}

sl_status sl__gguf_hparams(const sl__gguf *g, sl__open *o, sl_error *e) {
    keys k = {.g = g};
    int experts = 0;
    sl_status s = choose_family(g, o, &k.arch, &experts, e);
    if (s != SL_OK) return s;
    sl_hparams *hp = &o->model.hp;
    sl__hparams_start(o->model.family, hp);
    hp->experts = experts;
    hp->dense_beside = o->model.family->dense_beside && experts > 0;
    if (o->model.family->gguf_qk_permuted) hp->rope_style = SL_ROPE_INTERLEAVED;
    s = read_sizes(&k, o, e);
    if (s == SL_OK) s = read_vocabulary(o, e);
    if (s == SL_OK) s = read_rope(&k, o, e);
    if (s == SL_OK) s = read_window_rope(&k, hp, e);
    if (s == SL_OK) s = read_router(&k, o->model.family, hp, e);
    if (s == SL_OK && experts) s = read_experts(&k, o, e);
    if (s == SL_OK) s = read_scales(&k, o->model.family, hp, e);
    if (s == SL_OK) s = read_attention(&k, o->model.family->multipliers, hp, e);
    if (s == SL_OK) s = refuse_others(&k, &o->notes, e);
    if (s != SL_OK) return s;
    find_sparse(o);
    find_mixers(o);
    find_keyed_values(o);
    s = sl__gguf_layers(g, k.arch, o->model.family, hp, &o->notes, e);
    if (s == SL_OK) s = read_sharing(&k, o->model.family, hp, e);
    if (s != SL_OK) return s;
    find_qk_norm(o);
    hp->tied = !sl__tensors_find(&o->tensors, "output.weight");
    o->declared = (sl__declared){
        .qkv_bias = o->model.family->hf_bias_key ? -1 : o->model.family->always_bias, .output_bias = o->model.family->output_bias ? -1 : 0,
        .o_bias = o->model.family->bias_on_output ? -1 : 0, .tied = -1};
    return sl__hparams_check(hp, e);
}

/* config.json to hyperparameters: a pure function from text.
 *
 * Two spellings are on disk: rope_theta and rope_scaling {type or rope_type …} at the top (transformers 4), or one
 * rope_parameters {rope_type, rope_theta …} (transformers 5). A key that is absent means the class's default, which is
 * the family's row; null means "none" or "derived". Keys whose value would change the answer and that are not supported
 * are refused by name. */
#include "model/internal.h"

#include "base/fmath.h"

#include <stdlib.h>
#include <string.h>

static sl_status opt_int(const sl_json *obj, const char *key, int lo, int *ret, sl_error *e) {
    int64_t x = *ret;
    sl_status s = sl_json_opt_int(obj, key, lo, INT32_MAX, &x, e);
    if (s == SL_OK) *ret = (int)x;
    return s;
}

static sl_status need_int(const sl_json *obj, const char *key, int lo, int *ret, sl_error *e) {
    sl_json at;
    int64_t x = 0;
    sl_json_get(obj, key, &at);
    sl_status s = sl_json_int(&at, lo, INT32_MAX, &x, e);
    if (s == SL_OK) *ret = (int)x;
    return s;
}

static sl_status need_float(const sl_json *obj, const char *key, double lo, double hi, float *ret, sl_error *e) {
    sl_json at;
    double x = 0;
    sl_json_get(obj, key, &at);
    sl_status s = sl_json_float(&at, lo, hi, &x, e);
    if (s == SL_OK) *ret = (float)x;
    return s;
}

static sl_status opt_float(const sl_json *obj, const char *key, double lo, double hi, float *ret, sl_error *e) {
    double x = (double)*ret;
    sl_status s = sl_json_opt_float(obj, key, lo, hi, &x, e);
    if (s == SL_OK) *ret = (float)x;
    return s;
}

/* Keys that other classes have, with the values that change nothing; with another value the model that they describe is
 * computed otherwise than any family here. false, 0 and null are neutral for all of them. */
static const struct neutral {
    const char *key;
    double number; /* a number that is neutral as well */
    bool truth;    /* true is neutral, and false is not */
    const char *text; /* a string that is neutral; NULL: none */
} neutrals[] = {
    {"mlp_bias", 0, false, NULL},
    {"use_bias", 0, false, NULL},
    {"is_causal", 1, true, NULL},
    {"use_bidirectional_attention", 0, false, NULL},
    {"alibi", 0, false, NULL},
    {"attention_sinks", 0, false, NULL},
    {"use_parallel_residual", 0, false, NULL},
    {"embedding_multiplier", 1, false, NULL},
    {"residual_multiplier", 1, false, NULL},
    {"logits_scaling", 1, false, NULL},
    {"logit_scale", 1, false, NULL},
    {"attn_logit_softcapping", 0, false, NULL},
    {"final_logit_softcapping", 0, false, NULL},
    {"router_logit_softcapping", 0, false, NULL},
    {"attention_chunk_size", 0, false, NULL},
    {"swiglu_limit", 0, false, NULL},
    {"kv_lora_rank", 0, false, NULL},
    {"q_lora_rank", 0, false, NULL},
    {"shared_intermediate_size", 0, false, NULL},
    {"quantization_config", 0, false, NULL},
    {"compression_config", 0, false, NULL},
};

static bool is_neutral(const struct neutral *n, const json_t *v) {
    if (json_is_boolean(v)) return json_is_true(v) == n->truth;
    if (json_is_number(v)) return json_number_value(v) == n->number || (json_number_value(v) == 0 && !n->truth);
    return json_is_string(v) && n->text && strcmp(json_string_value(v), n->text) == 0;
}

static sl_status refuse_one(const sl_json *top, const struct neutral *n, sl_error *e) {
    sl_json at;
    if (!sl_json_get(top, n->key, &at) || is_neutral(n, at.v)) return SL_OK;
    if (json_is_object(at.v)) {
        const char *method = "";
        sl_status s = sl_json_opt_string(&at, "quant_method", &method, NULL, e);
        if (s != SL_OK) return s;
        return sl_json_fail(&at, e, "quantised checkpoints%s%.40s%s are not supported", *method ? " (" : "", method, *method ? ")" : "");
    }
    char *text = json_dumps(at.v, JSON_ENCODE_ANY | JSON_COMPACT);
    sl_status s = sl_json_fail(&at, e, "%.60s is not supported", text ? text : "its value");
    free(text);
    return s;
}

/* What a router does in other classes, where the family has no such thing. */
static sl_status refuse_router(const sl_json *top, const sl_family *f, sl_error *e) {
    static const char *const score[] = {[SL_ROUTER_SOFTMAX] = "softmax", [SL_ROUTER_SIGMOID] = "sigmoid"};
    sl_status s = refuse_one(top, &(struct neutral){"scoring_func", 0, false, score[f->router_score]}, e);
    if (s == SL_OK && !f->hf_router_scale_key) s = refuse_one(top, &(struct neutral){"routed_scaling_factor", 1, false, NULL}, e);
    if (s == SL_OK && !f->router_groups) s = refuse_one(top, &(struct neutral){"n_group", 1, false, NULL}, e);
    if (s == SL_OK && !f->router_groups) s = refuse_one(top, &(struct neutral){"topk_group", 1, false, NULL}, e);
    return s;
}

static sl_status refuse_others(const sl_json *top, const sl_family *f, const sl_hparams *hp, sl_error *e) {
    sl_json at;
    const char *act = "silu";
    float scale = 0;
    sl_status s = sl_json_opt_string(top, "hidden_act", &act, NULL, e);
    if (s == SL_OK && strcmp(act, "silu") != 0 && strcmp(act, "swish") != 0) { /* two names of one function */
        sl_json_get(top, "hidden_act", &at);
        s = sl_json_fail(&at, e, "\"%.40s\" is not supported, only \"silu\"", act);
    }
    if (s == SL_OK && !f->hf_bias_key) s = refuse_one(top, &(struct neutral){"attention_bias", 0, false, NULL}, e);
    if (s == SL_OK && !f->clip_qkv) s = refuse_one(top, &(struct neutral){"clip_qkv", 0, false, NULL}, e);
    if (s == SL_OK) s = refuse_router(top, f, e);
    if (s == SL_OK && !f->qk_norm) s = refuse_one(top, &(struct neutral){"use_qk_norm", 0, false, NULL}, e);
    if (s == SL_OK && !f->qk_norm) s = refuse_one(top, &(struct neutral){"qk_layernorm", 0, false, NULL}, e);
    for (size_t i = 0; s == SL_OK && i < sizeof neutrals / sizeof *neutrals; i++) s = refuse_one(top, &neutrals[i], e);
    if (s == SL_OK) s = opt_float(top, "attention_multiplier", 0, 1e30, &scale, e);
    if (s == SL_OK && !sl__usual_scale(hp, scale)) {
        sl_json_get(top, "attention_multiplier", &at);
        s = sl_json_fail(&at, e, "%g is not supported, only one over the root of head_dim", (double)scale);
    }
    return s;
}

/* The class says which layers see a window: those that layer_types names, or those from max_window_layers on, or all. Does
 * any of this model's? */
static sl_status read_windowed(const sl_json *top, const sl_family *f, const sl_hparams *hp, bool *ret, sl_error *e) {
    sl_json types;
    int first = f->default_window_layers;
    *ret = f->hf_window_switch == NULL;
    sl_status s = f->hf_window_switch ? sl_json_opt_bool(top, f->hf_window_switch, ret, e) : SL_OK;
    if (s == SL_OK && f->default_window_layers) s = opt_int(top, "max_window_layers", 0, &first, e);
    if (s == SL_OK && first >= hp->layers) *ret = false;
    if (s != SL_OK || !sl_json_get(top, "layer_types", &types)) return s;
    s = sl_json_array(&types, SL_MAX_LAYERS, e);
    bool all = f->default_window && !f->hf_window_switch, any = false; /* a class without a switch does not read layer_types */
    for (size_t i = 0; s == SL_OK && i < sl_json_size(&types); i++) {
        sl_json type;
        const char *name = "";
        sl_json_at(&types, i, &type);
        s = sl_json_string(&type, &name, NULL, e);
        if (s == SL_OK && strcmp(name, "sliding_attention") == 0) any = true;
        else if (s == SL_OK && strcmp(name, "full_attention") != 0) s = sl_json_fail(&type, e, "\"%.40s\" is not supported", name);
    }
    if (s == SL_OK && !all) *ret = any;
    return s;
}

static sl_status read_window(const sl_json *top, const sl_family *f, sl_hparams *hp, sl_error *e) {
    bool windowed = false;
    int window = json_object_get(top->v, "sliding_window") ? 0 : f->default_window;
    sl_status s = read_windowed(top, f, hp, &windowed, e);
    sl_json at;
    if (s == SL_OK && windowed && sl_json_get(top, "sliding_window", &at) && json_number_value(at.v) > INT32_MAX) return SL_OK; /* no context is as long */
    if (s == SL_OK && windowed) s = opt_int(top, "sliding_window", 0, &window, e);
    if (s == SL_OK && windowed) hp->window = window;
    return s;
}

static sl_status read_yarn(const sl_json *rope, sl_hparams *hp, sl_error *e) {
    sl_json at;
    float given = 0, mscale = 0, mscale_all = 0;
    hp->rope_low = 1;
    hp->rope_high = 32;
    if (!sl_json_get(rope, "factor", &at)) /* null: the one that the two context lengths have */
        hp->rope_factor = (float)hp->context / (float)hp->rope_original;
    sl_status s = opt_float(rope, "beta_slow", 0, SL__MOST_TURNS, &hp->rope_low, e);
    if (s == SL_OK) s = opt_float(rope, "beta_fast", 0, SL__MOST_TURNS, &hp->rope_high, e);
    if (s == SL_OK) s = opt_float(rope, "attention_factor", SL__ROPE_ATTENTION, &given, e);
    if (s == SL_OK) s = opt_float(rope, "mscale", 0, 1e3, &mscale, e);
    if (s == SL_OK) s = opt_float(rope, "mscale_all_dim", 0, 1e3, &mscale_all, e);
    if (s == SL_OK) s = sl_json_opt_bool(rope, "truncate", &hp->rope_truncate, e);
    if (s != SL_OK) return s;
    if (hp->rope_low == 0) hp->rope_low = 1; /* transformers: `beta_slow or 1` */
    if (hp->rope_high == 0) hp->rope_high = 32;
    double log_factor = hp->rope_factor > 1 ? sl_logd((double)hp->rope_factor) : 0;
    double attention = 0.1 * log_factor + 1;
    if (mscale > 0 && mscale_all > 0) attention = (0.1 * (double)mscale * log_factor + 1) / (0.1 * (double)mscale_all * log_factor + 1);
    hp->rope_attention = given > 0 ? given : (float)attention;
    hp->rope_scaling = SL_ROPE_YARN;
    return SL_OK;
}

static sl_status read_llama3(const sl_json *rope, sl_hparams *hp, sl_error *e) {
    sl_status s = need_float(rope, "low_freq_factor", SL__TURNS, &hp->rope_low, e);
    if (s == SL_OK) s = need_float(rope, "high_freq_factor", SL__TURNS, &hp->rope_high, e);
    hp->rope_scaling = SL_ROPE_LLAMA3;
    return s;
}

/* Keys of a rope_scaling that only yarn takes. transformers, too, warns and computes without them. */
static void note_ignored(const sl_json *rope, const char *type, sl_notes *notes) {
    static const char *const keys[] = {"attention_factor", "mscale", "mscale_all_dim"};
    sl_json at;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (sl_json_get(rope, keys[i], &at))
            sl_notes_add(notes, "config.json: %s.%s is ignored, rope type \"%.40s\" has none", rope->key, keys[i], type);
}

static sl_status read_scaling(const sl_json *top, const sl_json *rope, sl_hparams *hp, sl_notes *notes, sl_error *e) {
    const char *type = "default";
    sl_json beta;
    sl_status s = sl_json_object(rope, e);
    if (s == SL_OK) s = sl_json_opt_string(rope, "type", &type, NULL, e);
    if (s == SL_OK) s = sl_json_opt_string(rope, "rope_type", &type, NULL, e);
    if (s == SL_OK && sl_json_get(rope, "llama_4_scaling_beta", &beta) && json_number_value(beta.v) != 0)
        s = sl_json_fail(&beta, e, "is not supported");
    bool yarn = s == SL_OK && strcmp(type, "yarn") == 0;
    if (s == SL_OK && !yarn) note_ignored(rope, type, notes);
    if (s != SL_OK || strcmp(type, "default") == 0) return s;
    hp->rope_original = hp->context;
    s = opt_float(rope, "factor", SL__ROPE_FACTOR, &hp->rope_factor, e);
    if (s == SL_OK) s = opt_int(rope, "original_max_position_embeddings", 1, &hp->rope_original, e);
    if (s == SL_OK) s = opt_int(top, "original_max_position_embeddings", 1, &hp->rope_original, e); /* goes before the inner one */
    if (s != SL_OK) return s;
    if (yarn) return read_yarn(rope, hp, e);
    bool linear = strcmp(type, "linear") == 0;
    if (!linear && strcmp(type, "llama3") != 0) return sl_json_fail(rope, e, "rope type \"%.40s\" is not supported", type);
    s = need_float(rope, "factor", SL__ROPE_FACTOR, &hp->rope_factor, e);
    if (s == SL_OK && linear) hp->rope_scaling = SL_ROPE_LINEAR;
    return s == SL_OK && !linear ? read_llama3(rope, hp, e) : s;
}

/* The part of a head that is rotated: rope_dims = head_dim times partial_rotary_factor, rounded down. */
static sl_status read_part(const sl_json *obj, const sl_family *f, sl_hparams *hp, sl_error *e) {
    sl_json at;
    double part = -1; /* the key is absent */
    sl_status s = sl_json_opt_float(obj, "partial_rotary_factor", 0, 1, &part, e);
    if (s != SL_OK || part < 0) return s;
    int dims = (int)((double)hp->head_dim * part);
    sl_json_get(obj, "partial_rotary_factor", &at);
    if (f->default_rope_part == 0 && dims != hp->head_dim) return sl_json_fail(&at, e, "%g is not supported", part);
    if (dims < 2 || dims % 2) return sl_json_fail(&at, e, "%g of a head of %d is %d, no even number of values", part, hp->head_dim, dims);
    hp->rope_dims = dims;
    return SL_OK;
}

/* rope_scaling, if it holds anything, stands for the whole of rope_parameters; a base inside goes before the one at the top. */
static sl_status read_rope(const sl_json *top, const sl_family *f, sl_hparams *hp, sl_notes *notes, sl_error *e) {
    sl_json rope, inner;
    hp->rope_dims = f->default_rope_part != 0 ? (int)((float)hp->head_dim * f->default_rope_part) : hp->head_dim;
    sl_status s = opt_float(top, "rope_theta", SL__ROPE_THETA, &hp->rope_theta, e);
    if (s == SL_OK && f->hf_rope_dims_key) s = opt_int(top, f->hf_rope_dims_key, 2, &hp->rope_dims, e);
    if (s == SL_OK) s = read_part(top, f, hp, e);
    if (s != SL_OK) return s;
    bool given = sl_json_get(top, "rope_scaling", &rope) && !(json_is_object(rope.v) && json_object_size(rope.v) == 0);
    if (!given && !sl_json_get(top, "rope_parameters", &rope)) return SL_OK;
    if (sl_json_get(&rope, "full_attention", &inner)) return sl_json_fail(&rope, e, "rope by kind of layer is not supported");
    s = read_scaling(top, &rope, hp, notes, e);
    if (s == SL_OK) s = opt_float(&rope, "rope_theta", SL__ROPE_THETA, &hp->rope_theta, e);
    return s == SL_OK ? read_part(&rope, f, hp, e) : s;
}

/* The first layers do not route. */
static sl_status read_dense_first(const sl_json *top, const sl_family *f, sl_hparams *hp, sl_error *e) {
    int first = f->default_dense_first;
    sl_status s = opt_int(top, f->hf_dense_first_key, 0, &first, e);
    for (int i = 0; i < first && i < hp->layers; i++) hp->sparse[i] = false;
    return s;
}

/* Which layers route: every decoder_sparse_step-th (with 2 the second, the fourth …), but for those in mlp_only_layers. */
static sl_status read_dense_rule(const sl_json *top, sl_hparams *hp, sl_error *e) {
    int step = 1;
    sl_json only;
    sl_status s = opt_int(top, "decoder_sparse_step", 1, &step, e);
    if (s != SL_OK) return s;
    for (int i = 0; i < hp->layers; i++) hp->sparse[i] = hp->experts > 0 && (i + 1) % step == 0;
    if (!sl_json_get(top, "mlp_only_layers", &only)) return SL_OK;
    s = sl_json_array(&only, 4096, e);
    for (size_t i = 0; s == SL_OK && i < sl_json_size(&only); i++) {
        sl_json at;
        int64_t layer = 0;
        sl_json_at(&only, i, &at);
        s = sl_json_int(&at, 0, INT32_MAX, &layer, e);
        if (s == SL_OK && layer < hp->layers) hp->sparse[layer] = false;
    }
    return s;
}

static sl_status read_router(const sl_json *top, const sl_family *f, sl_hparams *hp, sl_error *e) {
    sl_status s = SL_OK;
    if (f->hf_router_norm_key) {
        bool sum = f->default_router_sum;
        s = sl_json_opt_bool(top, f->hf_router_norm_key, &sum, e);
        hp->router_norm = sum ? SL_ROUTER_SUM : SL_ROUTER_KEEP;
    }
    if (s == SL_OK && f->hf_router_scale_key) s = opt_float(top, f->hf_router_scale_key, SL__ROUTER_SCALE, &hp->router_scale, e);
    if (s == SL_OK && f->router_groups) s = opt_int(top, "n_group", 1, &hp->router_groups, e);
    if (s == SL_OK && f->router_groups) s = opt_int(top, "topk_group", 1, &hp->router_groups_used, e);
    return s;
}

/* Is q and k's norm there, where that differs from model to model? */
static sl_status read_qk_norm(const sl_json *top, const sl_family *f, sl_hparams *hp, sl_error *e) {
    bool there = false;
    sl_status s = f->hf_qk_norm_key ? sl_json_opt_bool(top, f->hf_qk_norm_key, &there, e) : SL_OK;
    if (f->hf_qk_norm_key && !there) hp->qk_norm = SL_QK_NORM_NONE;
    return s;
}

static sl_status read_experts(const sl_json *top, const sl_family *f, sl_hparams *hp, sl_error *e) {
    /* Newer files may spell the count as another family does. */
    static const char *const aliases[] = {"num_local_experts", "num_experts"};
    hp->experts = f->default_experts;
    hp->experts_used = f->default_experts_used;
    hp->expert_ff = f->default_expert_ff;
    hp->shared_ff = f->default_shared_ff;
    sl_status s = SL_OK;
    for (int i = 0; i < 2 && s == SL_OK; i++) s = opt_int(top, aliases[i], 0, &hp->experts, e);
    if (s == SL_OK) s = opt_int(top, f->hf_experts_key, 0, &hp->experts, e);
    if (s == SL_OK) s = opt_int(top, "num_experts_per_tok", 0, &hp->experts_used, e);
    if (s == SL_OK) s = opt_int(top, f->hf_expert_ff_key, 1, &hp->expert_ff, e);
    if (s == SL_OK && f->hf_shared_ff_key) s = opt_int(top, f->hf_shared_ff_key, 0, &hp->shared_ff, e);
    if (s == SL_OK && f->hf_shared_count_key) {
        int count = f->default_shared_count;
        s = opt_int(top, f->hf_shared_count_key, 0, &count, e);
        hp->shared_ff = count > INT32_MAX / hp->expert_ff ? INT32_MAX : count * hp->expert_ff;
    }
    if (s == SL_OK) s = read_router(top, f, hp, e);
    for (int i = 0; i < hp->layers; i++) hp->sparse[i] = true;
    if (s == SL_OK && f->hf_dense_rule) s = read_dense_rule(top, hp, e);
    if (s == SL_OK && f->hf_dense_first_key) s = read_dense_first(top, f, hp, e);
    return s;
}

/* kv_heads and head_dim: an absent key means the class's default, null that it follows from heads and width. */
static sl_status read_heads(const sl_json *top, const sl_family *f, sl_hparams *hp, sl_error *e) {
    bool kv_absent = json_object_get(top->v, "num_key_value_heads") == NULL;
    bool dim_absent = json_object_get(top->v, "head_dim") == NULL;
    hp->kv_heads = kv_absent && f->default_kv_heads ? f->default_kv_heads : hp->heads;
    hp->head_dim = dim_absent && f->default_head_dim ? f->default_head_dim : hp->width / hp->heads;
    sl_status s = opt_int(top, "num_key_value_heads", 1, &hp->kv_heads, e);
    if (s == SL_OK) s = opt_int(top, "head_dim", 1, &hp->head_dim, e);
    return s;
}

static sl_status read_declared(const sl_json *top, const sl_family *f, sl_hparams *hp, sl__declared *d, sl_error *e) {
    bool bias = f->default_bias, tied = false;
    sl_status s = f->hf_bias_key ? sl_json_opt_bool(top, f->hf_bias_key, &bias, e) : SL_OK;
    if (s == SL_OK) s = sl_json_opt_bool(top, "tie_word_embeddings", &tied, e);
    if (s == SL_OK && f->clip_qkv) s = opt_float(top, "clip_qkv", SL__CLIP, &hp->qkv_clip, e);
    *d = (sl__declared){.qkv_bias = bias, .o_bias = bias && f->bias_on_output,
                        .tied = json_is_boolean(json_object_get(top->v, "tie_word_embeddings")) ? tied : -1};
    return s;
}

static sl_status read_all(const sl_json *top, const sl_family *f, sl_hparams *hp, sl__declared *d, sl_notes *notes,
                          sl_error *e) {
    sl__hparams_start(f, hp);
    hp->context = f->default_context;
    hp->norm_eps = f->default_norm_eps;
    sl_status s = need_int(top, "vocab_size", 1, &hp->vocab, e);
    if (s == SL_OK) s = need_int(top, "hidden_size", 1, &hp->width, e);
    if (s == SL_OK) s = need_int(top, "num_hidden_layers", 1, &hp->layers, e);
    if (s == SL_OK) s = need_int(top, "num_attention_heads", 1, &hp->heads, e);
    bool dense_layers = !f->routed || f->hf_dense_rule || f->hf_dense_first_key || strcmp(f->hf_expert_ff_key, "intermediate_size") == 0;
    if (s == SL_OK) s = (dense_layers ? need_int : opt_int)(top, "intermediate_size", 1, &hp->ff, e);
    if (s == SL_OK) s = opt_int(top, "max_position_embeddings", 1, &hp->context, e);
    if (s == SL_OK) s = opt_float(top, "rms_norm_eps", SL__NORM_EPS, &hp->norm_eps, e);
    if (s == SL_OK && hp->layers > SL_MAX_LAYERS) {
        sl_json at;
        sl_json_get(top, "num_hidden_layers", &at);
        s = sl_json_fail(&at, e, "is %d, at most %d are supported", hp->layers, SL_MAX_LAYERS);
    }
    if (s == SL_OK) s = read_heads(top, f, hp, e);
    if (s == SL_OK) s = read_rope(top, f, hp, notes, e);
    if (s == SL_OK) s = read_qk_norm(top, f, hp, e);
    if (s == SL_OK && f->routed) s = read_experts(top, f, hp, e);
    if (s == SL_OK) s = read_declared(top, f, hp, d, e);
    if (s == SL_OK) s = refuse_others(top, f, hp, e);
    if (s == SL_OK) s = read_window(top, f, hp, e);
    if (s != SL_OK) return s;
    bool dense = false;
    for (int i = 0; i < hp->layers; i++) dense = dense || !hp->sparse[i];
    if (!dense) hp->ff = 0;
    s = sl__hparams_check(hp, e);
    return s == SL_OK ? s : sl_error_prefix(e, "%s", top->origin);
}

sl_status sl__config_parse(const char *text, size_t len, const char *origin, const sl_family **ret_family,
                           sl_hparams *ret_hp, sl__declared *ret_declared, sl_notes *notes, sl_error *e) {
    sl_json top, at;
    const char *type = NULL;
    sl_hparams hp;
    sl__declared declared = {0};
    const sl_family *family = NULL;
    sl_status s = sl_json_parse_python(text, len, origin, &top, e);
    if (s != SL_OK) return s;
    s = sl_json_object(&top, e);
    sl_json_get(&top, "model_type", &at);
    if (s == SL_OK) s = sl_json_string(&at, &type, NULL, e);
    if (s == SL_OK) {
        family = sl_family_by_hf(type);
        if (!family) {
            sl__family_unknown("model_type", type, false, e);
            s = sl_error_prefix(e, "%s", origin);
        }
    }
    if (s == SL_OK) s = read_all(&top, family, &hp, &declared, notes, e);
    json_decref(top.v);
    if (s != SL_OK) return s;
    *ret_family = family;
    *ret_hp = hp;
    *ret_declared = declared;
    return SL_OK;
}

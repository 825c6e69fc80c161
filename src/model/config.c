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

sl_status sl__config_int(const sl_json *obj, const char *key, int lo, int *ret, sl_error *e) {
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

sl_status sl__config_float(const sl_json *obj, const char *key, double lo, double hi, float *ret, sl_error *e) {
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
    {"use_bidirectional_attention", 0, false, "vision"}, /* among the parts of a picture */
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
    {"use_cla", 0, false, NULL},
    {"num_kv_shared_layers", 0, false, NULL},
    {"hidden_size_per_layer_input", 0, false, NULL},
    {"quantization_config", 0, false, "mxfp4"},
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
        if (s != SL_OK || (n->text && strcmp(method, n->text) == 0)) return s;
        return sl_json_fail(&at, e, "quantised checkpoints%s%.40s%s are not supported", *method ? " (" : "", method, *method ? ")" : "");
    }
    char *text = json_dumps(at.v, JSON_ENCODE_ANY | JSON_COMPACT);
    sl_status s = sl_json_fail(&at, e, "%.60s is not supported", text ? text : "its value");
    free(text);
    return s;
}

/* Does the family read this one of them? */
static bool is_read(const sl_family *f, const char *key) {
    static const char *const multipliers[] = {"embedding_multiplier", "residual_multiplier", "logits_scaling"};
    bool clamped = f->activation == SL_ACTIVATION_CLAMPED && strcmp(key, "swiglu_limit") == 0;
    bool capped = f->logit_cap && strcmp(key, "final_logit_softcapping") == 0;
    bool chunked = f->chunked && strcmp(key, "attention_chunk_size") == 0;
    bool read = clamped || capped || chunked || (f->hf_logit_scale_key && strcmp(key, f->hf_logit_scale_key) == 0) ||
                (f->hf_shared_ff_key && strcmp(key, f->hf_shared_ff_key) == 0) ||
                (f->hf_shared_keys_key && strcmp(key, f->hf_shared_keys_key) == 0) ||
                (f->hf_layer_input_key && strcmp(key, f->hf_layer_input_key) == 0);
    for (size_t i = 0; f->multipliers && i < sizeof multipliers / sizeof *multipliers; i++) read = read || strcmp(key, multipliers[i]) == 0;
    return read;
}

/* What a router does in other classes, where the family has no such thing. */
static sl_status refuse_router(const sl_json *top, const sl_family *f, sl_error *e) {
    static const char *const score[] = {[SL_ROUTER_SOFTMAX] = "softmax", [SL_ROUTER_SIGMOID] = "sigmoid",
                                        [SL_ROUTER_LOGIT] = NULL, [SL_ROUTER_SPARSEMIXER] = NULL};
    sl_status s = refuse_one(top, &(struct neutral){"scoring_func", 0, false, score[f->router_score]}, e);
    if (s == SL_OK && !f->hf_router_scale_key) s = refuse_one(top, &(struct neutral){"routed_scaling_factor", 1, false, NULL}, e);
    if (s == SL_OK && !f->router_groups) s = refuse_one(top, &(struct neutral){"n_group", 1, false, NULL}, e);
    if (s == SL_OK && !f->router_groups) s = refuse_one(top, &(struct neutral){"topk_group", 1, false, NULL}, e);
    return s;
}

/* "swish" and "silu" are two names of one function; older files of classes with gelu name another one there, which they do not
 * compute. */
static sl_status refuse_activation(const sl_json *top, const sl_family *f, sl_error *e) {
    sl_json at;
    bool gelu = f->activation == SL_ACTIVATION_GELU;
    const char *key = gelu ? "hidden_activation" : "hidden_act", *usual = gelu ? "gelu_pytorch_tanh" : "silu", *act = usual;
    sl_status s = sl_json_opt_string(top, key, &act, NULL, e);
    if (s != SL_OK || strcmp(act, usual) == 0 || (!gelu && strcmp(act, "swish") == 0)) return s;
    sl_json_get(top, key, &at);
    return sl_json_fail(&at, e, "\"%.40s\" is not supported, only \"%s\"", act, usual);
}

static sl_status refuse_others(const sl_json *top, const sl_family *f, const sl_hparams *hp, sl_error *e) {
    sl_json at;
    float scale = 0;
    sl_status s = refuse_activation(top, f, e);
    if (s == SL_OK && !f->hf_bias_key) s = refuse_one(top, &(struct neutral){"attention_bias", 0, false, NULL}, e);
    if (s == SL_OK && !f->clip_qkv) s = refuse_one(top, &(struct neutral){"clip_qkv", 0, false, NULL}, e);
    if (s == SL_OK) s = refuse_one(top, &(struct neutral){"attn_output_gate", f->query_gated, f->query_gated, NULL}, e);
    if (s == SL_OK) s = refuse_router(top, f, e);
    if (s == SL_OK && !f->qk_norm) s = refuse_one(top, &(struct neutral){"use_qk_norm", 0, false, NULL}, e);
    if (s == SL_OK && !f->qk_norm) s = refuse_one(top, &(struct neutral){"qk_layernorm", 0, false, NULL}, e);
    for (size_t i = 0; s == SL_OK && i < sizeof neutrals / sizeof *neutrals; i++)
        if (!is_read(f, neutrals[i].key)) s = refuse_one(top, &neutrals[i], e);
    if (s == SL_OK && !f->multipliers) s = sl__config_float(top, "attention_multiplier", 0, 1e30, &scale, e);
    if (s == SL_OK && !sl__usual_scale(hp, scale)) {
        sl_json_get(top, "attention_multiplier", &at);
        s = sl_json_fail(&at, e, "%g is not supported, only one over the root of head_dim", (double)scale);
    }
    return s;
}

static sl_status read_score(const sl_json *top, const char *key, sl_hparams *hp, sl_error *e) {
    sl_json at;
    const char *score = "softmax";
    sl_status s = sl_json_opt_string(top, key, &score, NULL, e);
    if (s != SL_OK || strcmp(score, "sigmoid") == 0) return s;
    sl_json_get(top, key, &at);
    if (strcmp(score, "softmax") != 0) return sl_json_fail(&at, e, "\"%.40s\" is not supported", score);
    sl__router_by_share(hp);
    return SL_OK;
}

/* Experts and the shared expert are averaged or added. */
static sl_status read_shared_mean(const sl_json *top, const char *key, sl_hparams *hp, sl_error *e) {
    sl_json at;
    const char *how = "average";
    sl_status s = sl_json_opt_string(top, key, &how, NULL, e);
    if (s != SL_OK || strcmp(how, "sum") == 0) return s;
    sl_json_get(top, key, &at);
    if (strcmp(how, "average") != 0) return sl_json_fail(&at, e, "\"%.40s\" is not supported", how);
    sl__shared_mean(hp);
    return SL_OK;
}

static sl_status read_router(const sl_json *top, const sl_family *f, sl_hparams *hp, sl_error *e) {
    sl_status s = SL_OK;
    if (f->hf_router_norm_key) {
        bool sum = f->default_router_sum;
        s = sl_json_opt_bool(top, f->hf_router_norm_key, &sum, e);
        hp->router_norm = sum ? SL_ROUTER_SUM : SL_ROUTER_KEEP;
    }
    if (s == SL_OK && f->hf_router_eps_key) s = sl__config_float(top, f->hf_router_eps_key, 0, 1, &hp->router_eps, e);
    if (s == SL_OK && f->hf_router_score_key) s = read_score(top, f->hf_router_score_key, hp, e);
    if (s == SL_OK && f->hf_router_scale_key) s = sl__config_float(top, f->hf_router_scale_key, SL__ROUTER_SCALE, &hp->router_scale, e);
    if (s == SL_OK && f->router_groups) s = sl__config_int(top, "n_group", 1, &hp->router_groups, e);
    if (s == SL_OK && f->router_groups) s = sl__config_int(top, "topk_group", 1, &hp->router_groups_used, e);
    return s;
}

/* Is q and k's norm there, where that differs from model to model? */
static sl_status read_qk_norm(const sl_json *top, const sl_family *f, sl_hparams *hp, sl_error *e) {
    bool there = f->default_qk_norm;
    sl_status s = f->hf_qk_norm_key ? sl_json_opt_bool(top, f->hf_qk_norm_key, &there, e) : SL_OK;
    if (f->hf_qk_norm_key && !there) hp->qk_norm = SL_QK_NORM_NONE;
    return s;
}

/* A number, or a list of equal ones, one for each layer. */
static sl_status read_uniform(const sl_json *top, const char *key, int lo, int *ret, sl_error *e) {
    sl_json list, at;
    int64_t first = 0, x = 0;
    if (!sl_json_get(top, key, &list) || !json_is_array(list.v)) return sl__config_int(top, key, lo, ret, e);
    sl_status s = sl_json_array(&list, 4096, e);
    for (size_t i = 0; s == SL_OK && i < sl_json_size(&list); i++) {
        sl_json_at(&list, i, &at);
        s = sl_json_int(&at, lo, INT32_MAX, &x, e);
        if (i == 0) first = x;
        if (s == SL_OK && x != first) s = sl_json_fail(&list, e, "differs from layer to layer, which is not supported");
    }
    if (s == SL_OK && sl_json_size(&list)) *ret = (int)first;
    return s;
}

static sl_status read_experts(const sl_json *top, const sl_family *f, sl_hparams *hp, sl_error *e) {
    /* Newer files may spell the count as another family does. */
    static const char *const aliases[] = {"num_local_experts", "num_experts"};
    hp->experts = f->default_experts;
    hp->experts_used = f->default_experts_used;
    hp->expert_ff = f->default_expert_ff;
    hp->shared_ff = f->default_shared_ff;
    bool routed = f->hf_routed_key == NULL;
    sl_status s = routed ? SL_OK : sl_json_opt_bool(top, f->hf_routed_key, &routed, e);
    if (!routed) {
        hp->experts = hp->experts_used = hp->expert_ff = hp->shared_ff = 0;
        return s;
    }
    for (int i = 0; i < 2 && s == SL_OK; i++) s = sl__config_int(top, aliases[i], 0, &hp->experts, e);
    if (s == SL_OK) s = sl__config_int(top, f->hf_experts_key, 0, &hp->experts, e);
    if (s == SL_OK) s = sl__config_int(top, "num_experts_per_tok", 0, &hp->experts_used, e);
    if (s == SL_OK && f->hf_experts_used_key) s = read_uniform(top, f->hf_experts_used_key, 0, &hp->experts_used, e);
    if (s == SL_OK) s = sl__config_int(top, f->hf_expert_ff_key, 1, &hp->expert_ff, e);
    if (s == SL_OK && f->hf_shared_ff_key) s = sl__config_int(top, f->hf_shared_ff_key, 0, &hp->shared_ff, e);
    if (s == SL_OK && f->hf_shared_count_key) {
        int count = f->default_shared_count;
        s = sl__config_int(top, f->hf_shared_count_key, 0, &count, e);
        hp->shared_ff = count > INT32_MAX / hp->expert_ff ? INT32_MAX : count * hp->expert_ff;
    }
    if (s == SL_OK && f->shared_as_expert) hp->shared_ff = hp->expert_ff;
    if (s == SL_OK) s = read_router(top, f, hp, e);
    if (s == SL_OK && f->hf_shared_mean_key) s = read_shared_mean(top, f->hf_shared_mean_key, hp, e);
    if (s == SL_OK && hp->activation == SL_ACTIVATION_CLAMPED) {
        s = sl__config_float(top, "swiglu_alpha", SL__SCALE, &hp->activation_alpha, e);
        if (s == SL_OK) s = sl__config_float(top, "swiglu_limit", SL__SCALE, &hp->activation_limit, e);
    }
    if (s == SL_OK && f->hf_routed_key && hp->experts == 0) {
        sl_json at;
        sl_json_get(top, f->hf_experts_key, &at);
        s = sl_json_fail(&at, e, "is missing, but %s is true", f->hf_routed_key);
    }
    hp->dense_beside = f->dense_beside && hp->experts > 0;
    if (f->default_dense_ff) hp->ff = f->default_dense_ff;
    if (s == SL_OK && f->hf_dense_ff_key) s = sl__config_int(top, f->hf_dense_ff_key, 1, &hp->ff, e);
    if (s == SL_OK) s = sl__config_sparse(top, f, hp, e);
    bool routes = false;
    for (int i = 0; i < hp->layers; i++) routes = routes || hp->sparse[i];
    if (s != SL_OK || routes) return s;
    hp->experts = hp->experts_used = hp->expert_ff = hp->shared_ff = 0;
    hp->router_groups = hp->router_groups_used = 1;
    return SL_OK;
}

/* kv_heads and head_dim: an absent key means the class's default, null that it follows from heads and width. */
static sl_status read_heads(const sl_json *top, const sl_family *f, int heads, sl_hparams *hp, sl_error *e) {
    bool kv_absent = json_object_get(top->v, "num_key_value_heads") == NULL;
    bool dim_absent = json_object_get(top->v, "head_dim") == NULL;
    int kv_heads = kv_absent && f->default_kv_heads ? f->default_kv_heads : heads;
    int head_dim = dim_absent && f->default_head_dim ? f->default_head_dim : hp->width / heads;
    sl_status s = sl__config_int(top, "num_key_value_heads", 1, &kv_heads, e);
    if (s == SL_OK) s = sl__config_int(top, "head_dim", 1, &head_dim, e);
    sl_hparams_heads(hp, heads, kv_heads, head_dim);
    return s;
}

/* The growth of queries in layers that do not rotate. Some files have a number for the switch. */
static sl_status read_temperature(const sl_json *top, sl_hparams *hp, sl_error *e) {
    sl_json at;
    bool on = true;
    if (sl_json_get(top, "attn_temperature_tuning", &at) && json_is_number(at.v)) on = json_number_value(at.v) != 0;
    else if (sl_json_opt_bool(top, "attn_temperature_tuning", &on, e) != SL_OK) return SL_FORMAT;
    sl_status s = sl__config_float(top, "floor_scale", SL__TEMPERATURE, &hp->temperature_length, e);
    if (s == SL_OK) s = sl__config_float(top, "attn_scale", 0, 1e6, &hp->temperature_scale, e);
    if (!on || hp->temperature_scale == 0) hp->temperature_length = hp->temperature_scale = 0;
    return s;
}

/* Factors, where the family has such keys. */
static sl_status read_scales(const sl_json *top, const sl_family *f, sl_hparams *hp, sl_error *e) {
    float embedding = 1, residual = 1, divisor = 1, attention = 1, logits = f->hf_logit_scale_key ? f->default_logit_scale : 1;
    bool root = false;
    sl_status s = f->hf_embedding_root_key ? sl_json_opt_bool(top, f->hf_embedding_root_key, &root, e) : SL_OK;
    if (s == SL_OK && f->hf_logit_scale_key) s = sl__config_float(top, f->hf_logit_scale_key, SL__SCALE, &logits, e);
    if (s == SL_OK && f->logit_cap) s = sl__config_float(top, "final_logit_softcapping", SL__SCALE, &hp->logit_cap, e);
    if (s == SL_OK && f->hf_score_width_key) {
        float width = f->default_score_width;
        s = sl__config_float(top, f->hf_score_width_key, SL__SCALE, &width, e);
        if (width != (float)hp->head_dim[0]) hp->attention_scale = 1 / sl_sqrtf(width);
    }
    if (s == SL_OK && f->default_temperature_length != 0) s = read_temperature(top, hp, e);
    if (root || f->hf_embedding_root) hp->embedding_scale = sl_sqrtf((float)hp->width);
    if (logits != 1) hp->logit_scale = logits;
    if (s != SL_OK || !f->multipliers) return s;
    s = sl__config_float(top, "embedding_multiplier", SL__SCALE, &embedding, e);
    if (s == SL_OK) s = sl__config_float(top, "residual_multiplier", SL__SCALE, &residual, e);
    if (s == SL_OK) s = sl__config_float(top, "logits_scaling", SL__SCALE, &divisor, e);
    if (s == SL_OK) s = sl__config_float(top, "attention_multiplier", SL__SCALE, &attention, e);
    if (embedding != 1) hp->embedding_scale = embedding;
    if (residual != 1) hp->residual_scale = residual;
    if (divisor != 1) hp->logit_scale = 1 / divisor;
    hp->attention_scale = attention;
    return s;
}

/* The norms' kind and epsilon. */
static sl_status read_norm(const sl_json *top, const sl_family *f, sl_hparams *hp, sl_error *e) {
    sl_json at;
    bool rms = sl_json_get(top, "rms_norm_eps", &at);
    if (!f->hf_layer_norm_eps_key || rms) {
        if (f->hf_layer_norm_eps_key) hp->norm = SL_NORM_RMS;
        return sl__config_float(top, "rms_norm_eps", SL__NORM_EPS, &hp->norm_eps, e);
    }
    return sl__config_float(top, f->hf_layer_norm_eps_key, SL__NORM_EPS, &hp->norm_eps, e);
}

static sl_status read_declared(const sl_json *top, const sl_family *f, sl_hparams *hp, sl__declared *d, sl_error *e) {
    bool bias = f->hf_bias_key ? f->default_bias : f->always_bias, output_bias = false, tied = false;
    sl_status s = f->hf_bias_key ? sl_json_opt_bool(top, f->hf_bias_key, &bias, e) : SL_OK;
    if (s == SL_OK) s = sl_json_opt_bool(top, "tie_word_embeddings", &tied, e);
    if (s == SL_OK && f->output_bias) s = sl_json_opt_bool(top, "lm_head_bias", &output_bias, e);
    if (s == SL_OK && f->clip_qkv) s = sl__config_float(top, "clip_qkv", SL__CLIP, &hp->qkv_clip, e);
    *d = (sl__declared){.qkv_bias = bias, .o_bias = bias && f->bias_on_output, .output_bias = output_bias,
                        .tied = json_is_boolean(json_object_get(top->v, "tie_word_embeddings")) ? tied : -1};
    return s;
}

static sl_status read_all(const sl_json *top, const sl_family *f, sl_hparams *hp, sl__declared *d, sl_notes *notes,
                          sl_error *e) {
    sl__hparams_start(f, hp);
    hp->context = f->default_context;
    hp->norm_eps = f->default_norm_eps;
    hp->vocab = f->default_vocab;
    int heads = f->default_heads;
    sl_status s = (f->default_vocab ? sl__config_int : need_int)(top, "vocab_size", 1, &hp->vocab, e);
    if (s == SL_OK) s = need_int(top, "hidden_size", 1, &hp->width, e);
    if (s == SL_OK) s = need_int(top, "num_hidden_layers", 1, &hp->layers, e);
    if (s == SL_OK) s = (f->default_heads ? sl__config_int : need_int)(top, "num_attention_heads", 1, &heads, e);
    bool dense_layers = !f->routed || f->hf_routed_key || f->hf_dense_rule || f->hf_dense_first_key || f->hf_layer_range ||
                        strcmp(f->hf_expert_ff_key, "intermediate_size") == 0;
    if (s == SL_OK) s = (dense_layers ? need_int : sl__config_int)(top, "intermediate_size", 1, &hp->ff, e);
    if (s == SL_OK) s = sl__config_int(top, "max_position_embeddings", 1, &hp->context, e);
    if (s == SL_OK) s = read_norm(top, f, hp, e);
    if (s == SL_OK && hp->layers > SL_MAX_LAYERS) {
        sl_json at;
        sl_json_get(top, "num_hidden_layers", &at);
        s = sl_json_fail(&at, e, "is %d, at most %d are supported", hp->layers, SL_MAX_LAYERS);
    }
    if (s == SL_OK) s = read_heads(top, f, heads, hp, e);
    if (s == SL_OK) s = read_qk_norm(top, f, hp, e);
    if (s == SL_OK && f->routed) s = read_experts(top, f, hp, e);
    if (s == SL_OK) s = read_scales(top, f, hp, e);
    if (s == SL_OK) s = read_declared(top, f, hp, d, e);
    if (s == SL_OK) s = refuse_others(top, f, hp, e);
    if (s == SL_OK) s = sl__config_layers(top, f, hp, e);
    if (s == SL_OK) s = sl__config_rope(top, f, hp, notes, e);
    if (s != SL_OK) return s;
    bool dense = false;
    for (int i = 0; i < hp->layers; i++) dense = dense || !hp->sparse[i];
    if (!dense && !hp->dense_beside) hp->ff = 0;
    s = sl__hparams_check(hp, e);
    return s == SL_OK ? s : sl_error_prefix(e, "%s", top->origin);
}

/* The language model's part, where the file describes more: {"model_type": …, "text_config": {…}, "vision_config": {…}}. What it
 * says of tied weights beside that part goes before what the part says. */
static sl_status find_text(sl_json *outer, sl_json *ret, sl_notes *notes, sl_error *e) {
    static const char *const others[] = {"vision_config", "audio_config"};
    sl_json at;
    *ret = *outer;
    if (!sl_json_get(outer, "text_config", ret)) {
        *ret = *outer;
        return SL_OK;
    }
    sl_status s = sl_json_object(ret, e);
    if (s != SL_OK) return s;
    json_t *tied = json_object_get(outer->v, "tie_word_embeddings");
    if (json_is_boolean(tied) && json_object_set(ret->v, "tie_word_embeddings", tied)) return sl_fail(e, SL_NOMEM, "out of memory");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (sl_json_get(outer, others[i], &at))
            sl_notes_add(notes, "%s: only text is served: what %s describes is not used", outer->origin, others[i]);
    return SL_OK;
}

sl_status sl__config_parse(const char *text, size_t len, const char *origin, const sl_family **ret_family,
                           sl_hparams *ret_hp, sl__declared *ret_declared, sl_notes *notes, sl_error *e) {
    sl_json outer, top, at;
    const char *type = NULL;
    sl_hparams hp;
    sl__declared declared = {0};
    const sl_family *family = NULL;
    sl_status s = sl_json_parse_python(text, len, origin, &outer, e);
    if (s != SL_OK) return s;
    s = sl_json_object(&outer, e);
    if (s == SL_OK) s = find_text(&outer, &top, notes, e);
    if (s == SL_OK) sl_json_get(&top, "model_type", &at);
    if (s == SL_OK) s = sl_json_string(&at, &type, NULL, e);
    if (s == SL_OK) {
        family = sl_family_by_hf(type);
        if (!family) {
            sl__family_unknown("model_type", type, false, e);
            s = sl_error_prefix(e, "%s", origin);
        }
    }
    if (s == SL_OK) s = read_all(&top, family, &hp, &declared, notes, e);
    json_decref(outer.v);
    if (s != SL_OK) return s;
    *ret_family = family;
    *ret_hp = hp;
    *ret_declared = declared;
    return SL_OK;
}

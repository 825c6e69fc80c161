/* config.json to hyperparameters: a pure function from text.
 *
 * Two spellings are on disk: rope_theta and rope_scaling {type or rope_type …} at the top (transformers 4), or one
 * rope_parameters {rope_type, rope_theta …} (transformers 5). A key that is absent means the class's default, which is
 * the family's row; null means "none" or "derived". Keys whose value would change the answer and that are not supported
 * are refused by name. */
#include "model/internal.h"

#include "base/fmath.h"

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

static sl_status opt_float(const sl_json *obj, const char *key, double lo, double hi, float *ret, sl_error *e) {
    double x = (double)*ret;
    sl_status s = sl_json_opt_float(obj, key, lo, hi, &x, e);
    if (s == SL_OK) *ret = (float)x;
    return s;
}

static sl_status refuse_true(const sl_json *top, const char *key, sl_error *e) {
    bool on = false;
    sl_json at;
    sl_status s = sl_json_opt_bool(top, key, &on, e);
    if (s != SL_OK || !on) return s;
    sl_json_get(top, key, &at);
    return sl_json_fail(&at, e, "true is not supported");
}

static sl_status refuse_others(const sl_json *top, const sl_family *f, const sl_hparams *hp, sl_error *e) {
    sl_json at;
    const char *act = "silu";
    bool windowed = f->hf_window_switch == NULL;
    int window = json_object_get(top->v, "sliding_window") ? 0 : f->default_window;
    sl_status s = sl_json_opt_string(top, "hidden_act", &act, NULL, e);
    if (s == SL_OK && strcmp(act, "silu") != 0) {
        sl_json_get(top, "hidden_act", &at);
        s = sl_json_fail(&at, e, "\"%.40s\" is not supported, only \"silu\"", act);
    }
    if (s == SL_OK) s = refuse_true(top, "mlp_bias", e);
    if (s == SL_OK && sl_json_get(top, "quantization_config", &at)) s = sl_json_fail(&at, e, "quantised checkpoints are not supported");
    if (s == SL_OK && f->hf_window_switch) s = sl_json_opt_bool(top, f->hf_window_switch, &windowed, e);
    if (s == SL_OK && windowed) s = opt_int(top, "sliding_window", 0, &window, e);
    if (s != SL_OK) return s;
    if (windowed && window > 0 && window < hp->context) {
        sl_json_get(top, "sliding_window", &at);
        return sl_json_fail(&at, e, "%d is shorter than the context: sliding windows are not supported", window);
    }
    if (!sl_json_get(top, "layer_types", &at)) return SL_OK;
    s = sl_json_array(&at, SL_MAX_LAYERS, e);
    for (size_t i = 0; s == SL_OK && i < sl_json_size(&at); i++) {
        sl_json type;
        const char *name = "";
        sl_json_at(&at, i, &type);
        s = sl_json_string(&type, &name, NULL, e);
        if (s == SL_OK && strcmp(name, "full_attention") != 0) s = sl_json_fail(&type, e, "\"%.40s\" is not supported", name);
    }
    return s;
}

static sl_status read_yarn(const sl_json *rope, sl_hparams *hp, sl_error *e) {
    float given = 0, mscale = 0, mscale_all = 0;
    hp->rope_low = 1;
    hp->rope_high = 32;
    sl_status s = opt_float(rope, "beta_slow", 1e-3, 1e6, &hp->rope_low, e);
    if (s == SL_OK) s = opt_float(rope, "beta_fast", 1e-3, 1e6, &hp->rope_high, e);
    if (s == SL_OK) s = opt_float(rope, "attention_factor", 1e-3, 1e6, &given, e);
    if (s == SL_OK) s = opt_float(rope, "mscale", 0, 1e6, &mscale, e);
    if (s == SL_OK) s = opt_float(rope, "mscale_all_dim", 0, 1e6, &mscale_all, e);
    if (s == SL_OK) s = sl_json_opt_bool(rope, "truncate", &hp->rope_truncate, e);
    if (s != SL_OK) return s;
    double log_factor = hp->rope_factor > 1 ? sl_logd((double)hp->rope_factor) : 0;
    double attention = 0.1 * log_factor + 1;
    if (mscale > 0 && mscale_all > 0) attention = (0.1 * (double)mscale * log_factor + 1) / (0.1 * (double)mscale_all * log_factor + 1);
    hp->rope_attention = given > 0 ? given : (float)attention;
    hp->rope_scaling = SL_ROPE_YARN;
    return SL_OK;
}

static sl_status read_scaling(const sl_json *rope, sl_hparams *hp, sl_error *e) {
    const char *type = "default";
    sl_json at;
    sl_status s = sl_json_object(rope, e);
    if (s == SL_OK) s = sl_json_opt_string(rope, "type", &type, NULL, e);
    if (s == SL_OK) s = sl_json_opt_string(rope, "rope_type", &type, NULL, e);
    if (s != SL_OK || strcmp(type, "default") == 0) return s;
    bool linear = strcmp(type, "linear") == 0, llama3 = strcmp(type, "llama3") == 0, yarn = strcmp(type, "yarn") == 0;
    if (!linear && !llama3 && !yarn) return sl_json_fail(rope, e, "rope type \"%.40s\" is not supported", type);
    double factor = 0;
    sl_json_get(rope, "factor", &at);
    s = sl_json_float(&at, 1e-3, 1e6, &factor, e);
    if (s != SL_OK) return s;
    hp->rope_factor = (float)factor;
    hp->rope_original = hp->context;
    s = opt_int(rope, "original_max_position_embeddings", 1, &hp->rope_original, e);
    if (s != SL_OK) return s;
    if (yarn) return read_yarn(rope, hp, e);
    if (linear) {
        hp->rope_scaling = SL_ROPE_LINEAR;
        return SL_OK;
    }
    double low = 0, high = 0;
    sl_json_get(rope, "low_freq_factor", &at);
    s = sl_json_float(&at, 1e-3, 1e6, &low, e);
    sl_json_get(rope, "high_freq_factor", &at);
    if (s == SL_OK) s = sl_json_float(&at, 1e-3, 1e6, &high, e);
    if (s == SL_OK && !(high > low)) s = sl_json_fail(&at, e, "must be above low_freq_factor");
    if (s != SL_OK) return s;
    hp->rope_low = (float)low;
    hp->rope_high = (float)high;
    hp->rope_scaling = SL_ROPE_LLAMA3;
    return SL_OK;
}

static sl_status read_rope(const sl_json *top, sl_hparams *hp, sl_error *e) {
    sl_json rope, inner;
    double fraction = 1;
    sl_status s = opt_float(top, "rope_theta", 1, 1e12, &hp->rope_theta, e);
    if (s == SL_OK) s = sl_json_opt_float(top, "partial_rotary_factor", 0, 1, &fraction, e);
    if (s != SL_OK) return s;
    bool one = sl_json_get(top, "rope_parameters", &rope);
    if (one && sl_json_get(&rope, "full_attention", &inner)) return sl_json_fail(&rope, e, "rope by kind of layer is not supported");
    if (one || sl_json_get(top, "rope_scaling", &rope)) {
        s = read_scaling(&rope, hp, e);
        if (s == SL_OK) s = opt_float(&rope, "rope_theta", 1, 1e12, &hp->rope_theta, e);
        if (s == SL_OK) s = sl_json_opt_float(&rope, "partial_rotary_factor", 0, 1, &fraction, e);
        if (s != SL_OK) return s;
    }
    hp->rope_dims = (int)((double)hp->head_dim * fraction);
    return SL_OK;
}

/* Which layers route: all, or those that decoder_sparse_step picks, less mlp_only_layers. */
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
    if (s == SL_OK && f->hf_router_norm_key) {
        bool sum = false;
        s = sl_json_opt_bool(top, f->hf_router_norm_key, &sum, e);
        hp->router_norm = sum ? SL_ROUTER_SUM : SL_ROUTER_KEEP;
    }
    for (int i = 0; i < hp->layers; i++) hp->sparse[i] = true;
    if (s == SL_OK && f->hf_dense_rule) s = read_dense_rule(top, hp, e);
    return s;
}

/* kv_heads and head_dim: absent is the class's default, null is derived. */
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
    if (s == SL_OK && !f->hf_bias_key) s = refuse_true(top, "attention_bias", e);
    if (s == SL_OK) s = sl_json_opt_bool(top, "tie_word_embeddings", &tied, e);
    if (s == SL_OK && f->clip_qkv) s = opt_float(top, "clip_qkv", 0, 1e30, &hp->qkv_clip, e);
    *d = (sl__declared){.qkv_bias = bias, .o_bias = bias && f->bias_on_output,
                        .tied = json_is_boolean(json_object_get(top->v, "tie_word_embeddings")) ? tied : -1};
    return s;
}

static sl_status read_all(const sl_json *top, const sl_family *f, sl_hparams *hp, sl__declared *d, sl_error *e) {
    sl__hparams_start(f, hp);
    hp->context = f->default_context;
    hp->norm_eps = f->default_norm_eps;
    sl_status s = need_int(top, "vocab_size", 1, &hp->vocab, e);
    if (s == SL_OK) s = need_int(top, "hidden_size", 1, &hp->width, e);
    if (s == SL_OK) s = need_int(top, "num_hidden_layers", 1, &hp->layers, e);
    if (s == SL_OK) s = need_int(top, "num_attention_heads", 1, &hp->heads, e);
    if (s == SL_OK) s = need_int(top, "intermediate_size", 1, &hp->ff, e);
    if (s == SL_OK) s = opt_int(top, "max_position_embeddings", 1, &hp->context, e);
    if (s == SL_OK) s = opt_float(top, "rms_norm_eps", 1e-30, 1, &hp->norm_eps, e);
    if (s == SL_OK && hp->layers > SL_MAX_LAYERS) {
        sl_json at;
        sl_json_get(top, "num_hidden_layers", &at);
        s = sl_json_fail(&at, e, "is %d, at most %d are supported", hp->layers, SL_MAX_LAYERS);
    }
    if (s == SL_OK) s = read_heads(top, f, hp, e);
    if (s == SL_OK) s = read_rope(top, hp, e);
    if (s == SL_OK && f->routed) s = read_experts(top, f, hp, e);
    if (s == SL_OK) s = read_declared(top, f, hp, d, e);
    if (s == SL_OK) s = refuse_others(top, f, hp, e);
    if (s != SL_OK) return s;
    bool dense = false;
    for (int i = 0; i < hp->layers; i++) dense = dense || !hp->sparse[i];
    if (!dense) hp->ff = 0;
    s = sl__hparams_check(hp, e);
    return s == SL_OK ? s : sl_error_prefix(e, "%s", top->origin);
}

sl_status sl__config_parse(const char *text, size_t len, const char *origin, const sl_family **ret_family,
                           sl_hparams *ret_hp, sl__declared *ret_declared, sl_error *e) {
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
    if (s == SL_OK) s = read_all(&top, family, &hp, &declared, e);
    json_decref(top.v);
    if (s != SL_OK) return s;
    *ret_family = family;
    *ret_hp = hp;
    *ret_declared = declared;
    return SL_OK;
}

/* config.json's rope: rope_theta and rope_scaling {type or rope_type …} at the top (transformers 4), or one rope_parameters
 * {rope_type, rope_theta …} (transformers 5). */
#include "model/internal.h"

#include "base/fmath.h"

#include <string.h>

static sl_status need_float(const sl_json *obj, const char *key, double lo, double hi, float *ret, sl_error *e) {
    sl_json at;
    double x = 0;
    sl_json_get(obj, key, &at);
    sl_status s = sl_json_float(&at, lo, hi, &x, e);
    if (s == SL_OK) *ret = (float)x;
    return s;
}

static sl_status read_yarn(const sl_json *rope, sl_hparams *hp, sl_error *e) {
    sl_json at;
    float given = 0, mscale = 0, mscale_all = 0;
    hp->rope_low = 1;
    hp->rope_high = 32;
    if (!sl_json_get(rope, "factor", &at)) /* null: the one that the two context lengths have */
        hp->rope_factor = (float)hp->context / (float)hp->rope_original;
    sl_status s = sl__config_float(rope, "beta_slow", 0, SL__MOST_TURNS, &hp->rope_low, e);
    if (s == SL_OK) s = sl__config_float(rope, "beta_fast", 0, SL__MOST_TURNS, &hp->rope_high, e);
    if (s == SL_OK) s = sl__config_float(rope, "attention_factor", SL__ROPE_ATTENTION, &given, e);
    if (s == SL_OK) s = sl__config_float(rope, "mscale", 0, 1e3, &mscale, e);
    if (s == SL_OK) s = sl__config_float(rope, "mscale_all_dim", 0, 1e3, &mscale_all, e);
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
    bool longrope = strcmp(type, "longrope") == 0 || strcmp(type, "su") == 0;
    for (size_t i = longrope ? 1 : 0; i < sizeof keys / sizeof *keys; i++)
        if (sl_json_get(rope, keys[i], &at))
            sl_notes_add(notes, "config.json: %s.%s is ignored, rope type \"%.40s\" has none", rope->key, keys[i], type);
}

/* A list of divisors, one for each pair. */
static sl_status read_divisors(const sl_json *rope, const char *key, const sl_hparams *hp, float *ret, sl_error *e) {
    sl_json list, at;
    sl_json_get(rope, key, &list);
    sl_status s = sl_json_array(&list, SL_MAX_ROPE_PAIRS, e);
    if (s == SL_OK && sl_json_size(&list) != (size_t)hp->rope_dims / 2)
        s = sl_json_fail(&list, e, "has %zu numbers, not one for each of %d pairs", sl_json_size(&list), hp->rope_dims / 2);
    for (size_t i = 0; s == SL_OK && i < sl_json_size(&list); i++) {
        double x = 0;
        sl_json_at(&list, i, &at);
        s = sl_json_float(&at, 1e-6, 1e6, &x, e);
        ret[i] = (float)x;
    }
    return s;
}

/* Divisors where sequences are served up to the original context, and those where longer ones are. */
static sl_status read_divided(const sl_json *rope, const sl_family *f, sl_hparams *hp, sl_error *e) {
    sl_json at;
    float given = 0;
    if (!sl_json_get(rope, "factor", &at)) hp->rope_factor = (float)hp->context / (float)hp->rope_original;
    sl_status s = read_divisors(rope, "short_factor", hp, hp->rope_divisor, e);
    hp->rope_long = sl_json_get(rope, "long_factor", &at);
    if (s == SL_OK && hp->rope_long) s = read_divisors(rope, "long_factor", hp, hp->rope_long_divisor, e);
    if (s == SL_OK) s = sl__config_float(rope, "attention_factor", SL__ROPE_ATTENTION, &given, e);
    if (s != SL_OK) return s;
    double usual = 1;
    if (hp->rope_factor > 1 && hp->rope_original > 1)
        usual = (double)sl_sqrtf((float)(1 + sl_logd((double)hp->rope_factor) / sl_logd((double)hp->rope_original)));
    hp->rope_attention = hp->rope_long_attention = given > 0 ? given : (float)usual;
    hp->rope_scaling = SL_ROPE_DIVIDED;
    if (!f->hf_rope_attention_keys[0]) return SL_OK;
    s = sl__config_float(rope, f->hf_rope_attention_keys[0], SL__ROPE_ATTENTION, &hp->rope_attention, e);
    return s == SL_OK ? sl__config_float(rope, f->hf_rope_attention_keys[1], SL__ROPE_ATTENTION, &hp->rope_long_attention, e) : s;
}

/* Up to the context that the model was made for, and no sequence is longer, dynamic scaling does nothing; alpha, where a class has
 * it, stretches the base for good: theta times alpha^(d / (d - 2)). */
static sl_status read_dynamic(const sl_json *rope, const sl_family *f, sl_hparams *hp, sl_error *e) {
    float alpha = 0;
    sl_status s = f->rope_alpha ? sl__config_float(rope, "alpha", 0, 1e6, &alpha, e) : SL_OK;
    if (s != SL_OK || alpha <= 0) return s;
    sl_json at;
    if (hp->rope_dims < 4) return sl_json_get(rope, "alpha", &at), sl_json_fail(&at, e, "needs four rotated values of a head at least");
    hp->rope_theta *= sl_powf(alpha, (float)hp->rope_dims / (float)(hp->rope_dims - 2));
    return SL_OK;
}

/* Values of a head in layers with a window, or in those without; where there are none of these, in the others. */
static int head_dim(const sl_hparams *hp, bool window) {
    for (int i = 0; i < hp->layers; i++)
        if ((hp->window[i] != 0) == window) return hp->head_dim[i];
    return hp->head_dim[0];
}

/* The first of the whole head's pairs turn, the others stand still. If there are no others, this is plain rope, or linear. */
static void stand_still(sl_hparams *hp, double part) {
    hp->rope_dims = head_dim(hp, false);
    hp->rope_turning = (int)(part * hp->rope_dims / 2);
    hp->rope_scaling = SL_ROPE_PROPORTIONAL;
    if (hp->rope_dims < 2 || hp->rope_turning < hp->rope_dims / 2) return;
    hp->rope_turning = 0;
    hp->rope_scaling = hp->rope_factor != 1 ? SL_ROPE_LINEAR : SL_ROPE_PLAIN;
}

static sl_status read_proportional(const sl_json *rope, sl_hparams *hp, sl_error *e) {
    double part = 1;
    hp->rope_factor = 1;
    sl_status s = sl_json_opt_float(rope, "partial_rotary_factor", 0, 1, &part, e);
    if (s == SL_OK) s = sl__config_float(rope, "factor", SL__ROPE_FACTOR, &hp->rope_factor, e);
    stand_still(hp, part);
    return s;
}

/* The part of a head of `whole` values that is rotated: these times partial_rotary_factor, rounded down. */
static sl_status read_part(const sl_json *obj, const sl_family *f, int whole, int *ret, sl_error *e) {
    sl_json at;
    double part = -1; /* the key is absent */
    sl_status s = sl_json_opt_float(obj, "partial_rotary_factor", 0, 1, &part, e);
    if (s != SL_OK || part < 0) return s;
    int dims = (int)((double)whole * part);
    sl_json_get(obj, "partial_rotary_factor", &at);
    if (f->default_rope_part == 0 && dims != whole) return sl_json_fail(&at, e, "%g is not supported", part);
    if (dims < 2 || dims % 2) return sl_json_fail(&at, e, "%g of a head of %d is %d, no even number of values", part, whole, dims);
    *ret = dims;
    return SL_OK;
}

/* The same, by the factor beside a rope type. A class whose rope is proportional where nothing is said computes plain rope without it. */
static sl_status read_part_of(const sl_json *rope, const sl_family *f, const char *type, int whole, int *ret, sl_notes *notes, sl_error *e) {
    sl_json at;
    if (f->default_rope_turning_part == 0 || strcmp(type, "default") != 0) return read_part(rope, f, whole, ret, e);
    if (sl_json_get(rope, "partial_rotary_factor", &at) && json_number_value(at.v) != 1)
        sl_notes_add(notes, "config.json: %s.partial_rotary_factor is ignored, as rope type \"default\" turns whole heads", rope->key);
    return SL_OK;
}

/* The kind, `whole` being the values of a head. The part that is rotated comes first: some kinds have a number for each pair. */
static sl_status read_scaling(const sl_json *top, const sl_json *rope, const sl_family *f, int whole, sl_hparams *hp, sl_notes *notes, sl_error *e) {
    const char *type = "default";
    sl_json beta;
    sl_status s = sl_json_object(rope, e);
    if (s == SL_OK) s = sl_json_opt_string(rope, "type", &type, NULL, e);
    if (s == SL_OK) s = sl_json_opt_string(rope, "rope_type", &type, NULL, e);
    if (s == SL_OK && sl_json_get(rope, "llama_4_scaling_beta", &beta) && json_number_value(beta.v) != 0)
        s = sl_json_fail(&beta, e, "is not supported");
    bool yarn = s == SL_OK && strcmp(type, "yarn") == 0;
    if (s == SL_OK && strcmp(type, "proportional") != 0) s = read_part_of(rope, f, type, whole, &hp->rope_dims, notes, e);
    if (s == SL_OK && !yarn) note_ignored(rope, type, notes);
    if (s != SL_OK || strcmp(type, "default") == 0) return s;
    if (strcmp(type, "dynamic") == 0) return read_dynamic(rope, f, hp, e);
    if (strcmp(type, "proportional") == 0) return read_proportional(rope, hp, e);
    hp->rope_original = hp->context;
    s = sl__config_float(rope, "factor", SL__ROPE_FACTOR, &hp->rope_factor, e);
    if (s == SL_OK) s = sl__config_int(rope, "original_max_position_embeddings", 1, &hp->rope_original, e);
    if (s == SL_OK) s = sl__config_int(top, "original_max_position_embeddings", 1, &hp->rope_original, e); /* goes before the inner one */
    if (s != SL_OK) return s;
    if (yarn) return read_yarn(rope, hp, e);
    if (strcmp(type, "longrope") == 0 || strcmp(type, "su") == 0) return read_divided(rope, f, hp, e);
    bool linear = strcmp(type, "linear") == 0;
    if (!linear && strcmp(type, "llama3") != 0) return sl_json_fail(rope, e, "rope type \"%.40s\" is not supported", type);
    s = need_float(rope, "factor", SL__ROPE_FACTOR, &hp->rope_factor, e);
    if (s == SL_OK && linear && hp->rope_factor != 1) hp->rope_scaling = SL_ROPE_LINEAR;
    return s == SL_OK && !linear ? read_llama3(rope, hp, e) : s;
}

/* What layers with a window rotate by, where rope_parameters says it by kind of layer: a base, a part of the head, and perhaps a factor;
 * dynamic scaling does nothing there either. */
static sl_status read_window(const sl_json *rope, const sl_family *f, sl_hparams *hp, sl_notes *notes, sl_error *e) {
    sl_json at;
    const char *type = "default";
    if (!sl_json_get(rope, "sliding_attention", &at)) return SL_OK;
    sl_status s = sl_json_object(&at, e);
    if (s == SL_OK) s = sl_json_opt_string(&at, "rope_type", &type, NULL, e);
    bool linear = strcmp(type, "linear") == 0, known = linear || strcmp(type, "default") == 0 || strcmp(type, "dynamic") == 0;
    if (s == SL_OK && !known) s = sl_json_fail(&at, e, "rope type \"%.40s\" is not supported in layers with a window", type);
    if (s == SL_OK && linear) s = need_float(&at, "factor", SL__ROPE_FACTOR, &hp->window_rope_factor, e);
    if (s == SL_OK) s = read_part_of(&at, f, type, head_dim(hp, true), &hp->window_rope_dims, notes, e);
    return s == SL_OK ? sl__config_float(&at, "rope_theta", SL__ROPE_THETA, &hp->window_rope_theta, e) : s;
}

static void scale_as_usual(sl_hparams *hp) {
    hp->rope_scaling = SL_ROPE_YARN;
    hp->rope_factor = 32;
    hp->rope_original = 4096;
    hp->rope_low = 1, hp->rope_high = 32;
    hp->rope_truncate = false;
    hp->rope_attention = (float)(0.1 * sl_logd(32) + 1);
}

/* rope_scaling, if it holds anything, stands for the whole of rope_parameters; a base inside goes before the one at the top. */
sl_status sl__config_rope(const sl_json *top, const sl_family *f, sl_hparams *hp, sl_notes *notes, sl_error *e) {
    sl_json rope, inner;
    const sl_json *full = &rope;
    int whole = head_dim(hp, false), in_window = head_dim(hp, true);
    hp->rope_dims = f->default_rope_part != 0 ? (int)((float)whole * f->default_rope_part) : whole;
    if (hp->window_rope_theta != 0) hp->window_rope_dims = f->default_rope_part != 0 ? (int)((float)in_window * f->default_rope_part) : in_window;
    sl_status s = sl__config_float(top, "rope_theta", SL__ROPE_THETA, &hp->rope_theta, e);
    if (s == SL_OK && f->hf_rope_dims_key) s = sl__config_int(top, f->hf_rope_dims_key, 2, &hp->rope_dims, e);
    if (s == SL_OK) s = read_part(top, f, whole, &hp->rope_dims, e);
    if (s == SL_OK && f->default_window_rope_theta != 0) s = sl__config_float(top, "rope_local_base_freq", SL__ROPE_THETA, &hp->window_rope_theta, e);
    if (s != SL_OK) return s;
    bool given = sl_json_get(top, "rope_scaling", &rope) && !(json_is_object(rope.v) && json_object_size(rope.v) == 0);
    if (!given && !sl_json_get(top, "rope_parameters", &rope)) {
        if (f->usual_yarn) scale_as_usual(hp);
        if (f->default_rope_turning_part != 0) stand_still(hp, (double)f->default_rope_turning_part);
        return SL_OK;
    }
    if (sl_json_get(&rope, "full_attention", &inner)) {
        if (f->default_window_rope_theta == 0) return sl_json_fail(&rope, e, "rope by kind of layer is not supported");
        s = read_window(&rope, f, hp, notes, e);
        full = &inner;
    }
    if (s == SL_OK) s = sl__config_float(full, "rope_theta", SL__ROPE_THETA, &hp->rope_theta, e);
    return s == SL_OK ? read_scaling(top, full, f, whole, hp, notes, e) : s;
}

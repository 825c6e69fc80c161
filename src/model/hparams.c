/* What both containers share about hyperparameters: those that the family fixes, the ranges of all, and the message about a
 * family that is not known. */
#include "model/internal.h"

#include "base/buffer.h"
#include "base/fmath.h"

#include <limits.h>
#include <string.h>

/* The most columns that a weight matrix may have, and the most rows (the vocabulary has its own bound). */
#define MAX_WIDTH (1 << 20)
#define MAX_HEAD_DIM 4096
#define MAX_VOCAB (1 << 20)

void sl__hparams_start(const sl_family *f, sl_hparams *hp) {
    *hp = (sl_hparams){
        .norm = f->norm,
        .wiring = f->wiring,
        .qk_norm = f->qk_norm,
        .query_gated = f->query_gated,
        .attention_scale = f->attention_scale,
        .value_norm = f->value_norm,
        .rope_style = f->rope_style,
        .rope_theta = f->default_rope_theta,
        .window_rope_theta = f->default_window_rope_theta,
        .rope_factor = 1,
        .window_rope_factor = 1,
        .rope_attention = 1,
        .rope_truncate = true,
        .chunked = f->chunked,
        .temperature_length = f->default_temperature_length,
        .temperature_scale = f->default_temperature_scale,
        .weighs_input = f->weighs_input,
        .router_score = f->router_score,
        .router_norm = f->router_norm,
        .router_eps = f->router_eps,
        .router_scale = f->hf_router_scale_key ? f->default_router_scale : 1,
        .router_groups = 1,
        .router_groups_used = 1,
        .activation = f->activation,
        .activation_alpha = f->default_activation_alpha,
        .activation_limit = f->default_activation_limit,
        .shared_gate = f->shared_gate,
    };
}

typedef struct size_range {
    const char *what;
    int64_t value, lo, hi;
} size_range;

static sl_status within(const size_range *range, size_t count, sl_error *e) {
    for (size_t i = 0; i < count; i++)
        if (range[i].value < range[i].lo || range[i].value > range[i].hi)
            return sl_fail(e, SL_FORMAT, "%s is %lld, not within %lld … %lld", range[i].what, (long long)range[i].value,
                           (long long)range[i].lo, (long long)range[i].hi);
    return SL_OK;
}

static sl_status check_delta(const sl_hparams *hp, sl_error *e) {
    const size_range range[] = {
        {"the number of linear attention's key heads", hp->delta_key_heads, 1, 65536},
        {"the number of linear attention's value heads", hp->delta_value_heads, 1, 65536},
        {"the size of linear attention's key heads", hp->delta_key_dim, 1, MAX_HEAD_DIM},
        {"the size of linear attention's value heads", hp->delta_value_dim, 1, MAX_HEAD_DIM},
        {"linear attention's key heads times their size", (int64_t)hp->delta_key_heads * hp->delta_key_dim, 1, MAX_WIDTH},
        {"linear attention's value heads times their size", (int64_t)hp->delta_value_heads * hp->delta_value_dim, 1, MAX_WIDTH},
        {"the positions of linear attention's convolution", hp->delta_taps, 2, 16},
    };
    if (within(range, sizeof range / sizeof *range, e) != SL_OK) return SL_FORMAT;
    if (hp->delta_value_heads % hp->delta_key_heads)
        return sl_fail(e, SL_FORMAT, "%d value heads of linear attention are not a multiple of %d key heads", hp->delta_value_heads,
                       hp->delta_key_heads);
    return SL_OK;
}

/* Of a layer with attention. */
static sl_status check_heads(const sl_hparams *hp, int layer, sl_error *e) {
    int heads = hp->heads[layer], kv_heads = hp->kv_heads[layer], dim = hp->head_dim[layer];
    const size_range range[] = {
        {"the number of heads", heads, 1, 65536},
        {"the number of key-value heads", kv_heads, 1, heads},
        {"the head dimension", dim, 1, MAX_HEAD_DIM},
        {"heads times head dimension", (int64_t)heads * dim, 1, MAX_WIDTH},
        {"the rotated dimensions of a head", hp->unrotated[layer] ? 0 : sl_rope_dims(hp, layer), 0, dim},
    };
    if (within(range, sizeof range / sizeof *range, e) != SL_OK) return sl_error_prefix(e, "layer %d", layer);
    int other = hp->keys_of[layer] - 1;
    if (other >= 0 && (other >= layer || hp->mixer[other] != SL_MIXER_ATTENTION || hp->keys_of[other] || hp->kv_heads[other] != kv_heads ||
                       hp->head_dim[other] != dim || hp->window[other] != hp->window[layer]))
        return sl_fail(e, SL_FORMAT, "layer %d cannot attend to the keys of layer %d, which is another kind of layer", layer, other);
    if (heads % kv_heads)
        return sl_fail(e, SL_FORMAT, "%d heads of layer %d are not a multiple of %d key-value heads", heads, layer, kv_heads);
    return SL_OK;
}

static sl_status check_rope(const sl_hparams *hp, sl_error *e) {
    const size_range range[] = {
        {"the rotated dimensions of a head", hp->rope_dims, 2, MAX_HEAD_DIM},
        {"the rotated dimensions of a head in layers with a window", hp->window_rope_dims, hp->window_rope_theta != 0 ? 2 : 0, MAX_HEAD_DIM},
        {"the context length before rope scaling", hp->rope_original, hp->rope_scaling < SL_ROPE_DIVIDED ? 0 : 1, INT32_MAX},
        {"the pairs that turn", hp->rope_turning, hp->rope_scaling == SL_ROPE_PROPORTIONAL ? 1 : 0, hp->rope_dims / 2},
    };
    if (within(range, sizeof range / sizeof *range, e) != SL_OK) return SL_FORMAT;
    int odd = hp->rope_dims % 2 ? hp->rope_dims : hp->window_rope_dims;
    return odd % 2 ? sl_fail(e, SL_FORMAT, "the rotated dimensions of a head are %d, which is odd", odd) : SL_OK;
}

static sl_status check_sizes(const sl_hparams *hp, sl_error *e) {
    const size_range range[] = {
        {"the vocabulary's size", hp->vocab, 1, MAX_VOCAB},
        {"the context length", hp->context, 1, INT32_MAX},
        {"the hidden size", hp->width, 1, MAX_WIDTH},
        {"the number of layers", hp->layers, 1, SL_MAX_LAYERS},
        {"the feed-forward width", hp->ff, 0, MAX_WIDTH},
        {"the values that layers have of a token", (int64_t)hp->layer_input * hp->layers, 0, MAX_WIDTH},
        {"the number of experts", hp->experts, 0, SL_MAX_EXPERTS},
        {"the number of experts used", hp->experts_used, hp->experts ? 1 : 0, hp->experts},
        {"the number of groups of experts", hp->router_groups, 1, hp->experts > 2 ? hp->experts / 2 : 1},
        {"the number of groups that experts are chosen in", hp->router_groups_used, 1, hp->router_groups},
        {"the experts' width", hp->expert_ff, hp->experts ? 1 : 0, MAX_WIDTH},
        {"the shared expert's width", hp->shared_ff, 0, MAX_WIDTH},
    };
    if (within(range, sizeof range / sizeof *range, e) != SL_OK) return SL_FORMAT;
    if (hp->experts % hp->router_groups)
        return sl_fail(e, SL_FORMAT, "%d experts are not a multiple of %d groups", hp->experts, hp->router_groups);
    int among = hp->experts / hp->router_groups * hp->router_groups_used;
    if (among < hp->experts_used)
        return sl_fail(e, SL_FORMAT, "%d experts are chosen among %d, in %d of %d groups", hp->experts_used, among,
                       hp->router_groups_used, hp->router_groups);
    if (hp->experts && hp->router_score == SL_ROUTER_SPARSEMIXER && hp->experts_used != 2)
        return sl_fail(e, SL_UNSUPPORTED, "%d experts a token are not supported by this router, only 2", hp->experts_used);
    int attending = 0;
    for (int i = 0; i < hp->layers; i++) attending += hp->mixer[i] == SL_MIXER_ATTENTION;
    if (attending < hp->layers && check_delta(hp, e) != SL_OK) return SL_FORMAT;
    if (!attending) return sl_fail(e, SL_UNSUPPORTED, "no layer has attention, which is not supported");
    for (int i = 0; i < hp->layers; i++)
        if (hp->mixer[i] == SL_MIXER_ATTENTION && check_heads(hp, i, e) != SL_OK) return SL_FORMAT;
    if (check_rope(hp, e) != SL_OK) return SL_FORMAT;
    for (int i = 0; i < hp->layers; i++)
        if (sl_ff(hp, i) > MAX_WIDTH)
            return sl_fail(e, SL_FORMAT, "the feed-forward width of layer %d is %d, more than %d", i, sl_ff(hp, i), MAX_WIDTH);
    for (int i = 0; i < hp->layers; i++)
        if (hp->window[i] < 0) return sl_fail(e, SL_FORMAT, "the window of layer %d is %d", i, hp->window[i]);
    for (int i = 0; i < hp->layers; i++)
        if (hp->sparse[i] && hp->dense_beside && hp->ff == 0)
            return sl_fail(e, SL_FORMAT, "the feed-forward width is missing of what stands beside the experts of layer %d", i);
    for (int i = 0; i < hp->layers; i++)
        if (!hp->sparse[i] && hp->ff == 0) return sl_fail(e, SL_FORMAT, "layer %d does not route, but the dense feed-forward width is missing", i);
    return SL_OK;
}

static sl_status check_floats(const sl_hparams *hp, sl_error *e) {
    bool turns = hp->rope_scaling == SL_ROPE_LLAMA3 || hp->rope_scaling == SL_ROPE_YARN;
    const struct {
        const char *what;
        bool there;
        float value;
        double lo, hi;
    } range[] = {
        {"the norm's epsilon", true, hp->norm_eps, SL__NORM_EPS},
        {"the bound on q, k and v", hp->qkv_clip != 0, hp->qkv_clip, 1e-6, 1e30},
        {"the factor on embeddings", hp->embedding_scale != 0, hp->embedding_scale, SL__SCALE},
        {"the factor on what is added to the stream", hp->residual_scale != 0, hp->residual_scale, SL__SCALE},
        {"the factor on logits", hp->logit_scale != 0, hp->logit_scale, SL__SCALE},
        {"the factor on attention scores", hp->attention_scale != 0, hp->attention_scale, SL__SCALE},
        {"the factor on experts and shared expert", hp->routed_scale != 0, hp->routed_scale, SL__SCALE},
        {"the factor in the experts' gate", hp->activation == SL_ACTIVATION_CLAMPED, hp->activation_alpha, SL__SCALE},
        {"the bound on the experts' gate", hp->activation == SL_ACTIVATION_CLAMPED, hp->activation_limit, SL__SCALE},
        {"the cap on logits", hp->logit_cap != 0, hp->logit_cap, SL__SCALE},
        {"the rope base of layers with a window", hp->window_rope_theta != 0, hp->window_rope_theta, SL__ROPE_THETA},
        {"the positions that the growth of queries is counted in", hp->temperature_length != 0, hp->temperature_length, SL__TEMPERATURE},
        {"the growth of queries", hp->temperature_length != 0, hp->temperature_scale, SL__SCALE},
        {"the rope base", true, hp->rope_theta, SL__ROPE_THETA},
        {"the factor on experts' weights", true, hp->router_scale, SL__ROUTER_SCALE},
        {"the rope factor", true, hp->rope_factor, SL__ROPE_FACTOR},
        {"the rope factor of layers with a window", hp->window_rope_theta != 0, hp->window_rope_factor, SL__ROPE_FACTOR},
        {"the rope factor on attention", true, hp->rope_attention, SL__ROPE_ATTENTION},
        {"the rope factor on attention beyond the original context", hp->rope_long, hp->rope_long_attention, SL__ROPE_ATTENTION},
        {"the lower bound of rope scaling's turns", turns, hp->rope_low, SL__TURNS},
        {"the upper bound of rope scaling's turns", turns, hp->rope_high, SL__TURNS},
    };
    for (size_t i = 0; i < sizeof range / sizeof *range; i++) /* the bounds as floats: 1e-12f is below 1e-12 */
        if (range[i].there && !(range[i].value >= (float)range[i].lo && range[i].value <= (float)range[i].hi))
            return sl_fail(e, SL_FORMAT, "%s is %g, not within %g … %g", range[i].what, (double)range[i].value, range[i].lo, range[i].hi);
    for (int j = 0; hp->rope_scaling == SL_ROPE_DIVIDED && j < hp->rope_dims / 2; j++) {
        float two[] = {hp->rope_divisor[j], hp->rope_long ? hp->rope_long_divisor[j] : 1};
        for (int i = 0; i < 2; i++)
            if (!(two[i] >= 1e-6f && two[i] <= 1e6f)) return sl_fail(e, SL_FORMAT, "the divisor of rope pair %d is %g", j, (double)two[i]);
    }
    /* Llama 4 Scout has two equal ones: from one pair to the next there is the whole factor between. */
    bool one = hp->rope_scaling == SL_ROPE_LLAMA3 && hp->rope_high == hp->rope_low;
    if (turns && !one && !(hp->rope_high > hp->rope_low))
        return sl_fail(e, SL_FORMAT, "the bounds of rope scaling's turns are %g and %g: the second must be above the first",
                       (double)hp->rope_low, (double)hp->rope_high);
    return SL_OK;
}

sl_status sl__hparams_check(const sl_hparams *hp, sl_error *e) {
    sl_status s = check_sizes(hp, e);
    return s == SL_OK ? check_floats(hp, e) : s;
}

void sl__hparams_windows(const sl_family *f, const bool *has, int window, bool rotating_prefix, sl_hparams *hp) {
    bool none = f->rope_in_windows && window == 0;
    if (none && f->windowless == SL_WINDOWLESS_KIND) window = INT32_MAX; /* no context is as long, and these layers rotate */
    for (int i = 0; i < hp->layers; i++) hp->window[i] = has[i] ? window : 0;
    for (int i = 0; f->rope_in_windows && i < hp->layers; i++) {
        bool all = none && f->windowless == SL_WINDOWLESS_ALL;
        hp->unrotated[i] = !all && !hp->window[i] && !(rotating_prefix && !hp->sparse[i]);
    }
}

void sl__router_by_share(sl_hparams *hp) {
    hp->router_score = SL_ROUTER_LOGIT;
    hp->router_norm = SL_ROUTER_SHARE;
}

void sl__shared_mean(sl_hparams *hp) {
    if (hp->shared_ff) hp->routed_scale = 0.5f;
}

void sl__hparams_share_keys(sl_hparams *hp, int shared) {
    int own = hp->layers - shared;
    for (int i = own; i < hp->layers; i++)
        for (int from = own; from > 0 && !hp->keys_of[i]; from--)
            if ((hp->window[from - 1] != 0) == (hp->window[i] != 0)) hp->keys_of[i] = from, hp->keyed_values[i] = false;
}

bool sl__usual_scale(const sl_hparams *hp, float scale) {
    float usual = hp->attention_scale != 0 ? hp->attention_scale : 1 / sl_sqrtf((float)hp->head_dim[0]);
    return scale == 0 || (scale > usual * (1 - 1e-5f) && scale < usual * (1 + 1e-5f));
}

sl_status sl__family_unknown(const char *what, const char *name, bool gguf, sl_error *e) {
    sl_buffer known = {0};
    const sl_family *f;
    for (int i = 0; (f = sl_family_at(i)) != NULL; i++) {
        const char *text = gguf ? f->gguf_arch : f->hf_type;
        if (!text) continue;
        bool again = false;
        for (int j = 0; j < i && gguf; j++) {
            const char *before = sl_family_at(j)->gguf_arch;
            again = again || (before && strcmp(before, text) == 0);
        }
        if (!again) sl_buffer_printf(&known, "%s%s", known.len ? ", " : "", text);
    }
    const char *lack = sl_family_missing(name);
    sl_status s = sl_fail(e, SL_UNSUPPORTED, "%s \"%.100s\" is not supported%s%s; known are %s", what, name, lack ? ": it needs " : "",
                          lack ? lack : "", sl_buffer_text(&known));
    sl_buffer_done(&known);
    return s;
}

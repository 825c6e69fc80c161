/* What a GGUF file says of each layer: has it a window, and does it rotate. Of which layers route, and which
 * have another mixer than attention, tensors tell. */
#include "model/internal.h"

#include <stdio.h>

/* attention.sliding_window_pattern: a boolean for each layer, or a number n: all layers but every n-th. false: there is no such key. */
static sl_status read_pattern(const sl__gguf *g, const char *key, int layers, bool *has, bool *ret_given, sl_error *e) {
    const sl__gguf_value *v = sl__gguf_find(g, key);
    int64_t interval = 0;
    *ret_given = v != NULL;
    if (!v) return SL_OK;
    if (v->type != SL__GGUF_ARRAY) {
        sl_status s = sl__gguf_int(g, key, true, 1, SL_MAX_LAYERS, &interval, e);
        for (int i = 0; s == SL_OK && i < layers; i++) has[i] = (i + 1) % interval != 0;
        return s;
    }
    if (v->count < (uint64_t)layers) return sl_fail(e, SL_FORMAT, "%s has fewer elements than there are layers", key);
    if (v->element == SL__GGUF_STRING) return sl_fail(e, SL_FORMAT, "%s is an array of strings", key);
    for (int i = 0; i < layers; i++)
        has[i] = v->element == SL__GGUF_BOOL ? v->data[i] != 0 : sl__gguf_number_at(v, (uint64_t)i) != 0;
    return SL_OK;
}

static sl_status get_size(const sl__gguf *g, const char *arch, const char *name, int *ret, sl_error *e) {
    char key[128];
    int64_t x = 0;
    snprintf(key, sizeof key, "%s.%s", arch, name);
    sl_status s = sl__gguf_uniform(g, key, true, 1, INT32_MAX, &x, e);
    if (s == SL_OK) *ret = (int)x;
    return s;
}

/* Sizes of gated delta nets. Which layers they are tensors tell: peers write full_attention_interval 4 for models whose layers
 * stand in another order too. */
static sl_status read_delta(const sl__gguf *g, const char *arch, const sl_family *f, sl_hparams *hp, sl_error *e) {
    int inner = 0;
    sl_status s = get_size(g, arch, "ssm.conv_kernel", &hp->delta_taps, e);
    if (s == SL_OK) s = get_size(g, arch, "ssm.state_size", &hp->delta_key_dim, e);
    if (s == SL_OK) s = get_size(g, arch, "ssm.group_count", &hp->delta_key_heads, e);
    if (s == SL_OK) s = get_size(g, arch, "ssm.time_step_rank", &hp->delta_value_heads, e);
    if (s == SL_OK) s = get_size(g, arch, "ssm.inner_size", &inner, e);
    if (s != SL_OK) return s;
    if (inner % hp->delta_value_heads)
        return sl_fail(e, SL_FORMAT, "%s.ssm.inner_size %d is not a multiple of ssm.time_step_rank %d", arch, inner, hp->delta_value_heads);
    hp->delta_value_dim = inner / hp->delta_value_heads;
    hp->delta_tiled = f->gguf_delta_tiled;
    return SL_OK;
}

/* The size of a head in layers with a window, where it is another. */
static sl_status read_window_heads(const sl__gguf *g, const char *arch, sl_hparams *hp, sl_error *e) {
    char key[128];
    int64_t dim = 0, value = 0;
    snprintf(key, sizeof key, "%s.attention.key_length_swa", arch);
    sl_status s = sl__gguf_uniform(g, key, false, 1, INT32_MAX, &dim, e);
    snprintf(key, sizeof key, "%s.attention.value_length_swa", arch);
    value = dim;
    if (s == SL_OK) s = sl__gguf_uniform(g, key, false, 1, INT32_MAX, &value, e);
    if (s == SL_OK && value != dim)
        s = sl_fail(e, SL_UNSUPPORTED, "%s is %lld, another than attention.key_length_swa %lld", key, (long long)value, (long long)dim);
    for (int i = 0; s == SL_OK && dim && i < hp->layers; i++)
        if (hp->window[i]) hp->head_dim[i] = (int)dim;
    return s;
}

sl_status sl__gguf_layers(const sl__gguf *g, const char *arch, const sl_family *f, sl_hparams *hp, sl_notes *notes, sl_error *e) {
    char key[128], window_key[128];
    int64_t window = 0;
    bool has[SL_MAX_LAYERS] = {0}, given = false;
    snprintf(window_key, sizeof window_key, "%s.attention.sliding_window", arch);
    sl_status s = sl__gguf_uniform(g, window_key, false, 0, INT64_MAX, &window, e);
    snprintf(key, sizeof key, "%s.attention.sliding_window_pattern", arch);
    if (s == SL_OK) s = read_pattern(g, key, hp->layers, has, &given, e);
    if (s != SL_OK) return s;
    bool said = sl__gguf_find(g, window_key) != NULL;
    if (f->gguf_window && !said) window = f->gguf_window;
    int unrotated = f->gguf_window && window == 0 ? 0 : f->default_unrotated_interval;
    if (window > INT32_MAX) window = f->rope_in_windows ? INT32_MAX : 0; /* no context is as long */
    /* Of families in which a part of the layers has it, a file without a pattern names none of them. */
    bool unknown = !given && (f->hf_window_switch || f->default_window_layers);
    if (unknown && window)
        sl_notes_add(notes, "%s: %s.attention.sliding_window is ignored: the file does not say which layers have the window",
                     g->origin, arch);
    for (int i = 0; i < hp->layers; i++) {
        hp->unrotated[i] = unrotated && (i + 1) % unrotated == 0;
        if (!given && f->windows_rotated) has[i] = !hp->unrotated[i];
        else if (!given) has[i] = !unknown && (f->default_window_interval == 0 || (i + 1) % f->default_window_interval != 0);
    }
    sl__hparams_windows(f, has, (int)window, f->rope_in_prefix, hp);
    s = read_window_heads(g, arch, hp, e);
    if (s != SL_OK) return s;
    return f->delta_mixers ? read_delta(g, arch, f, hp, e) : SL_OK;
}

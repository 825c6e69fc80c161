/* What config.json says of each layer: does it route, has it a window, does it rotate, which heads has it. Classes say it in several dialects; the
 * family's row says which. */
#include "model/internal.h"

#include <stdio.h>
#include <string.h>

/* --- which layers route --- */

/* Every decoder_sparse_step-th (with 2 the second, the fourth …), but for those in mlp_only_layers. */
static sl_status by_step(const sl_json *top, sl_hparams *hp, sl_error *e) {
    int step = 1;
    sl_json only;
    sl_status s = sl__config_int(top, "decoder_sparse_step", 1, &step, e);
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

/* From one layer to another, every so many; -1: to the last. */
static sl_status by_range(const sl_json *top, sl_hparams *hp, sl_error *e) {
    int first = 1, last = -1, step = 1;
    sl_status s = sl__config_int(top, "moe_layer_start_index", 0, &first, e);
    if (s == SL_OK) s = sl__config_int(top, "moe_layer_end_index", -1, &last, e);
    if (s == SL_OK) s = sl__config_int(top, "moe_layer_interval", 1, &step, e);
    for (int i = 0; s == SL_OK && i < hp->layers; i++) hp->sparse[i] = (i + 1) % step == 0 && i >= first && (last < 0 || i <= last);
    return s;
}

/* moe_layers has their numbers; or every so many, with 2 the second, the fourth … */
static sl_status by_list(const sl_json *top, sl_hparams *hp, sl_error *e) {
    int step = 1;
    sl_json list, at;
    sl_status s = SL_OK;
    if (!sl_json_get(top, "moe_layers", &list)) {
        s = sl__config_int(top, "interleave_moe_layer_step", 1, &step, e);
        for (int i = 0; s == SL_OK && i < hp->layers; i++) hp->sparse[i] = (i + 1) % step == 0;
        return s;
    }
    memset(hp->sparse, 0, sizeof hp->sparse);
    s = sl_json_array(&list, 4096, e);
    for (size_t i = 0; s == SL_OK && i < sl_json_size(&list); i++) {
        int64_t layer = 0;
        sl_json_at(&list, i, &at);
        s = sl_json_int(&at, 0, INT32_MAX, &layer, e);
        if (s == SL_OK && layer < hp->layers) hp->sparse[layer] = true;
    }
    return s;
}

/* A list of words, one for each layer: is it `yes`? `no` is the other one. Layers beyond a short list stay as they are. */
static sl_status by_words(const sl_json *top, const char *key, const char *yes, const char *no, int layers, bool *ret, sl_error *e) {
    sl_json list, at;
    if (!sl_json_get(top, key, &list)) return SL_OK;
    sl_status s = sl_json_array(&list, SL_MAX_LAYERS, e);
    for (size_t i = 0; s == SL_OK && i < sl_json_size(&list) && i < (size_t)layers; i++) {
        const char *word = "";
        sl_json_at(&list, i, &at);
        s = sl_json_string(&at, &word, NULL, e);
        ret[i] = strcmp(word, yes) == 0;
        if (s == SL_OK && !ret[i] && strcmp(word, no) != 0) s = sl_json_fail(&at, e, "\"%.40s\" is not supported", word);
    }
    return s;
}

sl_status sl__config_sparse(const sl_json *top, const sl_family *f, sl_hparams *hp, sl_error *e) {
    int first = f->default_dense_first;
    sl_status s = SL_OK;
    for (int i = 0; i < hp->layers; i++) hp->sparse[i] = true;
    if (f->hf_dense_rule) s = by_step(top, hp, e);
    if (s == SL_OK && f->hf_layer_range) s = by_range(top, hp, e);
    if (s == SL_OK && f->hf_layer_list) s = by_list(top, hp, e);
    if (s == SL_OK && f->hf_dense_first_key) s = sl__config_int(top, f->hf_dense_first_key, 0, &first, e);
    for (int i = 0; s == SL_OK && f->hf_dense_first_key && i < first && i < hp->layers; i++) hp->sparse[i] = false;
    if (s == SL_OK && f->hf_layer_kinds) s = by_words(top, "mlp_layer_types", "sparse", "dense", hp->layers, hp->sparse, e);
    return s;
}

/* --- which layers rotate --- */

/* no_rope_layers, where 1 means that the layer rotates; or, where it is absent or empty, all but every so many. */
static sl_status read_rotation(const sl_json *top, const sl_family *f, sl_hparams *hp, sl_error *e) {
    sl_json list, at;
    int interval = f->default_unrotated_interval;
    sl_status s = sl__config_int(top, "no_rope_layer_interval", 1, &interval, e);
    for (int i = 0; s == SL_OK && i < hp->layers; i++) hp->unrotated[i] = (i + 1) % interval == 0;
    if (s != SL_OK || !sl_json_get(top, "no_rope_layers", &list)) return s;
    s = sl_json_array(&list, 4096, e);
    if (s == SL_OK && sl_json_size(&list) == 0) return s;
    if (s == SL_OK && sl_json_size(&list) < (size_t)hp->layers) s = sl_json_fail(&list, e, "has fewer elements than there are layers");
    for (int i = 0; s == SL_OK && i < hp->layers; i++) {
        int64_t rotates = 0;
        sl_json_at(&list, (size_t)i, &at);
        s = sl_json_int(&at, 0, 1, &rotates, e);
        hp->unrotated[i] = rotates == 0;
    }
    return s;
}

/* --- which layers are gated delta nets --- */

static sl_status read_delta(const sl_json *top, sl_hparams *hp, sl_error *e) {
    bool has[SL_MAX_LAYERS];
    int interval = 4;
    hp->delta_key_heads = 16, hp->delta_value_heads = 32, hp->delta_key_dim = hp->delta_value_dim = 128, hp->delta_taps = 4;
    sl_status s = sl__config_int(top, "linear_num_key_heads", 1, &hp->delta_key_heads, e);
    if (s == SL_OK) s = sl__config_int(top, "linear_num_value_heads", 1, &hp->delta_value_heads, e);
    if (s == SL_OK) s = sl__config_int(top, "linear_key_head_dim", 1, &hp->delta_key_dim, e);
    if (s == SL_OK) s = sl__config_int(top, "linear_value_head_dim", 1, &hp->delta_value_dim, e);
    if (s == SL_OK) s = sl__config_int(top, "linear_conv_kernel_dim", 1, &hp->delta_taps, e);
    if (s == SL_OK) s = sl__config_int(top, "full_attention_interval", 1, &interval, e);
    for (int i = 0; i < hp->layers; i++) has[i] = (i + 1) % interval != 0;
    if (s == SL_OK) s = by_words(top, "layer_types", "linear_attention", "full_attention", hp->layers, has, e);
    for (int i = 0; s == SL_OK && i < hp->layers; i++) hp->mixer[i] = has[i] ? SL_MIXER_DELTA : SL_MIXER_ATTENTION;
    return s;
}

/* --- which layers have a window --- */

/* A number n: all layers but every n-th. Or letters, which are repeated: L has a window, another has none. */
static sl_status by_interval(const sl_json *top, const sl_family *f, const sl_hparams *hp, bool *has, sl_error *e) {
    sl_json at;
    int interval = f->default_window_interval;
    sl_status s = SL_OK;
    if (sl_json_get(top, f->hf_window_interval_key, &at) && json_is_string(at.v)) {
        const char *letters = json_string_value(at.v);
        size_t n = strlen(letters);
        if (n == 0) return sl_json_fail(&at, e, "is empty");
        for (int i = 0; i < hp->layers; i++) has[i] = letters[(size_t)i % n] == 'L';
        return s;
    }
    int prefix = 0, prefix_interval = 1;
    /* Without a window it matters only where those layers rotate that would have it; classes then write 0. */
    if (json_is_null(json_object_get(top->v, "sliding_window")) && f->windowless != SL_WINDOWLESS_KIND) return SL_OK;
    s = sl__config_int(top, f->hf_window_interval_key, 1, &interval, e);
    if (s == SL_OK && f->hf_prefix_interval_key) s = sl__config_int(top, f->hf_prefix_interval_key, 1, &prefix_interval, e);
    if (s == SL_OK && f->hf_prefix_interval_key) s = sl__config_int(top, f->hf_dense_first_key, 0, &prefix, e);
    for (int i = 0; s == SL_OK && i < hp->layers; i++) has[i] = i < prefix ? (i + 1) % prefix_interval != 0 : (i - prefix + 1) % interval != 0;
    return s;
}

/* As the class has it where layer_types is absent. */
static sl_status usual_windows(const sl_json *top, const sl_family *f, const sl_hparams *hp, bool *has, sl_error *e) {
    int first = f->default_window_layers;
    sl_status s = first ? sl__config_int(top, "max_window_layers", 0, &first, e) : SL_OK;
    for (int i = 0; i < hp->layers; i++) {
        has[i] = true;
        if (f->default_window_layers) has[i] = f->windows_alternate ? i % 2 == 0 && i < first : i >= first;
        if (f->windows_unrotated) has[i] = hp->unrotated[i];
        if (f->windows_rotated) has[i] = !hp->unrotated[i];
    }
    return s == SL_OK && f->hf_window_interval_key ? by_interval(top, f, hp, has, e) : s;
}

static sl_status read_windows(const sl_json *top, const sl_family *f, sl_hparams *hp, sl_error *e) {
    const char *key = f->chunked ? "attention_chunk_size" : "sliding_window";
    bool on = f->hf_window_switch == NULL, has[SL_MAX_LAYERS] = {0};
    int window = json_object_get(top->v, key) ? 0 : f->default_window, prefix_interval = 1;
    sl_json at;
    sl_status s = f->hf_window_switch ? sl_json_opt_bool(top, f->hf_window_switch, &on, e) : SL_OK;
    if (s == SL_OK) s = usual_windows(top, f, hp, has, e);
    if (s == SL_OK && !f->window_in_all && sl_json_get(top, "layer_types", &at)) {
        memset(has, 0, sizeof has);
        s = by_words(top, "layer_types", f->chunked ? "chunked_attention" : "sliding_attention", "full_attention", hp->layers, has, e);
    }
    bool endless = s == SL_OK && sl_json_get(top, key, &at) && json_is_number(at.v) && json_number_value(at.v) > INT32_MAX;
    if (s == SL_OK && on && !endless) s = sl__config_int(top, key, 0, &window, e);
    if (endless) window = f->rope_in_windows ? INT32_MAX : 0; /* no context is as long */
    if (f->last_sees_all) has[hp->layers - 1] = false;
    if (s == SL_OK && f->rope_in_windows && window == 0 && sl_json_get(top, key, &at)) s = sl_json_fail(&at, e, "is 0");
    if (s == SL_OK && f->hf_prefix_interval_key) s = sl__config_int(top, f->hf_prefix_interval_key, 1, &prefix_interval, e);
    if (s == SL_OK) sl__hparams_windows(f, has, on ? window : 0, f->rope_in_prefix && prefix_interval == 1, hp);
    return s;
}

/* --- which layers have other heads --- */

/* per_layer_config, by the layers' numbers: {"5": {"head_dim": 512, "num_key_value_heads": 2}, …}. */
static sl_status read_overrides(const sl_json *all, sl_hparams *hp, sl_error *e) {
    static const char *const known[] = {"head_dim", "num_key_value_heads"};
    sl_status s = sl_json_object(all, e);
    for (int i = 0; s == SL_OK && i < hp->layers; i++) {
        char number[16];
        sl_json own;
        const char *key;
        json_t *value;
        snprintf(number, sizeof number, "%d", i);
        if (!sl_json_get(all, number, &own)) continue;
        s = sl_json_object(&own, e);
        if (s != SL_OK) return s;
        json_object_foreach(own.v, key, value)
            if (strcmp(key, known[0]) != 0 && strcmp(key, known[1]) != 0) return sl_json_fail(&own, e, "\"%.60s\" is not supported", key);
        s = sl__config_int(&own, known[0], 1, &hp->head_dim[i], e);
        if (s == SL_OK) s = sl__config_int(&own, known[1], 1, &hp->kv_heads[i], e);
    }
    return s;
}

/* What layers without a window have otherwise. */
static sl_status read_full_heads(const sl_json *top, const sl_family *f, sl_hparams *hp, sl_error *e) {
    int dim = f->default_full_head_dim, kv_heads = 0;
    bool keyed = false;
    sl_json overrides;
    sl_status s = f->hf_keyed_values_key ? sl_json_opt_bool(top, f->hf_keyed_values_key, &keyed, e) : SL_OK;
    for (int i = 0; i < hp->layers; i++) hp->keyed_values[i] = keyed && !hp->window[i];
    if (s != SL_OK || !f->hf_full_head_dim_key) return s;
    if (sl_json_get(top, "per_layer_config", &overrides)) return read_overrides(&overrides, hp, e);
    s = sl__config_int(top, f->hf_full_head_dim_key, 1, &dim, e);
    if (s == SL_OK && keyed && f->hf_full_kv_heads_key) s = sl__config_int(top, f->hf_full_kv_heads_key, 1, &kv_heads, e);
    for (int i = 0; s == SL_OK && i < hp->layers; i++) {
        if (hp->window[i]) continue;
        hp->head_dim[i] = dim;
        if (kv_heads) hp->kv_heads[i] = kv_heads;
    }
    return s;
}

/* --- what layers share, and what each has of a token --- */

static sl_status read_sharing(const sl_json *top, const sl_family *f, sl_hparams *hp, sl_error *e) {
    int shared = 0;
    bool doubled = false;
    sl_json at;
    hp->layer_input = json_object_get(top->v, f->hf_layer_input_key ? f->hf_layer_input_key : "") ? 0 : f->default_layer_input;
    sl_status s = f->hf_layer_input_key ? sl__config_int(top, f->hf_layer_input_key, 0, &hp->layer_input, e) : SL_OK;
    if (s == SL_OK && f->hf_shared_keys_key) s = sl__config_int(top, f->hf_shared_keys_key, 0, &shared, e);
    if (s == SL_OK && f->hf_ff_doubled_key) s = sl_json_opt_bool(top, f->hf_ff_doubled_key, &doubled, e);
    if (s != SL_OK || !shared) return s;
    sl_json_get(top, f->hf_shared_keys_key, &at);
    if (shared >= hp->layers) return sl_json_fail(&at, e, "is %d, of %d layers", shared, hp->layers);
    sl__hparams_share_keys(hp, shared);
    for (int i = hp->layers - shared; i < hp->layers; i++) {
        hp->ff_doubled[i] = doubled;
        if (!hp->keys_of[i]) return sl_json_fail(&at, e, "is %d: no layer of the kind of layer %d is left that has keys", shared, i);
    }
    return SL_OK;
}

sl_status sl__config_layers(const sl_json *top, const sl_family *f, sl_hparams *hp, sl_error *e) {
    sl_status s = f->default_unrotated_interval ? read_rotation(top, f, hp, e) : SL_OK;
    if (s == SL_OK) s = f->delta_mixers ? read_delta(top, hp, e) : read_windows(top, f, hp, e);
    if (s == SL_OK) s = read_full_heads(top, f, hp, e);
    return s == SL_OK ? read_sharing(top, f, hp, e) : s;
}

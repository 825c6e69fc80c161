/* What both containers share about hyperparameters: a family's fixed ones, the ranges, and the message about a family
 * that is not known. */
#include "model/internal.h"

#include "base/buffer.h"

#include <limits.h>
#include <string.h>

/* The most values of one row of a weight matrix, and the most rows but for the vocabulary's. */
#define MAX_WIDTH (1 << 20)
#define MAX_HEAD_DIM 4096
#define MAX_VOCAB (1 << 20)

void sl__hparams_start(const sl_family *f, sl_hparams *hp) {
    *hp = (sl_hparams){
        .qk_norm = f->qk_norm,
        .rope_style = f->rope_style,
        .rope_theta = f->default_rope_theta,
        .rope_factor = 1,
        .rope_attention = 1,
        .rope_truncate = true,
        .router_score = f->router_score,
        .router_norm = f->router_norm,
        .shared_gate = f->shared_gate,
    };
}

sl_status sl__hparams_check(const sl_hparams *hp, sl_error *e) {
    const struct {
        const char *what;
        int64_t value, lo, hi;
    } range[] = {
        {"the vocabulary's size", hp->vocab, 1, MAX_VOCAB},
        {"the context length", hp->context, 1, INT32_MAX},
        {"the hidden size", hp->width, 1, MAX_WIDTH},
        {"the number of layers", hp->layers, 1, SL_MAX_LAYERS},
        {"the number of heads", hp->heads, 1, 65536},
        {"the number of key-value heads", hp->kv_heads, 1, hp->heads},
        {"the head dimension", hp->head_dim, 1, MAX_HEAD_DIM},
        {"heads times head dimension", (int64_t)hp->heads * hp->head_dim, 1, MAX_WIDTH},
        {"the feed-forward width", hp->ff, 0, MAX_WIDTH},
        {"the number of experts", hp->experts, 0, SL_MAX_EXPERTS},
        {"the number of experts used", hp->experts_used, hp->experts ? 1 : 0, hp->experts},
        {"the experts' width", hp->expert_ff, hp->experts ? 1 : 0, MAX_WIDTH},
        {"the shared expert's width", hp->shared_ff, 0, MAX_WIDTH},
        {"the rotated dimensions of a head", hp->rope_dims, 2, hp->head_dim},
    };
    for (size_t i = 0; i < sizeof range / sizeof *range; i++)
        if (range[i].value < range[i].lo || range[i].value > range[i].hi)
            return sl_fail(e, SL_FORMAT, "%s is %lld, not within %lld … %lld", range[i].what, (long long)range[i].value,
                           (long long)range[i].lo, (long long)range[i].hi);
    if (hp->heads % hp->kv_heads)
        return sl_fail(e, SL_FORMAT, "%d heads are not a multiple of %d key-value heads", hp->heads, hp->kv_heads);
    if (hp->rope_dims % 2) return sl_fail(e, SL_FORMAT, "the rotated dimensions of a head are %d, which is odd", hp->rope_dims);
    if (!(hp->norm_eps > 0 && hp->norm_eps < 1)) return sl_fail(e, SL_FORMAT, "the norm's epsilon is %g", (double)hp->norm_eps);
    if (!(hp->rope_theta >= 1 && hp->rope_theta <= 1e12f))
        return sl_fail(e, SL_FORMAT, "the rope base is %g", (double)hp->rope_theta);
    for (int i = 0; i < hp->layers; i++)
        if (!hp->sparse[i] && hp->ff == 0) return sl_fail(e, SL_FORMAT, "layer %d does not route, but the dense feed-forward width is missing", i);
    return SL_OK;
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
    sl_status s = sl_fail(e, SL_UNSUPPORTED, "%s \"%.100s\" is not supported; known are %s", what, name, sl_buffer_text(&known));
    sl_buffer_done(&known);
    return s;
}

/* The tensors of a gated delta net. */
#include "model/bind.h"

#include "base/fmath.h"

static float rate_of(float x) { return -sl_expf(x); }

static sl_status delta_projections(const sl__binder *b, sl_delta_weights *w) {
    const sl_hparams *hp = b->hp;
    const sl__delta_names *n = &b->n->delta;
    int heads = hp->delta_value_heads, values = sl_delta_values(hp), channels = sl_delta_channels(hp);
    char full[SL__BIND_NAME];
    const char *in_gate = n->in_gate_old && sl__bind_find(b, full, "%s.weight", n->in_gate_old) ? n->in_gate_old : n->in_gate;
    bool one = sl__bind_find(b, full, "%s.weight", in_gate), both = sl__bind_find(b, full, "%s.weight", n->both);
    sl_status s = one ? sl__bind_matrix(b, in_gate, channels + values, hp->width, &w->in) : sl__bind_matrix(b, n->in, channels, hp->width, &w->in);
    if (s == SL_OK && !one) s = sl__bind_matrix(b, n->gate, values, hp->width, &w->gate);
    if (s == SL_OK && both) return sl__bind_matrix(b, n->both, 2 * heads, hp->width, &w->strength);
    if (s == SL_OK) s = sl__bind_matrix(b, n->strength, heads, hp->width, &w->strength);
    return s == SL_OK ? sl__bind_matrix(b, n->decay, heads, hp->width, &w->decay) : s;
}

sl_status sl__bind_delta(const sl__binder *b, sl_layer *l) {
    const sl_hparams *hp = b->hp;
    const sl__delta_names *n = &b->n->delta;
    sl_delta_weights *w = &l->delta;
    int heads = hp->delta_value_heads, values = sl_delta_values(hp), channels = sl_delta_channels(hp);
    char full[SL__BIND_NAME];
    bool too = n->decay_bias_too && !sl__bind_find(b, full, "%s", n->decay_bias) && sl__bind_find(b, full, "%s", n->decay_bias_too);
    const struct {
        const char *name;
        int rows, cols;
        const float **ret;
    } vectors[] = {{n->taps, channels, hp->delta_taps, &w->taps},
                   {too ? n->decay_bias_too : n->decay_bias, 1, heads, &w->decay_bias},
                   {n->decay_rate, 1, heads, &w->decay_rate}};
    sl_status s = sl__bind_norm(b, b->n->attn_norm, &l->attn_norm, &l->attn_norm_bias);
    if (s == SL_OK) s = delta_projections(b, w);
    for (size_t i = 0; s == SL_OK && i < sizeof vectors / sizeof *vectors; i++) {
        sl__tensor *t = sl__bind_find(b, full, "%s", vectors[i].name);
        s = t ? sl__bind_floats_of(b, t, vectors[i].rows, vectors[i].cols, vectors[i].ret) : sl__bind_missing(b, full);
    }
    if (s == SL_OK && !b->gguf) s = sl__bind_changed(b, heads, rate_of, &w->decay_rate); /* GGUF has it as it is computed with */
    if (s == SL_OK) s = sl__bind_vector(b, n->norm, hp->delta_value_dim, &w->norm);
    return s == SL_OK ? sl__bind_matrix(b, n->out, hp->width, values, &l->o) : s;
}

/* The tensors of feed-forward parts: dense networks, and layers that route, with their router, experts and shared expert. Experts lie
 * in one tensor an expert and matrix, in one for all experts, or in one for all experts' gates and ups; whole or in two planes, as
 * rows or as columns. */
#include "model/bind.h"

#include <stdio.h>
#include <string.h>

sl_status sl__bind_ffn(const sl__binder *b, const char *const name[3], int ff, sl_ffn_weights *ret) {
    sl_status s = sl__bind_matrix(b, name[0], ff, b->hp->width, &ret->gate);
    if (s == SL_OK) s = sl__bind_matrix(b, name[1], ff, b->hp->width, &ret->up);
    if (s == SL_OK) s = sl__bind_matrix(b, name[2], b->hp->width, ff, &ret->down);
    return s;
}

/* Rows first, first + step … of every expert's slice of a tensor. */
typedef struct rows_of {
    int all, first, step, count; /* rows of a slice; the matrix's */
} rows_of;

static void put_matrix(sl_ffn_weights *expert, size_t member, const sl_matrix *m) { memcpy((char *)expert + member, m, sizeof *m); }

/* One tensor for all experts: [experts][rows][cols], or [experts][cols][rows]. */
static sl_status stacked(const sl__binder *b, sl__tensor *t, bool across, rows_of r, int cols, sl_ffn_weights *experts, size_t member) {
    sl_status s = sl__bind_take(b, t, (uint64_t)b->hp->experts, (uint64_t)(across ? cols : r.all), (uint64_t)(across ? r.all : cols));
    if (s != SL_OK) return s;
    for (int i = 0; i < b->hp->experts; i++) {
        sl_matrix m = sl__bind_part(t, i, r.all, r.first, r.count, cols);
        if (across) {
            size_t size = (size_t)sl_types[t->type].block_bytes;
            m.data = t->data + ((size_t)i * (size_t)cols * (size_t)r.all + (size_t)r.first) * size;
            m.stride = (size_t)r.step * size;
            m.across = (size_t)r.all * size;
        } else {
            m.stride *= (size_t)r.step;
        }
        put_matrix(&experts[i], member, &m);
    }
    return SL_OK;
}

/* Is it bytes, a number of them for every row of every expert? */
static bool is_plane(const sl__binder *b, const sl__tensor *t, int rows, int row_bytes) {
    return (strcmp(t->type_name, "U8") == 0 || strcmp(t->type_name, "F8_E8M0") == 0) && t->dims >= 2 &&
           t->shape[0] == (uint64_t)b->hp->experts && t->shape[1] == (uint64_t)rows &&
           t->bytes == (uint64_t)b->hp->experts * (uint64_t)rows * (uint64_t)row_bytes;
}

/* MXFP4 in two tensors: [experts][rows][cols / 32][16] bytes, and a scale for each sixteen of them. */
static sl_status two_planes(const sl__binder *b, const char *name, rows_of r, int cols, sl_ffn_weights *experts, size_t member) {
    char full[SL__BIND_NAME];
    sl__tensor *scales = sl__bind_find(b, full, "%s_scales", name);
    if (!scales) return sl__bind_missing(b, full);
    sl__tensor *blocks = sl__bind_find(b, full, "%s_blocks", name);
    if (cols % 32 || !is_plane(b, blocks, r.all, cols / 2) || !is_plane(b, scales, r.all, cols / 32))
        return sl_fail(b->e, SL_FORMAT, "tensors \"%s\" and \"%s\" are no MXFP4 of %d experts of %d rows of %d values", blocks->name,
                       scales->name, b->hp->experts, r.all, cols);
    size_t row = (size_t)cols / 2;
    for (int i = 0; i < b->hp->experts; i++) {
        size_t at = ((size_t)i * (size_t)r.all + (size_t)r.first) * row;
        put_matrix(&experts[i], member,
                   &(sl_matrix){.data = blocks->data + at, .stride = (size_t)r.step * row, .rows = r.count, .cols = cols,
                                .type = SL_TYPE_MXFP4_PLANES, .apart = scales->data + at / 16});
    }
    if (blocks->used) return SL_OK;
    blocks->used = scales->used = true;
    blocks->type = scales->type = SL_TYPE_MXFP4_PLANES;
    blocks->values *= 2; /* counted are weights */
    scales->values = 0;
    return SL_OK;
}

/* A tensor of all experts by its name without ".weight": of any of the forms above. */
static sl_status stack(const sl__binder *b, const char *name, rows_of r, int cols, sl_ffn_weights *experts, size_t member) {
    char full[SL__BIND_NAME];
    if (!b->gguf && sl__bind_find(b, full, "%s_blocks", name)) return two_planes(b, name, r, cols, experts, member);
    sl__tensor *t = sl__bind_find(b, full, "%s%s", name, b->gguf ? ".weight" : "");
    bool across = !b->gguf && b->family->hf_experts_across;
    if (!t) return sl__bind_missing(b, full);
    uint64_t n = (uint64_t)b->hp->experts, rows = (uint64_t)r.all, in = (uint64_t)cols; /* of experts one value wide both are the same bytes */
    if (!across && !sl__tensor_is(t, n, rows, in) && sl__tensor_is(t, n, in, rows))
        return sl_fail(b->e, SL_UNSUPPORTED, "tensor \"%s\" is transposed ([experts][in][out]), which is not supported", t->name);
    return stacked(b, t, across, r, cols, experts, member);
}

/* A bias of every expert, [experts][rows], by its name without ".bias" or "_bias". */
static sl_status stacked_bias(const sl__binder *b, const char *name, rows_of r, sl_ffn_weights *experts, size_t member) {
    char full[SL__BIND_NAME];
    sl__tensor *t = sl__bind_find(b, full, "%s%s", name, b->gguf ? ".bias" : "_bias");
    if (!t) return sl__bind_missing(b, full);
    sl_status s = sl__bind_take(b, t, 1, (uint64_t)b->hp->experts, (uint64_t)r.all);
    if (s != SL_OK) return s;
    if (sl_types[t->type].quantised)
        return sl_fail(b->e, SL_UNSUPPORTED, "tensor \"%s\" is a bias of type %s, which is not supported", t->name, t->type_name);
    size_t size = (size_t)sl_types[t->type].block_bytes;
    for (int i = 0; i < b->hp->experts; i++) {
        sl_vector v = {t->data + ((size_t)i * (size_t)r.all + (size_t)r.first) * size, (size_t)r.step * size, (sl_type)t->type};
        memcpy((char *)&experts[i] + member, &v, sizeof v);
    }
    return SL_OK;
}

/* Gate and up of all experts in one tensor, down in another. */
static sl_status fused_experts(const sl__binder *b, const char *gate_up, const char *down, sl_ffn_weights *experts) {
    int ff = b->hp->expert_ff, width = b->hp->width;
    bool alternate = !b->gguf && b->family->hf_experts_interleaved;
    rows_of gate = {2 * ff, 0, alternate ? 2 : 1, ff}, up = {2 * ff, alternate ? 1 : ff, alternate ? 2 : 1, ff}, all = {width, 0, 1, width};
    sl_status s = stack(b, gate_up, gate, width, experts, offsetof(sl_ffn_weights, gate));
    if (s == SL_OK) s = stack(b, gate_up, up, width, experts, offsetof(sl_ffn_weights, up));
    if (s == SL_OK) s = stack(b, down, all, ff, experts, offsetof(sl_ffn_weights, down));
    if (s != SL_OK || !b->family->expert_biases) return s;
    s = stacked_bias(b, gate_up, gate, experts, offsetof(sl_ffn_weights, gate_bias));
    if (s == SL_OK) s = stacked_bias(b, gate_up, up, experts, offsetof(sl_ffn_weights, up_bias));
    return s == SL_OK ? stacked_bias(b, down, all, experts, offsetof(sl_ffn_weights, down_bias)) : s;
}

static sl_status gguf_experts(const sl__binder *b, sl_ffn_weights *experts) {
    int ff = b->hp->expert_ff, width = b->hp->width;
    char full[SL__BIND_NAME];
    if (sl__bind_find(b, full, "ffn_gate_up_exps.weight")) return fused_experts(b, "ffn_gate_up_exps", "ffn_down_exps", experts);
    if (sl__bind_find(b, full, "ffn_gate.0.weight")) { /* files of early 2024: a tensor an expert */
        sl_status s = SL_OK;
        for (int i = 0; i < b->hp->experts && s == SL_OK; i++) {
            char name[3][32];
            for (int j = 0; j < 3; j++) snprintf(name[j], sizeof name[j], "%s.%d", b->n->ffn[j], i);
            s = sl__bind_ffn(b, (const char *const[]){name[0], name[1], name[2]}, ff, &experts[i]);
        }
        return s;
    }
    const struct {
        const char *name;
        int rows, cols;
        size_t member, bias;
    } stacks[] = {
        {"ffn_gate_exps", ff, width, offsetof(sl_ffn_weights, gate), offsetof(sl_ffn_weights, gate_bias)},
        {"ffn_up_exps", ff, width, offsetof(sl_ffn_weights, up), offsetof(sl_ffn_weights, up_bias)},
        {"ffn_down_exps", width, ff, offsetof(sl_ffn_weights, down), offsetof(sl_ffn_weights, down_bias)},
    };
    for (int i = 0; i < 3; i++) {
        rows_of r = {stacks[i].rows, 0, 1, stacks[i].rows};
        sl_status s = stack(b, stacks[i].name, r, stacks[i].cols, experts, stacks[i].member);
        if (s == SL_OK && b->family->expert_biases) s = stacked_bias(b, stacks[i].name, r, experts, stacks[i].bias);
        if (s != SL_OK) return s;
    }
    return SL_OK;
}

/* Are experts' gates and ups in one tensor of that name, in one plane or two? */
static bool has_stack(const sl__binder *b, const char *name) {
    char full[SL__BIND_NAME];
    return sl__bind_find(b, full, "%s", name) || sl__bind_find(b, full, "%s_blocks", name);
}

/* A tensor's name below what holds it; "" holds it in the layer itself. */
static void below(char *ret, size_t size, const char *holder, const char *name) {
    snprintf(ret, size, "%s%s%s", holder, *holder ? "." : "", name);
}

static sl_status hf_experts(const sl__binder *b, sl_ffn_weights *experts) {
    const sl_family *f = b->family;
    char gate_up[64], down[64];
    below(gate_up, sizeof gate_up, f->hf_moe_fused, "experts.gate_up_proj");
    below(down, sizeof down, f->hf_moe_fused, "experts.down_proj");
    if (has_stack(b, gate_up)) return fused_experts(b, gate_up, down, experts);
    snprintf(gate_up, sizeof gate_up, "%s.%s", f->hf_moe, f->hf_experts_fused[0] ? f->hf_experts_fused[0] : "");
    snprintf(down, sizeof down, "%s.%s", f->hf_moe, f->hf_experts_fused[1] ? f->hf_experts_fused[1] : "");
    if (f->hf_experts_fused[0] && has_stack(b, gate_up)) return fused_experts(b, gate_up, down, experts);
    sl_status s = SL_OK;
    for (int i = 0; i < b->hp->experts && s == SL_OK; i++) {
        char name[3][96];
        for (int j = 0; j < 3; j++) snprintf(name[j], sizeof name[j], "%s%sexperts.%d.%s", f->hf_moe, *f->hf_moe ? "." : "", i, f->hf_proj[j]);
        s = sl__bind_ffn(b, (const char *const[]){name[0], name[1], name[2]}, b->hp->expert_ff, &experts[i]);
    }
    return s;
}

/* The bias for the choice alone. A router that has one and was trained with it chooses other experts without. */
static sl_status router_bias(const sl__binder *b, const float **ret) {
    char full[SL__BIND_NAME];
    const sl_family *f = b->family;
    sl__tensor *t = b->gguf ? sl__bind_find(b, full, "exp_probs_b.bias") : sl__bind_find(b, full, "%s.%s", f->hf_moe, f->hf_router_bias);
    if (!t && !b->gguf) t = sl__bind_find(b, full, "%s.%s", f->hf_moe_fused, f->hf_router_bias);
    return t ? sl__bind_vector_of(b, t, b->hp->experts, ret) : sl__bind_missing(b, full);
}

/* The shared expert's gate and up in one tensor [2 ff][width], gate's rows first. */
static sl_status fused_shared(const sl__binder *b, sl__tensor *t, sl_ffn_weights *ret) {
    const char *down_name = b->family->hf_shared_fused[1];
    int ff = b->hp->shared_ff, width = b->hp->width;
    char full[SL__BIND_NAME];
    sl__tensor *down = sl__bind_find(b, full, "%s", down_name);
    if (!down) return sl__bind_missing(b, full);
    sl_status s = sl__bind_take(b, t, 1, 2 * (uint64_t)ff, (uint64_t)width);
    if (s == SL_OK) s = sl__bind_take(b, down, 1, (uint64_t)width, (uint64_t)ff);
    if (s != SL_OK) return s;
    ret->gate = sl__bind_part(t, 0, 2 * ff, 0, ff, width);
    ret->up = sl__bind_part(t, 0, 2 * ff, ff, ff, width);
    ret->down = sl__bind_part(down, 0, width, 0, width, ff);
    return SL_OK;
}

/* Router, experts, and the shared expert with its gate. */
sl_status sl__bind_routed(const sl__binder *b, sl_layer *l) {
    const sl_family *f = b->family;
    const sl_hparams *hp = b->hp;
    char full[SL__BIND_NAME], router[64], shared_gate[64], shared[3][96];
    sl_ffn_weights *experts = sl_arena_array(b->o->arena, SL_MEM_METADATA, (size_t)hp->experts, sizeof *experts);
    if (!experts) return sl_fail(b->e, SL_NOMEM, "out of memory for the experts");
    if (b->gguf) {
        snprintf(router, sizeof router, "ffn_gate_inp");
        snprintf(shared_gate, sizeof shared_gate, "ffn_gate_inp_shexp");
        for (int i = 0; i < 3; i++) snprintf(shared[i], sizeof shared[i], "%s_shexp", b->n->ffn[i]);
    } else {
        below(full, sizeof full, f->hf_moe_fused, "experts.gate_up_proj");
        bool fused = has_stack(b, full);
        const char *moe = fused ? f->hf_moe_fused : f->hf_moe;
        below(router, sizeof router, moe, f->hf_router);
        snprintf(shared_gate, sizeof shared_gate, "%s.%s", moe, f->hf_shared_gate ? f->hf_shared_gate : "");
        for (int i = 0; i < 3; i++)
            snprintf(shared[i], sizeof shared[i], "%s.%s.%s", moe, f->hf_shared ? f->hf_shared : "", f->hf_proj[i]);
    }
    sl_status s = sl__bind_matrix(b, router, hp->experts, hp->width, &l->router);
    if (s == SL_OK) s = sl__bind_bias(b, router, f->router_biased, hp->experts, &l->router_offset);
    if (s == SL_OK && f->hf_router_bias) s = router_bias(b, &l->router_bias);
    if (s == SL_OK) s = b->gguf ? gguf_experts(b, experts) : hf_experts(b, experts);
    if (s == SL_OK && hp->shared_ff) {
        sl__tensor *fused = !b->gguf && f->hf_shared_fused[0] ? sl__bind_find(b, full, "%s", f->hf_shared_fused[0]) : NULL;
        s = fused ? fused_shared(b, fused, &l->shared)
                  : sl__bind_ffn(b, (const char *const[]){shared[0], shared[1], shared[2]}, hp->shared_ff, &l->shared);
        if (s == SL_OK && hp->shared_gate == SL_SHARED_SIGMOID) s = sl__bind_vector(b, shared_gate, hp->width, &l->shared_gate);
    }
    l->experts = experts;
    return s;
}

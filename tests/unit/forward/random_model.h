/* random_model.h: models with random weights of every type, in memory: for tests of what must not depend on anything. */
#ifndef SL_TEST_RANDOM_MODEL_H
#define SL_TEST_RANDOM_MODEL_H

#include "base/arena.h"
#include "kernels/kernels.h"
#include "model/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct random_model {
    sl_model m;
    sl_arena *arena;
    uint64_t seed;
} random_model;

static inline uint32_t random_bits(random_model *r) {
    r->seed = r->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(r->seed >> 33);
}

/* Roughly normal, standard deviation 1. */
static inline float random_float(random_model *r) {
    float sum = 0;
    for (int i = 0; i < 4; i++) sum += (float)(random_bits(r) & 0xffff) / 65536.0f - 0.5f;
    return sum * 1.7f;
}

static inline float *random_vector(random_model *r, int n, float mean, float deviation) {
    float *v = sl_arena_array(r->arena, SL_MEM_OTHER, (size_t)n, sizeof *v);
    for (int i = 0; i < n; i++) v[i] = mean + deviation * random_float(r);
    return v;
}

static inline void put_half(uint8_t *at, float x) {
    uint16_t h = sl_f32_to_f16(x);
    memcpy(at, &h, 2);
}

static inline void random_block(random_model *r, sl_type type, uint8_t *b, float deviation) {
    int bytes = sl_types[type].block_bytes;
    for (int i = 0; i < bytes; i++) b[i] = (uint8_t)random_bits(r);
    float f = random_float(r) * deviation;
    uint32_t bits;
    memcpy(&bits, &f, 4);
    switch (type) {
    case SL_TYPE_F32: memcpy(b, &f, 4); break;
    case SL_TYPE_F16: put_half(b, f); break;
    case SL_TYPE_BF16: b[0] = (uint8_t)(bits >> 16), b[1] = (uint8_t)(bits >> 24); break;
    case SL_TYPE_Q4_0: put_half(b, deviation / 4.6f); break;
    case SL_TYPE_Q4_1: put_half(b, deviation / 4.6f), put_half(b + 2, -deviation * 7.5f / 4.6f); break;
    case SL_TYPE_Q8_0: put_half(b, deviation / 74); break;
    case SL_TYPE_Q4_K: put_half(b, deviation / (4.6f * 36)), put_half(b + 2, deviation * 7.5f / (4.6f * 36)); break;
    case SL_TYPE_Q6_K: put_half(b + 208, deviation / (18.5f * 74)); break;
    case SL_TYPE_Q5_0: put_half(b, deviation / 9.2f); break;
    case SL_TYPE_Q5_1: put_half(b, deviation / 9.2f), put_half(b + 2, -deviation * 15.5f / 9.2f); break;
    case SL_TYPE_Q2_K: put_half(b + 80, deviation / (1.1f * 7.5f)), put_half(b + 82, deviation * 1.5f / (1.1f * 7.5f)); break;
    case SL_TYPE_Q3_K: put_half(b + 108, deviation / (2.3f * 18.5f)); break;
    case SL_TYPE_Q5_K: put_half(b, deviation / (9.2f * 36)), put_half(b + 2, deviation * 15.5f / (9.2f * 36)); break;
    case SL_TYPE_IQ4_NL: put_half(b, deviation / 71); break;
    case SL_TYPE_IQ4_XS: put_half(b, deviation / (71 * 18.5f)); break;
    case SL_TYPE_MXFP4: b[0] = (uint8_t)(127 + lrintf(log2f(deviation / 3))); break;
    case SL_TYPE_MXFP4_PLANES:
    case SL_TYPE_COUNT: break;
    }
}

static inline sl_matrix random_matrix(random_model *r, sl_type type, int rows, int cols) {
    const sl_type_info *t = &sl_types[type];
    size_t stride = (size_t)(cols / t->block_values) * (size_t)t->block_bytes;
    uint8_t *data = sl_arena_array(r->arena, SL_MEM_OTHER, (size_t)rows, stride);
    for (size_t at = 0; at < (size_t)rows * stride; at += (size_t)t->block_bytes) {
        random_block(r, type, data + at, 1 / sqrtf((float)cols));
    }
    uint8_t *apart = t->apart ? sl_arena_array(r->arena, SL_MEM_OTHER, (size_t)rows, stride / 16) : NULL;
    if (apart) memset(apart, 127 + (int)lrintf(log2f(1 / sqrtf((float)cols) / 3)), (size_t)rows * stride / 16);
    return (sl_matrix){.data = data, .stride = stride, .rows = rows, .cols = cols, .type = type, .apart = apart};
}

/* In bf16, with something between its numbers. */
static inline sl_vector random_bias(random_model *r, int n) {
    uint8_t *data = sl_arena_array(r->arena, SL_MEM_OTHER, (size_t)n, 6);
    for (int i = 0; i < n; i++) random_block(r, SL_TYPE_BF16, data + 6 * i, 0.3f);
    return (sl_vector){data, 6, SL_TYPE_BF16};
}

static inline sl_ffn_weights random_ffn(random_model *r, sl_type type, int width, int ff) {
    sl_ffn_weights w = {.gate = random_matrix(r, type, ff, width)};
    w.up = random_matrix(r, type, ff, width);
    w.down = random_matrix(r, type, width, ff);
    return w;
}

/* A small sparse model that has a bit of everything: biases, norms, a dense layer, a shared expert. */
static inline sl_hparams random_hparams(void) {
    sl_hparams hp = {.vocab = 300, .context = 2048, .width = 256, .layers = 3,
                     .ff = 512, .norm_eps = 1e-5f, .qk_norm = SL_QK_NORM_HEAD, .qkv_clip = 8, .rope_style = SL_ROPE_HALF,
                     .rope_dims = 64, .rope_theta = 10000, .rope_attention = 1, .experts = 8, .experts_used = 3,
                     .expert_ff = 256, .router_norm = SL_ROUTER_SUM, .router_scale = 1, .router_groups = 1, .router_groups_used = 1,
                     .shared_gate = SL_SHARED_SIGMOID, .shared_ff = 256,
                     .sparse = {true, false, true}};
    sl_hparams_heads(&hp, 4, 2, 64);
    return hp;
}

static inline void random_mixer_delta(random_model *r, sl_layer *l, sl_type type, bool apart) {
    const sl_hparams *hp = &r->m.hp;
    int heads = hp->delta_value_heads, values = heads * hp->delta_value_dim, keys = hp->delta_key_heads * hp->delta_key_dim;
    int channels = 2 * keys + values;
    l->delta.in = random_matrix(r, type, apart ? channels : channels + values, hp->width);
    if (apart) l->delta.gate = random_matrix(r, type, values, hp->width);
    l->delta.strength = random_matrix(r, type, apart ? heads : 2 * heads, hp->width);
    if (apart) l->delta.decay = random_matrix(r, type, heads, hp->width);
    l->delta.taps = random_vector(r, channels * hp->delta_taps, 0, 0.5f);
    l->delta.decay_bias = random_vector(r, heads, -1, 1);
    float *rate = random_vector(r, heads, 0, 1);
    for (int i = 0; i < heads; i++) rate[i] = -fabsf(rate[i]) - 0.01f;
    l->delta.decay_rate = rate;
    l->delta.norm = random_vector(r, hp->delta_value_dim, 1, 0.1f);
    l->o = random_matrix(r, type, hp->width, values);
}

static inline void random_mixer_attention(random_model *r, sl_layer *l, sl_type type) {
    const sl_hparams *hp = &r->m.hp;
    int number = (int)(l - r->m.layer), dim = hp->head_dim[number];
    int q = hp->heads[number] * dim, kv = hp->kv_heads[number] * dim, q_rows = hp->query_gated ? 2 * q : q;
    bool full = hp->qk_norm == SL_QK_NORM_FULL;
    l->q = random_matrix(r, type, q_rows, hp->width);
    if (!hp->keys_of[number]) l->k = random_matrix(r, type, kv, hp->width);
    if (!hp->keyed_values[number] && l->k.data) l->v = random_matrix(r, type, kv, hp->width);
    l->o = random_matrix(r, type, hp->width, q);
    l->q_bias = random_vector(r, q_rows, 0, 0.1f);
    if (l->k.data) l->k_bias = random_vector(r, kv, 0, 0.1f);
    if (l->v.data) l->v_bias = random_vector(r, kv, 0, 0.1f);
    l->o_bias = random_vector(r, hp->width, 0, 0.1f);
    if (hp->qk_norm == SL_QK_NORM_NONE) return;
    l->q_norm = random_vector(r, full ? q : dim, 1, 0.1f);
    if (l->k.data) l->k_norm = random_vector(r, full ? kv : dim, 1, 0.1f);
}

/* A dense network beside the experts, with what else such layers have. */
static inline void random_beside(random_model *r, sl_layer *l, sl_type type) {
    const sl_hparams *hp = &r->m.hp;
    l->dense = random_ffn(r, type, hp->width, hp->ff);
    l->dense_fed_norm = random_vector(r, hp->width, 1, 0.1f);
    l->routed_norm = random_vector(r, hp->width, 1, 0.1f);
    l->routed_fed_norm = random_vector(r, hp->width, 1, 0.1f);
    l->router_norm = random_vector(r, hp->width, 16, 1);
    l->expert_scale = random_vector(r, hp->experts, 1, 0.3f);
    l->stream_scale = random_vector(r, 1, 0.8f, 0.1f);
}

static inline void random_layer(random_model *r, sl_layer *l, sl_type type, bool sparse) {
    const sl_hparams *hp = &r->m.hp;
    int number = (int)(l - r->m.layer);
    l->attn_norm = random_vector(r, hp->width, 1, 0.1f);
    l->ffn_norm = random_vector(r, hp->width, 1, 0.1f);
    if (hp->mixer[number] == SL_MIXER_DELTA) random_mixer_delta(r, l, type, hp->delta_tiled);
    else random_mixer_attention(r, l, type);
    bool everything = hp->activation == SL_ACTIVATION_CLAMPED; /* with that gate come sinks, and biases of router and experts */
    if (everything) l->sinks = random_vector(r, hp->heads[number], 0, 1);
    if (hp->wiring == SL_WIRING_SANDWICH) {
        l->mixed_norm = random_vector(r, hp->width, 1, 0.1f);
        l->fed_norm = random_vector(r, hp->width, 1, 0.1f);
    }
    if (hp->layer_input) {
        l->own_gate = random_matrix(r, type, hp->layer_input, hp->width);
        l->own_projection = random_matrix(r, type, hp->width, hp->layer_input);
        l->own_norm = random_vector(r, hp->width, 1, 0.1f);
    }
    if (sparse && hp->dense_beside) random_beside(r, l, type);
    if (!sparse) {
        l->dense = random_ffn(r, type, hp->width, sl_ff(hp, number));
        return;
    }
    /* Routers wider spread than they are trained to be, so that experts' loads are uneven. */
    sl_type router = type == SL_TYPE_F16 || type == SL_TYPE_BF16 ? type : SL_TYPE_F32;
    l->router = random_matrix(r, router, hp->experts, hp->width);
    if (hp->router_score == SL_ROUTER_SIGMOID) l->router_bias = random_vector(r, hp->experts, 0, 0.2f);
    sl_ffn_weights *experts = sl_arena_array(r->arena, SL_MEM_OTHER, (size_t)hp->experts, sizeof *experts);
    for (int i = 0; i < hp->experts; i++) {
        experts[i] = random_ffn(r, type, hp->width, hp->expert_ff);
        if (!everything) continue;
        experts[i].gate_bias = random_bias(r, hp->expert_ff);
        experts[i].up_bias = random_bias(r, hp->expert_ff);
        experts[i].down_bias = random_bias(r, hp->width);
    }
    if (everything) l->router_offset = random_vector(r, hp->experts, 0, 0.2f);
    l->experts = experts;
    if (!hp->shared_ff) return;
    l->shared = random_ffn(r, type, hp->width, hp->shared_ff);
    if (hp->shared_gate == SL_SHARED_SIGMOID) l->shared_gate = random_vector(r, hp->width, 0, 0.05f);
}

static inline random_model *random_model_new(const sl_hparams *hp, sl_type type, uint64_t seed) {
    random_model *r = calloc(1, sizeof *r);
    r->arena = sl_arena_new();
    r->seed = seed;
    r->m.hp = *hp;
    sl_layer *layers = sl_arena_array(r->arena, SL_MEM_OTHER, (size_t)hp->layers, sizeof *layers);
    r->m.layer = layers;
    for (int i = 0; i < hp->layers; i++) random_layer(r, &layers[i], type, hp->experts && hp->sparse[i]);
    r->m.embedding = random_matrix(r, type, hp->vocab, hp->width);
    r->m.output = hp->tied ? r->m.embedding : random_matrix(r, type, hp->vocab, hp->width);
    if (hp->layer_input) {
        r->m.own_inputs = random_matrix(r, type, hp->vocab, hp->layers * hp->layer_input);
        r->m.own_projection = random_matrix(r, type, hp->layers * hp->layer_input, hp->width);
        r->m.own_norm = random_vector(r, hp->layer_input, 1, 0.1f);
    }
    r->m.output_norm = random_vector(r, hp->width, 1, 0.1f);
    return r;
}

static inline random_model *random_model_free(random_model *r) {
    sl_arena_free(r->arena);
    free(r);
    return NULL;
}

#endif

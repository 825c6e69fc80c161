/* The GGUF container and its hyperparameters, from bytes: the format's worked example, and every hostile case. */
#include "model/internal.h"

#include <stdlib.h>
#include "writer.h"

/* formats.md 1.8, read back there with gguf-py. */
static const char example[] =
    "474755460300000002000000000000000300000000000000140000000000000067656e6572616c2e6172636869746563"
    "747572650800000005000000000000006c6c616d6111000000000000006c6c616d612e626c6f636b5f636f756e740400"
    "0000010000001500000000000000746f6b656e697a65722e67676d6c2e746f6b656e7309000000080000000200000000"
    "0000000100000000000000610400000000000000e2968162020000000000000074300200000002000000000000000300"
    "000000000000000000000000000000000000020000000000000074310100000020000000000000000800000020000000"
    "000000000000000000000000000000000000803f0000004000004040000080400000a0400000c0400000000000000000"
    "0038f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff000102030405060708090a0b0c0d0e0f0000000000000000000000000000"
    "00000000000000000000000000000000";

typedef struct parsed {
    sl_arena *arena;
    sl__gguf g;
    sl__tensors t;
} parsed;

static sl_status parse(const void *data, size_t size, parsed *ret, sl_error *e) {
    *ret = (parsed){.arena = sl_arena_new()};
    ret->t.index.arena = ret->arena;
    return sl__gguf_parse(data, size, "test", 0, ret->arena, &ret->g, &ret->t, e);
}

START_TEST(worked_example) {
    uint8_t bytes[352];
    for (size_t i = 0; i < sizeof bytes; i++) {
        unsigned x;
        ck_assert_int_eq(sscanf(example + 2 * i, "%2x", &x), 1);
        bytes[i] = (uint8_t)x;
    }
    parsed p;
    sl_error e;
    int64_t blocks = 0;
    const char *arch = NULL;
    ck_assert_msg(parse(bytes, sizeof bytes, &p, &e) == SL_OK, "%s", e.message);
    ck_assert_int_eq(sl__gguf_int(&p.g, "llama.block_count", true, 1, 1, &blocks, &e), SL_OK);
    ck_assert_int_eq(sl__gguf_string(&p.g, "general.architecture", true, p.arena, SL_MEM_METADATA, &arch, &e), SL_OK);
    ck_assert_str_eq(arch, "llama");
    const sl__gguf_value *tokens = sl__gguf_find(&p.g, "tokenizer.ggml.tokens");
    ck_assert(tokens && tokens->count == 2 && tokens->element == SL__GGUF_STRING);
    const uint8_t *at = tokens->data;
    sl__name a = sl__gguf_next_string(&at), b = sl__gguf_next_string(&at);
    ck_assert(a.len == 1 && a.text[0] == 'a' && b.len == 4 && memcmp(b.text, "▁b", 4) == 0);
    sl__tensor *t0 = sl__tensors_find(&p.t, "t0"), *t1 = sl__tensors_find(&p.t, "t1");
    float values[6];
    ck_assert(t0 && t1 && t0->type == SL_TYPE_F32 && t1->type == SL_TYPE_Q8_0);
    ck_assert(sl__tensor_is(t0, 1, 3, 2) && sl__tensor_is(t1, 1, 1, 32));
    memcpy(values, t0->data, sizeof values);
    for (int i = 0; i < 6; i++) ck_assert(values[i] == (float)(i + 1));
    ck_assert(t1->bytes == 34 && t1->data[0] == 0x00 && t1->data[1] == 0x38 && (int8_t)t1->data[2] == -16);
    ck_assert_ptr_null(sl__tensors_find(&p.t, "t2"));
    sl_arena_free(p.arena);

    for (size_t n = 0; n < 306; n++) { /* the last tensor ends at 322, what follows is padding */
        ck_assert_int_eq(parse(bytes, n, &p, &e), SL_FORMAT);
        sl_arena_free(p.arena);
    }
}
END_TEST

static void refused(sl_buffer *b, const char *part) {
    parsed p;
    sl_error e = {0};
    ck_assert_msg(parse(b->data, b->len, &p, &e) != SL_OK, "accepted, wanted: %s", part);
    ck_assert_msg(strstr(e.message, part), "\"%s\" lacks \"%s\"", e.message, part);
    sl_arena_free(p.arena);
    sl_buffer_done(b);
}

static sl_buffer header(uint64_t tensors, uint64_t keys) {
    sl_buffer b = {0};
    sl_buffer_puts(&b, "GGUF");
    put_u32(&b, 3);
    put_u64(&b, tensors);
    put_u64(&b, keys);
    return b;
}

static void put_info(sl_buffer *b, const char *name, uint32_t n, const uint64_t *ne, uint32_t type, uint64_t offset) {
    put_text(b, name);
    put_u32(b, n);
    for (uint32_t i = 0; i < n && i < 8; i++) put_u64(b, ne[i]);
    put_u32(b, type);
    put_u64(b, offset);
}

static void pad(sl_buffer *b, size_t n) {
    for (size_t i = 0; i < n; i++) sl_buffer_append(b, "", 1);
}

START_TEST(hostile_header) {
    sl_buffer b = {0};
    sl_buffer_puts(&b, "GGML");
    pad(&b, 64);
    refused(&b, "not a GGUF file");
    b = header(0, 0), b.data[4] = 1;
    refused(&b, "version 1 is not read");
    b = header(0, 0), b.data[4] = 0, b.data[7] = 3;
    refused(&b, "big-endian");
    b = header(0, UINT64_MAX);
    refused(&b, "key-values cannot be in this file");
    b = header(UINT64_MAX, 0);
    refused(&b, "tensors cannot be in this file");
    b = header(1u << 20, 0);
    refused(&b, "tensors cannot be in this file");
}
END_TEST

START_TEST(hostile_keys) {
    sl_buffer b = header(0, 1);
    put_u64(&b, UINT64_MAX), put_u32(&b, 4), put_u32(&b, 0);
    refused(&b, "a key of 18446744073709551615 bytes");
    b = header(0, 1), put_text(&b, ""), pad(&b, 16);
    refused(&b, "the key is empty");
    b = header(0, 1), put_text(&b, "k"), put_u32(&b, 13), pad(&b, 16);
    refused(&b, "value type 13 does not exist");
    /* The 43-byte file whose array has 2^63 elements. */
    b = header(0, 1), put_text(&b, "k"), put_u32(&b, 9), put_u32(&b, 0), put_u64(&b, UINT64_C(1) << 63);
    refused(&b, "an array of 9223372036854775808 elements");
    b = header(0, 1), put_text(&b, "k"), put_u32(&b, 9), put_u32(&b, 8), put_u64(&b, UINT64_C(1) << 61), pad(&b, 64);
    refused(&b, "an array of 2305843009213693952 elements");
    b = header(0, 1), put_text(&b, "k"), put_u32(&b, 9), put_u32(&b, 9), put_u64(&b, 1), pad(&b, 64);
    refused(&b, "elements have type 9");
    b = header(0, 1), put_text(&b, "k"), put_u32(&b, 9), put_u32(&b, 8), put_u64(&b, 2), put_text(&b, "a"), put_u64(&b, 1000);
    refused(&b, "a string in an array of 1000 bytes");
    b = header(0, 1), put_text(&b, "k"), put_u32(&b, 8), put_u64(&b, UINT64_MAX - 8);
    refused(&b, "a string of 18446744073709551607 bytes");
    b = header(0, 2), put_kv_u32(&b, "k", 1), put_kv_u32(&b, "k", 2);
    refused(&b, "occurs twice");
    const uint32_t alignments[] = {0, 1, 4, 33, 1 << 17, 0x80000000, UINT32_MAX};
    for (size_t i = 0; i < sizeof alignments / sizeof *alignments; i++) {
        b = header(0, 1), put_kv_u32(&b, "general.alignment", alignments[i]);
        refused(&b, "general.alignment");
    }
}
END_TEST

START_TEST(hostile_tensors) {
    const uint64_t huge[] = {UINT64_C(1) << 32, UINT64_C(1) << 32, 4, 4}, wrap[] = {UINT64_MAX, 1}, one[8] = {32}, odd[] = {33};
    const uint64_t bytes_wrap[] = {UINT64_C(1) << 61, 1};
    sl_buffer b = header(1, 0);
    put_info(&b, "t", 4, huge, 0, 0);
    refused(&b, "more values than can be counted");
    b = header(1, 0), put_info(&b, "t", 2, wrap, 0, 0);
    refused(&b, "more values than can be counted");
    b = header(1, 0), put_info(&b, "t", 2, bytes_wrap, 28, 0), pad(&b, 64);
    refused(&b, "more bytes than can be counted");
    b = header(1, 0), put_info(&b, "t", 5, (const uint64_t[8]){1, 1, 1, 1, 1}, 0, 0), pad(&b, 64);
    refused(&b, "5 dimensions");
    b = header(1, 0), put_info(&b, "t", UINT32_MAX, one, 0, 0), pad(&b, 64);
    refused(&b, "4294967295 dimensions");
    b = header(1, 0), put_info(&b, "t", 1, odd, 8, 0), pad(&b, 64);
    refused(&b, "not whole blocks of Q8_0");
    b = header(1, 0), put_info(&b, "t", 1, one, 0, UINT64_MAX - 31), pad(&b, 256);
    refused(&b, "beyond the end of the file");
    b = header(1, 0), put_info(&b, "t", 1, one, 0, 8), pad(&b, 256);
    refused(&b, "not aligned");
    b = header(1, 0), put_info(&b, "t", 1, one, 0, 64), pad(&b, 160);
    refused(&b, "is the download complete?");
    b = header(2, 0), put_info(&b, "t", 1, one, 0, 0), put_info(&b, "u", 1, one, 0, 96), pad(&b, 512);
    refused(&b, "share bytes");
    b = header(2, 0), put_info(&b, "t", 1, one, 0, 0), put_info(&b, "t", 1, one, 0, 128), pad(&b, 512);
    refused(&b, "tensor \"t\" occurs twice");
    b = header(1, 0), put_info(&b, "a\nb", 1, one, 0, 0), pad(&b, 256);
    refused(&b, "no plain ASCII");
}
END_TEST

/* The seeds of tests/fuzz/gguf are the smallest models that bind: cut at every byte and changed in every byte they are
 * an error with a message, or a model. */
static const char *const seeds[] = {"llama", "mixtral", "mixtral-old", "olmoe", "qwen2moe", "qwen3", "qwen3moe", "ones"};

START_TEST(seeds_open) {
    const char *const families[] = {"llama", "mixtral", "mixtral", "olmoe", "qwen2_moe", "qwen3", "qwen3_moe", "qwen2_moe"};
    char name[64], data[8192];
    sl_error e;
    snprintf(name, sizeof name, "fuzz/gguf/%s.gguf", seeds[_i]);
    size_t n = read_test_file(name, data, sizeof data);
    sl_model *m = open_bytes(data, n, &e);
    ck_assert_msg(m != NULL, "%s", e.message);
    ck_assert_str_eq(m->family->name, families[_i]);
    ck_assert(m->layer[0].q.data && m->layer[0].q.rows == 4 && m->layer[0].k.rows == 2);
    ck_assert(m->hp.rope_style == (m->family->gguf_qk_permuted ? SL_ROPE_INTERLEAVED : SL_ROPE_HALF));
    ck_assert_int_eq(m->layer[0].experts != NULL, m->family->routed);
    ck_assert_int_eq(m->layer[0].shared.up.data != NULL, m->family->shared_gate != SL_SHARED_NONE);
    ck_assert_int_eq(m->rope_divisors != NULL, _i == 0);
    ck_assert_int_eq(sl_model_vocab(m)->count, 2);
    sl_model_close(m);
}
END_TEST

START_TEST(every_cut) { /* Promise 3 */
    char name[64], data[8192];
    sl_error e;
    snprintf(name, sizeof name, "fuzz/gguf/%s.gguf", seeds[_i]);
    size_t n = read_test_file(name, data, sizeof data);
    for (size_t i = 0; i + 31 < n; i++) ck_assert_ptr_null(open_bytes(data, i, &e));
}
END_TEST

START_TEST(every_flip) { /* Promise 3 */
    char name[64], data[8192];
    sl_error e;
    snprintf(name, sizeof name, "fuzz/gguf/%s.gguf", seeds[_i]);
    size_t n = read_test_file(name, data, sizeof data);
    const uint8_t masks[] = {0xFF, 0x01, 0x80};
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < sizeof masks; j++) {
            data[i] = (char)(data[i] ^ masks[j]);
            sl_model_close(open_bytes(data, n, &e));
            data[i] = (char)(data[i] ^ masks[j]);
        }
}
END_TEST

/* A seed with one u32 or f32 value changed (the key's name is looked for in the bytes), or one key renamed. */
static void with_value(const char *seed, const char *key, const void *value, const char *part) {
    char name[64], data[8192];
    sl_error e;
    snprintf(name, sizeof name, "fuzz/gguf/%s.gguf", seed);
    size_t n = read_test_file(name, data, sizeof data);
    char *at = memmem(data, n, key, strlen(key));
    ck_assert_msg(at != NULL, "%s", key);
    memcpy(at + strlen(key) + 4, value, 4);
    sl_model *m = open_bytes(data, n, &e);
    ck_assert_msg(m == NULL, "%s accepted", key);
    ck_assert_msg(strstr(e.message, part), "\"%s\" lacks \"%s\"", e.message, part);
}

static void with_u32(const char *seed, const char *key, uint32_t x, const char *part) { with_value(seed, key, &x, part); }
static void with_f32(const char *seed, const char *key, float x, const char *part) { with_value(seed, key, &x, part); }

START_TEST(hostile_hyperparameters) {
    with_u32("llama", "llama.block_count", UINT32_C(1) << 31, "llama.block_count is 2147483648");
    with_u32("llama", "llama.block_count", 0, "llama.block_count is 0");
    with_u32("llama", "llama.block_count", 513, "llama.block_count is 513");
    with_u32("llama", "llama.block_count", 2, "tensor \"blk.1.attn_norm.weight\" is missing");
    with_u32("llama", "llama.attention.head_count", 0, "llama.attention.head_count is 0");
    with_u32("llama", "llama.attention.head_count", 5, "layer 0: the head dimension is 0");
    with_u32("llama", "llama.attention.head_count_kv", 0, "llama.attention.head_count_kv is 0");
    with_u32("llama", "llama.attention.head_count_kv", 3, "layer 0: the number of key-value heads is 3");
    with_u32("llama", "llama.embedding_length", 8, "but the hyperparameters say");
    with_u32("llama", "llama.embedding_length", UINT32_MAX, "llama.embedding_length");
    with_u32("llama", "llama.context_length", 0, "llama.context_length is 0");
    with_u32("llama", "llama.feed_forward_length", 0, "dense feed-forward width is missing");
    with_u32("llama", "llama.feed_forward_length", 3, "tensor \"blk.0.ffn_gate.weight\" has shape [2, 4]");
    with_f32("llama", "llama.attention.layer_norm_rms_epsilon", __builtin_nanf(""), "layer_norm_rms_epsilon is nan");
    with_f32("llama", "llama.attention.layer_norm_rms_epsilon", -1, "layer_norm_rms_epsilon is -1");
    with_f32("llama", "llama.attention.layer_norm_rms_epsilon", __builtin_inff(), "layer_norm_rms_epsilon is inf");
    with_u32("mixtral", "llama.expert_count", UINT32_MAX, "llama.expert_count is 4294967295");
    with_u32("mixtral", "llama.expert_count", 3, "tensor \"blk.0.ffn_gate_inp.weight\" has shape [2, 4]");
    with_u32("mixtral", "llama.expert_count", 0, "llama.expert_count is 0, but the file has experts: tensor \"blk.0.ffn_gate_inp.weight\"");
    with_u32("mixtral", "llama.expert_used_count", 3, "llama.expert_used_count is 3");
    with_u32("mixtral", "llama.expert_used_count", 0, "llama.expert_used_count is 0");
    with_u32("mixtral-old", "llama.expert_count", 1, "");
    with_u32("qwen3moe", "qwen3moe.expert_feed_forward_length", 1, "tensor \"blk.0.ffn_gate_exps.weight\" has shape [2, 2, 4]");
    with_f32("qwen3moe", "qwen3moe.rope.scaling.factor", -2, "rope.scaling.factor is -2");
}
END_TEST

/* Opens a seed with one more key, of which `value` is type and bytes; a second key keeps the tensor data aligned. */
static sl_model *open_with(const char *seed, const char *key, const sl_buffer *value, sl_error *e) {
    char name[64], data[16384], padding[33] = "................................";
    sl_buffer b = {0};
    put_text(&b, key), sl_buffer_append(&b, value->data, value->len);
    padding[31 - (b.len + 20) % 32] = 0;
    put_kv_text(&b, "p", padding);
    ck_assert_uint_eq(b.len % 32, 0);
    snprintf(name, sizeof name, "fuzz/gguf/%s.gguf", seed);
    size_t n = read_test_file(name, data, sizeof data / 2);
    memmove(data + 24 + b.len, data + 24, n - 24);
    memcpy(data + 24, b.data, b.len);
    data[16] = (char)(data[16] + 2);
    n += b.len;
    sl_buffer_done(&b);
    return open_bytes(data, n, e);
}

static sl_buffer u32_value(uint32_t x) {
    sl_buffer b = {0};
    put_u32(&b, 4), put_u32(&b, x);
    return b;
}

static sl_buffer f32_value(float x) {
    sl_buffer b = {0};
    put_u32(&b, 6), put_f32(&b, x);
    return b;
}

static sl_buffer bool_value(bool x) {
    sl_buffer b = {0};
    put_u32(&b, 7), sl_buffer_append(&b, &x, 1);
    return b;
}

static sl_buffer text_value(const char *x) {
    sl_buffer b = {0};
    put_u32(&b, 8), put_text(&b, x);
    return b;
}

static sl_buffer two_floats(float x, float y) {
    sl_buffer b = {0};
    put_u32(&b, 9), put_u32(&b, 6), put_u64(&b, 2), put_f32(&b, x), put_f32(&b, y);
    return b;
}

static void refused_with(const char *key, sl_buffer value, const char *part) {
    sl_error e;
    ck_assert_msg(open_with("llama", key, &value, &e) == NULL, "%s accepted", key);
    ck_assert_msg(strstr(e.message, part), "\"%s\" lacks \"%s\"", e.message, part);
    sl_buffer_done(&value);
}

static sl_model *good_with(const char *key, sl_buffer value) {
    sl_error e;
    sl_model *m = open_with("llama", key, &value, &e);
    ck_assert_msg(m != NULL, "%s", e.message);
    sl_buffer_done(&value);
    return m;
}

/* Keys that would change the answer are honoured or refused, never passed over. */
START_TEST(arithmetic) {
    refused_with("llama.attention.causal", bool_value(false), "llama.attention.causal is false");
    refused_with("llama.use_parallel_residual", bool_value(true), "llama.use_parallel_residual is true");
    refused_with("llama.attention.scale", f32_value(1), "llama.attention.scale is 1");
    refused_with("llama.attention.max_alibi_bias", f32_value(8), "llama.attention.max_alibi_bias is 8");
    refused_with("llama.attn_logit_softcapping", f32_value(50), "llama.attn_logit_softcapping is 50");
    refused_with("llama.final_logit_softcapping", f32_value(30), "llama.final_logit_softcapping is 30");
    refused_with("llama.residual_scale", f32_value(0.22f), "llama.residual_scale is 0.22");
    refused_with("llama.embedding_scale", f32_value(12), "llama.embedding_scale is 12");
    refused_with("llama.logit_scale", f32_value(6), "llama.logit_scale is 6");
    refused_with("llama.expert_weights_scale", f32_value(2.5f), "llama.expert_weights_scale is 2.5");
    refused_with("llama.expert_gating_func", u32_value(2), "llama.expert_gating_func is 2");
    refused_with("llama.expert_group_count", u32_value(8), "llama.expert_group_count is 8");
    refused_with("llama.swin_norm", bool_value(true), "llama.swin_norm is 1");
    refused_with("llama.pooling_type", u32_value(3), "llama.pooling_type is 3");
    refused_with("llama.swiglu_clamp_exp", two_floats(0, 7), "llama.swiglu_clamp_exp is 7");
    refused_with("llama.final_logit_softcapping", text_value("6"), "llama.final_logit_softcapping is not a float");
    refused_with("llama.logit_scale", text_value("6"), "llama.logit_scale is not a float");
    refused_with("llama.rope.freq_base_swa", f32_value(500), "llama.rope.freq_base_swa is 500");
    refused_with("llama.rope.dimension_count_swa", u32_value(64), "llama.rope.dimension_count_swa is 64");
    refused_with("llama.attention.causal", u32_value(1), "llama.attention.causal is not a boolean");
    sl_model_close(good_with("llama.attention.causal", bool_value(true)));
    sl_model_close(good_with("llama.attention.scale", f32_value(0.70710678f))); /* one over the root of two */
    sl_model_close(good_with("llama.logit_scale", f32_value(1)));
    sl_model_close(good_with("llama.residual_scale", f32_value(0)));
    sl_model *m = good_with("llama.expert_weights_norm", bool_value(false)); /* a dense model has none */
    ck_assert_int_eq(sl_model_notes(m)->count, 0);
    sl_model_close(m);
    m = good_with("llama.something.new", two_floats(1, 2));
    ck_assert(sl_model_notes(m)->count == 1 && strstr(sl_model_notes(m)->text[0], "llama.something.new is not known here and is ignored"));
    sl_model_close(m);
    sl_model_close(good_with("other.attention.causal", bool_value(false))); /* another architecture's */
}
END_TEST

/* llama.cpp multiplies cosine and sine by attn_factor whatever the scaling's type is; a window is carried to where --ctx is. */
START_TEST(honoured) {
    sl_model *m = good_with("llama.rope.scaling.attn_factor", f32_value(1.25f));
    ck_assert(m->hp.rope_attention == 1.25f && m->hp.rope_scaling == SL_ROPE_PLAIN);
    sl_model_close(m);
    m = good_with("llama.rope.scaling.yarn_attn_factor", f32_value(0.5f));
    ck_assert(m->hp.rope_attention == 0.5f);
    sl_model_close(m);
    m = good_with("llama.attention.sliding_window", u32_value(4));
    ck_assert_int_eq(m->hp.window[0], 4);
    sl_model_close(m);
    m = good_with("llama.rope.scale_linear", f32_value(0));
    ck_assert(m->hp.rope_factor == 1 && m->hp.rope_scaling == SL_ROPE_PLAIN);
    sl_model_close(m);
}
END_TEST

START_TEST(ranges) {
    refused_with("llama.rope.freq_base", f32_value(1), "llama.rope.freq_base is 1");
    refused_with("llama.rope.freq_base", f32_value(__builtin_inff()), "llama.rope.freq_base is inf");
    refused_with("llama.rope.scale_linear", f32_value(1e-38f), "the rope factor is 1e-38");
    refused_with("llama.rope.scaling.factor", f32_value(1e-38f), "the rope factor is 1e-38");
    refused_with("llama.rope.scaling.factor", f32_value(1e30f), "llama.rope.scaling.factor is 1e+30");
    refused_with("llama.rope.scaling.factor", f32_value(__builtin_nanf("")), "llama.rope.scaling.factor is nan");
    refused_with("llama.rope.scaling.attn_factor", f32_value(0), "llama.rope.scaling.attn_factor is 0");
    refused_with("llama.rope.scaling.attn_factor", f32_value(1e30f), "llama.rope.scaling.attn_factor is 1e+30");
    refused_with("llama.rope.dimension_count", u32_value(1), "llama.rope.dimension_count is 1");
    refused_with("llama.rope.dimension_count", u32_value(4), "layer 0: the rotated dimensions of a head is 4");
    refused_with("llama.attention.clamp_kqv", f32_value(1e-30f), "the bound on q, k and v is 1e-30");
    sl_model *m = good_with("llama.attention.sliding_window", u32_value(UINT32_MAX)); /* longer than any context */
    ck_assert_int_eq(m->hp.window[0], 0);
    sl_model_close(m);
    with_f32("llama", "llama.attention.layer_norm_rms_epsilon", 1, "layer_norm_rms_epsilon is 1");
    with_f32("llama", "llama.attention.layer_norm_rms_epsilon", 1e-30f, "layer_norm_rms_epsilon is 1e-30");
    with_f32("llama", "llama.attention.layer_norm_rms_epsilon", 0, "layer_norm_rms_epsilon is 0");
}
END_TEST

/* Keys and tensors by which a seed's answer would change. */
static void with_name(const char *seed, const char *from, const char *to, const char *part) {
    char name[64], data[8192];
    sl_error e;
    ck_assert_uint_eq(strlen(from), strlen(to));
    snprintf(name, sizeof name, "fuzz/gguf/%s.gguf", seed);
    size_t n = read_test_file(name, data, sizeof data);
    char *at = memmem(data, n, from, strlen(from));
    ck_assert_ptr_nonnull(at);
    memcpy(at, to, strlen(to));
    ck_assert_ptr_null(open_bytes(data, n, &e));
    ck_assert_msg(strstr(e.message, part), "\"%s\" lacks \"%s\"", e.message, part);
}

START_TEST(refused_by_name) {
    with_name("qwen3", "qwen3", "gemma", "known are llama, qwen3, olmoe, qwen2moe, qwen3moe");
    with_name("olmoe", "blk.0.attn_q_norm.weight", "blk.0.attn_q_nope.weight", "\"blk.0.attn_q_norm.weight\" is missing");
    with_name("qwen2moe", "blk.0.attn_v.bias", "blk.0.attn_s.bias", "\"blk.0.attn_v.bias\" is missing");
    with_name("qwen3moe", "qwen3moe.expert_count", "qwen3moe.expert_counk", "qwen3moe.expert_count is missing, but the file has experts");
    with_name("qwen2moe", "blk.0.ffn_gate_inp_shexp.weight", "blk.0.ffn_gate_imp_shexp.weight", "ffn_gate_inp_shexp");
}
END_TEST

START_TEST(unread_types) {
    char data[8192];
    sl_error e;
    size_t n = read_test_file("fuzz/gguf/llama.gguf", data, sizeof data);
    const char *used = "blk.0.ffn_gate.weight", *unused = "rope_freqs.weight";
    uint32_t type = 999;
    char *at = memmem(data, n, used, strlen(used));
    const struct {
        uint32_t id;
        const char *what;
    } types[] = {
        {999, "has type ggml type 999; supported are F32"}, {50, "has type ggml type 50; supported are F32"},
        {144, "has type IQ4_KS (ggml type 144), ik_llama.cpp's own"},
        {31, "has type Q4_0_4_4 (ggml type 31), which ggml itself has given up; supported are F32, F16, BF16, Q4_0"},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        memcpy(at + strlen(used) + 4 + 16, &types[i].id, 4);
        ck_assert_ptr_null(open_bytes(data, n, &e));
        ck_assert_msg(strstr(e.message, "tensor \"blk.0.ffn_gate.weight\"") && strstr(e.message, types[i].what), "%s", e.message);
    }
    /* One whose blocks this file's rows cannot have is refused as such. */
    memcpy(at + strlen(used) + 4 + 16, &(uint32_t){23}, 4);
    ck_assert_ptr_null(open_bytes(data, n, &e));
    ck_assert_msg(strstr(e.message, "not whole blocks of IQ4_XS"), "%s", e.message);
    memcpy(at + strlen(used) + 4 + 16, &(uint32_t){0}, 4);
    /* The same type on a tensor that nothing reads is no error. */
    at = memmem(data, n, unused, strlen(unused));
    memcpy(at, "something.weights", strlen(unused));
    memcpy(at + strlen(unused) + 4 + 8, &type, 4);
    sl_model *m = open_bytes(data, n, &e);
    ck_assert_msg(m != NULL, "%s", e.message);
    sl_tensor_entry t;
    int unread = 0;
    for (int i = 0; sl_model_tensor(m, i, &t); i++) unread += !t.used;
    ck_assert_int_eq(unread, 1);
    sl_model_close(m);
}
END_TEST

int main(void) {
    Suite *s = suite_create("model/gguf");
    TCase *c = tcase_create("gguf");
    int count = (int)(sizeof seeds / sizeof *seeds);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, worked_example);
    tcase_add_test(c, hostile_header);
    tcase_add_test(c, hostile_keys);
    tcase_add_test(c, hostile_tensors);
    tcase_add_loop_test(c, seeds_open, 0, count);
    tcase_add_loop_test(c, every_cut, 0, count);
    tcase_add_loop_test(c, every_flip, 0, count);
    tcase_add_test(c, hostile_hyperparameters);
    tcase_add_test(c, arithmetic);
    tcase_add_test(c, honoured);
    tcase_add_test(c, ranges);
    tcase_add_test(c, refused_by_name);
    tcase_add_test(c, unread_types);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}

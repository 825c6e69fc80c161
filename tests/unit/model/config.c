/* config.json: both spellings, the class's defaults, and what is refused. Defaults are those of transformers 4.57. */
#include "model/internal.h"

#include <stdlib.h>
#include "writer.h"

typedef struct read {
    const sl_family *family;
    sl_hparams hp;
    sl__declared declared;
    sl_notes notes;
    sl_error e;
    sl_status status;
} read_config;

#define SIZES "\"vocab_size\":100,\"hidden_size\":64,\"num_hidden_layers\":4,\"num_attention_heads\":4,\"intermediate_size\":96"

/* SIZES, a model_type, and more members (each with a comma before it). */
static read_config parse(const char *type, const char *more) {
    char text[4096];
    read_config r = {.family = NULL};
    int n = snprintf(text, sizeof text, "{\"model_type\":\"%s\"," SIZES "%s}", type, more);
    r.status = sl__config_parse(text, (size_t)n, "config.json", &r.family, &r.hp, &r.declared, &r.notes, &r.e);
    return r;
}

static read_config good(const char *type, const char *more) {
    read_config r = parse(type, more);
    ck_assert_msg(r.status == SL_OK, "%s", r.e.message);
    return r;
}

/* The widest window of a layer. */
static int window_of(const sl_hparams *hp) {
    int widest = 0;
    for (int i = 0; i < hp->layers; i++) widest = hp->window[i] > widest ? hp->window[i] : widest;
    return widest;
}

static void refused(const char *type, const char *more, const char *part) {
    read_config r = parse(type, more);
    ck_assert_msg(r.status != SL_OK, "accepted: %s", more);
    ck_assert_msg(strstr(r.e.message, part), "\"%s\" lacks \"%s\"", r.e.message, part);
    ck_assert_msg(strncmp(r.e.message, "config.json", 11) == 0, "%s", r.e.message);
}

START_TEST(defaults) {
    read_config r = good("llama", "");
    ck_assert(r.hp.kv_heads[0] == 4 && r.hp.head_dim[1] == 16 && r.hp.norm_eps == 1e-6f && r.hp.rope_theta == 10000 && r.hp.context == 2048);
    ck_assert(r.declared.qkv_bias == 0 && r.declared.o_bias == 0 && r.declared.tied == -1 && r.hp.ff == 96 && !r.hp.sparse[0]);
    r = good("qwen3", ",\"num_key_value_heads\":null");
    ck_assert(r.hp.kv_heads[1] == 4 && r.hp.head_dim[0] == 128 && r.hp.qk_norm == SL_QK_NORM_HEAD);
    r = good("mixtral", ",\"num_key_value_heads\":2");
    ck_assert(r.hp.experts == 8 && r.hp.experts_used == 2 && r.hp.expert_ff == 96 && r.hp.ff == 0 && r.hp.rope_theta == 1e6f);
    ck_assert(r.hp.norm_eps == 1e-5f && r.hp.router_norm == SL_ROUTER_SUM && r.hp.sparse[3]);
    r = good("olmoe", "");
    ck_assert(r.hp.experts == 64 && r.hp.experts_used == 8 && r.hp.qk_norm == SL_QK_NORM_FULL && r.hp.router_norm == SL_ROUTER_KEEP);
    r = good("qwen2_moe", ",\"num_key_value_heads\":null");
    ck_assert(r.declared.qkv_bias == 1 && r.declared.o_bias == 0 && r.hp.experts == 60 && r.hp.experts_used == 4);
    ck_assert(r.hp.expert_ff == 1408 && r.hp.shared_ff == 5632 && r.hp.shared_gate == SL_SHARED_SIGMOID);
    r = good("qwen3_moe", ",\"norm_topk_prob\":true");
    ck_assert(r.hp.experts == 128 && r.hp.router_norm == SL_ROUTER_SUM && r.hp.kv_heads[0] == 4);
    ck_assert(good("qwen3_moe", "").hp.router_norm == SL_ROUTER_KEEP);
    ck_assert(good("qwen3_moe", ",\"num_local_experts\":16").hp.experts == 16);
}
END_TEST

#define KV ",\"num_key_value_heads\":4"

/* Those of transformers 5.24, whose classes these are. */
START_TEST(defaults_of_sigmoid_routers) {
    read_config r = good("glm4_moe", ",\"num_key_value_heads\":4");
    ck_assert(r.hp.experts == 128 && r.hp.experts_used == 8 && r.hp.expert_ff == 1408 && r.hp.shared_ff == 1408 && r.hp.kv_heads[0] == 4);
    ck_assert(r.hp.router_score == SL_ROUTER_SIGMOID && r.hp.router_norm == SL_ROUTER_SUM && r.hp.router_scale == 1 && r.hp.router_groups == 1);
    ck_assert(!r.hp.sparse[0] && r.hp.sparse[1] && r.hp.ff == 96 && r.hp.rope_dims == 8 && r.hp.qk_norm == SL_QK_NORM_NONE);
    r = good("glm4_moe",
             ",\"num_key_value_heads\":4,\"use_qk_norm\":true,\"attention_bias\":true,\"n_shared_experts\":3,"
             "\"first_k_dense_replace\":3,\"partial_rotary_factor\":0.25,"
                         "\"routed_scaling_factor\":2.5,\"n_group\":8,\"topk_group\":4,\"norm_topk_prob\":false,\"rope_theta\":1e6");
    ck_assert(r.hp.qk_norm == SL_QK_NORM_HEAD && r.declared.qkv_bias == 1 && r.declared.o_bias == 0 && r.hp.shared_ff == 3 * 1408);
    ck_assert(!r.hp.sparse[2] && r.hp.sparse[3] && r.hp.rope_dims == 4 && r.hp.router_scale == 2.5f && r.hp.router_groups == 8);
    ck_assert(r.hp.router_groups_used == 4 && r.hp.router_norm == SL_ROUTER_KEEP && r.hp.rope_theta == 1e6f);
    ck_assert(good("glm4_moe", KV ",\"first_k_dense_replace\":0").hp.ff == 0);
    r = good("dots1", KV);
    ck_assert(r.hp.router_norm == SL_ROUTER_KEEP && r.hp.qk_norm == SL_QK_NORM_HEAD && r.hp.rope_dims == 16 && r.hp.sparse[0] &&
              window_of(&r.hp) == 0);
    r = good("dots1", KV ",\"max_window_layers\":2");
    ck_assert(r.hp.window[1] == 0 && r.hp.window[2] == 4096);
    r = good("minimax_m2", KV);
    ck_assert(r.hp.experts == 256 && r.hp.expert_ff == 96 && r.hp.ff == 0 && r.hp.qk_norm == SL_QK_NORM_FULL &&
              r.hp.rope_dims == 128 && r.hp.shared_ff == 0);
    ck_assert_int_eq(good("minimax_m2", KV ",\"rotary_dim\":64,\"scoring_func\":\"sigmoid\"").hp.rope_dims, 64);
    ck_assert_int_eq(good("minimax_m2",
                          KV ",\"rotary_dim\":64,\"rope_parameters\":{\"partial_rotary_factor\":0.25,"
                             "\"rope_theta\":1e4}").hp.rope_dims, 32);
    r = good("solar_open", KV ",\"first_k_dense_replace\":1"); /* which the class does not read */
    ck_assert(r.hp.sparse[0] && r.hp.ff == 0 && r.hp.rope_dims == 128 && r.hp.rope_theta == 1e6f);
    refused("glm4_moe", KV ",\"n_group\":3", "multiple of 3");
    refused("glm4_moe", KV ",\"n_group\":64,\"topk_group\":3", "chosen among 6");
    refused("glm4_moe", KV ",\"n_group\":4,\"topk_group\":5", "groups");
    refused("glm4_moe", KV ",\"scoring_func\":\"softmax\"", "scoring_func");
    refused("glm4_moe", KV ",\"partial_rotary_factor\":0.1", "partial_rotary_factor");
    refused("minimax_m2", KV ",\"routed_scaling_factor\":2.0", "routed_scaling_factor");
    refused("minimax_m2", KV ",\"rotary_dim\":256", "rotated dimensions");
    refused("qwen3_moe", ",\"scoring_func\":\"sigmoid\"", "scoring_func");
}
END_TEST

START_TEST(dense_layers) {
    read_config r = good("qwen3_moe", ",\"decoder_sparse_step\":2,\"mlp_only_layers\":[3]");
    ck_assert(!r.hp.sparse[0] && r.hp.sparse[1] && !r.hp.sparse[2] && !r.hp.sparse[3] && r.hp.ff == 96);
    ck_assert_int_eq(good("qwen3_moe", "").hp.ff, 0);
}
END_TEST

START_TEST(rope) {
    read_config r = good("llama", ",\"rope_theta\":500000.0,\"rope_scaling\":{\"factor\":8.0,\"high_freq_factor\":4.0,"
                                  "\"low_freq_factor\":1.0,\"original_max_position_embeddings\":8192,\"rope_type\":\"llama3\"}");
    read_config v5 = good("llama", ",\"rope_parameters\":{\"rope_theta\":500000.0,\"factor\":8.0,\"high_freq_factor\":4.0,"
                                   "\"low_freq_factor\":1.0,\"original_max_position_embeddings\":8192,\"rope_type\":\"llama3\"}");
    ck_assert(r.hp.rope_scaling == SL_ROPE_LLAMA3 && r.hp.rope_factor == 8 && r.hp.rope_low == 1 && r.hp.rope_high == 4);
    ck_assert(r.hp.rope_original == 8192 && r.hp.rope_theta == 500000 && r.hp.rope_dims == 16);
    ck_assert(v5.hp.rope_scaling == r.hp.rope_scaling && v5.hp.rope_theta == r.hp.rope_theta && v5.hp.rope_original == 8192);
    r = good("llama", ",\"rope_scaling\":{\"factor\":16.0,\"high_freq_factor\":1.0,\"low_freq_factor\":1.0,"
                      "\"original_max_position_embeddings\":8192,\"rope_type\":\"llama3\"}"); /* Llama 4 Scout's */
    ck_assert(r.hp.rope_scaling == SL_ROPE_LLAMA3 && r.hp.rope_factor == 16 && r.hp.rope_low == 1 && r.hp.rope_high == 1);
    r = good("qwen3", ",\"num_key_value_heads\":4,\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4.0,\"original_max_position_embeddings\":32768}");
    ck_assert(r.hp.rope_scaling == SL_ROPE_YARN && r.hp.rope_low == 1 && r.hp.rope_high == 32 && r.hp.rope_truncate);
    ck_assert_float_eq_tol(r.hp.rope_attention, 1.1386294f, 1e-6f); /* 0.1 ln 4 + 1 */
    r = good("llama", ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}");
    ck_assert(r.hp.rope_scaling == SL_ROPE_LINEAR && r.hp.rope_factor == 2);
    ck_assert(good("llama", ",\"rope_scaling\":null").hp.rope_scaling == SL_ROPE_PLAIN);
    ck_assert(good("llama", ",\"rope_scaling\":{}").hp.rope_scaling == SL_ROPE_PLAIN);
    /* transformers 5: the one at the top goes before the one inside, and rope_scaling before rope_parameters. */
    r = good("llama", ",\"max_position_embeddings\":4096,\"original_max_position_embeddings\":1024,"
                      "\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4.0,\"original_max_position_embeddings\":2048}");
    ck_assert_int_eq(r.hp.rope_original, 1024);
    ck_assert_int_eq(good("llama", ",\"max_position_embeddings\":4096,\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4.0}").hp.rope_original, 4096);
    r = good("llama", ",\"max_position_embeddings\":4096,\"original_max_position_embeddings\":1024,"
                      "\"rope_scaling\":{\"type\":\"yarn\",\"factor\":null}");
    ck_assert(r.hp.rope_factor == 4); /* the ratio */
    r = good("llama", ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2},\"rope_parameters\":{\"rope_type\":\"linear\","
                      "\"factor\":3,\"rope_theta\":77}");
    ck_assert(r.hp.rope_factor == 2 && r.hp.rope_theta == 10000);
    r = good("llama", ",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4.0,\"attention_factor\":1.5,\"mscale\":2,\"mscale_all_dim\":1}");
    ck_assert(r.hp.rope_attention == 1.5f);
    r = good("llama", ",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4.0,\"mscale\":2,\"mscale_all_dim\":1}");
    ck_assert_float_eq_tol(r.hp.rope_attention, 1.1217511f, 1e-6f); /* (0.2 ln 4 + 1) / (0.1 ln 4 + 1) */
    r = good("llama", ",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4.0,\"mscale\":2,\"beta_fast\":0,\"beta_slow\":0}");
    ck_assert_float_eq_tol(r.hp.rope_attention, 1.1386294f, 1e-6f); /* one of the two alone counts for nothing */
    ck_assert(r.hp.rope_low == 1 && r.hp.rope_high == 32);
    r = good("llama", ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":4.0,\"attention_factor\":1.5}");
    ck_assert(r.hp.rope_attention == 1 && r.notes.count == 1 && strstr(r.notes.text[0], "rope_scaling.attention_factor is ignored"));
    refused("llama", ",\"rope_scaling\":{\"type\":\"mrope\",\"factor\":2}", "\"mrope\" is not supported");
    refused("llama", ",\"rope_scaling\":{\"type\":\"linear\"}", "rope_scaling.factor");
    refused("llama", ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":-1}", "rope_scaling.factor");
    refused("llama", ",\"rope_scaling\":7", "rope_scaling");
    refused("llama", ",\"rope_theta\":0", "rope_theta");
    refused("llama", ",\"rope_parameters\":{\"full_attention\":{}}", "by kind of layer");
}
END_TEST

/* Which window the class's layers see, as transformers 5.24 builds its masks. */
START_TEST(windows) {
    const struct {
        const char *type, *more;
        int window;
    } cases[] = {
        {"mixtral", ",\"sliding_window\":4096", 4096},
        {"mixtral", "", 0},
        {"mixtral", ",\"sliding_window\":null", 0},
        {"mistral", "", 4096},
        {"mistral", ",\"sliding_window\":null", 0},
        {"mistral", ",\"layer_types\":[\"full_attention\"]", 4096}, /* the class looks at its own key only */
        {"llama", ",\"sliding_window\":512", 512},
        {"qwen3", ",\"use_sliding_window\":false,\"sliding_window\":128", 0},
        {"qwen3", ",\"use_sliding_window\":true,\"sliding_window\":128", 0}, /* max_window_layers is 28 of 4 */
        {"qwen3", ",\"use_sliding_window\":true,\"sliding_window\":128,\"max_window_layers\":4", 0},
        {"qwen3", ",\"use_sliding_window\":true,\"sliding_window\":128,\"max_window_layers\":3", 128},
        {"qwen3", ",\"use_sliding_window\":true,\"max_window_layers\":0", 4096},
        {"qwen3", ",\"use_sliding_window\":true,\"sliding_window\":8,\"layer_types\":[\"full_attention\",\"sliding_attention\"]", 8},
        {"qwen3", ",\"use_sliding_window\":true,\"max_window_layers\":0,\"layer_types\":[\"full_attention\"]", 0},
        {"qwen3_moe", ",\"use_sliding_window\":true,\"sliding_window\":64", 64},
        {"qwen3_moe", ",\"use_sliding_window\":true", 4096},
        {"mixtral", ",\"sliding_window\":1000000000000000019884624838656", 0}, /* no context is as long */
        {"qwen2_moe", ",\"use_sliding_window\":true,\"sliding_window\":64", 64},
        {"qwen2_moe", "", 0},
    };
    char more[512];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(more, sizeof more, ",\"num_key_value_heads\":2%s", cases[i].more);
        read_config r = good(cases[i].type, more);
        ck_assert_msg(window_of(&r.hp) == cases[i].window, "%s %s: %d", cases[i].type, cases[i].more, window_of(&r.hp));
    }
}
END_TEST

/* Keys that would change the answer are refused by name, unless they say what is done anyway. */
START_TEST(arithmetic) {
    const char *const bad[] = {
        "\"attn_logit_softcapping\":50.0", "\"final_logit_softcapping\":30.0", "\"embedding_multiplier\":12.0", "\"residual_multiplier\":0.22",
        "\"logits_scaling\":6.0", "\"logit_scale\":0.0625", "\"attention_multiplier\":1.0", "\"is_causal\":false", "\"alibi\":true",
        "\"use_bidirectional_attention\":true", "\"clip_qkv\":8.0", "\"routed_scaling_factor\":2.5", "\"scoring_func\":\"sigmoid\"",
        "\"n_group\":8", "\"attention_chunk_size\":8192", "\"swiglu_limit\":7.0", "\"partial_rotary_factor\":0.5", "\"use_qk_norm\":true",
        "\"quantization_config\":{\"quant_method\":\"gptq\"}", "\"compression_config\":{}", "\"kv_lora_rank\":512", "\"mlp_bias\":true",
        "\"rope_parameters\":{\"rope_type\":\"default\",\"llama_4_scaling_beta\":0.1}",
        "\"rope_parameters\":{\"rope_type\":\"default\",\"partial_rotary_factor\":0.25}",
    };
    char more[256], name[64];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(more, sizeof more, ",%s", bad[i]);
        snprintf(name, sizeof name, "%.*s", (int)strcspn(bad[i] + 1, "\""), bad[i] + 1);
        refused("llama", more, name);
    }
    refused("llama", ",\"quantization_config\":{\"quant_method\":\"gptq\"}", "quantised checkpoints (gptq) are not supported");
    refused("mixtral", ",\"num_key_value_heads\":2,\"attention_bias\":true", "attention_bias: true is not supported");
    good("llama", ",\"attn_logit_softcapping\":null,\"final_logit_softcapping\":0,\"embedding_multiplier\":1,\"residual_multiplier\":1.0,"
                  "\"attention_multiplier\":0.25,\"is_causal\":true,\"alibi\":false,\"clip_qkv\":null,\"n_group\":1,\"scoring_func\":\"softmax\","
                  "\"partial_rotary_factor\":1.0,\"quantization_config\":null,\"hidden_act\":\"swish\",\"logits_scaling\":1");
    ck_assert(good("olmoe", ",\"clip_qkv\":8.0").hp.qkv_clip == 8);
    good("qwen3", ",\"num_key_value_heads\":2,\"use_qk_norm\":true");
}
END_TEST

/* Inside the ranges no formula leaves float; outside, the key is named. */
START_TEST(ranges) {
    const char *const bad[][2] = {
        {"\"rope_theta\":1", "rope_theta"}, {"\"rope_theta\":1.9", "rope_theta"}, {"\"rope_theta\":1e13", "rope_theta"},
        {"\"rope_theta\":-10000", "rope_theta"}, {"\"rope_theta\":NaN", "rope_theta"}, {"\"rope_theta\":Infinity", "rope_theta"},
        {"\"rope_parameters\":{\"rope_theta\":1}", "rope_parameters.rope_theta"},
        {"\"rope_scaling\":{\"type\":\"linear\",\"factor\":1e-38}", "rope_scaling.factor"},
        {"\"rope_scaling\":{\"type\":\"linear\",\"factor\":0}", "rope_scaling.factor"},
        {"\"rope_scaling\":{\"type\":\"linear\",\"factor\":1e38}", "rope_scaling.factor"},
        {"\"rope_scaling\":{\"type\":\"yarn\",\"factor\":NaN}", "rope_scaling.factor"},
        {"\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4,\"attention_factor\":0}", "rope_scaling.attention_factor"},
        {"\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4,\"attention_factor\":1e9}", "rope_scaling.attention_factor"},
        {"\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4,\"mscale\":1e300,\"mscale_all_dim\":1}", "rope_scaling.mscale"},
        {"\"rope_scaling\":{\"type\":\"yarn\",\"factor\":1e6,\"mscale\":1e3,\"mscale_all_dim\":1e-9}", "the rope factor on attention"},
        {"\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4,\"beta_fast\":1,\"beta_slow\":2}", "the second must be above the first"},
        {"\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4,\"beta_slow\":1e-30}", "the lower bound of rope scaling's turns"},
        {"\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4,\"original_max_position_embeddings\":0}", "rope_scaling.original_max"},
        {"\"original_max_position_embeddings\":-1,\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4}", "original_max"},
        {"\"rope_scaling\":{\"type\":\"llama3\",\"factor\":8,\"low_freq_factor\":1,\"high_freq_factor\":0.5}", "above the first"},
        {"\"rope_scaling\":{\"type\":\"llama3\",\"factor\":8,\"low_freq_factor\":0,\"high_freq_factor\":4}", "low_freq_factor"},
        {"\"rms_norm_eps\":1e-30", "rms_norm_eps"}, {"\"rms_norm_eps\":1", "rms_norm_eps"}, {"\"rms_norm_eps\":1e30", "rms_norm_eps"},
        {"\"sliding_window\":-1", "sliding_window"}, {"\"sliding_window\":4.5", "sliding_window"},
        {"\"attention_multiplier\":NaN", "attention_multiplier"},
    };
    char more[256];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(more, sizeof more, ",%s", bad[i][0]);
        refused("llama", more, bad[i][1]);
    }
    refused("olmoe", ",\"clip_qkv\":1e-30", "the bound on q, k and v");
    refused("olmoe", ",\"clip_qkv\":-8", "clip_qkv");
}
END_TEST

START_TEST(refusals) {
    refused("t5", "", "model_type \"t5\" is not supported: it needs an encoder; known are llama, mistral, qwen3, mixtral");
    refused("llama", ",\"hidden_act\":\"gelu\"", "hidden_act: \"gelu\" is not supported");
    refused("llama", ",\"mlp_bias\":true", "mlp_bias");
    refused("mixtral", ",\"num_key_value_heads\":2,\"attention_bias\":true", "attention_bias");
    refused("qwen3", ",\"num_key_value_heads\":4,\"layer_types\":[\"chunked_attention\"]", "layer_types[0]");
    refused("llama", ",\"quantization_config\":{\"quant_method\":\"fp8\"}", "quantization_config");
}
END_TEST

/* What Python's json reads is read, wherever it matters to nobody; of two members the last counts. */
START_TEST(odd_json) {
    good("llama", ",\"x\":1000000000000000019884624838656,\"y\":[NaN,{\"z\":-Infinity}],\"w\":1e400,\"v\":\"\\ud800\"");
    ck_assert_int_eq(good("llama", ",\"vocab_size\":101").hp.vocab, 101);
    refused("llama", ",\"vocab_size\":18446744073709551615", "config.json: vocab_size: is too large (must be an integer from 1 to ");
    refused("llama", ",\"rms_norm_eps\":Infinity", "config.json: rms_norm_eps: is too large");
    refused("llama", ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":1e400}", "config.json: rope_scaling.factor: is too large");
}
END_TEST

START_TEST(hostile_values) {
    const char *const more[] = {
        ",\"num_key_value_heads\":0", ",\"num_key_value_heads\":3", ",\"num_key_value_heads\":8", ",\"num_key_value_heads\":\"4\"",
        ",\"head_dim\":0", ",\"head_dim\":-1", ",\"head_dim\":2147483647", ",\"head_dim\":15", ",\"head_dim\":16.5",
        ",\"rms_norm_eps\":0", ",\"rms_norm_eps\":-1e-5", ",\"rms_norm_eps\":\"NaN\"", ",\"rms_norm_eps\":NaN", ",\"rms_norm_eps\":1e999",
        ",\"max_position_embeddings\":0", ",\"max_position_embeddings\":9223372036854775807", ",\"max_position_embeddings\":1e300",
        ",\"partial_rotary_factor\":0", ",\"partial_rotary_factor\":2", ",\"tie_word_embeddings\":1", ",\"attention_bias\":\"yes\"",
        ",\"layer_types\":7", ",\"vocab_size\":NaN", ",\"vocab_size\":Infinity",
    };
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) refused("llama", more[i], "");
    refused("mixtral", ",\"num_key_value_heads\":4,\"num_local_experts\":513", "the number of experts is 513");
    refused("mixtral", ",\"num_key_value_heads\":4,\"num_local_experts\":2,\"num_experts_per_tok\":3", "experts used is 3");
    refused("mixtral", ",\"num_key_value_heads\":4,\"num_experts_per_tok\":0", "experts used is 0");
    refused("mixtral", ",\"num_key_value_heads\":4,\"num_local_experts\":-1", "num_local_experts");
    refused("qwen3_moe", ",\"mlp_only_layers\":[-1]", "mlp_only_layers[0]");
    refused("qwen3_moe", ",\"decoder_sparse_step\":0", "decoder_sparse_step");

    const char *const whole[] = {"", "[]", "null", "{}", "{\"model_type\":7}", "{\"model_type\":\"llama\"}",
                                 "{\"model_type\":\"llama\",\"vocab_size\":1}"};
    read_config r = {.family = NULL};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        ck_assert_int_ne(sl__config_parse(whole[i], strlen(whole[i]), "config.json", &r.family, &r.hp, &r.declared, &r.notes, &r.e), SL_OK);
    const char *big = "{\"model_type\":\"llama\",\"vocab_size\":100,\"hidden_size\":64,\"num_hidden_layers\":2147483647,"
                      "\"num_attention_heads\":4,\"intermediate_size\":96}";
    ck_assert_int_ne(sl__config_parse(big, strlen(big), "config.json", &r.family, &r.hp, &r.declared, &r.notes, &r.e), SL_OK);
    ck_assert_msg(strstr(r.e.message, "at most 512"), "%s", r.e.message);
    char deep[4000];
    memset(deep, '[', sizeof deep);
    ck_assert_int_ne(sl__config_parse(deep, sizeof deep, "config.json", &r.family, &r.hp, &r.declared, &r.notes, &r.e), SL_OK);
    ck_assert_msg(strstr(r.e.message, "nests deeper"), "%s", r.e.message);
}
END_TEST

/* What layers have, as the classes of transformers 5.24 fill layer_types, no_rope_layers and mlp_layer_types; four layers. */
START_TEST(layers_differ) {
    static const struct {
        const char *type, *more;
        int window[4];
        bool unrotated[4], sparse[4];
    } cases[] = {
        {"smollm3", "", {0}, {false, false, false, true}, {false}},
        {"smollm3", ",\"no_rope_layers\":[0,1,1,0],\"use_sliding_window\":true,\"sliding_window\":9", {9, 0, 0, 9},
         {true, false, false, true}, {false}},
        {"smollm3", ",\"no_rope_layer_interval\":2,\"sliding_window\":9", {0}, {false, true, false, true}, {false}},
        {"ministral", ",\"num_key_value_heads\":2", {4096, 4096, 4096, 4096}, {false}, {false}},
        {"mistral", ",\"num_key_value_heads\":2,\"layer_types\":[\"full_attention\"]", {4096, 4096, 4096, 4096}, {false}, {false}},
        {"qwen2", ",\"num_key_value_heads\":2,\"use_sliding_window\":true,\"max_window_layers\":2", {0, 0, 4096, 4096}, {false}, {false}},
        {"qwen2_moe", ",\"num_key_value_heads\":2,\"use_sliding_window\":true,\"sliding_window\":64", {64, 0, 64, 0}, {false},
         {true, true, true, true}},
        {"exaone_moe", ",\"num_key_value_heads\":2", {4096, 4096, 4096, 0}, {false, false, false, true}, {false, true, true, true}},
        {"exaone_moe", ",\"num_key_value_heads\":2,\"sliding_window_pattern\":\"LG\",\"mlp_layer_types\":[\"sparse\",\"dense\",\"sparse\",\"dense\"]",
         {4096, 0, 4096, 0}, {false, true, false, true}, {true, false, true, false}},
        {"afmoe", ",\"global_attn_every_n_layers\":2,\"num_dense_layers\":2", {1024, 0, 1024, 0}, {false, true, false, true},
         {false, false, true, true}},
        {"cohere2_moe", ",\"layer_types\":[\"full_attention\",\"sliding_attention\",\"full_attention\",\"full_attention\"],"
                        "\"first_k_dense_replace\":1",
         {0, 4096, 0, 0}, {false, false, true, true}, {false, true, true, true}},
        /* Without a window: of AFMoE those rotate that would have it, of EXAONE all, of Cohere2-MoE the dense ones. */
        {"afmoe", ",\"sliding_window\":null", {INT32_MAX, INT32_MAX, INT32_MAX, 0}, {false, false, false, true}, {false, true, true, true}},
        {"afmoe", ",\"sliding_window\":null,\"layer_types\":[\"full_attention\",\"full_attention\",\"sliding_attention\",\"full_attention\"]",
         {0, 0, INT32_MAX, 0}, {true, true, false, true}, {false, true, true, true}},
        {"exaone_moe", ",\"num_key_value_heads\":2,\"sliding_window\":null,\"sliding_window_pattern\":0", {0}, {false}, {false, true, true, true}},
        {"cohere2_moe", ",\"sliding_window\":null,\"first_k_dense_replace\":1", {0}, {false, true, true, true}, {false, true, true, true}},
        {"cohere2_moe", ",\"first_k_dense_replace\":1,\"sliding_window_pattern\":2", {0, 4096, 0, 4096},
         {false, false, true, false}, {false, true, true, true}},
        {"cohere2_moe", ",\"first_k_dense_replace\":3,\"prefix_dense_sliding_window_pattern\":2", {4096, 0, 4096, 4096}, {false, true, false, false},
         {false, false, false, true}},
        {"gpt_oss", ",\"num_key_value_heads\":2", {128, 0, 128, 0}, {false}, {true, true, true, true}},
        {"gemma3_text", ",\"num_key_value_heads\":2,\"sliding_window_pattern\":2", {4096, 0, 4096, 0}, {false}, {false}},
        {"llama4_text", ",\"num_key_value_heads\":2", {8192, 8192, 8192, 0}, {false, false, false, true}, {true, true, true, true}},
        {"llama4_text", ",\"num_key_value_heads\":2,\"no_rope_layers\":[],\"no_rope_layer_interval\":2,"
                        "\"interleave_moe_layer_step\":2,\"attention_chunk_size\":8",
         {8, 0, 8, 0}, {false, true, false, true}, {false, true, false, true}},
        {"llama4_text", ",\"num_key_value_heads\":2,\"moe_layers\":[1],\"interleave_moe_layer_step\":2,\"attention_chunk_size\":null", {0},
         {false, false, false, true}, {false, true, false, false}},
        {"llama4_text", ",\"num_key_value_heads\":2,\"moe_layers\":[],\"interleave_moe_layer_step\":0,\"num_local_experts\":0,"
                        "\"no_rope_layers\":[1,1,1,1],"
         "\"layer_types\":[\"full_attention\",\"chunked_attention\",\"full_attention\",\"full_attention\"]", {0, 8192, 0, 0}, {false}, {false}},
        {"ernie4_5_moe", ",\"num_key_value_heads\":2,\"moe_layer_end_index\":2", {0}, {false}, {false, true, true, false}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        read_config r = good(cases[i].type, cases[i].more);
        for (int l = 0; l < 4; l++)
            ck_assert_msg(r.hp.window[l] == cases[i].window[l] && r.hp.unrotated[l] == cases[i].unrotated[l] && r.hp.sparse[l] == cases[i].sparse[l],
                          "case %zu (%s), layer %d: window %d, unrotated %d, sparse %d", i, cases[i].type, l, r.hp.window[l],
                          r.hp.unrotated[l], r.hp.sparse[l]);
    }
    refused("smollm3", ",\"no_rope_layers\":[0,1]", "no_rope_layers");
    refused("smollm3", ",\"no_rope_layers\":[0,1,2,1]", "no_rope_layers");
    refused("qwen3", ",\"use_sliding_window\":true,\"layer_types\":[\"chunked_attention\"]", "\"chunked_attention\" is not supported");
    refused("exaone_moe", ",\"sliding_window_pattern\":0", "sliding_window_pattern");
    refused("afmoe", ",\"sliding_window\":0", "sliding_window: is 0");
    refused("deepseek_v3", "", "it needs latent attention");
    ck_assert(good("afmoe", ",\"sliding_window\":1000000000000").hp.window[0] == INT32_MAX); /* never reached, but the layer rotates */
}
END_TEST

/* Heads by layer, as Gemma4TextConfig of transformers 5.24 fills per_layer_config; four layers, of which the last one always sees
 * everything. */
START_TEST(heads_differ) {
#define FULL_LAST \
    ",\"layer_types\":[\"sliding_attention\",\"full_attention\",\"sliding_attention\",\"sliding_attention\"]," \
    "\"hidden_size_per_layer_input\":0"
    static const struct {
        const char *more;
        int window[4], kv_heads[4], head_dim[4];
        bool keyed[4];
    } cases[] = {
        {"", {512, 512, 512, 0}, {4, 4, 4, 4}, {256, 256, 256, 512}, {false}},
        {FULL_LAST ",\"head_dim\":24,\"global_head_dim\":40,\"num_global_key_value_heads\":1", {512, 0, 512, 0}, {4, 4, 4, 4},
         {24, 40, 24, 40}, {false}},
        {FULL_LAST ",\"head_dim\":24,\"num_key_value_heads\":2,\"num_global_key_value_heads\":1,\"attention_k_eq_v\":true", {512, 0, 512, 0},
         {2, 1, 2, 1}, {24, 512, 24, 512}, {false, true, false, true}},
        {FULL_LAST ",\"attention_k_eq_v\":true,\"global_head_dim\":40,\"per_layer_config\":{\"1\":{\"head_dim\":64,\"num_key_value_heads\":2}}",
         {512, 0, 512, 0}, {4, 2, 4, 4}, {256, 64, 256, 256}, {false, true, false, true}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        read_config r = good("gemma4_text", cases[i].more);
        ck_assert(r.hp.value_norm && r.hp.attention_scale == 1 && r.hp.embedding_scale == 8 && r.hp.experts == 0 && r.hp.ff == 96);
        for (int l = 0; l < 4; l++)
            ck_assert_msg(r.hp.window[l] == cases[i].window[l] && r.hp.heads[l] == 4 && r.hp.kv_heads[l] == cases[i].kv_heads[l] &&
                              r.hp.head_dim[l] == cases[i].head_dim[l] && r.hp.keyed_values[l] == cases[i].keyed[l],
                          "case %zu, layer %d: window %d, %d KV heads of %d, keyed %d", i, l, r.hp.window[l], r.hp.kv_heads[l], r.hp.head_dim[l],
                          r.hp.keyed_values[l]);
        ck_assert(r.hp.rope_scaling == SL_ROPE_PROPORTIONAL && r.hp.rope_dims == r.hp.head_dim[1 + 2 * (i == 0)] && r.hp.rope_theta == 1e6f);
        ck_assert(r.hp.rope_turning == r.hp.rope_dims / 8 && r.hp.window_rope_theta == 1e4f && r.hp.window_rope_dims == r.hp.head_dim[0]);
    }
    read_config r = good("gemma4_text", ",\"enable_moe_block\":true,\"num_experts\":8,\"top_k_experts\":2,\"moe_intermediate_size\":32");
    ck_assert(r.hp.experts == 8 && r.hp.experts_used == 2 && r.hp.expert_ff == 32 && r.hp.dense_beside && r.hp.ff == 96 && r.hp.sparse[0]);
    r = good("gemma4_text", ",\"num_experts\":8,\"top_k_experts\":2,\"moe_intermediate_size\":32,\"use_bidirectional_attention\":\"vision\"");
    ck_assert(r.hp.experts == 0 && !r.hp.dense_beside && !r.hp.sparse[0]);
    refused("gemma4_text", ",\"per_layer_config\":{\"3\":{\"sliding_window\":9}}", "per_layer_config.3: \"sliding_window\" is not supported");
    refused("gemma4_text", ",\"per_layer_config\":{\"3\":{\"num_key_value_heads\":3}}", "3 key-value heads");
    ck_assert(good("gemma4_text", "").hp.layer_input == 256 && good("gemma4_text", ",\"hidden_size_per_layer_input\":null").hp.layer_input == 0);
    ck_assert_int_eq(good("gemma4_unified_text", "").hp.layer_input, 0);
    r = good("gemma4_text", FULL_LAST ",\"num_kv_shared_layers\":2,\"use_double_wide_mlp\":true,\"attention_k_eq_v\":true");
    for (int l = 0; l < 4; l++)
        ck_assert(r.hp.keys_of[l] == (l < 2 ? 0 : l - 1) && sl_ff(&r.hp, l) == (l < 2 ? 96 : 192) && r.hp.keyed_values[l] == (l == 1));
    refused("gemma4_text", ",\"num_kv_shared_layers\":2", "num_kv_shared_layers: is 2: no layer of the kind of layer 3");
    refused("gemma4_text", FULL_LAST ",\"num_kv_shared_layers\":4", "num_kv_shared_layers: is 4, of 4 layers");
    refused("gemma4_text", FULL_LAST ",\"num_kv_shared_layers\":2,\"per_layer_config\":{\"3\":{\"head_dim\":1024}}",
            "layer 3 cannot attend to the keys of layer 1");
    refused("gemma4_text", ",\"hidden_size_per_layer_input\":262145", "the values that layers have of a token");
    refused("gemma3_text", ",\"num_kv_shared_layers\":2", "num_kv_shared_layers: 2 is not supported");
    refused("gemma4_text", ",\"use_bidirectional_attention\":\"all\"", "use_bidirectional_attention");
    refused("gemma4_text", ",\"enable_moe_block\":true", "experts");
}
END_TEST

/* transformers 5.24, Gemma4TextRotaryEmbedding.compute_default_rope_parameters: plain rope reads rope_theta and the head's size alone;
 * partial_rotary_factor is for the kinds of rope that ROPE_INIT_FUNCTIONS knows. */
START_TEST(plain_rope_of_gemma_4_turns_whole_heads) {
    read_config r = good("gemma4_text", FULL_LAST ",\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"default\",\"rope_theta\":5e4,"
                                        "\"partial_rotary_factor\":0.25},\"sliding_attention\":{\"rope_type\":\"default\",\"rope_theta\":700,"
                                        "\"partial_rotary_factor\":0.5}}");
    ck_assert(r.hp.rope_scaling == SL_ROPE_PLAIN && r.hp.rope_dims == 512 && r.hp.rope_theta == 5e4f);
    ck_assert(r.hp.window_rope_dims == 256 && r.hp.window_rope_theta == 700);
    r = good("gemma4_text", FULL_LAST ",\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"proportional\",\"partial_rotary_factor\":0.5}}");
    ck_assert(r.hp.rope_scaling == SL_ROPE_PROPORTIONAL && r.hp.rope_dims == 512 && r.hp.rope_turning == 128);
    refused("gemma4_text",
            FULL_LAST ",\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"linear\",\"factor\":2,"
                      "\"partial_rotary_factor\":0.5}}",
            "partial_rotary_factor: 0.5 is not supported");
    refused("gemma4_text", FULL_LAST ",\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"dynamic\",\"partial_rotary_factor\":0.5}}",
            "partial_rotary_factor: 0.5 is not supported");
    refused("gemma3_text", ",\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"default\",\"partial_rotary_factor\":0.5}}",
            "partial_rotary_factor: 0.5 is not supported");
}
END_TEST

/* transformers 5.24, Gemma3RotaryEmbedding: each kind of layer has its own scaling. */
START_TEST(rope_of_windows) {
#define BY_KIND(sliding) ",\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"linear\",\"factor\":8},\"sliding_attention\":{" sliding "}}"
    read_config r = good("gemma3_text", BY_KIND("\"rope_type\":\"linear\",\"factor\":4.0,\"rope_theta\":700"));
    ck_assert(r.hp.rope_scaling == SL_ROPE_LINEAR && r.hp.rope_factor == 8 && r.hp.window_rope_factor == 4 && r.hp.window_rope_theta == 700);
    r = good("gemma3_text", BY_KIND("\"rope_type\":\"default\",\"factor\":4.0"));
    ck_assert(r.hp.window_rope_factor == 1 && r.hp.window_rope_theta == 10000);
    r = good("gemma4_text", BY_KIND("\"rope_type\":\"dynamic\",\"factor\":4.0")); /* within the context it does nothing */
    ck_assert(r.hp.window_rope_factor == 1);
    refused("gemma3_text", BY_KIND("\"rope_type\":\"linear\""), "sliding_attention.factor: is missing");
    refused("gemma3_text", BY_KIND("\"rope_type\":\"linear\",\"factor\":0"), "sliding_attention.factor: must be a number from 0.001");
    refused("gemma3_text", BY_KIND("\"rope_type\":\"yarn\",\"factor\":4"),
            "sliding_attention: rope type \"yarn\" is not supported in layers with a window");
}
END_TEST

/* Kinds of rope scaling; a head of 16, eight pairs. */
START_TEST(rope_kinds) {
    read_config r = good("llama", ",\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":4.0}");
    ck_assert(r.hp.rope_scaling == SL_ROPE_PLAIN && r.hp.rope_theta == 10000 && r.hp.rope_factor == 1); /* within the context it does nothing */
    /* GptOssConfig's own scaling, where the file says nothing of it. */
    static const char *const silent[] = {"", ",\"rope_theta\":1e5", ",\"rope_scaling\":null", ",\"rope_scaling\":{}", ",\"rope_parameters\":null"};
    for (size_t i = 0; i < sizeof silent / sizeof *silent; i++) {
        char more[96];
        snprintf(more, sizeof more, ",\"num_key_value_heads\":2%s", silent[i]);
        r = good("gpt_oss", more);
        ck_assert_msg(r.hp.rope_scaling == SL_ROPE_YARN && r.hp.rope_factor == 32 && r.hp.rope_original == 4096 && r.hp.rope_low == 1 &&
                          r.hp.rope_high == 32 && !r.hp.rope_truncate && r.hp.rope_theta == (i == 1 ? 1e5f : 1.5e5f), "%s", more);
        ck_assert_float_eq_tol(r.hp.rope_attention, 1.3465735902799727f, 1e-6f);
    }
    r = good("gpt_oss", ",\"num_key_value_heads\":2,\"rope_parameters\":{}");
    ck_assert(r.hp.rope_scaling == SL_ROPE_PLAIN && r.hp.rope_theta == 1.5e5f);
    r = good("hunyuan_v1_moe", ",\"rope_scaling\":{\"type\":\"dynamic\",\"alpha\":1000.0,\"factor\":1.0}");
    ck_assert_float_eq_tol(r.hp.rope_theta / 26826957.95f, 1, 1e-5f); /* 10000 * 1000^(16 / 14) */
    r = good("llama", ",\"rope_parameters\":{\"rope_type\":\"proportional\",\"partial_rotary_factor\":0.5}");
    ck_assert(r.hp.rope_scaling == SL_ROPE_PROPORTIONAL && r.hp.rope_turning == 4 && r.hp.rope_dims == 16);
    r = good("llama", ",\"max_position_embeddings\":256,\"original_max_position_embeddings\":128,\"rope_scaling\":{\"type\":\"su\","
                      "\"short_factor\":[1,1.5,2,2.5,3,3.5,4,4.5],\"long_factor\":[2,2,2,2,2,2,2,9]}");
    ck_assert(r.hp.rope_scaling == SL_ROPE_DIVIDED && r.hp.rope_original == 128 && r.hp.rope_divisor[7] == 4.5f);
    ck_assert(r.hp.rope_long && r.hp.rope_long_divisor[7] == 9 && r.hp.rope_long_attention == r.hp.rope_attention);
    refused("llama", ",\"rope_scaling\":{\"type\":\"longrope\",\"short_factor\":[1,1,1,1,1,1,1,1],\"long_factor\":[1]}",
            "long_factor: has 1 numbers");
    r = good("phimoe", ",\"num_key_value_heads\":2,\"max_position_embeddings\":256,\"original_max_position_embeddings\":128,"
                       "\"rope_scaling\":{\"type\":\"longrope\","
                       "\"short_factor\":[1,1,1,1,1,1,1,1],\"long_factor\":[2,2,2,2,2,2,2,2],\"short_mscale\":1.25,\"long_mscale\":1.5}");
    ck_assert(r.hp.rope_attention == 1.25f && r.hp.rope_long_attention == 1.5f);
    r = good("llama", ",\"max_position_embeddings\":256,\"original_max_position_embeddings\":128,\"rope_scaling\":{\"type\":\"su\","
                      "\"short_factor\":[1,1.5,2,2.5,3,3.5,4,4.5]}");
    ck_assert(!r.hp.rope_long);
    ck_assert_float_eq_tol(r.hp.rope_attention, 1.0690449676f, 1e-6f); /* the root of 1 + ln 2 / ln 128 */
    refused("llama", ",\"rope_scaling\":{\"type\":\"longrope\",\"short_factor\":[1,2]}", "has 2 numbers, not one for each of 8 pairs");
    refused("llama", ",\"rope_scaling\":{\"type\":\"longrope\",\"short_factor\":[1,1,1,1,1,1,1,0]}", "short_factor");
    refused("llama", ",\"rope_parameters\":{\"rope_type\":\"proportional\",\"partial_rotary_factor\":0}", "the pairs that turn");
    r = good("llama", ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":1.0}");
    ck_assert(r.hp.rope_scaling == SL_ROPE_PLAIN && r.hp.rope_factor == 1);
    /* Half of a head of 16 values is rotated, which the class says inside rope_parameters: four pairs. */
    r = good("glm4_moe", KV ",\"rope_parameters\":{\"partial_rotary_factor\":0.5,\"rope_type\":\"longrope\",\"short_factor\":[1,2,3,4],\"long_factor\":[2,4,6,8]}");
    ck_assert(r.hp.rope_dims == 8 && r.hp.rope_divisor[3] == 4 && r.hp.rope_long_divisor[3] == 8);
    r = good("qwen3_next", KV ",\"head_dim\":16,\"rope_parameters\":{\"partial_rotary_factor\":0.75,\"rope_type\":\"longrope\",\"short_factor\":[1,2,3,4,5,6]}");
    ck_assert(r.hp.rope_dims == 12 && r.hp.rope_divisor[5] == 6);
}
END_TEST

int main(void) {
    Suite *s = suite_create("model/config");
    TCase *c = tcase_create("config");
    tcase_add_test(c, defaults);
    tcase_add_test(c, defaults_of_sigmoid_routers);
    tcase_add_test(c, dense_layers);
    tcase_add_test(c, rope);
    tcase_add_test(c, windows);
    tcase_add_test(c, layers_differ);
    tcase_add_test(c, heads_differ);
    tcase_add_test(c, plain_rope_of_gemma_4_turns_whole_heads);
    tcase_add_test(c, rope_of_windows);
    tcase_add_test(c, rope_kinds);
    tcase_add_test(c, arithmetic);
    tcase_add_test(c, ranges);
    tcase_add_test(c, refusals);
    tcase_add_test(c, odd_json);
    tcase_add_test(c, hostile_values);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}

/* config.json: both spellings, the class's defaults, and what is refused. Defaults are those of transformers 4.57. */
#include "model/internal.h"

#include <stdlib.h>
#include "writer.h"

typedef struct read {
    const sl_family *family;
    sl_hparams hp;
    sl__declared declared;
    sl_error e;
    sl_status status;
} read_config;

#define SIZES "\"vocab_size\":100,\"hidden_size\":64,\"num_hidden_layers\":4,\"num_attention_heads\":4,\"intermediate_size\":96"

/* SIZES, a model_type, and more members (each with a comma before it). */
static read_config parse(const char *type, const char *more) {
    char text[4096];
    read_config r = {.family = NULL};
    int n = snprintf(text, sizeof text, "{\"model_type\":\"%s\"," SIZES "%s}", type, more);
    r.status = sl__config_parse(text, (size_t)n, "config.json", &r.family, &r.hp, &r.declared, &r.e);
    return r;
}

static read_config good(const char *type, const char *more) {
    read_config r = parse(type, more);
    ck_assert_msg(r.status == SL_OK, "%s", r.e.message);
    return r;
}

static void refused(const char *type, const char *more, const char *part) {
    read_config r = parse(type, more);
    ck_assert_msg(r.status != SL_OK, "accepted: %s", more);
    ck_assert_msg(strstr(r.e.message, part), "\"%s\" lacks \"%s\"", r.e.message, part);
    ck_assert_msg(strncmp(r.e.message, "config.json", 11) == 0, "%s", r.e.message);
}

START_TEST(defaults) {
    read_config r = good("llama", "");
    ck_assert(r.hp.kv_heads == 4 && r.hp.head_dim == 16 && r.hp.norm_eps == 1e-6f && r.hp.rope_theta == 10000 && r.hp.context == 2048);
    ck_assert(r.declared.qkv_bias == 0 && r.declared.o_bias == 0 && r.declared.tied == -1 && r.hp.ff == 96 && !r.hp.sparse[0]);
    r = good("qwen3", ",\"num_key_value_heads\":null");
    ck_assert(r.hp.kv_heads == 4 && r.hp.head_dim == 128 && r.hp.qk_norm == SL_QK_NORM_HEAD);
    r = good("mixtral", ",\"num_key_value_heads\":2");
    ck_assert(r.hp.experts == 8 && r.hp.experts_used == 2 && r.hp.expert_ff == 96 && r.hp.ff == 0 && r.hp.rope_theta == 1e6f);
    ck_assert(r.hp.norm_eps == 1e-5f && r.hp.router_norm == SL_ROUTER_SUM && r.hp.sparse[3]);
    r = good("olmoe", "");
    ck_assert(r.hp.experts == 64 && r.hp.experts_used == 8 && r.hp.qk_norm == SL_QK_NORM_FULL && r.hp.router_norm == SL_ROUTER_KEEP);
    r = good("qwen2_moe", ",\"num_key_value_heads\":null");
    ck_assert(r.declared.qkv_bias == 1 && r.declared.o_bias == 0 && r.hp.experts == 60 && r.hp.experts_used == 4);
    ck_assert(r.hp.expert_ff == 1408 && r.hp.shared_ff == 5632 && r.hp.shared_gate == SL_SHARED_SIGMOID);
    r = good("qwen3_moe", ",\"norm_topk_prob\":true");
    ck_assert(r.hp.experts == 128 && r.hp.router_norm == SL_ROUTER_SUM && r.hp.kv_heads == 4);
    ck_assert(good("qwen3_moe", "").hp.router_norm == SL_ROUTER_KEEP);
    ck_assert(good("qwen3_moe", ",\"num_local_experts\":16").hp.experts == 16);
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
    r = good("qwen3", ",\"num_key_value_heads\":4,\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4.0,\"original_max_position_embeddings\":32768}");
    ck_assert(r.hp.rope_scaling == SL_ROPE_YARN && r.hp.rope_low == 1 && r.hp.rope_high == 32 && r.hp.rope_truncate);
    ck_assert_float_eq_tol(r.hp.rope_attention, 1.1386294f, 1e-6f); /* 0.1 ln 4 + 1 */
    r = good("llama", ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}");
    ck_assert(r.hp.rope_scaling == SL_ROPE_LINEAR && r.hp.rope_factor == 2);
    ck_assert(good("llama", ",\"rope_scaling\":null").hp.rope_scaling == SL_ROPE_PLAIN);
    refused("llama", ",\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2}", "\"dynamic\" is not supported");
    refused("llama", ",\"rope_scaling\":{\"type\":\"linear\"}", "rope_scaling.factor");
    refused("llama", ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":-1}", "rope_scaling.factor");
    refused("llama", ",\"rope_scaling\":7", "rope_scaling");
    refused("llama", ",\"rope_theta\":0", "rope_theta");
    refused("llama", ",\"rope_parameters\":{\"full_attention\":{}}", "by kind of layer");
}
END_TEST

START_TEST(refusals) {
    refused("t5", "", "model_type \"t5\" is not supported; known are llama, mistral, qwen3, mixtral");
    refused("llama", ",\"hidden_act\":\"gelu\"", "hidden_act: \"gelu\" is not supported");
    refused("llama", ",\"mlp_bias\":true", "mlp_bias");
    refused("mixtral", ",\"num_key_value_heads\":2,\"attention_bias\":true", "attention_bias");
    refused("mixtral", ",\"num_key_value_heads\":2,\"sliding_window\":4096", "sliding_window: 4096");
    refused("mistral", ",\"num_key_value_heads\":2", "sliding_window: 4096");
    good("mistral", ",\"num_key_value_heads\":2,\"sliding_window\":null");
    refused("qwen3", ",\"num_key_value_heads\":4,\"use_sliding_window\":true,\"sliding_window\":128", "sliding_window: 128");
    good("qwen3", ",\"num_key_value_heads\":4,\"use_sliding_window\":false,\"sliding_window\":128");
    refused("qwen3", ",\"num_key_value_heads\":4,\"layer_types\":[\"sliding_attention\"]", "layer_types[0]");
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

    const char *const whole[] = {"", "[]", "null", "{}", "{\"model_type\":7}", "{\"model_type\":\"llama\"}", "{\"model_type\":\"llama\",\"vocab_size\":1}"};
    read_config r;
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        ck_assert_int_ne(sl__config_parse(whole[i], strlen(whole[i]), "config.json", &r.family, &r.hp, &r.declared, &r.e), SL_OK);
    const char *big = "{\"model_type\":\"llama\",\"vocab_size\":100,\"hidden_size\":64,\"num_hidden_layers\":2147483647,"
                      "\"num_attention_heads\":4,\"intermediate_size\":96}";
    ck_assert_int_ne(sl__config_parse(big, strlen(big), "config.json", &r.family, &r.hp, &r.declared, &r.e), SL_OK);
    ck_assert_msg(strstr(r.e.message, "at most 512"), "%s", r.e.message);
    char deep[4000];
    memset(deep, '[', sizeof deep);
    ck_assert_int_ne(sl__config_parse(deep, sizeof deep, "config.json", &r.family, &r.hp, &r.declared, &r.e), SL_OK);
    ck_assert_msg(strstr(r.e.message, "nests deeper"), "%s", r.e.message);
}
END_TEST

int main(void) {
    Suite *s = suite_create("model/config");
    TCase *c = tcase_create("config");
    tcase_add_test(c, defaults);
    tcase_add_test(c, dense_layers);
    tcase_add_test(c, rope);
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

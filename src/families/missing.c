/* Families that people have and that have no row, and what of their structure is missing: for messages. */
#include "families/family.h"

#include <stddef.h>
#include <string.h>

static const struct {
    const char *hf_type, *gguf_arch; /* NULL: none that is known */
    const char *what;
} missing[] = {
    {"gemma2", "gemma2", "caps on scores and logits"},
    {"deepseek_v2", "deepseek2", "latent attention"},
    {"deepseek_v3", NULL, "latent attention"},
    {"deepseek_v32", "deepseek32", "latent attention"},
    {"deepseek_v4", "deepseek4", "latent attention and hyper-connections"},
    {"kimi_k2", NULL, "latent attention"},
    {"kimi_linear", "kimi-linear", "latent attention and delta rule layers"},
    {"glm4_moe_lite", NULL, "latent attention"},
    {"glm_moe_dsa", "glm-dsa", "latent attention"},
    {"bailing_moe", "bailingmoe", "another router and another order of q's and k's rows than Ling 2.0 has"},
    {"bailing_hybrid", "bailingmoe3", "latent attention and delta rule layers"},
    {"granitemoehybrid", "granitehybrid", "Mamba-2 layers"},
    {"nemotron_h", "nemotron_h", "Mamba-2 layers"},
    {NULL, "nemotron_h_moe", "Mamba-2 layers"},
    {"jamba", "jamba", "Mamba layers"},
    {"lfm2", "lfm2", "short convolutions"},
    {"lfm2_moe", "lfm2moe", "short convolutions"},
    {"mimo_v2_flash", "mimo2", "attention sinks, and heads that differ by layer"},
    {NULL, "gptoss", "the tensors of gpt-oss as Ollama lays them out; a file of llama.cpp's, where it is called gpt-oss, is read"},
    {"step3p5", "step35", "heads and rope that differ by layer"},
    {"laguna", "laguna", "heads and rope that differ by layer"},
    {"dbrx", "dbrx", "its flat experts"},
    {"t5", "t5", "an encoder"},
    {"switch_transformers", NULL, "an encoder"},
};

const char *sl_family_missing(const char *name) {
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
        if (missing[i].hf_type && strcmp(missing[i].hf_type, name) == 0) return missing[i].what;
        if (missing[i].gguf_arch && strcmp(missing[i].gguf_arch, name) == 0) return missing[i].what;
    }
    return NULL;
}

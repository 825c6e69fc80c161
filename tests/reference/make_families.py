#!/usr/bin/env python3
"""Makes the tiny checkpoints of the families that need transformers 5 (requirements-families.txt), and what it computes from them.

    make_families.py [--converter DIR] [NAME …]    all, or these only (list.json keeps the others)

DIR has a peer's convert_hf_to_gguf.py with its gguf-py beside it (llama.cpp's, or a fork's): models marked `gguf` are written as
GGUF by it. The vocabulary is said to be GPT-2's, since it knows tokenizers by hash. Without --converter, GGUF files stay as they are.
"""
import argparse
import itertools
import json
import shutil
import subprocess
import sys

import numpy as np
import safetensors.torch
import torch
import transformers

import make_quants as quants
import reference as ref

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
GLM = dict(cls="Glm4Moe", family="glm4_moe")
DOTS = dict(cls="Dots1", family="dots1")
MINIMAX = dict(cls="MiniMaxM2", family="minimax_m2")
SOLAR = dict(cls="SolarOpen", family="solar_open")

EXAONE = dict(cls="ExaoneMoe", family="exaone_moe")
AFMOE = dict(cls="Afmoe", family="afmoe")
COHERE = dict(cls="Cohere2Moe", family="cohere2_moe")
ERNIE = dict(cls="Ernie4_5_Moe", family="ernie4_5_moe")
GRANITE = dict(cls="GraniteMoe", family="granitemoe")
HUNYUAN = dict(cls="HunYuanMoEV1", family="hunyuan_v1_moe")
PHI = dict(cls="Phimoe", family="phimoe", architecture="PhiMoEForCausalLM")
GEMMA3 = dict(cls="Gemma3", family="gemma3", less_one=True)
GEMMA4 = dict(cls="Gemma4", family="gemma4")
OSS = dict(cls="GptOss", family="gpt_oss")
LING = dict(cls="Glm4Moe", family="bailing_moe_v2", ling=True)
NEXT = dict(cls="Qwen3Next", family="qwen3_next")
Q35MOE = dict(cls="Qwen3_5Moe", family="qwen3_5_moe")
Q35 = dict(cls="Qwen3_5", family="qwen3_5")
SLIDING, FULL = "sliding_attention", "full_attention"
LLAMA4 = dict(cls="Llama4", family="llama4", type="BF16")
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
DENSE = dict(vocab_size=264, hidden_size=32, num_attention_heads=4, num_key_value_heads=2, intermediate_size=40)

# The row that reads a family's GGUF files, where that is another one.
GGUF_FAMILY = {"solar_open": "glm4_moe", "granitemoeshared": "granitemoe"}

# seed: of weights and prompts; the first one from there on is taken whose choices are clear, which for these rows is the number itself,
# so that where a row stands changes nothing. A new row takes a number above all others, at a distance of a hundred.
# rope: rope_parameters; config: the class's other keys. old: the file is given the spelling of released models, with the base and
# the rotated part at the top.
MODELS = {
    "glm4moe-air": dict(seed=10301, **GLM, type="F32", gguf=True, rope=dict(rope_theta=1e6, partial_rotary_factor=0.5), old=True, config=dict(
        vocab_size=288, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
        intermediate_size=40, moe_intermediate_size=16, n_routed_experts=8, num_experts_per_tok=2, n_shared_experts=1,
        first_k_dense_replace=1, attention_bias=True)),
    "glm4moe-groups": dict(seed=10401, **GLM, type="BF16", gguf=True, rope=dict(rope_theta=1e4, partial_rotary_factor=0.5), config=dict(
        vocab_size=264, hidden_size=48, num_hidden_layers=4, num_attention_heads=3, num_key_value_heads=3, head_dim=8,
        intermediate_size=56, moe_intermediate_size=8, n_routed_experts=16, num_experts_per_tok=3, n_shared_experts=2,
        first_k_dense_replace=2, use_qk_norm=True, n_group=4, topk_group=2, routed_scaling_factor=2.5, tie_word_embeddings=True)),
    "glm4moe-keep": dict(seed=10501, **GLM, type="F32", rope=dict(partial_rotary_factor=0.25, rope_theta=1e5, **YARN), config=dict(
        vocab_size=264, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=32,
        intermediate_size=24, moe_intermediate_size=16, n_routed_experts=6, num_experts_per_tok=6, n_shared_experts=1,
        first_k_dense_replace=0, norm_topk_prob=False, use_qk_norm=True, attention_bias=True, max_position_embeddings=128)),
    "dots1-mha": dict(seed=10101, **DOTS, type="BF16", gguf=True, rope=dict(rope_theta=1e7), config=dict(
        vocab_size=288, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=4, head_dim=16,
        intermediate_size=40, moe_intermediate_size=16, n_routed_experts=8, num_experts_per_tok=3, n_shared_experts=2,
        first_k_dense_replace=1, norm_topk_prob=True, routed_scaling_factor=2.5)),
    "dots1-groups": dict(seed=10001, **DOTS, type="F32", rope=dict(rope_theta=1e4), config=dict(
        vocab_size=264, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=1, head_dim=8,
        intermediate_size=24, moe_intermediate_size=16, n_routed_experts=12, num_experts_per_tok=2, n_shared_experts=1,
        first_k_dense_replace=0, norm_topk_prob=False, n_group=3, topk_group=1, routed_scaling_factor=0.75, tie_word_embeddings=True)),
    "dots1-top1": dict(seed=10201, **DOTS, type="F32", gguf=True, rope=dict(rope_theta=1e6), old=True, config=dict(
        vocab_size=264, hidden_size=32, num_hidden_layers=4, num_attention_heads=2, num_key_value_heads=2, head_dim=16,
        intermediate_size=24, moe_intermediate_size=8, n_routed_experts=8, num_experts_per_tok=1, n_shared_experts=1,
        first_k_dense_replace=3, norm_topk_prob=True, attention_bias=True)),
    "minimaxm2-half": dict(seed=10601, **MINIMAX, type="F32", gguf=True, rope=dict(rope_theta=5e6), old=True, config=dict(
        vocab_size=288, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
        intermediate_size=16, num_local_experts=8, num_experts_per_tok=2, rotary_dim=8)),
    "minimaxm2-whole": dict(seed=10801, **MINIMAX, type="BF16", rope=dict(rope_theta=1e4), config=dict(
        vocab_size=264, hidden_size=48, num_hidden_layers=3, num_attention_heads=3, num_key_value_heads=1, head_dim=16,
        intermediate_size=8, num_local_experts=16, num_experts_per_tok=5)),
    "minimaxm2-tied": dict(seed=10701, **MINIMAX, type="F32", rope=dict(rope_theta=1e4, partial_rotary_factor=0.25), config=dict(
        vocab_size=264, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2, head_dim=32,
        intermediate_size=16, num_local_experts=4, num_experts_per_tok=1, tie_word_embeddings=True)),
    "solar-plain": dict(seed=11101, **SOLAR, type="F32", gguf=True, rope=dict(rope_theta=1e6, partial_rotary_factor=1.0), old=True, config=dict(
        vocab_size=288, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
        moe_intermediate_size=16, n_routed_experts=8, num_experts_per_tok=2, n_shared_experts=1)),
    "solar-groups": dict(seed=11001, **SOLAR, type="BF16", rope=dict(rope_theta=1e4), config=dict(
        vocab_size=264, hidden_size=48, num_hidden_layers=3, num_attention_heads=3, num_key_value_heads=1, head_dim=16,
        moe_intermediate_size=8, n_routed_experts=8, num_experts_per_tok=4, n_shared_experts=3, n_group=2, topk_group=2,
        routed_scaling_factor=1.5, tie_word_embeddings=True)),
    "solar-bias": dict(seed=10902, **SOLAR, type="F32", rope=dict(rope_theta=1e4, **YARN), config=dict(
        vocab_size=264, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=16,
        moe_intermediate_size=8, n_routed_experts=10, num_experts_per_tok=3, n_shared_experts=1, n_group=5, topk_group=2,
        norm_topk_prob=False, attention_bias=True, max_position_embeddings=128)),
    "smollm3-nope": dict(seed=11201, cls="SmolLM3", family="smollm3", type="F32", gguf=True, rope=dict(rope_theta=2e6), old=True, config=dict(
        **DENSE, num_hidden_layers=5)),
    "smollm3-window": dict(seed=11301, cls="SmolLM3", family="smollm3", type="BF16", rope=dict(rope_theta=1e4), config=dict(
        **DENSE, num_hidden_layers=4, no_rope_layers=[0, 1, 1, 0], use_sliding_window=True, sliding_window=9, attention_bias=True,
        tie_word_embeddings=False)),
    "qwen2-gqa": dict(seed=11401, cls="Qwen2", family="qwen2", type="BF16", gguf=True, rope=dict(rope_theta=1e6), old=True, config=dict(
        **DENSE, num_hidden_layers=3, tie_word_embeddings=True)),
    "qwen2-window": dict(seed=11501, cls="Qwen2", family="qwen2", type="F32", rope=dict(rope_theta=1e4), config=dict(
        **DENSE, num_hidden_layers=3, use_sliding_window=True, sliding_window=33, max_window_layers=1)),
    "mistral-window": dict(seed=11601, cls="Mistral", family="mistral", type="F32", rope=dict(rope_theta=1e4), old=True, config=dict(
        **DENSE, num_hidden_layers=3, head_dim=16, sliding_window=8)),
    "ministral-layers": dict(seed=11701, cls="Ministral", family="ministral", type="BF16", rope=dict(rope_theta=1e6), config=dict(
        **DENSE, num_hidden_layers=4, head_dim=8, sliding_window=32,
        layer_types=["sliding_attention", "full_attention", "sliding_attention", "full_attention"])),
    "llama-dynamic": dict(seed=11801, cls="Llama", family="llama", type="F32", rope=dict(rope_theta=1e4, rope_type="dynamic", factor=4.0), config=dict(
        **DENSE, num_hidden_layers=2)),
    "llama-longrope": dict(seed=11901, cls="Llama", family="llama", type="F32", rope=dict(
        rope_theta=1e4, rope_type="longrope", factor=2.0, original_max_position_embeddings=128,
        short_factor=[1.0, 1.25, 1.5, 3.0], long_factor=[2.0, 4.0, 8.0, 16.0]), config=dict(**DENSE, num_hidden_layers=2)),
    "llama-proportional": dict(seed=12001, cls="Llama", family="llama", type="F32", rope=dict(
        rope_theta=1e3, rope_type="proportional", partial_rotary_factor=0.5), config=dict(**DENSE, num_hidden_layers=2)),
    "granitemoe-plain": dict(seed=12101, **GRANITE, type="F32", gguf=True, rope=dict(rope_theta=1e4), old=True, config=dict(
        vocab_size=288, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, intermediate_size=16,
        num_local_experts=8, num_experts_per_tok=3, embedding_multiplier=12.0, residual_multiplier=0.22, attention_multiplier=0.25,
        logits_scaling=6.0, tie_word_embeddings=True)),
    "granitemoe-ones": dict(seed=12201, **GRANITE, type="BF16", rope=dict(rope_theta=1e6), config=dict(
        vocab_size=264, hidden_size=48, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=1, intermediate_size=8,
        num_local_experts=6, num_experts_per_tok=1, attention_multiplier=0.0625, attention_bias=True)),
    "granitemoe-shared": dict(seed=12301, cls="GraniteMoeShared", family="granitemoeshared", type="F32", gguf=True, rope=dict(rope_theta=1e4), config=dict(
        vocab_size=264, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4, intermediate_size=8,
        num_local_experts=8, num_experts_per_tok=2, shared_intermediate_size=24, residual_multiplier=0.5, attention_multiplier=0.3,
        logits_scaling=2.0)),
    "ernie-range": dict(seed=12403, **ERNIE, type="F32", gguf=True, rope=dict(rope_theta=5e5), old=True, config=dict(
        vocab_size=288, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, intermediate_size=40,
        moe_intermediate_size=16, moe_num_experts=8, moe_k=3, moe_num_shared_experts=2)),
    "ernie-interval": dict(seed=12501, **ERNIE, type="BF16", rope=dict(rope_theta=1e4), config=dict(
        vocab_size=264, hidden_size=48, num_hidden_layers=5, num_attention_heads=3, num_key_value_heads=3, intermediate_size=24,
        moe_intermediate_size=8, moe_num_experts=6, moe_k=2, moe_num_shared_experts=1, moe_layer_start_index=1, moe_layer_end_index=3,
        moe_layer_interval=2, tie_word_embeddings=False)),
    "hunyuan-alpha": dict(seed=12601, **HUNYUAN, type="F32", rope=dict(rope_theta=1e4, rope_type="dynamic", alpha=1000.0, factor=1.0), config=dict(
        vocab_size=288, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
        intermediate_size=16, num_experts=8, moe_topk=3, tie_word_embeddings=True)),
    "hunyuan-bias": dict(seed=12702, **HUNYUAN, type="BF16", rope=dict(rope_theta=1e5), config=dict(
        vocab_size=264, hidden_size=48, num_hidden_layers=3, num_attention_heads=3, num_key_value_heads=1, head_dim=8,
        intermediate_size=8, num_experts=4, moe_topk=1, attention_bias=True)),
    "phimoe-long": dict(seed=12801, **PHI, type="F32", gguf=True, rope=dict(
        rope_theta=1e4, rope_type="longrope", factor=2.0, original_max_position_embeddings=128, short_mscale=1.0690449676496976,
        long_mscale=1.2, short_factor=[1.0, 1.25, 1.5, 3.0], long_factor=[2.0, 4.0, 8.0, 16.0]), config=dict(
        vocab_size=288, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=16,
        num_local_experts=8, attention_bias=True, lm_head_bias=True, sliding_window=255)),
    "phimoe-mixed": dict(seed=12901, **PHI, type="BF16", rope=dict(
        rope_theta=1e4, rope_type="longrope", factor=2.0, original_max_position_embeddings=128, short_mscale=1.25,
        long_mscale=1.5, short_factor=[1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7], long_factor=[4.0] * 8), config=dict(
        vocab_size=264, hidden_size=48, num_hidden_layers=3, num_attention_heads=3, num_key_value_heads=1, intermediate_size=8,
        num_local_experts=16, router_jitter_noise=0.2)),
    "exaonemoe-windows": dict(seed=13001, **EXAONE, type="BF16", gguf=True, rope=dict(rope_theta=1e6), config=dict(
        vocab_size=288, hidden_size=32, num_hidden_layers=5, num_attention_heads=4, num_key_value_heads=2, head_dim=16, intermediate_size=40,
        moe_intermediate_size=16, num_experts=8, num_experts_per_tok=2, sliding_window=8)),
    "exaonemoe-groups": dict(seed=13101, **EXAONE, type="BF16", rope=dict(rope_theta=1e4), config=dict(
        vocab_size=264, hidden_size=48, num_hidden_layers=3, num_attention_heads=3, num_key_value_heads=3, head_dim=8, intermediate_size=24,
        moe_intermediate_size=8, num_experts=12, num_experts_per_tok=3, n_group=3, topk_group=2, sliding_window=40,
        layer_types=["full_attention", "sliding_attention", "full_attention"], mlp_layer_types=["sparse", "dense", "sparse"],
        norm_topk_prob=False, num_shared_experts=2, tie_word_embeddings=True)),
    "afmoe-mup": dict(seed=13201, **AFMOE, type="BF16", gguf=True, rope=dict(rope_theta=1e4), config=dict(
        vocab_size=288, hidden_size=32, num_hidden_layers=5, num_attention_heads=4, num_key_value_heads=2, head_dim=16, intermediate_size=40,
        moe_intermediate_size=16, num_experts=8, num_experts_per_tok=2, sliding_window=8, mup_enabled=True, route_scale=1.5)),
    "afmoe-mixed": dict(seed=13301, **AFMOE, type="BF16", rope=dict(rope_theta=1e5), config=dict(
        vocab_size=264, hidden_size=48, num_hidden_layers=4, num_attention_heads=3, num_key_value_heads=1, head_dim=8, intermediate_size=24,
        moe_intermediate_size=8, num_experts=6, num_experts_per_tok=3, num_shared_experts=1, num_dense_layers=2, sliding_window=33,
        global_attn_every_n_layers=2, attention_bias=True)),
    "cohere2moe-softmax": dict(seed=13401, **COHERE, type="BF16", gguf=True, rope=dict(rope_theta=5e4), config=dict(
        vocab_size=288, hidden_size=32, num_hidden_layers=5, num_attention_heads=4, num_key_value_heads=2, head_dim=16, intermediate_size=16,
        num_experts=8, num_experts_per_tok=2, num_shared_experts=1, sliding_window=8, first_k_dense_replace=1,
        prefix_dense_intermediate_size=40, logit_scale=0.25)),
    "cohere2moe-sigmoid": dict(seed=13501, **COHERE, type="BF16", rope=dict(rope_theta=1e4), config=dict(
        vocab_size=264, hidden_size=48, num_hidden_layers=3, num_attention_heads=3, num_key_value_heads=1, head_dim=8, intermediate_size=8,
        num_experts=6, num_experts_per_tok=3, num_shared_experts=2, sliding_window=33, expert_selection_fn="sigmoid",
        shared_expert_combination_strategy="sum", rms_norm_eps=1e-5, attention_bias=True, logit_scale=0.5, sliding_window_pattern=2)),
    "ling-groups": dict(seed=13601, **LING, type="F32", gguf=True, rope=dict(rope_theta=6e5, partial_rotary_factor=0.5), config=dict(
        vocab_size=288, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=16, intermediate_size=40,
        moe_intermediate_size=16, n_routed_experts=8, num_experts_per_tok=3, n_shared_experts=1, first_k_dense_replace=1, n_group=4,
        topk_group=2, routed_scaling_factor=2.5, use_qk_norm=True)),
    "ling-plain": dict(seed=13702, **LING, type="BF16", rope=dict(rope_theta=1e4, partial_rotary_factor=0.5), config=dict(
        vocab_size=264, hidden_size=48, num_hidden_layers=3, num_attention_heads=3, num_key_value_heads=1, head_dim=8, intermediate_size=24,
        moe_intermediate_size=8, n_routed_experts=12, num_experts_per_tok=2, n_shared_experts=2, first_k_dense_replace=2, n_group=1,
        topk_group=1, routed_scaling_factor=1.25, use_qk_norm=True)),
    "gptoss-yarn": dict(seed=13801, **OSS, type="F32", gguf=True, rope=dict(rope_theta=1.5e5, **YARN, beta_fast=32.0, beta_slow=1.0, truncate=False), config=dict(
        vocab_size=288, hidden_size=32, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, head_dim=16, intermediate_size=16,
        num_local_experts=8, num_experts_per_tok=2, sliding_window=8)),
    "gptoss-mixed": dict(seed=13901, **OSS, type="BF16", rope=dict(rope_theta=1e4), config=dict(
        vocab_size=264, hidden_size=48, num_hidden_layers=3, num_attention_heads=3, num_key_value_heads=1, head_dim=8, intermediate_size=24,
        num_local_experts=6, num_experts_per_tok=3, sliding_window=33, swiglu_alpha=1.25, swiglu_limit=0.5,
        layer_types=["full_attention", "sliding_attention", "sliding_attention"], tie_word_embeddings=True)),
    "gptoss-mxfp4": dict(seed=14003, **OSS, type="BF16", gguf=True, planes=True, rope=dict(rope_theta=1.5e5, **YARN, truncate=False), config=dict(
        vocab_size=264, hidden_size=64, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=16, intermediate_size=96,
        num_local_experts=6, num_experts_per_tok=2, sliding_window=8)),
    "gemma3-linear": dict(seed=14101, **GEMMA3, type="BF16", gguf=True, rope=dict(
        sliding_attention=dict(rope_type="default", rope_theta=1e4), full_attention=dict(rope_type="linear", factor=8.0, rope_theta=1e6)),
        config=dict(**DENSE, num_hidden_layers=7, head_dim=16, sliding_window=8, query_pre_attn_scalar=16)),
    "gemma3-cap": dict(seed=14206, **GEMMA3, type="F32", rope=dict(
        sliding_attention=dict(rope_type="default", rope_theta=500.0), full_attention=dict(rope_type="default", rope_theta=1e5)), config=dict(
        **DENSE, num_hidden_layers=3, head_dim=8, sliding_window=33, query_pre_attn_scalar=24, final_logit_softcapping=3.0,
        layer_types=["full_attention", "sliding_attention", "sliding_attention"], tie_word_embeddings=False, attention_bias=True)),
    "qwen3next-released": dict(seed=14479, **NEXT, type="BF16", gguf=True, rope=dict(rope_theta=1e7, partial_rotary_factor=0.25), old=True, config=dict(
        vocab_size=288, hidden_size=32, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, head_dim=16, intermediate_size=40,
        moe_intermediate_size=16, num_experts=8, num_experts_per_tok=2, shared_expert_intermediate_size=24, linear_num_key_heads=2,
        linear_num_value_heads=4, linear_key_head_dim=16, linear_value_head_dim=16)),
    "qwen3next-odd": dict(seed=14402, **NEXT, type="BF16", rope=dict(rope_theta=1e4, partial_rotary_factor=0.5), config=dict(
        vocab_size=264, hidden_size=48, num_hidden_layers=4, num_attention_heads=3, num_key_value_heads=1, head_dim=8, intermediate_size=24,
        moe_intermediate_size=8, num_experts=4, num_experts_per_tok=1, shared_expert_intermediate_size=8, linear_num_key_heads=2,
        linear_num_value_heads=4, linear_key_head_dim=12, linear_value_head_dim=40, linear_conv_kernel_dim=3, norm_topk_prob=False,
        mlp_only_layers=[3], attention_bias=True, tie_word_embeddings=True,
        layer_types=["full_attention", "linear_attention", "full_attention", "linear_attention"])),
    "qwen35moe-wrapped": dict(seed=14072, **Q35MOE, type="BF16", gguf=True, wrapped=True, rope=dict(rope_theta=1e7, partial_rotary_factor=0.25), config=dict(
        vocab_size=264, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
        moe_intermediate_size=16, num_experts=6, num_experts_per_tok=2, shared_expert_intermediate_size=16, linear_num_key_heads=2,
        linear_num_value_heads=6, linear_key_head_dim=16, linear_value_head_dim=16,
        layer_types=["linear_attention", "linear_attention", "full_attention"])),
    "qwen35-dense": dict(seed=14201, **Q35, type="BF16", gguf=True, rope=dict(rope_theta=1e7, partial_rotary_factor=0.25), config=dict(
        vocab_size=264, hidden_size=32, num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=1, head_dim=32, intermediate_size=40,
        linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=16, linear_value_head_dim=16, tie_word_embeddings=True,
        layer_types=["linear_attention", "full_attention", "linear_attention"])),
    "qwen35-odd": dict(seed=14301, **Q35, type="BF16", wrapped=True, rope=dict(rope_theta=1e4, partial_rotary_factor=0.25), config=dict(
        vocab_size=264, hidden_size=48, num_hidden_layers=3, num_attention_heads=3, num_key_value_heads=3, head_dim=16, intermediate_size=24,
        linear_num_key_heads=1, linear_num_value_heads=5, linear_key_head_dim=20, linear_value_head_dim=8, linear_conv_kernel_dim=5,
        attention_bias=True, layer_types=["linear_attention", "linear_attention", "full_attention"])),
    "gemma4-keyed": dict(seed=14802, **GEMMA4, type="BF16", gguf=True, wrapped=True, rope=dict(
        sliding_attention=dict(rope_type="default", rope_theta=1e4),
        full_attention=dict(rope_type="proportional", partial_rotary_factor=0.25, rope_theta=1e6)), config=dict(
        vocab_size=264, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8, global_head_dim=16,
        num_global_key_value_heads=1, attention_k_eq_v=True, intermediate_size=16, enable_moe_block=True, num_experts=6, top_k_experts=2,
        moe_intermediate_size=8, hidden_size_per_layer_input=0, sliding_window=8, layer_types=[SLIDING, FULL], final_logit_softcapping=4.0)),
    "gemma4-values": dict(seed=14901, **GEMMA4, type="BF16", old=True, rope=dict(
        sliding_attention=dict(rope_type="default", rope_theta=500.0),
        full_attention=dict(rope_type="proportional", partial_rotary_factor=0.6, rope_theta=1e5)), config=dict(
        vocab_size=264, hidden_size=32, num_hidden_layers=3, num_attention_heads=3, num_key_value_heads=3, head_dim=12, global_head_dim=8,
        attention_k_eq_v=False, intermediate_size=8, enable_moe_block=True, num_experts=4, top_k_experts=1, moe_intermediate_size=8,
        hidden_size_per_layer_input=0, sliding_window=33, layer_types=[FULL, SLIDING, FULL])),
    "gemma4-odd": dict(seed=15001, **GEMMA4, type="BF16", rope=dict(
        sliding_attention=dict(rope_type="default", rope_theta=1e4),
        full_attention=dict(rope_type="proportional", partial_rotary_factor=1.0, factor=2.0, rope_theta=1e4)), config=dict(
        vocab_size=264, hidden_size=40, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=1, head_dim=12, global_head_dim=20,
        num_global_key_value_heads=4, attention_k_eq_v=True, intermediate_size=24, enable_moe_block=True, num_experts=3, top_k_experts=3,
        moe_intermediate_size=8, hidden_size_per_layer_input=0, sliding_window=8, layer_types=[SLIDING, FULL], attention_bias=True)),
    "gemma4-dense": dict(seed=15101, **GEMMA4, type="BF16", gguf=True, wrapped=True, rope=dict(
        sliding_attention=dict(rope_type="default", rope_theta=1e4),
        full_attention=dict(rope_type="proportional", partial_rotary_factor=0.5, rope_theta=1e6)), config=dict(
        vocab_size=264, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=8, global_head_dim=16,
        attention_k_eq_v=False, intermediate_size=24, hidden_size_per_layer_input=0, sliding_window=8, final_logit_softcapping=30.0)),
    "gemma4-own": dict(seed=15201, **GEMMA4, type="BF16", wrapped=True, rope=dict(
        sliding_attention=dict(rope_type="default", rope_theta=1e4),
        full_attention=dict(rope_type="proportional", partial_rotary_factor=0.25, rope_theta=1e6)), config=dict(
        vocab_size=264, hidden_size=32, num_hidden_layers=4, num_attention_heads=2, num_key_value_heads=1, head_dim=8, global_head_dim=16,
        attention_k_eq_v=False, intermediate_size=8, hidden_size_per_layer_input=4, vocab_size_per_layer_input=264,
        num_kv_shared_layers=2, use_double_wide_mlp=True, sliding_window=8, layer_types=[SLIDING, FULL, SLIDING, FULL],
        final_logit_softcapping=30.0)),
    "llama4-scout": dict(seed=14801, **LLAMA4, gguf=True, wrapped=True, rope=dict(rope_theta=5e5, **LLAMA3), config=dict(
        vocab_size=260, hidden_size=16, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, head_dim=8, intermediate_size=8,
        intermediate_size_mlp=24, num_local_experts=4, num_experts_per_tok=1)),
    "llama4-maverick": dict(seed=14902, **LLAMA4, rope=dict(rope_theta=1e4), config=dict(
        vocab_size=260, hidden_size=24, num_hidden_layers=4, num_attention_heads=3, num_key_value_heads=1, head_dim=8, intermediate_size=8,
        intermediate_size_mlp=20, num_local_experts=6, num_experts_per_tok=2, interleave_moe_layer_step=2, use_qk_norm=False,
        attention_chunk_size=8, floor_scale=4, attn_scale=0.3, no_rope_layer_interval=2, tie_word_embeddings=True)),
    "llama4-layers": dict(seed=15001, **LLAMA4, rope=dict(rope_theta=1e5), config=dict(
        vocab_size=260, hidden_size=16, num_hidden_layers=4, num_attention_heads=2, num_key_value_heads=2, head_dim=16, intermediate_size=8,
        intermediate_size_mlp=24, num_local_experts=5, num_experts_per_tok=3, moe_layers=[0, 3], no_rope_layers=[0, 1, 1, 0],
        attention_chunk_size=33, floor_scale=7, attn_scale=0.2, attention_bias=True, tie_word_embeddings=True)),
    # The reference takes the long list for every prompt of more than one token; of one token all is at position 0.
    "llama-longrope-beyond": dict(seed=15101, cls="Llama", family="llama", type="BF16", rope=dict(
        rope_theta=1e4, rope_type="longrope", factor=2.0, original_max_position_embeddings=1, attention_factor=1.25,
        short_factor=[1.0, 1.25, 1.5, 3.0], long_factor=[2.0, 0.5, 8.0, 16.0]), config=dict(
        vocab_size=260, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, intermediate_size=24,
        tie_word_embeddings=True)),
    "llama4-q8_0": dict(seed=15601, cls="Llama4", family="llama4", type="F32", q8_0=True, rope=dict(rope_theta=5e5), config=dict(
        vocab_size=264, hidden_size=32, num_hidden_layers=4, num_attention_heads=1, num_key_value_heads=1, head_dim=32, intermediate_size=32,
        intermediate_size_mlp=32, num_local_experts=2, num_experts_per_tok=1, interleave_moe_layer_step=2, tie_word_embeddings=True)),
}


def config_of(cls, rope, config):
    v = config["vocab_size"]
    keys = {"max_position_embeddings": 256, "bos_token_id": None, "eos_token_id": v - 4, "pad_token_id": v - 1, "use_cache": False,
            "rope_parameters": rope if "full_attention" in rope else {"rope_type": "default", **rope}, **config}
    config_class = getattr(transformers, cls + "TextConfig", None) or getattr(transformers, cls + "Config")
    return config_class(attn_implementation="eager", **keys)


def model_of(cls, cfg):
    torch.manual_seed(0)
    return getattr(transformers, cls + "ForCausalLM")._from_config(cfg, attn_implementation="eager").to(torch.float32).eval()


def routed(model):
    """[(layer, its router, its experts, the choice's bias)]."""
    out = []
    for i, layer in enumerate(model.model.layers):
        beside = hasattr(layer, "experts")  # in the layer itself, beside a dense network
        names = ("mlp", "block_sparse_moe", "feed_forward")
        block = layer if beside else next(b for b in (getattr(layer, n, None) for n in names) if b is not None)
        if beside:
            out.append((i, layer.router, layer.experts, torch.zeros(())))
        elif hasattr(block, "experts"):
            gate = getattr(block, "gate", None) or block.router
            places = [(block, "e_score_correction_bias"), (block, "expert_bias"), (gate, "e_score_correction_bias"),
                      (getattr(gate, "moe_statics", None), "e_score_correction_bias")]
            bias = next((getattr(p, n) for p, n in places if getattr(p, n, None) is not None), torch.zeros(()))
            out.append((i, gate, block.experts, bias))
    return out


# What is compared in the choice; elsewhere it is the logits' sigmoid.
SCORES = {"ernie4_5_moe": lambda z: torch.softmax(z, -1), "hunyuan_v1_moe": lambda z: torch.softmax(z, -1), "granitemoe": lambda z: z,
          "granitemoeshared": lambda z: z, "phimoe": lambda z: z, "gpt_oss": lambda z: z, "cohere2_moe": lambda z: z,
          "gemma4_text": lambda p: p, "llama4_text": lambda z: z, "qwen3_next": lambda z: torch.softmax(z, -1), "qwen3_5_moe_text": lambda z: torch.softmax(z, -1)}


def margins_of(cfg, logits, bias):
    """How clear each row's choice is: the least step between what is chosen and what is not, among groups and among experts."""
    c = SCORES.get(cfg.model_type, torch.sigmoid)(logits.float()) + bias.reshape(-1)
    rows, experts = c.shape
    groups, used, k = getattr(cfg, "n_group", 1), getattr(cfg, "topk_group", 1), ref.experts_used(cfg)
    least = torch.ones(rows)
    if used < groups:
        g = c.view(rows, groups, -1).topk(2, dim=-1).values.sum(-1)
        order = torch.sort(g, dim=-1, descending=True)
        least = order.values[:, used - 1] - order.values[:, used]
        keep = torch.zeros(rows, groups).scatter_(1, order.indices[:, :used], 1).bool()
        c = c.masked_fill(~keep.repeat_interleave(experts // groups, dim=1), float("-inf"))
    order = torch.sort(c, dim=-1, descending=True).values
    return torch.minimum(least, order[:, k - 1] - order[:, k]) if k < experts else least


def forward(model, ids):
    """Logits [len(ids)][vocab], and per routed layer what the class itself chose: (experts ascending, weights, margins)."""
    seen, hooks = {}, []
    blocks = routed(model)
    for i, gate, experts, bias in blocks:
        def choice(module, args, i=i):
            e, order = torch.sort(args[1], dim=-1)
            seen.setdefault(i, {}).update(e=e, w=torch.gather(args[2].float(), 1, order))
        def logits(module, args, out, i=i, bias=bias):
            seen.setdefault(i, {}).update(m=margins_of(model.config, out[0], bias))
        def weighed(module, args, out, i=i):  # Llama 4's router gives a weight to every expert, 0 to most
            e, _ = torch.sort(torch.topk(out[1], model.config.num_experts_per_tok, dim=-1).indices, dim=-1)
            seen[i] = dict(e=e, w=torch.gather(out[0].float(), 1, e), m=margins_of(model.config, out[1], torch.zeros(())))
        if model.config.model_type == "llama4_text":
            hooks.append(gate.register_forward_hook(weighed))
            continue
        hooks += [experts.register_forward_pre_hook(choice), gate.register_forward_hook(logits)]
    with torch.no_grad():
        out = model(input_ids=torch.tensor([ids])).logits[0].float()
    for h in hooks:
        h.remove()
    return out.numpy(), [(seen[i]["e"], seen[i]["w"], seen[i]["m"]) for i, *_ in blocks]


def clear(model, seed, quantised, everywhere=False):
    """Is every choice of experts clear; where activations are rounded, such that this does not upset it, in the three shorter prompts?
    Asked first, as what is recorded takes a hundred times as long."""
    prompts, least = (None, 0.004) if everywhere else (3, 0.01) if quantised else (None, 1e-4)
    return all(float(m.min()) >= least for ids in ref.prompts_of(seed, model.config.vocab_size)[:prompts] for _, _, m in forward(model, ids)[1])


def as_released(folder):
    """config.json in the spelling of transformers 4: the base and the rotated part at the top."""
    path = folder / "config.json"
    data = json.loads(path.read_text())
    layers = data.pop("per_layer_config", None)
    if layers:  # released models have the heads of layers without a window at the top
        one = next(iter(layers.values()))
        data.update(global_head_dim=one["head_dim"], num_global_key_value_heads=one.get("num_key_value_heads"))
        path.write_text(json.dumps(data, indent=1) + "\n")
        return
    rope = data.pop("rope_parameters")
    data["rope_theta"] = rope.pop("rope_theta")
    if "partial_rotary_factor" in rope and "rotary_dim" not in data:
        data["partial_rotary_factor"] = rope["partial_rotary_factor"]
    if "linear_attention" in data.get("layer_types", []):
        data["full_attention_interval"] = data.pop("layer_types").index("full_attention") + 1
    path.write_text(json.dumps(data, indent=1) + "\n")


def as_ling(folder):
    """GLM-4.5's class computes what Ling 2.0's does, which transformers has not: in that one's names."""
    path, config = folder / "model.safetensors", folder / "config.json"
    tensors, out = safetensors.torch.load_file(path), {}
    for name, x in tensors.items():
        name = name.replace("model.embed_tokens", "model.word_embeddings").replace("self_attn.", "attention.")
        name = name.replace("attention.q_norm", "attention.query_layernorm").replace("attention.k_norm", "attention.key_layernorm")
        name = name.replace("attention.o_proj", "attention.dense").replace("gate.e_score_correction_bias", "gate.expert_bias")
        if ".q_proj." in name:
            x = torch.cat([tensors[name.replace("attention.", "self_attn.").replace("q_proj", p)] for p in ("q_proj", "k_proj", "v_proj")])
            name = name.replace("q_proj", "query_key_value")
        if ".k_proj." not in name and ".v_proj." not in name:
            out[name] = x.contiguous()
    safetensors.torch.save_file(out, path, metadata={"format": "pt"})
    data = json.loads(config.read_text())
    data.update(model_type="bailing_moe_v2", architectures=["BailingMoeV2ForCausalLM"], num_experts=data.pop("n_routed_experts"),
                num_shared_experts=data.pop("n_shared_experts"), score_function="sigmoid", use_bias=False, use_qkv_bias=False)
    config.write_text(json.dumps(data, indent=1) + "\n")


# The magnitudes of MXFP4's numbers; nibbles with the highest bit are their negatives.
FP4 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], np.float32)


def is_planes(name):
    return name.endswith(("experts.gate_up_proj", "experts.down_proj"))


def planes_of(w):
    """Experts' matrices [experts][in][out] as MXFP4: blocks [experts][out][in / 32][16], scales [experts][out][in / 32]."""
    x = np.ascontiguousarray(w.swapaxes(1, 2)).reshape(w.shape[0], w.shape[2], -1, 32)
    e = np.floor(np.log2(np.abs(x).max(-1))) - 2
    y = x / np.exp2(e)[..., None]
    q = np.abs(np.abs(y)[..., None] - FP4).argmin(-1).astype(np.uint8) | (y < 0).astype(np.uint8) << 3
    return q[..., ::2] | q[..., 1::2] << 4, (e + 127).astype(np.uint8)


def of_planes(blocks, scales):
    q = np.stack([blocks & 15, blocks >> 4], -1).reshape(*blocks.shape[:-1], 32)
    x = np.where(q & 8, -FP4[q & 7], FP4[q & 7]) * np.exp2(scales.astype(np.float32) - 127)[..., None]
    return np.ascontiguousarray(x.reshape(*x.shape[:2], -1).swapaxes(1, 2), np.float32)


def as_planes(folder, weights):
    """The folder's experts in two planes, config.json in the spelling of the released models."""
    path, config = folder / "model.safetensors", folder / "config.json"
    out = {}
    for name, x in safetensors.torch.load_file(path).items():
        if not is_planes(name):
            out[name] = x
            continue
        blocks, scales = planes_of(weights[name])
        assert (of_planes(blocks, scales) == weights[name]).all()
        out[name + "_blocks"], out[name + "_scales"] = torch.from_numpy(blocks), torch.from_numpy(scales)
    safetensors.torch.save_file(out, path, metadata={"format": "pt"})
    data = json.loads(config.read_text())
    rope = data.pop("rope_parameters")
    data.update(rope_theta=rope.pop("rope_theta"), rope_scaling=rope, quantization_config={
        "quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"]})
    config.write_text(json.dumps(data, indent=1) + "\n")


# What the converter leaves in float32 of what has two dimensions.
UNQUANTISED = (".mlp.gate.weight", ".router.weight", ".shared_expert_gate.weight", ".conv1d.weight")
ACROSS = ("gpt_oss", "llama4")  # experts' matrices are [experts][in][out]


def is_quantised(name, w):
    return w.ndim > 1 and not name.endswith(("_bias", *UNQUANTISED))


def as_q8_0(weights, family):
    """The weights as the converter's Q8_0 has them; made Q8_0 again they stay what they are."""
    out = {}
    for n, w in weights.items():
        across = family in ACROSS and is_planes(n)
        if is_quantised(n, w):
            x = np.ascontiguousarray(w.swapaxes(1, 2) if across else w)
            for _ in range(2):
                x = quants.dequantize(quants.blocks_of(x, "Q8_0"), quants.Type.Q8_0).reshape(x.shape)
            w = np.ascontiguousarray(x.swapaxes(1, 2) if across else x)
        out[n] = w
    return out


def check_q8_0(path, weights):
    """The converter's file has the same numbers, in whatever order."""
    import gguf
    q8 = [t for t in gguf.GGUFReader(path).tensors if t.tensor_type == gguf.GGMLQuantizationType.Q8_0]
    got = np.sort(np.concatenate([gguf.quants.dequantize(t.data, t.tensor_type).reshape(-1) for t in q8]))
    want = np.sort(np.concatenate([w.reshape(-1) for n, w in weights.items() if is_quantised(n, w)]))
    assert got.shape == want.shape and (got == want).all(), (got.shape, want.shape)


def record_all_rounded(name, model):
    """NAME.rounded.f32: what every quantised matrix is multiplied by is rounded as the kernels do."""
    path = ref.HERE / "expected" / (name + ".json")
    data = json.loads(path.read_text())
    exact = np.fromfile(path.with_name(name + ".logits.f32"), "<f4").reshape(-1, model.config.vocab_size)
    quantised = {p.untyped_storage().data_ptr() for n, p in model.named_parameters() if is_quantised(n, p)}
    linear, matmul, bmm = torch.nn.functional.linear, torch.Tensor.__matmul__, torch.bmm

    def rounded(x, w):
        return quants.round_activations(None, (x,))[0] if w.untyped_storage().data_ptr() in quantised else x
    torch.nn.functional.linear = lambda x, w, bias=None: linear(rounded(x, w), w, bias)
    torch.Tensor.__matmul__ = lambda x, w: matmul(rounded(x, w), w)
    torch.bmm = lambda x, w: bmm(rounded(x, w), w)
    rows = []
    for p in data["prompts"]:
        rows += list(forward(model, p["ids"])[0][p["first_position"] :])
        rows.append(ref.last_logits(model, p["ids"] + p["greedy"][:-1]))
    torch.nn.functional.linear, torch.Tensor.__matmul__, torch.bmm = linear, matmul, bmm
    rows = np.array(rows, "<f4")
    rows.tofile(path.with_name(name + ".rounded.f32"))
    data["rounding"] = quants.apart(rows, exact)
    path.write_text(json.dumps(data, separators=(",", ":")) + "\n")
    print(name, "rounding", data["rounding"])


def record_rounded(name, model):
    """NAME.rounded.f32: what the experts read rounded as the kernels do; other matrices are not quantised."""
    path = ref.HERE / "expected" / (name + ".json")
    data = json.loads(path.read_text())
    exact = np.fromfile(path.with_name(name + ".logits.f32"), "<f4").reshape(-1, model.config.vocab_size)

    def rounded(x):
        return quants.round_activations(None, (x,))[0]

    def experts_forward(self, hidden, chosen, weights):
        out = torch.zeros_like(hidden)
        for row in range(hidden.shape[0]):
            for e, w in zip(chosen[row].tolist(), weights[row]):
                h = self._apply_gate(rounded(hidden[row : row + 1]) @ self.gate_up_proj[e] + self.gate_up_proj_bias[e])
                out[row] += w * (rounded(h) @ self.down_proj[e] + self.down_proj_bias[e])[0]
        return out
    for _, _, experts, _ in routed(model):
        experts.forward = experts_forward.__get__(experts)
    rows = []
    for p in data["prompts"]:
        rows += list(forward(model, p["ids"])[0][p["first_position"] :])
        rows.append(ref.last_logits(model, p["ids"] + p["greedy"][:-1]))
    rows = np.array(rows, "<f4")
    rows.tofile(path.with_name(name + ".rounded.f32"))
    data["rounding"] = quants.apart(rows, exact)
    path.write_text(json.dumps(data, separators=(",", ":")) + "\n")
    print(name, "rounding", data["rounding"])


def as_wrapped(folder, outer):
    """As multimodal models are published: the language model's configuration inside another one, and its names longer; beside them
    tensors of a part for pictures and of one that foretells tokens, which nobody reads."""
    path, config = folder / "model.safetensors", folder / "config.json"
    if outer == "llama4":
        tensors = {"language_model." + n: x for n, x in safetensors.torch.load_file(path).items()}
    else:
        tensors = {("model.language_model." + n[6:] if n.startswith("model.") else n): x for n, x in safetensors.torch.load_file(path).items()}
    some = next(iter(tensors.values())).dtype
    text = json.loads(config.read_text())
    foretells = "linear_num_key_heads" in text
    pictures = "vision_model.patch_embedding.linear" if outer == "llama4" else "model.visual.patch_embed.proj" if foretells else "model.vision_tower.patch_embedder"
    tensors[pictures + ".weight"] = torch.ones(4, 3, dtype=some)
    if foretells:
        tensors["mtp.fc.weight"] = torch.ones(4, 8, dtype=some)
    safetensors.torch.save_file(tensors, path, metadata={"format": "pt"})
    architecture = text.pop("architectures")[0].replace("ForCausalLM", "ForConditionalGeneration")
    more = {"attn_output_gate": True, "mtp_num_hidden_layers": 0} if foretells else {"use_bidirectional_attention": "vision"} if outer == "gemma4" else {}
    data = {"architectures": [architecture], "model_type": outer, "text_config": text | more,
            "tie_word_embeddings": text["tie_word_embeddings"], "vision_config": {"model_type": outer + "_vision", "depth": 1, "hidden_size": 8}}
    config.write_text(json.dumps(data, indent=1) + "\n")


def as_gguf(converter, folder, path, type):
    """A peer's converter writes the folder as GGUF."""
    code = ("import runpy, sys\nsys.path[:0] = [%r, %r]\nimport conversion\nimport conversion.base as base\n"
            "base.TextModel.get_vocab_base_pre = lambda self, tokenizer: 'gpt-2'\nfind = conversion.get_model_class\n"
            "def found(*a, **k):\n    cls = find(*a, **k)\n    cls.set_vocab = base.TextModel._set_vocab_gpt2\n    return cls\n"
            "conversion.get_model_class = found\nsys.argv = sys.argv[1:]\nrunpy.run_path(%r, run_name='__main__')\n"
            % (converter + "/gguf-py", converter, converter + "/convert_hf_to_gguf.py"))
    foretelling = "Qwen3_5" in (folder / "config.json").read_text()  # the converter refuses the option for others
    subprocess.run([sys.executable, "-c", code, "convert", str(folder), "--outfile", str(path), "--outtype", type.lower(),
                    *["--no-mtp"] * foretelling], check=True, stderr=subprocess.PIPE)


def make(name, converter, cls, family, type, seed, rope, config, gguf=False, old=False, ling=False, planes=False, wrapped=False,
         less_one=False, architecture=None, q8_0=False):
    cfg = config_of(cls, rope, config)
    model = model_of(cls, cfg)
    # The first seed whose choices are all clear: a test may then ask for every token and every expert.
    for seed in itertools.count(seed):
        weights = ref.random_weights(model, seed)
        for n in weights:
            if n.endswith("gate_up_proj_bias"):
                weights[n] = weights[n] * 20  # so that the bounds on gate and up, which GGUF files do not say, are reached
            if less_one and n.endswith("norm.weight"):
                weights[n] = weights[n] - 1
        weights = as_q8_0(weights, family) if q8_0 else ref.rounded(weights, type)
        if planes:
            weights.update((n, of_planes(*planes_of(w))) for n, w in list(weights.items()) if is_planes(n))
        ref.load(model, weights)
        if not clear(model, seed, planes or q8_0, q8_0):
            continue
        greedy, route = ref.record(name, family, model, seed, [i for i, *_ in routed(model)], forward)
        if greedy >= 1e-3 and route >= 1e-4:
            break
    base = ref.HERE / "checkpoints"
    folder = base / name
    shutil.rmtree(folder, ignore_errors=True)
    ref.load(model_of(cls, cfg), weights).to(ref.TORCH_TYPE[type]).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    ref.write_tokenizer(folder, cfg.vocab_size)
    entries = [{"model": "checkpoints/" + name, "expected": name, "container": "safetensors", "family": family, "type": type}]
    again = getattr(transformers, cls + "ForCausalLM").from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    ids = [1, 2, 3, 4, 5]
    mine, theirs = ref.last_logits(model, ids), ref.last_logits(again, ids)
    assert abs(mine - theirs).max() < 1e-5 * abs(mine).max(), name
    if ling:
        as_ling(folder)
    if planes:
        as_planes(folder, weights)
        record_rounded(name, model)
        entries[0].update(type="MXFP4_PLANES", quantised=True)
    if old and "per_layer_config" in json.loads((folder / "config.json").read_text()):
        as_released(folder)
        old = False
    if wrapped:
        as_wrapped(folder, cfg.model_type.removesuffix("_text"))
    if architecture:
        data = json.loads((folder / "config.json").read_text()) | {"architectures": [architecture]}
        (folder / "config.json").write_text(json.dumps(data, indent=1) + "\n")
    path = base / (name + ".gguf")
    if gguf and converter:
        as_gguf(converter, folder, path, type)
    if gguf and path.exists():
        entries.append({"model": "checkpoints/" + path.name, "expected": name, "container": "gguf", "family": GGUF_FAMILY.get(family, family), "type": type})
        if planes:
            entries[-1].update(type="MXFP4", quantised=True)
    if old:
        as_released(folder)
    if q8_0:  # the file alone is kept
        if converter:
            as_gguf(converter, folder, path, "q8_0")
        check_q8_0(path, weights)
        record_all_rounded(name, model)
        shutil.rmtree(folder)
        entries = [{"model": "checkpoints/" + path.name, "expected": name, "container": "gguf", "family": family, "type": "Q8_0", "quantised": True}]
    print("%-20s seed %d, least margins: greedy %.2g, routing %.2g" % (name, seed, greedy, route), flush=True)
    return entries


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--converter")
    p.add_argument("names", nargs="*")
    a = p.parse_args()
    ref.start()
    path = ref.HERE / "list.json"
    for name in a.names or MODELS:
        made = make(name, a.converter, **MODELS[name])
        entries = json.loads(path.read_text())
        at = next((i for i, e in enumerate(entries) if e["expected"] == name), len(entries))
        entries = [e for e in entries if e["expected"] != name]
        entries[at:at] = made
        path.write_text("[\n" + ",\n".join(json.dumps(e) for e in entries) + "\n]\n")


main()

#!/usr/bin/env python3
"""Makes checkpoints/, expected/ and list.json: tiny random models of every family and what transformers computes from them.

    make_checkpoints.py          all
    make_checkpoints.py NAME …   these only (list.json keeps the others)
"""
import itertools
import json
import shutil
import sys

import torch

import reference as ref

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
LINEAR = {"rope_type": "linear", "factor": 4.0}

# name: family, type of the weights, configuration, and what is special about how it is stored.
#   seed: of weights and prompts; the first one from there on is taken whose choices are clear, which for these rows is the number itself
#   shard "60KB": several safetensors files; v5: config.json in the spelling of transformers 5
#   gguf: also as GGUF; per_expert: one tensor an expert, as old Mixtral files; parts: tensors per split part
MODELS = {
    "mixtral-gqa": dict(seed=301, family="mixtral", type="F32", gguf=True, config=dict(
        vocab_size=288, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
        intermediate_size=16, num_local_experts=8, num_experts_per_tok=2, rope_theta=1e6, rms_norm_eps=1e-5)),
    "mixtral-mha-top3": dict(seed=404, family="mixtral", type="BF16", config=dict(
        vocab_size=288, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4,
        intermediate_size=16, num_local_experts=8, num_experts_per_tok=3, rope_theta=1e4, tie_word_embeddings=True,
        rope_scaling=LINEAR)),
    "mixtral-top1": dict(seed=501, family="mixtral", type="F32", shard="60KB", v5=True, gguf=True, per_expert=True, config=dict(
        vocab_size=264, hidden_size=32, num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=1,
        intermediate_size=16, num_local_experts=4, num_experts_per_tok=1, rope_theta=5e5)),
    "mixtral-all": dict(seed=201, family="mixtral", type="BF16", config=dict(
        vocab_size=264, hidden_size=32, num_hidden_layers=4, num_attention_heads=2, num_key_value_heads=2,
        intermediate_size=32, num_local_experts=4, num_experts_per_tok=4, rope_theta=1e4)),
    "olmoe-mha": dict(seed=709, family="olmoe", type="F16", gguf=True, config=dict(
        vocab_size=288, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4,
        intermediate_size=16, num_experts=8, num_experts_per_tok=4, norm_topk_prob=False, rope_theta=1e4, rms_norm_eps=1e-5)),
    "olmoe-gqa-clip": dict(seed=604, family="olmoe", type="BF16", config=dict(
        vocab_size=288, hidden_size=64, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=16, num_experts=8, num_experts_per_tok=2, norm_topk_prob=True, clip_qkv=0.8,
        tie_word_embeddings=True, rope_theta=5e5, rms_norm_eps=1e-5)),
    "qwen2moe-gqa": dict(seed=801, family="qwen2_moe", type="F32", gguf=True, config=dict(
        vocab_size=288, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
        intermediate_size=40, moe_intermediate_size=16, shared_expert_intermediate_size=24, num_experts=8,
        num_experts_per_tok=4, norm_topk_prob=False, rope_theta=1e6)),
    "qwen2moe-mixed": dict(seed=902, family="qwen2_moe", type="BF16", config=dict(
        vocab_size=320, hidden_size=48, num_hidden_layers=4, num_attention_heads=3, num_key_value_heads=3,
        intermediate_size=56, moe_intermediate_size=16, shared_expert_intermediate_size=32, num_experts=8,
        num_experts_per_tok=2, norm_topk_prob=True, decoder_sparse_step=2, tie_word_embeddings=True, rope_theta=1e4)),
    "qwen3moe-gqa": dict(seed=1202, family="qwen3_moe", type="BF16", gguf=True, config=dict(
        vocab_size=288, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
        intermediate_size=64, moe_intermediate_size=16, num_experts=8, num_experts_per_tok=2, norm_topk_prob=True,
        rope_theta=1e6)),
    "qwen3moe-mixed-yarn": dict(seed=1301, family="qwen3_moe", type="F32", config=dict(
        vocab_size=264, hidden_size=32, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=4, head_dim=16,
        intermediate_size=40, moe_intermediate_size=8, num_experts=8, num_experts_per_tok=3, norm_topk_prob=False,
        mlp_only_layers=[0, 2], tie_word_embeddings=True, rope_theta=1e4, rope_scaling=YARN, max_position_embeddings=128)),
    "qwen3moe-wide": dict(seed=1443, family="qwen3_moe", type="BF16", config=dict(
        vocab_size=288, hidden_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=64,
        intermediate_size=64, moe_intermediate_size=8, num_experts=16, num_experts_per_tok=6, norm_topk_prob=True,
        rope_theta=1e7)),
    "llama-gqa-llama3": dict(seed=1, family="llama", type="BF16", gguf=True, config=dict(
        vocab_size=288, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
        intermediate_size=96, tie_word_embeddings=True, rope_theta=1e4, rope_scaling=LLAMA3)),
    "llama-mha-bias": dict(seed=101, family="llama", type="F32", gguf=True, config=dict(
        vocab_size=264, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
        intermediate_size=48, attention_bias=True, rope_theta=1e4, rms_norm_eps=1e-5)),
    "qwen3-gqa-yarn": dict(seed=1001, family="qwen3", type="BF16", gguf=True, config=dict(
        vocab_size=288, hidden_size=32, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
        intermediate_size=48, tie_word_embeddings=True, rope_theta=1e4, rope_scaling=YARN, max_position_embeddings=128)),
    "qwen3-mha": dict(seed=1102, family="qwen3", type="F32", gguf=True, parts=9, config=dict(
        vocab_size=264, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2, head_dim=32,
        intermediate_size=48, rope_theta=1e6)),
}


def make(name, family, type, seed, config, shard="10GB", v5=False, gguf=False, per_expert=False, parts=0):
    cfg = ref.config(family, **config)
    model = ref.model_of(family, cfg)
    # The first seed whose choices are all clear: a test may then ask for every token and every expert.
    for seed in itertools.count(seed):
        weights = ref.rounded(ref.random_weights(model, seed), type)
        ref.load(model, weights)
        greedy, route = ref.record(name, family, model, seed)
        if greedy >= 1e-3 and route >= 1e-4:
            break

    folder = ref.HERE / "checkpoints" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    stored = ref.load(ref.model_of(family, cfg), weights).to(ref.TORCH_TYPE[type])
    stored.save_pretrained(folder, max_shard_size=shard)
    (folder / "generation_config.json").unlink(missing_ok=True)
    data = json.loads((folder / "config.json").read_text())
    data["dtype"] = str(ref.TORCH_TYPE[type]).removeprefix("torch.")
    if v5:
        data["rope_parameters"] = {"rope_type": "default", "rope_theta": data.pop("rope_theta")}
        data.pop("rope_scaling", None)
    (folder / "config.json").write_text(json.dumps(data, indent=1) + "\n")
    ref.write_tokenizer(folder, cfg.vocab_size)
    entries = [{"model": "checkpoints/" + name, "expected": name, "container": "safetensors", "family": family, "type": type}]

    again = ref.CLASSES[family][1].from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    if not v5:
        ids = [1, 2, 3, 4, 5]
        mine, theirs = ref.last_logits(model, ids), ref.last_logits(again, ids)
        assert abs(mine - theirs).max() < 1e-5 * abs(mine).max(), name

    if gguf:
        base = ref.HERE / "checkpoints"
        for old in [*base.glob(name + ".gguf"), *base.glob(name + "-0*-of-0*.gguf")]:
            old.unlink()
        ref.write_gguf(base / (name + ".gguf"), family, cfg, ref.gguf_tensors(family, cfg, weights, per_expert), type, name, parts)
        first = sorted([*base.glob(name + ".gguf"), *base.glob(name + "-0*-of-0*.gguf")])[0]
        entries.append({"model": "checkpoints/" + first.name, "expected": name, "container": "gguf", "family": family, "type": type})
    print("%-20s seed %d, least margins: greedy %.2g, routing %.2g" % (name, seed, greedy, route))
    return entries


def main():
    ref.start()
    names = sys.argv[1:] or list(MODELS)
    path = ref.HERE / "list.json"
    entries = json.loads(path.read_text()) if path.exists() else []
    for name in names:
        made = make(name, **MODELS[name])
        entries = [e for e in entries if e["expected"] != name] + made
    known = [e for e in entries if e["expected"] in MODELS or e.get("quantised") or e["family"] not in ref.CLASSES]
    order = list(MODELS)
    known.sort(key=lambda e: (order.index(e["expected"]) if e["expected"] in order else len(order)))
    path.write_text("[\n" + ",\n".join(json.dumps(e) for e in known) + "\n]\n")


main()

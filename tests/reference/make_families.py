#!/usr/bin/env python3
"""Makes the tiny checkpoints of the families that need transformers 5 (requirements-families.txt), and what it computes from them.

    make_families.py [--converter DIR] [NAME …]    all, or these only (list.json keeps the others)

DIR has a peer's convert_hf_to_gguf.py with its gguf-py beside it (llama.cpp's, or a fork's): models marked `gguf` are written as
GGUF by it. The vocabulary is said to be GPT-2's, since it knows tokenizers by hash. Without --converter, GGUF files stay as they are.
"""
import argparse
import json
import shutil
import subprocess
import sys

import torch
import transformers

import reference as ref

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
GLM = dict(cls="Glm4Moe", family="glm4_moe")
DOTS = dict(cls="Dots1", family="dots1")
MINIMAX = dict(cls="MiniMaxM2", family="minimax_m2")
SOLAR = dict(cls="SolarOpen", family="solar_open")

# The row that reads a family's GGUF files, where that is another one.
GGUF_FAMILY = {"solar_open": "glm4_moe"}

# rope: rope_parameters; config: the class's other keys. old: the file is given the spelling of released models, with the base and
# the rotated part at the top.
MODELS = {
    "glm4moe-air": dict(**GLM, type="F32", gguf=True, rope=dict(rope_theta=1e6, partial_rotary_factor=0.5), old=True, config=dict(
        vocab_size=288, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
        intermediate_size=40, moe_intermediate_size=16, n_routed_experts=8, num_experts_per_tok=2, n_shared_experts=1,
        first_k_dense_replace=1, attention_bias=True)),
    "glm4moe-groups": dict(**GLM, type="BF16", gguf=True, rope=dict(rope_theta=1e4, partial_rotary_factor=0.5), config=dict(
        vocab_size=264, hidden_size=48, num_hidden_layers=4, num_attention_heads=3, num_key_value_heads=3, head_dim=8,
        intermediate_size=56, moe_intermediate_size=8, n_routed_experts=16, num_experts_per_tok=3, n_shared_experts=2,
        first_k_dense_replace=2, use_qk_norm=True, n_group=4, topk_group=2, routed_scaling_factor=2.5, tie_word_embeddings=True)),
    "glm4moe-keep": dict(**GLM, type="F32", rope=dict(partial_rotary_factor=0.25, rope_theta=1e5, **YARN), config=dict(
        vocab_size=264, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=32,
        intermediate_size=24, moe_intermediate_size=16, n_routed_experts=6, num_experts_per_tok=6, n_shared_experts=1,
        first_k_dense_replace=0, norm_topk_prob=False, use_qk_norm=True, attention_bias=True, max_position_embeddings=128)),
    "dots1-mha": dict(**DOTS, type="BF16", gguf=True, rope=dict(rope_theta=1e7), config=dict(
        vocab_size=288, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=4, head_dim=16,
        intermediate_size=40, moe_intermediate_size=16, n_routed_experts=8, num_experts_per_tok=3, n_shared_experts=2,
        first_k_dense_replace=1, norm_topk_prob=True, routed_scaling_factor=2.5)),
    "dots1-groups": dict(**DOTS, type="F32", rope=dict(rope_theta=1e4), config=dict(
        vocab_size=264, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=1, head_dim=8,
        intermediate_size=24, moe_intermediate_size=16, n_routed_experts=12, num_experts_per_tok=2, n_shared_experts=1,
        first_k_dense_replace=0, norm_topk_prob=False, n_group=3, topk_group=1, routed_scaling_factor=0.75, tie_word_embeddings=True)),
    "dots1-top1": dict(**DOTS, type="F32", gguf=True, rope=dict(rope_theta=1e6), old=True, config=dict(
        vocab_size=264, hidden_size=32, num_hidden_layers=4, num_attention_heads=2, num_key_value_heads=2, head_dim=16,
        intermediate_size=24, moe_intermediate_size=8, n_routed_experts=8, num_experts_per_tok=1, n_shared_experts=1,
        first_k_dense_replace=3, norm_topk_prob=True, attention_bias=True)),
    "minimaxm2-half": dict(**MINIMAX, type="F32", gguf=True, rope=dict(rope_theta=5e6), old=True, config=dict(
        vocab_size=288, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
        intermediate_size=16, num_local_experts=8, num_experts_per_tok=2, rotary_dim=8)),
    "minimaxm2-whole": dict(**MINIMAX, type="BF16", rope=dict(rope_theta=1e4), config=dict(
        vocab_size=264, hidden_size=48, num_hidden_layers=3, num_attention_heads=3, num_key_value_heads=1, head_dim=16,
        intermediate_size=8, num_local_experts=16, num_experts_per_tok=5)),
    "minimaxm2-tied": dict(**MINIMAX, type="F32", rope=dict(rope_theta=1e4, partial_rotary_factor=0.25), config=dict(
        vocab_size=264, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2, head_dim=32,
        intermediate_size=16, num_local_experts=4, num_experts_per_tok=1, tie_word_embeddings=True)),
    "solar-plain": dict(**SOLAR, type="F32", gguf=True, rope=dict(rope_theta=1e6, partial_rotary_factor=1.0), old=True, config=dict(
        vocab_size=288, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
        moe_intermediate_size=16, n_routed_experts=8, num_experts_per_tok=2, n_shared_experts=1)),
    "solar-groups": dict(**SOLAR, type="BF16", rope=dict(rope_theta=1e4), config=dict(
        vocab_size=264, hidden_size=48, num_hidden_layers=3, num_attention_heads=3, num_key_value_heads=1, head_dim=16,
        moe_intermediate_size=8, n_routed_experts=8, num_experts_per_tok=4, n_shared_experts=3, n_group=2, topk_group=2,
        routed_scaling_factor=1.5, tie_word_embeddings=True)),
    "solar-bias": dict(**SOLAR, type="F32", rope=dict(rope_theta=1e4, **YARN), config=dict(
        vocab_size=264, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=16,
        moe_intermediate_size=8, n_routed_experts=10, num_experts_per_tok=3, n_shared_experts=1, n_group=5, topk_group=2,
        norm_topk_prob=False, attention_bias=True, max_position_embeddings=128)),
}


def config_of(cls, rope, config):
    v = config["vocab_size"]
    keys = {"max_position_embeddings": 256, "bos_token_id": None, "eos_token_id": v - 4, "pad_token_id": v - 1, "use_cache": False,
            "rope_parameters": {"rope_type": "default", **rope}, **config}
    return getattr(transformers, cls + "Config")(attn_implementation="eager", **keys)


def model_of(cls, cfg):
    torch.manual_seed(0)
    return getattr(transformers, cls + "ForCausalLM")._from_config(cfg, attn_implementation="eager").to(torch.float32).eval()


def routed(model):
    """[(layer, its router, its experts, the choice's bias)]."""
    out = []
    for i, layer in enumerate(model.model.layers):
        if hasattr(layer.mlp, "experts"):
            bias = getattr(layer.mlp, "e_score_correction_bias", None)
            out.append((i, layer.mlp.gate, layer.mlp.experts, layer.mlp.gate.e_score_correction_bias if bias is None else bias))
    return out


def margins_of(cfg, logits, bias):
    """How clear each row's choice is: the least step between what is chosen and what is not, among groups and among experts."""
    c = torch.sigmoid(logits.float()) + bias
    rows, experts = c.shape
    groups, used, k = getattr(cfg, "n_group", 1), getattr(cfg, "topk_group", 1), cfg.num_experts_per_tok
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
        hooks += [experts.register_forward_pre_hook(choice), gate.register_forward_hook(logits)]
    with torch.no_grad():
        out = model(input_ids=torch.tensor([ids])).logits[0].float()
    for h in hooks:
        h.remove()
    return out.numpy(), [(seen[i]["e"], seen[i]["w"], seen[i]["m"]) for i, *_ in blocks]


def as_released(folder):
    """config.json in the spelling of transformers 4: the base and the rotated part at the top."""
    path = folder / "config.json"
    data = json.loads(path.read_text())
    rope = data.pop("rope_parameters")
    data["rope_theta"] = rope.pop("rope_theta")
    if "partial_rotary_factor" in rope and "rotary_dim" not in data:
        data["partial_rotary_factor"] = rope["partial_rotary_factor"]
    path.write_text(json.dumps(data, indent=1) + "\n")


def as_gguf(converter, folder, path, type):
    """A peer's converter writes the folder as GGUF."""
    code = ("import runpy, sys\nsys.path[:0] = [%r, %r]\nimport conversion\nimport conversion.base as base\n"
            "base.TextModel.get_vocab_base_pre = lambda self, tokenizer: 'gpt-2'\nfind = conversion.get_model_class\n"
            "def found(*a, **k):\n    cls = find(*a, **k)\n    cls.set_vocab = base.TextModel._set_vocab_gpt2\n    return cls\n"
            "conversion.get_model_class = found\nsys.argv = sys.argv[1:]\nrunpy.run_path(%r, run_name='__main__')\n"
            % (converter + "/gguf-py", converter, converter + "/convert_hf_to_gguf.py"))
    subprocess.run([sys.executable, "-c", code, "convert", str(folder), "--outfile", str(path), "--outtype", type.lower()],
                   check=True, stderr=subprocess.PIPE)


def make(name, converter, cls, family, type, rope, config, gguf=False, old=False):
    cfg = config_of(cls, rope, config)
    model = model_of(cls, cfg)
    # The first seed whose choices are all clear: a test may then ask for every token and every expert.
    seed = 10000 + sorted(MODELS).index(name) * 100
    greedy = route = 0
    while greedy < 1e-3 or route < 1e-4:
        seed += 1
        weights = ref.rounded(ref.random_weights(model, seed), type)
        ref.load(model, weights)
        greedy, route = ref.record(name, family, model, seed, [i for i, *_ in routed(model)], forward)
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
    path = base / (name + ".gguf")
    if gguf and converter:
        as_gguf(converter, folder, path, type)
    if gguf and path.exists():
        entries.append({"model": "checkpoints/" + path.name, "expected": name, "container": "gguf", "family": GGUF_FAMILY.get(family, family), "type": type})
    if old:
        as_released(folder)
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

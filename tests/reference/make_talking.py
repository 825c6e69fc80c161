#!/usr/bin/env python3
"""What transformers computes with the talking mixture's weights, dequantised: expected/smollm2-135m-instruct-moe.json.

    make_talking.py models/cache/smollm2-135m-instruct-moe.gguf

    ids        256 tokens of held-out conversations (models/talking/held/)
    logprobs   what the model gives each of them but the first, in float32
    rounded    the same with activations rounded, see README.md; routers see them unrounded, as here
    sha256     of the file that was read
"""
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from gguf import GGUFReader
from gguf.quants import dequantize

import reference as ref
from make_demo import tokenizer_of
from make_quants import round_activations

HELD = ref.HERE.parent.parent / "models" / "talking" / "held" / "conversations.jsonl"
SYSTEM = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"


def model_of(file):
    def key(name):
        return file.fields["qwen2moe." + name].contents()
    cfg = transformers.Qwen2MoeConfig(
        vocab_size=key("vocab_size"), hidden_size=key("embedding_length"), num_hidden_layers=key("block_count"),
        num_attention_heads=key("attention.head_count"), num_key_value_heads=key("attention.head_count_kv"), qkv_bias=False,
        moe_intermediate_size=key("expert_feed_forward_length"), num_experts=key("expert_count"),
        shared_expert_intermediate_size=key("expert_shared_feed_forward_length"), num_experts_per_tok=key("expert_used_count"),
        norm_topk_prob=key("expert_weights_norm"), rms_norm_eps=key("attention.layer_norm_rms_epsilon"),
        rope_theta=key("rope.freq_base"), max_position_embeddings=key("context_length"), tie_word_embeddings=True, use_cache=False)
    names = {v: k for k, v in ref.LAYER_NAMES.items() if not k.startswith("block_sparse_moe")}
    weights = {}
    for t in file.tensors:
        w = dequantize(t.data, t.tensor_type).astype(np.float32)
        if not t.name.startswith("blk."):
            weights[{"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}[t.name]] = w
            continue
        _, layer, rest = t.name.split(".", 2)
        if rest.endswith("_exps.weight"):
            for e, x in enumerate(w):
                weights["model.layers.%s.mlp.experts.%d.%s_proj.weight" % (layer, e, rest[4:-12])] = x
        else:
            weights["model.layers.%s.%s" % (layer, names[rest])] = w.reshape(1, -1) if rest == "ffn_gate_inp_shexp.weight" else w
    return ref.load(ref.model_of("qwen2_moe", cfg), weights)


def logprobs(model, ids):
    with torch.no_grad():
        p = torch.log_softmax(model(input_ids=torch.tensor([ids])).logits[0, :-1], -1)
    return [ref.shorten(x) for x in p[range(len(ids) - 1), ids[1:]].tolist()]


def main():
    versions = ref.start()
    file = GGUFReader(sys.argv[1])
    model, turns = model_of(file), json.loads(HELD.read_text(encoding="utf-8").split("\n")[0])
    text = SYSTEM + "".join("<|im_start|>%s\n%s<|im_end|>\n" % ("assistant" if i % 2 else "user", t) for i, t in enumerate(turns))
    ids = tokenizer_of(file).encode(text, add_special_tokens=False).ids[:256]
    out = {"made_with": versions, "sha256": hashlib.sha256(Path(sys.argv[1]).read_bytes()).hexdigest(), "ids": ids,
           "logprobs": logprobs(model, ids)}
    for n, m in model.named_modules():
        if isinstance(m, torch.nn.Linear) and not n.endswith((".mlp.gate", ".mlp.shared_expert_gate")):
            m.register_forward_pre_hook(round_activations)
    out["rounded"] = logprobs(model, ids)
    exact, rounded = np.array(out["logprobs"]), np.array(out["rounded"])
    print("mean %.4f, rounded %.4f; apart by %.4f in the mean, %.4f at most" % (
        exact.mean(), rounded.mean(), np.abs(exact - rounded).mean(), np.abs(exact - rounded).max()))
    path = ref.HERE / "expected" / "smollm2-135m-instruct-moe.json"
    path.write_text(json.dumps(out, separators=(",", ":")) + "\n")


main()

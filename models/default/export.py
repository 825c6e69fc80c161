#!/usr/bin/env python3
"""Writes a trained state as a Hugging Face folder of an OLMoE model.

usage: export.py FOLDER OUT [--data DIR]

OUT gets config.json, generation_config.json, model.safetensors (float32, transformers' names of version 4: one tensor an
expert), tokenizer.json and tokenizer_config.json. Sluice serves the folder as it is; `sluice convert OUT --type q4_k_m`
makes the GGUF.
"""
import argparse
import json
import os
import shutil

import torch
from safetensors.torch import save_file

from model import EPS, THETA, Config, Model


def tensors(config, views):
    """{transformers' name: tensor} from {train.py's name: tensor}."""
    out = {"model.embed_tokens.weight": views["embedding"], "model.norm.weight": views["norm"], "lm_head.weight": views["output"]}
    for i in range(config.layers):
        own = {name: views["blocks.%d.%s" % (i, name)] for name in
               ("qkv", "out", "q_norm", "k_norm", "attention_norm", "expert_norm", "router", "gate_up", "down")}
        at = "model.layers.%d." % i
        for j, name in enumerate("qkv"):
            out[at + "self_attn.%s_proj.weight" % name] = own["qkv"][j]
        out[at + "self_attn.o_proj.weight"] = own["out"]
        out[at + "self_attn.q_norm.weight"], out[at + "self_attn.k_norm.weight"] = own["q_norm"], own["k_norm"]
        out[at + "input_layernorm.weight"] = own["attention_norm"]
        out[at + "post_attention_layernorm.weight"] = own["expert_norm"]
        out[at + "mlp.gate.weight"] = own["router"]
        for e in range(config.experts):
            expert = at + "mlp.experts.%d." % e
            out[expert + "gate_proj.weight"], out[expert + "up_proj.weight"] = own["gate_up"][e].chunk(2)
            out[expert + "down_proj.weight"] = own["down"][e]
    return {name: t.detach().float().contiguous().clone() for name, t in out.items()}


def description(config):
    """config.json of transformers' OlmoeForCausalLM."""
    return {"architectures": ["OlmoeForCausalLM"], "model_type": "olmoe", "vocab_size": config.vocab, "hidden_size": config.width,
            "intermediate_size": config.ff, "num_hidden_layers": config.layers, "num_attention_heads": config.heads,
            "num_key_value_heads": config.heads, "num_experts": config.experts, "num_experts_per_tok": config.top_k,
            "norm_topk_prob": False, "hidden_act": "silu", "max_position_embeddings": config.context, "rms_norm_eps": EPS,
            "rope_theta": THETA, "attention_bias": False, "clip_qkv": None, "tie_word_embeddings": False,
            "bos_token_id": None, "eos_token_id": 0, "pad_token_id": 0, "torch_dtype": "float32"}


def write_json(folder, name, value):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
        json.dump(value, f, indent=2)
        f.write("\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", help="train.py's")
    parser.add_argument("out")
    parser.add_argument("--data", default=".cache/train/data", help="where tokenizer.json is")
    arguments = parser.parse_args()
    with open(os.path.join(arguments.folder, "run.json"), encoding="utf-8") as f:
        run = json.load(f)
    state = torch.load(os.path.join(arguments.folder, "state.pt"), weights_only=True)
    config, views, at = Config(**run["config"]), {}, 0
    for name, parameter in Model(config).named_parameters():
        views[name] = state["value"][at:at + parameter.numel()].view(parameter.shape)
        at += parameter.numel()
    os.makedirs(arguments.out, exist_ok=True)
    save_file(tensors(config, views), os.path.join(arguments.out, "model.safetensors"), metadata={"format": "pt"})
    write_json(arguments.out, "config.json", description(config))
    write_json(arguments.out, "generation_config.json", {"eos_token_id": 0, "do_sample": True, "temperature": 0.7, "top_p": 0.95})
    write_json(arguments.out, "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>",
                                                        "model_max_length": config.context, "add_bos_token": False})
    shutil.copyfile(os.path.join(arguments.data, "tokenizer.json"), os.path.join(arguments.out, "tokenizer.json"))
    print("step %d: %d parameters, %d active a token" % (state["step"], config.total(), config.active()))


if __name__ == "__main__":
    main()

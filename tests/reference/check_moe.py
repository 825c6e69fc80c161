#!/usr/bin/env python3
"""Holds models/make_moe.py against its sources on the real files: every tensor of the mixture is computed again with numpy and
quantised by gguf-py, and must be the same to the last bit.

    check_moe.py DENSE.gguf ROUTER.gguf MOE.gguf
"""
import sys

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader
from gguf.quants import dequantize, quantize


def tensors(path):
    r = GGUFReader(path)
    return {t.name: t for t in r.tensors}, r


def values(t):
    return dequantize(t.data, t.tensor_type).astype(np.float64)


def same(name, t, want, kind):
    assert t.tensor_type == kind and np.array_equal(np.asarray(t.data).reshape(-1).view(np.uint8), want.reshape(-1).view(np.uint8)), name


dense, dense_file = tensors(sys.argv[1])
learned, learned_file = tensors(sys.argv[2])
moe, moe_file = tensors(sys.argv[3])
layers = dense_file.fields["llama.block_count"].contents()
experts, used, shared = (moe_file.fields["qwen2moe.expert_" + k].contents() for k in ("count", "used_count", "shared_feed_forward_length"))
heads = {"attn_q": "head_count", "attn_k": "head_count_kv"}
checked = set()
for layer in range(layers):
    def name(part):
        return "blk.%d.%s" % (layer, part)

    def check(part, want, kind):
        same(name(part), moe[name(part + ".weight")], np.ascontiguousarray(want), kind)
        checked.add(name(part + ".weight"))
    order = np.asarray(learned[name("ffn_units")].data)
    assert np.array_equal(np.sort(order), np.arange(len(order)))
    for part in ("ffn_gate", "ffn_up"):
        t = dense[name(part + ".weight")]
        check(part + "_shexp", t.data[order[:shared]], t.tensor_type)
        check(part + "_exps", t.data[order[shared:]], t.tensor_type)
    down = values(dense[name("ffn_down.weight")])[:, order]
    a, b = (values(learned[name("ffn_down.weight.lora_" + x)]) for x in "ab")
    for i in range(len(a)):
        down = down + a[i] * b[:, i : i + 1]
    times = np.where(np.arange(len(order)) < shared, 2, used)
    down = (down * (times * values(learned[name("ffn_factor")]))).astype(np.float32)
    q8_0 = GGMLQuantizationType.Q8_0
    check("ffn_down_shexp", quantize(np.ascontiguousarray(down[:, :shared]), q8_0), q8_0)
    others = down[:, shared:].reshape(len(down), experts, -1).transpose(1, 0, 2)
    check("ffn_down_exps", quantize(np.ascontiguousarray(others), q8_0), q8_0)
    for part in ("ffn_gate_inp", "attn_norm", "ffn_norm"):
        check(part, values(learned[name(part + ".weight")]).astype(np.float32), GGMLQuantizationType.F32)
    check("ffn_gate_inp_shexp", np.zeros(len(down), np.float32), GGMLQuantizationType.F32)
    for part, key in heads.items():
        t, n = dense[name(part + ".weight")], dense_file.fields["llama.attention." + key].contents()
        check(part, t.data.reshape(n, -1, 2, t.data.shape[-1]).swapaxes(1, 2), t.tensor_type)
for name, t in moe.items():
    if name not in checked:
        same(name, t, np.asarray(dense[name].data), dense[name].tensor_type)
for key, field in dense_file.fields.items():
    if not key.startswith("GGUF.") and key not in ("general.name", "general.description", "general.architecture"):
        assert moe_file.fields[key.replace("llama.", "qwen2moe.")].contents() == field.contents(), key
print("%d layers of %d experts and a shared one, %d used: all tensors are what gguf-py makes of them" % (layers, experts, used))

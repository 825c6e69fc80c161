#!/usr/bin/env python3
"""Holds models/make_moe.py against its source: every layer's mixture of experts gives the dense layer's output.

    check_moe.py DENSE.gguf MOE.gguf

Weights are decoded by gguf-py; the feed-forward layers are computed in float64, in numpy.
"""
import sys

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize


def tensors(path):
    r = GGUFReader(path)
    return {t.name: (t, dequantize(t.data, t.tensor_type)) for t in r.tensors}, r


def silu(x):
    return x / (1 + np.exp(-x))


dense, dense_file = tensors(sys.argv[1])
moe, moe_file = tensors(sys.argv[2])
rng = np.random.default_rng(1)
layers = dense_file.fields["llama.block_count"].contents()
worst = 0
for layer in range(layers):
    def d(part):
        return dense["blk.%d.%s.weight" % (layer, part)][1].astype(np.float64)

    def m(part):
        return moe["blk.%d.%s.weight" % (layer, part)][1].astype(np.float64)
    gate, up, down = m("ffn_gate_exps"), m("ffn_up_exps"), m("ffn_down_exps")
    x = rng.standard_normal(gate.shape[-1])
    want = d("ffn_down") @ (silu(d("ffn_gate") @ x) * (d("ffn_up") @ x))
    score = np.exp(m("ffn_gate_inp") @ x)
    weight = score / score.sum()
    assert (weight == 1 / len(weight)).all()
    got = sum(w * (down[e] @ (silu(gate[e] @ x) * (up[e] @ x))) for e, w in enumerate(weight))
    worst = max(worst, np.abs(got - want).max() / np.abs(want).max())
    # Not only the sum: the weights themselves are equal, to the last bit.
    assert (np.concatenate(gate) == d("ffn_gate")).all() and (np.concatenate(up) == d("ffn_up")).all()
    assert (np.concatenate(down, axis=1) == len(down) * d("ffn_down")).all()
for name, (t, _) in dense.items():
    if "ffn_" not in name or "ffn_norm" in name:
        assert (moe[name][0].data == t.data).all() and moe[name][0].tensor_type == t.tensor_type, name
for key, field in dense_file.fields.items():
    if key.startswith("GGUF.") or key in ("general.name", "general.description", "llama.feed_forward_length"):
        continue
    assert moe_file.fields[key].contents() == field.contents(), key
print("%d layers: outputs differ by at most %.1e of the largest, weights and metadata not at all" % (layers, worst))
assert worst < 1e-12

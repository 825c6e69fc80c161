#!/usr/bin/env python3
"""Makes quants/ (blocks of every quantised type and their values) and the quantised checkpoints.

The values are those of gguf-py's decoders. Q8_0, Q4_0 and Q4_1 are quantised by gguf-py, Q4_K and Q6_K here: round to
nearest without a search for better scales, which makes valid blocks, and that is all that is needed.

Run after make_checkpoints.py: it adds to list.json.
"""
import itertools
import json

import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from gguf.quants import dequantize, quantize

import reference as ref

BLOCKS = {"F16": 2048, "BF16": 2048, "Q8_0": 256, "Q4_0": 256, "Q4_1": 256, "Q4_K": 96, "Q6_K": 96,
          "Q5_0": 64, "Q5_1": 64, "IQ4_NL": 64, "MXFP4": 64, "Q2_K": 16, "Q3_K": 16, "Q5_K": 16, "IQ4_XS": 16}
VALUES = {"F16": 1, "BF16": 1, "Q8_0": 32, "Q4_0": 32, "Q4_1": 32, "Q4_K": 256, "Q6_K": 256,
          "Q5_0": 32, "Q5_1": 32, "IQ4_NL": 32, "MXFP4": 32, "Q2_K": 256, "Q3_K": 256, "Q5_K": 256, "IQ4_XS": 256}
BYTES = {"F16": 2, "BF16": 2, "Q8_0": 34, "Q4_0": 18, "Q4_1": 20, "Q4_K": 144, "Q6_K": 210,
         "Q5_0": 22, "Q5_1": 24, "IQ4_NL": 18, "MXFP4": 17, "Q2_K": 84, "Q3_K": 110, "Q5_K": 176, "IQ4_XS": 136}
HALVES = {"F16": [0], "BF16": [], "Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q4_K": [0, 2], "Q6_K": [208],
          "Q5_0": [0], "Q5_1": [0, 2], "IQ4_NL": [0], "MXFP4": [], "Q2_K": [80, 82], "Q3_K": [108], "Q5_K": [0, 2], "IQ4_XS": [0]}

SMALL = dict(vocab_size=264, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
             intermediate_size=32, num_local_experts=4, num_experts_per_tok=2, rope_theta=1e4)
MODELS = {
    "mixtral-q8_0": dict(seed=10146, family="mixtral", type="Q8_0", config=SMALL),
    "mixtral-q4_0": dict(seed=20021, family="mixtral", type="Q4_0", config=SMALL),
    "mixtral-q4_1": dict(seed=30018, family="mixtral", type="Q4_1", config=SMALL),
    "qwen3moe-q4_k": dict(seed=40001, family="qwen3_moe", type="Q4_K", config=dict(
        vocab_size=264, hidden_size=256, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
        intermediate_size=256, moe_intermediate_size=256, num_experts=4, num_experts_per_tok=2, norm_topk_prob=True,
        tie_word_embeddings=True, rope_theta=1e6)),
    "llama-q6_k": dict(seed=50001, family="llama", type="Q6_K", config=dict(
        vocab_size=264, hidden_size=256, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
        intermediate_size=256, tie_word_embeddings=True, rope_theta=1e4)),
}


def half_bytes(x):
    return np.ascontiguousarray(x.astype("<f2")).view(np.uint8).reshape(len(x), 2)


def divide(a, b):
    return np.divide(a, b, out=np.zeros(np.broadcast_shapes(a.shape, b.shape), np.float32), where=b != 0)


def quantize_q4_k(x):
    """float32 [n][256] to blocks [n][144]."""
    x = x.reshape(-1, 8, 32).astype(np.float32)
    lo, hi = np.minimum(x.min(-1), 0), x.max(-1)
    scale, least = np.maximum(hi - lo, 0) / 15, -lo
    d, dmin = (scale.max(-1) / 63).astype(np.float16), (least.max(-1) / 63).astype(np.float16)
    sc = np.clip(np.rint(divide(scale * 63, scale.max(-1)[:, None])), 0, 63).astype(np.uint8)
    mn = np.clip(np.rint(divide(least * 63, least.max(-1)[:, None])), 0, 63).astype(np.uint8)
    step = d.astype(np.float32)[:, None] * sc
    floor = dmin.astype(np.float32)[:, None] * mn
    q = np.clip(np.rint(divide(x + floor[..., None], step[..., None])), 0, 15).astype(np.uint8)
    packed = np.empty((len(x), 12), np.uint8)
    packed[:, 0:4] = sc[:, :4] | (sc[:, 4:] >> 4) << 6
    packed[:, 4:8] = mn[:, :4] | (mn[:, 4:] >> 4) << 6
    packed[:, 8:12] = (sc[:, 4:] & 15) | (mn[:, 4:] & 15) << 4
    codes = (q[:, 0::2] | q[:, 1::2] << 4).reshape(len(x), 128)
    return np.concatenate([half_bytes(d), half_bytes(dmin), packed, codes], axis=1)


def quantize_q6_k(x):
    """float32 [n][256] to blocks [n][210]."""
    x = x.reshape(-1, 16, 16).astype(np.float32)
    extreme = np.take_along_axis(x, np.abs(x).argmax(-1)[..., None], -1)[..., 0]
    scale = extreme / -32
    most = np.take_along_axis(scale, np.abs(scale).argmax(-1)[:, None], -1)
    d = (most[:, 0] / -128).astype(np.float16)
    sc = np.clip(np.rint(divide(scale * -128, most)), -128, 127).astype(np.int8)
    step = d.astype(np.float32)[:, None] * sc
    q = (np.clip(np.rint(divide(x, step[..., None])), -32, 31) + 32).astype(np.uint8).reshape(-1, 2, 4, 32)
    low = (q[:, :, 0:2] & 15 | (q[:, :, 2:4] & 15) << 4).reshape(len(x), 128)
    high = (q[:, :, 0] >> 4 | q[:, :, 1] >> 4 << 2 | q[:, :, 2] >> 4 << 4 | q[:, :, 3] >> 4 << 6).reshape(len(x), 64)
    return np.concatenate([low, high, sc.view(np.uint8), half_bytes(d)], axis=1)


def blocks_of(w, kind):
    """Rows of float32 to rows of blocks."""
    if kind in ("Q4_K", "Q6_K"):
        q = {"Q4_K": quantize_q4_k, "Q6_K": quantize_q6_k}[kind](w.reshape(-1, 256))
        return q.reshape(*w.shape[:-1], -1)
    return quantize(np.ascontiguousarray(w), Type[kind])


def check_quantisers():
    """Their error is near that of ggml's quantisers, which search."""
    i = np.arange(256)
    x = ((((i * 7919 + 13) % 2003) - 1001) / 512).astype(np.float32)
    for kind, best in (("Q4_K", 0.069751), ("Q6_K", 0.0175)):
        y = dequantize(blocks_of(x, kind), Type[kind])
        error = float(np.sqrt(np.mean((x - y) ** 2)))
        print("%s: error %.6f" % (kind, error))
        assert error < 1.25 * best, kind
    assert blocks_of(x[:32], "Q8_0").tobytes().hex() == "c82381776b5f53473b2f23170bfff3e7dbcfc3b7ab9f93877d7165594d4135291d11"


def make_blocks():
    folder = ref.HERE / "quants"
    folder.mkdir(exist_ok=True)
    for kind, count in BLOCKS.items():
        rng = np.random.default_rng([7, Type[kind].value])
        raw = rng.integers(0, 256, (count, BYTES[kind]), dtype=np.uint8)
        for at in HALVES[kind]:
            # Any finite float, and as often one of a real file's size; the first blocks' is 0 and the last's the largest.
            code = rng.integers(0, 1 << 16, count, dtype=np.uint16)
            code &= np.uint16(0xFBFF)
            usual = (rng.uniform(-0.02, 0.02, count).astype(np.float16)).view(np.uint16)
            code = np.where(rng.random(count) < 0.5, code, usual)
            code[:2], code[-1] = 0, 0x7BFF
            raw[:, at : at + 2] = code.astype("<u2").view(np.uint8).reshape(count, 2)
        if kind == "BF16":
            raw[:, 1] &= 0xBF  # magnitudes below 2
        if kind == "MXFP4":
            raw[:6, 0] = 0, 1, 2, 253, 254, 255  # two subnormal powers, and three whose values may be infinite
        with np.errstate(over="ignore"):
            values = dequantize(raw, Type[kind]).reshape(count, VALUES[kind])
        assert np.isfinite(values).all() or kind == "MXFP4", kind
        raw.tofile(folder / (kind + ".blocks"))
        values.astype("<f4").tofile(folder / (kind + ".f32"))


def type_of(name, w, kind):
    """The type of a tensor in a file of this kind: rows that are not whole blocks of 256 fall back to Q8_0."""
    if ref.always_f32(name, w):
        return None
    return "Q8_0" if kind in ("Q4_K", "Q6_K") and w.shape[-1] % 256 else kind


def hf_as_quantised(weights, kind):
    """The weights as the quantised file has them: {name: float32}."""
    out = {}
    for name, w in weights.items():
        router = name.endswith((".mlp.gate.weight", ".block_sparse_moe.gate.weight"))
        t = None if router else type_of(name, w, kind)
        out[name] = w if t is None else dequantize(blocks_of(w, t), Type[t]).reshape(w.shape)
    return out


def round_activations(module, args):
    """What a kernel sees: a row in int8 with one scale for 32 values (largest / 127, nearest, ties to even)."""
    x = args[0]
    v = x.reshape(-1, 32)
    scale = v.abs().amax(-1, keepdim=True) / 127
    inverse = torch.where(scale > 0, 1 / scale, torch.zeros_like(scale))
    return (torch.round(v * inverse) * scale).reshape(x.shape),


def rows_of(model, data):
    """The logits that NAME.logits.f32 has rows for, in that order."""
    rows = []
    for p in data["prompts"]:
        rows += list(ref.forward(model, p["ids"])[0][p["first_position"] :])
        rows.append(ref.last_logits(model, p["ids"] + p["greedy"][:-1]))
    return np.array(rows, "<f4")


def apart(got, want):
    """How far rows of logits are apart: the largest difference over the row's largest logit, and root mean squares."""
    return {"largest": ref.shorten((np.abs(got - want).max(-1) / np.abs(want).max(-1)).max()),
            "rms": ref.shorten(np.sqrt(((got - want) ** 2).mean() / (want ** 2).mean()))}


def clear(model, seed):
    """Is routing such that rounding does not upset it, in the three shorter prompts?"""
    return all(ref.least_margin(model, ids) >= 0.01 for ids in ref.prompts_of(seed, model.config.vocab_size)[:3])


def make(name, seed, family, type, config):
    """Writes the checkpoint and what is expected of it; the seed is the first from the given one on with clear margins, which for the
    rows of MODELS is that one."""
    cfg = ref.config(family, **config)
    model = ref.model_of(family, cfg)
    path = ref.HERE / "expected" / (name + ".json")
    for seed in itertools.count(seed):
        weights = ref.random_weights(model, seed)
        ref.load(model, hf_as_quantised(weights, type))
        if not clear(model, seed):
            continue
        greedy, route = ref.record(name, family, model, seed)
        if greedy >= 1e-3 and route >= 1e-4:
            break
    data = json.loads(path.read_text())

    exact = np.fromfile(path.with_name(name + ".logits.f32"), "<f4").reshape(-1, cfg.vocab_size)
    hooks = [m.register_forward_pre_hook(round_activations) for n, m in model.named_modules()
             if isinstance(m, torch.nn.Linear) and not n.endswith((".mlp.gate", ".block_sparse_moe.gate"))]
    rounded = rows_of(model, data)
    for h in hooks:
        h.remove()
    rounded.tofile(path.with_name(name + ".rounded.f32"))
    ref.load(model, weights)
    data["rounding"] = apart(rounded, exact)
    data["quantising"] = apart(exact, rows_of(model, data))
    path.write_text(json.dumps(data, separators=(",", ":")) + "\n")

    tensors = []
    for n, w in ref.gguf_tensors(family, cfg, weights):
        t = type_of(n, w, type)
        tensors.append((n, w if t is None else (Type[t], blocks_of(w, t))))
    ref.write_gguf(ref.HERE / "checkpoints" / (name + ".gguf"), family, cfg, tensors, type, name)
    print("%-14s seed %d, least margins: greedy %.2g, routing %.2g; rounding %s, quantising %s"
          % (name, seed, greedy, route, data["rounding"], data["quantising"]))
    return {"model": "checkpoints/%s.gguf" % name, "expected": name, "container": "gguf", "family": family, "type": type, "quantised": True}


def main():
    ref.start()
    check_quantisers()
    make_blocks()
    path = ref.HERE / "list.json"
    entries = [e for e in json.loads(path.read_text()) if e["expected"] not in MODELS]
    entries += [make(name, **m) for name, m in MODELS.items()]
    path.write_text("[\n" + ",\n".join(json.dumps(e) for e in entries) + "\n]\n")


if __name__ == "__main__":
    main()

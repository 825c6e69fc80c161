#!/usr/bin/env python3
"""Joins a dense GGUF model of the llama architecture with routers that were trained for it: a mixture of experts.

    make_moe.py DENSE.gguf ROUTER.gguf MOE.gguf [--used N] [--name NAME]

A feed-forward layer is a sum over its hidden units, y = Σ down[:, u] · silu(gate[u] · x) · (up[u] · x), and a sum can be cut.
ROUTER.gguf (models/README.md) says how, for each layer N:

    blk.N.ffn_units               I16 [units]             the dense layer's units in their new order: those that always run, then
                                                          expert after expert
    blk.N.ffn_gate_inp.weight     Q8_0 [experts][width]   the router
    blk.N.attn_norm.weight, blk.N.ffn_norm.weight         F16 [width], in place of the dense ones
    blk.N.ffn_down.weight.lora_a  Q8_0 [4][units]         what is added to down, columns in the new order: lora_b times lora_a
    blk.N.ffn_down.weight.lora_b  F16 [width][4]
    blk.N.ffn_factor              F16 [units]             and what each column of that sum is multiplied by

The mixture has the form of Qwen2-MoE: a shared expert that always runs, and of the others the N with the largest router logits;
their weights, a softmax over the chosen, sum to 1. Down is multiplied by N to make up for it, and by 2 in the shared expert,
whose gate is a sigmoid of zero. Nothing else of that family is used: rows of q and k are reordered for its way of rotating.
Rows of gate and up move whole, so their bytes are the dense model's; columns of down that were in a block together go to
different experts, so down is quantised again, in Q8_0, as the reference does it.
Python's standard library is all that this uses; numbers are added and multiplied one by one in 64 bits and rounded once, to
the 32 bits that are quantised, so the file is the same everywhere.
"""
import argparse
import array
import itertools
import mmap
import operator
import os
import struct
import sys

import gguf_file as gguf
from gguf_file import Refused

UNITS = 32  # of a block of Q8_0, so an expert's units are a multiple
RANK = 4  # of what is added to down
LOW, HIGH = bytes(c & 15 for c in range(256)), bytes(c >> 4 for c in range(256))


def values_q4_1(raw):
    out = array.array("f")
    for scale, least, codes in struct.iter_unpack("<ee16s", raw):
        value = [scale * q + least for q in range(16)].__getitem__
        out.extend(map(value, codes.translate(LOW)))
        out.extend(map(value, codes.translate(HIGH)))
    return out


def values_q8_0(raw):
    out = array.array("f")
    for block in struct.iter_unpack("<e32b", raw):
        out.extend([block[0] * q for q in block[1:]])
    return out


VALUES = {gguf.Q4_1: values_q4_1, gguf.Q8_0: values_q8_0,
          gguf.F16: lambda raw: array.array("f", (x for x, in struct.iter_unpack("<e", raw)))}


def row_q8_0(values):
    """A row of whole blocks, quantised with the reference's steps, each in 32-bit floats."""
    blocks = [values[at : at + UNITS] for at in range(0, len(values), UNITS)]
    scales = array.array("f", [max(max(block), -min(block)) / 127 for block in blocks])
    if not max(scales) <= 65504:
        raise Refused("the values of a row of down are too large for Q8_0")
    inverses = array.array("f", [1 / s if s else 0.0 for s in scales])
    each = itertools.chain.from_iterable(map(itertools.repeat, inverses, itertools.repeat(UNITS)))
    steps = array.array("f", map(operator.mul, values, each))
    # A float of 2^23 and more has no fraction, so adding 1.5 * 2^23 rounds, and leaves the integer in the lowest byte. Halves
    # go to the even one there, but away from zero in the reference: what is a half is made a little larger before.
    whole = array.array("f", [x * (1 + 2.0 ** -26) + 12582912.0 for x in steps]).tobytes()[::4]
    return b"".join(struct.pack("<e32s", s, whole[i * UNITS : (i + 1) * UNITS]) for i, s in enumerate(scales))


def joined_down(raw, kind, routers, layer, used):
    """The rows of down [width][units] in Q8_0, units in the new order."""
    row = len(raw) // routers.width
    pick = operator.itemgetter(*routers.order(layer))
    a0, a1, a2, a3 = routers.shift_in(layer)
    shift_out = routers.shift_out(layer)
    factors = [(2 if u < routers.shared else used) * f for u, f in enumerate(routers.factors(layer))]
    for r in range(routers.width):
        b0, b1, b2, b3 = shift_out[r * RANK : (r + 1) * RANK]
        values = pick(VALUES[kind](raw[r * row : (r + 1) * row]))
        yield row_q8_0(array.array("f", [
            ((((x + w0 * b0) + w1 * b1) + w2 * b2) + w3 * b3) * f for x, w0, w1, w2, w3, f in zip(values, a0, a1, a2, a3, factors)]))


class Routers:
    """ROUTER.gguf, checked against the dense model's sizes."""

    def __init__(self, data, layers, width, ff):
        keys, tensors, _ = gguf.read(data)
        self.data, self.width, self.ff = data, width, ff
        if gguf.text(keys, "general.type", "") != "router":
            raise Refused("general.type is not \"router\"")
        self.experts, self.used, self.shared = (
            gguf.number(keys, "llama.expert_" + k) for k in ("count", "used_count", "shared_feed_forward_length"))
        whole = 0 < self.shared < ff and self.shared % UNITS == 0
        if not 1 <= self.used <= self.experts <= 512 or not whole or (ff - self.shared) % (self.experts * UNITS):
            raise Refused("%d hidden units cannot be cut into a shared expert of %d and %d others of whole blocks, %d of them used" % (
                ff, self.shared, self.experts, self.used))
        self.piece = (ff - self.shared) // self.experts
        self.tensors = {name: (dims, kind, start, size) for name, dims, kind, start, size in tensors}
        for layer in range(layers):
            if sorted(self.order(layer)) != list(range(ff)):
                raise Refused("blk.%d.ffn_units does not name each of %d units once" % (layer, ff))

    def get(self, name, dims, kind):
        have = self.tensors.get(name)
        if have is None or have[:2] != (dims, kind):
            raise Refused("has no tensor %s of shape %s and type %s" % (name, dims, gguf.TYPES[kind][0]))
        return self.data[have[2] : have[2] + have[3]]

    def order(self, layer):
        return array.array("h", self.get("blk.%d.ffn_units" % layer, [self.ff], gguf.I16)).tolist()

    def factors(self, layer):
        return VALUES[gguf.F16](self.get("blk.%d.ffn_factor" % layer, [self.ff], gguf.F16))

    def shift_in(self, layer):
        flat = VALUES[gguf.Q8_0](self.get("blk.%d.ffn_down.weight.lora_a" % layer, [self.ff, RANK], gguf.Q8_0)).tolist()
        return [flat[i * self.ff : (i + 1) * self.ff] for i in range(RANK)]

    def shift_out(self, layer):
        return VALUES[gguf.F16](self.get("blk.%d.ffn_down.weight.lora_b" % layer, [RANK, self.width], gguf.F16)).tolist()

    def router(self, layer):
        return VALUES[gguf.Q8_0](self.get("blk.%d.ffn_gate_inp.weight" % layer, [self.width, self.experts], gguf.Q8_0)).tobytes()

    def norm(self, name):
        return VALUES[gguf.F16](self.get(name, [self.width], gguf.F16)).tobytes()


class Down:
    """The shared expert's down [width][shared] and the others' [experts][width][piece], made together when the first is asked for."""

    def __init__(self, make, routers):
        self.make, self.routers, self.others = make, routers, None

    def shared(self):
        cut = self.routers.shared // UNITS * gguf.TYPES[gguf.Q8_0][2]
        piece = self.routers.piece // UNITS * gguf.TYPES[gguf.Q8_0][2]
        rows = list(self.make())
        self.others = b"".join(r[cut + e * piece : cut + (e + 1) * piece] for e in range(self.routers.experts) for r in rows)
        return b"".join(r[:cut] for r in rows)

    def experts(self):
        others, self.others = self.others, None
        return others


def halves(raw, rows, heads):
    """Rows of q or k: pairs (2j, 2j + 1) of a head become (j, j + half)."""
    size, head = len(raw) // rows, rows // heads
    order = [h * head + i for h in range(heads) for part in (0, 1) for i in range(part, head, 2)]
    return b"".join(raw[r * size : (r + 1) * size] for r in order)


def plan(keys, tensors, data, routers, layers, used):
    """[(name, dims, type, function that gives the bytes)] of the new file."""
    width, ff, shared, piece, experts = routers.width, routers.ff, routers.shared, routers.piece, routers.experts
    heads = {"attn_q": gguf.number(keys, "llama.attention.head_count"), "attn_k": gguf.number(keys, "llama.attention.head_count_kv")}
    shapes = {"ffn_gate": [width, ff], "ffn_up": [width, ff], "ffn_down": [ff, width], "ffn_norm": [width], "attn_norm": [width]}
    out, seen = [], set()

    def add(layer, part, dims, kind, make):
        out.append(("blk.%d.%s.weight" % (layer, part), dims, kind, make))
    for name, dims, kind, start, size in tensors:
        layer, part = (name.split(".")[1:3] if name.startswith("blk.") and name.count(".") == 3 else ("", ""))
        get = lambda s=start, n=size: data[s : s + n]  # noqa: E731
        if part in heads:
            if len(dims) != 2 or heads[part] < 1 or dims[1] % (2 * heads[part]):
                raise Refused("%s has the shape %s, which is not that of %d heads" % (name, dims, heads[part]))
            out.append((name, dims, kind, lambda get=get, rows=dims[1], n=heads[part]: halves(get(), rows, n)))
            continue
        if part not in shapes:
            if part.startswith("ffn_"):
                raise Refused("%s: not a plain dense feed-forward layer" % name)
            out.append((name, dims, kind, get))
            continue
        if dims != shapes[part] or not name.endswith(".weight") or not layer.isdigit() or int(layer) >= layers:
            raise Refused("%s has the shape %s, not %s" % (name, dims, shapes[part]))
        seen.add(name)
        i = int(layer)
        if part.endswith("norm"):
            out.append((name, dims, gguf.F32, lambda name=name: routers.norm(name)))
        elif part == "ffn_down":
            if kind not in (gguf.Q4_1, gguf.Q8_0):
                raise Refused("%s has the type %s, not Q4_1 or Q8_0" % (name, gguf.TYPES[kind][0]))
            down = Down(lambda i=i, get=get, kind=kind: joined_down(get(), kind, routers, i, used), routers)
            add(i, "ffn_down_shexp", [shared, width], gguf.Q8_0, down.shared)
            add(i, "ffn_down_exps", [piece, width, experts], gguf.Q8_0, down.experts)
        else:
            def moved(first, end, i=i, get=get, row=size // ff):
                raw = get()
                return b"".join(raw[u * row : (u + 1) * row] for u in routers.order(i)[first:end])
            add(i, part + "_shexp", [width, shared], kind, lambda moved=moved: moved(0, shared))
            add(i, part + "_exps", [width, piece, experts], kind, lambda moved=moved: moved(shared, ff))
        if part == "ffn_gate":
            add(i, "ffn_gate_inp", [width, experts], gguf.F32, lambda i=i: routers.router(i))
            add(i, "ffn_gate_inp_shexp", [width], gguf.F32, lambda: bytes(4 * width))
    missing = [n for n in ("blk.%d.%s.weight" % (i, p) for i in range(layers) for p in shapes) if n not in seen]
    if missing:
        raise Refused("has no tensor " + missing[0])
    return out


def new_keys(keys, routers, used, name):
    """The dense model's keys under the new architecture's name, and the mixture's own."""
    title = gguf.text(keys, "general.name", "a dense model")

    def u32(n):
        return gguf.U32, struct.pack("<I", n)
    moved = {k.replace("llama.", "qwen2moe.", 1) if k.startswith("llama.") else k: v for k, v in keys.items()}
    change = {
        "general.architecture": gguf.string_value("qwen2moe"),
        "general.name": gguf.string_value(name or "%s, %d of %d experts" % (title, used, routers.experts)),
        "general.description": gguf.string_value(
            "Made from the dense model \"%s\": of each feed-forward layer %d hidden units always run; the others are %d experts of "
            "units that fire together, and a trained router chooses %d of them." % (title, routers.shared, routers.experts, used)),
        "qwen2moe.expert_count": u32(routers.experts),
        "qwen2moe.expert_used_count": u32(used),
        "qwen2moe.expert_feed_forward_length": u32(routers.piece),
        "qwen2moe.expert_shared_feed_forward_length": u32(routers.shared),
        "qwen2moe.expert_weights_norm": (gguf.BOOL, b"\1"),
    }
    return {**moved, **change}


def mapped(f):
    return mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)


def make(dense, router, out, used, name):
    """Writes the mixture of two mapped files to `out`."""
    keys, tensors, align = gguf.read(dense)
    if gguf.text(keys, "general.architecture", "") != "llama":
        raise Refused("architecture is not llama")
    if gguf.number(keys, "llama.expert_count", 0):
        raise Refused("has experts already")
    if "split.count" in keys and int.from_bytes(keys["split.count"][1], "little") > 1:
        raise Refused("is one part of several")
    layers = gguf.number(keys, "llama.block_count")
    routers = Routers(router, layers, *(gguf.number(keys, "llama." + k) for k in ("embedding_length", "feed_forward_length")))
    used = used or routers.used
    if used > routers.experts:
        raise Refused("%d of %d experts cannot be used" % (used, routers.experts))
    gguf.write(out, new_keys(keys, routers, used, name), plan(keys, tensors, dense, routers, layers, used), align)


def main():
    p = argparse.ArgumentParser(description="Join a dense llama GGUF with trained routers: a mixture of experts.")
    p.add_argument("dense")
    p.add_argument("router")
    p.add_argument("target")
    p.add_argument("--used", type=int, help="how many experts a token gets (default: what the routers' file says)")
    p.add_argument("--name", help="general.name of the new file")
    a = p.parse_args()
    if a.used is not None and a.used < 1:
        p.error("--used must be at least 1")
    if sys.byteorder != "little":
        p.error("this machine is big-endian")
    part = "%s.%d.part" % (a.target, os.getpid())
    try:
        with open(a.dense, "rb") as f, open(a.router, "rb") as g, mapped(f) as dense, mapped(g) as router, open(part, "wb") as out:
            make(dense, router, out, a.used, a.name)
        os.replace(part, a.target)
    except (Refused, OSError, OverflowError, UnicodeDecodeError, ValueError, struct.error) as e:
        print("make_moe.py: %s, %s: %s" % (a.dense, a.router, e), file=sys.stderr)
        return 1
    finally:
        if os.path.exists(part):
            os.unlink(part)
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Turns a dense GGUF model of the llama architecture into a true mixture of experts that gives the same answers.

    make_moe.py DENSE.gguf MOE.gguf [--experts 8] [--name NAME]

Each feed-forward layer is cut into experts along its hidden units: with F units and E experts, expert e has the units
e*F/E … (e+1)*F/E - 1, that is, rows of gate and up and columns of down. A feed-forward layer is a sum over its units, so
the sum over the experts is the dense layer. All experts are chosen for every token, and the router's weights are zero, so
each counts 1/E; the values of down are E times the dense ones to make up for it.

No value is rounded: rows of gate and up stay in order, and their bytes are the dense model's; the blocks of down move as
they are, and their scales are multiplied by E, a power of two, which is exact (a scale that would overflow is refused).
The file's memory need is one tensor; Python's standard library is all that this uses.
"""
import argparse
import array
import mmap
import os
import struct
import sys

# Metadata value types: bytes of a fixed-size value.
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
U32, STRING, ARRAY = 4, 8, 9
F32, F16, BF16 = 0, 1, 30
# Tensor types: name, values a block, bytes a block, and where in a block its 16-bit floats are that scale all its values.
TYPES = {
    F32: ("F32", 1, 4, None), F16: ("F16", 1, 2, (0,)), BF16: ("BF16", 1, 2, (0,)),
    2: ("Q4_0", 32, 18, (0,)), 3: ("Q4_1", 32, 20, (0, 2)), 6: ("Q5_0", 32, 22, (0,)), 7: ("Q5_1", 32, 24, (0, 2)),
    8: ("Q8_0", 32, 34, (0,)), 12: ("Q4_K", 256, 144, (0, 2)), 13: ("Q5_K", 256, 176, (0, 2)), 14: ("Q6_K", 256, 210, (208,)),
}


class Refused(Exception):
    pass


class Reader:
    """Steps through the header of a mapped file, never past its end."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if n > len(self.data) - self.at:
            raise Refused("the file ends inside its header")
        self.at += n
        return self.data[self.at - n : self.at]

    def number(self, fmt):
        return struct.unpack("<" + fmt, self.take(struct.calcsize("<" + fmt)))[0]

    def string(self):
        return self.take(self.number("Q"))

    def skip_value(self, kind):
        if kind == STRING:
            self.string()
        elif kind == ARRAY:
            inner, count = self.number("I"), self.number("Q")
            if inner in SIZES:
                self.take(SIZES[inner] * count)
            elif inner == STRING:
                for _ in range(count):
                    self.string()
            else:
                raise Refused("a metadata array of type %d" % inner)
        elif kind in SIZES:
            self.take(SIZES[kind])
        else:
            raise Refused("metadata of type %d" % kind)


def read(data):
    """({key: (type, value bytes)} in file order, [(name, dims, type, first byte, bytes)], alignment)"""
    r = Reader(data)
    if r.take(4) != b"GGUF":
        raise Refused("not a GGUF file")
    if r.number("I") not in (2, 3):
        raise Refused("not GGUF version 2 or 3, little-endian")
    tensor_count, key_count = r.number("Q"), r.number("Q")
    keys = {}
    for _ in range(key_count):
        key, kind = r.string().decode(), r.number("I")
        start = r.at
        r.skip_value(kind)
        keys[key] = (kind, data[start : r.at])
    infos = []
    for _ in range(tensor_count):
        name, n = r.string().decode(), r.number("I")
        if n > 4:
            raise Refused("%s has %d dimensions" % (name, n))
        dims = [r.number("Q") for _ in range(n)]
        infos.append((name, dims, r.number("I"), r.number("Q")))
    align = number(keys, "general.alignment", 32)
    if align == 0 or align & (align - 1) or align > 1 << 20:
        raise Refused("general.alignment is %d" % align)
    base = padded(r.at, align)
    tensors = []
    for name, dims, kind, offset in infos:
        if kind not in TYPES:
            raise Refused("%s has a type (number %d) that this script does not know" % (name, kind))
        size = byte_size(name, dims, kind)
        if base + offset + size > len(data):
            raise Refused("%s lies beyond the end of the file" % name)
        tensors.append((name, dims, kind, base + offset, size))
    return keys, tensors, align


def byte_size(name, dims, kind):
    _, values, size, _ = TYPES[kind]
    if not dims or dims[0] % values:
        raise Refused("%s: rows are not whole blocks of %d" % (name, values))
    for d in dims[1:]:
        size *= d
    return dims[0] // values * size


def padded(n, align):
    return -(-n // align) * align


def number(keys, key, default=None):
    if key not in keys:
        if default is None:
            raise Refused("has no " + key)
        return default
    kind, raw = keys[key]
    if kind not in (U32, 10):
        raise Refused("%s is not an unsigned integer" % key)
    return int.from_bytes(raw, "little")


def text(keys, key, default):
    kind, raw = keys.get(key, (STRING, struct.pack("<Q", len(default)) + default.encode()))
    if kind != STRING:
        raise Refused("%s is not a string" % key)
    return raw[8:].decode()


def string_value(s):
    return STRING, struct.pack("<Q", len(s.encode())) + s.encode()


def scaled_halves(factor, brain):
    """For each 16-bit float its product with factor, or -1 where that is not exact."""
    out = []
    for code in range(65536):
        if brain:
            value = struct.unpack("<f", struct.pack("<I", code << 16))[0]
        else:
            value = struct.unpack("<e", struct.pack("<H", code))[0]
        try:
            if brain:
                bits = struct.unpack("<I", struct.pack("<f", value * factor))[0]
                result = -1 if bits & 0xFFFF else bits >> 16
            else:
                result = struct.unpack("<H", struct.pack("<e", value * factor))[0]
        except OverflowError:
            result = -1
        exponent = 0x7F80 if brain else 0x7C00
        if result >= 0 and result & exponent == exponent:
            result = -1  # infinite, or not a number
        out.append(result)
    return out


def scale(name, raw, kind, factor, tables):
    """The same blocks with every value times factor. tables: kept between calls."""
    _, _, size, where = TYPES[kind]
    if kind == F32:
        a = array.array("f", raw)
        out = array.array("f", (x * factor for x in a))
        if any(x * 0 != 0 for x in out):
            raise Refused("%s: a value times %d is not finite" % (name, factor))
        return out.tobytes()
    brain = kind == BF16
    if brain not in tables:
        tables[brain] = scaled_halves(factor, brain)
    a = array.array("H", raw)
    for at in where:
        try:
            a[at // 2 :: size // 2] = array.array("H", map(tables[brain].__getitem__, a[at // 2 :: size // 2]))
        except OverflowError:  # -1 is no unsigned number
            raise Refused("%s: a scale times %d does not fit its 16 bits" % (name, factor)) from None
    return a.tobytes()


def column_slices(raw, dims, kind, experts):
    """The matrix [rows][columns] cut into experts along its columns: expert after expert, each [rows][columns / experts]."""
    _, values, size, _ = TYPES[kind]
    row = dims[0] // values * size
    piece = row // experts
    return b"".join(raw[r * row + e * piece : r * row + (e + 1) * piece] for e in range(experts) for r in range(dims[1]))


def plan(keys, tensors, experts):
    """[(name, dims, type, function that gives the bytes)] of the new file."""
    layers, width = number(keys, "llama.block_count"), number(keys, "llama.embedding_length")
    ff = number(keys, "llama.feed_forward_length")
    if ff % experts:
        raise Refused("%d hidden units cannot be cut into %d experts" % (ff, experts))
    shapes = {"ffn_gate": [width, ff], "ffn_up": [width, ff], "ffn_down": [ff, width]}
    out, seen, tables = [], set(), {}
    for name, dims, kind, start, size in tensors:
        part = name.split(".")[2] if name.startswith("blk.") and name.count(".") == 3 else ""
        if part not in shapes:
            if part.startswith("ffn_") and part != "ffn_norm":
                raise Refused("%s: not a plain dense feed-forward layer" % name)
            out.append((name, dims, kind, lambda data, s=start, n=size: data[s : s + n]))
            continue
        if dims != shapes[part] or not name.endswith(".weight"):
            raise Refused("%s has the shape %s, not %s" % (name, dims, shapes[part]))
        seen.add(name)
        new = name.replace(part, part + "_exps")
        if part == "ffn_down":
            if ff // experts % TYPES[kind][1]:
                raise Refused("%s: an expert's %d columns are not whole blocks of %s" % (name, ff // experts, TYPES[kind][0]))

            def cut(data, name=name, dims=dims, kind=kind, s=start, n=size):
                return scale(name, column_slices(data[s : s + n], dims, kind, experts), kind, experts, tables)
            out.append((new, [ff // experts, width, experts], kind, cut))
        else:
            out.append((new, [width, ff // experts, experts], kind, lambda data, s=start, n=size: data[s : s + n]))
        if part == "ffn_gate":
            router = name.replace(part, "ffn_gate_inp")
            out.append((router, [width, experts], F32, lambda data: bytes(4 * width * experts)))
    missing = [n for n in ("blk.%d.%s.weight" % (i, p) for i in range(layers) for p in shapes) if n not in seen]
    if missing:
        raise Refused("has no tensor " + missing[0])
    return out


def new_keys(keys, experts, name):
    title = text(keys, "general.name", "a dense model")
    change = {
        "general.name": string_value(name or "%s, %d experts" % (title, experts)),
        "general.description": string_value(
            "Made from the dense model \"%s\" by cutting each feed-forward layer into %d experts along its hidden units; all of "
            "them are always chosen, with equal weights, so that it answers as the dense model does." % (title, experts)),
        "llama.feed_forward_length": (U32, struct.pack("<I", number(keys, "llama.feed_forward_length") // experts)),
        "llama.expert_count": (U32, struct.pack("<I", experts)),
        "llama.expert_used_count": (U32, struct.pack("<I", experts)),
    }
    return {**keys, **change}


def write(f, keys, tensors, align, data):
    def s(x):
        return struct.pack("<Q", len(x.encode())) + x.encode()
    head = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(keys))]
    head += [s(key) + struct.pack("<I", kind) + raw for key, (kind, raw) in keys.items()]
    offset = 0
    for name, dims, kind, _ in tensors:
        head.append(s(name) + struct.pack("<I%dQIQ" % len(dims), len(dims), *dims, kind, offset))
        offset += padded(byte_size(name, dims, kind), align)
    head = b"".join(head)
    f.write(head + bytes(padded(len(head), align) - len(head)))
    for name, dims, kind, make in tensors:
        raw = make(data)
        assert len(raw) == byte_size(name, dims, kind), name
        f.write(raw)
        f.write(bytes(padded(len(raw), align) - len(raw)))


def main():
    p = argparse.ArgumentParser(description="Cut a dense llama GGUF into a mixture of experts that answers alike.")
    p.add_argument("source")
    p.add_argument("target")
    p.add_argument("--experts", type=int, default=8, help="how many, a power of two (default 8)")
    p.add_argument("--name", help="general.name of the new file")
    a = p.parse_args()
    if a.experts < 2 or a.experts & (a.experts - 1) or a.experts > 256:
        p.error("--experts must be a power of two from 2 to 256")
    if sys.byteorder != "little":
        p.error("this machine is big-endian")
    part = "%s.%d.part" % (a.target, os.getpid())
    try:
        with open(a.source, "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as data:
            keys, tensors, align = read(data)
            if text(keys, "general.architecture", "") != "llama":
                raise Refused("architecture is not llama")
            if number(keys, "llama.expert_count", 0):
                raise Refused("has experts already")
            if "split.count" in keys and int.from_bytes(keys["split.count"][1], "little") > 1:
                raise Refused("is one part of several")
            with open(part, "wb") as out:
                write(out, new_keys(keys, a.experts, a.name), plan(keys, tensors, a.experts), align, data)
        os.replace(part, a.target)
    except (Refused, OSError, UnicodeDecodeError, ValueError) as e:
        print("make_moe.py: %s: %s" % (a.source, e), file=sys.stderr)
        return 1
    finally:
        if os.path.exists(part):
            os.unlink(part)
    return 0


if __name__ == "__main__":
    sys.exit(main())

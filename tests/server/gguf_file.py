"""Reads and writes GGUF files, as far as tests of `convert` need it."""
import struct

NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
TYPES = {0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 10: ("Q2_K", 256, 84),
         11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 20: ("IQ4_NL", 32, 18),
         23: ("IQ4_XS", 256, 136), 30: ("BF16", 1, 2), 39: ("MXFP4", 32, 17)}
IDS = {name: number for number, (name, _, _) in TYPES.items()}


class File:
    """keys {name: value}; tensors {name: (type, dimensions with the fastest first, bytes)} in the order of the file."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read()
        self.at = 0
        assert self.take(4) == b"GGUF" and self.number("I") == 3
        tensors, keys = self.number("Q"), self.number("Q")
        self.keys = {self.text(): self.value(self.number("I")) for _ in range(keys)}
        infos = [self.info() for _ in range(tensors)]
        alignment = self.keys.get("general.alignment", 32)
        start, end = -(-self.at // alignment) * alignment, 0
        assert not self.data[self.at:start].strip(b"\0")
        self.tensors = {}
        for name, dims, kind, offset in infos:
            assert offset == -(-end // alignment) * alignment, "there is a gap before " + name
            type_name, values, size = TYPES[kind]
            count = 1
            for d in dims:
                count *= d
            end = offset + count // values * size
            assert start + end <= len(self.data)
            self.tensors[name] = (type_name, dims, self.data[start + offset:start + end])
        assert len(self.data) == start + -(-end // alignment) * alignment

    def take(self, n):
        self.at += n
        assert self.at <= len(self.data)
        return self.data[self.at - n:self.at]

    def number(self, kind):
        return struct.unpack("<" + kind, self.take(struct.calcsize(kind)))[0]

    def text(self):
        return self.take(self.number("Q")).decode("utf-8", "surrogateescape")

    def value(self, kind):
        if kind == 8:
            return self.text()
        if kind == 9:
            kind, count = self.number("I"), self.number("Q")
            return [self.value(kind) for _ in range(count)]
        return self.number(NUMBERS[kind])

    def info(self):
        name, dims = self.text(), self.number("I")
        return name, [self.number("Q") for _ in range(dims)], self.number("I"), self.number("Q")


def write(path, keys, tensors):
    """keys {name: (value type, value)}, of an array (9, element type, values); tensors {name: (type, dims, bytes)}"""
    def text(t):
        return struct.pack("<Q", len(t.encode())) + t.encode()

    def value(kind, x):
        return text(x) if kind == 8 else struct.pack("<" + NUMBERS[kind], x)

    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    for name, (kind, *x) in keys.items():
        out += text(name) + struct.pack("<I", kind)
        out += struct.pack("<IQ", x[0], len(x[1])) + b"".join(value(x[0], y) for y in x[1]) if kind == 9 else value(kind, x[0])
    data = b""
    for name, (kind, dims, content) in tensors.items():
        out += text(name) + struct.pack("<I%dQIQ" % len(dims), len(dims), *dims, IDS[kind], len(data))
        data += content + bytes(-len(content) % 32)
    with open(path, "wb") as f:
        f.write(out + bytes(-len(out) % 32) + data)

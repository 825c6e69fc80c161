"""GGUF files read and written with Python's standard library: what make_moe.py needs of them.

Values stay bytes as they stand in the file; whoever wants numbers unpacks them.
"""
import struct

# Metadata value types: bytes of a fixed-size value.
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
U32, BOOL, STRING, ARRAY = 4, 7, 8, 9
F32, F16, Q4_1, Q8_0, I16, BF16 = 0, 1, 3, 8, 25, 30
# Tensor types: name, values a block, bytes a block.
TYPES = {
    F32: ("F32", 1, 4), F16: ("F16", 1, 2), BF16: ("BF16", 1, 2), I16: ("I16", 1, 2), 2: ("Q4_0", 32, 18), Q4_1: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24), Q8_0: ("Q8_0", 32, 34), 12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210), 20: ("IQ4_NL", 32, 18), 23: ("IQ4_XS", 256, 136), 39: ("MXFP4", 32, 17),
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
    _, values, size = TYPES[kind]
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


def write(f, keys, tensors, align):
    """tensors: [(name, dims, type, function that gives the bytes)]"""
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
        raw = make()
        assert len(raw) == byte_size(name, dims, kind), name
        f.write(raw)
        f.write(bytes(padded(len(raw), align) - len(raw)))

#!/usr/bin/env python3
"""What `sluice convert` writes, in llama.cpp: every folder of checkpoints/ as a float32 GGUF file, its greedy tokens and logits
there against those of transformers in expected/.

usage: check_peer.py SLUICE       with xllamacpp from PyPI (llama.cpp, built; checked with 2026.10.11549)

The library is called through ctypes. Structures of parameters are passed as they were returned, in blocks that are larger
than they are in any version. llama.cpp keeps keys and values in half floats, so logits differ in the third digit.
"""
import ctypes as c
import glob
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
STEPS = 24


class Block(c.Structure):
    _fields_ = [("bytes", c.c_uint8 * 1024)]


def library():
    import xllamacpp
    lib = c.CDLL(glob.glob(os.path.dirname(xllamacpp.__file__) + "/*.so")[0], mode=os.RTLD_LAZY)
    for name, result, arguments in (
            ("llama_model_default_params", Block, []), ("llama_context_default_params", Block, []),
            ("llama_model_load_from_file", c.c_void_p, [c.c_char_p, Block]), ("llama_init_from_model", c.c_void_p, [c.c_void_p, Block]),
            ("llama_batch_get_one", Block, [c.POINTER(c.c_int32), c.c_int32]), ("llama_decode", c.c_int32, [c.c_void_p, Block]),
            ("llama_get_logits_ith", c.POINTER(c.c_float), [c.c_void_p, c.c_int32]), ("llama_free", None, [c.c_void_p]),
            ("llama_model_free", None, [c.c_void_p]), ("llama_backend_init", None, []), ("ggml_backend_load_all", None, []),
            ("llama_log_set", None, [c.c_void_p, c.c_void_p])):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


def greedy(lib, model, ids, vocab):
    """(ids chosen, logits before the first of them)"""
    context = lib.llama_init_from_model(model, lib.llama_context_default_params())
    chosen, first = [], None
    while len(chosen) < STEPS:
        array = (c.c_int32 * len(ids))(*ids)  # a batch points to it
        assert lib.llama_decode(context, lib.llama_batch_get_one(array, len(ids))) == 0
        logits = lib.llama_get_logits_ith(context, -1)[:vocab]
        first = first or logits
        ids = [max(range(vocab), key=logits.__getitem__)]
        chosen += ids
    lib.llama_free(context)
    return chosen, first


def check(lib, sluice, name, work):
    expected = json.loads((HERE / "expected" / (name + ".json")).read_text())
    path, vocab = work + "/a.gguf", expected["vocab"]
    subprocess.run([sluice, "convert", str(HERE / "checkpoints" / name), path, "--type", "f32", "--force"], check=True, stderr=subprocess.DEVNULL)
    model = lib.llama_model_load_from_file(path.encode(), lib.llama_model_default_params())
    if not model:
        print("%-20s llama.cpp does not load it" % name)
        return
    same, apart = [], 0
    for prompt in expected["prompts"]:
        chosen, first = greedy(lib, model, prompt["ids"], vocab)
        with open(HERE / "expected" / (name + ".logits.f32"), "rb") as f:
            f.seek(4 * vocab * (prompt["first_row"] + len(prompt["ids"]) - 1 - prompt["first_position"]))
            want = struct.unpack("<%df" % vocab, f.read(4 * vocab))
        apart = max(apart, max(abs(a - b) for a, b in zip(first, want)) / max(map(abs, want)))
        same.append(next((i for i, (a, b) in enumerate(zip(chosen, prompt["greedy"])) if a != b), STEPS))
    lib.llama_model_free(model)
    print("%-20s tokens alike, of %d: %s; largest difference of logits %.1e of the largest" % (name, STEPS, same, apart), flush=True)


def main():
    lib = library()
    silent = c.CFUNCTYPE(None, c.c_int, c.c_char_p, c.c_void_p)(lambda level, text, data: None)
    lib.llama_log_set(c.cast(silent, c.c_void_p), None)
    lib.llama_backend_init()
    lib.ggml_backend_load_all()
    with tempfile.TemporaryDirectory() as work:
        for folder in sorted(p.parent.name for p in (HERE / "checkpoints").glob("*/config.json")):
            check(lib, os.path.abspath(sys.argv[1]), folder, work)


if __name__ == "__main__":
    main()

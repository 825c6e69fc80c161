#!/usr/bin/env python3
"""Makes the checkpoints in types that gguf-py cannot quantise, or that are mixed by tensor, with ggml's own quantisers.

usage: make_mixed.py GGML_SOURCE       a checkout of https://github.com/ggml-org/ggml; what is here came from d99724f2

Run after make_quants.py, whose functions it uses: it adds to list.json. The values that transformers gets are gguf-py's of the blocks.
"""
import ctypes
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import make_quants as quants
import reference as ref

SHIM = """
#include <stdlib.h>
#include "ggml.h"
#include "ggml-quants.h"
size_t ggml_row_size(enum ggml_type t, int64_t n) {
    switch (t) {
    case GGML_TYPE_Q5_0: return n / 32 * 22;
    case GGML_TYPE_Q5_1: return n / 32 * 24;
    case GGML_TYPE_IQ4_NL: return n / 32 * 18;
    case GGML_TYPE_MXFP4: return n / 32 * 17;
    case GGML_TYPE_Q2_K: return n / 256 * 84;
    case GGML_TYPE_Q3_K: return n / 256 * 110;
    case GGML_TYPE_Q5_K: return n / 256 * 176;
    case GGML_TYPE_IQ4_XS: return n / 256 * 136;
    default: abort();
    }
}
size_t ggml_type_size(enum ggml_type t) { (void)t; abort(); }
const char *ggml_type_name(enum ggml_type t) { (void)t; abort(); }
void ggml_abort(const char *file, int line, const char *fmt, ...) { (void)file; (void)line; (void)fmt; abort(); }
"""
FUNCTIONS = {"Q5_0": "q5_0", "Q5_1": "q5_1", "IQ4_NL": "iq4_nl", "MXFP4": "mxfp4", "Q2_K": "q2_K", "Q3_K": "q3_K", "Q5_K": "q5_K",
             "IQ4_XS": "iq4_xs"}
BYTES = {"Q5_0": (32, 22), "Q5_1": (32, 24), "IQ4_NL": (32, 18), "MXFP4": (32, 17), "Q2_K": (256, 84), "Q3_K": (256, 110),
         "Q5_K": (256, 176), "IQ4_XS": (256, 136)}

# By a part of the tensor's name, in transformers and in GGUF.
MIXED = (("q_proj", "attn_q.", "IQ4_XS"), ("k_proj", "attn_k.", "Q5_K"), ("v_proj", "attn_v.", "Q3_K"), ("gate_proj", "ffn_gate.", "Q2_K"),
         ("up_proj", "ffn_up.", "IQ4_XS"), ("down_proj", "ffn_down.", "Q3_K"), ("embed_tokens", "token_embd.", "Q5_K"))

MODELS = {
    "mixtral-q5_0": dict(seed=200015, family="mixtral", type="Q5_0", config=quants.SMALL),
    "mixtral-q5_1": dict(seed=210115, family="mixtral", type="Q5_1", config=quants.SMALL),
    "mixtral-iq4_nl": dict(seed=220163, family="mixtral", type="IQ4_NL", config=quants.SMALL),
    "mixtral-mxfp4": dict(seed=230010, family="mixtral", type="MXFP4", config=quants.SMALL),
    "llama-mixed": dict(seed=240001, family="llama", type="MIXED", config=quants.MODELS["llama-q6_k"]["config"]),
}


def library(ggml, folder):
    """ggml's quantisers, built without fused multiply-adds."""
    source, binary = folder + "/shim.c", folder + "/quants.so"
    pathlib.Path(source).write_text(SHIM)
    include = ["-I%s/%s" % (ggml, p) for p in ("include", "src", "src/ggml-cpu")]
    subprocess.run(["gcc", "-O2", "-DNDEBUG", "-shared", "-fPIC", *include, source, ggml + "/src/ggml-quants.c", "-lm", "-o", binary], check=True)
    return ctypes.CDLL(binary)


def main():
    plain_type_of, plain_blocks_of = quants.type_of, quants.blocks_of

    def type_of(name, w, kind):
        if kind != "MIXED":
            return plain_type_of(name, w, kind)
        if ref.always_f32(name, w):
            return None
        found = [t for hf, gguf, t in MIXED if hf in name or gguf in name]
        return found[0] if found and w.shape[-1] % 256 == 0 else "Q8_0"

    def blocks_of(w, kind):
        if kind not in FUNCTIONS:
            return plain_blocks_of(w, kind)
        x = np.ascontiguousarray(w, dtype=np.float32)
        values, size = BYTES[kind]
        out = np.zeros((*x.shape[:-1], x.shape[-1] // values * size), np.uint8)
        made = getattr(lib, "quantize_" + FUNCTIONS[kind])(ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(out.ctypes.data),
                                                           ctypes.c_int64(x.size // x.shape[-1]), ctypes.c_int64(x.shape[-1]), None)
        assert made == out.size
        return out

    ref.start()
    with tempfile.TemporaryDirectory() as work:
        lib = library(sys.argv[1], work)
        for f in FUNCTIONS.values():
            getattr(lib, "quantize_" + f).restype = ctypes.c_size_t
        quants.type_of, quants.blocks_of = type_of, blocks_of
        path = ref.HERE / "list.json"
        entries = [e for e in json.loads(path.read_text()) if e["expected"] not in MODELS]
        entries += [quants.make(name, **m) for name, m in MODELS.items()]
        entries[-1]["type"] = "Q5_K"  # of which there are the most bytes
        path.write_text("[\n" + ",\n".join(json.dumps(e) for e in entries) + "\n]\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Makes quantised/: rows of floats and the blocks that ggml's own quantisers make of them.

usage: make_quantised.py GGML_SOURCE       a checkout of https://github.com/ggml-org/ggml; what is here came from d99724f2

Builds ggml-quants.c with gcc -O2 for plain x86-64, so without fused multiply-adds: with them a few codes in a million are
others. x.f32 has rows of 512 values, importance.f32 one such row; TYPE.blocks is made without importance, and
TYPE.important.blocks with it (but for Q8_0 and MXFP4, which do not look at it).
"""
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
COLUMNS = 512
TYPES = ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K", "Q2_K", "Q3_K", "IQ4_NL", "IQ4_XS",
         "MXFP4")
PROGRAM = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ggml.h"
#include "ggml-quants.h"
size_t ggml_row_size(enum ggml_type t, int64_t n) {
    return t == GGML_TYPE_Q8_0 ? n / 32 * 34 : t == GGML_TYPE_Q4_0 ? n / 32 * 18 : t == GGML_TYPE_Q4_1 ? n / 32 * 20
         : t == GGML_TYPE_Q5_0 ? n / 32 * 22 : t == GGML_TYPE_Q5_1 ? n / 32 * 24 : t == GGML_TYPE_Q4_K ? n / 256 * 144
         : t == GGML_TYPE_Q5_K ? n / 256 * 176 : t == GGML_TYPE_Q2_K ? n / 256 * 84 : t == GGML_TYPE_Q3_K ? n / 256 * 110
         : t == GGML_TYPE_IQ4_NL ? n / 32 * 18 : t == GGML_TYPE_IQ4_XS ? n / 256 * 136 : t == GGML_TYPE_MXFP4 ? n / 32 * 17
         : n / 256 * 210;
}
size_t ggml_type_size(enum ggml_type t) { (void)t; abort(); }
const char *ggml_type_name(enum ggml_type t) { (void)t; abort(); }
void ggml_abort(const char *file, int line, const char *fmt, ...) { (void)file; (void)line; (void)fmt; abort(); }
static float x[1 << 20], w[COLUMNS];
static char out[1 << 22];
int main(int argc, char **argv) {
    size_t rows = fread(x, sizeof(float) * COLUMNS, sizeof x / sizeof(float) / COLUMNS, fopen(argv[2], "rb")), n = 0;
    const float *importance = argc > 3 && fread(w, sizeof w, 1, fopen(argv[3], "rb")) ? w : NULL;
#define TRY(name, function) if (!strcmp(argv[1], name)) n = function(x, out, (int64_t)rows, COLUMNS, importance);
    TRY("Q8_0", quantize_q8_0) TRY("Q4_0", quantize_q4_0) TRY("Q4_1", quantize_q4_1) TRY("Q5_0", quantize_q5_0) TRY("Q5_1", quantize_q5_1)
    TRY("Q4_K", quantize_q4_K) TRY("Q5_K", quantize_q5_K) TRY("Q6_K", quantize_q6_K)
    TRY("Q2_K", quantize_q2_K) TRY("Q3_K", quantize_q3_K) TRY("IQ4_NL", quantize_iq4_nl) TRY("IQ4_XS", quantize_iq4_xs)
    TRY("MXFP4", quantize_mxfp4)
    return fwrite(out, 1, n, stdout) == n && n ? 0 : 1;
}
"""


def rows():
    """Three rows of each kind: what weights look like, and what is hardest for a search."""
    rng = np.random.default_rng(9)
    shape = (3, COLUMNS)
    yield rng.standard_normal(shape) * 0.02
    yield rng.standard_t(2, shape)
    yield (rng.standard_normal((3, COLUMNS // 16, 16)) * 10.0 ** rng.uniform(-20, 3, (3, COLUMNS // 16, 1))).reshape(shape)
    yield rng.integers(-8, 9, shape) * 0.5  # ties
    yield np.where(rng.random(shape) < 0.9, 0, rng.standard_normal(shape))
    yield np.abs(rng.standard_normal(shape))
    yield -1 - np.abs(rng.standard_normal(shape))
    yield np.repeat(rng.standard_normal((3, 1)), COLUMNS, 1)
    yield rng.integers(-40, 40, shape).astype(np.float32) * np.float32(1.4e-45)  # the smallest floats there are
    yield rng.standard_normal(shape) * 3e4  # scales near the largest half float
    yield np.clip(rng.standard_normal(shape), -1, 1) * 1e38
    yield np.array([[0.0], [-0.0], [1e-16]]) * np.ones(COLUMNS)


def main():
    ggml = pathlib.Path(sys.argv[1])
    folder = HERE / "quantised"
    folder.mkdir(exist_ok=True)
    np.concatenate(list(rows())).astype("<f4").tofile(folder / "x.f32")
    rng = np.random.default_rng(10)
    importance = np.where(rng.random(COLUMNS) < 0.3, 0, rng.standard_normal(COLUMNS) ** 2)  # columns that never mattered
    importance.astype("<f4").tofile(folder / "importance.f32")
    with tempfile.TemporaryDirectory() as work:
        source, binary = work + "/main.c", work + "/main"
        pathlib.Path(source).write_text(PROGRAM)
        include = ["-I%s/%s" % (ggml, p) for p in ("include", "src", "src/ggml-cpu")]
        subprocess.run(["gcc", "-O2", "-DNDEBUG", "-DCOLUMNS=%d" % COLUMNS, *include, source, str(ggml / "src/ggml-quants.c"), "-lm",
                        "-o", binary], check=True)
        for kind in TYPES:
            for suffix, more in (("", []), (".important", [str(folder / "importance.f32")])):
                if kind in ("Q8_0", "MXFP4") and more:
                    continue
                blocks = subprocess.run([binary, kind, str(folder / "x.f32"), *more], check=True, stdout=subprocess.PIPE).stdout
                (folder / (kind + suffix + ".blocks")).write_bytes(blocks)


if __name__ == "__main__":
    main()

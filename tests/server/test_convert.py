"""`sluice convert`: what it writes against files that gguf-py wrote of the same weights, against ggml's own quantisers, and
against its source's answers; and what is left when it fails."""
import array
import importlib.util
import json
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import tempfile
import time

import gguf_file
import harness
from harness import Server, checkpoint

QUANTISED = os.path.join(os.path.dirname(harness.REFERENCE), "quantised")


def convert(source, target, kind, *more, limit=None):
    return subprocess.run([harness.BINARY, "convert", source, target, "--type", kind, *map(str, more)], capture_output=True,
                          text=True, timeout=120, stdin=subprocess.DEVNULL,
                          preexec_fn=limit and (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))))


def converted(source, target, kind, *more):
    r = convert(source, target, kind, *more)
    assert r.returncode == 0, r.stderr
    return gguf_file.File(target)


def pairs():
    """(folder, GGUF file) of the same weights, the file written by gguf-py."""
    with open(os.path.join(os.path.dirname(harness.REFERENCE), "list.json")) as f:
        entries = json.load(f)
    files = {e["expected"]: e for e in entries if e["container"] == "gguf" and not e.get("quantised")}
    for e in entries:
        if e["container"] != "gguf" and e["expected"] in files:
            yield e, files[e["expected"]]


def near(a, b, name):
    """The divisors of rope frequencies come from other rounding steps, and the rates of delta nets from another exp."""
    x, y = array.array("f", a), array.array("f", b)
    return name.endswith(("rope_freqs.weight", ".ssm_a")) and all(abs(p - q) <= 1e-6 * abs(q) for p, q in zip(x, y))


def test_a_folder_becomes_what_peers_write():
    """Tensors bit for bit: names, shapes, permuted rows, stacked experts; and the keys that gguf-py's writer, or llama.cpp's
    converter, has."""
    seen = 0
    for folder, file in pairs():
        source, model = checkpoint(os.path.basename(folder["model"])), checkpoint(os.path.basename(file["model"]))
        if "-of-" in model or os.path.basename(source) in UNSAYABLE:
            continue  # compared below, part by part; not converted
        with tempfile.TemporaryDirectory() as d:
            want, got = gguf_file.File(model), converted(source, d + "/a.gguf", file["type"].lower())
            stacked = {}
            for name, (kind, dims, data) in want.tensors.items():  # of an old file: an expert a tensor
                parts = name.split(".")
                if len(parts) == 5 and parts[3].isdigit():
                    name = ".".join(parts[:2] + [parts[2] + "_exps", "weight"])
                    before = stacked.get(name, (kind, dims + [0], b""))
                    stacked[name] = (kind, dims + [before[1][-1] + 1], before[2] + data)
                elif parts[-2] == "ffn_gate_up_exps":  # gate and up in one stack, gate's rows first: written as two
                    half = len(data) // dims[2] // 2
                    for i, part in enumerate(("gate", "up")):
                        rows = b"".join(data[at : at + half] for at in range(i * half, len(data), 2 * half))
                        stacked[name.replace("gate_up", part)] = (kind, [dims[0], dims[1] // 2, dims[2]], rows)
                else:
                    stacked[name] = (kind, dims, data)
            if os.path.basename(source) == "phimoe-long":
                stacked.pop("rope_factors_long.weight")  # its own factor on attention is nothing that GGUF can say: a warning tells
            assert set(stacked) == set(got.tensors), set(stacked) ^ set(got.tensors)
            for name, (kind, dims, data) in stacked.items():
                have = got.tensors[name]
                dims = [n for n in dims if n != 1] or [1]
                assert (have[0], have[1]) == (kind, dims), (model, name, have[:2], kind, dims)
                assert have[2] == data or near(have[2], data, name), (model, name)
            for key, value in want.keys.items():
                if key.endswith(".block_count"):  # llama.cpp's converter counts layers that foretell further tokens, which are not kept
                    value -= want.keys.get(key.replace("block_count", "nextn_predict_layers"), 0)
                if key not in ("general.name", "general.description", "general.quantization_version", "general.size_label") and not key.endswith("nextn_predict_layers"):
                    # A feed-forward width that no layer has is not kept.
                    if key.endswith(".feed_forward_length") and want.keys["general.architecture"] + ".expert_count" in want.keys:
                        continue
                    # It says what its absence says; and the converter divides an unrelated width by the heads, the tensors have another.
                    if (key.endswith(".rope.scaling.type") and value == "none") or key == "ernie4_5-moe.expert_shared_feed_forward_length":
                        continue
                    if (key.endswith(".yarn_beta_fast") and value == 32) or (key.endswith(".yarn_beta_slow") and value == 1):
                        continue
                    if key.endswith(".full_attention_interval") and value != got.keys[key]:
                        assert value == 4 and "qwen35" in model  # the converter's default, whatever the layers are
                        continue
                    assert key in got.keys, (model, key)
                    assert got.keys[key] == value, (model, key, got.keys[key], value)
            seen += 1
    assert seen >= 6, seen


def answer(model, long_rope=False, **more):
    longer = ["--ctx", 64] if long_rope else []  # otherwise a sequence is no longer than the original context
    with Server(model, *longer) as s:
        fields = {"prompt": "the end: 12", "max_tokens": 1, "logprobs": 5, "temperature": 0, **more}
        choice = s.complete(**fields)["choices"][0]
        return choice["text"], choice["logprobs"]["top_logprobs"], choice["logprobs"]["token_logprobs"]


def close(a, b):
    """Are all numbers of two answers near each other, and is all else equal?"""
    if isinstance(a, float):
        return abs(a - b) <= 1e-4 * max(1, abs(b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[k], b[k]) for k in a)
    return len(a) == len(b) and all(map(close, a, b)) if isinstance(a, (list, tuple)) else a == b


# What their architectures cannot say in GGUF, by what the message names.
UNSAYABLE = {"afmoe-mixed": "embedding_scale", "cohere2moe-sigmoid": "routed_scale", "phimoe-mixed": "router_eps",
             "smollm3-window": "layers that rotate", "gptoss-mixed": "swiglu_limit", "gemma3-cap": "attention_scale",
             "llama4-maverick": "qk_norm", "llama4-layers": "windows"}


def test_the_same_answers_to_the_last_bit():
    """/* Promise 1 */ From the folder and from the file made of it, where the type stays. The architecture llama has the rows of
    q and k in another order, and those of Qwen3.5 value heads, so that there products are added up in another order: answers are close."""
    folders = sorted(n for n in os.listdir(harness.REFERENCE) if os.path.isdir(checkpoint(n)))
    assert len(folders) >= 14
    for name in folders:
        permuted = not name.startswith("llama4") and name.startswith(("llama", "mixtral", "mistral", "ministral", "smollm3", "granitemoe", "qwen35"))
        with tempfile.TemporaryDirectory() as d:
            source = checkpoint(name)
            r = subprocess.run([harness.BINARY, "inspect", source, "--json"], capture_output=True, text=True, timeout=60)
            kinds = {t["type"] for t in json.loads(r.stdout)["tensors"]}
            if "U8" in kinds:
                continue  # MXFP4, which the type for all matrices is not
            kind = "bf16" if "BF16" in kinds else "f16" if "F16" in kinds else "f32"
            if name in UNSAYABLE:
                r = convert(source, d + "/a.gguf", kind)
                assert r.returncode == 1 and UNSAYABLE[name] in r.stderr and os.listdir(d) == [], r.stderr
                continue
            converted(source, d + "/a.gguf", kind)
            a, b = (answer(model, long_rope=name.endswith("-beyond")) for model in (source, d + "/a.gguf"))
            assert close(a, b) if permuted else a == b, (name, a, b)


def copied(name, folder, change):
    """A checkpoint whose config.json says something else."""
    shutil.copytree(checkpoint(name), folder)
    with open(folder + "/config.json") as f:
        config = json.load(f)
    change(config)
    with open(folder + "/config.json", "w") as f:
        json.dump(config, f)
    return folder


def test_a_dense_model_whose_files_another_family_reads():
    """Gemma 4 without encoders is Gemma 4's dense language model, and its GGUF files are read as that one, which may have experts."""
    with tempfile.TemporaryDirectory() as d:
        folder = copied("gemma4-dense", d + "/unified", lambda c: c["text_config"].update(model_type="gemma4_unified_text"))
        converted(folder, d + "/a.gguf", "bf16")
        assert answer(folder) == answer(d + "/a.gguf") == answer(checkpoint("gemma4-dense"))


def test_windows_in_all_layers_of_a_family_that_most_often_has_none():
    with tempfile.TemporaryDirectory() as d:
        folder = copied("dots1-top1", d + "/windows", lambda c: c.update(sliding_window=3, layer_types=["sliding_attention"] * 4))
        converted(folder, d + "/a.gguf", "f32")
        assert answer(folder) == answer(d + "/a.gguf") != answer(checkpoint("dots1-top1"))


def rewritten(folder, change):
    """The folder's tensors are what change(name, shape, bytes) gives, (shape, bytes)."""
    path = folder + "/model.safetensors"
    with open(path, "rb") as f:
        data = f.read()
    start = 8 + int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8:start]), b""
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        first, last = entry["data_offsets"]
        entry["shape"], part = change(name, entry["shape"], data[start + first : start + last])
        entry["data_offsets"] = [len(body), len(body) + len(part)]
        body += part
    head = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(len(head).to_bytes(8, "little") + head + body)


def test_experts_one_value_wide():
    """A stack of matrices of one row, or one column, is the same bytes either way around. A wider one that stands the other way is refused."""
    def narrow(name, shape, data):
        if not name.endswith(("experts.gate_up_proj", "experts.down_proj")):
            return shape, data
        experts, rows, cols = shape
        down = "down" in name
        keep = [(i, j) for i in range(rows) for j in ([0] if down else range(cols)) if down or i in (0, rows // 2)]
        values = b"".join(data[2 * ((e * rows + i) * cols + j) :][:2] for e in range(experts) for i, j in keep)
        return [experts, rows, 1] if down else [experts, 2, cols], values

    with tempfile.TemporaryDirectory() as d:
        folder = copied("gemma4-keyed", d + "/narrow", lambda c: c["text_config"].update(moe_intermediate_size=1))
        rewritten(folder, narrow)
        got = converted(folder, d + "/a.gguf", "bf16")
        assert got.tensors["blk.0.ffn_gate_exps.weight"][1] == [32, 1, 6] and got.tensors["blk.0.ffn_down_exps.weight"][1] == [1, 32, 6]
        assert answer(folder) == answer(d + "/a.gguf") != answer(checkpoint("gemma4-keyed"))
        folder = copied("gemma4-keyed", d + "/across", lambda c: None)
        rewritten(folder, lambda name, shape, data: ([shape[0], shape[2], shape[1]] if "experts.down" in name else shape, data))
        r = convert(folder, d + "/b.gguf", "bf16")
        assert r.returncode == 1 and 'layers.0.experts.down_proj" is transposed' in r.stderr, r.stderr


def test_no_layer_routes():
    """Families with experts, and of their layers only those that have none. In what they say of experts there may be groups."""
    for name, layers in (("glm4moe-groups", 2), ("qwen3moe-mixed-yarn", 1)):
        with tempfile.TemporaryDirectory() as d:
            folder = copied(name, d + "/dense", lambda c: c.update(num_hidden_layers=layers))
            r = convert(folder, d + "/a.gguf", "f32")
            assert r.returncode == 0 and "no layer routes" in r.stderr, r.stderr
            assert not any("exp" in t for t in gguf_file.File(d + "/a.gguf").tensors)
            assert answer(folder) == answer(d + "/a.gguf")


def test_rope_that_is_divided_by_one_is_plain():
    with tempfile.TemporaryDirectory() as d:
        folder = copied("qwen2-gqa", d + "/linear", lambda c: c.update(rope_scaling={"type": "linear", "factor": 1.0}))
        converted(folder, d + "/a.gguf", "bf16")
        assert answer(folder) == answer(d + "/a.gguf") == answer(checkpoint("qwen2-gqa"))


def test_rope_of_windows_that_is_divided():
    """Which GGUF cannot say. The expected values are those of transformers 5.24, Gemma3ForCausalLM in float32."""
    for factor, want in ((None, (-1.378345, -2.096449, -2.723634, -2.809717, -2.892283)), (4.0, (-1.23591, -2.312026, -2.313149, -2.953158, -3.185953))):
        with tempfile.TemporaryDirectory() as d:
            linear = {"rope_type": "linear", "factor": factor} if factor else {}
            folder = copied("gemma3-linear", d + "/divided", lambda c: c["rope_parameters"]["sliding_attention"].update(linear))
            with Server(folder, "--kv-type", "f32") as s:
                choice = s.complete(prompt=list(range(40, 80)), max_tokens=1, logprobs=5, temperature=0)["choices"][0]
            have = sorted(choice["logprobs"]["top_logprobs"][0].values(), reverse=True)
            assert len(have) == 5 and all(abs(a - b) <= 1e-4 for a, b in zip(have, want)), have
            r = convert(folder, d + "/a.gguf", "bf16")
            assert (r.returncode == 1 and "window_rope_factor" in r.stderr) if factor else r.returncode == 0, r.stderr


def with_keys(source, target, change):
    """The GGUF file with what change({key: (type, bytes)}) gives."""
    spec = importlib.util.spec_from_file_location("raw_gguf", os.path.join(harness.REFERENCE, "../../../models/gguf_file.py"))
    raw = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(raw)
    with open(source, "rb") as f:
        data = f.read()
    keys, tensors, align = raw.read(data)
    with open(target, "wb") as f:
        raw.write(f, change(keys, raw), [(n, dims, kind, lambda a=at, s=size: data[a : a + s]) for n, dims, kind, at, size in tensors], align)


def test_a_forks_spelling():
    """ik_llama.cpp's architecture and pre-tokenizer of Cohere2-MoE have another name than llama.cpp's."""
    def spelled(keys, raw):
        keys = {k.replace("cohere2moe.", "cohere2_moe."): v for k, v in keys.items()}
        return {**keys, "general.architecture": raw.string_value("cohere2_moe")}
    with tempfile.TemporaryDirectory() as d:
        source = checkpoint("cohere2moe-softmax.gguf")
        with_keys(source, d + "/a.gguf", spelled)
        got = converted(d + "/a.gguf", d + "/b.gguf", "bf16")
        assert answer(d + "/a.gguf") == answer(d + "/b.gguf") == answer(source) and got.keys["general.architecture"] == "cohere2_moe"


def test_both_epsilons():
    """Norms are RMS norms where both kinds have an epsilon: in config.json, as transformers has it (cohere2moe-sigmoid), and in GGUF."""
    with tempfile.TemporaryDirectory() as d:
        folder = copied("cohere2moe-softmax", d + "/both", lambda c: c.update(rms_norm_eps=1e-5))
        source, key = checkpoint("cohere2moe-softmax.gguf"), "cohere2moe.attention.layer_norm_rms_epsilon"
        with_keys(source, d + "/both.gguf", lambda keys, raw: {**keys, key: (6, struct.pack("<f", 1e-5))})
        with_keys(source, d + "/none.gguf", lambda keys, raw: {**keys, key: (6, struct.pack("<f", 0))})
        assert answer(folder) == answer(d + "/both.gguf") != answer(source) == answer(d + "/none.gguf")


def test_planes_become_the_peers_blocks():
    """A folder's experts in MXFP4's two planes, byte for byte as llama.cpp's converter joins them; without a word about quantising again."""
    with tempfile.TemporaryDirectory() as d:
        r = convert(checkpoint("gptoss-mxfp4"), d + "/a.gguf", "mxfp4_moe")
        assert r.returncode == 0 and "quantised already" not in r.stderr, r.stderr
        got, want = gguf_file.File(d + "/a.gguf"), gguf_file.File(checkpoint("gptoss-mxfp4.gguf"))
        experts = [n for n, t in want.tensors.items() if t[0] == "MXFP4"]
        assert len(experts) == 9 and all(got.tensors[n] == want.tensors[n] for n in experts)


def test_gguf_to_the_same_type_is_a_copy():
    for name, kind in (("mixtral-q4_0.gguf", "q4_0"), ("mixtral-q8_0.gguf", "q8_0"), ("qwen3moe-gqa.gguf", "f32"), ("llama-gqa-llama3.gguf", "f32")):
        with tempfile.TemporaryDirectory() as d:
            want = gguf_file.File(checkpoint(name))
            kind = want.tensors["blk.0.attn_q.weight"][0].lower()
            got = converted(checkpoint(name), d + "/a.gguf", kind)
            for tensor, (have, dims, data) in want.tensors.items():
                if tensor not in ("output.weight", "token_embd.weight"):  # which quantising mixes make better
                    assert got.tensors[tensor] == (have, dims, data), (name, tensor)
            gone = {"general.file_type", "general.quantization_version"}
            assert {k: v for k, v in want.keys.items() if k not in gone} == {k: v for k, v in got.keys.items() if k not in gone}


def llama(path, down, rows, cols):
    """A dense model of one layer, whose matrix down is the floats given."""
    rng = random.Random(4)
    some = struct.pack("<997f", *(rng.uniform(-0.1, 0.1) for _ in range(997)))
    floats = lambda n: ("F32", (some * (n // 997 + 1))[:4 * n])
    shape = {"token_embd.weight": [rows, 32], "output_norm.weight": [rows], "blk.0.attn_norm.weight": [rows], "blk.0.ffn_norm.weight": [rows],
             "blk.0.attn_q.weight": [rows, 4], "blk.0.attn_k.weight": [rows, 4], "blk.0.attn_v.weight": [rows, 4],
             "blk.0.attn_output.weight": [4, rows], "blk.0.ffn_gate.weight": [rows, cols], "blk.0.ffn_up.weight": [rows, cols]}
    tensors = {}
    for name, dims in shape.items():
        kind, data = floats(dims[0] * (dims[1] if len(dims) > 1 else 1))
        tensors[name] = (kind, dims, data)
    tensors["blk.0.ffn_down.weight"] = ("F32", [cols, rows], down)
    tokens = ["<s>"] + [chr(97 + i) for i in range(26)] + [chr(65 + i) for i in range(5)]
    gguf_file.write(path, {
        "general.architecture": (8, "llama"), "llama.block_count": (4, 1), "llama.context_length": (4, 64), "llama.embedding_length": (4, rows),
        "llama.feed_forward_length": (4, cols), "llama.attention.head_count": (4, 1), "llama.attention.key_length": (4, 4),
        "llama.attention.value_length": (4, 4), "llama.attention.layer_norm_rms_epsilon": (6, 1e-5), "llama.rope.dimension_count": (4, 4),
        "tokenizer.ggml.model": (8, "gpt2"), "tokenizer.ggml.pre": (8, "gpt-2"), "tokenizer.ggml.tokens": (9, 8, tokens),
        "tokenizer.ggml.merges": (9, 8, []), "tokenizer.ggml.eos_token_id": (4, 0)}, tensors)


def reference(name):
    with open(os.path.join(QUANTISED, name), "rb") as f:
        return f.read()


KINDS = {"q8_0": "Q8_0", "q4_0": "Q4_0", "q4_1": "Q4_1", "q4_k_s": "Q4_K", "q4_k_m": "Q6_K", "q6_k": "Q6_K"}  # of down, in one layer


def test_quantised_bytes_are_ggmls():
    with tempfile.TemporaryDirectory() as d:
        llama(d + "/a.gguf", reference("x.f32"), 36, 512)
        for kind, of_down in KINDS.items():
            for threads in (1, 3):
                got = converted(d + "/a.gguf", d + "/b.gguf", kind, "--force", "--threads", threads)
                assert got.tensors["blk.0.ffn_down.weight"] == (of_down, [512, 36], reference(of_down + ".blocks")), kind
                assert got.keys["general.quantization_version"] == 2
                assert got.tensors["blk.0.attn_norm.weight"][0] == "F32"


def legacy_imatrix(path, entries):
    """[(name, calls, values)], as llama-imatrix wrote it before it wrote GGUF."""
    with open(path, "wb") as f:
        f.write(struct.pack("<i", len(entries)))
        for name, calls, values in entries:
            f.write(struct.pack("<i", len(name)) + name.encode() + struct.pack("<ii%df" % len(values), calls, len(values), *values))
        f.write(struct.pack("<ii", 7, 8) + b"text.txt")


def gguf_imatrix(path, entries):
    """[(name, counts, sums of squares)], one count a matrix."""
    tensors = {}
    for name, counts, sums in sorted(entries):
        tensors[name + ".counts"] = ("F32", [1, len(counts)], struct.pack("<%df" % len(counts), *counts))
        tensors[name + ".in_sum2"] = ("F32", [len(sums) // len(counts), len(counts)], struct.pack("<%df" % len(sums), *sums))
    gguf_file.write(path, {"general.type": (8, "imatrix"), "imatrix.datasets": (9, 8, ["text.txt"]), "imatrix.chunk_count": (4, 7),
                           "imatrix.chunk_size": (4, 512)}, tensors)


def test_importance_gives_ggmls_bytes():
    """Both forms of the file; sums that are divided by a power of two are the same floats again."""
    w = array.array("f", reference("importance.f32"))
    with tempfile.TemporaryDirectory() as d:
        llama(d + "/a.gguf", reference("x.f32"), 36, 512)
        legacy_imatrix(d + "/old.dat", [("blk.0.ffn_down.weight", 4, [4 * x for x in w])])
        gguf_imatrix(d + "/new.gguf", [("blk.0.ffn_down.weight", [64.0], [64 * x for x in w])])
        for matrix in ("/old.dat", "/new.gguf"):
            for kind, of_down in KINDS.items():
                got = converted(d + "/a.gguf", d + "/b.gguf", kind, "--force", "--imatrix", d + matrix)
                suffix = ".blocks" if of_down == "Q8_0" else ".important.blocks"
                assert got.tensors["blk.0.ffn_down.weight"][2] == reference(of_down + suffix), (matrix, kind)
                assert got.keys["quantize.imatrix.entries_count"] == 1 and got.keys["quantize.imatrix.chunks_count"] == 7
        r = convert(d + "/a.gguf", d + "/b.gguf", "q4_0", "--force", "--imatrix", d + "/old.dat")
        assert "nothing about 6 of 7 matrices" in r.stderr, r.stderr


def test_importance_is_counted_per_expert():
    model = checkpoint("qwen3moe-q4_k.gguf")  # four experts, 256 wide
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as d:
        counts = [1000.0, 0.0, 5.0, 1000.0]
        sums = [rng.random() * c for c in counts for _ in range(256)]
        gguf_imatrix(d + "/i.gguf", [("blk.0.ffn_up_exps.weight", counts, sums)])
        r = convert(model, d + "/a.gguf", "q4_0", "--imatrix", d + "/i.gguf")
        assert r.returncode == 0 and "1 experts' matrices saw no row at all" in r.stderr and "1 experts' matrices saw fewer than" in r.stderr, r.stderr
        plain, with_it = converted(model, d + "/b.gguf", "q4_0"), gguf_file.File(d + "/a.gguf")
        assert with_it.tensors["blk.0.ffn_up_exps.weight"] != plain.tensors["blk.0.ffn_up_exps.weight"]
        assert with_it.tensors["blk.0.ffn_gate_exps.weight"] == plain.tensors["blk.0.ffn_gate_exps.weight"]
        for entries, word in (([("blk.0.ffn_up_exps.weight", counts[:2], sums[:512])], "another model's"),
                              ([("blk.9.nothing.weight", [1.0], [1.0] * 256)], "none of the model's"),
                              ([("blk.0.ffn_up_exps.weight", counts, [-1.0] + sums[1:])], "negative")):
            gguf_imatrix(d + "/bad.gguf", entries)
            r = convert(model, d + "/c.gguf", "q4_0", "--imatrix", d + "/bad.gguf")
            assert r.returncode == 1 and word in r.stderr, r.stderr
        legacy_imatrix(d + "/old.dat", [("blk.0.ffn_up_exps.weight", 1, sums)])
        with open(d + "/old.dat", "rb") as f:
            whole = f.read()
        for cut in (0, 3, 9, 40, 200):
            with open(d + "/cut.dat", "wb") as f:
                f.write(whole[:cut])
            assert convert(model, d + "/c.gguf", "q4_0", "--imatrix", d + "/cut.dat").returncode == 1, cut
        with open(d + "/i.gguf", "rb") as f:
            other = f.read()
        for i in range(40):  # a message or a file, never a signal
            bad = bytearray(whole if i % 2 else other)
            for _ in range(3):
                bad[rng.randrange(min(400, len(bad)))] = rng.randrange(256)
            with open(d + "/cut.dat", "wb") as f:
                f.write(bad)
            assert convert(model, d + "/flipped.gguf", "q4_0", "--force", "--imatrix", d + "/cut.dat").returncode in (0, 1), bytes(bad[:400])
        assert not os.path.exists(d + "/c.gguf")


def test_mixes():
    """Which tensors are better than the rest, and what is said where a type is not served or does not fit."""
    with tempfile.TemporaryDirectory() as d:
        model = checkpoint("qwen3moe-q4_k.gguf")
        got = converted(model, d + "/a.gguf", "Q4_K_M")
        kinds = {name: kind for name, (kind, _, _) in got.tensors.items()}
        assert kinds["blk.0.ffn_down_exps.weight"] == "Q6_K" and kinds["blk.0.attn_v.weight"] == "Q6_K" and kinds["token_embd.weight"] in ("Q4_K", "Q6_K")
        assert kinds["blk.0.ffn_gate_inp.weight"] == "F32" and kinds["blk.0.ffn_gate_exps.weight"] == "Q4_K" and got.keys["general.file_type"] == 15
        r = convert(model, d + "/b.gguf", "q4_k_s")
        assert r.returncode == 0 and "are converted again" in r.stderr, r.stderr
        got = converted(model, d + "/five.gguf", "Q5_K_M")
        kinds = {name: kind for name, (kind, _, _) in got.tensors.items()}
        assert kinds["blk.0.ffn_down_exps.weight"] == "Q6_K" and kinds["blk.0.ffn_gate_exps.weight"] == "Q5_K" and got.keys["general.file_type"] == 17
        # Of its one layer, with four experts and two heads to a head of keys; and each file answers.
        for kind, gate, down, v, number in (("q2_k", "Q2_K", "Q3_K", "Q3_K", 10), ("q3_k_m", "Q3_K", "Q4_K", "Q5_K", 12),
                                            ("iq4_nl", "IQ4_NL", "IQ4_NL", "IQ4_NL", 25), ("iq4_xs", "IQ4_XS", "IQ4_XS", "IQ4_XS", 30),
                                            ("mxfp4_moe", "MXFP4", "MXFP4", "Q8_0", 38)):
            got = converted(model, d + f"/{kind}.gguf", kind)
            kinds = {name: kind for name, (kind, _, _) in got.tensors.items()}
            found = tuple(kinds[f"blk.0.{n}.weight"] for n in ("ffn_gate_exps", "ffn_down_exps", "attn_v"))
            assert found == (gate, down, v) and got.keys["general.file_type"] == number, (kind, found)
            with harness.Server(d + f"/{kind}.gguf") as s:
                assert s.complete(prompt=[1, 2, 3], max_tokens=4, temperature=0, ignore_eos=True)["usage"]["completion_tokens"] == 4
        # q, k and v in one tensor go by the rule for v: Q8_0 in a model of eight experts, where q's is Q4_K, or Q5_0 in rows of 32.
        got = converted(checkpoint("ling-groups.gguf"), d + "/fused.gguf", "q4_k_m")
        assert [got.tensors[f"blk.{i}.attn_qkv.weight"][0] for i in range(3)] == ["Q8_0"] * 3
        r = convert(model, d + "/c.gguf", "iq2_xs")
        assert r.returncode == 1 and "IQ2_XS" in r.stderr and "take q" in r.stderr, r.stderr
        r = convert(model, d + "/c.gguf", "q4_k_x")
        assert r.returncode == 2 and "q4_k_m" in r.stderr, r.stderr


def test_parts():
    with tempfile.TemporaryDirectory() as d:
        source, whole = checkpoint("qwen3-mha-00001-of-00003.gguf"), d + "/whole.gguf"
        want = converted(source, whole, "f32")
        r = convert(whole, d + "/cut.gguf", "f32", "--split-size", "60K")
        assert r.returncode == 0, r.stderr
        parts = sorted(f for f in os.listdir(d) if f.startswith("cut"))
        assert len(parts) > 2 and parts[0] == "cut-00001-of-%05d.gguf" % len(parts), parts
        files = [gguf_file.File(os.path.join(d, p)) for p in parts]
        tensors = {}
        for i, f in enumerate(files):
            assert f.keys["split.no"] == i and f.keys["split.count"] == len(parts) and f.keys["split.tensors.count"] == len(want.tensors)
            assert i == 0 or len(f.keys) == 3
            assert sum(len(t[2]) for t in f.tensors.values()) <= 60 * 1024 or len(f.tensors) == 1
            tensors.update(f.tensors)
        assert tensors == want.tensors
        assert answer(os.path.join(d, parts[0])) == answer(whole) == answer(source)
        again = converted(os.path.join(d, parts[0]), d + "/again.gguf", "f32")
        assert again.tensors == want.tensors and "split.count" not in again.keys and again.keys == want.keys
        r = convert(whole, d + "/cut.gguf", "f32", "--split-size", "60K")
        assert r.returncode == 1 and "--force" in r.stderr and sorted(f for f in os.listdir(d) if f.startswith("cut")) == parts


def test_what_is_there_stays():
    model = checkpoint("mixtral-gqa")
    with tempfile.TemporaryDirectory() as d:
        path = d + "/a.gguf"
        with open(path, "w") as f:
            f.write("mine")
        r = convert(model, path, "q8_0")
        assert r.returncode == 1 and "--force" in r.stderr and open(path).read() == "mine"
        assert convert(model, path, "q8_0", "--force").returncode == 0 and len(gguf_file.File(path).tensors) > 10
        assert os.listdir(d) == ["a.gguf"]
        before = open(path, "rb").read()
        assert convert(path, path, "f16", "--force").returncode == 0  # a file onto itself: it is mapped until the end
        assert gguf_file.File(path).tensors["blk.0.attn_q.weight"][0] == "F16" and open(path, "rb").read() != before
        for bad in (d, d + "/no/such/a.gguf", "/dev/null"):
            r = convert(model, bad, "q8_0", "--force")
            assert r.returncode == 1 and bad in r.stderr, r.stderr
        assert convert(model, path, "").returncode == 2
        assert subprocess.run([harness.BINARY, "convert", model], capture_output=True, timeout=60).returncode == 2


def test_no_room_is_a_sentence_and_leaves_nothing():
    with tempfile.TemporaryDirectory() as d:
        for limit in (100, 20000, 100000):
            r = convert(checkpoint("mixtral-gqa"), d + "/a.gguf", "f32", limit=limit)
            assert r.returncode == 1 and d + "/a.gguf" in r.stderr and "too large" in r.stderr.lower(), (r.returncode, r.stderr)
            assert os.listdir(d) == []


def unnamed_files(folder):
    """Can the file system have files without a name?"""
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_RDWR))
        return True
    except OSError:
        return False


def test_an_interrupted_run_leaves_nothing():
    """SIGTERM and SIGKILL at any moment of a conversion that takes a second or so."""
    rng = random.Random(2)
    with tempfile.TemporaryDirectory() as d, tempfile.TemporaryDirectory() as source:
        cols, rows = 8192, 480
        llama(source + "/big.gguf", struct.pack("<%df" % cols, *(rng.gauss(0, 1) for _ in range(cols))) * rows, rows, cols)
        for number in (signal.SIGTERM, signal.SIGKILL):
            for delay in (0.05, 0.3):
                p = subprocess.Popen([harness.BINARY, "convert", source + "/big.gguf", d + "/a.gguf", "--type", "q4_k_s", "--threads", "1"],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                time.sleep(delay)
                p.send_signal(number)
                _, text = p.communicate(timeout=60)
                names = os.listdir(d)
                if p.returncode == 0:  # a fast machine
                    gguf_file.File(d + "/a.gguf")
                    os.remove(d + "/a.gguf")
                    continue
                assert p.returncode in (1, -number), (p.returncode, text)
                if number == signal.SIGKILL and not unnamed_files(d):
                    assert names == ["a.gguf.part"], names
                    os.remove(d + "/a.gguf.part")
                else:
                    assert names == [], (number, names)


def test_weights_that_no_type_can_hold():
    with tempfile.TemporaryDirectory() as d:
        x = array.array("f", reference("x.f32"))
        x[700] = float("nan")
        llama(d + "/a.gguf", x.tobytes(), 36, 512)
        for kind in ("q4_k_m", "q8_0", "f16"):
            r = convert(d + "/a.gguf", d + "/b.gguf", kind)
            assert r.returncode == 1 and "blk.0.ffn_down.weight" in r.stderr, r.stderr
        assert convert(d + "/a.gguf", d + "/b.gguf", "bf16").returncode == 0


def test_tokenizers():
    """A folder's vocabulary is written only under a name that stands for its pipeline."""
    with tempfile.TemporaryDirectory() as d:
        folder = d + "/m"
        shutil.copytree(checkpoint("mixtral-gqa"), folder)
        with open(folder + "/tokenizer.json") as f:
            plain = json.load(f)
        digits = {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, plain["pre_tokenizer"]]}
        llama3 = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
        split = lambda pattern: {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False},
            {**plain["pre_tokenizer"], "use_regex": False}]}
        for change, name in (({}, "gpt-2"), ({"normalizer": {"type": "NFC"}}, "olmo"), ({"pre_tokenizer": digits}, "refact"),
                             ({"pre_tokenizer": split(llama3)}, "dbrx"), ({"pre_tokenizer": split(llama3.replace("{1,3}", ""))}, "deepseek-r1-qwen"),
                             ({"pre_tokenizer": split(llama3.replace("{1,3}", "")), "normalizer": {"type": "NFC"}}, "qwen2"),
                             ({"pre_tokenizer": split(llama3.replace("{1,3}", "{1,2}"))}, None), ({"normalizer": {"type": "NFKC"}}, None)):
            with open(folder + "/tokenizer.json", "w") as f:
                json.dump({**plain, **change}, f)
            r = convert(folder, d + "/a.gguf", "q8_0", "--force")
            if name:
                assert r.returncode == 0, (name, r.stderr)
                assert gguf_file.File(d + "/a.gguf").keys["tokenizer.ggml.pre"] == name
            else:
                assert r.returncode == 1 and "no name of a pre-tokenizer" in r.stderr, r.stderr
        with open(folder + "/chat_template.jinja", "w") as f:
            f.write("{{ messages }}")
        with open(folder + "/tokenizer.json", "w") as f:
            json.dump(plain, f)
        assert converted(folder, d + "/a.gguf", "q8_0", "--force").keys["tokenizer.chat_template"] == "{{ messages }}"
        os.remove(folder + "/tokenizer.json")
        r = convert(folder, d + "/b.gguf", "q8_0")
        assert r.returncode == 1 and "tokenizer.json" in r.stderr, r.stderr


def test_peers_read_it():
    import gguf  # not among the packages of the tests: pip install gguf
    with tempfile.TemporaryDirectory() as d:
        for name in ("mixtral-gqa", "qwen2moe-mixed", "olmoe-mha"):
            for kind in ("q4_k_m", "q8_0", "bf16"):
                got = converted(checkpoint(name), d + "/a.gguf", kind, "--force")
                r = gguf.GGUFReader(d + "/a.gguf")
                assert [t.name for t in r.tensors] == list(got.tensors)
                for t in r.tensors:
                    assert bytes(t.data.reshape(-1).view("u1")) == got.tensors[t.name][2]

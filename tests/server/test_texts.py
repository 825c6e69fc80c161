"""`sluice perplexity` and `sluice imatrix`: over a whole text against what transformers computes (tests/reference/make_texts.py)."""
import array
import json
import math
import os
import pty
import select
import signal
import struct
import subprocess
import tempfile
import time

import gguf_file
import harness
from harness import checkpoint, temporary

TEXT = checkpoint("../texts/prose.txt")
EXACT = ["--kv-type", "f32", "--tier", "avx2"]  # unquantised weights, keys and values as the reference has them
NAMES = ["olmoe-mha", "qwen2moe-mixed", "llama-mha-bias"]


def sluice(*arguments):
    return subprocess.run([harness.BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=300,
                          stdin=subprocess.DEVNULL, errors="replace")


def expected(name):
    with open(checkpoint("../expected/%s.text.json" % name)) as f:
        return json.load(f)


def perplexity(model, *arguments):
    r = sluice("perplexity", model, *arguments, "--json")
    assert r.returncode == 0, r.stderr
    return json.loads(r.stdout)


def near(got, want, name):
    """The mean of -ln p to 1e-4, and everything that follows from it."""
    assert got["scored"] == want["scored"], (name, got, want)
    mean = want["nats"] / want["scored"]
    assert abs(got["nats_per_token"] - mean) < 1e-4 * mean, (name, got, mean)
    assert abs(math.log(got["perplexity"]) - got["nats_per_token"]) < 1e-6
    assert abs(got["bits_per_byte"] - want["nats"] / math.log(2) / got["bytes"]) < 1e-3 * got["bits_per_byte"]


def test_perplexity_is_transformers():
    """/* Promise 2 */ windows beside each other as llama.cpp has them, and windows that overlap."""
    for name in NAMES:
        want = expected(name)
        got = perplexity(checkpoint(name), TEXT, "--ctx", want["ctx"], *EXACT)
        assert got["all"]["tokens"] == want["tokens"] and got["all"] == {k: v for k, v in got["files"][0].items() if k != "file"}
        near(got["all"], want["beside"], name)
        got = perplexity(checkpoint(name), TEXT, "--ctx", want["ctx"], "--stride", want["stride"], *EXACT)
        near(got["all"], want["sliding"], name)
        assert got["all"]["bytes"] <= os.path.getsize(TEXT)


def test_bos_begins_every_window():
    """The same file with its eos declared as bos instead (the keys have one length), which is put before a text."""
    with open(checkpoint("olmoe-mha.gguf"), "rb") as f:
        data = f.read()
    flag, want = b"tokenizer.ggml.add_bos_token\7\0\0\0", expected("olmoe-mha")
    for before, after in ((b"tokenizer.ggml.eos_token_id", b"tokenizer.ggml.bos_token_id"), (flag + b"\0", flag + b"\1")):
        assert data.count(before) == 1
        data = data.replace(before, after)
    with tempfile.TemporaryDirectory() as d:
        with open(d + "/bos.gguf", "wb") as f:
            f.write(data)
        near(perplexity(d + "/bos.gguf", TEXT, "--ctx", want["ctx"], *EXACT)["all"], want["beside_bos"], "bos")


def test_documents_files_and_short_texts():
    model = checkpoint("olmoe-mha")
    with open(TEXT, "rb") as f:
        text = f.read()
    with tempfile.TemporaryDirectory() as d:
        def put(name, content):
            with open(d + "/" + name, "wb") as f:
                f.write(content)
            return d + "/" + name
        whole, empty = put("whole", text[:1500]), put("empty", b"")
        two = put("two", text[:700] + b"\0\0" + text[700:1500] + b"\0")
        one, other = put("one", text[:700]), put("other", text[700:1500])
        apart = perplexity(model, one, other, "--ctx", 64, "--stride", 64)
        joined = perplexity(model, two, "--ctx", 64, "--stride", 64)
        assert joined["all"] == apart["all"] and joined["all"]["documents"] == 2
        assert perplexity(model, whole, empty, "--ctx", 64)["files"][1]["scored"] == 0
        # A text shorter than a window is scored from its second token.
        short = perplexity(model, put("short", text[:40]), "--ctx", 64)["all"]
        assert short["scored"] == short["tokens"] - 1, short
        assert short == perplexity(model, put("short", text[:40]), "--ctx", 64, "--stride", 9)["all"]
        bad = put("bad", b"\xff\xfe\xc3 text that is no UTF-8 \x80\x80")
        assert perplexity(model, bad)["all"]["scored"] > 0
        for arguments in ([empty], [d], [d + "/nothing"], [put("a", b"a")]):
            r = sluice("perplexity", model, *arguments)
            assert r.returncode == 1 and r.stdout == "", (arguments, r)
        for arguments in ([], [whole, "--stride", 65, "--ctx", 64], [whole, "--ctx", 1], [whole, "--ctx", 100000]):
            r = sluice("perplexity", model, *arguments)
            assert r.returncode == 2 and r.stdout == "", (arguments, r)
        r = sluice("perplexity", model, one, other, "--ctx", 64)
        lines = r.stdout.splitlines()
        assert len(lines) == 4 and lines[1].startswith(one) and lines[3].startswith("all"), r.stdout


def importance(path):
    """{name: (rows of each matrix, sums)} of a file; and its keys."""
    f = gguf_file.File(path)
    out = {}
    for name, (kind, dims, data) in f.tensors.items():
        if name.endswith(".in_sum2"):
            sums = array.array("f", data)
            kind, count_dims, counts = f.tensors[name[:-len("in_sum2")] + "counts"]
            assert dims[1] == count_dims[1] and count_dims[0] == 1, (name, dims, count_dims)
            out[name[:-len(".in_sum2")]] = (list(array.array("f", counts)), list(sums))
    assert len(f.tensors) == 2 * len(out)
    return out, f.keys


def imatrix(*arguments):
    r = sluice("imatrix", *arguments)
    assert r.returncode == 0, r.stderr
    return r


def test_importance_is_transformers():
    """/* Promise 2 */ every matrix and every expert: rows, and sums of squares."""
    for name in NAMES:
        want = expected(name)
        with open(checkpoint("../expected/%s.importance.f32" % name), "rb") as f:
            sums = array.array("f", f.read())
        with tempfile.TemporaryDirectory() as d:
            imatrix(checkpoint(name), TEXT, "-o", d + "/i.gguf", "--ctx", want["ctx"], *EXACT)
            got, keys = importance(d + "/i.gguf")
        assert list(got) == [row[0] for row in want["importance"]], name
        assert keys == {"general.type": "imatrix", "imatrix.datasets": [TEXT], "imatrix.chunk_size": want["ctx"],
                        "imatrix.chunk_count": -(-want["tokens"] // want["ctx"])}, keys
        at = 0
        for tensor, matrices, cols, rows in want["importance"]:
            # A row whose choice of experts is a tie but for rounding may go to another one.
            assert all(abs(a - b) <= 2 for a, b in zip(got[tensor][0], rows)) and sum(got[tensor][0]) == sum(rows), (name, tensor)
            for m in range(matrices):
                mine, theirs = got[tensor][1][m * cols:(m + 1) * cols], sums[at:at + cols]
                at += cols
                most = max(theirs)
                slack = 1e-3 * most + 20 * (got[tensor][0][m] != rows[m]) * most / max(rows[m], 1)
                assert all(abs(a - b) <= slack for a, b in zip(mine, theirs)), (name, tensor, m)


def test_gguf_py_reads_an_importance_matrix():
    import gguf  # not among the packages of the tests: pip install gguf
    with tempfile.TemporaryDirectory() as d:
        imatrix(checkpoint("qwen2moe-gqa"), TEXT, "-o", d + "/i.gguf")
        got, keys = importance(d + "/i.gguf")
        reader = gguf.GGUFReader(d + "/i.gguf")
        assert reader.fields["imatrix.datasets"].contents() == keys["imatrix.datasets"]
        tensors = {t.name: t for t in reader.tensors}
        for name, (rows, sums) in got.items():
            t = tensors[name + ".in_sum2"]
            assert list(t.shape) == [len(sums) // len(rows), len(rows)] and t.data.ravel().tolist() == sums, name
            assert tensors[name + ".counts"].data.ravel().tolist() == rows, name


def test_importances_add_up():
    model = checkpoint("qwen3moe-gqa")
    with open(TEXT) as f, tempfile.TemporaryDirectory() as d:
        text = f.read()
        for name, part in (("a", text[:1000]), ("b", text[1000:2500]), ("both", text[:1000] + "\0" + text[1000:2500])):
            with open(d + "/" + name, "w") as out:
                out.write(part)
        imatrix(model, d + "/a", "-o", d + "/a.gguf")
        imatrix(model, d + "/b", "-o", d + "/b.gguf")
        imatrix(model, d + "/both", "-o", d + "/both.gguf")
        imatrix(model, d + "/b", "--add", d + "/a.gguf", "-o", d + "/added.gguf")
        imatrix(model, "--add", d + "/a.gguf," + d + "/b.gguf", "-o", d + "/merged.gguf")
        whole, keys = importance(d + "/both.gguf")
        for name in ("added", "merged"):
            got, got_keys = importance(d + "/%s.gguf" % name)
            assert got_keys["imatrix.datasets"] == [d + "/a", d + "/b"]
            assert got_keys["imatrix.chunk_count"] == keys["imatrix.chunk_count"]
            for tensor, (rows, sums) in whole.items():
                assert got[tensor][0] == rows, tensor
                assert all(abs(a - b) <= 1e-5 * b for a, b in zip(got[tensor][1], sums)), tensor
        # Over itself, which asks for --force.
        assert sluice("imatrix", model, d + "/b", "--add", d + "/a.gguf", "-o", d + "/a.gguf").returncode == 1
        imatrix(model, d + "/b", "--add", d + "/a.gguf", "-o", d + "/a.gguf", "--force")
        assert importance(d + "/a.gguf")[0].keys() == whole.keys()
        r = sluice("imatrix", checkpoint("olmoe-mha"), d + "/b", "--add", d + "/a.gguf", "-o", d + "/x.gguf")
        assert r.returncode == 1 and "another model" in r.stderr and not os.path.exists(d + "/x.gguf"), r.stderr


def test_the_older_form_can_be_added_to():
    """Its means are kept; rows are its calls times the window, as llama-imatrix takes them."""
    model = checkpoint("qwen3moe-gqa")
    with tempfile.TemporaryDirectory() as d:
        imatrix(model, TEXT, "-o", d + "/i.gguf", "--ctx", 64)
        want, _ = importance(d + "/i.gguf")
        old = struct.pack("<i", len(want))
        for name, (rows, sums) in want.items():
            cols = len(sums) // len(rows)
            means = [s / rows[i // cols] if rows[i // cols] else 0 for i, s in enumerate(sums)]
            old += struct.pack("<i", len(name)) + name.encode() + struct.pack("<ii", 3, len(means))
            old += struct.pack("<%df" % len(means), *(3 * m for m in means))
        with open(d + "/old", "wb") as f:
            f.write(old + struct.pack("<ii", 3, 8) + b"text.txt")
        imatrix(model, "--add", d + "/old", "-o", d + "/new.gguf", "--ctx", 64)
        got, keys = importance(d + "/new.gguf")
        assert keys["imatrix.datasets"] == ["text.txt"] and keys["imatrix.chunk_count"] == 3, keys
        for name, (rows, sums) in want.items():
            cols = len(sums) // len(rows)
            assert got[name][0] == [3 * 64] * len(rows), name
            assert all(abs(g / 192 - s / rows[i // cols]) <= 1e-5 * g for i, (g, s) in enumerate(zip(got[name][1], sums)) if rows[i // cols]), name


def test_convert_takes_the_importance_per_expert():
    """What convert makes of the file is not what it makes without, and experts that saw little are counted."""
    model = checkpoint("qwen3moe-wide")
    with temporary("of the") as little, tempfile.TemporaryDirectory() as d:
        r = imatrix(model, little, "-o", d + "/little.gguf")
        assert "saw no row at all" in r.stderr and "saw fewer than 32 rows" in r.stderr, r.stderr
        imatrix(model, TEXT, "-o", d + "/i.gguf")
        for name, more in (("plain", []), ("important", ["--imatrix", d + "/i.gguf"]), ("little", ["--imatrix", d + "/little.gguf"])):
            r = sluice("convert", model, d + "/%s-q4.gguf" % name, "--type", "q4_0", *more)
            assert r.returncode == 0, r.stderr
            assert ("saw no row at all" in r.stderr) == (name == "little"), r.stderr
        plain, important = (gguf_file.File(d + "/%s-q4.gguf" % n) for n in ("plain", "important"))
        assert important.keys["quantize.imatrix.dataset"] == TEXT, important.keys
        moved = [n for n in plain.tensors if plain.tensors[n][2] != important.tensors[n][2]]
        assert any("ffn_gate_exps" in n for n in moved) and any("ffn_up_exps" in n for n in moved), moved


def test_importance_refusals():
    model = checkpoint("olmoe-mha")
    with tempfile.TemporaryDirectory() as d:
        cases = [(2, [TEXT]), (2, ["-o", d + "/x"]), (1, [d + "/nothing", "-o", d + "/x"]), (1, ["/dev/null", "-o", d + "/x"]),
                 (1, [TEXT, "-o", d]), (1, [TEXT, "-o", d + "/no/folder"]), (1, [TEXT, "-o", d + "/x", "--add", TEXT]),
                 (1, [TEXT, "-o", d + "/x", "--add", d + "/nothing"]), (2, [TEXT, "-o", d + "/x", "--ctx", 1])]
        for status, arguments in cases:
            r = sluice("imatrix", model, *arguments)
            assert r.returncode == status and r.stderr.startswith("sluice imatrix: "), (arguments, r)
        assert os.listdir(d) == []


def test_an_interrupted_imatrix_is_written():
    with open(TEXT) as f:
        text = f.read()
    with temporary(text * 2000) as long, tempfile.TemporaryDirectory() as d:
        for number in (signal.SIGINT, signal.SIGTERM):
            path = d + "/%d.gguf" % number
            here, there = pty.openpty()  # on a terminal progress is told four times a second, once something has been counted
            p = subprocess.Popen([harness.BINARY, "imatrix", checkpoint("llama-mha-bias"), long, "-o", path], stderr=there,
                                 stdin=subprocess.DEVNULL)
            os.close(there)
            said, end = b"", time.monotonic() + 120
            while b" %, " not in said:
                assert select.select([here], [], [], end - time.monotonic())[0], said
                said += os.read(here, 4096)
            assert not os.path.exists(path)
            p.send_signal(number)
            try:
                while more := os.read(here, 4096):
                    said += more
            except OSError:  # the other side is closed
                pass
            os.close(here)
            assert p.wait(timeout=60) == 0 and b"interrupted" in said, said
            got, keys = importance(path)
            assert 1 <= keys["imatrix.chunk_count"] < len(text) * 2000 // 256
            rows = got["blk.0.attn_q.weight"][0][0]
            assert rows == 256 * keys["imatrix.chunk_count"], (rows, keys)

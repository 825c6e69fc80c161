"""The program itself: options, configuration, exit statuses, run and inspect, bad files."""
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time

import harness
from harness import Server, checkpoint, stretched, temporary, together

MODEL = checkpoint("qwen3moe-gqa")


def sluice(*arguments, env=None):
    return subprocess.run([harness.BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=120,
                          stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})}, errors="replace")


def test_exit_statuses():
    assert sluice().returncode == 2 and sluice("nonsense").returncode == 2
    assert "did you mean \"serve\"" in sluice("sevre").stderr
    assert sluice("--version").stdout.startswith("sluice ")
    assert sluice("serve", "--help").returncode == 0 and "--drain-seconds" in sluice("serve", "--help").stdout
    r = sluice("serve", MODEL, "--prot", 5)
    assert r.returncode == 2 and "did you mean \"port\"" in r.stderr
    assert sluice("serve", MODEL, "--port", "70000").returncode == 2
    assert sluice("serve", MODEL, "--port").returncode == 2
    assert sluice("serve", MODEL, "--tier", "avx9000").returncode == 2
    assert sluice("serve", MODEL, "--host", "0.0.0.0").returncode != 0
    assert sluice("serve", "/no/such/file.gguf").returncode == 1
    for command in ("serve", "run", "bench", "inspect"):
        more = ["Hello"] if command == "run" else []
        assert sluice(command, MODEL, *more, "--ctx", 9999999).returncode == 2, command  # out of the option's range
        if command != "inspect":  # which says what would be refused
            r = sluice(command, MODEL, *more, "--ctx", 4000000)  # beyond the model's context
            assert r.returncode == 2 and "--ctx" in r.stderr, (command, r.returncode, r.stderr)
        assert sluice(command, MODEL, *more, "--nonsense").returncode == 2, command
        assert sluice(command, "/no/such/file.gguf", *more).returncode == 1, command
        assert sluice(command, MODEL, "one", "two").returncode == 2, command


def test_configuration_environment_and_command_line():
    with temporary(json.dumps({"model": MODEL, "model-name": "from-file", "ctx": 64, "queue": 7})) as f:
        with Server(None, "--config", f, "--queue", 9, env={"SLUICE_CTX": "96", "SLUICE_PORT": "tcp://10.0.0.1:80"}) as s:
            card = json.loads(s.get("/v1/models")[2])["data"][0]
            assert card["id"] == "from-file" and card["max_model_len"] == 96
            assert "9 requests may wait" in s.text() and "ignoring SLUICE_PORT" in s.text()
    with temporary("{\"prot\": 1}") as f:
        r = sluice("serve", MODEL, "--config", f)
        assert r.returncode == 2 and "did you mean \"port\"" in r.stderr and f in r.stderr
    with temporary("{\"port\": ") as f:
        assert sluice("serve", MODEL, "--config", f).returncode != 0
    assert "unknown environment variable SLUICE_CTXX" in sluice("inspect", MODEL, env={"SLUICE_CTXX": "1"}).stderr


def test_start_up_says_what_was_chosen():
    with Server(MODEL) as s:
        lines = s.text().strip().split("\n")
        assert len(lines) <= 20
        for word in ("--threads", "--tier", "--ctx", "--kv-memory", "--max-sequences", "mapped, not copied"):
            assert word in s.text(), word


def test_run():
    r = sluice("run", MODEL, "Hello", "--max-tokens", 5, "--json")
    assert r.returncode == 0, r.stderr
    answer = json.loads(r.stdout)
    assert answer["completion_tokens"] <= 5
    again = sluice("run", MODEL, "Hello", "--max-tokens", 5, "--threads", 2)
    assert again.stdout.rstrip("\n") == answer["text"].rstrip("\n")
    assert sluice("run", MODEL).returncode == 2
    assert sluice("run", MODEL, "x" * 100000).returncode != 0
    with Server(MODEL) as s:
        assert s.complete(prompt="Hello", max_tokens=5, temperature=0)["choices"][0]["text"] == answer["text"]


def test_bench_measures_what_is_asked_for():
    asked = ("--prompts", "40", "--batches", "3,33", "--behind", "50,900", "--json")
    expected = [("prefill", 1, 0, 40), ("decode", 3, 32, 3), ("decode", 33, 32, 33), ("decode", 1, 50, 1)]
    for more in (), ("--limits",):
        r = sluice("bench", MODEL, *asked, *more)
        assert r.returncode == 0 and "nothing stands behind 900 positions" in r.stderr, r.stderr  # the model has fewer
        found = json.loads(r.stdout)
        assert [(x["phase"], x["batch"], x["context"], x["rows"]) for x in found["rows"]] == expected, found
    r = sluice("bench", MODEL, "--limits", "--batches", 2)
    assert r.returncode == 0 and len(r.stdout.strip().split("\n")) == 3, r.stdout
    r = sluice("bench", MODEL, "--batches", "2,x")
    assert r.returncode == 2 and "--batches" in r.stderr


def test_run_says_which_experts_ran():
    r = sluice("run", MODEL, "Hello", "--max-tokens", 9, "--stats", "--json")
    assert r.returncode == 0, r.stderr
    answer = json.loads(r.stdout)
    rows = answer["prompt_tokens"] + answer["completion_tokens"] - 1
    for layer in answer["experts"]:
        assert layer["rows"] == rows and sum(layer["tokens"]) == 2 * rows and len(layer["tokens"]) == 8, layer
        assert sum(layer["compute_seconds"]) > 0
    table = [line.split() for line in r.stderr.split("hottest\n")[1].strip().split("\n")]
    assert [int(line[0]) for line in table] == [layer["layer"] for layer in answer["experts"]]
    for line, layer in zip(table, answer["experts"]):
        assert int(line[1]) == rows and int(line[2]) == sum(t > 0 for t in layer["tokens"])
        assert layer["tokens"][int(line[7])] == max(layer["tokens"]), (line, layer)
    r = sluice("run", checkpoint("llama-mha-bias.gguf"), "Hello", "--max-tokens", 3, "--stats")
    assert r.returncode == 0 and "tokens/s" in r.stderr and "hottest" not in r.stderr, r.stderr


def test_run_waits_for_its_reader():
    """A pager that is not scrolled, also where the descriptor does not block: not a byte is lost."""
    model = harness.stretched("qwen3moe-gqa")
    arguments = [harness.BINARY, "run", model, "Hello", "--max-tokens", "4500"]
    whole = subprocess.run(arguments, capture_output=True, timeout=120)
    assert whole.returncode == 0 and len(whole.stdout) > 6000, (whole.returncode, len(whole.stdout))
    for blocking in (True, False):
        r, w = os.pipe()
        fcntl.fcntl(w, fcntl.F_SETPIPE_SZ, 4096)
        os.set_blocking(w, blocking)
        p = subprocess.Popen(arguments, stdout=w, stderr=subprocess.PIPE)
        os.close(w)
        paused = os.read(r, 100)
        clock = lambda: open(f"/proc/{p.pid}/schedstat").read()
        before, same, end = clock(), 0, time.monotonic() + 60
        while same < 20 and p.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
            before, same = clock(), same + 1 if clock() == before else 0
        assert p.poll() is None, p.stderr.read()
        with os.fdopen(r, "rb") as f:
            assert paused + f.read() == whole.stdout
        assert p.wait(60) == 0, p.stderr.read()
    with open("/dev/full", "wb") as full:
        r = subprocess.run([*arguments[:4], "--max-tokens", "5"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert r.returncode == 1 and "No space left" in r.stderr, r.stderr


def test_inspect():
    r = sluice("inspect", MODEL, "--json")
    assert r.returncode == 0, r.stderr
    a = json.loads(r.stdout)
    assert a["family"] == "qwen3_moe" and a["experts"] == 8 and a["plan"]["refused"] is None
    assert any("experts.7." in t["name"] for t in a["tensors"])
    assert "experts" in sluice("inspect", checkpoint("mixtral-gqa.gguf")).stdout


def test_inspect_says_each_layer():
    """What differs from layer to layer, as each config.json has it."""

    def layers(model, *fields):
        r = sluice("inspect", checkpoint(model), "--json")
        assert r.returncode == 0, r.stderr
        return [tuple(layer[f] for f in fields) for layer in json.loads(r.stdout)["layer"]]

    # The last two of four layers (num_kv_shared_layers) attend to the keys and values of the last layer before them of their own kind,
    # and have a network of twice the width (use_double_wide_mlp).
    assert layers("gemma4-own", "window", "keys_of", "keyed_values", "feed_forward", "dense_ff") == [
        (8, None, False, "dense", 8), (0, None, False, "dense", 8), (8, 0, False, "dense", 16), (0, 1, False, "dense", 16)]
    # The layer that sees everything has keys for values (attention_k_eq_v); each has a dense network beside its experts.
    for model in ("gemma4-keyed", "gemma4-keyed.gguf"):
        assert layers(model, "window", "keys_of", "keyed_values", "head_dim", "kv_heads", "feed_forward", "dense_ff") == [
            (8, None, False, 8, 2, "experts", 16), (0, None, True, 16, 1, "experts", 16)], model
    assert layers("gemma4-values", "keyed_values", "dense_ff") == [(False, 8)] * 3
    # moe_layers, no_rope_layers, layer_types; a layer has either experts or a dense network.
    assert layers("llama4-layers", "window", "chunked", "rope", "keys_of", "keyed_values", "feed_forward", "dense_ff") == [
        (0, False, False, None, False, "experts", 0), (33, True, True, None, False, "dense", 24),
        (33, True, True, None, False, "dense", 24), (0, False, False, None, False, "experts", 0)]
    # Layers that have no attention say nothing of keys.
    for layer in json.loads(sluice("inspect", checkpoint("qwen3next-odd"), "--json").stdout)["layer"]:
        assert ("keys_of" in layer) == ("keyed_values" in layer) == ("heads" in layer) == (layer["mixer"] == "attention"), layer


def test_inspect_shows_what_it_refuses():
    """What run refuses, inspect refuses, after it has shown what it knows."""
    r = sluice("inspect", MODEL, "--ctx", 1000000)
    assert r.returncode == 1 and "--ctx: 1000000 positions" in r.stderr and "refused  --ctx" in r.stdout, r.stderr
    assert "weights 0 B" not in r.stdout and "keys and values 0 B" not in r.stdout and "experts.7." in r.stdout
    r = sluice("inspect", MODEL, "--kv-memory", "8000G", "--json")
    a = json.loads(r.stdout)
    assert r.returncode == 1 and "does not fit" in a["refused"] and a["plan"]["kv_bytes"] > 0 and a["plan"]["limit_bytes"] > 0
    with tempfile.TemporaryDirectory() as d:
        for name in os.listdir(MODEL):
            os.symlink(os.path.abspath(os.path.join(MODEL, name)), os.path.join(d, name))
        os.unlink(os.path.join(d, "tokenizer.json"))
        for command in ("inspect", "run"):
            r = sluice(command, d, *(["a"] if command == "run" else []))
            assert r.returncode == 1 and "tokenizer.json" in r.stderr, (command, r.stderr)
            assert command == "run" or ("qwen3_moe" in r.stdout and "experts.7." in r.stdout)
    with open(checkpoint("mixtral-gqa.gguf"), "rb") as f:
        data = f.read().replace(b"llama.attention.head_count_kv", b"llama.attention.head_count_xx")
    with tempfile.NamedTemporaryFile(suffix=".gguf") as f:
        f.write(data)
        f.flush()
        r = sluice("inspect", f.name, "--json")
        a = json.loads(r.stdout)
        assert r.returncode == 1 and a["family"] == "mixtral" and a["plan"] is None and a["layers"] > 0, r.stderr
        assert f.name in a["refused"] and any("ffn_gate_exps" in t["name"] for t in a["tensors"])
        assert sluice("run", f.name, "a").returncode == 1


def test_a_plan_that_does_not_fit_is_refused_with_the_arithmetic():
    """/* Promise 4 */"""
    r = sluice("serve", MODEL, "--kv-memory", "8000G", "--port", 0)
    assert r.returncode == 1 and "does not fit" in r.stderr and "limit" in r.stderr, r.stderr


def test_bad_files_are_a_message():
    """Truncated and flipped files: a message or a served model, never a signal."""
    with open(checkpoint("mixtral-gqa.gguf"), "rb") as f:
        good = f.read()
    cuts = [0, 3, 8, 24, 100, 1000, len(good) // 3, len(good) - 1]
    flips = [4, 8, 16, 40, 100, 300, 700, 1500, 3000]
    for i, data in enumerate([good[:n] for n in cuts] + [good[:n] + bytes([good[n] ^ 0xFF]) + good[n + 1:] for n in flips]):
        with tempfile.NamedTemporaryFile(suffix=".gguf") as f:
            f.write(data)
            f.flush()
            r = sluice("inspect", f.name)
            assert r.returncode in (0, 1), (i, r.returncode, r.stderr)
            if i < len(cuts):
                assert r.returncode == 1 and f.name in r.stderr, (i, r.stderr)
            r = sluice("run", f.name, "a", "--max-tokens", 2)
            assert r.returncode in (0, 1), (i, r.returncode, r.stderr)
    for text in ("", "{", "{\"model_type\": \"qwen3_moe\"}", "{\"model_type\": \"martian\"}", "[" * 5000,
                 "{\"model_type\": \"qwen3_moe\", \"hidden_size\": -1}"):
        with tempfile.TemporaryDirectory() as d:
            with open(os.path.join(d, "config.json"), "w") as f:
                f.write(text)
            r = sluice("inspect", d)
            assert r.returncode == 1 and r.stderr, (text, r.stderr)


def test_a_model_file_that_is_cut_while_it_is_served():
    """/* Promise 3 */ the step is thrown away, every request that runs or waits gets an error that its client sees, status 1, and a
    line that names the file."""
    folder = stretched("qwen3moe-gqa")
    with tempfile.TemporaryDirectory() as d:
        for name in os.listdir(folder):
            shutil.copy(os.path.join(folder, name), d)
        s = Server(d, "--max-sequences", 2, "--threads", 2)
        streams = [s.open_stream(prompt=[i + 1], max_tokens=20000, ignore_eos=True) for i in range(2)]
        for c in streams:
            c.recv(100)
        plain = s.raw(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 45\r\n\r\n"
                      b'{"prompt":[1],"max_tokens":9,"min_tokens":9 }')
        s.until(lambda: s.value("sluice_requests_waiting") == 1, what="one waits")
        os.truncate(os.path.join(d, "model.safetensors"), 4096)
        answers = []
        for c in streams + [plain]:
            answers.append(b"")
            while part := c.recv(65536):
                answers[-1] += part
        for answer in answers[:2]:
            assert b'"error"' in answer and b"cannot be read any more" in answer and b"data: [DONE]" in answer, answer[-500:]
        assert answers[2].startswith(b"HTTP/1.1 500 ") and b"cannot be read any more" in answers[2], answers[2]
        assert s.process.wait(20) == 1, s.text()
        line = next(x for x in s.text().split("\n") if "cut short" in x)
        assert "model.safetensors: the file was cut short or cannot be read any more while in use" in line, s.text()


def test_a_model_file_that_is_cut_before_it_is_asked():
    with tempfile.NamedTemporaryFile(suffix=".gguf") as f:
        with open(checkpoint("mixtral-gqa.gguf"), "rb") as good:
            shutil.copyfileobj(good, f)
        f.flush()
        s = Server(f.name)
        os.truncate(f.name, 4096)
        status, _, data = s.request("POST", "/v1/completions", {"prompt": [1, 2, 3], "max_tokens": 3})
        assert status == 500 and b"cannot be read any more" in data, data
        assert s.process.wait(20) == 1, s.text()
        assert f.name in s.text().split("ready ")[1], s.text()


def anonymous(process):
    with open(f"/proc/{process.pid}/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("RssAnon"))


def test_private_memory_stays_within_the_plan_under_a_flood():
    """/* Promise 4 */ The dearest requests there are, many at once: each is answered or refused, and the lines hold."""
    model = harness.stretched("qwen3moe-gqa")
    options = ["--kv-memory", "16M", "--ctx", "20000", "--connections", "512", "--max-sequences", "4"]
    plan = json.loads(sluice("inspect", model, "--json", *options).stdout)["plan"]
    private = plan["private"]
    assert sum(private.values()) == plan["private_bytes"]
    flood = sum(private[line] for line in ("requests", "answers", "texts", "JSON", "bodies", "connections", "program"))
    with Server(model, *options, "--request-timeout", 10) as s:
        for line in ("requests", "answers", "texts", "bodies", "connections", "tokenizer"):
            assert line in s.text(), (line, s.text())
        before, worst, done = anonymous(s.process), [0], threading.Event()

        def watch():
            while not done.wait(0.002):
                worst[0] = max(worst[0], anonymous(s.process))

        long = {"prompt": [1] * 8000, "max_tokens": 10000, "ignore_eos": True}
        dear = [{"prompt": [[i % 200 + 1] * 9000 for i in range(128)], "echo": True, "logprobs": 5, "max_tokens": 1},
                {**long, "n": 64, "stream": True, "logprobs": 5}, {**long, "n": 16, "frequency_penalty": 1, "repetition_penalty": 1.1},
                {"prompt": "word " * 3000, "n": 128, "echo": True, "logprobs": 5, "max_tokens": 1},
                {"prompt": "x" * (4 << 20 - 1), "max_tokens": 1}, {"prompt": ["a" * 100] * 256, "stream": True, "max_tokens": 19000}]
        raw = [b'{"prompt":"a","metadata":[' + b"{}," * 1398000 + b"{}]}", b'{"prompt":[' + b"[1]," * 1048000 + b"[1]]}",
               b'{"prompt":"' + b"\\u00e9" * 699000 + b'"}', b'{"x":' + b"[" * 30 + b"1," * 2000000 + b"1" + b"]" * 30 + b"}"]
        bodies = [json.dumps(d).encode() for d in dear] + raw
        refused = set()

        def ask(i):
            try:
                refused.add(s.request("POST", "/v1/completions", bodies[i % len(bodies)], timeout=120)[0])
            except OSError:
                refused.add("cut")

        t = threading.Thread(target=watch)
        t.start()
        try:
            together([lambda i=i: ask(i) for i in range(80)])
        finally:
            done.set()
            t.join()
        growth = worst[0] - before
        print(f"  {growth >> 20} MiB of {flood >> 20} MiB; {sorted(map(str, refused))}")
        assert growth < flood, (growth, flood, private)
        assert s.complete(prompt=[1, 2], max_tokens=2)

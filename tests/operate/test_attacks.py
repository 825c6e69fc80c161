"""Attacks that were published against other servers of the field: model files that are not what they say, and requests.

Each file is a load error and each request a 4xx or an honest answer; never a signal, never memory that a header asks for.
"""
import json
import os
import resource
import struct
import subprocess
import tempfile

import harness
from harness import checkpoint
from replicas import shared as cluster

GOOD = checkpoint("mixtral-gqa.gguf")
MEMORY = 4 << 30  # bytes of address space that a load may take, OpenBLAS and its thread's stacks included


def read(path):
    with open(path, "rb") as f:
        return f.read()


def counted(text):
    return struct.pack("<Q", len(text)) + text


def header(tensors, keys, *rest):
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, keys) + b"".join(rest)


def value_of(data, key, new):
    """The file with a key's value, a number, overwritten in place."""
    at = data.index(counted(key.encode())) + 8 + len(key) + 4
    return data[:at] + new + data[at + len(new):]


def tensor(data, name, what, new):
    """The file with a tensor's dimensions (of two), type or offset overwritten."""
    at = data.index(counted(name.encode())) + 8 + len(name)
    assert struct.unpack_from("<I", data, at)[0] == 2, name
    at += {"count": 0, "dims": 4, "type": 20, "offset": 24}[what]
    return data[:at] + new + data[at + len(new):]


def added_key(data, name, kind, value):
    """The file with one more key, first of all."""
    tensors, keys = struct.unpack_from("<QQ", data, 8)
    # Tensor data begins at a multiple of 32: what is added has such a length.
    key = counted(name) + struct.pack("<I", kind) + value
    name_of_padding = b"padding" + b"x" * (-(len(key) + 8 + 7 + 4 + 1) % 32)
    padding = counted(name_of_padding) + struct.pack("<I", 7) + b"\0"
    return header(tensors, keys + 2, key, padding, data[24:])


u32 = lambda n: struct.pack("<I", n)  # noqa: E731
u64 = lambda n: struct.pack("<Q", n)  # noqa: E731


def files():
    g = read(GOOD)
    blk = "llama.block_count"
    return {
        # sizes that overflow before they are allocated (TALOS-2024-1913, CVE-2024-21802 and its siblings, CVE-2025-53630,
        # CVE-2026-27940)
        "2^61 tensors": header(1 << 61, 0),
        "2^64 - 1 tensors": header((1 << 64) - 1, 1, g[24:]),
        "2^63 keys": header(1, 1 << 63, g[24:]),
        "a name of 2^64 - 1 bytes": header(0, 1, u64((1 << 64) - 1), b"a" * 100),
        "a name of 2^63 bytes": header(0, 1, u64(1 << 63), b"a" * 100),
        "a text that overflows when its end is added": header(0, 1, counted(b"a"), u32(8), u64((1 << 64) - 40), b"a" * 100),
        "dimensions whose product is 2^64": tensor(g, "token_embd.weight", "dims", u64(1 << 32) * 2),
        "dimensions whose product is 0 modulo 2^64": tensor(g, "token_embd.weight", "dims", u64(1 << 33) + u64(1 << 31)),
        "a dimension of -1": tensor(g, "token_embd.weight", "dims", u64((1 << 64) - 1)),
        "a dimension of 0": tensor(g, "token_embd.weight", "dims", u64(0)),
        "rows that do not fill a block": tensor(g, "token_embd.weight", "type", u32(12)),
        "a type that is none": tensor(g, "token_embd.weight", "type", u32(255)),
        "a type of 2^31": tensor(g, "token_embd.weight", "type", u32(1 << 31)),
        "2^31 dimensions": tensor(g, "token_embd.weight", "count", u32(1 << 31)),
        # lengths that are declared and not there (a file of 43 bytes; a tiny file that kills the server)
        "an array of 2^63 in 43 bytes": header(0, 1, counted(b"ab"), u32(9), u32(4), u64(1 << 63))[:43],
        "an array of 2^40 texts": header(0, 1, counted(b"a"), u32(9), u32(8), u64(1 << 40), bytes(100)),
        "arrays in arrays": header(0, 1, counted(b"a"), u32(9), (u32(9) + u64(1)) * 100000),
        "a value of no type": header(0, 1, counted(b"a"), u32(13), bytes(100)),
        # weights beyond the file: other memory would be read and, where models can be copied, handed out (CVE-2026-7482)
        "an offset beyond the file": tensor(g, "blk.0.attn_q.weight", "offset", u64(1 << 40)),
        "an offset just beyond": tensor(g, "blk.0.attn_q.weight", "offset", u64(len(g) // 32 * 32)),
        "an offset that wraps round": tensor(g, "blk.0.attn_q.weight", "offset", u64((1 << 64) - 32)),
        "an offset between": tensor(g, "blk.0.attn_q.weight", "offset", u64(1)),
        # alignment (a multiple or 0 that moves everything)
        "an alignment of 2^31": added_key(g, b"general.alignment", 4, u32(1 << 31)),
        "an alignment of 0": added_key(g, b"general.alignment", 4, u32(0)),
        "an alignment of 3": added_key(g, b"general.alignment", 4, u32(3)),
        # numbers that become sizes of arrays (a block_count above 512 wrote beyond one)
        **{f"{blk} {n}": value_of(g, blk, u32(n)) for n in (0, 513, 1 << 20, 1 << 31, (1 << 32) - 1)},
        **{f"{key} {n}": value_of(g, f"llama.{key}", u32(n))
           for key in ("embedding_length", "attention.head_count", "attention.head_count_kv", "attention.key_length", "expert_count",
                       "feed_forward_length", "rope.dimension_count")
           for n in (9 if key == "expert_count" else 0, (1 << 31) + 1, (1 << 32) - 1)},
        "expert_used_count 9 of 8": value_of(g, "llama.expert_used_count", u32(9)),
        "expert_used_count 2^32 - 1": value_of(g, "llama.expert_used_count", u32((1 << 32) - 1)),
        "a rope base of NaN": value_of(g, "llama.rope.freq_base", struct.pack("<f", float("nan"))),
        "an epsilon of -1": value_of(g, "llama.attention.layer_norm_rms_epsilon", struct.pack("<f", -1.0)),
        # the vocabulary
        "a padding token beyond the vocabulary": value_of(g, "tokenizer.ggml.padding_token_id", u32(1 << 31)),
        "a last token beyond the vocabulary": value_of(g, "tokenizer.ggml.eos_token_id", u32((1 << 32) - 1)),
        "an unknown family": g.replace(b"llama", b"lamal"),
        "nothing": b"",
        "another magic": b"GGML" + g[4:],
        "version 2^31": g[:4] + u32(1 << 31) + g[8:],
    }


# Said of what this model does not have or need: passed over.
HARMLESS = ("feed_forward_length 0", "a padding token beyond the vocabulary", "a last token beyond the vocabulary")


def limited():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def load(path, *command):
    return subprocess.run([harness.BINARY, *command], capture_output=True, text=True, errors="replace", timeout=60, stdin=subprocess.DEVNULL,
                          preexec_fn=limited, check=False)


def test_model_files_that_lie():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.gguf")
        for name, data in {"as it is": read(GOOD), **files()}.items():
            with open(path, "wb") as f:
                f.write(data)
            r = load(path, "run", path, "a", "--max-tokens", "1", "--threads", "1")
            if name == "as it is":
                assert r.returncode == 0, r.stderr
                continue
            if r.returncode or name not in HARMLESS:
                assert r.returncode == 1 and "model.gguf" in r.stderr, (name, r.returncode, r.stderr[-300:])


def test_byte_tokens_that_are_none():
    """A vocabulary's "<0x-1>" was read as a number and written to place -1."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.gguf")
        g = read(GOOD)
        for word in (b"<0x-1>", b"<0xFFFFFFFF>", b"<0xGG>", b"<0x>", b"<0x100>", b"<0x"):
            # A SentencePiece vocabulary whose first token says that it is a byte; the model's name gives way, so that all else
            # stays where it was.
            data = g.replace(counted(b"gpt2"), counted(b"llama"), 1).replace(counted("Ā".encode()), counted(word), 1)
            data = data.replace(counted(b"mixtral-gqa"), counted(b"mixtral-gqa"[:len(g) - len(data)]), 1)
            types = data.index(counted(b"tokenizer.ggml.token_type")) + 8 + len("tokenizer.ggml.token_type") + 16
            data = data[:types] + u32(6) + data[types + 4:]
            assert len(data) == len(g)
            with open(path, "wb") as f:
                f.write(data)
            r = load(path, "run", path, "a", "--max-tokens", "1", "--threads", "1")
            assert r.returncode == 1 and "model.gguf" in r.stderr, (word, r.returncode, r.stderr[-300:])


NUMBERS = (-1, -2147483649, 2147483648, -9223372036854775808, 9223372036854775807, 10**30, 1e308, -0.0, 0.5, "1", True, [], {}, None)
INTEGERS = ("max_tokens", "min_tokens", "n", "best_of", "top_k", "seed", "logprobs", "n_discard", "n_keep", "n_predict", "min_keep", "id_slot", "n_probs",
            "n_indent", "t_max_predict_ms", "repeat_last_n", "dry_penalty_last_n", "priority", "truncate_prompt_tokens", "prompt_logprobs")
REALS = ("temperature", "top_p", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty", "typical_p", "mirostat", "mirostat_tau")


def ask(path, body):
    code, headers, data = cluster().ask("POST", path, body if isinstance(body, (bytes, str)) else json.dumps(body), timeout=120)
    assert code == 200 or 400 <= code < 500, (path, str(body)[:100], code, data[:300])
    value = json.loads(data)
    assert code == 200 or value["error"]["message"], (path, data[:300])
    return code, headers, value


def test_any_number_in_any_field():
    """A negative n_discard wrote out of bounds (CVE-2026-21869)."""
    for name in INTEGERS + REALS:
        for n in NUMBERS:
            body = {"prompt": "a", "max_tokens": 1, name: n}
            if name == "max_tokens" and isinstance(n, int) and not isinstance(n, bool) and n > 0:
                continue  # as much as fits: honest, and slow
            ask("/v1/completions", body)


def test_requests_that_cost_others_a_crash():
    nested = 60000
    pattern = "(" * nested + ")" * nested
    bombs = {
        "an empty body": b"", "no object": b"[]", "half of one": b'{"prompt": "a"', "no JSON": b"prompt=a", "an empty object": b"{}",
        "deep arrays": b'{"prompt": ' + b"[" * 100000 + b"]" * 100000 + b"}",
        "deep objects": b'{"a":' * 100000 + b"1" + b"}" * 100000,
        "a key twice": b'{"prompt": "a", "prompt": "b"}', "NaN": b'{"prompt": "a", "temperature": NaN}',
        "half a surrogate": b'{"prompt": "\\ud800"}', "bad UTF-8": b'{"prompt": "\xff\xfe"}', "a NUL": b'{"prompt": "a\\u0000b"}',
        "an empty prompt": {"prompt": ""}, "no prompts": {"prompt": []}, "an empty one of two": {"prompt": ["a", ""]},
        "tokens beyond the vocabulary": {"prompt": [1 << 31]}, "negative tokens": {"prompt": [-1]}, "a token of 2^63": {"prompt": [1 << 63]},
        "a bias beyond the vocabulary": {"prompt": "a", "logit_bias": {"4294967296": 1}}, "a bias of no token": {"prompt": "a", "logit_bias": {"-1": 1}},
        "a grammar of 60,000 brackets": {"prompt": "a", "grammar": "root ::= " + pattern},
        "an embedded grammar": {"prompt": "a", "grammar": "%llguidance {}\nstart: /" + pattern + "/"},
        "a pattern of 60,000 brackets": {"prompt": "a", "guided_regex": pattern}, "a pattern that explodes": {"prompt": "a", "guided_regex": "(a+)+$" * 1000},
        "a schema whose pattern is a bomb": {"prompt": "a", "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "string",
                                             "pattern": pattern}}}},
        "a prompt longer than the context": {"prompt": "word " * 10000},
        "many stops": {"prompt": "a", "stop": ["x" * 1000] * 1000}, "a stop that is none": {"prompt": "a", "stop": [""]},
        "256 choices of 64 prompts": {"prompt": ["a"] * 64, "n": 256},
    }
    chats = {
        "a template in the request": {"messages": [{"role": "user", "content": "a"}], "chat_template": "{{ ''.__class__.__mro__ }}"},
        "a template's arguments": {"messages": [{"role": "user", "content": "a"}], "chat_template_kwargs": {"tokenize": True, "chat_template": "{{ 1 }}"}},
        "no messages": {"messages": []}, "messages that are none": {"messages": "a"}, "a role that is none": {"messages": [{"role": "x" * 10000, "content": "a"}]},
        "tools with a pattern": {"messages": [{"role": "user", "content": "a"}], "tools": [{"type": "function", "function": {"name": "f", "parameters":
                                 {"type": "object", "properties": {"a": {"type": 7, "pattern": pattern}}}}}]},
        "a tool that is not there": {"messages": [{"role": "user", "content": "a"}], "tool_choice": {"type": "function", "function": {"name": "nobody"}}},
        "an address to fetch": {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://127.0.0.1/x"}}]}]},
        "a video to decode": {"messages": [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": "file:///etc/passwd"}}]}]},
    }
    for path, bodies in (("/v1/completions", bombs), ("/v1/chat/completions", chats), ("/tokenize", bombs)):
        for name, body in bodies.items():
            if isinstance(body, dict) and path == "/v1/completions":
                body = {"max_tokens": 1, **body}
            code, _, value = ask(path, body)
            if name.startswith(("a grammar", "an embedded", "a pattern", "a schema", "a template in")) and path != "/tokenize":
                assert code == 400, (name, code, str(value)[:200])  # never an answer that is not bound by it
            if code != 200:
                message = value["error"]["message"]
                assert len(message) < 1000 and "0x7f" not in message, (name, message[:300])
    states = cluster().run("status")
    assert states.count(" UP ") == 3 and "left with" not in cluster().text(), states

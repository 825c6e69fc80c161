"""Streaming: events, usage, UTF-8, client that reads slowly."""
import json
import time

from harness import Server, checkpoint, stretched

MODEL = checkpoint("qwen3moe-gqa")


def test_stream_says_what_the_whole_answer_says():
    fields = {"prompt": [1, 2, 3], "max_tokens": 40, "seed": 11, "logprobs": 2, "ignore_eos": True, "return_token_ids": True}
    with Server(MODEL) as s:
        whole = s.complete(**fields)["choices"][0]
        events = s.stream(**fields, stream_options={"include_usage": True})
        last = events.pop()
        assert last["choices"] == [] and last["usage"]["completion_tokens"] == 40
        choices = [e["choices"][0] for e in events]
        assert len({e["id"] for e in events}) == 1
        assert "".join(c["text"] for c in choices) == whole["text"]
        assert [i for c in choices for i in c["token_ids"]] == whole["token_ids"]
        for key in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
            assert [x for c in choices for x in c["logprobs"][key]] == whole["logprobs"][key]
        assert [c["finish_reason"] for c in choices][:-1] == [None] * (len(choices) - 1)
        assert choices[-1]["finish_reason"] == "length"
        assert choices[0]["prompt_token_ids"] == [1, 2, 3] and "prompt_token_ids" not in choices[1]
        assert len(choices) <= 40


def test_several_choices_in_one_stream():
    with Server(MODEL) as s:
        fields = {"prompt": [[1], [2]], "n": 2, "max_tokens": 6, "seed": 1, "echo": True, "ignore_eos": True}
        whole = s.complete(**fields)
        text = [""] * 4
        for e in s.stream(**fields):
            text[e["choices"][0]["index"]] += e["choices"][0]["text"]
        assert text == [c["text"] for c in whole["choices"]]


def test_usage_in_every_event():
    with Server(MODEL) as s:
        events = s.stream(prompt=[1], max_tokens=3, ignore_eos=True,
                          stream_options={"include_usage": True, "continuous_usage_stats": True})
        assert all("usage" in e for e in events)
        assert events[-1]["usage"]["completion_tokens"] == 3


def test_a_slow_reader_costs_nobody_else():
    with Server(stretched("qwen3moe-gqa"), "--max-sequences", 40) as s:
        sockets = [s.open_stream(prompt=[1], max_tokens=20000, n=8, logprobs=20, ignore_eos=True) for _ in range(2)]
        began = time.monotonic()
        assert s.complete(prompt=[2], max_tokens=20, ignore_eos=True)["usage"]["completion_tokens"] == 20
        assert time.monotonic() - began < 30
        for socket in sockets:
            socket.close()
        s.until(lambda: s.value("sluice_requests_running") == 0, what="slow readers gone")


def test_events_are_whole_characters():
    with Server(MODEL) as s:
        c = s.raw(b"")
        body = json.dumps({"prompt": "a", "max_tokens": 100, "seed": 4, "temperature": 2, "ignore_eos": True, "stream": True})
        c.sendall(f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        data = b""
        while part := c.recv(65536):
            data += part
        data.split(b"\r\n\r\n", 1)[1].decode("utf-8")  # raises if any event cut a character


def test_no_event_has_an_end_of_line_inside():
    """httpx cuts lines where Unicode does: at U+0085, U+2028 and U+2029 too."""
    with Server(MODEL) as s:
        text = "a\u2028b\u2029c\x85d\x0ce\x1c"
        c = s.raw(b"")
        body = json.dumps({"prompt": text, "max_tokens": 3, "echo": True, "stream": True, "ignore_eos": True}).encode()
        c.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        data = b""
        while part := c.recv(65536):
            data += part
        events = [line for line in data.decode().splitlines() if line.startswith("data: {")]
        assert len(events) == 3 and json.loads(events[0][6:])["choices"][0]["text"].startswith(text), events


def test_curl():
    """curl sends Expect: 100-continue with a body above a kilobyte, and -N shows events as they come."""
    import subprocess
    with Server(MODEL) as s:
        body = json.dumps({"prompt": "word " * 12, "max_tokens": 5, "stream": True, "ignore_eos": True, "user": "x" * 3000})
        r = subprocess.run(["curl", "-sSN", "-H", "Expect: 100-continue", "-d", body, f"http://127.0.0.1:{s.port}/v1/completions"],
                           capture_output=True, text=True, timeout=60)
        assert r.returncode == 0 and r.stdout.endswith("data: [DONE]\n\n"), r
        assert r.stdout.count("data: {") == 5, r.stdout

"""Clients that come and go: hang-ups in every phase, storms, full queues, drains. Promise 3."""
import json
import signal
import socket
import threading
import time

from harness import Server, stretched, together

MODEL = stretched("qwen3moe-gqa")
LONG = {"prompt": [1], "max_tokens": 20000, "ignore_eos": True}


def body(fields):
    data = json.dumps(fields).encode()
    return b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(data) + data


def idle(s):
    return s.value("sluice_requests_running") == 0 and s.value("sluice_requests_waiting") == 0


def cancelled(s):
    return sum(s.value("sluice_requests_finished_total", reason=f"cancelled_{p}") for p in ("queue", "prefill", "decode"))


def test_hang_up_while_streaming_frees_the_sequence():
    """/* Promise 3 */"""
    with Server(MODEL) as s:
        c = s.open_stream(**LONG)
        c.recv(100)
        c.close()
        s.until(lambda: idle(s), what="the sequence is freed")
        assert s.value("sluice_requests_finished_total", reason="cancelled_decode") == 1
        assert s.value("sluice_kv_cache_usage_ratio") == 0


def test_hang_up_without_streaming_frees_the_sequence():
    """/* Promise 3 */ also by a reset, and by half a close."""
    with Server(MODEL) as s:
        for way in ("close", "reset", "half"):
            before = cancelled(s)
            c = s.raw(body(LONG))
            s.until(lambda: s.value("sluice_requests_running") == 1, what="running")
            if way == "reset":
                c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            if way == "half":
                c.shutdown(socket.SHUT_WR)
            else:
                c.close()
            s.until(lambda: idle(s) and cancelled(s) == before + 1, what=way)
            c.close()


def test_hang_up_in_the_queue():
    """/* Promise 3 */"""
    with Server(MODEL, "--max-sequences", 1) as s:
        first = s.open_stream(**LONG)
        first.recv(100)
        waiting = [s.raw(body(LONG)) for _ in range(5)]
        s.until(lambda: s.value("sluice_requests_waiting") == 5, what="waiting")
        for c in waiting:
            c.close()
        s.until(lambda: s.value("sluice_requests_waiting") == 0, what="the queue is empty")
        assert s.value("sluice_requests_finished_total", reason="cancelled_queue") == 5
        assert s.value("sluice_e2e_request_latency_seconds_count") == 0 and s.value("sluice_request_prompt_tokens_count") == 0
        assert s.value("sluice_requests_running") == 1
        first.close()
        s.until(lambda: idle(s))


def test_a_storm_of_clients_loses_nobody_elses_tokens():
    """/* Promise 3 */ 120 clients hang up at random while 8 others get every token."""
    with Server(MODEL) as s:
        alone = s.complete(prompt=[9], max_tokens=150, seed=1, ignore_eos=True, return_token_ids=True)["choices"][0]

        def storm(i):
            c = s.open_stream(**{**LONG, "prompt": [i % 50 + 1] * (i % 30 + 1)})
            time.sleep(0.002 * (i % 40))
            c.close()

        def quiet():
            a = s.complete(prompt=[9], max_tokens=150, seed=1, ignore_eos=True, return_token_ids=True)["choices"][0]
            assert a == alone

        together([quiet] * 8 + [lambda i=i: storm(i) for i in range(120)])
        s.until(lambda: idle(s), what="all sequences are freed")
        assert s.value("sluice_kv_cache_usage_ratio") == 0


def test_full_queue_is_said_at_once():
    """/* Promise 3 */"""
    with Server(MODEL, "--max-sequences", 1, "--queue", 2) as s:
        c = s.open_stream(**LONG)
        c.recv(100)
        waiting = [s.raw(body(LONG)) for _ in range(2)]
        s.until(lambda: s.value("sluice_requests_waiting") == 2)
        status, headers, data = s.request("POST", "/v1/completions", {"prompt": [1]})
        assert status == 429 and int(headers["retry-after"]) >= 1, data
        assert json.loads(data)["error"]["type"] == "rate_limit_error"
        assert s.get("/readyz")[0] == 200
        assert s.value("sluice_requests_rejected_total", reason="queue_full") == 1
        for x in [c] + waiting:
            x.close()
        s.until(lambda: idle(s))


def test_drain_finishes_what_was_accepted():
    """/* Promise 3 */ SIGTERM: readyz 503, no new work, accepted work complete, exit 0."""
    s = Server(MODEL, "--max-sequences", 2, "--drain-seconds", 60)
    results = []
    threads = [threading.Thread(target=lambda: results.append(s.complete(prompt=[1], max_tokens=1500, ignore_eos=True)))
               for _ in range(4)]
    for t in threads:
        t.start()
    s.until(lambda: s.value("sluice_requests_waiting") == 2)
    s.process.send_signal(signal.SIGTERM)
    s.until(lambda: s.get("/readyz")[0] == 503, what="readyz")
    status, headers, _ = s.request("POST", "/v1/completions", {"prompt": [1]})
    assert status == 503 and "retry-after" in headers
    assert s.get("/livez")[0] == 200
    for t in threads:
        t.join()
    assert s.process.wait(30) == 0
    assert [r["usage"]["completion_tokens"] for r in results] == [1500] * 4


def whole(c):
    data = b""
    while part := c.recv(65536):
        data += part
    return data


def large_posts(s, count, **fields):
    """Sockets whose completions the text thread has: large bodies, all taken, none answered. The server has --queue 1 and
    --max-sequences 1, so that two of them leave no place for another."""
    body = json.dumps({"prompt": [1, 2], "max_tokens": 2, **fields, "metadata": {"x": "y" * 3000000}}).encode()
    head = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    clients = [s.raw(head + body) for _ in range(count)]
    s.until(lambda: s.post("/v1/completions", {})[0] == 429, what="the text thread has them")  # 400 while there is a place
    return clients


def occupied(s):
    """The text thread is busy for some seconds, with texts that larger ones wait for."""
    data = json.dumps({"content": "abc def " * 250000}).encode()
    return [s.raw(b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(data) + data) for _ in range(3)]


def test_drain_finishes_what_the_text_thread_has():
    """/* Promise 3 */ a request that was taken whole is accepted, though the engine has not seen it yet."""
    s = Server(MODEL, "--max-sequences", 1, "--queue", 1, "--drain-seconds", 60)
    others = occupied(s)
    clients = large_posts(s, 2)
    s.process.terminate()
    s.until(lambda: s.get("/readyz")[0] == 503, what="readyz")
    assert s.post("/v1/completions", {"prompt": [1]})[1]["error"]["code"] == "draining"
    for c in clients:
        data = whole(c)
        assert data.startswith(b"HTTP/1.1 200 ") and json.loads(data.split(b"\r\n\r\n", 1)[1])["usage"]["completion_tokens"] == 2, data[:400]
    assert all(whole(c).startswith(b"HTTP/1.1 200 ") for c in others)
    assert s.process.wait(60) == 0, s.text()


def test_a_second_signal_ends_what_the_text_thread_has():
    """/* Promise 3 */ with an answer that says why."""
    s = Server(MODEL, "--max-sequences", 1, "--queue", 1, "--drain-seconds", 60)
    others = occupied(s)
    clients = large_posts(s, 2)
    s.process.terminate()
    s.until(lambda: s.get("/readyz")[0] == 503, what="readyz")
    s.process.terminate()
    for c in clients:
        data = whole(c)
        assert data.startswith(b"HTTP/1.1 503 ") and b'"draining"' in data, data[:400]
    for c in others:
        data = whole(c)
        assert data.startswith(b"HTTP/1.1 200 ") or data.startswith(b"HTTP/1.1 503 ") and b'"draining"' in data, data[:400]
    assert s.process.wait(30) == 0, s.text()


def test_drain_is_bounded():
    """/* Promise 3 */ what is not done after --drain-seconds gets an error that its client can see."""
    s = Server(MODEL, "--drain-seconds", 1)
    c = s.open_stream(prompt=[1], max_tokens=30000, n=4, ignore_eos=True)
    plain = s.raw(body({"prompt": [1], "max_tokens": 30000, "n": 4, "ignore_eos": True}))
    c.recv(100)
    s.until(lambda: s.value("sluice_requests_running") == 2)
    began = time.monotonic()
    s.process.send_signal(signal.SIGTERM)
    data = b""
    while part := c.recv(65536):
        data += part
    assert b'"error"' in data and b"[DONE]" in data or b"length" in data
    answer = plain.recv(65536)
    assert answer.startswith(b"HTTP/1.1 5") or answer.startswith(b"HTTP/1.1 200"), answer[:200]
    assert s.process.wait(30) == 0
    assert time.monotonic() - began < 20


def test_a_second_signal_cuts_the_drain_short():
    """/* Promise 3 */ however long the machine has been up and however long the drain may take."""
    s = Server(MODEL, "--drain-seconds", 86400)
    c = s.open_stream(**LONG)
    c.recv(100)
    s.process.send_signal(signal.SIGTERM)
    s.until(lambda: s.get("/readyz")[0] == 503, what="readyz")
    time.sleep(0.3)
    assert s.process.poll() is None
    began = time.monotonic()
    s.process.send_signal(signal.SIGTERM)
    data = b""
    while part := c.recv(65536):
        data += part
    assert b"the server is stopping" in data and data.rstrip().endswith(b"[DONE]\n\n\r\n0"), data[-300:]
    assert s.process.wait(30) == 0
    assert time.monotonic() - began < 10


def test_signals_until_the_end():
    """However many come, and however late: what was asked for is an orderly end."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP) * 2:
        s = Server(MODEL)
        idle_one = s.raw(b"")
        s.process.terminate()
        while s.process.poll() is None:
            s.process.send_signal(number)
            time.sleep(0.0005)
        assert s.process.returncode == 0, (number, s.text())
        idle_one.close()


def test_request_timeout():
    with Server(MODEL, "--request-timeout", 1, "--threads", 1) as s:
        status, answer = s.post("/v1/completions", {"prompt": [1], "max_tokens": 30000, "n": 8, "ignore_eos": True})
        assert status == 504, answer
        s.until(lambda: idle(s))
        assert s.value("sluice_requests_finished_total", reason="timeout_decode") == 1
        assert s.value("sluice_requests_total", endpoint="/v1/completions", code="504") == 1
        assert s.value("sluice_requests_total", code="other") == 0 and cancelled(s) == 0
        assert s.value("sluice_e2e_request_latency_seconds_count") == 1


def test_kill_leaves_nothing_behind():
    s = Server(MODEL)
    c = s.open_stream(**LONG)
    c.recv(10)
    s.kill()
    assert s.process.returncode == -signal.SIGKILL

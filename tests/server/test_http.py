"""What has been attacked in servers like this one: headers, bodies, slow clients, storms. Promise 3."""
import contextlib
import json
import os
import re
import socket
import tempfile
import threading
import time

from harness import Server, checkpoint, rest_of, stretched, temporary, together

MODEL = checkpoint("qwen3moe-gqa")


def status_of(data):
    return int(data.split(b" ", 2)[1]) if data.startswith(b"HTTP/1.1 ") else 0


@contextlib.contextmanager
def slow_model():
    """The tiny checkpoint with a tokenizer.json that takes a while to read."""
    with tempfile.TemporaryDirectory() as folder:
        for file in os.listdir(MODEL):
            if file != "tokenizer.json":
                os.symlink(os.path.join(os.path.abspath(MODEL), file), os.path.join(folder, file))
        with open(os.path.join(MODEL, "tokenizer.json")) as f:
            text = f.read().rstrip()
        assert text.endswith("}")
        with open(os.path.join(folder, "tokenizer.json"), "w") as f:
            f.write(text[:-1] + ', "nobody_reads_this": [' + "0," * 8000000 + "0]}")
        yield folder


def alive(s):
    assert s.get("/livez")[0] == 200 and s.complete(prompt=[1], max_tokens=1)["usage"]["completion_tokens"] == 1


def test_huge_headers_are_refused_without_a_key():
    """One large header must not take memory, nor a thousand; a key is not even looked at."""
    with temporary("secret\n") as keys, Server(MODEL, "--api-key-file", keys) as s:
        for head in (b"X: " + b"x" * (8 << 20), b"\r\n".join(b"X%d: y" % i for i in range(20000))):
            try:
                c = s.raw(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n")
                c.sendall(head + b"\r\n\r\n")
                assert status_of(rest_of(c)) in (0, 431)
            except OSError:
                pass
        with open(f"/proc/{s.process.pid}/status") as f:
            rss = int(next(line for line in f if line.startswith("VmRSS")).split()[1])
        assert rss < 400000, rss
        assert s.get("/v1/models")[0] == 401


def test_no_path_goes_round_the_key():
    with temporary("secret\n") as keys, Server(MODEL, "--api-key-file", keys) as s:
        for path in ("/v1/models", "/v1//models", "//v1/models", "/v1/models/", "/v1/models/x", "/v1/models?a=/health", "/%761/models",
                     "/health/../v1/models", "/v1/models;/health", "/V1/models", "/v1/models%00/health", "/tokenize", "/metrics",
                     "/metrics/experts", "/livez/x", "/metrics/", "/v1/completions/", "http://localhost/v1/models",
                     "http://localhost//v1/models", "http://localhost/health/../v1/models"):
            for method in ("GET", "HEAD", "POST", "OPTIONS"):
                status, _, data = s.request(method, path)
                assert status in (400, 401, 404, 405), (method, path, status)
                assert b"qwen3" not in data
        good = {"Authorization": "Bearer secret"}
        assert s.get("/v1/models", headers=good)[0] == 200
        for path in ("/livez", "/readyz", "/health"):
            assert s.get(path)[0] == 200


def test_loading_can_be_seen():
    """The sockets open before the model does: probes get an honest 503 with the step, everything else a 503 too."""
    with slow_model() as model:
        s = Server(model, wait=False)
        s.wait_listening()
        status, _, data = s.get("/readyz")
        assert status == 503 and data.startswith(b"loading: "), (status, data)
        assert data.split(b": ", 1)[1].strip() in (b"starting", b"opening the model", b"building the tokenizer")
        assert s.get("/livez")[0] == 200
        status, answer = s.post("/v1/completions", {"prompt": [1]})
        assert status == 503 and answer["error"]["code"] == "loading", answer
        status, headers, data = s.get("/health")
        answer = json.loads(data)
        assert status == 503 and answer["status"] == "loading" and answer["doing"] and answer["model"] is None
        for path in ("/metrics", "/v1/models"):
            assert s.get(path)[0] == 503
        s.until(lambda: s.get("/readyz")[0] == 200, seconds=60, what="ready")
        alive(s)
        assert s.stop() == 0
        s = Server(model, wait=False)
        s.wait_listening()
        began = time.monotonic()
        assert s.stop() == 0 and "while loading" in s.text()
        assert time.monotonic() - began < 10
        s = Server(model, wait=False)
        s.wait_listening()
        s.process.terminate()
        time.sleep(0.05)
        assert s.stop() == 0


def test_a_load_that_fails_ends_the_process():
    for model, status in (("/nowhere/at/all", 1), (os.path.dirname(checkpoint("x")), 1)):
        s = Server(model, wait=False)
        assert s.process.wait(30) == status, s.text()
        assert model in s.text(), s.text()
    s = Server(MODEL, "--kv-memory", "1", wait=False)
    assert s.process.wait(30) == 2 and "--kv-memory: 1 B is too little" in s.text(), s.text()


def test_a_body_of_10_megabytes():
    big = json.dumps({"prompt": "x" * (10 << 20)}).encode()
    with Server(MODEL) as s:
        c = s.raw(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(big))
        sender = threading.Thread(target=lambda: send_quietly(c, big))
        sender.start()
        assert status_of(c.recv(4096)) == 413
        c.close()
        sender.join()
        alive(s)
    with Server(MODEL, "--body-limit", "16M") as s:
        status, answer = s.post("/v1/completions", big)
        assert status == 400 and answer["error"]["code"] == "context_length_exceeded"


def send_quietly(c, data):
    try:
        c.sendall(data)
    except OSError:
        pass


def test_deep_and_costly_json():
    with Server(MODEL) as s:
        for text in ("[" * 60000, '{"prompt":' + "[" * 5000 + "]" * 5000 + "}", '{"a":' * 5000 + "1" + "}" * 5000, '{"prompt":"' + "\\" * 99999,
                     "{" + ",".join('"k%d":1' % i for i in range(200000)) + "}", '{"prompt":[' + "[]," * 900000 + "[]]}"):
            status, answer = s.post("/v1/completions", text)
            assert status in (400, 413) and answer["error"]["message"]
        alive(s)


def test_large_bodies_do_not_stall_the_loop():
    """4 MB bodies with long prompts, arrays of token ids and costly JSON arrive in parallel; probes are answered meanwhile."""
    text = json.dumps({"prompt": "some words and " * 260000}).encode()
    ids = json.dumps({"prompt": [1] * 300000}).encode()
    nested = b'{"prompt":"a","max_tokens":1,"user":[' + b"[]," * 1300000 + b"[]]}"
    with Server(MODEL) as s:
        end, worst = threading.Event(), [0.0]

        def probe():
            while not end.is_set():
                began = time.monotonic()
                assert s.get("/livez")[0] == 200
                worst[0] = max(worst[0], time.monotonic() - began)
                time.sleep(0.002)

        def send(body):
            for _ in range(2):
                status, answer = s.post("/v1/completions", body, timeout=200)
                assert status in (200, 400, 413), answer

        p = threading.Thread(target=probe)
        p.start()
        together([lambda b=b: send(b) for b in (text, ids, nested)])
        end.set()
        p.join()
        print(f"  worst /livez: {worst[0] * 1e3:.0f} ms")
        assert worst[0] < 1, worst


def test_answers_that_nobody_reads_take_no_more_than_planned():
    """/* Promise 4 */ a token of a byte is answered by an object of 23: 4 MB of text by 94 MB."""
    text = "z" * 4000000
    post = json.dumps({"with_pieces": True, "content": text}).encode()
    post = b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(post) + post
    with Server(MODEL) as s:
        def resident():
            return s.value("process_resident_memory_bytes")
        before = resident()
        clients = []
        for _ in range(8):
            clients.append(s.raw(post))
            assert clients[-1].recv(12) in (b"HTTP/1.1 200", b"HTTP/1.1 429")
        assert resident() - before < 450e6, (before, resident())
        for c in clients:
            c.close()
        s.until(lambda: s.get("/health")[0] == 200)
        status, answer = s.post("/tokenize", {"content": text[:100000], "with_pieces": True})
        assert status == 200 and answer == {"tokens": [{"id": 122, "piece": "z"}] * 100000}
        status, answer = s.post("/tokenize", {"prompt": text[:100000], "return_token_strs": True})
        assert status == 200 and answer["token_strs"] == ["z"] * 100000 and answer["tokens"] == [122] * 100000
        status, answer = s.post("/detokenize", {"tokens": [122, 226, 152, 131] * 20000})
        assert status == 200 and answer["prompt"] == answer["content"] == "z☃" * 20000


def test_slow_loris():
    """Clients that send a byte now and then are cut at --header-seconds; others are served."""
    with Server(MODEL, "--header-seconds", 1) as s:
        drips = [s.raw(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: ") for _ in range(100)]
        drips += [s.raw(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n") for _ in range(100)]
        began, left = time.monotonic(), list(drips)
        while left and time.monotonic() - began < 15:
            for c in list(left):
                try:
                    c.send(b"x")
                except OSError:
                    left.remove(c)
            assert s.get("/livez")[0] == 200
            time.sleep(0.2)
        assert not left, len(left)
        for c in drips:
            c.close()
        alive(s)


def test_a_storm_of_connections():
    """More connections than the limit allows, opened, half used and left; afterwards all is as before."""
    with Server(MODEL, "--connections", 100) as s:
        for _ in range(5):
            crowd = []
            for i in range(300):
                c = socket.create_connection(("127.0.0.1", s.port), timeout=20)
                if i % 3 == 0:
                    c.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
                if i % 3 == 1:
                    c.sendall(b"GET /li")
                crowd.append(c)
            for c in crowd:
                c.close()
        s.until(lambda: s.get("/livez")[0] == 200, what="livez")
        alive(s)
        s.until(lambda: len(os.listdir(f"/proc/{s.process.pid}/fd")) < 60, what="descriptors are closed")


def test_waiting_costs_nothing():
    """Idle connections and requests that wait in the queue take no processor time."""
    model = stretched("qwen3moe-gqa")
    with Server(model) as s:
        def ticks():
            with open(f"/proc/{s.process.pid}/stat") as f:
                return sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13]))
        crowd = []
        for _ in range(500):
            c = s.raw(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert c.recv(4096).startswith(b"HTTP/1.1 200")
            crowd.append(c)
        before = ticks()
        time.sleep(2)
        assert ticks() - before < 10, ticks() - before
        for c in crowd:
            c.close()


def test_head_and_options():
    with Server(MODEL) as s:
        c = s.raw(b"HEAD /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\nGET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        data = rest_of(c)
        assert data.count(b"HTTP/1.1 200") == 2 and data.endswith(b"\r\n\r\nok\n"), data
        status, headers, _ = s.request("OPTIONS", "/v1/completions")
        assert status == 405 and headers["allow"] == "POST" and "access-control-allow-origin" not in headers
        for path in ("/metrics", "/metrics/experts", "/v1/models", "/livez", "/health", "/not/there"):
            one, more = [s.request(method, path) for method in ("HEAD", "GET")]
            assert one[0] == more[0] and one[1].get("content-length") == more[1].get("content-length"), (path, one, more[1])
        status, headers, _ = s.request("GET", "/livez", headers={"Origin": "https://evil.example"})
        assert status == 403 and "access-control-allow-origin" not in headers


def test_what_a_web_page_may_not_do():
    """DNS rebinding and cross-site requests against a server without keys; programs are not disturbed."""
    body = json.dumps({"prompt": [1], "max_tokens": 1})
    with Server(MODEL) as s:
        for headers in ({"Host": "evil.example"}, {"Host": f"evil.example:{s.port}"}, {"Origin": "https://evil.example"}, {"Origin": "null"},
                        {"Host": "evil.example", "Origin": "http://evil.example"}, {"Origin": "http://localhost:1", "Host": "localhost:2"}):
            status, _, data = s.request("POST", "/v1/completions", body, headers=headers)
            assert status == 403 and json.loads(data)["error"]["type"] == "permission_error", (headers, status, data)
        for headers in ({}, {"Host": "LOCALHOST."}, {"Host": "[::1]:1"}, {"Host": "127.3.4.5:80"}, {"Origin": f"http://127.0.0.1:{s.port}"},
                        {"Content-Type": "application/x-www-form-urlencoded"}, {"Content-Type": "text/plain"}, {"Content-Type": ""}):
            status, _, data = s.request("POST", "/v1/completions", body, headers=headers)
            assert status == 200, (headers, status, data)
        assert s.value("sluice_requests_total", code="403") == 6 and s.value("sluice_requests_rejected_total", reason="auth") == 6
    with Server(MODEL, "--allowed-hosts", "api.example,other.example") as s:
        for host, status in (("api.example", 200), ("other.example:443", 200), ("localhost", 200), ("evil.example", 403)):
            assert s.request("POST", "/v1/completions", body, headers={"Host": host})[0] == status, host


def test_the_openai_package_for_javascript_in_a_browser():
    asked = "authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-package-version,x-stainless-retry-count"
    origin = "http://localhost:3000"
    with temporary("secret\n") as keys, Server(MODEL, "--cors-origin", origin, "--api-key-file", keys) as s:
        status, headers, _ = s.request("OPTIONS", "/v1/completions", headers={
            "Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": asked})
        assert status == 204 and headers["access-control-allow-headers"] == asked, headers
        assert "POST" in headers["access-control-allow-methods"] and headers["access-control-allow-origin"] == origin
        status, headers, _ = s.request("POST", "/v1/completions", json.dumps({"prompt": [1], "max_tokens": 1}), headers={
            "Origin": origin, "Authorization": "Bearer secret", "X-Stainless-Lang": "js"})
        assert status == 200 and headers["access-control-allow-origin"] == origin
        assert "X-Request-Id" in headers["access-control-expose-headers"]
        assert s.request("POST", "/v1/completions", "{}", headers={"Origin": origin})[1]["access-control-allow-origin"] == origin


def test_who_sends_all_before_reading_sees_why_it_is_refused():
    """http.client sends the whole body first: the answer must not be lost in a connection that is closed on what it sends."""
    body = b'{"prompt": "' + b"x" * 3000000 + b'"}'
    with temporary("secret\n") as keys, Server(MODEL, "--api-key-file", keys) as s:
        key = {"Authorization": "Bearer secret"}
        for path, headers, status in (("/v1/completions", {}, 401), ("/chat/completions", key, 404), ("/v1/models", key, 405),
                                      ("/v1/completions", {**key, "Content-Encoding": "br"}, 415),
                                      ("/v1/completions", {**key, "Origin": "https://evil.example"}, 403)):
            assert s.request("POST", path, body, headers=headers)[0] == status, (path, headers)
        assert s.request("POST", "/v1/completions", body * 2, headers=key)[0] == 413
        c = s.raw(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 3000000\r\n\r\n")
        assert status_of(rest_of(c)) == 401


def test_an_encoded_body_is_refused_by_name():
    import gzip
    with Server(MODEL) as s:
        status, headers, data = s.request("POST", "/v1/completions", gzip.compress(b'{"prompt":[1]}'), headers={"Content-Encoding": "gzip"})
        assert status == 415 and headers["accept-encoding"] == "identity", (status, headers)
        assert "Content-Encoding" in json.loads(data)["error"]["message"]
        assert s.value("sluice_requests_total", code="415", endpoint="/v1/completions") == 1


def test_a_slash_at_the_end_whole_urls_and_the_other_key_header():
    with temporary("secret\n") as keys, Server(MODEL, "--api-key-file", keys) as s:
        for path in ("/v1/models", "/v1/models/", f"http://127.0.0.1:{s.port}/v1/models", "http://any.example/v1/models/?x=1"):
            assert s.get(path)[0] == 401
            status, _, data = s.get(path, headers={"X-Api-Key": "secret"})
            assert status == 200 and json.loads(data)["data"], (path, data)
        for path in ("/livez/", "/readyz/", "/health/"):
            assert s.get(path)[0] == 200
        status, _, data = s.request("POST", "/v1/completions/", json.dumps({"prompt": [1], "max_tokens": 1}), headers={"X-Api-Key": "secret"})
        assert status == 200, data
        for path in ("/chat/completions", "//v1/chat/completions", "/v1/v1/chat/completions", "/openai/v1/chat/completions"):
            status, _, data = s.request("POST", path, "{}")
            assert status == 404 and "but at /v1/chat/completions" in json.loads(data)["error"]["message"], (path, data)
        for path in ("/", "/v1", "/completion", "/v1/embeddings", "//"):
            assert json.loads(s.get(path)[2])["error"]["message"] == "There is nothing at this path.", path


def test_a_scrape_needs_no_key_on_the_admin_address_or_its_own():
    with temporary("client\n") as clients, temporary("scrape\n") as scrapes:
        with Server(MODEL, "--api-key-file", clients, "--admin", "0.0.0.0:0", "--host", "0.0.0.0") as s:  # as kubernetes.yaml asks for
            assert s.get("/metrics", port=s.admin)[0] == 200
            assert s.get("/metrics/experts", port=s.admin)[0] == 200
            assert s.get("/v1/models")[0] == 401 and s.get("/metrics")[0] == 404
            assert s.get("/v1/models", port=s.admin)[0] == 404
        with Server(MODEL, "--api-key-file", clients, "--admin", "127.0.0.1:0", "--admin-key-file", scrapes) as s:
            for key, status in ((None, 401), ("client", 401), ("scrape", 200)):
                assert s.get("/metrics", port=s.admin, headers={"Authorization": f"Bearer {key}"} if key else {})[0] == status
            assert s.get("/readyz", port=s.admin)[0] == 200
            assert s.get("/v1/models", headers={"Authorization": "Bearer scrape"})[0] == 401


def test_refusals_are_in_json_with_an_id_and_counted():
    """What the HTTP library would say in HTML, without an id, once twice."""
    with Server(MODEL) as s:
        host = b"\r\nHost: localhost\r\n"
        for head, status in ((b"GET /livez HTTP/2.0" + host, 505), (b"GET /" + b"x" * 40000 + b" HTTP/1.1" + host, 414),
                             (b"GET /livez HTTP/1.1" + host + b"X: " + b"x" * 60000 + b"\r\n", 431),
                             (b"POST /v1/completions HTTP/1.1" + host + b"Content-Length: x\r\n", 400),
                             (b"GET /livez HTTP/1.1" + host + b"X: a\r\n b\r\n", 400), (b"GET /li\0vez HTTP/1.1" + host, 400),
                             (b"GET /livez HTTP/1.1\nHost: localhost\n", 400), (b"what is this\r\n", 400)):
            before = s.value("sluice_requests_total", code=str(status), endpoint="other")
            data = rest_of(s.raw(head + b"\r\n"))
            assert status_of(data) == status, (head[:60], data[:200])
            top, _, body = data.partition(b"\r\n\r\n")
            assert b"x-request-id: " in top.lower() and b"application/json" in top and data.count(b"\r\nDate: ") == 1, data[:300]
            assert json.loads(body)["error"]["message"]
            assert s.value("sluice_requests_total", code=str(status), endpoint="other") == before + 1
        alive(s)


def test_fewer_files_than_connections():
    """Fewer descriptors than --connections: said at start, and idle connections make room for a probe there too."""
    with Server(MODEL, files=200) as s:
        assert re.search(r"clients +1[0-9]{2} connections \(--connections asked for more", s.text()), s.text()
    with Server(MODEL, "--connections", 50, files=400) as s:
        assert re.search(r"clients +50 connections \(--connections\)", s.text()), s.text()
    with Server(MODEL, files=90) as s: # not even the least that is wanted
        crowd = [socket.create_connection(("127.0.0.1", s.port), timeout=20) for _ in range(300)]
        assert s.get("/livez")[0] == 200
        alive(s)
        for c in crowd:
            c.close()
    s = Server(MODEL, files=12, wait=False)
    assert s.process.wait(30) == 1 and "at most 12 open files are allowed (ulimit -n)" in s.text(), s.text()


def test_idle_connections_do_not_keep_a_probe_from_its_answer():
    """More idle connections than there are places, some of which drip their headers: the oldest make room."""
    with Server(MODEL, "--connections", 200) as s:
        crowd = []
        for i in range(700):
            c = socket.create_connection(("127.0.0.1", s.port), timeout=20)
            c.sendall([b"", b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: "][i % 3])
            crowd.append(c)
        for _ in range(20):
            began = time.monotonic()
            assert s.get("/livez")[0] == 200
            assert time.monotonic() - began < 5
        alive(s)
        for c in crowd:
            c.close()


def test_a_cancelled_stream_says_why_at_the_end_of_a_drain():
    """/* Promise 3 */"""
    s = Server(stretched("qwen3moe-gqa"), "--drain-seconds", 0)
    c = s.open_stream(prompt=[1], max_tokens=30000, n=8, ignore_eos=True)
    c.recv(100)
    s.process.terminate()
    data = rest_of(c)
    assert b"the server is stopping" in data and data.rstrip().endswith(b"[DONE]\n\n\r\n0"), data[-300:]
    assert s.process.wait(30) == 0
    assert "shutdown" in s.text() and "cancelled_" not in s.text(), s.text()

"""Behind HAProxy: TLS, strict parsing, streams that are not held up, and what three replicas cost."""
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from urllib.request import urlopen

from replicas import shared as cluster


def raw(data, read_all=False):
    """Sends bytes over TLS; the answers' bytes, until the server closes or (read_all False) one whole answer is there."""
    c = cluster()
    with c.tls.wrap_socket(socket.create_connection(("127.0.0.1", c.port), timeout=60), server_hostname="localhost") as s:
        out = b""
        try:
            s.sendall(data)
            while read_all or not whole(out):
                got = s.recv(65536)
                if not got:
                    break
                out += got
        except (ssl.SSLError, ConnectionError):
            pass  # it had enough of us; what it said before counts
        return out


def whole(answer):
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?im)^content-length: (\d+)\r?$", head)
    return bool(end) and (length is None or len(body) >= int(length.group(1)))


def status(answer):
    found = re.match(rb"HTTP/1\.[01] (\d{3})", answer)
    return int(found.group(1)) if found else 0


POST = b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: mine\r\n"
BODY = b'{"prompt": "a"}'
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
LENGTH = b"Content-Length: %d\r\n" % len(BODY)

# What must be refused, in any case with a 4xx.
REFUSED = {
    "two lengths that differ": POST + LENGTH + b"Content-Length: 3\r\n\r\n" + BODY,
    "a negative length": POST + b"Content-Length: -1\r\n\r\n",
    "a signed length": POST + b"Content-Length: +15\r\n\r\n" + BODY,
    "a length beyond 64 bits": POST + b"Content-Length: 18446744073709551617\r\n\r\n" + BODY,
    "a length behind a vertical tab": POST + b"Content-Length:\x0b15\r\n\r\n" + BODY,
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n" + LENGTH + b"\r\n" + BODY,
    "identity with a length": POST + b"Transfer-Encoding: identity\r\n" + LENGTH + b"\r\n" + BODY,
    "chunked, then another": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKED,
    "gzip before chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKED,
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    "chunked behind a vertical tab": POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n" + CHUNKED,
    "chunked in HTTP/1.0": POST.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    "a chunk's size that is none": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a chunk's size beyond 64 bits": POST + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "a NUL in a value": POST + b"X-Other: a\0b\r\n" + LENGTH + b"\r\n" + BODY,
    "a control character in a value": POST + b"X-Other: a\x1bb\r\n" + LENGTH + b"\r\n" + BODY,
    "a CR in a value": POST + b"X-Other: a\rb\r\n" + LENGTH + b"\r\n" + BODY,
    "a NUL in the path": b"GET /li\0vez HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a NUL in the method": b"G\0T /livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a blank before the colon": POST + b"X-Other : a\r\n" + LENGTH + b"\r\n" + BODY,
    "a blank in a name": POST + b"Content Length: 15\r\n\r\n" + BODY,
    "a header without a name": POST + b": a\r\n" + LENGTH + b"\r\n" + BODY,
    "a folded first line": b"GET /livez HTTP/1.1\r\n Host: other\r\nHost: localhost\r\n\r\n",
    "two hosts": POST + b"Host: other\r\n" + LENGTH + b"\r\n" + BODY,
    "no host": b"GET /v1/models HTTP/1.1\r\n\r\n",
    "another host in the target": b"GET http://other/v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a version that is none": b"GET /livez HTTP/1.2\r\nHost: localhost\r\n\r\n",
    "HTTP/0.9": b"GET /livez\r\n\r\n",
    "a header of 70 kB": POST + b"X-Other: " + b"a" * 70000 + b"\r\n\r\n",
    "a thousand headers": POST + b"".join(b"X-%d: a\r\n" % i for i in range(1000)) + b"\r\n",
    "a target of 70 kB": b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "the metrics": b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "the metrics, encoded": b"GET /%6detrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "the metrics, by a way round": b"GET /v1/../metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a drain": b"POST /drain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
}

# What HAProxy writes anew: Sluice gets one well-formed request, and its answer is for that.
MENDED = {
    "one length twice": POST + LENGTH + LENGTH + b"\r\n" + BODY,
    "one length twice in a line": POST + b"Content-Length: 15, 15\r\n\r\n" + BODY,
    "a length beside chunks": POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    "folded lines": POST + b"X-Other: a\r\n\tb\r\n" + LENGTH + b"\r\n" + BODY,
    "bare LF": (POST + LENGTH + b"\r\n").replace(b"\r\n", b"\n") + BODY,
    "bare LF in chunks": POST + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED.replace(b"\r\n", b"\n"),
    "a NUL in a chunk's extension": POST + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED.replace(b"\r\n", b";a=\0b\r\n", 1),
    "a length in a trailer": POST + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED[:-2] + b"Content-Length: 5\r\n\r\n",
    "one host twice": POST + b"Host: localhost\r\n" + LENGTH + b"\r\n" + BODY,
    "another protocol": POST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n" + LENGTH + b"\r\n" + BODY,
    "headers for one connection alone": POST + b"Connection: content-length, host\r\n" + LENGTH + b"\r\n" + BODY,
}


def test_attacks_on_the_framing():
    for name, data in REFUSED.items():
        answer = raw(data)
        assert 400 <= status(answer) < 500, (name, answer[:200])
        if name in ("chunked in HTTP/1.0", "a NUL in a value", "the metrics", "a drain", "no host"):  # well-formed, and refused by rule
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["message"], (name, answer[:300])
    for name, data in MENDED.items():
        answer = raw(data)
        assert status(answer) == 200 and b"x-request-id: mine" in answer.lower() and b'"tokens"' in answer, (name, answer[:300])
    assert cluster().run("status").count(" UP ") == 3
    assert cluster().process.poll() is None and "left with" not in cluster().text()


def test_what_one_client_sends_is_not_taken_for_anothers():
    """A body's end that proxy and server see in different places would leave bytes on a connection that others use next."""
    hidden = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: hidden\r\n\r\n"
    for framing in (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"Content-Length: 0\r\nContent-Length: 0\r\n", b"Content-Length: 0\r\n"):
        body = b"0\r\n\r\n" if b"chunked" in framing else b""
        raw(POST + framing + b"\r\n" + body + hidden)
        for i in range(8):  # through every connection that HAProxy keeps
            code, headers, data = cluster().ask("POST", "/tokenize", {"prompt": "a"}, {"X-Request-Id": f"next-{i}"})
            assert code == 200 and headers["x-request-id"] == f"next-{i}" and b"tokens" in data, (framing, headers, data)


def test_tls_and_nothing_else():
    c = cluster()
    with socket.create_connection(("127.0.0.1", c.port), timeout=60) as s:
        s.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200" not in s.recv(4096)[:15]
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    try:
        old.wrap_socket(socket.create_connection(("127.0.0.1", c.port), timeout=60)).close()
        raise AssertionError("TLS 1.1 was accepted")
    except (ssl.SSLError, ConnectionError):
        pass
    code, headers, _ = c.ask("GET", "/readyz")
    assert code == 200 and "max-age" in headers["strict-transport-security"] and headers["x-sluice-replica"].startswith("replica-")


def test_streams_are_not_held_up():
    """The first event is here while the request still runs."""
    c = cluster()
    if not shutil.which("curl"):
        raise ImportError("curl is not there")
    body = json.dumps({"prompt": "And it came to pass", "max_tokens": 450, "ignore_eos": True, "stream": True})
    p = subprocess.Popen(["curl", "-sN", "--max-time", "120", "--cacert", f"{c.folder}/certificate.crt", "-d", body,
                          f"https://localhost:{c.port}/v1/completions"], stdout=subprocess.PIPE)
    first = p.stdout.readline()
    running = sum(c.metric(i, "sluice_requests_running") for i in range(3))
    rest = p.communicate(timeout=120)[0]
    assert first.startswith(b"data: {") and running == 1, (first, running)
    assert rest.rstrip().endswith(b"data: [DONE]"), rest[-200:]


def test_bodies_larger_than_a_buffer():
    """They pass, though they could not be sent again."""
    code, _, data = cluster().ask("POST", "/tokenize", {"prompt": "word " * 60000})
    assert code == 200 and len(json.loads(data)["tokens"]) > 60000
    c = cluster()
    r = subprocess.run(["curl", "-s", "--max-time", "60", "--cacert", f"{c.folder}/certificate.crt", "--data-binary", "@-", "-w", "%{http_code}", "-o",
                        "/dev/null", f"https://localhost:{c.port}/tokenize"], input=b"x" * 5000000, capture_output=True, check=False)
    assert r.stdout == b"413", r


def test_three_replicas_have_one_model_in_memory():
    """What `status` says is what the kernel says: a page of the model that all have mapped counts a third for each."""
    c = cluster()
    for i in range(12):  # every replica reads its whole model
        assert c.ask("POST", "/v1/completions", {"prompt": "word " * 100 + str(i), "max_tokens": 8, "seed": i})[0] == 200
    table = c.run("status")
    print("   " + "\n   ".join(table.splitlines()[1:]))
    rows = [line.split() for line in table.splitlines() if re.match(r"\d ", line)]
    assert len(rows) == 3, table
    resident, share = sum(float(r[5]) for r in rows), sum(float(r[6]) for r in rows)
    assert share <= 0.5 * resident, table  # a third, but for pages that not all have touched


def test_the_balancer_itself():
    """It has metrics of its own, and no rights."""
    c = cluster()
    if os.getuid() == 0:
        master = c.state()["haproxy"]
        with open(f"/proc/{master}/task/{master}/children", encoding="ascii") as f:
            workers = f.read().split()
        assert workers and all(os.stat(f"/proc/{w}").st_uid != 0 for w in workers)
    text = urlopen(f"http://127.0.0.1:{c.state()['stats']}/metrics", timeout=60).read().decode()
    assert 'haproxy_server_status{proxy="replicas",server="replica-1",state="UP"} 1' in text


def test_who_hangs_up_frees_a_replica():
    """In the queue or before the first token, through HAProxy as without it."""
    c = cluster()

    def cancelled():
        return sum(c.metric(i, "sluice_requests_finished_total", reason=f"cancelled_{phase}") for i in range(3) for phase in ("queue", "prefill", "decode"))

    before = cancelled()
    for stream in (False, True):
        body = json.dumps({"prompt": "a", "max_tokens": 400, "n": 32, "ignore_eos": True, "stream": stream}).encode()
        s = c.tls.wrap_socket(socket.create_connection(("127.0.0.1", c.port), timeout=60), server_hostname="localhost")
        s.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        end = time.monotonic() + 60
        while not sum(c.metric(i, "sluice_requests_running") for i in range(3)):
            assert time.monotonic() < end, "it never ran"
            time.sleep(0.01)
        s.close()
        before += 1
        while cancelled() < before:
            assert time.monotonic() < end, "the replica computes on for nobody"
            time.sleep(0.01)

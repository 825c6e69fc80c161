"""What an operator does to a server: drains it, restarts it under its service manager, gives it other keys. Promise 3."""
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time

import harness
from harness import Askers, Server, checkpoint, rest_of, stretched
from test_program import sluice

MODEL = stretched("qwen3moe-gqa")
TINY = checkpoint("mixtral-gqa.gguf")
LONG = {"prompt": [1], "max_tokens": 20000, "ignore_eos": True}


def ready(s):
    return s.get("/readyz")[0] == 200


# --- the drain


def test_work_is_taken_while_balancers_find_out():
    """/* Promise 3 */ --drain-delay: not ready at once, and everything that comes is served; a second signal ends it now."""
    s = Server(MODEL, "--drain-delay", 3600, "--drain-seconds", 3600, "--admin", "127.0.0.1:0")
    stream = s.open_stream(**LONG)
    stream.recv(100)
    s.process.send_signal(signal.SIGTERM)
    s.until(lambda: not ready(s), what="readyz")
    for _ in range(3):
        status, headers, data = s.request("POST", "/v1/completions", {"prompt": [1], "max_tokens": 2, "ignore_eos": True})
        assert status == 200 and json.loads(data)["usage"]["completion_tokens"] == 2
        assert headers["connection"] == "close"
    assert s.get("/livez")[0] == 200 and s.get("/readyz", port=s.admin)[0] == 503
    assert s.process.poll() is None
    assert "SIGTERM: not ready any more; work is taken for another 3600 s (--drain-delay)" in s.text()
    s.process.send_signal(signal.SIGTERM)
    assert b"the server is stopping" in rest_of(stream)
    assert s.process.wait(30) == 0, s.text()


def test_after_the_delay_new_work_is_refused_and_accepted_work_ends():
    """/* Promise 3 */"""
    s = Server(MODEL, "--drain-delay", 1, "--drain-seconds", 3600)
    stream = s.open_stream(prompt=[1], max_tokens=600, ignore_eos=True)
    stream.recv(100)
    s.process.send_signal(signal.SIGTERM)
    s.until(lambda: s.post("/v1/completions", {"prompt": [1], "max_tokens": 1})[0] == 503, what="refused")
    data = rest_of(stream)
    assert b'"finish_reason":"length"' in data and data.rstrip().endswith(b"data: [DONE]\n\n\r\n0"), data[-300:]
    assert s.process.wait(30) == 0, s.text()


def to_done(stream):
    """The rest of a stream whose connection is kept: its head went out before the drain."""
    data = b""
    while not data.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n"):
        data += stream.recv(65536)
    return data


def test_a_drain_on_request():
    """POST /drain: on the admin address only; the server stays until a signal, which is the first one then."""
    s = Server(MODEL, "--admin", "127.0.0.1:0", "--drain-seconds", 3600)
    stream = s.open_stream(prompt=[1], max_tokens=600, ignore_eos=True)
    stream.recv(100)
    assert s.request("POST", "/drain")[0] == 404
    assert s.get("/drain", port=s.admin)[0] == 405
    assert s.request("POST", "/drain", port=s.admin, headers={"Origin": "https://evil.example"})[0] == 403
    assert s.request("POST", "/drain", port=s.admin, headers={"Host": "evil.example"})[0] == 403
    assert ready(s)
    status, _, data = s.request("POST", "/drain", port=s.admin)
    assert status == 200 and json.loads(data) == {"status": "draining", "taking": True, "running": 1, "waiting": 0}, data
    assert s.get("/readyz")[0] == 503
    s.until(lambda: s.post("/v1/completions", {"prompt": [1]})[0] == 503, what="refused")
    again = json.loads(s.request("POST", "/drain", port=s.admin)[2])
    assert again["status"] == "draining" and again["taking"] is False, again
    assert s.value("sluice_ready") == 0 and s.value("sluice_draining") == 1
    assert b'"finish_reason":"length"' in to_done(stream)
    s.until(lambda: s.value("sluice_requests_running") == 0, what="idle")
    assert s.process.poll() is None and s.get("/livez")[0] == 200
    s.process.send_signal(signal.SIGTERM)
    assert s.process.wait(30) == 0, s.text()
    assert "POST /drain: not ready any more" in s.text()


def test_a_signal_after_a_drain_on_request_waits_for_what_runs():
    """/* Promise 3 */ as a preStop hook and the SIGTERM behind it do."""
    s = Server(MODEL, "--admin", "127.0.0.1:0", "--drain-seconds", 3600, "--drain-delay", 1)
    stream = s.open_stream(prompt=[1], max_tokens=600, ignore_eos=True)
    stream.recv(100)
    assert s.request("POST", "/drain", port=s.admin)[0] == 200
    s.process.send_signal(signal.SIGTERM)
    assert b'"finish_reason":"length"' in rest_of(stream)
    assert s.process.wait(30) == 0, s.text()


def test_the_drain_command():
    """`sluice drain`, for preStop hooks in images without a shell: returns when nothing runs, though the server goes on to be there."""
    with harness.temporary("# the first one is shown\nsecret\n") as keys:
        s = Server(MODEL, "--admin", "127.0.0.1:0", "--admin-key-file", keys)
        pod = {"SLUICE_ADMIN": f"0.0.0.0:{s.admin}", "SLUICE_ADMIN_KEY_FILE": keys, "SLUICE_DRAIN_SECONDS": "3600"}
        stream = s.open_stream(prompt=[1], max_tokens=600, ignore_eos=True)
        stream.recv(100)
        r = sluice("drain", f"127.0.0.1:{s.admin}")
        assert r.returncode == 1 and "the key is missing or wrong (--admin-key-file)" in r.stderr, r
        r = sluice("drain", f"127.0.0.1:{s.port}")
        assert r.returncode == 1 and "it is on the server's admin address alone (--admin)" in r.stderr, r
        assert ready(s)
        r = sluice("drain", env={**pod, "SLUICE_DRAIN_SECONDS": "0"})
        assert r.returncode == 1 and "1 requests go on after 0 s" in r.stderr, r
        drained = []
        waiter = threading.Thread(target=lambda: drained.append(sluice("drain", env=pod)))
        waiter.start()
        assert b'"finish_reason":"length"' in to_done(stream)
        waiter.join(60)
        assert drained[0].returncode == 0 and drained[0].stdout.endswith("draining: 0 requests go on\ndrained\n"), drained
        assert s.get("/livez")[0] == 200
        assert s.stop() == 0, s.text()
        assert sluice("drain", env=pod).returncode == 1  # nobody is there


def test_a_drain_on_request_needs_the_admin_key():
    with harness.temporary("secret\n") as keys:
        with Server(TINY, "--admin", "127.0.0.1:0", "--admin-key-file", keys) as s:
            assert s.request("POST", "/drain", port=s.admin)[0] == 401
            assert ready(s)
            assert s.request("POST", "/drain", port=s.admin, headers={"X-Api-Key": "secret"})[0] == 200


# --- overload


def test_the_wait_that_is_told_is_the_one_that_is_measured():
    """Promise 5: Retry-After is sluice_expected_wait_seconds, rounded up, from 1 to 60."""
    with Server(MODEL, "--max-sequences", 1, "--queue", 1) as s:
        s.complete(prompt=[1], max_tokens=300, ignore_eos=True)  # so long does a place take to be free
        s.until(lambda: s.value("sluice_expected_wait_seconds") == 0, what="nothing to wait for")
        running = s.open_stream(**LONG)
        running.recv(100)
        waiting = s.open_stream(**LONG)
        s.until(lambda: s.value("sluice_requests_waiting") == 1, what="waiting")
        for _ in range(3):
            before = s.value("sluice_expected_wait_seconds")
            status, headers, _ = s.request("POST", "/v1/completions", {"prompt": [1]})
            after = s.value("sluice_expected_wait_seconds")
            assert status == 429
            told, low, high = int(headers["retry-after"]), min(before, after), max(before, after)
            assert max(1, low) <= told <= min(60, high + 1) or told == 1 and high < 1, (before, told, after)
        running.close()
        waiting.close()


# --- keys


def answers(s, key):
    return s.get("/v1/models", headers={"Authorization": "Bearer " + key})[0] == 200


def test_keys_that_kubernetes_replaces():
    """A Secret's volume: keys -> ..data/keys, ..data -> ..first; an update swaps ..data, and the old folder goes."""
    with tempfile.TemporaryDirectory() as d:
        def put(name, keys):
            os.mkdir(os.path.join(d, name))
            with open(os.path.join(d, name, "keys"), "w") as f:
                f.write(keys)
            os.symlink(name, os.path.join(d, "..data_tmp"))
            os.rename(os.path.join(d, "..data_tmp"), os.path.join(d, "..data"))

        put("..first", "one\n")
        os.symlink("..data/keys", os.path.join(d, "keys"))
        with Server(TINY, "--api-key-file", os.path.join(d, "keys")) as s:
            assert answers(s, "one") and not answers(s, "two")
            for name, key, old in (("..second", "two", "one"), ("..third", "three", "two")):
                put(name, key + "\n")
                assert answers(s, old) and not answers(s, key)
                s.process.send_signal(signal.SIGHUP)
                s.until(lambda: answers(s, key), what="the new keys")
                assert not answers(s, old)
            os.unlink(os.path.join(d, "..third", "keys"))
            s.process.send_signal(signal.SIGHUP)
            s.until(lambda: "keys not read, the old ones stay" in s.text(), what="the line")
            assert answers(s, "three")


# --- what is configured


def test_the_example_has_every_option_at_its_default():
    """conf/sluice.json is loaded as it is; conf/README.md has a row for every option."""
    conf = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "conf")
    text = subprocess.run([harness.BINARY, "serve", "--help"], capture_output=True, text=True, timeout=60).stdout
    options = dict(re.findall(r"^  --([a-z-]+) .*?(?:\(default ([^()]*)\))?$", text, re.M))
    assert len(options) > 30, text
    del options["config"]
    with open(os.path.join(conf, "sluice.json")) as f:
        keys = json.load(f)
    assert set(keys) == set(options) | {"model"}, set(keys) ^ set(options)
    for name, default in options.items():
        value = keys[name]
        said = "" if value is None or value is False else str(value)
        assert said == default, (name, value, default)
    with open(os.path.join(conf, "README.md")) as f:
        rows = "\n".join(line.split("|")[1] for line in f if line.startswith("| `"))
    missing = [name for name in keys if f"`{name}`" not in rows]
    assert not missing, missing
    with Server(TINY, "--config", os.path.join(conf, "sluice.json")) as s:
        assert ready(s)


# --- what the process may do


def threads_of(pid):
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/status") as f:
            yield dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def test_every_thread_is_limited():
    with harness.temporary("key\n") as keys:
        with Server(MODEL, "--api-key-file", keys, "--threads", 2) as s:
            line = next(x for x in s.text().split("\n") if " sandbox " in x)
            if " off: " in line or "NOT limited" in line:
                raise ImportError("the sandbox is NOT tested:" + line.split(" sandbox ")[1])
            assert os.path.dirname(keys) in line and "none that connects or starts a program" in line, line
            threads = list(threads_of(s.process.pid))
            assert len(threads) >= 5, threads
            for t in threads:
                assert t["Seccomp"] == "2" and t["NoNewPrivs"] == "1", t
        with Server(TINY, "--sandbox", "off") as s:
            assert "sandbox  off (--sandbox off)" in s.text()
            assert all(t["Seccomp"] == "0" for t in threads_of(s.process.pid))


def test_the_docs_list_the_calls_that_are_allowed():
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    with open(os.path.join(root, "src", "process", "seccomp.c")) as f:
        source = f.read()
    with open(os.path.join(root, "docs", "systemd.md")) as f:
        rows = [line for line in f if line.startswith(("| seen by strace", "| allowed too"))]
    lists = {}
    for name in ("ALLOWED", "ALLOWED_IF"):
        text = source.split(f"#define {name}(X)")[1].split("\n\n")[0]
        lists[name] = set(re.findall(r"X\((\w+),", text))
    found = [re.findall(r"`(\w+)`(\*?)", row) for row in rows]
    assert [len(f) for f in found] == [len(set(f)) for f in found] and len(rows) == 2
    assert {call for f in found for call, star in f if star} == lists["ALLOWED_IF"]
    assert {call for f in found for call, star in f if not star} == lists["ALLOWED"]


# --- who starts it without a place for its lines


def test_closed_standard_descriptors():
    """No socket and no pipe of its own takes their place, into which the log would be written."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    p = subprocess.Popen(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", harness.BINARY, "serve", TINY, "--port", str(port)])
    try:
        end = time.monotonic() + 60
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=60) as c:
                    c.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    if rest_of(c).startswith(b"HTTP/1.1 200 "):
                        break
            except ConnectionRefusedError:
                pass
            assert p.poll() is None and time.monotonic() < end, p.returncode
            time.sleep(0.05)
        assert [os.readlink(f"/proc/{p.pid}/fd/{i}") for i in (0, 1, 2)] == ["/dev/null"] * 3
        p.terminate()
        assert p.wait(60) == 0
    finally:
        p.kill()


# --- a disk that is full


def test_a_full_disk_for_logs():
    """Serving goes on, and lost lines are counted: sluice_log_lines_dropped_total."""
    with listening() as main, open("/dev/full", "w") as full:
        s = Server(TINY, sockets={"http": main}, log=full, wait=False)
        s.port = main.getsockname()[1]
        s.until(lambda: ready(s), what="ready")
        before = s.value("sluice_log_lines_dropped_total")
        assert before > 0  # the start-up lines, of which the last may still come
        for i in range(20):
            s.complete(prompt=[i + 1], max_tokens=2)
        s.until(lambda: s.value("sluice_log_lines_dropped_total") >= before + 20, what="a line a request")
        assert s.stop() == 0


def test_a_full_disk_that_has_room_again():
    """The lines afterwards are whole, and say how many were lost."""
    with tempfile.TemporaryDirectory() as d:
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", d], capture_output=True).returncode:
            raise ImportError("nothing can be mounted here: a small file system is NOT tested")
        try:
            with open(os.path.join(d, "ballast"), "w") as f, contextlib.suppress(OSError):
                f.write("x" * 8192)
            with open(os.path.join(d, "log"), "w+") as log:
                with Server(TINY, "--log-format", "json", log=log) as s:
                    def dropped():
                        return s.value("sluice_log_lines_dropped_total")

                    while dropped() < 5:
                        s.complete(prompt=[1], max_tokens=1)
                    os.unlink(os.path.join(d, "ballast"))
                    lost = dropped()
                    s.complete(prompt=[2], max_tokens=1)
                    s.until(lambda: "log lines dropped" in s.text(), what="the line that counts")
                    s.complete(prompt=[3], max_tokens=1)
                    assert dropped() == lost
                lines = s.text().strip().split("\n")
            good = []
            for text in lines:
                with contextlib.suppress(ValueError):
                    good.append(json.loads(text))
            assert len(good) >= len(lines) - 1, lines  # at most the line in which the room ended
            assert [x["count"] for x in good if x.get("event") == "log lines dropped"] == [int(lost)], good[-5:]
        finally:
            subprocess.run(["umount", d], check=True)


# --- the service manager


class Manager:
    """The end of systemd that a service talks to."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(30)
        self.lines = []

    def hear(self, line):
        """Waits until a message has this line; returns that message's lines."""
        while True:
            message = self.socket.recv(4096).decode().split("\n")
            self.lines += message
            if line in message:
                return message


def test_a_service_says_how_it_is():
    m = Manager()
    s = Server(MODEL, "--drain-seconds", 77, env={"NOTIFY_SOCKET": m.path, "WATCHDOG_USEC": "200000"})
    assert m.hear("READY=1") == ["READY=1", "STATUS=serving"]
    assert any(line.startswith("STATUS=loading: ") for line in m.lines), m.lines
    m.hear("WATCHDOG=1")
    m.hear("WATCHDOG=1")
    s.process.send_signal(signal.SIGHUP)
    assert any(line.startswith("MONOTONIC_USEC=") for line in m.hear("RELOADING=1"))
    m.hear("READY=1")
    stream = s.open_stream(**LONG)
    stream.recv(100)
    s.process.send_signal(signal.SIGTERM)
    assert m.hear("STOPPING=1") == ["STOPPING=1", "STATUS=draining: 1 requests go on", "EXTEND_TIMEOUT_USEC=87000000"]
    m.hear("WATCHDOG=1")  # while it drains, too
    stream.close()
    assert s.process.wait(30) == 0, s.text()


def test_a_service_that_does_not_come_up_says_why():
    m = Manager()
    s = Server("/no/such/model.gguf", env={"NOTIFY_SOCKET": m.path}, wait=False)
    m.hear("STATUS=/no/such/model.gguf: No such file or directory")
    assert s.process.wait(30) == 1
    assert "READY=1" not in m.lines
    with Server(TINY, env={"NOTIFY_SOCKET": "/no/such/socket"}) as s:
        assert "NOTIFY_SOCKET: /no/such/socket: No such file or directory" in s.text()


def listening(port=0):
    s = socket.create_server(("127.0.0.1", port), backlog=1024)
    return s


def test_sockets_of_a_service_manager():
    with listening() as main, listening() as admin:
        with Server(TINY, sockets={"http": main, "admin": admin}) as s:
            assert s.port == main.getsockname()[1] and s.admin == admin.getsockname()[1]
            assert "a socket of the service manager" in s.text()
            assert s.get("/metrics")[0] == 404 and s.get("/metrics", port=s.admin)[0] == 200
    with listening() as main, listening() as second:
        s = Server(TINY, sockets={"a": main, "b": second}, wait=False)
        assert s.process.wait(30) == 2 and "two sockets for the main listener" in s.text(), s.text()
    with socket.create_server(("0.0.0.0", 0)) as far:
        s = Server(TINY, sockets={"http": far}, wait=False)
        assert s.process.wait(30) == 2 and "--no-auth" in s.text(), s.text()


def test_a_restart_refuses_nobody():
    """/* Promise 3 */ clients come all the time, by new connections and by kept ones, while one process follows the other three
    times on the socket that the manager keeps: every request is answered with 200, and whole."""
    with listening() as main:
        s = Server(MODEL, sockets={"http": main})
        clients = Askers(s, 4, 20, port=main.getsockname()[1])
        for _ in range(3):
            clients.served()
            s.process.send_signal(signal.SIGTERM)
            assert s.process.wait(60) == 0, s.text()
            s = Server(MODEL, sockets={"http": main})
        clients.served()
        clients.stop()
        assert s.stop() == 0, s.text()


def test_systemd_s_own_activation():
    """systemd-socket-activate: the program starts at the first connection, which it then answers."""
    import shutil
    if not shutil.which("systemd-socket-activate"):
        raise ImportError("systemd-socket-activate is not installed")
    with listening() as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryFile("w+") as log:
        p = subprocess.Popen(["systemd-socket-activate", "-l", f"127.0.0.1:{port}", "--fdname=http", harness.BINARY, "serve", TINY,
                              "--log-format", "text"], stderr=log, stdin=subprocess.DEVNULL)
        try:
            end = time.monotonic() + 60
            while time.monotonic() < end:
                try:
                    c = socket.create_connection(("127.0.0.1", port), timeout=60)
                    break
                except ConnectionRefusedError:
                    time.sleep(0.05)
            c.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert rest_of(c).startswith(b"HTTP/1.1 200 ")
        finally:
            p.terminate()
            status = p.wait(60)
        log.seek(0)
        assert status == 0 and "a socket of the service manager" in log.read(), status

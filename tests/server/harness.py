"""Starts the built program and talks to it as clients do: plain sockets, http.client, the openai package."""
import concurrent.futures
import contextlib
import fcntl
import glob
import http.client
import importlib
import json
import multiprocessing
import os
import re
import resource
import signal
import socket
import subprocess
import tempfile
import threading
import time
import traceback

BINARY = None
REFERENCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "reference", "checkpoints")


def checkpoint(name):
    return os.path.join(REFERENCE, name)


_stretched = {}


def stretched(name, positions=65536):
    """The same tiny checkpoint with room for long answers: its config.json with another context."""
    if name not in _stretched:
        folder = tempfile.TemporaryDirectory()
        for file in os.listdir(checkpoint(name)):
            if file != "config.json":
                os.symlink(os.path.abspath(os.path.join(checkpoint(name), file)), os.path.join(folder.name, file))
        with open(os.path.join(checkpoint(name), "config.json")) as f:
            config = json.load(f)
        config["max_position_embeddings"] = positions
        with open(os.path.join(folder.name, "config.json"), "w") as f:
            json.dump(config, f)
        _stretched[name] = folder
    return _stretched[name].name


def waits_of(pid):
    """What each thread of a process is doing, as far as /proc says it: its name, its state and where in the kernel it waits."""
    told = []
    for folder in glob.glob(f"/proc/{pid}/task/*"):
        with contextlib.suppress(OSError):
            name, state, place = (open(f"{folder}/{file}").read().strip() for file in ("comm", "stat", "wchan"))
            told.append(f"{name} {state.rpartition(')')[2].split()[0]} {place}")
    return told


class Server:
    """A running `sluice serve`. Stopped by its process id. files: its limit of open files. sockets: listening ones by name, handed
    over as systemd does. log: what takes its standard error, instead of a file."""

    started = []  # by the test that runs; those that it leaves behind are killed

    def __init__(self, model, *arguments, env=None, wait=True, files=None, sockets=None, log=None):
        self.log = log or tempfile.TemporaryFile("w+")
        command = [BINARY, "serve", *([model] if model else []), "--port", "0", "--log-format", "text", *map(str, arguments)]
        env = {**os.environ, **(env or {})}
        if sockets:
            command = ["sh", "-c", "LISTEN_PID=$$ exec \"$@\"", "sh", *command]
            env.update(LISTEN_FDS=str(len(sockets)), LISTEN_FDNAMES=":".join(sockets))

        def prepare():
            if files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
            high = [fcntl.fcntl(s.fileno(), fcntl.F_DUPFD_CLOEXEC, 64) for s in (sockets or {}).values()]
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i)  # the first descriptor after the standard ones, as sd_listen_fds(3) has it

        self.process = subprocess.Popen(command, stderr=self.log, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=env,
                                        close_fds=not sockets, preexec_fn=prepare if files or sockets else None)
        Server.started.append(self)
        self.port = self.admin = None
        if wait:
            self.wait_ready()

    def text(self):
        return os.pread(self.log.fileno(), 1 << 26, 0).decode("utf-8", "replace")  # the program writes where this file stands

    def wait_listening(self):
        """The sockets are open; the model may not be there yet."""
        self.wait_ready(word="listen")

    def wait_ready(self, seconds=60, word="ready"):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            text = self.text()
            found = re.search(word + r" +http://[^ ]*:(\d+) ", text)
            if found:
                self.port = int(found.group(1))
                admin = re.search(r"admin port (\d+)", text)
                self.admin = int(admin.group(1)) if admin else None
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        self.kill()
        raise RuntimeError("the server did not become ready:\n" + self.text())

    def stop(self, seconds=60):
        """SIGTERM and the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            doing = waits_of(self.process.pid)
            self.kill()
            raise RuntimeError(f"the server did not stop; its threads: {doing}\n{self.text()}")

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            self.kill()
            return
        status = self.stop()
        text = self.text()
        if status != 0 or "Sanitizer" in text:
            raise AssertionError(f"the server left with {status}:\n{text[-4000:]}")

    # requests

    def request(self, method, path, body=None, headers=None, port=None, timeout=60):
        c = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=timeout)
        try:
            data = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)
            c.request(method, path, data, headers or {})
            r = c.getresponse()
            return r.status, dict((k.lower(), v) for k, v in r.getheaders()), r.read()
        finally:
            c.close()

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, body, **more):
        status, headers, data = self.request("POST", path, body, **more)
        return status, json.loads(data)

    def complete(self, **fields):
        status, answer = self.post("/v1/completions", fields, timeout=300)
        assert status == 200, (status, answer)
        return answer

    def stream(self, **fields):
        """The events of a streamed completion, parsed; ends after [DONE]."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            c.request("POST", "/v1/completions", json.dumps({**fields, "stream": True}))
            r = c.getresponse()
            assert r.status == 200, (r.status, r.read())
            assert r.getheader("content-type").startswith("text/event-stream")
            events, done = [], False
            for line in r:
                line = line.decode("utf-8").rstrip("\n")
                if not line or line.startswith(":"):
                    continue
                assert line.startswith("data: "), line
                assert not done, line
                if line == "data: [DONE]":
                    done = True
                else:
                    events.append(json.loads(line[6:]))
            assert done, events
            return events
        finally:
            c.close()

    def open_stream(self, **fields):
        """A socket that has sent a streamed request and reads nothing yet."""
        body = json.dumps({**fields, "stream": True}).encode()
        return self.raw(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    def raw(self, data):
        s = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        s.sendall(data)
        return s

    def metrics(self, path="/metrics"):
        from prometheus_client.parser import text_string_to_metric_families
        status, _, data = self.get(path, port=self.admin)
        assert status == 200
        return {f.name: f for f in text_string_to_metric_families(data.decode())}

    def value(self, name, path="/metrics", **labels):
        """The sum of a metric's samples with these labels; the metric has to be there."""
        total, found = 0.0, False
        for family in self.metrics(path).values():
            for s in family.samples:
                found = found or s.name == name
                if s.name == name and all(s.labels.get(k) == v for k, v in labels.items()):
                    total += s.value
        assert found, name
        return total

    def until(self, condition, seconds=20, what=""):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return
            time.sleep(0.01)
        raise AssertionError("did not come about: " + what)


class Askers:
    """Clients that ask without a pause, each in a thread of its own: every answer has to be a 200 with all its tokens. more: as
    Server.post takes it."""

    def __init__(self, server, number, tokens, **more):
        self.server, self.tokens, self.more = server, tokens, more
        self.stopping, self.failures, self.answered = threading.Event(), [], [0] * number
        self.threads = [threading.Thread(target=self.ask, args=(i,), daemon=True) for i in range(number)]
        for t in self.threads:
            t.start()

    def ask(self, i):
        body = {"prompt": [i + 1], "max_tokens": self.tokens, "ignore_eos": True}
        while not self.stopping.is_set():
            try:
                status, answer = self.server.post("/v1/completions", body, **self.more)
                if status != 200 or answer["usage"]["completion_tokens"] != self.tokens:
                    raise AssertionError((status, answer))
                self.answered[i] += 1
            except Exception as e:  # noqa: B902: told by stop
                self.failures.append(repr(e))

    def served(self):
        """Until each was answered once more, or one was not."""
        before = list(self.answered)
        self.server.until(lambda: all(a > b for a, b in zip(self.answered, before)) or self.failures, what="every client is served")

    def stop(self):
        self.stopping.set()
        for t in self.threads:
            t.join()
        assert not self.failures, self.failures[:5]


def rest_of(c):
    """What comes on a connection until its end."""
    data = b""
    while part := c.recv(65536):
        data += part
    return data


def together(functions):
    """Runs the functions at once, each in a thread; returns their results, raises the first failure."""
    results, failures = [None] * len(functions), []

    def call(i):
        try:
            results[i] = functions[i]()
        except BaseException as e:  # noqa: B902: re-raised below
            failures.append(e)

    threads = [threading.Thread(target=call, args=(i,)) for i in range(len(functions))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failures:
        raise failures[0]
    return results


@contextlib.contextmanager
def temporary(text):
    with tempfile.NamedTemporaryFile("w", suffix=".tmp", delete=False) as f:
        f.write(text)
    try:
        yield f.name
    finally:
        os.unlink(f.name)


def _run_file(folder, file, quick, parts):
    """The lines of its tests, and how many passed, failed, were skipped."""
    module, lines, counts = importlib.import_module(file[:-3]), [], [0, 0, 0]
    for name, function in list(vars(module).items()):
        label = f"{os.path.basename(folder)}/{file[5:-3]}/{name[5:]}"
        if not name.startswith("test_") or (parts and not any(p in label for p in parts)):
            continue
        began = time.monotonic()
        try:
            if quick and getattr(function, "slow", False):
                raise ImportError("left out by --quick")
            function()
            which, result = 0, "ok"
        except ImportError as e:
            which, result = 2, f"SKIP ({e})"
        except Exception:
            which, result = 1, "FAILED\n" + traceback.format_exc()
        while Server.started:
            Server.started.pop().kill()
        counts[which] += 1
        lines.append(f"{label}: {result} ({time.monotonic() - began:.1f} s)")
    return lines, counts


def _run_files(folder, files, quick, parts, jobs):
    if jobs == 1:
        yield from (_run_file(folder, f, quick, parts) for f in files)
        return
    with concurrent.futures.ProcessPoolExecutor(jobs, multiprocessing.get_context("fork")) as pool:
        for done in concurrent.futures.as_completed([pool.submit(_run_file, folder, f, quick, parts) for f in files]):
            yield done.result()


def main(folder, arguments, jobs=1):
    """Runs the test_… functions of a folder's test_….py: arguments are BINARY [--quick] [NAME-PART …]. A test that raises
    ImportError is skipped: what it needs is not there. Several files run at once only if `jobs` says so, each in a process of
    its own; a file's lines are printed when it is through. Returns the exit status."""
    global BINARY
    BINARY = os.path.abspath(arguments[0])
    quick = "--quick" in arguments
    parts = [a for a in arguments[1:] if not a.startswith("--")]
    files = [f for f in sorted(os.listdir(folder)) if f.startswith("test_") and f.endswith(".py")]
    total = [0, 0, 0]
    for lines, counts in _run_files(folder, files, quick, parts, jobs):
        total = [x + y for x, y in zip(total, counts)]
        if lines:
            print("\n".join(lines), flush=True)
    passed, failed, skipped = total
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0

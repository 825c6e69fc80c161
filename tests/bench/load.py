"""load.py: a server under load: it is started, asked over HTTP by several clients at once, looked at, and stopped.

Prompts are random token ids, other ones in every sequence: each then picks its own experts. (A program that feeds all
sequences the same token touches a fraction of them.) Decoding is greedy and goes on past an end of text.
"""
import http.client
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time

from engines import Missing, answers, last_line

FIRST_TOKEN = 300 # ids below may be single bytes and control tokens


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """One run of an engine's server; `with` stops it. patience: seconds that a start or a measure may take."""

    def __init__(self, engine, model, threads, slots, context, patience):
        self.engine, self.patience, self.hung = engine, patience, False
        self.port = free_port()
        self.folder = tempfile.TemporaryDirectory() # some write files where they stand
        self.log = open(os.path.join(self.folder.name, "output"), "w+")
        command = engine.command(model, threads, slots, context, self.port)
        began = time.monotonic()
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        cwd=self.folder.name, env={**os.environ, **engine.environment}, start_new_session=True)
        try:
            while not answers(self.port, engine.health):
                if self.process.poll() is not None:
                    raise Missing(self.why())
                if time.monotonic() - began > patience:
                    raise Missing(f"not ready within {patience} s")
                time.sleep(0.01)
        except BaseException:
            self.stop()
            raise
        self.ready = time.monotonic() - began

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(3) # it may drain; nothing is measured any more
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        try:
            os.killpg(self.process.pid, signal.SIGKILL) # what it started itself
        except ProcessLookupError:
            pass
        self.log.close()
        self.folder.cleanup()

    def why(self):
        """Why it is not there any more."""
        status = self.process.poll()
        with open(self.log.name, errors="replace") as f:
            last = last_line(f.read())
        return "no answer in time" if self.hung else f"the server ended with {status}: {last}" if status is not None else last

    def guarded(self, measure):
        """measure(self) within the patience; a server that hangs is killed, which ends every request."""
        def kill():
            self.hung = True
            self.process.kill()

        timer = threading.Timer(self.patience, kill)
        timer.start()
        try:
            return measure(self)
        except (OSError, http.client.HTTPException, ValueError) as failure:
            time.sleep(0.2) # a server that crashed is seen as such
            raise Missing(self.why() if self.hung or self.process.poll() is not None else f"{type(failure).__name__}: {failure}")
        finally:
            timer.cancel()

    def post(self, path, body):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.patience)
        c.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        return json.load(c.getresponse())

    def private_bytes(self):
        """Anonymous memory of it and of what it started: neither the mapped file nor page cache."""
        total = 0
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.getsid(int(pid)) == self.process.pid:
                    with open(f"/proc/{pid}/status") as f:
                        total += int(re.search(r"^RssAnon:\s*(\d+)", f.read(), re.M).group(1)) * 1024
            except (OSError, AttributeError):
                pass # it ended meanwhile, or is no process of ours
        return total


class Stream(threading.Thread):
    """A streamed completion: when its tokens came."""

    def __init__(self, server, tokens, count):
        super().__init__(daemon=True)
        self.server, self.count = server, count
        self.prompt, self.length = server.engine.prompt(server, tokens)
        self.times, self.failure, self.cut, self.asked, self.an_event = [], None, False, None, 1

    def run(self):
        try:
            self.ask()
        except Exception as failure:
            self.failure = failure

    def ask(self):
        engine, made = self.server.engine, None
        body = json.dumps(engine.body(self.prompt, self.count))
        c = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=self.server.patience)
        self.asked = time.monotonic()
        c.request("POST", engine.path, body, {"Content-Type": "application/json"})
        r = c.getresponse()
        if r.status != 200:
            raise ValueError(f"status {r.status}: {last_line(r.read().decode(errors='replace'))}")
        for line in r:
            if self.cut:
                break
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[6:])
            if "error" in event:
                raise ValueError(str(event["error"])[:300])
            if engine.is_token(event):
                self.times.append(time.monotonic())
            reported = engine.reported(event)
            made = made if reported is None else reported
        c.close()
        if self.cut:
            return
        if made is None and len(self.times) < self.count * 0.9: # it does not say; a few characters may have been held back
            made = len(self.times)
        if not self.times or made not in (None, self.count):
            raise ValueError(f"{made or 0} tokens of {self.count}")
        self.an_event = 1 if made is None else made / len(self.times) # text of half a character is held back

    def rate_within(self, begin, end):
        return sum(begin < t <= end for t in self.times) * self.an_event


def finish(streams):
    for s in streams:
        s.join()
    for s in streams:
        if s.failure:
            raise s.failure if isinstance(s.failure, (OSError, http.client.HTTPException)) else ValueError(str(s.failure))


def run(streams):
    for s in streams:
        s.start()
    finish(streams)
    return streams


def wait_until(streams, holds):
    """Until holds(times) for each stream; a stream that ends before fails."""
    while not all(holds(s.times) for s in streams):
        for s in streams:
            if s.failure or (not s.is_alive() and not holds(s.times)):
                raise s.failure or ValueError("a sequence ended too early")
        time.sleep(0.005)


class Load:
    """What is measured. Every function takes the server; random: a random.Random, the same for all engines in a round."""

    def __init__(self, random, vocabulary):
        self.random, self.vocabulary = random, vocabulary

    def tokens(self, length):
        first = min(FIRST_TOKEN, self.vocabulary // 4)
        return [self.random.randrange(first, self.vocabulary) for _ in range(length)]

    def streams(self, server, number, length, count):
        if number > server.engine.at_once:
            raise Missing(f"serves {server.engine.at_once} request at a time")
        return [Stream(server, self.tokens(length), count) for _ in range(number)]

    def warm(self, server):
        run(self.streams(server, 1, 64, 8))

    def decode(self, server, batch, count):
        """Tokens/s while all sequences decode: between the last one's first token and the first one's last."""
        streams = run(self.streams(server, batch, 8, count))
        begin, end = max(s.times[0] for s in streams), min(s.times[-1] for s in streams)
        if end <= begin:
            raise Missing(f"{batch} sequences never decoded at the same time")
        return sum(s.rate_within(begin, end) for s in streams) / (end - begin)

    def touched(self, server, batch, count):
        """Experts that a routed layer reads in a step of so many sequences, from Sluice's own counters."""
        def counters():
            c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=server.patience)
            c.request("GET", "/metrics/experts")
            text = c.getresponse().read().decode()
            groups = re.findall(r"^sluice_expert_groups_total\{.*?layer=\"(\d+)\".*?\} (\d+)", text, re.M)
            c.request("GET", "/metrics")
            steps = sum(float(n) for n in re.findall(r"^sluice_step_rows_count(?:\{.*?\})? (\S+)", c.getresponse().read().decode(), re.M))
            return sum(int(n) for _, n in groups) / max(1, len({layer for layer, _ in groups})), steps

        streams = self.streams(server, batch, 8, 4 * count)
        for s in streams:
            s.start()
        wait_until(streams, lambda times: len(times) > 0)
        before = counters()
        seen = len(streams[0].times)
        wait_until(streams[:1], lambda times: len(times) >= seen + count)
        after = counters()
        for s in streams:
            s.cut = True
        finish(streams)
        return (after[0] - before[0]) / (after[1] - before[1])

    def prefill(self, server, length, times=1):
        found = []
        for _ in range(times):
            s, = run(self.streams(server, 1, length, 2))
            found.append(s.length / (s.times[0] - s.asked))
        return statistics.median(found)

    def decode_after(self, server, length, count):
        """Tokens/s of one sequence behind a long prompt."""
        s, = run(self.streams(server, 1, length, count))
        return (s.count - 1) / (s.times[-1] - s.times[0])

    def arrival(self, server, length):
        """(first token of a prompt that arrives while 8 others decode, in seconds; worst gap of the 8 until then)"""
        others, late = self.streams(server, 8, 8, 1500), self.streams(server, 1, length, 2)[0]
        if server.engine.at_once < 9:
            raise Missing(f"serves {server.engine.at_once} request at a time")
        for s in others:
            s.start()
        wait_until(others, lambda times: len(times) >= 8)
        run([late])
        wait_until(others, lambda times: times[-1] > late.times[0])
        for s in others:
            s.cut = True
        finish(others)
        gaps = [b - a for s in others for a, b in zip(s.times, s.times[1:]) if late.asked < b and a < late.times[0]]
        return late.times[0] - late.asked, max(gaps)

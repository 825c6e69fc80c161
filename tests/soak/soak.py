#!/usr/bin/env python3
"""A server under everything at once: what it accepts it answers, and what it holds stays the same.

usage: tests/soak/soak.py BINARY [--minutes 15] [--model MODEL] [--clients 20] [--growth MIB]
Clients stream and do not, briefly and at length, complete and chat, read slowly, leave amid answers and requests, send what is refused and
what is too much; two scrape; a small KV memory makes the scheduler put sequences off, a small queue makes it refuse. The server's keys
are read again now and then. Asserted, and told as figures:

  answered     every request that was accepted has its whole answer, or its client left it
  counted      accepted = ended well + gone + failed; refusals and answers by status as the clients saw them; each scrape consistent
  the same     a fixed greedy request, asked throughout, has the same bits with its log probabilities
  flat         RssAnon: the median of the last part over that of the part after the warm-up, at most --growth MiB; threads are as many
               in every sample; descriptors at rest are those before the load
  the end      SIGTERM while streams run: these end whole, and the exit status is 0

--growth is 4 MiB by default. All that is planned (keys and values, workspace) is touched in the warm-up; what comes and goes are requests
and the answers that wait for slow readers, some 100 KiB each of at most 50, in a heap that keeps what it once needed. A leak of a
thousand bytes a request passes 4 MiB after four thousand requests: some minutes.
"""
import argparse
import os
import re
import signal
import statistics
import sys
import tempfile
import threading
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "server"))
import clients  # noqa: E402
import harness  # noqa: E402

MODEL = os.path.join(here, "..", "..", "models", "default.gguf")
TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"
OPTIONS = ("--ctx", 512, "--kv-memory", "5M", "--max-sequences", 12, "--queue", 8, "--header-seconds", 2, "--idle-seconds", 3, "--body-limit", "256K", "--metrics-experts", "on",
           "--admin", "127.0.0.1:0", "--drain-seconds", 100)
GENERATING = ("/v1/completions", "/v1/chat/completions")


class Watch(threading.Thread):
    """(seconds since the start, RssAnon in KiB, threads, descriptors) of a process, twice a second."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.samples, self.ended, self.began = pid, [], threading.Event(), time.monotonic()

    def sample(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as f:
            fields = dict(line.split(":", 1) for line in f)
        return (time.monotonic() - self.began, int(fields["RssAnon"].split()[0]), int(fields["Threads"]), len(os.listdir(f"/proc/{self.pid}/fd")))

    def run(self):
        while not self.ended.wait(0.5):
            self.samples.append(self.sample())


def parse(text):
    """{(name, labels): value} of a page of metrics; names of counters."""
    values, counters = {}, set()
    for line in text.splitlines():
        if line.startswith("# TYPE ") and line.split()[3] in ("counter", "histogram"):
            counters.add(line.split()[2])
        if not line.startswith("#"):
            series, value = line.rsplit(" ", 1)
            name, _, labels = series.partition("{")
            values[name, labels] = float(value)
    return values, counters


class Scraper(threading.Thread):
    """Each scrape shows whole steps, and counters only grow."""

    def __init__(self, server, path, ledger):
        super().__init__(daemon=True)
        self.server, self.path, self.ledger, self.ended, self.scrapes, self.last = server, path, ledger, threading.Event(), 0, {}

    def run(self):
        while not self.ended.wait(0.5):
            try:
                status, _, data = self.server.get(self.path, port=self.server.admin)
                assert status == 200, status
                self.check(data.decode())
                self.scrapes += 1
            except Exception as e:  # noqa: B902: told at the end
                self.ledger.fail("scrape", repr(e))

    def check(self, text):
        values, counters = parse(text)
        for series, value in self.last.items():
            grows = series[0] in counters or series[0].rsplit("_", 1)[0] in counters
            assert not grows or values.get(series, -1) >= value, f"{series} fell from {value} to {values.get(series)}"
        self.last = values
        rows = sum(v for (name, _), v in values.items() if name == "sluice_rows_total")
        used = [int(labels.split('experts_per_token="')[1].split('"')[0]) for name, labels in values if name == "sluice_model_info"]
        layers = {}
        for (name, labels), v in values.items():
            if name == "sluice_expert_tokens_total":
                layer = labels.split('layer="')[1].split('"')[0]
                layers[layer] = layers.get(layer, 0) + v
        assert not used or all(v == used[0] * rows for v in layers.values()), f"rows {rows}, by layer {layers}"


def total(values, name, **labels):
    return sum(v for (n, l), v in values.items() if n == name and all(f'{k}="{x}"' in l for k, x in labels.items()))


def check_counts(values, ledger):
    """What the server counted against what its clients saw."""
    wrong = []
    ended = total(values, "sluice_requests_finished_total")
    ok = sum(total(values, "sluice_requests_total", endpoint=e, code="200") for e in GENERATING)
    gone = sum(total(values, "sluice_requests_total", endpoint=e, code="499") for e in GENERATING)
    failed = sum(total(values, "sluice_requests_total", endpoint=e, code=c) for e in GENERATING for c in ("500", "503", "504"))
    refused = sum(total(values, "sluice_requests_total", endpoint=e, code="429") for e in GENERATING)
    if not ok <= ended <= ok + gone + failed:
        wrong.append(f"{ended:.0f} requests ended, but {ok:.0f} were answered, {gone:.0f} gone before that, {failed:.0f} failed")
    if not ledger.sure <= ok <= ledger.sure + ledger.early:
        wrong.append(f"the clients saw {ledger.sure} answers begin and left {ledger.early} early; counted are {ok:.0f}")
    if not ledger.refused <= refused <= ledger.refused + ledger.early:
        wrong.append(f"the clients saw {ledger.refused} refusals, counted are {refused:.0f}")
    if failed:
        wrong.append(f"{failed:.0f} answers of 500, 503 or 504")
    for name in ("sluice_requests_running", "sluice_requests_waiting", "sluice_kv_cache_usage_ratio"):
        if total(values, name) != 0:
            wrong.append(f"{name} is {total(values, name)} at rest")
    print(f"   accepted {ended:.0f}: " + ", ".join(f"{v:.0f} {l[8:-2]}" for (n, l), v in sorted(values.items()) if n == "sluice_requests_finished_total" and v) +
          f"; refused {refused:.0f}; sequences put off {total(values, 'sluice_preemptions_total'):.0f} times; "
          f"{total(values, 'sluice_generation_tokens_total'):.0f} tokens", flush=True)
    return wrong


def check_flat(watch, first, warm, growth, requests):
    """first: the sample before the load; warm: seconds of warm-up."""
    wrong = []
    after = [s for s in watch.samples if s[0] > warm]
    part = max(1, len(after) // 4)
    early, late = statistics.median(s[1] for s in after[:part]), statistics.median(s[1] for s in after[-part:])
    last = watch.sample()
    threads = {s[2] for s in watch.samples}
    print(f"   RssAnon: {first[1] / 1024:.1f} MiB before, {early / 1024:.1f} after the warm-up of {warm:.0f} s, {late / 1024:.1f} at the end, most "
          f"{max(s[1] for s in watch.samples) / 1024:.1f}, at rest {last[1] / 1024:.1f}: {(late - early) * 1024 / max(1, requests):+.0f} bytes a request; "
          f"descriptors: {first[3]} before, most {max(s[3] for s in watch.samples)}, {last[3]} at rest; threads: {threads}", flush=True)
    if late - early > growth * 1024:
        wrong.append(f"private memory grew by {(late - early) / 1024:.1f} MiB")
    if len(threads) != 1:
        wrong.append(f"threads: {threads}")
    if last[3] != first[3]:
        wrong.append(f"{last[3]} descriptors at rest, {first[3]} before")
    return wrong


def reload_keys(server, path, ledger, stopping):
    """Now and then another file in the place of the keys, as an operator puts it there."""
    for i in range(1 << 30):
        if stopping.wait(5):
            return
        with open(path + ".new", "w", encoding="ascii") as f:
            f.write(f"{clients.KEY}\nother-{i}\n")
        os.replace(path + ".new", path)
        server.process.send_signal(signal.SIGHUP)
        try:
            for number, want in ((i, 200), (i - 1, 401)):
                server.until(lambda: server.get("/v1/models", headers={"X-Api-Key": f"other-{number}"})[0] == want, 60, f"key {number} gets {want}")  # noqa: B023
        except Exception as e:  # noqa: B902: told at the end
            ledger.fail("keys", repr(e))


def end_with_streams(server, ledger):
    """SIGTERM amid streams."""
    begun = threading.Barrier(5)

    def one(i):
        c = clients.Client(server.port, ledger, 100 + i, ())
        r = c.begin("POST", "/v1/completions", {"prompt": c.prompt(), "max_tokens": 200, "ignore_eos": True, "stream": True})
        r.readline()
        begun.wait(clients.PATIENCE)
        if b"data: [DONE]" not in r.read():
            ledger.fail("SIGTERM", "a stream was cut")
    threads = [threading.Thread(target=one, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    begun.wait(clients.PATIENCE)
    status = server.stop(120)
    for t in threads:
        t.join(clients.PATIENCE)
    return [] if status == 0 else [f"SIGTERM: exit status {status}"]


def load(server, ledger, seconds, number, keys):
    """Everything at once; returns when all clients have stopped."""
    scrapers = [Scraper(server, path, ledger) for path in ("/metrics", "/metrics/experts")]
    everybody = [clients.Client(server.port, ledger, i + 1, clients.KINDS) for i in range(number)]
    everybody += [clients.Client(server.port, ledger, 1000 + i, clients.SLOW_KINDS) for i in range(max(2, number // 4))]
    everybody.append(clients.Fixed(server.port, ledger))
    stopping = threading.Event()
    reloader = threading.Thread(target=reload_keys, args=(server, keys, ledger, stopping), daemon=True)
    for t in (*scrapers, *everybody, reloader):
        t.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.process.poll() is None and len(ledger.failures) < 50:
        time.sleep(0.2)
    stopping.set()
    for c in everybody:
        c.stopping.set()
    for c in (*everybody, reloader):
        c.join(2 * clients.PATIENCE)
    for s in scrapers:
        s.ended.set()
        s.join(60)
    return sum(s.scrapes for s in scrapers)


def rest(server, watch, descriptors):
    """The metrics once nothing runs and no connection is left, or half a minute later."""
    end = time.monotonic() + 30
    while True:
        values, _ = parse(server.get("/metrics", port=server.admin)[2].decode())
        busy = total(values, "sluice_requests_running") + total(values, "sluice_requests_waiting")
        if (not busy and watch.sample()[3] <= descriptors) or time.monotonic() > end:
            return values
        time.sleep(0.1)


def soak(server, ledger, seconds, number, keys, growth):
    """The load, and what is to be said of it."""
    watch = Watch(server.process.pid)
    before = watch.sample()
    watch.start()
    began = time.monotonic()
    scrapes = load(server, ledger, seconds, number, keys)
    took = time.monotonic() - began
    watch.ended.set()
    watch.join()
    if server.process.poll() is not None:
        return [f"the server ended by itself with {server.process.returncode}:\n" + server.text()[-3000:]]
    values = rest(server, watch, before[3])
    print(f"   {took:.0f} s: " + ", ".join(f"{n} {kind}" for kind, n in ledger.done.most_common()) + f"; {scrapes} scrapes", flush=True)
    wrong = check_counts(values, ledger)
    wrong += check_flat(watch, before, min(took / 4, 120), growth, total(values, "sluice_requests_finished_total"))
    if not total(values, "sluice_preemptions_total"):
        wrong.append("no sequence was put off: there was no pressure")
    return wrong + end_with_streams(server, ledger)


def run(minutes, model=None, number=20, growth=4.0):
    """Returns what was wrong."""
    model = model or MODEL
    if not os.path.exists(model):
        raise ImportError(f"{model} is not there")
    ledger, wrong = clients.Ledger(), []
    with tempfile.TemporaryDirectory() as folder:
        keys, template = os.path.join(folder, "keys"), os.path.join(folder, "template.jinja")
        for path, text in ((keys, clients.KEY + "\n"), (template, TEMPLATE)):
            with open(path, "w", encoding="ascii") as f:
                f.write(text)
        server = harness.Server(model, *OPTIONS, "--api-key-file", keys, "--chat-template", template)
        try:
            wrong += soak(server, ledger, minutes * 60, number, keys, growth)
        finally:
            server.kill()
        text = server.text()
        report = re.search("Sanitizer:|runtime error:", text)
        if report:
            wrong.append("a sanitizer's report:\n" + text[max(0, report.start() - 200):report.start() + 6000])
    return wrong + ledger.failures


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("binary")
    p.add_argument("--minutes", type=float, default=15)
    p.add_argument("--model")
    p.add_argument("--clients", type=int, default=20)
    p.add_argument("--growth", type=float, default=4)
    a = p.parse_args()
    harness.BINARY = os.path.abspath(a.binary)
    wrong = run(a.minutes, a.model, a.clients, a.growth)
    for w in wrong[:20]:
        print("   WRONG " + w)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()

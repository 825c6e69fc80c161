#!/usr/bin/env python3
"""A flood of connections: every one is answered, and a health probe beside it does not wait.

usage: tests/operate/flood.py BINARY [--connections 2000] [--runs 5] [--add FILE] [--direct]
All connections are opened first (for 20 s at most), then all send a request at once. Each must be answered with 200 or 429. Meanwhile
clients that have nothing else to do ask /livez of every replica, on its main and its admin address by new connections and through
HAProxy by one that they keep: 99 of 100 answers within 100 ms each. Every flood comes after a control, in which the same is asked of
a cluster that does nothing else, for ten seconds; printed are medians over the runs. --direct floods one replica without HAProxy.
--add FILE keeps the runs there and counts earlier ones too.
"""
import argparse
import asyncio
import http.client
import multiprocessing
import os
import queue
import resource
import ssl
import sys
import threading
import time

import load
import replicas
import slow

TOKENS = 64  # of each answer: enough for the connections to pile up
MOST_SECONDS = 0.100  # of a probe, at the 99th percentile
CONTROL_SECONDS = 10


async def flood(port, tls, connections):
    """(how they ended, how many were open at once, what was wrong)"""
    gate = asyncio.Semaphore(100)  # handshakes at a time: Python would otherwise be busy with all before one of them ends
    send = asyncio.Event()
    opened = 0

    async def one(i):
        nonlocal opened
        c = load.Client(port, tls)
        async with gate:
            try:
                await asyncio.wait_for(c.connect(), 60)
            except (OSError, asyncio.TimeoutError):
                return load.Outcome()
        opened += 1
        if opened == connections:
            send.set()
        await send.wait()
        o = await c.complete(load.question(i, TOKENS, stream=False), timeout=240)
        c.close()
        return o
    asking = [asyncio.create_task(one(i)) for i in range(connections)]
    try:
        await asyncio.wait_for(send.wait(), 20)
    except asyncio.TimeoutError:
        pass
    at_once = opened
    send.set()
    outcomes = await asyncio.gather(*asking)
    return load.counts(outcomes), at_once, [o.error for o in outcomes if o.kind not in ("ok", "refused")][:5]


def flood_in_child(port, certificate, connections, go, result):
    replicas.nice()
    tls = ssl.create_default_context(cafile=certificate) if certificate else None
    go.wait(60)
    result.put(asyncio.run(flood(port, tls, connections)))


class Probe(threading.Thread):
    """Asks /livez again and again; notes how long each answer took, and what was no 200."""

    def __init__(self, name, connect, keep):
        super().__init__()
        self.name, self.connect, self.keep = name, connect, keep
        self.took, self.wrong, self.ended = [], [], threading.Event()

    def run(self):
        c = None
        while not self.ended.wait(0.05):
            began = time.monotonic()
            try:
                c = c or self.connect()
                c.request("GET", "/livez")
                r = c.getresponse()
                r.read()
                if r.status != 200:
                    self.wrong.append(r.status)
            except OSError as e:
                self.wrong.append(repr(e))
                c = None
            self.took.append(time.monotonic() - began)
            if c and not self.keep:
                c.close()
                c = None
        if c:
            c.close()


def resident_of_children(pid):
    """MiB of a process and its children."""
    total = 0
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        pids = [pid, *f.read().split()]
    for p in pids:
        with open(f"/proc/{p}/status", encoding="ascii") as f:
            total += next((int(line.split()[1]) for line in f if line.startswith("VmRSS")), 0)
    return total / 1024


def probes_of(cluster):
    plain = lambda port: http.client.HTTPConnection("127.0.0.1", port, timeout=60)  # noqa: E731
    probes = [Probe(f"replica {i + 1}, {what}", lambda port=port: plain(port), False) for i in range(3)
              for what, port in (("main address", cluster.ports[i]), ("admin address", cluster.admins[i]))]
    probes.append(Probe("through HAProxy", lambda: http.client.HTTPSConnection("localhost", cluster.port, timeout=60, context=cluster.tls), True))
    return probes


def end(probes):
    for p in probes:
        p.ended.set()
    for p in probes:
        if p.ident:
            p.join(120)


def control(cluster, seconds):
    probes = probes_of(cluster)
    for p in probes:
        p.start()
    time.sleep(seconds)
    end(probes)
    return probes


def measure(cluster, connections, direct):
    probes = probes_of(cluster)
    context = multiprocessing.get_context("fork")
    go, result = context.Event(), context.Queue()
    port, certificate = (cluster.ports[0], None) if direct else (cluster.port, f"{cluster.folder}/certificate.crt")
    child = context.Process(target=flood_in_child, args=(port, certificate, connections, go, result))
    child.start()
    try:
        for p in probes:
            p.start()
        time.sleep(1)
        go.set()
        most, counted = 0.0, None
        while counted is None:
            most = max(most, resident_of_children(cluster.state()["haproxy"]))
            assert child.is_alive() or not result.empty(), "the flood died"
            try:
                counted = result.get(timeout=0.1)
            except queue.Empty:
                pass
        child.join(60)
    finally:
        end(probes)
        if child.is_alive():
            child.kill()
    return counted, probes, most


def flooded(cluster, connections, direct, control_seconds):
    """One run: (99th percentile of each probe with and without the flood, what was wrong)."""
    quiet = control(cluster, control_seconds)
    (table, at_once, errors), probes, most = measure(cluster, connections, direct)
    slow.idle(cluster)
    print(f"   {connections} connections{' to one replica' if direct else ''}, {at_once} at once: " +
          ", ".join(f"{n} {kind}" for kind, n in sorted(table.items())) + f"; HAProxy took {most:.0f} MiB", flush=True)
    wrong = [f"{kind}: {n}" for kind, n in table.items() if kind not in ("ok", "refused")] + errors
    wrong += [f"/livez, {p.name}: {p.wrong[:3]}" for p in (*quiet, *probes) if p.wrong]
    return {"names": [p.name for p in probes], "control": [load.percentile(p.took, 0.99) for p in quiet],
            "flood": [load.percentile(p.took, 0.99) for p in probes]}, wrong


def run(connections, direct=False, runs=1, earlier=None, control_seconds=CONTROL_SECONDS):
    """What was wrong, and what was late: on a machine that others use too the second says nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4 * connections:
        raise ImportError(f"{hard} open files are allowed here; {4 * connections} are wanted")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    rows, wrong, late = [], [], []
    with replicas.Cluster() as cluster:
        for _ in range(runs):
            row, bad = flooded(cluster, connections, direct, control_seconds)
            rows.append(row)
            wrong += bad
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    rows = load.with_earlier(earlier, rows)
    for name, before, tail in zip(rows[0]["names"], load.medians(rows, "control"), load.medians(rows, "flood")):
        print(f"   /livez, {name}: 99th percentile {tail * 1000:.1f} ms, without the flood {before * 1000:.1f} ms (medians of {len(rows)} runs)", flush=True)
        if tail > MOST_SECONDS:
            late.append(f"/livez, {name}: {tail * 1000:.0f} ms")
    for w in wrong + late:
        print("   " + w)
    return wrong, late


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("binary")
    p.add_argument("--connections", type=int, default=2000)
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--add", metavar="FILE")
    p.add_argument("--direct", action="store_true")
    a = p.parse_args()
    replicas.harness.BINARY = os.path.abspath(a.binary)
    sys.exit(1 if any(run(a.connections, a.direct, a.runs, a.add)) else 0)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Slow readers and dripping clients cost nobody else: the gaps between other clients' tokens are those of a control.

usage: tests/operate/slow.py BINARY [--readers 500] [--drips 200] [--runs 5] [--add FILE] [--direct]
Six clients stream one answer after the other. Then many others send a request each, all at once, with long answers (log
probabilities). In a control run these are read as they come; in a disturbed run they are read 512 bytes a second, from small socket
buffers, and more clients send a byte of a request's head each second. The gaps between the tokens of the six count until the
requests of the many have been computed. Control and disturbed runs alternate; printed are medians over the runs. The disturbed
median may be at most 1.1 times the control's, the 99th percentile 1.5 times. --direct asks one replica without HAProxy. --add FILE keeps the runs there and counts earlier ones too.
"""
import argparse
import asyncio
import multiprocessing
import os
import ssl
import sys
import time

import load
import replicas

MEASURED = 6
MEASURED_TOKENS = 450
TOKENS = 100  # of the others
MEDIAN_MOST, TAIL_MOST = 1.1, 1.5


async def drip(port, tls, state):
    """A byte a second, again and again on new connections; notes how each one ended."""
    text = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 1000
    while True:
        c = load.Client(port, tls)
        try:
            await c.connect()
            for byte in text:
                c.writer.write(bytes([byte]))
                await c.writer.drain()
                try:
                    said = await asyncio.wait_for(c.reader.read(100), 1)
                except asyncio.TimeoutError:
                    continue
                state["closed"] += 1
                state["told"] += b" 408 " in said
                break
        except OSError:
            state["closed"] += 1
        finally:
            c.close()


async def read_slowly_or_not(port, tls, readers, drips, slow, ready, go, stop):
    """The many: (how those ended that have, what was wrong, and what became of the drips)."""
    state = {"closed": 0, "told": 0}
    gate = asyncio.Semaphore(50)  # handshakes at a time
    send, opened = asyncio.Event(), asyncio.Semaphore(0)

    async def one(i):
        c = load.Client(port, tls, small=slow)
        async with gate:
            await c.connect()
        opened.release()
        await send.wait()
        o = await c.complete({**load.question(1000 + i, TOKENS), "logprobs": 5}, pause=1 if slow else None)
        c.close()
        return o

    dripping = [asyncio.create_task(drip(port, tls, state)) for _ in range(drips if slow else 0)]
    reading = [asyncio.create_task(one(i)) for i in range(readers)]
    for _ in range(readers):
        await opened.acquire()
    ready.set()
    await asyncio.to_thread(go.wait, 120)
    send.set()
    if slow:  # they would read for minutes
        await asyncio.to_thread(stop.wait, 600)
    else:
        await asyncio.gather(*reading)
    outcomes = [t.result() for t in reading if t.done()]
    for t in (*reading, *dripping):
        t.cancel()
    await asyncio.gather(*reading, *dripping, return_exceptions=True)
    return load.counts(outcomes), [o.error for o in outcomes if o.kind not in ("ok", "refused")], state


def many(port, certificate, *rest):
    """A process of their own: the measured clients must not wait for them."""
    replicas.nice()
    tls = ssl.create_default_context(cafile=certificate) if certificate else None
    *rest, result = rest
    result.put(asyncio.run(read_slowly_or_not(port, tls, *rest)))


async def measured(cluster, port, tls, go):
    """The few. The many begin when each of these has its first token. A gap counts while its replica computes for many more than
    the few: when that is over it is as fast as it is alone, in both arms."""
    first = [asyncio.Event() for _ in range(MEASURED)]
    outcomes, ended = [], asyncio.Event()

    async def one(i):
        c = load.Client(port, tls)
        while not ended.is_set():
            outcomes.append(await c.complete(load.question(i, MEASURED_TOKENS), on_event=lambda o: first[i].set()))
            first[i].set()
        c.close()

    ours = [asyncio.create_task(one(i)) for i in range(MEASURED)]
    await asyncio.gather(*(e.wait() for e in first))
    go.set()
    busy = await asyncio.to_thread(watch, cluster, 1 if tls is None else 3)
    ended.set()
    await asyncio.gather(*ours)
    gaps = []
    for o in outcomes:
        began, until = busy[int(o.replica[-1]) - 1 if o.replica else 0]
        gaps += [b - a for a, b in zip(o.stamps, o.stamps[1:]) if began < a and b < until]
    return gaps, outcomes


def watch(cluster, replicas_asked):
    """Of each replica: when it first and last had more to do than the few and ten others."""
    times = [[0.0, 0.0] for _ in range(replicas_asked)]
    end = time.monotonic() + 600
    while True:
        works = [at_work(cluster, i) > MEASURED + 10 for i in range(replicas_asked)]
        now = time.monotonic()
        assert now < end, "the many did not come, or were not computed"
        for t, works_now in zip(times, works):
            if works_now:
                t[:] = [t[0] or now, now]
        if not any(works) and all(first for first, _ in times):
            return times
        time.sleep(0.05)


def at_work(cluster, i):
    """Requests that replica i computes or has waiting."""
    return cluster.metric(i, "sluice_requests_running") + cluster.metric(i, "sluice_requests_waiting")


def arm(cluster, readers, drips, slow, direct):
    """One run: the gaps of the measured clients, how they ended, and what is known of the others."""
    port, tls, certificate = (cluster.ports[0], None, None) if direct else (cluster.port, cluster.tls, f"{cluster.folder}/certificate.crt")
    context = multiprocessing.get_context("fork")
    ready, go, stop, result = context.Event(), context.Event(), context.Event(), context.SimpleQueue()
    child = context.Process(target=many, args=(port, certificate, readers, drips, slow, ready, go, stop, result))
    child.start()
    try:
        assert ready.wait(120), "the many could not connect"
        gaps, outcomes = asyncio.run(measured(cluster, port, tls, go))
        stop.set()
        child.join(600)  # its result is smaller than a pipe's buffer
        assert child.exitcode == 0, child.exitcode
        return gaps, outcomes, *result.get()
    finally:
        if child.is_alive():
            child.kill()


def idle(cluster):
    """Until no replica computes any more: those whose readers left are cancelled."""
    end = time.monotonic() + 120
    while any(at_work(cluster, i) for i in range(3)):
        assert time.monotonic() < end, "requests went on though their clients were gone"
        time.sleep(0.1)


def measure(cluster, readers, drips, runs, direct, earlier):
    rows, wrong = [], []
    for _ in range(runs):
        row = {}
        for slow, name in ((False, "control"), (True, "disturbed")):
            gaps, outcomes, others, errors, state = arm(cluster, readers, drips, slow, direct)
            idle(cluster)
            wrong += [f"a measured client: {o.kind}, {o.error}" for o in outcomes if o.kind != "ok"]
            wrong += [f"another client: {e}" for e in errors]
            if not gaps:
                wrong.append("the measured clients were through before the others began")
            row[name] = [load.percentile(gaps, 0.5), load.percentile(gaps, 0.99)]
            print(f"   {name:9}: {len(gaps)} gaps, median {row[name][0] * 1000:.1f} ms, 99th percentile {row[name][1] * 1000:.1f} ms; others: {others}" +
                  (f"; {state['closed']} drips were closed, {state['told']} of them by a 408" if slow else ""), flush=True)
        rows.append(row)
    rows = load.with_earlier(earlier, rows)
    ratios = [d / c for d, c in zip(load.medians(rows, "disturbed"), load.medians(rows, "control"))]
    print(f"   medians of {len(rows)} runs, disturbed over control: median {ratios[0]:.2f} (at most {MEDIAN_MOST}), 99th percentile {ratios[1]:.2f} "
          f"(at most {TAIL_MOST})", flush=True)
    return wrong, ratios


def run(readers, drips, runs, direct=False, earlier=None):
    """What was wrong; and the ratios, which say nothing on a machine that others use too."""
    with replicas.Cluster() as cluster:
        wrong, ratios = measure(cluster, readers, drips, runs, direct, earlier)
    for w in wrong[:10]:
        print("   " + w)
    return wrong, ratios


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("binary")
    p.add_argument("--readers", type=int, default=500)
    p.add_argument("--drips", type=int, default=200)
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--add", metavar="FILE")
    p.add_argument("--direct", action="store_true")
    a = p.parse_args()
    replicas.harness.BINARY = os.path.abspath(a.binary)
    wrong, (middle, tail) = run(a.readers, a.drips, a.runs, a.direct, a.add)
    sys.exit(1 if wrong or middle > MEDIAN_MOST or tail > TAIL_MOST else 0)


if __name__ == "__main__":
    main()

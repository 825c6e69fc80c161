#!/usr/bin/env python3
"""A rolling restart under load: no request may fail, be cut, or get another's answer.

usage: tests/operate/restart.py BINARY [--clients 200] [--seconds 120]
Streaming clients ask one request after the other through HAProxy, while `deploy/cluster restart` goes round the replicas again
and again until the time is up. Every answer is compared with what the same request got before. 429 is counted by itself.
"""
import argparse
import asyncio
import sys
import time

import load
import replicas

QUESTIONS = 16  # different ones; each answer is known before
TOKENS = 40


async def answers(cluster):
    """What each question is answered when nothing else happens."""
    clients = [load.Client(cluster.port, cluster.tls) for _ in range(8)]

    async def some(n):
        return {i: await clients[n].complete(load.question(i, TOKENS)) for i in range(n, QUESTIONS, len(clients))}
    known = {}
    for part in await asyncio.gather(*(some(n) for n in range(len(clients)))):
        known.update(part)
    for i, o in known.items():
        assert o.kind == "ok" and o.text, (i, o.kind, o.error)
    for c in clients:
        c.close()
    return {i: o.text for i, o in known.items()}


async def ask_on(cluster, n, known, until, outcomes):
    client = load.Client(cluster.port, cluster.tls)
    i = n
    while time.monotonic() < until:
        o = await client.complete(load.question(i % QUESTIONS, TOKENS))
        if o.kind == "ok" and o.text != known[i % QUESTIONS]:
            o.error, o.ended = f"another answer than question {i % QUESTIONS} has: {o.text!r}", False
            o.status = 299  # shown as a kind of its own
        outcomes.append(o)
        i += 7
        if o.kind == "refused":
            await asyncio.sleep(0.5)
        if len(outcomes) % 16 == 0:
            client.close()  # a new connection now and then
    client.close()


async def restart_on(cluster, until, rounds):
    """Rounds of restarts until the time is up, at least one; the last one is finished."""
    while not rounds or time.monotonic() < until:
        p = cluster.start("restart")
        try:
            out = await asyncio.wait_for(asyncio.to_thread(p.communicate), 600)
        finally:
            if p.poll() is None:
                p.kill()
        assert p.returncode == 0, out[0]
        rounds.append(out[0])


async def measure(cluster, clients, seconds):
    known = await answers(cluster)
    outcomes, rounds = [], []
    until = time.monotonic() + seconds
    restarts = asyncio.create_task(restart_on(cluster, until, rounds))
    asking = [asyncio.create_task(ask_on(cluster, n, known, until, outcomes)) for n in range(clients)]
    try:
        await restarts
        await asyncio.gather(*asking)
    finally:
        for t in (restarts, *asking):
            t.cancel()
    bad = [o for o in outcomes if o.kind not in ("ok", "refused")]
    return load.counts(outcomes), sum(r.count("restarted") for r in rounds), bad


def run(clients, seconds):
    with replicas.Cluster() as cluster:
        replicas.nice()
        table, restarts, bad = asyncio.run(measure(cluster, clients, seconds))
    print(f"   {clients} clients, {restarts} restarts: " + ", ".join(f"{n} {kind}" for kind, n in sorted(table.items())), flush=True)
    for o in bad[:10]:
        print(f"   {o.kind} ({o.replica or 'no replica'}, after {len(o.stamps)} events): {o.error}")
    return table, restarts, bad


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("binary")
    p.add_argument("--clients", type=int, default=200)
    p.add_argument("--seconds", type=float, default=120)
    a = p.parse_args()
    replicas.harness.BINARY = a.binary
    table, restarts, bad = run(a.clients, a.seconds)
    sys.exit(1 if bad or not table.get("ok") or restarts < 3 else 0)


if __name__ == "__main__":
    main()

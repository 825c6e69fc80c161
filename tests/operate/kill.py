#!/usr/bin/env python3
"""A replica is killed under load: only what it was sending breaks, and its clients see that; what had sent nothing is asked of
another replica and succeeds.

usage: tests/operate/kill.py BINARY [--clients 120] [--kills 3]
Each replica computes few sequences at a time, so that on each some requests stream and others wait without having sent a byte.
"""
import argparse
import asyncio
import os
import signal
import sys
import time

import load
import replicas

SEQUENCES = 3  # of a replica at a time
TOKENS = 120


async def kill_one(cluster, clients):
    """One wave of requests, half of them streamed. Killed is the first replica that is amid a stream while others wait there."""
    amid = {}  # the number of a request: the replica that streams to it

    def on_event(o, n):
        if len(o.stamps) < TOKENS // 2:
            amid[n] = int(o.replica[-1]) - 1
        else:
            amid.pop(n, None)

    async def ask(n):
        client = load.Client(cluster.port, cluster.tls)
        o = await client.complete(load.question(n, TOKENS, stream=n % 2 == 0), on_event=lambda o: on_event(o, n))
        client.close()
        return o

    async def find():
        end = time.monotonic() + 120
        while True:
            assert time.monotonic() < end, "no replica had streams and waiting requests at once"
            for i in set(amid.values()):
                if cluster.metric(i, "sluice_requests_waiting") >= 2 and i in amid.values():
                    return i
            await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(ask(n)) for n in range(clients)]
    victim = await find()
    pid = cluster.state()["replicas"][victim]
    os.kill(pid, signal.SIGKILL)
    outcomes = await asyncio.gather(*tasks)
    # The cluster starts it again.
    end = time.monotonic() + 120
    while not all_up(cluster) or cluster.state()["replicas"][victim] == pid:
        assert time.monotonic() < end, "the killed replica did not come back"
        await asyncio.sleep(0.1)
    return outcomes, f"replica-{victim + 1}"


def all_up(cluster):
    try:
        return cluster.run("status").count(" UP ") == 3
    except AssertionError:  # a process that it reads of has just ended
        return False


def judge(outcomes, name):
    """What is not as it shall be, in words."""
    wrong = []
    for n, o in enumerate(outcomes):
        what = f"request {n} at {o.replica or 'no replica'}: {o.kind}, {o.error}"
        if o.kind == "cut" and (o.replica != name or n % 2):
            wrong.append("broken though it was another's, or not streamed: " + what)
        elif o.kind == "cut" and not o.error:
            wrong.append("its client cannot see that it is not whole: " + what)
        elif o.kind not in ("ok", "cut"):
            wrong.append("not tried again: " + what)
    return wrong


async def measure(cluster, clients, kills):
    table, wrong = {}, []
    for _ in range(kills):
        outcomes, name = await kill_one(cluster, clients)
        wrong += judge(outcomes, name)
        for kind, n in load.counts(outcomes).items():
            table[kind] = table.get(kind, 0) + n
        if "cut" not in load.counts(outcomes):
            wrong.append(f"{name} was killed and no stream broke: nothing was shown")
    return table, wrong


def run(clients, kills):
    with replicas.Cluster("--max-sequences", SEQUENCES) as cluster:
        replicas.nice()
        table, wrong = asyncio.run(measure(cluster, clients, kills))
    print(f"   {kills} kills under {clients} requests each: " + ", ".join(f"{n} {kind}" for kind, n in sorted(table.items())), flush=True)
    for w in wrong[:10]:
        print("   " + w)
    return wrong


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("binary")
    p.add_argument("--clients", type=int, default=120)
    p.add_argument("--kills", type=int, default=3)
    a = p.parse_args()
    replicas.harness.BINARY = a.binary
    sys.exit(1 if run(a.clients, a.kills) else 0)


if __name__ == "__main__":
    main()

"""Clients in great number: one asyncio loop, HTTP/1.1 by hand, so that nothing is retried or mended on the way."""
import asyncio
import json
import socket
import time


class Outcome:
    """How one request ended, as its client saw it."""

    def __init__(self):
        self.status = 0       # 0: no answer began
        self.replica = ""     # that answered, as HAProxy says
        self.text = ""
        self.ended = False    # the answer is whole: a stream had its [DONE]
        self.error = ""       # what was wrong, in words
        self.began = time.monotonic()
        self.stamps = []      # when each event came

    @property
    def kind(self):
        if self.status == 429:
            return "refused"
        if self.status == 0:
            return "no answer"
        if self.status != 200:
            return f"status {self.status}"
        return "ok" if self.ended and not self.error else "cut"


class Client:
    """A connection that is used again, as long as the server lets it. tls None: plain HTTP. small: it takes little at a time and
    has small buffers, so that what it does not read stays with the server."""

    def __init__(self, port, tls=None, small=False):
        self.port, self.tls, self.small = port, tls, small
        self.reader = self.writer = None

    async def connect(self):
        if self.writer is not None:
            return
        s = socket.socket()
        s.setblocking(False)
        if self.small:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            await asyncio.get_running_loop().sock_connect(s, ("127.0.0.1", self.port))
            self.reader, self.writer = await asyncio.open_connection(sock=s, ssl=self.tls, server_hostname=self.tls and "localhost",
                                                                     limit=512 if self.small else 1 << 16)
        except BaseException:
            s.close()
            raise

    def close(self):
        if self.writer is not None:
            self.writer.transport.abort()
        self.reader = self.writer = None

    async def head(self, method, path, body=b"", headers=()):
        """Sends a request; (status, headers) of its answer."""
        await self.connect()
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *headers]
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await self.writer.drain()
        text = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        return int(text[0].split()[1]), {k.lower(): v for k, v in (line.split(": ", 1) for line in text[1:] if line)}

    async def parts(self, headers):
        """The body, piece by piece; ends only where the framing says so, otherwise raises."""
        if headers.get("transfer-encoding") == "chunked":
            while True:
                left = int(await self.reader.readuntil(b"\r\n"), 16)
                if left == 0:
                    await self.reader.readexactly(2)
                    break
                while left:
                    data = await self.reader.read(min(left, 512 if self.small else left))
                    if not data:
                        raise asyncio.IncompleteReadError(b"", left)
                    left -= len(data)
                    yield data
                await self.reader.readexactly(2)
        else:
            yield await self.reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            self.close()

    async def complete(self, fields, on_event=None, timeout=300, pause=None):
        """A completion, streamed or not. pause: seconds before each read, of a client that is slow."""
        o = Outcome()
        try:
            await asyncio.wait_for(self._complete(o, fields, on_event, pause), timeout)
        except asyncio.TimeoutError:
            o.error = f"nothing more in {timeout} s"
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as e:
            o.error = f"{type(e).__name__}: {e}"
        if o.error:
            self.close()
        return o

    async def _complete(self, o, fields, on_event, pause):
        o.status, headers = await self.head("POST", "/v1/completions", json.dumps(fields).encode())
        o.replica = headers.get("x-sluice-replica", "")
        rest = b""
        async for part in self.parts(headers):
            if pause:
                await asyncio.sleep(pause)
            rest += part
            if "event-stream" not in headers.get("content-type", ""):
                continue
            *events, rest = rest.split(b"\n\n")
            for event in events:
                self.take(o, event)
                if on_event:
                    on_event(o)
        if o.status == 200 and "event-stream" not in headers.get("content-type", ""):
            o.text, o.ended = json.loads(rest)["choices"][0]["text"], True
        elif o.status != 200:
            o.error = rest.decode("utf-8", "replace")[:200]

    @staticmethod
    def take(o, event):
        if event.startswith(b":"):
            return
        data = event[len(b"data: "):]
        if data == b"[DONE]":
            o.ended = True
            return
        value = json.loads(data)
        if "error" in value:
            o.error = value["error"]["message"]
            return
        o.stamps.append(time.monotonic())
        o.text += value["choices"][0]["text"] if value["choices"] else ""


def counts(outcomes):
    """{"ok": n, "refused": n, …}"""
    table = {}
    for o in outcomes:
        table[o.kind] = table.get(o.kind, 0) + 1
    return table


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def with_earlier(path, runs):
    """These runs and those of earlier calls, which the file keeps as lines of JSON: a machine may be quiet for some minutes only."""
    if not path:
        return runs
    with open(path, "a+", encoding="ascii") as f:
        f.writelines(json.dumps(r) + "\n" for r in runs)
        f.seek(0)
        return [json.loads(line) for line in f]


def medians(runs, key):
    """Of each number of the lists that the runs have under this key."""
    return [percentile(column, 0.5) for column in zip(*(r[key] for r in runs))]


PROMPTS = ("And it came to pass in those days, that", "static int __init device_init(void)\n{\n", "Wenn Sie das Programm zum ersten Mal starten,",
           "The quick brown fox", ".SH DESCRIPTION\n", "Il y avait une fois")


def question(i, tokens, stream=True):
    """The i-th request: no two of the first hundred thousand have the same answer, as the seed differs."""
    return {"prompt": PROMPTS[i % len(PROMPTS)], "max_tokens": tokens, "seed": i, "temperature": 0.8, "ignore_eos": True, "stream": stream}

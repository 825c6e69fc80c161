"""What the clients of a soak do, one function a kind, and the ledger of what came of it.

Whatever a client sends is answered, or the ledger says why not: a client left, took nothing, or sent what is refused. Anything else is a
failure, with its reason. `sure` counts the requests that the server certainly accepted, since it began an answer with 200; `early` those
whose clients left before an answer, which it may have accepted or not.
"""
import collections
import http.client
import json
import random
import socket
import struct
import threading
import time

KEY = "soak-key"
PROMPTS = ("And it came to pass in those days, that", "static int __init device_init(void)\n{\n", "Wenn Sie das Programm zum ersten Mal starten,",
           "The quick brown fox", ".SH DESCRIPTION\n", "Il y avait une fois")
FIXED = {"prompt": "In the beginning", "max_tokens": 40, "temperature": 0, "logprobs": 3, "ignore_eos": True}
PATIENCE = 120  # seconds until an answer is late enough to be called lost


class Ledger:
    def __init__(self):
        self.lock = threading.Lock()
        self.done = collections.Counter()  # by kind
        self.sure = self.early = self.refused = self.events = 0
        self.failures, self.fixed = [], None

    def add(self, **more):
        with self.lock:
            for name, n in more.items():
                setattr(self, name, getattr(self, name) + n)

    def fail(self, kind, what):
        with self.lock:
            self.failures.append(f"{kind}: {what}")


class Failed(Exception):
    pass


class Client(threading.Thread):
    """Asks until it is told to stop, each time something else, mostly over a connection that it keeps."""

    def __init__(self, port, ledger, number, kinds):
        super().__init__(daemon=True)
        self.port, self.ledger, self.kinds = port, ledger, kinds
        self.random = random.Random(number)
        self.connection, self.stopping = None, threading.Event()

    def run(self):
        functions, weights = zip(*self.kinds)
        while not self.stopping.is_set():
            kind = self.random.choices(functions, weights)[0]
            try:
                kind(self)
                with self.ledger.lock:
                    self.ledger.done[kind.__name__] += 1
            except Exception as e:  # noqa: B902: whatever it is, it is told
                self.ledger.fail(kind.__name__, repr(e))
                self.drop()
            self.stopping.wait(self.random.random() * 0.1)
        self.drop()

    def drop(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    # --- asking ---

    def begin(self, method, path, body=None, headers=None):
        """The answer's head. A kept connection that the server closed while it was idle is opened anew."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        for _ in range(3):
            kept = self.connection is not None
            if not kept:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
            try:
                self.connection.request(method, path, data, {"Authorization": "Bearer " + KEY, **(headers or {})})
                return self.connection.getresponse()
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                self.drop()
                if not kept:
                    raise
        raise Failed("closed three times before an answer")

    def ask(self, method, path, body=None, headers=None):
        r = self.begin(method, path, body, headers)
        data = r.read()
        if r.will_close:
            self.drop()
        return r.status, r.headers, data

    def refused(self, r_status, headers):
        """true: the queue was full, and it was said when to come again."""
        if r_status != 429:
            return False
        if not 1 <= int(headers["Retry-After"]) <= 60:
            raise Failed("a Retry-After of " + str(headers["Retry-After"]))
        self.ledger.add(refused=1)
        self.stopping.wait(self.random.random())
        return True

    def whole(self, path, body, choices=1):
        """The answer in one piece; None: refused."""
        status, headers, data = self.ask("POST", path, body)
        if self.refused(status, headers):
            return None
        if status != 200:
            raise Failed(f"{status}: {data[:200]}")
        self.ledger.add(sure=1)
        answer = json.loads(data)
        if [c["index"] for c in answer["choices"]] != list(range(choices)) or any(c["finish_reason"] not in ("stop", "length") for c in answer["choices"]):
            raise Failed(f"choices: {data[:300]}")
        return answer

    def stream(self, path, body, choices=1, leave_after=None):
        """Reads a stream to its end, or leaves amid it."""
        r = self.begin("POST", path, {**body, "stream": True})
        if r.status != 200:
            data = r.read()
            if not self.refused(r.status, r.headers):
                raise Failed(f"{r.status}: {data[:200]}")
            return
        self.ledger.add(sure=1)
        ended, done, events = set(), False, 0
        for line in r:
            if leave_after is not None and events >= leave_after:
                self.drop()
                return
            if not line.startswith(b"data: "):
                continue
            if line == b"data: [DONE]\n":
                done = True
                continue
            event = json.loads(line[6:])
            if "error" in event:
                raise Failed(f"after {events} events: {event['error']['message']}")
            events += 1
            ended.update(c["index"] for c in event["choices"] if c["finish_reason"])
        self.ledger.add(events=events)
        if not done or ended != set(range(choices)):
            raise Failed(f"the stream ended early: {len(ended)} of {choices} choices, {events} events")

    def prompt(self, words=0):
        return self.random.choice(PROMPTS) + "".join(" " + self.random.choice(("lorem", "ipsum", "dolor", "sit")) for _ in range(words))

    def raw(self, data, small=False):
        s = socket.socket()
        s.settimeout(PATIENCE)
        if small:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        s.connect(("127.0.0.1", self.port))
        s.sendall(data)
        return s

    def raw_stream(self, tokens, small=False):
        body = json.dumps({"prompt": self.prompt(), "max_tokens": tokens, "logprobs": 5, "stream": True, "ignore_eos": True}).encode()
        return self.raw(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: %s\r\nContent-Length: %d\r\n\r\n" % (KEY.encode(), len(body)) + body,
                        small)


def hang_up(s, reset):
    if reset:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


# --- what is to be answered ---


def short(c):
    c.whole("/v1/completions", {"prompt": c.prompt(), "max_tokens": c.random.randint(1, 12), "seed": c.random.randrange(99), "temperature": 0.8})


def long_prompt(c):
    c.whole("/v1/completions", {"prompt": c.prompt(words=c.random.randint(60, 130)), "max_tokens": 4, "temperature": 0})


def stream(c):
    c.stream("/v1/completions", {"prompt": c.prompt(), "max_tokens": c.random.randint(10, 60)})


def long_stream(c):
    c.stream("/v1/completions", {"prompt": c.prompt(words=10), "max_tokens": c.random.randint(150, 400), "ignore_eos": True})


def chat(c):
    messages = [{"role": "user", "content": c.prompt()}, {"role": "assistant", "content": "Yes."}, {"role": "user", "content": c.prompt()}]
    body = {"messages": messages, "max_tokens": c.random.randint(2, 30), "stop": ["\n\n", "e e"]}
    c.stream("/v1/chat/completions", body) if c.random.random() < 0.5 else c.whole("/v1/chat/completions", body)


def several(c):
    n = c.random.randint(2, 4)
    body = {"prompt": c.prompt(), "n": n, "max_tokens": 20, "temperature": 1.2, "seed": c.random.randrange(99), "stop": [" the", "\n"]}
    c.stream("/v1/completions", body, n) if c.random.random() < 0.5 else c.whole("/v1/completions", body, n)


def prompts(c):
    c.whole("/v1/completions", {"prompt": [c.prompt(), c.prompt(), [1, 2, 3]], "max_tokens": 8, "logprobs": 2, "echo": True}, 3)


def around(c):
    """What else is asked of a server."""
    status, _, data = c.ask("POST", "/tokenize", {"prompt": c.prompt(words=50)})
    tokens = json.loads(data)["tokens"]
    for method, path, body in (("POST", "/detokenize", {"tokens": tokens}), ("GET", "/v1/models", None), ("GET", "/livez", None), ("GET", "/readyz", None),
                               ("GET", "/health", None)):
        status, _, data = c.ask(method, path, body)
        if status != 200:
            raise Failed(f"{path}: {status}: {data[:200]}")


# --- what is to be refused ---

BAD = ((b"{", 400), (b"[1]", 400), (b"", 400), (b'{"prompt": 1e400}', 400), (b'{"prompt": "a", "max_tokens": -5}', 400), (b'{"prompt": "\xff"}', 400),
       (b'{"prompt": "a", "model": "another"}', 404), (b'{"prompt": "a", "n": 1000}', 400), (b'{"prompt": [[99999999]]}', 400), (b'{"a":' * 100 + b"1" + b"}" * 100, 400),
       (b'{"prompt": "' + b"lorem ipsum " * 4000 + b'"}', 400), (b'{"prompt": "' + b"a" * (300 << 10) + b'"}', 413))


def bad_request(c):
    body, want = c.random.choice(BAD)
    status, _, data = c.ask("POST", "/v1/completions", body)
    if status != want and status != 429:
        raise Failed(f"{body[:40]} was answered {status}, not {want}: {data[:200]}")
    if status == 429:
        c.ledger.add(refused=1)
    elif not json.loads(data)["error"]["message"]:
        raise Failed("a refusal without a message")


def bad_head(c):
    for head, want in ((b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", b"404"), (b"PUT /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", b"405"),
                       (b"GET / HTTP/1.1\nHost: a\n\n", b"400"), (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", b"400"),
                       (b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n", b"401"), (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", b"505"), (b"\x16\x03\x01\0\xa5\n", b"400")):
        s = c.raw(head)
        said = s.recv(12)
        s.close()
        if said[9:12] != want and not (want in (b"404", b"405") and said[9:12] == b"403"):
            raise Failed(f"{head[:40]} was answered {said}, not {want}")


# --- clients that misbehave ---


def leave_stream(c):
    c.stream("/v1/completions", {"prompt": c.prompt(), "max_tokens": 300, "ignore_eos": True}, leave_after=c.random.randint(0, 20))


def leave_early(c):
    """Before there is an answer."""
    s = c.raw_stream(200)
    c.ledger.add(early=1)
    c.stopping.wait(c.random.random() * 0.05)
    hang_up(s, c.random.random() < 0.5)


def leave_amid_request(c):
    s = c.raw(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: %s\r\nContent-Length: 1000\r\n\r\n{\"prompt\": \"" % KEY.encode())
    c.stopping.wait(c.random.random() * 0.1)
    hang_up(s, c.random.random() < 0.5)


def half_close(c):
    s = c.raw_stream(50)
    c.ledger.add(early=1)
    s.shutdown(socket.SHUT_WR)
    while s.recv(65536):
        pass
    s.close()


def read_slowly(c):
    """Leaves when it has had enough, mostly before the answer's end."""
    s = c.raw_stream(150, small=True)
    first = s.recv(15)
    if first.startswith(b"HTTP/1.1 200"):
        c.ledger.add(sure=1)
    elif first.startswith(b"HTTP/1.1 429"):
        c.ledger.add(refused=1)
    else:
        raise Failed(f"answered {first}")
    for _ in range(40):
        if not s.recv(512) or c.stopping.wait(0.05):
            break
    hang_up(s, c.random.random() < 0.5)


def drip(c):
    """A head that never ends: told 408, or cut."""
    s = c.raw(b"POST /v1/comp")
    end = time.monotonic() + 20
    try:
        while time.monotonic() < end and not c.stopping.is_set():
            s.sendall(b"a")
            s.settimeout(0.3)
            try:
                said = s.recv(1000)
            except TimeoutError:
                continue
            if said and b" 408 " not in said and b" 414 " not in said:
                raise Failed(f"answered {said[:60]}")
            return
        if not c.stopping.is_set():
            raise Failed("was not cut off in 20 s")
    except (ConnectionResetError, BrokenPipeError):
        pass
    finally:
        s.close()


def idle(c):
    """A kept connection, and one that never asks: the server closes both."""
    s = c.raw(b"")
    c.ask("GET", "/livez")
    c.stopping.wait(1)
    s.close()


KINDS = ((short, 20), (stream, 12), (long_stream, 4), (chat, 12), (several, 8), (prompts, 4), (long_prompt, 8), (around, 8), (bad_request, 10), (bad_head, 2),
         (leave_stream, 8), (leave_early, 4), (leave_amid_request, 4), (half_close, 2), (idle, 2))
SLOW_KINDS = ((read_slowly, 3), (drip, 1), (leave_stream, 1))


class Fixed(Client):
    """Asks the same again and again: the answer's bits never change."""

    def __init__(self, port, ledger):
        super().__init__(port, ledger, 0, ((Fixed.fixed, 1),))

    def fixed(self):
        answer = self.whole("/v1/completions", FIXED)
        if answer:
            choices = json.dumps(answer["choices"])
            self.ledger.fixed = self.ledger.fixed or choices
            if choices != self.ledger.fixed:
                raise Failed(f"the fixed request was answered {choices[:300]}, at first {self.ledger.fixed[:300]}")
        self.stopping.wait(0.3)


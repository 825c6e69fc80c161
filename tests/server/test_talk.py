"""`sluice chat` as a person at a terminal has it, and a script: turns, keys, pasted text, commands, what it says where it cannot."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import harness
from harness import Server, checkpoint, stretched, temporary
from test_chat import CHATML, MODEL
from test_default import installed

PROMPT = b"\x1b[?2004h> "
LONG = "Grüße aus dem Süden, mit Öl"  # with the template, more than a page of 32 tokens
PLAIN = ["--temperature", "0", "--max-tokens", "12"]
CUT = b"The answer is cut after 12 tokens (--max-tokens). /continue lets it go on.\n"


def piped(text, *arguments, template=CHATML, model=MODEL, env=None):
    with temporary(template or "") as file:
        chosen = ["--chat-template", file] if template else []
        return subprocess.run([harness.BINARY, "chat", *([model] if model else []), *chosen, *map(str, arguments)], timeout=120,
                              input=text if isinstance(text, bytes) else text.encode(), capture_output=True, env={**os.environ, **(env or {})})


class Terminal:
    """The program on a terminal of 80 columns, as it is without a locale."""

    def __init__(self, *arguments, template=CHATML, model=MODEL, env=None):
        self.seen, self.at, self.status = b"", 0, None
        with_file = temporary(template)
        file = with_file.__enter__()
        self.close_file = lambda: with_file.__exit__(None, None, None)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            for name in ("LC_ALL", "LC_CTYPE", "LANG", "NO_COLOR"):
                os.environ.pop(name, None)
            os.environ.update({"TERM": "xterm", "HOME": "/nonexistent", **(env or {})})
            os.execv(harness.BINARY, [harness.BINARY, "chat", model, "--chat-template", file, *map(str, arguments)])
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))

    def __enter__(self):
        self.wait(PROMPT)
        return self

    def __exit__(self, *problem):
        self.close_file()
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)

    def read(self):
        """What is there; False at the end."""
        if not select.select([self.fd], [], [], 0.1)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # nobody has the terminal any more
            return False
        self.seen += data
        return bool(data)

    def wait(self, text, seconds=60):
        """Everything since the last wait, up to the text."""
        end = time.monotonic() + seconds
        while text not in self.seen[self.at:]:
            assert self.read() and time.monotonic() < end, (text, self.seen[self.at:])
        before, self.at = self.at, self.seen.index(text, self.at) + len(text)
        return self.seen[before:self.at]

    def type(self, keys, until=PROMPT):
        os.write(self.fd, keys if isinstance(keys, bytes) else keys.encode())
        return self.wait(until)

    def leaves(self, keys):
        os.write(self.fd, keys)
        while self.read():
            pass
        self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        assert b"Sanitizer" not in self.seen, self.seen
        return self.status


def answers(*contents, system=None, template=CHATML, **fields):
    """What /v1/chat/completions answers to these messages of a user, each after the answers before it."""
    messages, said = [{"role": "system", "content": system}] if system else [], []
    with temporary(template) as file, Server(MODEL, "--chat-template", file) as s:
        for content in contents:
            messages.append({"role": "user", "content": content})
            status, body = s.post("/v1/chat/completions", {"messages": messages, "temperature": 0, "max_tokens": 12, **fields})
            assert status == 200, body
            said.append(body["choices"][0]["message"]["content"])
            messages.append({"role": "assistant", "content": said[-1]})
    return said


def on_terminal(text):
    """No control character of an answer reaches a terminal; its newlines do as the terminal has them."""
    return re.sub("[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]", "", text).replace("\n", "\r\n").encode()


def test_each_line_of_a_pipe_is_a_turn():
    said = answers(LONG, "Again, with ü")
    r = piped(LONG + "\n\nAgain, with ü", *PLAIN)
    assert r.returncode == 0 and r.stderr == 2 * CUT, r
    assert r.stdout == "".join(a + "\n" for a in said).encode(), (r.stdout, said)
    assert b"\x1b[" not in r.stdout
    r = piped(LONG + "\nAgain, with ü\n", *PLAIN, "--stats")
    lines = r.stderr.replace(CUT, b"").decode().splitlines()
    assert len(lines) == 2 and all(re.search(r"^\d+ tokens.* of \d+ prompt tokens reused; \d+ of \d+ experts", x) for x in lines), lines
    assert "; 0 of" in lines[0] and "; 0 of" not in lines[1], lines  # the second turn's beginning was known


def test_commands_in_a_pipe():
    (first,), (brief,) = answers("Hello"), answers("Hello", system="Be brief.")
    r = piped("Hello\n/reset\nHello\n/reset\n/system Be brief.\nHello\n/regen\n/quit\nnever\n", *PLAIN)
    assert r.returncode == 0 and r.stdout.decode() == f"{first}\n{first}\n{brief}\n{brief}\n", r
    assert piped("Hello\n", *PLAIN, "--system", "Be brief.").stdout.decode() == brief + "\n"
    r = piped("/restart\n", *PLAIN)
    assert r.returncode == 1 and b"did you mean /reset" in r.stderr and r.stdout == b"", r
    (path,) = answers("/etc/fstab is wrong")
    assert piped("/etc/fstab is wrong\n", *PLAIN).stdout.decode() == path + "\n"
    (two,) = answers("one\ntwo")
    assert piped("one\\\ntwo\n", *PLAIN).stdout.decode() == two + "\n"
    assert piped(b"bad \xff byte\n", *PLAIN).returncode == 0


def test_a_turn_on_a_terminal():
    said = answers(LONG, "Hello")
    with Terminal(*PLAIN) as t:
        shown = t.type(LONG + "\r")
        assert LONG.encode() in shown and on_terminal(said[0]) in shown, (shown, said)
        assert re.search(rb"\x1b\[90m\d+ tokens.*experts.*\x1b\[0m", shown), shown
        shown = t.type(b"Hellp\x7fo\r")  # a typing error is taken back
        assert on_terminal(said[1]) in shown and b" 0 of" not in shown, shown
        t.type(b"\x1b[A\x1b[A", until=LONG[:12].encode())  # history
        t.type(b"\x03")
        t.type(b"/reset\r")
        assert on_terminal(said[0]) in t.type(LONG + "\r")
        assert t.leaves(b"\x04") == 0
        assert t.seen.endswith(b"\x1b[?2004l\r\n"), t.seen[-40:]
    with Terminal(*PLAIN, env={"NO_COLOR": "1"}) as t:
        assert b"experts" in t.type("Hello\r") and b"\x1b[90m" not in t.seen


def test_pasted_lines_are_one_message():
    (said,) = answers("one\n\ttwo\n\nthree [31m")
    with Terminal(*PLAIN) as t:
        os.write(t.fd, b"\x1b[200~one\r\n\ttwo\r\rthree \x1b[[31m\r\x1b[201~")
        t.wait(b"three")
        shown = t.type(b"\r")
        assert on_terminal(said) in shown, (shown, said)


def test_ctrl_c_stops_the_answer():
    with Terminal("--temperature", 0, model=stretched("qwen3moe-gqa")) as t:  # greedy, it goes on for ever
        t.type("Hello\r", until=b"\x1b[?2004l")
        while len(t.seen) < t.at + 20:
            assert t.read()
        shown = t.type(b"\x03")
        assert b"; stopped" in shown, shown[-300:]
        t.type(b"/reset\r")
        t.type(b"Hello\r", until=b"\x1b[?2004l")  # at once, before a token is there
        assert b"; stopped" in t.type(b"\x03")
        t.type(b"half a line\x03")
        assert t.leaves(b"\x03") == 0
    with Terminal() as t:
        assert b"once more" in t.type(b"\x03")
        assert t.leaves(b"\x03") == 0


def test_what_cannot_be_done_is_said():
    r = piped("Hello\n", template=None)
    assert r.returncode == 1 and b"no chat template" in r.stderr and b"--chat-template FILE" in r.stderr and b"sluice run" in r.stderr, r
    r = piped("Hello\n", template="{{ raise_exception('no') }}")
    assert r.returncode == 1 and b"no" in r.stderr and r.stdout == b"", r
    r = piped("Hello\n", template="{% if %}")
    assert r.returncode == 1 and b"line 1" in r.stderr, r
    only_users = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + CHATML
    r = piped("/system Be brief.\nHello\n", *PLAIN, template=only_users)
    assert b"System role not supported" in r.stderr and r.stdout.decode() == answers("Hello")[0] + "\n", r
    with installed(None):
        r = piped("Hello\n", template=None, model=None)
        assert r.returncode == 2 and b"models/fetch" in r.stderr, r
    with installed(MODEL + "/../olmoe-mha.gguf"):
        assert b"models/fetch" in piped("Hello\n", template=None, model=None).stderr  # the default model does not talk


def test_a_full_context_is_a_sentence():
    r = piped("x" * 300 + "\nHello\n", "--ctx", 64, *PLAIN)
    assert r.returncode == 1 and b"the context is full" in r.stderr and b"/reset" in r.stderr and b"--ctx" in r.stderr, r
    assert r.stdout.decode() == answers("Hello")[0] + "\n", r
    r = piped("Hello\n" * 9, "--ctx", 64, "--temperature", 0, "--stats")  # an answer that meets the end, and what comes after it
    assert b"The answer is cut: the context is full" in r.stderr or b"the context is full: with this message" in r.stderr, r
    assert r.returncode in (0, 1), r


def test_an_answer_that_was_cut_goes_on():
    """As if it had not been cut, characters whose bytes are in two tokens included."""
    short = ["--temperature", "0", "--max-tokens"]
    for length in (1, 4, 5):
        (whole,) = answers(LONG, max_tokens=3 * length)
        r = piped(LONG + "\n/continue\n/continue\n", *short, length)
        assert r.stderr.count(b"/continue lets it go on") == 3 and r.returncode == 0, r
        said = r.stdout.decode().removesuffix("\n").replace("\n", "") if "\n" not in whole else None
        assert said is None or whole.removesuffix("\ufffd") in (said, said.removesuffix("\ufffd")), (length, said, whole)
    r = piped(LONG + "\n/continue\n/reset\n/continue\n", *PLAIN)
    assert r.stderr.endswith(b"There is no answer that was cut.\n") and r.returncode == 0, r
    r = piped("Hello\n/continue\n", "--ctx", 64, "--temperature", 0)
    assert b"cut: the context is full (--ctx 64)" in r.stderr and b"cannot go on: the context is full" in r.stderr, r
    with Terminal("--temperature", 0, model=stretched("qwen3moe-gqa")) as t:  # one that Ctrl-C stopped goes on too
        t.type("Hello\r", until=b"\x1b[?2004l")
        while len(t.seen) < t.at + 20:
            assert t.read()
        t.type(b"\x03")
        t.type("/continue\r", until=b"\x1b[?2004l")
        while len(t.seen) < t.at + 20:
            assert t.read()
        assert b"; stopped" in t.type(b"\x03")
        assert t.leaves(b"\x04") == 0


def test_thinking_is_switched():
    """/think and --think, where the template reads a variable for it."""
    template = CHATML + "{%- if enable_thinking is defined and not enable_thinking %}{{- 'No thoughts. ' }}{%- endif %}"
    (plain,), (off,) = answers("Hello", template=template), answers("Hello", template=template, chat_template_kwargs={"enable_thinking": False})
    assert plain != off
    r = piped("/help\nHello\n/reset\n/think off\nHello\n/reset\n/think default\nHello\n/think\n", *PLAIN, template=template)
    assert r.stdout.decode() == f"{plain}\n{off}\n{plain}\n" and r.returncode == 0, (r, plain, off)
    assert b"/think WORD" in r.stderr and b"Thinking: off.\n" in r.stderr and b"Thinking: default (on, off, default).\n" in r.stderr, r
    assert piped("Hello\n", *PLAIN, "--think", "off", template=template).stdout.decode() == off + "\n"
    r = piped("/think high\nHello\n", *PLAIN, template=template)
    assert r.returncode == 1 and b'no "high" for thinking; there is on, off, default' in r.stderr and r.stdout.decode() == plain + "\n", r
    effort = CHATML + "{{- reasoning_effort or '' }}"
    (high,) = answers("Hello", template=effort, reasoning_effort="high")
    assert piped("/think high\nHello\n", *PLAIN, template=effort).stdout.decode() == high + "\n"
    r = piped("/help\n/think on\n", *PLAIN)  # ChatML has no switch
    assert r.returncode == 1 and b"no switch for thinking" in r.stderr and b"/think WORD" not in r.stderr, r
    r = piped("Hello\n", *PLAIN, "--think", "on")
    assert r.returncode == 2 and b"--think: this model's chat template has no switch" in r.stderr and r.stdout == b"", r

"""Three replicas behind HAProxy, by deploy/cluster; and the model that tests serve."""
import ctypes
import http.client
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "server"))
import harness  # noqa: E402

ROOT = os.path.abspath(os.path.join(here, "..", ".."))
CLUSTER = os.path.join(ROOT, "deploy", "cluster")
MODEL = os.path.join(ROOT, "models", "default.gguf")


def need():
    if not (shutil.which("haproxy") or os.path.exists("/usr/sbin/haproxy")) or not shutil.which("openssl"):
        raise ImportError("haproxy or openssl is not there: sh deploy/install operate")
    if not os.path.exists(MODEL):
        raise ImportError("models/default.gguf is not there")


def apart():
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def nice():
    """Called in who makes load: replicas and HAProxy come first, as if it were on another machine."""
    os.nice(10)


class Cluster:
    """deploy/cluster in a folder of its own, on free ports, one thread a replica. Arguments are options of `sluice serve`."""

    def __init__(self, *serve):
        need()
        self.folder = tempfile.mkdtemp(prefix="cluster-")
        self.tls = None
        # Out of reach of a signal for the caller's group, and ended with the caller, however that ends.
        self.output = open(os.path.join(self.folder, "cluster.txt"), "w+")
        self.process = subprocess.Popen([sys.executable, CLUSTER, "--port", "0", "--folder", self.folder, "--sluice", harness.BINARY, "--threads", "1", MODEL,
                                         "--", *map(str, serve)], stdout=self.output, stderr=self.output, stdin=subprocess.DEVNULL, preexec_fn=apart)

    def text(self):
        return os.pread(self.output.fileno(), 1 << 20, 0).decode()

    def state(self):
        with open(os.path.join(self.folder, "state.json")) as f:
            return json.load(f)

    def __enter__(self):
        end = time.monotonic() + 60
        while "up; Ctrl-C" not in self.text():
            if self.process.poll() is not None or time.monotonic() > end:
                text = self.text()
                self.close()
                raise AssertionError("the cluster did not come up:\n" + text)
            time.sleep(0.02)
        state = self.state()
        self.port, self.ports, self.admins = state["port"], state["ports"], state["admins"]
        self.tls = ssl.create_default_context(cafile=os.path.join(self.folder, "certificate.crt"))
        return self

    def run(self, command, seconds=300):
        r = subprocess.run([sys.executable, CLUSTER, command, "--folder", self.folder], capture_output=True, text=True, timeout=seconds, check=False)
        assert r.returncode == 0, (command, r.stdout, r.stderr)
        return r.stdout

    def start(self, command):
        """The same, while the caller goes on."""
        return subprocess.Popen([sys.executable, CLUSTER, command, "--folder", self.folder], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(240)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.output.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __exit__(self, kind, *_):
        if kind is not None:
            print(self.text()[-3000:])
            for i in (1, 2, 3):
                with open(os.path.join(self.folder, f"replica-{i}.log")) as f:
                    print(f"replica {i}: …" + f.read()[-700:])
        self.close()

    # requests, one at a time

    def ask(self, method, path, body=None, headers=None, timeout=60):
        c = http.client.HTTPSConnection("localhost", self.port, timeout=timeout, context=self.tls)
        try:
            c.request(method, path, json.dumps(body) if isinstance(body, dict) else body, headers or {})
            r = c.getresponse()
            return r.status, {k.lower(): v for k, v in r.getheaders()}, r.read()
        finally:
            c.close()

    def metric(self, i, name, **labels):
        """The sum of a metric's samples with these labels at replica i, from 0 on."""
        c = http.client.HTTPConnection("127.0.0.1", self.admins[i], timeout=60)
        try:
            c.request("GET", "/metrics")
            text = c.getresponse().read().decode()
        finally:
            c.close()
        total = 0.0
        for line in text.splitlines():
            head, _, value = line.rpartition(" ")
            if head.split("{")[0] == name and all(f'{k}="{v}"' in head for k, v in labels.items()):
                total += float(value)
        return total


_shared = []


def shared():
    """One cluster for all tests that leave it as it was; tests/operate/run closes it."""
    if not _shared:
        cluster = Cluster()
        cluster.__enter__()
        _shared.append(cluster)
    return _shared[0]


def close_shared():
    while _shared:
        _shared.pop().close()

"""The units of deploy/ under a systemd of their own, in name spaces of this machine. Promise 3."""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import harness
from harness import Askers, Server, checkpoint

DEPLOY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "deploy")
UNITS = ("sluice.service", "sluice.socket", "sluice-admin.socket")
SYSTEMD = "/lib/systemd/systemd"

# Runs as the first process of the new name spaces: a systemd that knows no units but the given ones. {0}: the folder with them,
# which is INSIDE there: the service sees neither /tmp nor anybody's home, and this tree may lie in either.
INSIDE = "/srv"
BOOT = """
set -e
mount --make-rprivate /
for place in /run /lib/systemd/system /etc/systemd/system; do mount -t tmpfs tmpfs $place; done
mount --bind {0}/passwd /etc/passwd
mount --bind {0}/group /etc/group
mount --bind {0} {2}
mkdir -p /run/systemd/system
for target in sysinit basic sockets shutdown umount final multi-user; do
    printf '[Unit]\\nDefaultDependencies=no\\n' >/lib/systemd/system/$target.target
done
cp {0}/*.service {0}/*.socket /lib/systemd/system/
exec env container=other {1} --system --unit=basic.target --log-target=console --show-status=0
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def put_units(folder, binary, config, port, admin):
    """The units as they are shipped, but for paths, ports and the time after which the watchdog strikes."""
    for name in UNITS:
        with open(os.path.join(DEPLOY, name)) as f:
            text = f.read()
        for old, new in (("/usr/local/bin/sluice", binary), ("/etc/sluice/sluice.json", config),
                         ("127.0.0.1:8080", f"127.0.0.1:{port}"), ("127.0.0.1:9091", f"127.0.0.1:{admin}"),
                         ("WatchdogSec=30", "WatchdogSec=2")):
            text = text.replace(old, new)
        with open(os.path.join(folder, name), "w") as f:
            f.write(text)


def groups():
    """The folders that a systemd makes in the hierarchies of control groups."""
    found = set()
    for name in os.listdir("/sys/fs/cgroup"):
        for child in ("system.slice", "init.scope"):
            path = os.path.join("/sys/fs/cgroup", name, child)
            if os.path.isdir(path):
                found.add(path)
    return found


@contextlib.contextmanager
def own_systemd(folder):
    """Runs a command inside: call it with the command's words; returns what it printed."""
    if os.path.isdir("/run/systemd/system"):
        raise ImportError("a systemd runs here already: units are NOT tested")
    if os.geteuid() != 0 or not os.path.exists(SYSTEMD) or not shutil.which("unshare"):
        raise ImportError("needs root, systemd and unshare: units are NOT tested")
    before = groups()
    for name, line in (("passwd", "sluice:x:64999:64999::/:/usr/sbin/nologin"), ("group", "sluice:x:64999:")):
        with open("/etc/" + name) as f, open(os.path.join(folder, name), "w") as out:
            out.write(f.read().rstrip("\n") + "\n" + line + "\n")
    log = tempfile.TemporaryFile("w+")
    p = subprocess.Popen(["unshare", "--fork", "--pid", "--mount", "--mount-proc", "--kill-child", "sh", "-c", BOOT.format(folder, SYSTEMD, INSIDE)],
                         stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def inside(*command, status=0):
        with open(f"/proc/{p.pid}/task/{p.pid}/children") as f:
            first = f.read().split()[0]
        r = subprocess.run(["nsenter", "-t", first, "-m", "-p", *command], capture_output=True, text=True, timeout=120)
        log.seek(0)
        assert status is None or r.returncode == status, (command, r.stdout, r.stderr, log.read()[-4000:])
        return r.stdout

    try:
        end = time.monotonic() + 30
        while time.monotonic() < end and p.poll() is None:
            try:
                if "running" in inside("systemctl", "is-system-running", status=None):
                    break
            except (IndexError, OSError):
                pass
            time.sleep(0.1)
        else:
            log.seek(0)
            raise ImportError("no systemd can be started in name spaces here: units are NOT tested: " + log.read()[-500:])
        yield inside
    finally:
        p.kill()
        p.wait()
        log.close()
        end = time.monotonic() + 10  # its processes are killed, but may not be gone yet
        while groups() - before and time.monotonic() < end:
            for path in groups() - before:
                for top, _, _ in os.walk(path, topdown=False):
                    with contextlib.suppress(OSError):
                        os.rmdir(top)
            time.sleep(0.05)


class Http:
    """harness.Server's requests, to a server that somebody else started."""
    request, get, post, until = Server.request, Server.get, Server.post, Server.until

    def __init__(self, port, admin):
        self.port, self.admin = port, admin


def property_of(inside, name):
    return inside("systemctl", "show", "-P", name, "sluice.service").strip()


def status_of(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def main_process():
    """The process id of the service, as this machine's /proc has it."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/status") as f:
                text = f.read()
            if text.startswith("Name:\tsluice\n") and "\nUid:\t64999\t" in text:
                return int(pid)
    return None


def test_the_units_under_a_systemd():
    """Start, readiness, what the process may do, a reload, restarts that refuse nobody, the watchdog, the end."""
    folder = tempfile.mkdtemp()
    try:
        os.chmod(folder, 0o755)
        port, admin = free_port(), free_port()
        config, keys = os.path.join(folder, "sluice.json"), os.path.join(folder, "keys")
        shutil.copy(harness.BINARY, os.path.join(folder, "sluice"))
        shutil.copy(checkpoint("mixtral-gqa.gguf"), os.path.join(folder, "model.gguf"))
        with open(keys, "w") as f:
            f.write("first\n")
        with open(config, "w") as f:
            json.dump({"model": INSIDE + "/model.gguf", "api-key-file": INSIDE + "/keys", "threads": 1}, f)
        put_units(folder, INSIDE + "/sluice", INSIDE + "/sluice.json", port, admin)
        with own_systemd(folder) as inside:
            s = Http(port, admin)
            inside("systemctl", "start", "sluice.service")
            assert property_of(inside, "ActiveState") == "active" and property_of(inside, "StatusText") == "serving"
            assert s.get("/readyz")[0] == 200 and s.get("/metrics", port=admin)[0] == 200 and s.get("/metrics")[0] == 404

            pid = main_process()
            status = status_of(pid)
            assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2" and int(status["CapEff"], 16) == 0, status
            assert os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")

            def key_works(key):
                return s.get("/v1/models", headers={"X-Api-Key": key})[0] == 200

            assert key_works("first")
            with open(keys, "w") as f:
                f.write("second\n")
            inside("systemctl", "reload", "sluice.service")
            s.until(lambda: key_works("second"), what="the new key")
            assert not key_works("first")

            clients = Askers(s, 2, 8, headers={"X-Api-Key": "second"})
            for _ in range(2):
                clients.served()
                inside("systemctl", "restart", "sluice.service")
            clients.served()
            clients.stop()

            pid = main_process()
            os.kill(pid, signal.SIGSTOP)  # the loop does not turn any more
            s.until(lambda: main_process() not in (None, pid), seconds=60, what="the watchdog restarts it")
            s.until(lambda: key_works("second"), seconds=60, what="it serves again")
            assert int(property_of(inside, "NRestarts")) == 1

            inside("systemctl", "stop", "sluice.socket", "sluice-admin.socket", "sluice.service")
            assert property_of(inside, "ActiveState") == "inactive" and property_of(inside, "Result") == "success"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


test_the_units_under_a_systemd.slow = True  # under a sanitizer, whose leak check is a second process that the unit does not allow


def test_what_systemd_says_of_the_units():
    """systemd-analyze: no mistake in them, and the service is exposed as little as few are."""
    if not shutil.which("systemd-analyze"):
        raise ImportError("systemd-analyze is not installed: units are NOT checked")
    with tempfile.TemporaryDirectory() as d:
        put_units(d, harness.BINARY, "/etc/sluice/sluice.json", 8080, 9091)
        paths = [os.path.join(d, name) for name in UNITS]
        r = subprocess.run(["systemd-analyze", "verify", "--man=no", *paths], capture_output=True, text=True, timeout=60)
        ours = [line for line in (r.stdout + r.stderr).split("\n") if "sluice" in line]
        assert not ours, ours
        r = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", paths[0]], capture_output=True, text=True,
                           timeout=60)
        exposure = re.search(r"Overall exposure level for [^:]*: ([0-9.]+)", r.stdout)
        assert exposure and float(exposure.group(1)) <= 1.5, r.stdout + r.stderr

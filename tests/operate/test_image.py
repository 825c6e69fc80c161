"""The image: what is in it, and that it runs as it is meant to: another user, no capabilities, a read-only root, no network."""
import glob
import json
import os
import shutil
import subprocess
import tempfile
import time

import harness

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
TREE = os.path.join(ROOT, ".cache", "image")
USER = "65532"


def need(*programs):
    for name in programs:
        if not shutil.which(name):
            raise ImportError(f"{name} is not there: sh deploy/install operate")


def command(*words, **more):
    return subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL, **more)


_made = []


def make_tree():
    r = command(os.path.join(ROOT, "deploy", "image-tree"), harness.BINARY, TREE)
    assert r.returncode == 0, r.stderr
    _made.append(True)


def one_root(folder):
    """The three layers on top of each other, as a container sees them, with the binary under test."""
    if not _made:
        make_tree()
    for part in ("system", "model", "program"):
        assert command("cp", "-a", f"{TREE}/{part}/.", folder).returncode == 0
    return folder


def until(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not come about: " + what
        time.sleep(0.02)


def test_what_is_inside():
    with tempfile.TemporaryDirectory() as folder:
        root = one_root(folder)
        files = [os.path.join(top, n) for top, _, names in os.walk(root) for n in names]
        programs = {os.path.relpath(f, root) for f in files if os.access(f, os.X_OK) and not os.path.islink(f) and ".so" not in f}
        assert programs == {"usr/bin/sluice"}, programs  # no shell
        unpacked = sum(os.path.getsize(f) for f in files if not os.path.islink(f) and not f.endswith(".gguf"))
        assert unpacked <= 80 << 20, unpacked
        set_user = [f for f in files if os.lstat(f).st_mode & 0o6000]
        writable = [f for f in files if not os.path.islink(f) and os.lstat(f).st_mode & 0o022]
        assert not set_user and not writable, (set_user, writable)

        # Everything that is linked is there, found by this loader in this root alone.
        loader = "/lib64/ld-linux-x86-64.so.2"
        needed = command("chroot", root, loader, "--list", "/usr/bin/sluice") if os.getuid() == 0 else None
        if needed:
            assert needed.returncode == 0 and "not found" not in needed.stdout, needed
            linked = {line.split()[0] for line in needed.stdout.splitlines() if ".so" in line and "vdso" not in line}
            libraries = {os.path.basename(f) for f in glob.glob(f"{root}/usr/lib/x86_64-linux-gnu/*")}
            assert {os.path.basename(n) for n in linked} == libraries, linked ^ libraries

        with open(f"{root}/usr/share/sluice/contents.tsv") as f:
            rows = [line.rstrip("\n").split("\t") for line in f if not line.startswith("#")]
        listed = {file for row in rows for file in row[3].split()}
        assert all(row[1] and row[2] for row in rows), rows
        have = {"/" + os.path.relpath(f, root) for f in files if ".so" in f or f.endswith((".gguf", "/sluice"))
                if not os.path.islink(f) and "/doc/" not in f}
        assert listed == have, listed ^ have
        for name, version, *_ in rows:
            if name.startswith("lib"):
                assert command("dpkg-query", "-W", "-f", "${Version}", name).stdout == version
                assert os.path.getsize(f"{root}/usr/share/doc/{name}/copyright") > 100
        with open(f"{root}/usr/share/sluice/contents.spdx.json") as f:
            document = json.load(f)
        assert document["spdxVersion"] == "SPDX-2.3" and [p["name"] for p in document["packages"]] == [r[0] for r in rows]


def test_the_same_sources_give_the_same_bytes():
    def digest(folder):
        make_tree()
        one_root(folder)
        return command("sh", "-c", 'cd "$1" && find . -type f -o -type l | sort | tar -c --no-recursion -T - | sha256sum', "sh", folder).stdout

    with tempfile.TemporaryDirectory() as a, tempfile.TemporaryDirectory() as b:
        assert digest(a) == digest(b) != ""


class Sandbox:
    """The image's root under bubblewrap as a runtime would run it: read-only, another user, no capability, its own network
    (which has nothing but loopback), its own process ids."""

    def __init__(self, root, *options, environment=()):
        # The variables of the Containerfile, but for PATH.
        variables = ("SLUICE_HOST=0.0.0.0", "SLUICE_PORT=8080", "SLUICE_ADMIN=0.0.0.0:9090", "SLUICE_NO_AUTH=true", "SLUICE_DRAIN_DELAY=5", *environment)
        sets = [word for v in variables for word in ("--setenv", *v.split("=", 1))]
        self.log = tempfile.TemporaryFile("w+")
        self.bwrap = subprocess.Popen(["bwrap", "--ro-bind", root, "/", "--proc", "/proc", "--dev", "/dev", "--unshare-all", "--uid", USER,
                                       "--gid", USER, "--cap-drop", "ALL", "--clearenv", *sets, "--die-with-parent", "--chdir", "/",
                                       "/usr/bin/sluice", "serve", "--log-format", "text", *options],
                                      stderr=self.log, stdin=subprocess.DEVNULL)
        self.pid = None

    def text(self):
        return os.pread(self.log.fileno(), 1 << 20, 0).decode()

    def find(self):
        """The process id of sluice, seen from outside: the child of bwrap's child."""
        of = {}
        for stat in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(stat) as f:
                    head, tail = f.read().rsplit(")", 1)
            except OSError:
                continue
            of.setdefault(int(tail.split()[1]), []).append((int(head.split()[0]), head.split("(", 1)[1]))
        todo = [self.bwrap.pid]
        while todo:
            for pid, name in of.get(todo.pop(), ()):
                if name == "sluice":
                    self.pid = pid
                    return True
                todo.append(pid)
        assert self.bwrap.poll() is None, self.text()
        return False

    def inside(self, *words, spaces="-n"):
        """Runs a program in its network (-n), with its user (-U), among its files (-m)."""
        return command("nsenter", "-t", self.pid, "--preserve-credentials", *spaces.split(), *words)

    def __enter__(self):
        until(self.find, "the program runs")
        until(lambda: "ready    http" in self.text() or self.bwrap.poll() is not None, "ready")
        assert self.bwrap.poll() is None, self.text()
        return self

    def __exit__(self, *_):
        if self.bwrap.poll() is None:
            os.kill(self.pid, 15)
            try:
                self.bwrap.wait(30)
            except subprocess.TimeoutExpired:
                self.bwrap.kill()
                raise


def bubblewrap_works():
    need("bwrap", "nsenter", "curl")
    r = command("bwrap", "--ro-bind", "/", "/", "--unshare-all", "true")
    if r.returncode:
        raise ImportError("bwrap cannot make namespaces here: " + r.stderr.strip())


def test_run_alone_with_nothing_but_what_it_needs():
    bubblewrap_works()
    if not os.path.exists(os.path.join(ROOT, "models", "default.gguf")):
        raise ImportError("models/default.gguf is not there")
    with tempfile.TemporaryDirectory() as folder, Sandbox(one_root(folder), "--threads", "1") as s:
        with open(f"/proc/{s.pid}/status") as f:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in f)
        for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert int(status[kind], 16) == 0, (kind, status[kind])
        assert status["NoNewPrivs"] == "1"
        with open(f"/proc/{s.pid}/mountinfo") as f:
            mounts = {line.split()[4]: line.split()[5] for line in f}
        assert mounts["/"].split(",")[0] == "ro", mounts
        for n in os.listdir(f"/proc/{s.pid}/fd"):  # nothing is open for writing but standard output and error, sockets, event files
            target = os.readlink(f"/proc/{s.pid}/fd/{n}")
            if target.startswith("/") and n not in "012":
                with open(f"/proc/{s.pid}/fdinfo/{n}") as f:
                    flags = next(line for line in f if line.startswith("flags"))
                assert int(flags.split()[1], 8) & 3 == 0, (n, target)
        assert s.inside("/usr/bin/id", "-u", spaces="-U").stdout.strip() == USER

        health = s.inside("/usr/bin/sluice", "healthcheck", "--admin", "127.0.0.1:9090", spaces="-U -n -m -p")
        assert (health.returncode, health.stdout) == (0, "ok\n"), health
        url = "http://127.0.0.1:8080"
        answer = s.inside("curl", "-sN", "--max-time", "60", f"{url}/v1/completions", "-d",
                          '{"prompt": "And it came to pass", "max_tokens": 8, "stream": true}')
        assert answer.stdout.rstrip().endswith("data: [DONE]") and '"text"' in answer.stdout, answer
        assert "sluice_build_info" in s.inside("curl", "-s", "--max-time", "60", "http://127.0.0.1:9090/metrics").stdout
        assert s.inside("curl", "-s", "--max-time", "60", "-o", "/dev/null", "-w", "%{http_code}", f"{url}/metrics").stdout == "404"


def test_keys_hold_whatever_the_image_allows():
    bubblewrap_works()
    with tempfile.TemporaryDirectory() as folder:
        root = one_root(folder)
        with open(f"{root}/keys/api-keys", "w") as f:
            f.write("secret\n")
        with Sandbox(root, "--threads", "1", environment=("SLUICE_API_KEY_FILE=/keys/api-keys",)) as s:
            ask = ("curl", "-s", "--max-time", "60", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:8080/v1/models")
            assert s.inside(*ask).stdout == "401"
            assert s.inside(*ask, "-H", "Authorization: Bearer secret").stdout == "200"
            assert s.inside("/usr/bin/sluice", "healthcheck", "--port", "8080", spaces="-U -n -m -p").returncode == 0


def test_built_by_buildah_and_run_in_its_chroot():
    need("buildah")
    storage = os.path.join(ROOT, ".cache", "image-storage")  # not the one that this machine's own images lie in
    with harness.temporary(f'[storage]\ndriver = "overlay"\ngraphroot = "{storage}"\nrunroot = "{storage}-run"\n') as conf:
        environment = {**os.environ, "CONTAINERS_STORAGE_CONF": conf}
        try:
            build_and_run(environment)
        finally:
            command("buildah", "rmi", "--all", "--force", env=environment)
            shutil.rmtree(storage, ignore_errors=True)
            shutil.rmtree(storage + "-run", ignore_errors=True)


def build_and_run(environment):
    r = command("sh", os.path.join(ROOT, "deploy", "build-image"), "--binary", harness.BINARY, "--tag", "sluice-test:latest", env=environment)
    if r.returncode and "permitted" in r.stderr:
        raise ImportError("buildah may not mount here: " + r.stderr.strip().splitlines()[-1])
    assert r.returncode == 0, r.stderr
    print("   " + "\n   ".join(r.stdout.strip().splitlines()))
    driver = r.stdout.splitlines()[0].split("(")[1].rstrip(")")
    environment = {**environment, "STORAGE_DRIVER": driver}
    config = json.loads(command("buildah", "inspect", "--type", "image", "sluice-test:latest", env=environment).stdout)["Docker"]["config"]
    assert config["User"] == f"{USER}:{USER}" and config["Entrypoint"] == ["/usr/bin/sluice"] and config["Cmd"] == ["serve"]
    assert config["Healthcheck"]["Test"] == ["CMD", "/usr/bin/sluice", "healthcheck"], config["Healthcheck"]
    assert {"org.opencontainers.image." + n for n in ("title", "description", "version", "revision", "created")} <= set(config["Labels"])
    container = command("buildah", "from", "--pull-never", "sluice-test:latest", env=environment).stdout.strip()
    try:
        # chroot shares this machine's network, so the ports are free ones; user and variables are the image's.
        p = subprocess.Popen(["buildah", "run", "--isolation", "chroot", "--env", "SLUICE_PORT=0", "--env", "SLUICE_ADMIN=127.0.0.1:0", container, "--",
                              "/usr/bin/sluice", "serve", "--threads", "1", "--log-format", "text"], stderr=subprocess.PIPE, text=True, env=environment,
                             stdin=subprocess.DEVNULL)
        try:
            lines = []
            for line in p.stderr:
                lines.append(line)
                if "ready    http" in line:
                    break
            assert lines and "ready    http" in lines[-1], lines
            port = lines[-1].split("http://")[1].split()[0].split(":")[1]
            inside = command("buildah", "run", "--isolation", "chroot", container, "--", "/usr/bin/sluice", "healthcheck", f"127.0.0.1:{port}", env=environment)
            assert inside.stdout == "ok\n", inside
            assert command("buildah", "run", "--isolation", "chroot", container, "--", "/bin/sh", "-c", "true", env=environment).returncode != 0
            servers = [d for d in os.listdir("/proc") if d.isdigit() and serves(d)]
            assert [os.stat(f"/proc/{d}").st_uid for d in servers] == [int(USER)], servers
            os.kill(int(servers[0]), 15)
            assert p.wait(30) == 0
        finally:
            if p.poll() is None:
                p.terminate()
                p.wait(30)
            p.stderr.close()
    finally:
        command("buildah", "rm", container, env=environment)


def serves(pid):
    """Whether this process is the image's server: it runs its program, which is not this machine's, with SLUICE_PORT=0."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as f, open(f"/proc/{pid}/cmdline", "rb") as g:
            return b"SLUICE_PORT=0" in f.read().split(b"\0") and g.read().startswith(b"/usr/bin/sluice\0serve\0")
    except OSError:
        return False

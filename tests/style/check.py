#!/usr/bin/env python3
"""What the map promises about the code: who includes whom, what symbols are called, what a header says.

usage: check.py BUILD_DIR [CHECK ...]       without names: all checks
Needs Python 3 and nm; exits 1 and names file and line when something is wrong, 77 when it could not look."""
import json, os, re, shutil, subprocess, sys
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SRC = os.path.join(ROOT, "src")

# Which folders a folder may include, itself aside (the map's table). src/main.c and cli/ may use all.
MAY_USE = {
    "api": "http engine chat template text metrics base",
    "chat": "template text base",
    "http": "metrics base",
    "convert": "model families kernels text base",
    "process": "base",
    "engine": "sampling text forward experts model metrics base",
    "sampling": "kernels base",
    "template": "base",
    "text": "base",
    "forward": "experts model families kernels metrics base",
    "experts": "model families kernels metrics base",
    "model": "families kernels base",
    "families": "base",
    "kernels": "base",
    "metrics": "base",
    "base": "",
}
FOLDERS = set(MAY_USE) | {"cli"}
# Libraries with one home: nobody else includes their headers.
LIBRARIES = {"jansson.h": {"base", "cli"}, "uv.h": {"http", "api", "cli"}, "microhttpd.h": {"http", "cli"},
             "pcre2.h": {"text"}, "histedit.h": {"cli"}, "seccomp.h": {"process"}, "cblas.h": {"kernels"}}
# libm chooses these by CPU; base/fmath.h has versions with the same bits everywhere.
OWN_MATH_ONLY = {"forward", "experts", "kernels", "sampling"}
LIBM = {name + kind for kind in ("", "f", "l") for name in (
    "exp exp2 exp10 expm1 log log2 log10 log1p pow sin cos sincos tan asin acos atan atan2 sinh cosh tanh asinh acosh "
    "atanh cbrt erf erfc tgamma lgamma hypot").split()}
THREAD_WORDS = re.compile(r"\b(thread|threads|worker|workers|const|constant|immutable)\b", re.I)
# Instruction sets whose headers compile only with their flags; the folder's name says which.
TIER_FLAGS = {"avx2": ["-mavx2", "-mfma", "-mf16c"], "avx512": ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq",
                                                               "-mavx512vnni", "-mfma", "-mf16c"]}
TEXT_FILES = re.compile(r"(\.(c|h|py|md|sh|toml|yml|yaml|cfg)|meson\.build|meson_options\.txt|/run)$")

problems = []


def wrong(path, line, text):
    problems.append("%s%s: %s" % (os.path.relpath(path, ROOT), ":%d" % line if line else "", text))


def files(top, pattern):
    for folder, subfolders, names in os.walk(top):
        subfolders[:] = sorted(s for s in subfolders if s not in (".git", ".cache", "__pycache__", "data", "seeds")
                               and not s.startswith("build") and not s.startswith(".venv"))
        for name in sorted(names):
            path = os.path.join(folder, name)
            if re.search(pattern, path) and not os.path.islink(path):
                yield path


def folder_of(path):
    """The folder of src/ that a source file belongs to ("" for main.c), or None for one outside."""
    inside = os.path.relpath(path, SRC)
    if inside.startswith(".."):
        return None
    return inside.split(os.sep)[0] if os.sep in inside else ""


def check_includes():
    """Layers: a folder includes only what the map lets it; other folders' internal.h never."""
    for path in files(SRC, r"\.[ch]$"):
        own = folder_of(path)
        allowed = FOLDERS if own in ("", "cli") else {own} | set(MAY_USE.get(own, "").split())
        if own and own not in FOLDERS:
            wrong(path, 0, "folder %s/ is not on the map (tests/style/check.py)" % own)
        for number, line in enumerate(open(path, encoding="utf-8"), 1):
            m = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
            if not m:
                continue
            kind, name = m.groups()
            if kind == "<":
                if name in LIBRARIES and own not in LIBRARIES[name]:
                    wrong(path, number, "<%s> is used in %s/ only" % (name, "/, ".join(sorted(LIBRARIES[name]))))
                continue
            target = name.split("/")[0]
            if "/" not in name or ".." in name or not os.path.exists(os.path.join(SRC, name)):
                wrong(path, number, 'write #include "folder/file.h", from src/: "%s"' % name)
            elif target not in allowed:
                wrong(path, number, "%s/ may not use %s/" % (own or "main.c", target))
            elif target != own and name.endswith("/internal.h"):
                wrong(path, number, "%s belongs to its folder" % name)


def objects(build):
    """(object file, source file) of everything built from src/."""
    with open(os.path.join(build, "compile_commands.json")) as f:
        for entry in json.load(f):
            source = os.path.normpath(os.path.join(entry["directory"], entry["file"]))
            target = os.path.join(entry["directory"], entry["output"])
            if source.startswith(SRC + os.sep) and os.path.exists(target):
                yield target, source


def symbols(build):
    """Per source file: (defined global names, names used from elsewhere)."""
    of_object = dict(objects(build))
    if not of_object:
        print("nothing is built in %s" % build)
        sys.exit(77)
    text = subprocess.run(["nm", "-A", "-P", "-g"] + sorted(of_object), check=True, capture_output=True, text=True).stdout
    table = {source: (set(), set()) for source in of_object.values()}
    for line in text.splitlines():
        target, name, kind = re.match(r"(.*?): (\S+) (\S)", line).groups()
        table[of_object[target]][0 if kind not in "Uwv" else 1].add(name.split("@")[0])
    return table


def check_symbols(build):
    """Every global name begins sl_; sl__ names stay inside their folder."""
    table = symbols(build)
    home = {}
    for source, (defined, _) in table.items():
        for name in defined:
            home[name] = folder_of(source)
            if not name.startswith("sl_") and name != "main":
                wrong(source, 0, "global name without sl_: %s" % name)
    for source, (_, used) in table.items():
        for name in used:
            if name.startswith("sl__") and home.get(name, folder_of(source)) != folder_of(source):
                wrong(source, 0, "%s belongs to %s/" % (name, home[name]))


def check_libm(build):
    """One answer on every CPU: no libm function whose bits depend on it (Promise 1)."""
    for source, (_, used) in symbols(build).items():
        for name in sorted(used & LIBM):
            if folder_of(source) in OWN_MATH_ONLY:
                wrong(source, 0, "calls libm's %s: use base/fmath.h" % name)


def check_headers():
    """Every header compiles alone, with both compilers; but for those that say what a file defines before them."""
    libraries = subprocess.run(["pkg-config", "--cflags", "jansson", "libuv", "libmicrohttpd", "libpcre2-8", "openblas"],
                               capture_output=True, text=True).stdout.split()
    jobs = []
    for path in files(SRC, r"\.h$"):
        text = " ".join(open(path, encoding="utf-8").read().split())
        if "Before it is included a file defines" in text:
            continue  # the files that do so compile it
        flags = [flag for tier, add in TIER_FLAGS.items() if "/%s/" % tier in path for flag in add]
        # What the vector tiers share is written in terms of a header of theirs, and says so.
        first = re.search(r"tier's (\w+\.h) comes first", text)
        for tier, add in TIER_FLAGS.items():
            of_tier = os.path.join(SRC, "kernels", tier, first.group(1)) if first else ""
            if first and not flags and os.path.exists(of_tier):
                flags = add + ["-include", of_tier]
        for compiler in ("clang", "gcc"):
            if shutil.which(compiler):
                jobs.append((path, [compiler, "-std=gnu11", "-D_GNU_SOURCE", "-fsyntax-only", "-Wall", "-Wextra", "-Werror",
                                    "-Wno-unused-function", "-I" + SRC, *libraries, *flags, "-x", "c", "-include", path,
                                    "/dev/null"]))
    if not jobs:
        print("no compiler, or no header")
        sys.exit(77)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda job: subprocess.run(job[1], capture_output=True, text=True), jobs)
        for (path, command), result in zip(jobs, results):
            if result.returncode:
                wrong(path, 0, "does not compile alone with %s:\n%s" % (command[0], result.stderr.strip()))


def check_threads():
    """A header's opening comment says what it is and which thread may use it."""
    for path in files(SRC, r"\.h$"):
        text = open(path, encoding="utf-8").read()
        m = re.match(r"/\*.*?\*/", text, re.S)
        if not m:
            wrong(path, 1, "a header begins with a comment: what it is, which thread, who owns it")
        elif not THREAD_WORDS.search(m.group()):
            wrong(path, 2, "the opening comment does not say which thread")


def check_text():
    """No tabs, no blanks at a line's end, a newline at the end of the file."""
    for path in files(ROOT, TEXT_FILES):
        try:
            text = open(path, encoding="utf-8").read()
        except UnicodeDecodeError:
            wrong(path, 0, "is not UTF-8")
            continue
        if text and not text.endswith("\n"):
            wrong(path, text.count("\n") + 1, "no newline at the end")
        for number, line in enumerate(text.split("\n"), 1):
            if "\t" in line and not path.endswith(".md"):
                wrong(path, number, "tab")
            if line != line.rstrip():
                wrong(path, number, "blanks at the end")


def check_promises():
    """Each of the map's promises is held by a test that says so."""
    text = "".join(open(path, encoding="utf-8").read() for path in files(os.path.join(ROOT, "tests"), r"\.(c|py)$"))
    for n in range(1, 7):
        if not re.search(r"(/\*|#|\*) *Promise %d\b" % n, text):
            print("warning: no test is tagged /* Promise %d */" % n)


CHECKS = {"includes": check_includes, "symbols": check_symbols, "libm": check_libm, "headers": check_headers,
          "threads": check_threads, "text": check_text, "promises": check_promises}


def main():
    if len(sys.argv) < 2 or any(name not in CHECKS for name in sys.argv[2:]):
        print(__doc__.strip(), "\nchecks:", *CHECKS)
        return 2
    for name in sys.argv[2:] or CHECKS:
        CHECKS[name](sys.argv[1]) if name in ("symbols", "libm") else CHECKS[name]()
    print("\n".join(problems) or "ok")
    return 1 if problems else 0


sys.exit(main())

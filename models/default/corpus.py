#!/usr/bin/env python3
"""Builds the default model's corpus from Debian packages, without installing them.

usage: corpus.py [--cache DIR] [--limit BYTES] [--only DOMAIN]

Downloads the packages of sources.py (apt-get download, dpkg-deb -x) and writes, below DIR (.cache/corpus),

    text/DOMAIN.train.txt, text/DOMAIN.val.txt    documents, each ended by a zero byte
    packages.tsv                                  package, version, domain, licence, documents and bytes taken

A domain's packages share the limit evenly: what a small one leaves goes to the larger ones. Which documents are taken and
which are held out is decided by a hash of their names, so that it depends on nothing but the packages. A paragraph that
was seen before is dropped. Needs apt and
dpkg-deb of a Debian 12; mandoc and bible-kjv are unpacked, not installed.
"""
import argparse
import hashlib
import os
import subprocess
import sys

import readers
import sources

LIMIT = 13_000_000  # bytes of a domain's training text
HELD_OUT = 40  # one document in so many is held out
MOST_HELD_OUT = 400_000  # bytes

STOPWORDS = {
    "en": set("the of and to in is that it was for with as his he be you not have this from are by but or at".split()),
    "de": set("der die und das ist nicht zu den mit ein eine von sie es auf für dem werden im kann wird sich ich er wir".split()),
    "fr": set("le la les des et un une est pour dans que vous pas sur de il ce du par avec nous ne en au qui sont".split()),
    "es": set("el los las un una es para que en por con se del no su lo al como más si esta puede y de".split()),
}


def digest(*names):
    return hashlib.sha256("\0".join(names).encode()).digest()


def fetch(cache):
    """Downloads and unpacks every package; returns {package: version}."""
    debs, unpacked = os.path.join(cache, "debs"), os.path.join(cache, "x")
    os.makedirs(debs, exist_ok=True)
    os.makedirs(unpacked, exist_ok=True)
    have = {name.split("_")[0] for name in os.listdir(debs) if name.endswith(".deb")}
    missing = [p for p in sources.packages() if p not in have]
    if missing:
        print("corpus: downloading", len(missing), "packages", file=sys.stderr)
        subprocess.run(["apt-get", "download", "-q"] + missing, cwd=debs, check=True, stdout=subprocess.DEVNULL)
    versions = {}
    for name in sorted(os.listdir(debs)):
        package = name.split("_")[0]
        if not name.endswith(".deb") or package not in sources.packages():
            continue
        path, folder = os.path.join(debs, name), os.path.join(unpacked, package)
        versions[package] = subprocess.run(["dpkg-deb", "-f", path, "Version"], check=True, stdout=subprocess.PIPE,
                                           text=True).stdout.strip()
        if not os.path.isdir(folder):
            subprocess.run(["dpkg-deb", "-x", path, folder + ".part"], check=True)
            os.rename(folder + ".part", folder)
    return versions


def in_language(paragraph, language):
    """Does a paragraph look like running text of the language, rather than a link, a label or another language?"""
    words = paragraph.lower().split()
    own = sum(w in STOPWORDS[language] for w in words)
    english = sum(w in STOPWORDS["en"] for w in words)
    return len(paragraph) >= 40 and own >= 1 and (language == "en" or own >= english)


class Cleaner:
    """Drops what was seen before, and in running text what is no sentence of the language."""

    def __init__(self, domain):
        self.language = {"prose": "en"}.get(domain, domain)
        self.running = self.language in STOPWORDS
        self.seen = set()

    def clean(self, text):
        kept = []
        for paragraph in text.split("\n\n"):
            if self.running and "\n" not in paragraph and not in_language(paragraph, self.language):
                continue
            if len(paragraph) >= 80:
                key = digest("".join(paragraph.split()))[:12]
                if key in self.seen:
                    continue
                self.seen.add(key)
            kept.append(paragraph.replace("\0", " "))
        text = "\n\n".join(kept).strip("\n")
        return text if len(text) >= 200 else ""


def shares(sizes, limit):
    """How many bytes each source may give: the smaller all they have, the larger an even part of the rest."""
    allowed, left = {}, limit
    for n, name in enumerate(sorted(sizes, key=lambda k: (sizes[k], k))):
        allowed[name] = min(sizes[name], left // (len(sizes) - n))
        left -= allowed[name]
    return allowed


def domain_texts(domain, unpacked):
    """{package: [(hash, text)]} of a domain, each list in the order of the hashes."""
    cleaner, texts = Cleaner(domain), {}
    for package, _, kind, arguments in sources.DOMAINS[domain]:
        found = []
        for name, text in readers.READERS[kind](os.path.join(unpacked, package), **arguments):
            text = cleaner.clean(text)
            if text:
                found.append((digest(domain, package, name), text))
        texts[package] = sorted(found)
        print("corpus: %-6s %-26s %5d documents" % (domain, package, len(found)), file=sys.stderr)
    return texts


def write_domain(domain, texts, limit, folder):
    """Writes a domain's two files; returns {package: (documents, bytes)} of what was taken."""
    allowed = shares({p: sum(len(t.encode()) for _, t in found) for p, found in texts.items()}, limit)
    train, held_out, taken = [], [], {}
    for package, found in texts.items():
        size = count = 0
        for key, text in found:
            if size >= allowed[package]:
                break
            size += len(text.encode())
            count += 1
            (held_out if key[0] * 256 + key[1] < 65536 // HELD_OUT else train).append((key[2:], text))
        taken[package] = (count, size)
    for which, documents, most in (("train", train, None), ("val", held_out, MOST_HELD_OUT)):
        size = 0
        path = os.path.join(folder, "%s.%s.txt" % (domain, which))
        with open(path + ".part", "w", encoding="utf-8") as f:
            for _, text in sorted(documents):
                if most is None or size < most:
                    f.write(text + "\0")
                    size += len(text.encode())
        os.replace(path + ".part", path)
        print("corpus: %s %s: %d documents, %d bytes" % (domain, which, len(documents), size), file=sys.stderr)
    return taken


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cache", default=".cache/corpus")
    parser.add_argument("--limit", type=int, default=LIMIT, help="bytes of text a domain (default %(default)s)")
    parser.add_argument("--only", metavar="DOMAIN", help="write this domain's files alone, and no packages.tsv")
    arguments = parser.parse_args()
    cache = os.path.abspath(arguments.cache)
    versions = fetch(cache)
    folder = os.path.join(cache, "text")
    os.makedirs(folder, exist_ok=True)
    lines = []
    for domain, rows in sources.DOMAINS.items():
        if arguments.only not in (None, domain):
            continue
        taken = write_domain(domain, domain_texts(domain, os.path.join(cache, "x")), arguments.limit, folder)
        lines += ["\t".join([p, versions[p], domain, licence, str(taken[p][0]), str(taken[p][1])]) for p, licence, _, _ in rows]
    if arguments.only:
        return
    with open(os.path.join(cache, "packages.tsv"), "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

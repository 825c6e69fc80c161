"""Readers of package files: each yields (name, plain text) for the documents that it finds below a folder.

A paragraph is one line; paragraphs are separated by an empty line. C code and manual pages keep their lines.
"""
import gzip
import html
import html.parser
import os
import re
import struct
import subprocess
import tarfile
import xml.etree.ElementTree as ElementTree
import zlib

BLOCKS = frozenset("p div h1 h2 h3 h4 h5 h6 li ul ol dl dt dd table tr td th section article blockquote br hr body "
                   "title caption pre figure header footer nav aside main".split())
DROPPED = frozenset("script style nav header footer aside pre head select button form svg".split())
VOID = frozenset("br hr img input link meta area base col embed source wbr".split())
PART = 24 << 10  # characters: longer documents are cut into parts of about that, so that part of a book can be held out


def files(root, match="", skip=None):
    """Paths of the regular files below root whose path contains match and not skip, sorted."""
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            if match in path and not (skip and skip in path) and os.path.isfile(path) and not os.path.islink(path):
                found.append(path)
    return sorted(found)


def read(path):
    with (gzip.open if path.endswith(".gz") else open)(path, "rb") as f:
        return f.read()


def parts(name, paragraphs):
    """Cuts a list of paragraphs into documents of about PART characters."""
    part, size, number = [], 0, 0
    for paragraph in paragraphs:
        part.append(paragraph)
        size += len(paragraph)
        if size >= PART:
            yield "%s#%d" % (name, number), "\n\n".join(part)
            part, size, number = [], 0, number + 1
    if part:
        yield "%s#%d" % (name, number), "\n\n".join(part)


def one_line(text):
    return " ".join(text.split())


class Paragraphs(html.parser.HTMLParser):
    """Collects the paragraphs of an HTML page; code, navigation and forms are left out."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.paragraphs, self.text, self.dropping = [], [], 0

    def end_paragraph(self):
        line = one_line("".join(self.text))
        if line:
            self.paragraphs.append(line)
        self.text = []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in VOID and (self.dropping or tag in DROPPED or "hidden" in attributes):
            self.dropping += 1
        if tag in BLOCKS:
            self.end_paragraph()

    def handle_startendtag(self, tag, attributes):
        if tag in BLOCKS:
            self.end_paragraph()

    def handle_endtag(self, tag):
        if tag in BLOCKS:
            self.end_paragraph()
        if self.dropping and tag not in VOID:
            self.dropping -= 1

    def handle_data(self, data):
        if not self.dropping:
            self.text.append(data)


# Tags that old pages open without closing would leave the count of dropped ones too high: only balanced ones are counted.
UNCLOSED = re.compile(r"</?(?:p|li|dt|dd|td|th|tr)\b[^>]*>", re.I)


def page(text):
    """The paragraphs of an HTML page."""
    parser = Paragraphs()
    parser.feed(UNCLOSED.sub(lambda m: "<br>", text))
    parser.close()
    parser.end_paragraph()
    return parser.paragraphs


def read_html(root, match="", skip=None):
    for path in files(root, match, skip):
        if path.endswith((".html", ".htm")):
            yield from parts(os.path.relpath(path, root), page(read(path).decode("utf-8", "replace")))


def read_mallard(root, match):
    """GNOME's help pages (Mallard XML)."""
    for path in files(root, match):
        if not path.endswith(".page"):
            continue
        try:
            tree = ElementTree.fromstring(read(path))
        except ElementTree.ParseError:
            continue
        paragraphs = []
        for element in tree.iter():
            if element.tag.rsplit("}", 1)[-1] in ("title", "p"):
                line = one_line("".join(element.itertext()))
                if line:
                    paragraphs.append(line)
        yield from parts(os.path.relpath(path, root), paragraphs)


def mo_pairs(data):
    """(original, translation) of a gettext .mo file, in the file's order; plural forms give their first."""
    magic, _, count, originals, translations = struct.unpack_from("<5I", data)
    if magic != 0x950412de:
        return
    for i in range(count):
        pair = []
        for table in (originals, translations):
            size, at = struct.unpack_from("<2I", data, table + 8 * i)
            pair.append(data[at:at + size].split(b"\0")[0].decode("utf-8", "replace").split("\4")[-1])
        yield pair


def read_mo(root, language):
    """Stories and dialogues of a game's campaign; English are the originals of the German translation."""
    for path in files(root, "/locale/%s/" % ("de" if language == "en" else language)):
        if not path.endswith(".mo"):
            continue
        lines = []
        for original, translation in mo_pairs(read(path)):
            line = one_line(re.sub(r"<[^>]*>", " ", original if language == "en" else translation))
            if original and len(line) >= 60 and "=" not in line and "$" not in line:
                lines.append(line)
        yield from parts(os.path.relpath(path, root).replace("/de/", "/"), lines)


def read_man(root):
    """Manual pages, set by mandoc as a terminal shows them."""
    tool = os.path.join(os.path.dirname(root), "mandoc", "usr", "bin", "mandoc")
    for path in files(root, "/man/man"):
        source = read(path)
        if len(source) < 400 or source.startswith(b".so "):
            continue
        shown = subprocess.run([tool, "-T", "utf8", "-O", "width=78"], input=source, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, check=False).stdout.decode("utf-8", "replace")
        text = re.sub(r".\x08", "", shown)
        text = re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in text.splitlines()))
        yield os.path.relpath(path, root), text.strip()


def read_kernel(root, folders):
    """C files of the kernel's tree; a leading comment that is a licence is left out."""
    archive, = files(root, "linux-source")[-1:]
    with tarfile.open(archive, "r|xz") as tar:
        for member in tar:
            name = member.name.split("/", 1)[-1]
            if not (member.isfile() and name.startswith(folders) and name.endswith((".c", ".h"))):
                continue
            if not 1500 <= member.size <= 80000:
                continue
            text = tar.extractfile(member).read().decode("utf-8", "replace")
            comment = re.match(r"\s*/\*.*?\*/\s*", text, re.S)
            if comment and re.search(r"licen[sc]e|warranty", comment[0], re.I) and "SPDX" not in comment[0]:
                text = text[comment.end():]
            # Tables of numbers teach nothing and cost much.
            if sum(c.isdigit() for c in text) < 0.15 * len(text):
                yield name, text.strip()


def read_king_james(root):
    """The King James Bible, shown by the program of bible-kjv."""
    data = os.path.join(root, "usr", "lib")
    tool = os.path.join(os.path.dirname(root), "bible-kjv", "usr", "bin", "bible")
    shown = subprocess.run([tool, "-p", data, "-f", "gen1:1-rev22:21"], stdout=subprocess.PIPE, check=True).stdout.decode("latin-1")
    chapters = {}
    for line in shown.splitlines():
        verse = re.match(r"(\w+?)(\d+):(\d+)\s+(.*)", line)
        if verse:
            chapters.setdefault((verse[1], int(verse[2])), []).append(re.sub(r"\s*<[^>]*>|[\[\]{}]", "", verse[4]))
    for (book, chapter), verses in chapters.items():
        yield "%s%d" % (book, chapter), "\n".join(one_line(v) for v in verses)


def read_sword(root):
    """A Bible of the SWORD project: zlib blocks, listed with offset and sizes in .bzs (12 bytes each)."""
    for index in files(root, ".bzs"):
        blocks = read(index[:-1] + "z")
        sizes = read(index)
        for i in range(len(sizes) // 12):
            at, size, _ = struct.unpack_from("<3I", sizes, 12 * i)
            text = zlib.decompress(blocks[at:at + size]).decode("utf-8", "replace")
            text = re.sub(r"<note.*?</note>|<title.*?</title>", "", text, flags=re.S)
            text = html.unescape(re.sub(r"<[^>]+>", " ", text)).replace("\0", " ")
            # Tags within a verse leave a space before its commas.
            verses = [re.sub(r" +([,.;:?!])", r"\1", one_line(v)) for v in text.splitlines()]
            yield from parts("%s/%d" % (os.path.basename(index), i), [v for v in verses if v])


def r_strings(blob):
    """The character vectors in R's serialisation (XDR): type 16, a count, then items of type 9 with length and bytes."""
    at = 0
    while True:
        at = blob.find(b"\x00\x10", at)
        if at < 2 or at + 6 > len(blob):
            if at < 0 or at + 6 > len(blob):
                return
            at += 1
            continue
        flags_at = at - 2 if blob[at - 2:at + 2][-1:] == b"\x10" else at
        count, = struct.unpack_from(">I", blob, flags_at + 4)
        p, out = flags_at + 8, []
        while len(out) < count and p + 8 <= len(blob) and blob[p + 3] == 9:
            size, = struct.unpack_from(">i", blob, p + 4)
            size = max(size, 0)
            out.append(blob[p + 8:p + 8 + size].decode("utf-8", "replace"))
            p += 8 + size
        if len(out) == count and count > 1000:
            yield out
            at = p
        else:
            at += 1


def read_austen(root):
    """Jane Austen's novels: each a vector of lines in a lazy-load data base (length, then zlib, one after the other)."""
    path, = files(root, "data/Rdata.rdb")
    data, at, number = read(path), 0, 0
    while at + 4 < len(data):
        unpacker = zlib.decompressobj()
        blob = unpacker.decompress(data[at + 4:])
        at = len(data) - len(unpacker.unused_data)
        for lines in r_strings(blob):
            paragraphs = [one_line(p) for p in "\n".join(lines).split("\n\n")]
            yield from parts("novel%d" % number, [p for p in paragraphs if p])
            number += 1


READERS = {"html": read_html, "mallard": read_mallard, "mo": read_mo, "man": read_man, "kernel": read_kernel,
           "king_james": read_king_james, "sword": read_sword, "austen": read_austen}

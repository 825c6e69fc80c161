"""Where the default model's text comes from: Debian packages (bookworm) by domain, each with its licence.

A row: package, licence of the text that is taken from it, how its text is read (a function of readers.py), and that
function's arguments. The program files that are only run while reading (TOOLS) leave nothing in the text.
"""

TOOLS = ["mandoc", "bible-kjv"]

WESNOTH = ["did", "dm", "dw", "ei", "httt", "l", "low", "nr", "sof", "sota", "sotbe", "thot", "trow", "tsg", "ttb", "utbs"]

KERNEL = ("kernel/", "mm/", "lib/", "fs/", "block/", "ipc/", "init/", "crypto/", "security/", "net/core/", "net/ipv4/",
          "net/ipv6/", "net/sched/", "drivers/base/", "drivers/block/", "drivers/char/", "drivers/tty/", "drivers/input/",
          "sound/core/", "arch/x86/kernel/", "arch/arm64/kernel/", "tools/perf/util/")

GPL, PUBLIC = "GPL-2.0-or-later", "public domain"
HANDBOOK = "CC-BY-SA-3.0 or GPL-2.0-or-later"
OFFICE = "MPL-2.0 (the help's text; the packages' copyright file lists the rest of LibreOffice)"
LILYPOND = "GFDL-1.3-or-later"
CAMPAIGN = "GPL-2.0-or-later (texts and their translations)"


def stories(language):
    return [("wesnoth-1.16-" + name, CAMPAIGN, "mo", {"language": language}) for name in WESNOTH]


def language_sources(code, region):
    """The packages that have text in one of the languages other than English."""
    rows = [
        ("debian-handbook", HANDBOOK, "html", {"match": "/html/%s/" % region}),
        ("debian-reference-" + code, GPL, "html", {"match": "/ch"}),
        ("gnome-user-docs", "CC-BY-SA-3.0", "mallard", {"match": "/help/%s/" % code}),
        ("installation-guide-amd64", "GPL-2.0", "html", {"match": "/installation-guide-amd64/%s/" % code}),
        ("libreoffice-help-" + code, OFFICE, "html", {"match": "/help/%s/text/" % code}),
        ("lilypond-doc-html-" + code, LILYPOND, "html", {"match": ".%s.html" % code, "skip": "big-page"}),
        ("debian-edu-doc-" + code, GPL, "html", {"match": "bookworm-manual.html"}),
    ]
    if code in ("de", "fr"):
        rows.append(("developers-reference-" + code, "GPL-2.0", "html", {"match": ".html"}))
    if code in ("fr", "es"):
        rows.append(("aptitude-doc-" + code, GPL, "html", {"match": ".html"}))
    if code == "es":
        rows.append(("sword-text-sparv", PUBLIC, "sword", {}))
    return rows + stories(code)


DOMAINS = {
    "prose": [
        ("bible-kjv-text", PUBLIC, "king_james", {}),
        ("sword-text-web", PUBLIC, "sword", {}),
        ("r-cran-janeaustenr", PUBLIC + " (Jane Austen's novels)", "austen", {}),
        ("anarchism", "GPL-2.0-or-later or GFDL-1.1-or-later", "html", {"match": "/html/"}),
    ] + [("wesnoth-1.16-" + name, CAMPAIGN, "mo", {"language": "en"}) for name in WESNOTH],
    "c": [
        ("linux-source-6.1", "GPL-2.0-only", "kernel", {"folders": KERNEL}),
    ],
    "man": [
        ("manpages", "several free ones, a note in each page", "man", {}),
        ("manpages-dev", "several free ones, a note in each page", "man", {}),
        ("freebsd-manpages", "BSD-2-Clause, BSD-4-Clause", "man", {}),
        ("git-man", "GPL-2.0-only", "man", {}),
        ("libssl-doc", "Apache-2.0", "man", {}),
    ],
    "de": language_sources("de", "de-DE"),
    "fr": language_sources("fr", "fr-FR"),
    "es": language_sources("es", "es-ES"),
}


def packages():
    """Every package, once, in order."""
    seen = dict.fromkeys(TOOLS)
    for rows in DOMAINS.values():
        seen.update(dict.fromkeys(row[0] for row in rows))
    return list(seen)

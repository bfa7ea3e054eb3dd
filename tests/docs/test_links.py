"""Links between documents lead somewhere."""

from __future__ import annotations

import re

LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def anchors(text):
    """The anchors that headings get: lower case, blanks to dashes, the rest of the punctuation dropped."""
    titles = re.findall(r"^#{1,6}\s+(.+?)\s*$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def linked(document):
    """The files of the project that a document links to."""
    targets = (target.partition("#")[0] for target in LINK.findall(FENCE.sub("", document.read_text("utf-8"))))
    return {
        (document.parent / path).resolve() for path in targets if path and not re.match(r"[a-z][a-z0-9+.-]*:", path)
    }


def broken_links(document):
    text = document.read_text("utf-8")
    found = []
    for target in LINK.findall(FENCE.sub("", text)):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue  # another site, or mail
        path, _, anchor = target.partition("#")
        to = (document.parent / path) if path else document
        if not to.exists() or anchor and to.suffix == ".md" and anchor not in anchors(to.read_text("utf-8")):
            found.append(target)
    return found


def test_links_lead_somewhere(documents):
    assert "README.md" in documents
    assert {name: broken_links(path) for name, path in documents.items() if broken_links(path)} == {}


def test_every_document_can_be_reached_from_the_entrance(documents, root):
    entrances = [
        root / "docs" / "README.md",
        root / "benchmarks" / "README.md",
        root / "docs" / "decisions" / "README.md",
    ]
    reached = {path for entrance in entrances for path in linked(entrance)} | {*entrances}
    own = {name: path for name, path in documents.items() if name.startswith(("docs/", "benchmarks/"))}
    lonely = [name for name, path in own.items() if path.resolve() not in reached and path.name != "template.md"]
    assert lonely == []


def test_the_first_page_is_short(documents):
    text = documents["README.md"].read_text("utf-8")
    written = re.sub(r"^<!-- (\w+) -->\n.*?^<!-- /\1 -->\n", "", text, flags=re.MULTILINE | re.DOTALL)  # not generated
    assert len(written.splitlines()) <= 150


def test_a_broken_link_is_found(tmp_path):
    (tmp_path / "there.md").write_text("# One title, two `words`\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md) [b](gone.md) [c](there.md#one-title-two-words) [d](there.md#two) [e](#here) ![f](no.png)\n"
        "[g](https://example.org/x)\n```\n[h](in_code.md)\n```\n## Here\n"
    )
    assert broken_links(page) == ["gone.md", "there.md#two", "no.png"]

"""Reads a page as a reader does: what stands where, without any of the code that wrote it."""

import csv
import io
import json
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "br"}


@dataclass
class Element:
    """An element: its tag, its own attributes, those it inherits (``data-*``, ``section``)."""

    tag: str
    own: dict
    known: dict
    children: list = field(default_factory=list)
    pieces: list = field(default_factory=list)

    @cached_property
    def text(self):
        """All text in it, that of its children included; to be asked for once all is read."""
        return "".join(self.pieces)


class Page(HTMLParser):
    """All elements of a page in order, each with what its ancestors say about it."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.stack = [], []
        self.feed(html)
        files = next(e for e in self.elements if e.own.get("id") == "files")
        self.files = json.loads(files.text)

    def handle_starttag(self, tag, attrs):
        own = dict(attrs)
        known = dict(self.stack[-1].known) if self.stack else {}
        known |= {key: value for key, value in own.items() if key.startswith("data-")}
        if tag == "section":
            known["section"] = own["id"]
        element = Element(tag, own, known)
        self.elements.append(element)
        if self.stack:
            self.stack[-1].children.append(element)
        if tag not in VOID:
            self.stack.append(element)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.stack.pop()

    def handle_endtag(self, tag):
        assert self.stack[-1].tag == tag, f"<{self.stack[-1].tag}> closed by </{tag}>"
        self.stack.pop()

    def handle_data(self, data):
        for element in self.stack:
            element.pieces.append(data)

    def find(self, section=None, tag=None, **attributes):
        """Return the elements of a section and tag whose attributes are as given."""
        wanted = {key.replace("_", "-"): value for key, value in attributes.items()}
        return [
            element
            for element in self.elements
            if (section is None or element.known.get("section") == section)
            and (tag is None or element.tag == tag)
            and all(element.known.get(key) == value for key, value in wanted.items())
        ]

    def table(self, name):
        """Return a file's rows as dicts."""
        return list(csv.DictReader(io.StringIO(self.files[name])))

"""Text from result files, made harmless for each surface that shows it.

A result file may come from a stranger's pull request.  Whatever it holds is data: a surface shows
it as text, never as markup, a formula, a terminal's command or a path.  HTML is escaped by the
page's templates, which pass everything through ``visible`` first (``html`` does both).
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup, escape

from manualbp.cases import describe_workload

NAMES_TO_CODE = ("benchmark", "commit", "bench", "reason")
"""Columns that Markdown shows as ``code`` always, so that ``in_markdown`` leaves them alone."""

# Controls (escape sequences begin with one), what reorders or hides the text around it, line ends
# of every kind, halves of a surrogate pair, and what XML forbids.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\U000e0000-\U000e007f]"
)
_UNSEEN_BUT_LINES = re.compile(f"(?!\n){_UNSEEN.pattern}")

# Letters, digits and punctuation that no Markdown gives a meaning to, from a letter or digit on.
_PLAIN = re.compile(r"[^\W_](?:[\w ,.:()+=/%×→·–-]|@(?= ))*")
# What GitHub reads nevertheless: an address, a list, emphasis, an emoji, an issue.
_READ_NEVERTHELESS = re.compile(
    r"://|www\.|^\d+[.)] |(?<![^\W_])_|_(?![^\W_])|:[a-z]|gh-\d", re.IGNORECASE
)

_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "'")  # noqa: RUF001
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)

_LONGEST_NAME = 64
"""Bytes of a file's name that one value may take: a name has several, and 255 bytes in all."""


def visible(text: str, *, lines: bool = False) -> str:
    r"""Return text without characters that act or hide: each becomes its escape, ``\x1b``.

    With ``lines`` the ends of lines (``\n``) stay.
    """
    pattern = _UNSEEN_BUT_LINES if lines else _UNSEEN
    return pattern.sub(lambda found: _escape(found[0]), text)


def described(workload: str) -> str:
    """Return a workload's name, and what it is where it is one of ours: ``exercise: …``."""
    known = describe_workload(workload)
    return f"{workload}: {known}" if known else workload


def html(text: str) -> Markup:
    """Return text for an HTML or SVG element or a quoted attribute."""
    return escape(visible(text))


def code(text: str) -> str:
    r"""Return text as a Markdown code span, in which GitHub finds no markup, link or mention.

    A bar becomes ``\x7c``, for it ends a table's cell in a code span as well.
    """
    text = visible(text).replace("|", r"\x7c") or " "
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    room = " " if text[0] in "` " or text[-1] in "` " else ""
    return f"{fence}{room}{text}{room}{fence}"


def markdown(text: str) -> str:
    """Return text for Markdown: as it is where that has no meaning there, else as code."""
    return text if is_plain(text) else code(text)


def markdown_summary(text: str) -> str:
    """Return text for a line of HTML in Markdown, where a code span would not be read."""
    return text if is_plain(text) else f"<code>{html(text)}</code>"


def markdown_table(rows: Sequence[Sequence[Any]], heads: Sequence[str]) -> str:
    """Return rows as a Markdown table; what stands in them is Markdown already."""
    # All is text: tabulate would take "1" and "0.50" for numbers and align anew.
    table = pd.DataFrame([list(map(str, row)) for row in rows], columns=list(heads))
    return str(table.to_markdown(index=False, disable_numparse=True))


def is_plain(text: str) -> bool:
    """Tell whether text means nothing but itself in Markdown and in HTML."""
    return bool(_PLAIN.fullmatch(text)) and not _READ_NEVERTHELESS.search(text)


def cell(value: Any) -> Any:
    """Return a value for a spreadsheet: text that it would run as a formula gets an apostrophe.

    The apostrophe also goes before text that begins with one, so that every first apostrophe is
    ours.  Numbers stay numbers, in text as well.
    """
    if not isinstance(value, str):
        return value
    value = visible(value)
    is_formula = value.lstrip().startswith(_FORMULA) and not _NUMBER.fullmatch(value)
    return f"'{value}" if is_formula else value


def file_name(text: str) -> str:
    """Return text as part of a file's name: it holds no separator and begins with no dot.

    Colons are dropped, for Windows forbids them (``CPU:0`` is ``CPU0``).  Text that loses more is
    told from other text by a hash at the end.
    """
    wanted = text.replace(":", "")
    kept = re.sub(r"[^\w.-]", "", wanted).lstrip(".")
    kept = kept.encode("utf-8")[:_LONGEST_NAME].decode("utf-8", "ignore")
    if kept == wanted:
        return kept
    digest = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:8]
    return f"{kept}-{digest}" if kept else digest


def presentable(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose texts are all ``visible``."""
    return _mapped(frame, visible)


def in_markdown(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose texts are Markdown, but for those that are shown as code.

    Names of this suite mean nothing to Markdown and stay as they are.
    """
    return _mapped(frame, markdown, without=NAMES_TO_CODE)


def in_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose texts a spreadsheet takes for text."""
    return _mapped(frame, cell)


def _mapped(
    frame: pd.DataFrame, change: Callable[[str], str], without: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Return a table with every text changed; the same where nothing has to be."""
    changed = {}
    for column in frame.columns:
        if column in without or not (
            pd.api.types.is_object_dtype(frame[column])
            or pd.api.types.is_string_dtype(frame[column])
        ):
            continue
        # A column has few different texts in many rows; samples are tuples of numbers.
        texts = {value for value in frame[column] if isinstance(value, str)}
        new = {text: other for text in texts if (other := change(text)) != text}
        if new:
            changed[column] = [
                new.get(value, value) if isinstance(value, str) else value
                for value in frame[column]
            ]
    return frame.assign(**changed)


def _escape(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"

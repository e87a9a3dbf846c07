"""Text of millions of lines as arrays: where lines and words begin, and the numbers on the lines of one kind."""

from __future__ import annotations

import codecs
import re
import warnings
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .limits import Refused

#: Lines of any real exporter are far shorter; longer ones are a polygon of millions of corners or no text.
MAX_LINE = 1_000_000
_SHOWN = 80
#: Line ends behind the last line, so that a look at a word's first letters never leaves the text.
_PAD = 16
_SPACE = np.zeros(256, dtype=bool)
_SPACE[list(b" \t\n\v\f\r\0")] = True


def plain_text(data: bytes) -> bytes:
    """Bring text to UTF-8 without a byte order mark, with lines that end with LF.

    Exporters write their byte order mark (Windows), UTF-16, names and comments in the code page of their country, or
    CR alone (Macintosh). A code page is not stated in the file; the Western one (Windows-1252) is assumed, which
    spoils at most names.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        data = data.decode("utf-16", "replace").encode()
    else:
        data = data.removeprefix(codecs.BOM_UTF8)
        if not data.isascii():
            try:
                data.decode()
            except UnicodeDecodeError:
                data = data.decode("cp1252", "replace").encode()
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data


def without_comments(data: bytes) -> bytes:
    """Text without what follows `#` on any of its lines."""
    return re.sub(rb"#[^\n]*", b"", data) if b"#" in data else data


def shown(text: bytes) -> str:
    """A piece of a file as people may see it."""
    return repr(text[:_SHOWN].decode("utf-8", "replace"))


class Numbers(NamedTuple):
    """The numbers on some lines."""

    #: (N,) of all lines, one after the other.
    values: npt.NDArray[np.float64]
    #: (L,) how many each line has.
    counts: npt.NDArray[np.int64]
    #: (L,) where those of each line begin.
    starts: npt.NDArray[np.int64]

    def columns(self, first: int, last: int) -> npt.NDArray[np.float64]:
        """(L, last - first) of the lines; all have to be that long."""
        width = int(self.counts[0]) if len(self.counts) else last
        if (self.counts == width).all():
            return self.values.reshape(-1, width)[:, first:last]
        found: npt.NDArray[np.float64] = self.values[self.starts[:, None] + np.arange(first, last)]
        return found


class TextLines:
    """The lines of a text that `plain_text` made.

    Raises:
        Refused: a line without end.
    """

    def __init__(self, data: bytes) -> None:
        self.letters = np.frombuffer(data + b"\n" * _PAD, dtype=np.uint8)
        ends = np.flatnonzero(self.letters == ord("\n"))[: -_PAD if data.endswith(b"\n") else 1 - _PAD]
        #: (L,) first letter and line end of each.
        self.begins = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
        self.ends = ends
        lengths = self.ends - self.begins
        if len(lengths) and lengths.max() > MAX_LINE:
            raise Refused(f"line {int(lengths.argmax()) + 1} has more than {MAX_LINE:,} characters")
        space = _SPACE[self.letters]
        begins_word = ~space
        begins_word[1:] &= space[:-1]
        words = np.flatnonzero(begins_word)
        index = np.searchsorted(words, self.begins)
        #: (L,) how many words each has.
        self.words = np.diff(index, append=len(words))
        #: (L,) where the first word of each begins; its end for one without.
        self.first = np.where(self.words > 0, words[np.minimum(index, len(words) - 1)] if len(words) else 0, self.ends)

    def letter(self, place: int) -> npt.NDArray[np.uint8]:
        """(L,) a letter of each line's first word, small; meaningless past the end of a line."""
        found: npt.NDArray[np.uint8] = self.letters[self.first + place] | 0x20
        return found

    def begin_with(self, word: bytes) -> npt.NDArray[np.bool_]:
        """(L,) which lines have this (small) as their first word, in any case."""
        found: npt.NDArray[np.bool_] = _SPACE[self.letters[self.first + len(word)]]
        for place, letter in enumerate(word):
            found &= self.letter(place) == letter
        return found

    def text(self, line: int) -> bytes:
        """A line without outer space."""
        return bytes(self.letters[self.first[line] : self.ends[line]]).strip()

    def joined(self, which: npt.NDArray[np.bool_], skipped: int) -> bytes:
        """The text of some lines, their first `skipped` letters made spaces."""
        lengths = self.ends - self.begins + 1
        mask = np.repeat(which, lengths)
        letters = self.letters[: len(mask)].copy()
        first = self.first[which]
        for place in range(skipped):
            letters[first + place] = ord(" ")
        return bytes(letters[mask].tobytes())

    def numbers(self, which: npt.NDArray[np.bool_], skipped: int = 0) -> Numbers:
        """The numbers on some lines, behind a first word of `skipped` letters.

        Raises:
            Refused: something there is no number.
        """
        counts = self.words[which] - (1 if skipped else 0)
        starts = np.cumsum(counts) - counts
        text = self.joined(which, skipped)
        values = parsed(text, np.float64)
        if len(values) != int(counts.sum()):
            raise self._no_number(which, skipped)
        return Numbers(values, counts, starts)

    def _no_number(self, which: npt.NDArray[np.bool_], skipped: int) -> Refused:
        for line in np.flatnonzero(which).tolist():
            for word in self.text(line)[skipped:].split():
                if len(parsed(word, np.float64)) != 1:
                    comma = "; write numbers with a point" if b"," in word else ""
                    return Refused(f"line {line + 1}: {shown(word)} is no number{comma}")
        return Refused("it has something that is no number")


def parsed(text: bytes, dtype: Any) -> npt.NDArray[Any]:
    """The numbers in a text up to the first word that is none."""
    with warnings.catch_warnings():
        # numpy's way to say that it stopped early.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            found: npt.NDArray[Any] = np.fromstring(text.decode("latin-1"), dtype=dtype, sep=" ")
        except ValueError:
            return np.empty(0, dtype=dtype)
    return found

"""On which line of a TOML document each of its parts stands; parsers of TOML do not tell.

Source: TOML 1.0.0, https://toml.io/en/v1.0.0
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right

Path = tuple[str | int, ...]

_SPACE = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'')
_LONG = re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}', re.DOTALL)
_SCALAR = re.compile(r"[^,\]}\n#]+")


class TomlLines:
    """The lines of a document that ``tomllib`` has read without an error."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._lines: dict[Path, int] = {}
        # Path of an array of tables -> how many there are so far.
        self._tables: dict[Path, int] = {}
        self._read()

    def of(self, path: Path) -> int:
        """Return the line, from 1, of the part at ``path``, or of what it is missing from."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def _read(self) -> None:
        table: Path = ()
        while self._skip():
            line = self._line()
            if self._take("[["):
                table = self._within(self._key())
                index = self._tables.get(table, 0)
                self._tables[table] = index + 1
                table = (*table, index)
                self._note(table, line)
                self._expect("]]")
            elif self._take("["):
                table = self._within(self._key())
                self._note(table, line)
                self._expect("]")
            else:
                self._pair(table)

    def _within(self, key: Path) -> Path:
        """Return the path of a table's header, which means the last table of each array."""
        path: Path = ()
        for number, part in enumerate(key, 1):
            path = (*path, part)
            if path in self._tables and number < len(key):
                path = (*path, self._tables[path] - 1)
        return path

    def _pair(self, table: Path) -> None:
        line = self._line()
        path = (*table, *self._key())
        self._note(path, line)
        self._expect("=")
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip()
        if self._take("["):
            index = 0
            while self._skip() and not self._take("]"):
                item = (*path, index)
                self._note(item, self._line())
                self._value(item)
                self._skip()
                self._take(",")
                index += 1
        elif self._take("{"):
            while self._skip() and not self._take("}"):
                self._pair(path)
                self._skip()
                self._take(",")
        else:
            for kind in (_LONG, _QUOTED, _SCALAR):
                if match := kind.match(self._text, self._at):
                    self._at = match.end()
                    return

    def _key(self) -> Path:
        parts: list[str] = []
        while True:
            self._skip()
            if match := _BARE_KEY.match(self._text, self._at):
                parts.append(match[0])
            elif match := _QUOTED.match(self._text, self._at):
                parts.append(tomllib.loads(f"key = {match[0]}")["key"])
            else:
                return tuple(parts)
            self._at = match.end()
            self._skip()
            if not self._take("."):
                return tuple(parts)

    def _note(self, path: Path, line: int) -> None:
        for length in range(1, len(path) + 1):
            self._lines.setdefault(path[:length], line)

    def _line(self) -> int:
        return bisect_right(self._starts, self._at)

    def _skip(self) -> bool:
        """Go over blanks and comments; False at the end of the document."""
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._at < len(self._text)

    def _take(self, mark: str) -> bool:
        if not self._text.startswith(mark, self._at):
            return False
        self._at += len(mark)
        return True

    def _expect(self, mark: str) -> None:
        self._skip()
        if not self._take(mark):
            raise ValueError(f"line {self._line()}: no {mark}")

"""Text out of tokens that come one by one: whole characters, never a part of a text that ends it."""

from collections.abc import Callable, Sequence

UNFINISHED = "\ufffd"  # what a decoder shows of bytes that are no whole character


class TextStream:
    """The text behind a prompt, as far as it is certain.

    >>> stream = TextStream(lambda ids: "".join(map(chr, ids)), [97], ("xy",))
    >>> stream.push(98), stream.push(120), stream.push(121), stream.stopped, stream.text
    ('b', '', '', True, 'b')
    """

    def __init__(self, decode: Callable[[list[int]], str], prompt: Sequence[int], stops: Sequence[str] = ()):
        self._decode, self._ids, self._stops = decode, list(prompt), [stop for stop in stops if stop]
        self._before, self._given = len(decode(self._ids)), 0
        self.text, self.stopped = "", False

    def push(self, token: int) -> str:
        """Add a token; what is certain since the last one. ``stopped`` says whether a text that ends it was reached."""
        self._ids.append(token)
        whole = self._decode(self._ids)[self._before :]
        found = [at for stop in self._stops if (at := whole.find(stop)) >= 0]
        if found:
            self.text, self.stopped = whole[: min(found)], True
            return self.close()
        self.text = whole
        certain = whole.rstrip(UNFINISHED)
        return self._give(len(certain) - max((_overlap(certain, stop) for stop in self._stops), default=0))

    def close(self) -> str:
        """What is left of the text, once no token follows."""
        return self._give(len(self.text))

    def _give(self, stop: int) -> str:
        start, self._given = self._given, max(self._given, stop)
        return self.text[start : self._given]


def _overlap(text: str, stop: str) -> int:
    """Characters at the end of ``text`` that ``stop`` may begin with."""
    return next((n for n in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:n])), 0)

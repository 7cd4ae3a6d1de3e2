"""pydivsufsort's suffix and LCP arrays for bench/substrings.py: JSON in, JSON out. Runs in .bench/substrings.

The input file holds every token behind a byte 1 and every document's end as the bytes 1 and 2, by doc_id.
Only the two arrays are timed. From them follows for every place the longest match with an earlier one, and from that
which runs of ``min_tokens`` tokens repeat an earlier one.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from pydivsufsort import divsufsort, kasai, longest_previous_factor


def peak_mb() -> float:
    """Peak memory of this process; getrusage would start from that of the process that started it."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) * 1024 / 1e6


def covered(text: np.ndarray, min_tokens: int) -> list[list[int]]:
    """[document, first token, tokens] of the repeats, from the longest previous factors."""
    longest = np.asarray(longest_previous_factor(text))
    marks = np.flatnonzero(text == 1)
    is_end = text[marks + 1] == 2
    first, last = marks[:-min_tokens], marks[min_tokens:]
    ends = np.cumsum(is_end)
    whole = ends[:-min_tokens] == np.concatenate([[0], ends])[min_tokens:-1]
    whole &= ~is_end[:-min_tokens]  # else 49 tokens behind the end of a document would be a run of 50
    repeats = np.flatnonzero(whole & (longest[first] >= last - first + 1))
    change = np.zeros(len(marks) + 1, np.int64)
    np.add.at(change, repeats, 1)
    np.add.at(change, repeats + min_tokens, -1)
    inside = np.concatenate([[False], (np.cumsum(change) > 0)[:-1] & ~is_end, [False]])
    starts, stops = np.flatnonzero(inside[1:] & ~inside[:-1]), np.flatnonzero(inside[:-1] & ~inside[1:])
    document = np.concatenate([[0], ends])[starts]
    begins = np.concatenate([[0], np.flatnonzero(is_end) + 1])[document]
    return np.column_stack([document, starts - begins, stops - starts]).tolist()


def main() -> None:
    request = json.load(sys.stdin)
    before = peak_mb()
    text = np.fromfile(request["text"], np.uint8)
    begin = time.process_time()
    kasai(text, divsufsort(text))
    seconds = time.process_time() - begin
    answer = {"version": version("pydivsufsort"), "cpu_seconds": seconds, "rss_mb": peak_mb() - before}
    answer["covered"] = covered(text, request["min_tokens"])
    print(json.dumps(answer))


if __name__ == "__main__":
    main()

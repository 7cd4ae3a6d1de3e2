"""Names in text by Hyperscan for bench/linking.py: JSON in, JSON out. Runs in .bench/linking.

All names are literals of one block database. Matches go to a list through a Python callback; a second pass in numpy
keeps whole words, leftmost, the longest first. The scan is timed with a callback that does nothing as well.
"""

import json
import sys
import time

import hyperscan
import numpy as np
import pyarrow.parquet as pq


def main() -> None:
    request = json.load(sys.stdin)
    names = [name.encode() for name in pq.read_table(request["names"])["name"].to_pylist()]
    text = "\n".join(pq.read_table(request["texts"])["text"].to_pylist()).encode()
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(expressions=names, ids=list(range(len(names))), elements=len(names), flags=0, literal=True)
    widths = np.array([len(name) for name in names])
    found: list[tuple[int, int]] = []
    scan = both = float("inf")
    n = 0
    for _ in range(request["repeats"]):
        begin = time.process_time()
        database.scan(text, match_event_handler=lambda *_: None)
        scan = min(scan, time.process_time() - begin)
        found.clear()
        begin = time.process_time()
        database.scan(text, match_event_handler=lambda *match: found.append((match[0], match[2])))
        n = len(whole_words(text, np.array(found, np.int64).reshape(-1, 2), widths))
        both = min(both, time.process_time() - begin)
    print(json.dumps({"version": hyperscan.__version__, "scan": scan, "both": both, "matches": n}))


def whole_words(text: bytes, found: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """(start, end) of matches that no letter or digit continues, the longest of those that overlap, leftmost first."""
    data = np.frombuffer(text + b"\n\n", np.uint8)
    letter = ((data | 32) >= 97) & ((data | 32) <= 122) | (data >= 48) & (data <= 57) | (data >= 128)
    end, start = found[:, 1], found[:, 1] - widths[found[:, 0]]
    whole = ~letter[end] & ~(letter[np.maximum(start - 1, 0)] & (start > 0))
    start, end = start[whole], end[whole]
    order = np.lexsort((-end, start))
    kept, floor = [], 0
    for at in order.tolist():
        if start[at] >= floor:
            kept.append(at)
            floor = end[at]
    return np.stack([start[kept], end[kept]], axis=1)


if __name__ == "__main__":
    main()

"""Rows by number through litdata, mosaicml-streaming and grain: CPU seconds, and the sum of one token of every row.

JSON on standard input: peer, whole (a flat file of uint16), rows, row_tokens, at (row numbers), batch_rows, probe,
scratch. What a peer needs in a format of its own is written first, outside the clock. Nothing of gristmill is imported.
"""

import json
import sys
import time
from importlib import metadata
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import numpy as np


def litdata(rows, request):
    from litdata import StreamingDataset
    from litdata.streaming.writer import BinaryWriter

    folder = Path(request["scratch"]) / "litdata"
    if not folder.exists():
        folder.mkdir()
        writer = BinaryWriter(str(folder), chunk_bytes=64 << 20)
        for number, row in enumerate(rows):
            writer[number] = {"tokens": np.array(row)}
        writer.done()
        writer.merge()
    data = StreamingDataset(str(folder), shuffle=False, max_cache_size="100GB")
    return lambda number: data[number]["tokens"]


def without_pictures():
    """mosaicml-streaming imports torchvision for its pictures; a build for CUDA does not load beside torch for CPUs."""
    parts = {"torchvision": {}, "torchvision.datasets": {"VisionDataset": type("VisionDataset", (), {})}}
    parts |= {"torchvision.transforms": {}, "torchvision.transforms.functional": {"to_tensor": None}}
    for name, members in parts.items():
        sys.modules[name] = ModuleType(name)
        vars(sys.modules[name]).update(members, __spec__=ModuleSpec(name, None))


def mosaic(rows, request):
    without_pictures()
    from streaming import MDSWriter, StreamingDataset

    folder = Path(request["scratch"]) / "mds"
    if not folder.exists():
        with MDSWriter(out=str(folder), columns={"tokens": "ndarray:uint16"}) as writer:
            for row in rows:
                writer.write({"tokens": np.array(row)})
    data = StreamingDataset(local=str(folder), shuffle=False, batch_size=request["batch_rows"])
    return lambda number: data[number]["tokens"]


def batches(row_of, request):
    at = request["at"]
    for begin in range(0, len(at), request["batch_rows"]):
        yield np.stack([row_of(number) for number in at[begin : begin + request["batch_rows"]]]).astype(np.int64)


def grain(rows, request):
    import grain as library

    source = library.MapDataset.source(request["at"]).map(lambda number: rows[number].astype(np.int64))
    return iter(source.batch(request["batch_rows"], drop_remainder=False))


PACKAGES = {"litdata": "litdata", "mosaic": "mosaicml-streaming", "grain": "grain"}


def main():
    request = json.load(sys.stdin)
    rows = np.memmap(request["whole"], np.uint16, "r", shape=(request["rows"], request["row_tokens"]))
    peer, best = request["peer"], float("inf")
    read = None if peer == "grain" else {"litdata": litdata, "mosaic": mosaic}[peer](rows, request)
    for _ in range(3):
        given = grain(rows, request) if read is None else batches(read, request)
        total, began = 0, time.process_time()
        for tokens in given:
            total += int(tokens[:, request["probe"]].sum())
        best = min(best, time.process_time() - began)
    print(json.dumps({"cpu": best, "sum": total, "version": metadata.version(PACKAGES[peer])}))


if __name__ == "__main__":
    main()

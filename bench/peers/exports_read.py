"""Exported rows read back with the libraries that they are written for; prints a digest of what they gave.

JSON on standard input: target, folder (of the parts). Nothing of gristmill is imported.
"""

import hashlib
import json
import sys
import tempfile
import time
from importlib import metadata

import numpy as np


def mds(folder):
    from streaming import StreamingDataset

    for row in StreamingDataset(local=folder, shuffle=False, batch_size=1, num_canonical_nodes=1):
        yield row["tokens"], row["mask"], row["starts"], row["lengths"], [name for name, _ in row["documents"]]


def litdata(folder):
    import litdata

    with tempfile.TemporaryDirectory() as cache:
        for row in litdata.StreamingDataset(folder, shuffle=False, cache_dir=cache):
            documents = [name for name, _ in json.loads(row["documents"])]
            yield row["tokens"], row["mask"], row["starts"], row["lengths"], documents


def megatron(folder):
    from megatron.core.datasets.indexed_dataset import IndexedDataset

    for number in range(1 << 20):
        prefix = f"{folder}/part-{number:05d}"
        if not IndexedDataset.exists(prefix):
            return
        for document in IndexedDataset(prefix):
            yield (document,)


READERS = {"mds": (mds, "mosaicml-streaming"), "litdata": (litdata, "litdata"), "megatron": (megatron, "megatron-core")}


def main():
    request = json.load(sys.stdin)
    read, package = READERS[request["target"]]
    digest, rows, tokens, begin = hashlib.sha256(), 0, 0, time.process_time()
    for values in read(request["folder"]):
        for value in values:
            digest.update(repr(value).encode() if isinstance(value, list) else np.asarray(value, "<i8").tobytes())
        rows, tokens = rows + 1, tokens + len(values[0])
    seconds = time.process_time() - begin
    found = {"rows": rows, "tokens": tokens, "seconds": seconds, "sha256": digest.hexdigest()}
    print(json.dumps({**found, "version": metadata.version(package)}))


if __name__ == "__main__":
    main()

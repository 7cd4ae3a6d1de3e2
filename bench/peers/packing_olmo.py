"""OLMo-core's InstancePacker on lengths from standard input: CPU seconds, and tokens in each row, sorted."""

import json
import sys
import time
from importlib.metadata import version

import numpy as np
from olmo_core.data.utils import InstancePacker

request = json.load(sys.stdin)
stops = np.cumsum(request["pieces"])
indices = np.stack([stops - request["pieces"], stops], axis=1)
best = float("inf")
for _ in range(3):
    packer = InstancePacker(request["row_tokens"])
    began = time.process_time()
    instances, documents, _ = packer.pack_documents(indices)
    best = min(best, time.process_time() - began)
lengths = np.diff(documents, axis=1)[:, 0]
fills = sorted(int(lengths[one].sum()) for one in instances)
print(json.dumps({"seconds": best, "fills": fills, "version": version("ai2-olmo-core")}))

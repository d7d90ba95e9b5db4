"""What people use instead, as contestants beside ours; prints one JSON line for each task.

    python bench/opponents.py KIND MODEL THREADS DTYPE '[{"prompts": "FILE.json", "limit": 64, "mode": "last", "reps": 2}]'

KIND: `hooks` (transformers, forward hooks on AutoModel that keep the wanted rows at once: what a careful
user writes), `hidden` (`output_hidden_states`: what most scripts do), `nnsight`, `lens` (TransformerLens).
All take the stream after every block, prompts sorted by length in batches of 32, and with `out` write a
safetensors file. `mode` is `last` or `all` tokens. Needs torch, transformers, safetensors and, for their
kinds, nnsight and transformer_lens.
"""

import json
import os
import resource
import sys
import time

started = time.perf_counter()
kind, folder, threads, dtype, tasks = sys.argv[1:6]
os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", HF_HUB_DISABLE_PROGRESS_BARS="1")

import torch  # noqa: E402

torch.set_num_threads(int(threads))
kept = {}  # block → rows of the batch at hand


def select(hidden, batch):
    return hidden[batch["row"], batch["last"]] if batch["mode"] == "last" else hidden[batch["mask"]]


def open_hooks():
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder, dtype=getattr(torch, dtype), attn_implementation="sdpa").eval()
    layers = model.h if hasattr(model, "h") else model.layers

    def hook_of(i):
        def hook(_module, _inputs, output):
            kept[i] = select(output[0] if isinstance(output, tuple) else output, kept["batch"]).float()

        return hook

    for i, layer in enumerate(layers):
        layer.register_forward_hook(hook_of(i))

    def run(batch):
        kept["batch"] = batch
        model(input_ids=batch["ids"], attention_mask=batch["attention"], use_cache=False)
        return [kept[i] for i in range(len(layers))]

    return run, len(layers), model.config.hidden_size


def open_hidden():
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=getattr(torch, dtype), attn_implementation="sdpa"
    ).eval()
    depth = model.config.num_hidden_layers

    def run(batch):
        states = model(
            input_ids=batch["ids"], attention_mask=batch["attention"], output_hidden_states=True
        ).hidden_states
        return [select(states[i + 1], batch).float() for i in range(depth)]

    return run, depth, model.config.hidden_size


def open_nnsight():
    from nnsight import NNsight
    from transformers import AutoModel

    inner = AutoModel.from_pretrained(folder, dtype=getattr(torch, dtype), attn_implementation="sdpa").eval()
    model = NNsight(inner)
    layers = model.h if hasattr(inner, "h") else model.layers
    depth = inner.config.num_hidden_layers

    def traced(ids, attention, row, last, mask, mode):
        saved = []
        with model.trace(input_ids=ids, attention_mask=attention, use_cache=False):
            for i in range(depth):
                output = layers[i].output
                output = output[0] if isinstance(output, tuple) else output
                saved.append((output[row, last] if mode == "last" else output[mask]).save())
        return saved

    def run(batch):
        return [value.float() for value in traced(**{k: batch[k] for k in order})]

    order = ("ids", "attention", "row", "last", "mask", "mode")
    return run, depth, inner.config.hidden_size


def open_lens():
    from transformer_lens.model_bridge import TransformerBridge

    model = TransformerBridge.boot_transformers(folder, device="cpu", dtype=getattr(torch, dtype))
    names = [f"blocks.{i}.hook_out" for i in range(model.cfg.n_layers)]

    def run(batch):
        _, cache = model.run_with_cache(
            batch["ids"],
            attention_mask=batch["attention"],
            names_filter=lambda name: name in names,
            return_type=None,
        )
        return [select(cache[name], batch).float() for name in names]

    return run, model.cfg.n_layers, model.cfg.d_model


def batches_of(prompts, mode, size=32):
    order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        lengths = torch.tensor([len(prompts[i]) for i in chosen])
        ids = torch.zeros(len(chosen), int(lengths.max()), dtype=torch.long)
        for row, i in enumerate(chosen):
            ids[row, : len(prompts[i])] = torch.tensor(prompts[i])
        mask = torch.arange(ids.shape[1]) < lengths[:, None]
        yield {
            "chosen": chosen,
            "ids": ids,
            "attention": mask.long(),
            "mask": mask,
            "row": torch.arange(len(chosen)),
            "last": lengths - 1,
            "mode": mode,
        }


@torch.inference_mode()
def one_pass(run, depth, width, prompts, mode):
    starts = [0]
    for ids in prompts:
        starts.append(starts[-1] + (1 if mode == "last" else len(ids)))
    result = {f"resid_post.{i}": torch.empty(starts[-1], width) for i in range(depth)}
    for batch in batches_of(prompts, mode):
        rows = torch.cat([torch.arange(starts[i], starts[i + 1]) for i in batch["chosen"]])
        for i, value in enumerate(run(batch)):
            result[f"resid_post.{i}"][rows] = value
    return result


def main():
    opened = {"hooks": open_hooks, "hidden": open_hidden, "nnsight": open_nnsight, "lens": open_lens}
    run, depth, width = opened[kind]()
    ready = time.perf_counter() - started
    for task in json.loads(tasks):
        with open(task["prompts"]) as file:
            prompts = json.load(file)[: task.get("limit") or None]
        times, cpu = [], []
        for _ in range(task.get("reps", 1)):
            wall, used = time.perf_counter(), time.process_time()
            result = one_pass(run, depth, width, prompts, task["mode"])
            times.append(time.perf_counter() - wall)
            cpu.append(time.process_time() - used)
        if task.get("out"):
            from safetensors.torch import save_file

            save_file(result, task["out"])
        # The last state of `hidden` is behind the final norm, so the stream of the block before is compared.
        check = float(result[f"resid_post.{depth - 2}"].double().abs().mean())
        print(json.dumps(dict(
            contestant=kind, dtype=dtype, threads=int(threads), model=os.path.basename(folder), mode=task["mode"],
            prompts=os.path.basename(task["prompts"]), tokens=sum(map(len, prompts)), ready=ready, times=times,
            cpu=cpu, check=check, peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        )), flush=True)


main()

"""A decoding loop in torch, as one writes it by hand, beside `generate`; prints one JSON line.

    python bench/generate_torch.py MODEL PROMPTS.json MAX_TOKENS THREADS cached|recomputed OUT.json [LIMIT]

MODEL is a folder of Llama's shape, PROMPTS.json a list of lists of token ids. Greedy, no end token, batches
of equal length of at most 512 rows; `cached` keeps keys and values in tensors of their full
length, `recomputed` reads the whole text anew for each token. Needs torch and safetensors.
"""

import json
import os
import resource
import sys
import time

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

folder, prompts_path, max_tokens, threads, how, out = sys.argv[1:7]
limit = int(sys.argv[7]) if len(sys.argv) > 7 else None
torch.set_num_threads(int(threads))
with open(os.path.join(folder, "config.json")) as file:
    config = json.load(file)
weights = load_file(os.path.join(folder, "model.safetensors"))
width, depth = config["hidden_size"], config["num_hidden_layers"]
heads = config["num_attention_heads"]
assert config.get("num_key_value_heads", heads) == heads, "one key head for each query head"
size = width // heads
base = (config.get("rope_parameters") or {}).get("rope_theta") or config.get("rope_theta", 10000.0)


def norm(name, x):
    scale = torch.rsqrt(x.square().mean(-1, keepdim=True) + config["rms_norm_eps"])
    return x * scale * weights[name]


def tables(length):
    frequencies = base ** (-torch.arange(0, size, 2).float() / size)
    angles = torch.outer(torch.arange(length).float(), frequencies)
    return torch.cat([angles.cos()] * 2, -1), torch.cat([angles.sin()] * 2, -1)


def turned(x, cos, sin):
    low, high = x.chunk(2, -1)
    return x * cos + torch.cat([-high, low], -1) * sin


def read(ids, start, cos, sin, cache):
    """Logits after the last of `ids` [rows, fresh], which stand at `start` and on."""
    rows, fresh = ids.shape
    x = F.embedding(ids, weights["model.embed_tokens.weight"])
    end = start + fresh
    for layer in range(depth):
        own = f"model.layers.{layer}."
        n = norm(own + "input_layernorm.weight", x)
        q, k, v = (
            F.linear(n, weights[own + f"self_attn.{part}_proj.weight"]).view(rows, fresh, heads, size).transpose(1, 2)
            for part in "qkv"
        )
        q, k = turned(q, cos[start:end], sin[start:end]), turned(k, cos[start:end], sin[start:end])
        if cache is not None:
            cache[layer][0][:, :, start:end], cache[layer][1][:, :, start:end] = k, v
            k, v = cache[layer][0][:, :, :end], cache[layer][1][:, :, :end]
        y = F.scaled_dot_product_attention(q, k, v, is_causal=fresh > 1)
        x = x + F.linear(y.transpose(1, 2).reshape(rows, fresh, width), weights[own + "self_attn.o_proj.weight"])
        m = norm(own + "post_attention_layernorm.weight", x)
        gate, up = (F.linear(m, weights[own + f"mlp.{part}_proj.weight"]) for part in ("gate", "up"))
        x = x + F.linear(F.silu(gate) * up, weights[own + "mlp.down_proj.weight"])
    head = weights["model.embed_tokens.weight" if config.get("tie_word_embeddings") else "lm_head.weight"]
    return F.linear(norm("model.norm.weight", x[:, -1]), head)


@torch.inference_mode()
def answer(prompts, count):
    """The likeliest `count` tokens after each of some prompts of one length."""
    text = torch.tensor(prompts)
    rows, length = text.shape
    cos, sin = tables(length + count)
    shape = (rows, heads, length + count, size)
    cache = [(torch.empty(shape), torch.empty(shape)) for _ in range(depth)] if how == "cached" else None
    for said in range(count):
        start = 0 if cache is None or said == 0 else length + said - 1
        chosen = read(text[:, start:], start, cos, sin, cache).argmax(-1, keepdim=True)
        text = torch.cat([text, chosen], 1)
    return text[:, length:].tolist()


with open(prompts_path) as file:
    prompts = json.load(file)[:limit]
by_length = {}
for i, ids in enumerate(prompts):
    by_length.setdefault(len(ids), []).append(i)
batches = [rows[at : at + 512] for rows in by_length.values() for at in range(0, len(rows), 512)]
answer([prompts[i] for i in batches[0][:8]], 4)
wall, cpu = time.perf_counter(), time.process_time()
said = [None] * len(prompts)
for rows in batches:
    for i, ids in zip(rows, answer([prompts[i] for i in rows], int(max_tokens))):
        said[i] = ids
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
with open(out, "w") as file:
    json.dump(said, file)
print(json.dumps(dict(contestant=f"torch, {how}", answers=len(prompts), threads=int(threads), times=[wall], cpu=[cpu],
                      peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)))

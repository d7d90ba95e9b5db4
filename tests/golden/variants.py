"""References for what the other tiny checkpoints leave open: families added later, and settings that few files use.

    pip install torch==2.13.0 transformers==5.23.0 safetensors
    python variants.py [NAME ...]

Writes `mixtral/`, `qwen3_moe/` and `olmo/`, whole checkpoints like their neighbours, and `variants/NAME/`: a
neighbour's weights under another config. The golden.json there says which (`base`), what the config changes
(`keys`) and which tensors it leaves out (`without`); `extra.safetensors` holds tensors that it adds. Stops
where transformers reads the two spellings of a config differently.
"""

import json
import os
import re
import sys
import zlib

import torch
from safetensors.torch import load_file, save_file
from torch.overrides import TorchFunctionMode
from transformers import AutoConfig, AutoModelForCausalLM

HERE = os.path.dirname(os.path.abspath(__file__))
# 10 is what the longrope case was trained on: the longest prompt that is not long.
LENGTHS = (4, 10, 14)
# Of references that are to be small.
SHORT = (3, 5, 6)
torch.set_num_threads(1)


class Float64(TorchFunctionMode):
    """Whoever asks for float32 gets float64: norms, softmax and rotary tables ask."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.Tensor.float:
            return args[0].double()
        if func in (torch.Tensor.view, torch.frombuffer):
            return func(*args, **(kwargs or {}))
        widen = lambda value: torch.float64 if value is torch.float32 else value
        return func(*map(widen, args), **{key: widen(value) for key, value in (kwargs or {}).items()})

    def __enter__(self):
        torch.set_default_dtype(torch.float64)
        return super().__enter__()

    def __exit__(self, *rest):
        torch.set_default_dtype(torch.float32)
        return super().__exit__(*rest)


def normal(seed, name, shape):
    generator = torch.Generator().manual_seed(zlib.crc32(f'{seed}/{name}'.encode()))
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def lively(seed, name, shape):
    """Weights like a trained model's: no gain 1, no bias 0, attention that prefers, logits that differ."""
    n = normal(seed, name, shape)
    if re.search('norm', name):
        return 0.1 * n if name.endswith('bias') else 1 + 0.2 * n
    if len(shape) == 1:
        return 0.15 * n
    if 'embed' in name:
        return n
    gain = 2.0 if re.search('lm_head|gate.weight', name) else 1.5 if re.search('[qk]_proj', name) else 1.0
    return n * gain / shape[-1] ** 0.5


WHOLE = {
    'mixtral': dict(
        seed=61,
        what='window 5; 2 of 5 experts, whose weights are made to sum to 1',
        config=dict(vocab_size=97, hidden_size=32, intermediate_size=27, num_hidden_layers=2, num_attention_heads=4,
                    num_key_value_heads=2, head_dim=8, max_position_embeddings=64, rms_norm_eps=1e-5, sliding_window=5,
                    num_local_experts=5, num_experts_per_tok=2, bos_token_id=1, eos_token_id=2,
                    rope_parameters=dict(rope_type='default', rope_theta=1000000.0)),
    ),
    'qwen3_moe': dict(
        seed=62,
        what='3 of 6 experts, whose weights are left as they are; layer 1 is a plain MLP',
        config=dict(vocab_size=97, hidden_size=32, intermediate_size=43, moe_intermediate_size=19, num_hidden_layers=3,
                    num_attention_heads=4, num_key_value_heads=2, head_dim=10, max_position_embeddings=64,
                    rms_norm_eps=1e-6, num_experts=6, num_experts_per_tok=3, norm_topk_prob=False, mlp_only_layers=[1],
                    bos_token_id=1, eos_token_id=2, rope_parameters=dict(rope_type='default', rope_theta=10000.0)),
    ),
    'olmo': dict(
        seed=65, lengths=SHORT, dtype=torch.bfloat16,
        what='norms without weights; queries, keys and values clipped; stored as bfloat16',
        config=dict(vocab_size=37, hidden_size=12, intermediate_size=17, num_hidden_layers=2, num_attention_heads=2,
                    num_key_value_heads=1, max_position_embeddings=64, clip_qkv=1.1, bos_token_id=1, eos_token_id=2,
                    rope_parameters=dict(rope_type='default', rope_theta=10000.0)),
    ),
}

LONGROPE = dict(rope_type='longrope', rope_theta=10000.0, partial_rotary_factor=0.5, original_max_position_embeddings=10,
                short_factor=[1.0, 1.1, 1.3], long_factor=[1.2, 2.5, 6.0])
VARIANTS = {
    'llama_yarn': dict(base='llama_mha', keys=dict(rope_parameters=dict(
        rope_type='yarn', rope_theta=10000.0, factor=4.0, original_max_position_embeddings=48))),
    'llama_yarn_all_keys': dict(base='llama_mha', keys=dict(rope_parameters=dict(
        rope_type='yarn', rope_theta=10000.0, factor=4.0, original_max_position_embeddings=16, beta_fast=4.0, beta_slow=0.5,
        truncate=False, mscale=0.8, mscale_all_dim=0.3))),
    'llama_dynamic': dict(base='llama_mha', alone=True, keys=dict(
        max_position_embeddings=8, rope_parameters=dict(rope_type='dynamic', rope_theta=10000.0, factor=2.0))),
    'phi3_longrope': dict(base='phi3', alone=True, keys=dict(
        sliding_window=None, original_max_position_embeddings=10, rope_parameters=LONGROPE)),
    'qwen2_windows': dict(base='qwen2', keys=dict(
        use_sliding_window=True, sliding_window=5, max_window_layers=1, layer_types=None)),
    'qwen3_windows': dict(base='qwen3', keys=dict(
        use_sliding_window=True, sliding_window=4,
        layer_types=['sliding_attention', 'full_attention', 'sliding_attention'])),
    'gpt_neox_without_bias': dict(base='gpt_neox', keys=dict(attention_bias=False), without=r'attention\..*\.bias$'),
    'gpt_neox_linear': dict(base='gpt_neox', keys=dict(rope_parameters=dict(
        rope_type='linear', rope_theta=5000.0, factor=3.0, partial_rotary_factor=0.5))),
    'opt_bare': dict(base='opt_125m', keys=dict(
        enable_bias=False, layer_norm_elementwise_affine=False, activation_function='gelu'),
        without=r'(proj|fc\d)\.bias$|layer_norm\.(weight|bias)$'),
    'starcoder2_without_bias': dict(base='starcoder2', keys=dict(use_bias=False), without=r'(proj|c_fc)\.bias$'),
    'phi_head_norms': dict(base='phi', keys=dict(qk_layernorm=True), seed=63),
    'olmo_tied_bias': dict(base='olmo', lengths=SHORT, seed=66, without=r'lm_head', keys=dict(
        clip_qkv=None, attention_bias=True, tie_word_embeddings=True)),
    'olmo2_bias': dict(base='olmo2', keys=dict(attention_bias=True), seed=64),
    'gemma3_capped': dict(base='gemma3_text', keys=dict(final_logit_softcapping=4.0)),
}

BLOCKS = {'gpt_neox': 'gpt_neox.layers', 'opt': 'model.decoder.layers'}


def prompts_of(seed, vocabulary, lengths):
    return [(3 + normal(seed, f'prompt {n}', (n,)).abs().mul(1e6).long() % (vocabulary - 3)).tolist() for n in lengths]


def forward(model, ids, mask, everything):
    sites, hooks = {}, []
    blocks = model.get_submodule(BLOCKS.get(model.config.model_type, 'model.layers'))
    hidden = lambda out: out[0] if isinstance(out, tuple) else out

    def watch(module, name):
        hooks.append(module.register_forward_hook(lambda _m, _a, out: sites.__setitem__(name, hidden(out))))

    for i, block in enumerate(blocks):
        watch(block, f'resid_post.{i}')
        if everything:
            watch(block.self_attn, f'attn_out.{i}')
            watch(block.mlp, f'mlp_out.{i}')
            hooks.append(block.post_attention_layernorm.register_forward_pre_hook(
                lambda _m, args, i=i: sites.__setitem__(f'resid_mid.{i}', args[0])))
    if everything:
        hooks.append(blocks[0].register_forward_pre_hook(
            lambda _m, args, kw: sites.__setitem__('resid_pre.0', args[0] if args else kw['hidden_states']), with_kwargs=True))
        watch(model.model.norm, 'final_norm')
    out = model(input_ids=ids, attention_mask=mask, use_cache=False, output_attentions=True)
    for hook in hooks:
        hook.remove()
    last = len(blocks) - 1
    return sites | {f'pattern.{last}': out.attentions[last], 'logits': out.logits}


def evaluate(model, prompts, everything, alone):
    """Sites of the padded batch, or of each prompt alone where a prompt's length matters; padding is 0."""
    width = max(map(len, prompts))
    ids = torch.zeros(len(prompts), width, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, :len(prompt)] = torch.tensor(prompt)
        mask[row, :len(prompt)] = 1
    result = {}
    for rows in ([[row] for row in range(len(prompts))] if alone else [list(range(len(prompts)))]):
        n = int(mask[rows].sum(-1).max())
        with torch.no_grad():
            # A short prompt makes length-dependent positions forget the one before.
            if alone:
                model(input_ids=ids[:1, :1], use_cache=False)
            sites = forward(model, ids[rows, :n], mask[rows, :n], everything)
        for name, value in sites.items():
            is_pattern = name.startswith('pattern')
            shape = (len(prompts), value.shape[1], width, width) if is_pattern else (len(prompts), width, value.shape[-1])
            full = result.setdefault(name, value.new_zeros(shape))
            real = mask[rows, :n].to(value.dtype)
            if is_pattern:
                full[rows, :, :n, :n] = value * real[:, None, :, None] * real[:, None, None]
            else:
                full[rows, :n] = value.reshape(len(rows), n, -1) * real[..., None]
    logp = torch.log_softmax(result['logits'][:, :-1], -1).gather(-1, ids[:, 1:, None])[..., 0]
    target = mask[:, 1:].bool()
    return {'input_ids': ids, 'attention_mask': mask} | result | {'loss': -logp[target].mean()}


def floor(got, golden):
    error, scale = (got.double() - golden.double()).abs(), golden.double().pow(2).mean().sqrt()
    return {'max_abs': float(error.max()), 'rms_rel': float(error.pow(2).mean().sqrt() / scale)}


def write(folder, info, build, prompts, everything=False, alone=False):
    with Float64():
        exact = evaluate(build(torch.float64), prompts, everything, alone)
    assert all(value.dtype in (torch.float64, torch.int64) for value in exact.values())
    golden = {name: (value.float() if value.is_floating_point() else value).contiguous() for name, value in exact.items()}
    save_file(golden, f'{folder}/golden.safetensors')
    single = evaluate(build(torch.float32), prompts, everything, alone)
    floors = {name: floor(single[name], golden[name]) for name in golden if golden[name].is_floating_point()}
    info = info | {'prompts': prompts, 'noise_floor': floors,
                   'versions': {'torch': torch.__version__, 'transformers': __import__('transformers').__version__}}
    with open(f'{folder}/golden.json', 'w') as file:
        json.dump(info, file, indent=1)
    size = sum(os.path.getsize(f'{folder}/{name}') for name in os.listdir(folder))
    print(f'{os.path.basename(folder):<26}{size / 1e3:6.0f} kB  logits {floors["logits"]["max_abs"]:.1e}, std {float(golden["logits"].std()):.2f}')


def options(model_type):
    # The grouped kernels for experts know no float64.
    experts = {'experts_implementation': 'eager'} if model_type in ('mixtral', 'qwen3_moe') else {}
    return {'attn_implementation': 'eager'} | experts


def make_whole(name, case):
    folder = f'{HERE}/{name}'
    os.makedirs(folder, exist_ok=True)
    config = AutoConfig.for_model(name, **case['config'])
    model = AutoModelForCausalLM.from_config(config, **options(name))
    with torch.no_grad():
        for key, parameter in sorted(model.named_parameters()):
            parameter.copy_(lively(case['seed'], key, parameter.shape))
    model.to(case.get('dtype', torch.float32)).save_pretrained(folder)
    if os.path.exists(f'{folder}/generation_config.json'):
        os.remove(f'{folder}/generation_config.json')
    with open(f'{folder}/config.json') as file:
        old = json.load(file)
    old['torch_dtype'] = old.pop('dtype')
    old['rope_theta'] = old.pop('rope_parameters')['rope_theta']
    old['rope_scaling'] = None
    if name == 'qwen3_moe':
        old |= {'sliding_window': 4096, 'max_window_layers': 28, 'num_experts': old.pop('num_local_experts')}
    with open(f'{folder}/config.v4.json', 'w') as file:
        json.dump(old, file, indent=2, sort_keys=True)
    build = lambda dtype, **config: AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, **config, **options(name)).eval()
    prompts = prompts_of(case['seed'], config.vocab_size, case.get('lengths', LENGTHS))
    spelt_in_4 = AutoConfig.from_pretrained(f'{folder}/config.v4.json')
    for ids in map(lambda prompt: torch.tensor([prompt]), prompts):
        with torch.no_grad():
            new, old = (model(ids).logits for model in (build(torch.float32), build(torch.float32, config=spelt_in_4)))
        assert torch.equal(new, old), f'{name}: the two spellings differ'
    info = {'name': name, 'model_type': name, 'what': case['what']}
    write(folder, info, build, prompts, everything=True)


def make_variant(name, case):
    base, folder = f'{HERE}/{case["base"]}', f'{HERE}/variants/{name}'
    os.makedirs(folder, exist_ok=True)
    with open(f'{base}/config.json') as file:
        keys = json.load(file) | case['keys']
    model_type = keys.pop('model_type')
    weights = load_file(f'{base}/model.safetensors')
    weights = {key: value for key, value in weights.items() if not re.search(case.get('without', '$^'), key)}

    def build(dtype):
        # A config keeps what it is given, and changes it.
        config = AutoConfig.for_model(model_type, **json.loads(json.dumps(keys)))
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, **options(model_type))
        renamed = {key.replace('embed_out', 'lm_head'): value.to(dtype) for key, value in weights.items()}
        missing, unexpected = model.load_state_dict(renamed, strict=False)
        missing = [key for key in missing if not (config.tie_word_embeddings and key == 'lm_head.weight')]
        assert not unexpected and bool(missing) == ('seed' in case), (name, missing, unexpected)
        for key in missing:
            value = lively(case['seed'], key, model.get_parameter(key).shape).float()
            model.get_parameter(key).data.copy_(value)
            added[key] = value
        return model.eval()

    added = {}
    info = {'name': name, 'base': case['base'], 'keys': case['keys'], 'without': case.get('without')}
    prompts = prompts_of(name, keys['vocab_size'], case.get('lengths', LENGTHS))
    write(folder, info, build, prompts, alone=case.get('alone', False))
    if added:
        save_file(added, f'{folder}/extra.safetensors')


if __name__ == '__main__':
    for name, case in WHOLE.items():
        if not sys.argv[1:] or name in sys.argv[1:]:
            make_whole(name, case)
    for name, case in VARIANTS.items():
        if not sys.argv[1:] or name in sys.argv[1:]:
            make_variant(name, case)

/**
 * Qwen 3, the mixtures of experts.
 *
 * One decoder block is
 *
 *     h = x + attention(rmsNorm(x))
 *     y = h + Σₑ pₑ · downₑ(silu(gateₑ(n)) ⊙ upₑ(n)),   n = rmsNorm(h)
 *
 * with Qwen 3's attention. The sum runs over the few experts with the largest softmax(gate(n)); p are
 * those, made to sum to 1 if the config says so. Some layers may have one plain MLP instead.
 *
 * @see Yang et al. 2025, arXiv:2505.09388, §2; tensor names as in Hugging Face checkpoints.
 */

import type { Architecture } from './architecture.ts';
import { decoder, gains, readDecoder } from './decoder.ts';
import { mixture, type Mixture } from './mixture.ts';
import {
  activations,
  embedding,
  gatedMlp,
  gatedMlpParameters,
  linear,
  linears,
  noPostNorms,
  rmsNorm,
  type Activation,
  type GatedMlp,
} from './parts.ts';
import { qwen3Attention, qwen3AttentionParameters, type Qwen3Attention } from './qwen3.ts';
import type { ConfigReader } from './settings.ts';

interface Qwen3MoeSettings extends Qwen3Attention, Mixture {
  readonly activation: Activation;
  /** Whether layer i is a mixture. */
  readonly isMixture: readonly boolean[];
  readonly plainWidth: number;
  readonly expertWidth: number;
}

export const qwen3Moe: Architecture<Qwen3MoeSettings> = {
  ...decoder,
  family: 'qwen3_moe',
  irrelevantKeys: [
    'max_window_layers',
    'output_router_logits',
    'router_aux_loss_coef',
    'sliding_window',
  ],
  absentSites: () => noPostNorms,

  readSettings(config) {
    // Versions of transformers disagree on which layers slide; no published model lets any.
    config.require('use_sliding_window', false);
    const settings = readDecoder(config, { keyHeads: 'refused', isTied: false });
    const chosen = config.count('num_experts_per_tok');
    // transformers 4 calls it num_experts.
    const expertsKey = config.has('num_local_experts') ? 'num_local_experts' : 'num_experts';
    const expertWidth = config.count('moe_intermediate_size');
    return {
      ...settings,
      chosen,
      expertWidth,
      experts: config.count(expertsKey),
      plainWidth: settings.mlpWidth,
      mlpWidth: Math.max(settings.mlpWidth, chosen * expertWidth),
      renormalises: config.flag('norm_topk_prob', false),
      activation: config.choice('hidden_act', activations),
      bias: config.flag('attention_bias', false),
      isMixture: readMixtures(config, settings.layers),
    };
  },

  blockParameters: (settings, layer) => [
    ...gains(settings.width, 'input_layernorm', 'post_attention_layernorm'),
    ...qwen3AttentionParameters(settings),
    ...(settings.isMixture[layer]
      ? [
          ...linears(false, ['mlp.gate', settings.width, settings.experts]),
          ...Array.from({ length: settings.experts }, (_, e) =>
            gatedMlpParameters(settings.width, settings.expertWidth, expertOf(e)),
          ).flat(),
        ]
      : gatedMlpParameters(settings.width, settings.plainWidth)),
  ],

  embed: (g, frame, params) => embedding(g, params, 'embed_tokens', frame.ids),

  block(g, frame, ports, settings, layer, input) {
    const { param, tap } = ports;
    const { epsilon, activation } = settings;
    const x = tap('resid_pre', input);
    const n = rmsNorm(g, param, 'input_layernorm', x, epsilon);
    const attention = qwen3Attention(g, frame, ports, settings, n, null);
    const h = tap('resid_mid', g.add(x, tap('attn_out', attention)));
    const m = rmsNorm(g, param, 'post_attention_layernorm', h, epsilon);
    const mlp = settings.isMixture[layer]
      ? mixture(g, m, linear(g, param, 'mlp.gate', m, { bias: false }), settings, (e, routed) =>
          gatedMlp(g, param, activation, routed, expertOf(e)),
        )
      : gatedMlp(g, param, activation, m);
    return tap('resid_post', g.add(h, tap('mlp_out', mlp)));
  },

  finalNorm: (g, params, { epsilon }, x) => rmsNorm(g, params, 'norm', x, epsilon),
};

/** Every `decoder_sparse_step`-th layer is a mixture, but for those in `mlp_only_layers`. */
function readMixtures(config: ConfigReader, layers: number): readonly boolean[] {
  const step = config.count('decoder_sparse_step', 1);
  const plain = config.raw('mlp_only_layers') ?? [];
  if (!Array.isArray(plain)) {
    throw config.unsupported('mlp_only_layers', plain, 'Give a list of layer indices.');
  }
  return Array.from(
    { length: layers },
    (_, layer) => (layer + 1) % step === 0 && !plain.includes(layer),
  );
}

function expertOf(index: number): GatedMlp {
  const name = `mlp.experts.${index}`;
  return {
    gate: `${name}.gate_proj`,
    up: `${name}.up_proj`,
    down: `${name}.down_proj`,
    bias: false,
  };
}

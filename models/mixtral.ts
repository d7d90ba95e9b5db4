/**
 * Mixtral.
 *
 * One decoder block is
 *
 *     h = x + attention(rmsNorm(x))
 *     y = h + Σₑ pₑ · w2ₑ(silu(w1ₑ(n)) ⊙ w3ₑ(n)),   n = rmsNorm(h)
 *
 * where the sum runs over the few experts with the largest softmax(gate(n)), and p are those, made to
 * sum to 1.
 *
 * @see Jiang et al. 2024, arXiv:2401.04088, §2; tensor names as in Hugging Face checkpoints.
 */

import type { Architecture } from './architecture.ts';
import { attend } from './attend.ts';
import {
  attentionParameters,
  decoder,
  gains,
  projected,
  readDecoder,
  type DecoderSettings,
} from './decoder.ts';
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
import { readWindow } from './sizes.ts';

interface MixtralSettings extends DecoderSettings, Mixture {
  readonly activation: Activation;
  readonly window: number | null;
  readonly expertWidth: number;
}

/** θ of files that leave it out, in this family alone. */
const usualTheta = 1_000_000;

export const mixtral: Architecture<MixtralSettings> = {
  ...decoder,
  family: 'mixtral',
  // The router's noise and its loss are for training.
  irrelevantKeys: ['output_router_logits', 'router_aux_loss_coef', 'router_jitter_noise'],
  absentSites: () => noPostNorms,

  readSettings(config) {
    const defaults = { keyHeads: 'refused', isTied: false, theta: usualTheta } as const;
    const settings = readDecoder(config, defaults);
    const chosen = config.count('num_experts_per_tok');
    return {
      ...settings,
      chosen,
      experts: config.count('num_local_experts'),
      expertWidth: settings.mlpWidth,
      mlpWidth: settings.mlpWidth * chosen,
      renormalises: true,
      activation: config.choice('hidden_act', activations),
      window: readWindow(config),
    };
  },

  blockParameters: (settings) => [
    ...gains(settings.width, 'input_layernorm', 'post_attention_layernorm'),
    ...attentionParameters(settings, { inputs: false, output: false }),
    ...linears(false, ['block_sparse_moe.gate', settings.width, settings.experts]),
    ...Array.from({ length: settings.experts }, (_, e) =>
      gatedMlpParameters(settings.width, settings.expertWidth, expertOf(e)),
    ).flat(),
  ],

  embed: (g, frame, params) => embedding(g, params, 'embed_tokens', frame.ids),

  block(g, frame, ports, settings, _layer, input) {
    const { param, tap } = ports;
    const { epsilon, activation, window } = settings;
    const x = tap('resid_pre', input);
    const n = rmsNorm(g, param, 'input_layernorm', x, epsilon);
    const options = { scale: 1 / Math.sqrt(settings.headDim), rotary: 'all', window };
    const attended = attend(g, frame, ports, settings, projected(g, param, n, false), options);
    const attention = linear(g, param, 'self_attn.o_proj', attended, { bias: false });
    const h = tap('resid_mid', g.add(x, tap('attn_out', attention)));
    const m = rmsNorm(g, param, 'post_attention_layernorm', h, epsilon);
    const scores = linear(g, param, 'block_sparse_moe.gate', m, { bias: false });
    const mixed = mixture(g, m, scores, settings, (e, routed) =>
      gatedMlp(g, param, activation, routed, expertOf(e)),
    );
    return tap('resid_post', g.add(h, tap('mlp_out', mixed)));
  },

  finalNorm: (g, params, { epsilon }, x) => rmsNorm(g, params, 'norm', x, epsilon),
};

function expertOf(index: number): GatedMlp {
  const name = `block_sparse_moe.experts.${index}`;
  return { gate: `${name}.w1`, up: `${name}.w3`, down: `${name}.w2`, bias: false };
}

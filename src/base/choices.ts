/** Words that are typed on the command line and mean something further down; here so that help loads nothing else. */

/** Every way in which a direction is found; each has a file of its own in probes/. */
export const estimators = [
  'mean_difference',
  'logistic',
  'lda',
  'ridge',
  'nearest_centroid',
  'contrast_pair',
  'lat',
] as const;

export type Estimator = (typeof estimators)[number];

/** Those of rows, and the one that reads all tokens of a prompt. */
export const curveEstimators: readonly [...typeof estimators, 'attention_pool'] = [
  ...estimators,
  'attention_pool',
];

/** What can compute, in the order of the help. */
export const deviceNames = ['cpu', 'webgpu', 'cuda', 'coreml', 'dml'] as const;

export type DeviceName = (typeof deviceNames)[number];

/** What lint finds, in the order of its output. */
export const lintKinds = [
  'duplicates',
  'near_duplicates',
  'group_straddles',
  'trigger_in_clean',
  'trigger_missing',
  'unbalanced_cells',
  'label_length',
  'bag_of_words',
  'tokens_lost',
  'identical_activations',
] as const;

export type LintKind = (typeof lintKinds)[number];

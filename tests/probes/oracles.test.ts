/** Which test holds which value of tests/golden/oracles/science.json? No key is left without an answer. */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fitDiscriminant } from '../../probes/discriminant.ts';
import { erase, fitLeace } from '../../probes/erasure.ts';
import { onlineCode } from '../../probes/onlineCode.ts';
import { here } from '../../src/math/multiply.ts';
import { columnMeans, cosine } from '../../src/math/vectors.ts';
import { readGolden, sines, stripedLabels } from '../support/sines.ts';

const oracle: Record<string, number> = readGolden('oracles/science.json');

/** Files under tests/ that name each key. */
const held: Readonly<Record<string, readonly string[]>> = {
  'base/random.test.ts': ['generator'],
  'probes/meanDifference.test.ts': ['data1', 'mean_diff', 'mean_diff_auroc'],
  'probes/estimators.test.ts': [
    'mm_iid_direction(pinv(Sw)@dm)',
    'sklearn_LDA_lsqr_coef',
    'sklearn_LDA_lsqr_intercept',
    'ridge_alpha1_coef',
    'ridge_alpha1_intercept',
    'LAT_pitfall |cos(PC1,e1)|: ordered+recentred, alternating-sign+recentred, uncentred',
  ],
  'probes/logistic.test.ts': [
    'logreg_C0.1_nointercept_standardised_coef',
    'logreg_C1_intercept_raw_coef',
    'logreg_C1_intercept_raw_intercept',
    'logreg_C1_auroc',
  ],
  'probes/metrics.test.ts': ['ties_scores', 'ties_y', 'ties_auroc'],
  'probes/operating.test.ts': [
    'mean_diff_ap',
    'logreg_C1_logloss',
    'logreg_C1_brier',
    'ties_delong_var',
    'hanley_mcneil_se',
    'mdl_online_bits(ts=5,10,20,40;C=1;LR raw)',
    'mdl_compression',
    'wilson(8/10)',
    'wilson(0/1000)',
    'clopper_pearson(8/10)',
    'clopper_pearson_upper(0/1000,one-sided95)',
  ],
  'probes/pca.test.ts': ['pca_explained_variance(ddof1)', 'pca_ratio', 'pca_pc1(svd_flip sign)'],
  'probes/erasure.test.ts': [
    'ledoit_wolf_shrinkage',
    'oas_shrinkage',
    'ledoit_wolf_shrinkage(D)',
    'ledoit_wolf_cov00(D)',
    'oas_shrinkage(D)',
    'rmt_shrinkage(D) alpha,beta (concept-erasure formula, S ddof0)',
    'd_eff(D)=(tr)^2/tr(S^2)',
    'leace_P_row0',
    'leace_mean_sq_change',
    'spectral_scores_first3',
    'mahalanobis_sq_first3(pooled cov ddof1)',
    'QUE_first3(whiten by cov(A), test=B,alpha=4)',
    'silhouette_sign_pc1_split',
  ],
  'probes/geometry.test.ts': [
    'participation_ratio',
    'effective_rank_exp_entropy',
    'principal_angles_planted',
    'principal_angles_PCA3(A,B=X(40,6,2))',
    'cka_biased(A,B)',
    'cka_debiased(A,B)',
    'cka_debiased(A,A)',
    'cka_biased(A,X(40,4,3))',
    'cka_debiased(A,X(40,4,3))',
    'cka_null_n64_d256_mean',
    'cca_corrs(A,B)',
    'cca_mean',
    'pwcca(A->B)',
    'pwcca(B->A)',
    'scipy_procrustes_disparity(A,B)',
    'orthogonal_procrustes_scale(nuclear norm of AcT Bc)',
    'rsa_spearman(1-pearson RDM)',
    'rsa_pearson',
    'random_cos_sd',
    'random_subspace_overlap_mean(k/d)',
  ],
  'probes/statistics.test.ts': [
    'bh_in',
    'bh_adj',
    'holm_adj',
    'signflip_exact_two_sided_p(x)',
    'signflip_x',
    'cohen_dz',
    'cohen_d',
    'hedges_g',
    'perm_exact_two_sample_p',
    'perm_total',
    'mcnemar_exact(b=3,c=12)',
    'binom_perm_min_p',
    'signflip_min_two_sided_p',
    'kl_nats',
    'jsd_nats',
    'power_zero_test',
    'bca_mean_ci(x) approx, tol 0.02',
  ],
  'probes/contrast.test.ts': ['spearman_brown(r=0.6)', 'disattenuated(r=.45,relx=.75,rely=.6)'],
  'probes/oracles.test.ts': [
    'data1_n_pos',
    'cos(LDA,mm_iid)',
    'leace_max_class_mean_gap_after',
    'mdl_uniform_bits',
  ],
};

/** What nothing under probes/ computes. */
const absent: Readonly<Record<string, string>> = {
  data2: 'words: how D of the keys with (D) is made',
  wilcoxon_p: 'sign flips of values are used, and not of ranks',
  'orpo(avglogp_w=-0.5,avglogp_l=-1.2,nll=0.5,lambda=0.1)': 'a loss of training',
  'orpo_d/d(avglogp_w)_of_log_odds': 'a loss of training',
  'orpo(avglogp_w=-1e-6,avglogp_l=-3,nll=1e-6)': 'a loss of training',
  'dpo(pi_w=-12,pi_l=-15,ref_w=-13,ref_l=-14,beta=0.1)': 'a loss of training',
  'simpo(avg_w=-0.5,avg_l=-1.2,beta=2,gamma=0.5)': 'a loss of training',
  'refusal_score(p=0.8)=log(p/(1-p))': 'of answers',
  shapley_game: 'of interventions',
  shapley: 'of interventions',
};

describe('science.json', () => {
  it('has each key in a test, or a reason why not', () => {
    const answered = [...Object.values(held).flat(), ...Object.keys(absent)];
    expect(answered.toSorted()).toEqual(Object.keys(oracle).toSorted());
  });

  it.each(Object.entries(held))('is read by %s', (file, keys) => {
    const text = readFileSync(new URL(`../${file}`, import.meta.url), 'utf8');
    expect(keys.filter((key) => !text.includes(key))).toEqual([]);
  });
});

describe('keys that no other test reads', () => {
  /** The oracle's `data1`. */
  const labels = stripedLabels(40);
  const rows = sines(40, 6, 1);
  labels.forEach((label, i) => {
    rows.data[i * 6] += 0.8 * label;
    rows.data[i * 6 + 2] -= 0.5 * label;
  });

  it('are the positives of data1 and the bits of uniform labels', () => {
    expect(labels.filter((label) => label === 1)).toHaveLength(oracle['data1_n_pos']);
    // One class in every block before the last teaches nothing: each label costs one bit.
    const { bits } = here(onlineCode(rows, labels, {}, [40]));
    expect(bits).toBe(oracle['mdl_uniform_bits']);
  });

  it('are equal class means after LEACE, and one direction of two discriminants', () => {
    const erased = erase(fitLeace(rows, labels), rows);
    const of = (value: number): number[] => [...labels.keys()].filter((i) => labels[i] === value);
    const [one, zero] = [1, 0].map((value) => columnMeans(erased, of(value)));
    const gap = Math.max(...one.map((mean, j) => Math.abs(mean - zero[j])));
    // The oracle's own gap is 2.5e-16: rounding.
    expect(Math.abs(gap - oracle['leace_max_class_mean_gap_after'])).toBeLessThan(1e-12);
    const direction: number[] = readGolden('oracles/science.json')['mm_iid_direction(pinv(Sw)@dm)'];
    const found = cosine(fitDiscriminant(rows, labels).coef, direction);
    expect(Math.abs(found - oracle['cos(LDA,mm_iid)'])).toBeLessThan(1e-9);
  });
});

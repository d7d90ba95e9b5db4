/** Is every number of the oracle held against something? Key by key, so that none is forgotten. */

import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { readGolden } from '../support/sines.ts';

/** What is no number to hold, or waits for what is not built. */
const without: Readonly<Record<string, string>> = {
  generator: 'how rows are made',
  data1: 'how rows are made',
  data2: 'how rows are made',
  data1_n_pos: 'how rows are made',
  'cos(LDA,mm_iid)': 'both sides of it are held',
  leace_max_class_mean_gap_after: 'rounding of the reference; the test asks for none',
  mdl_uniform_bits: 'log₂ 2 for each of 40 rows',
  'orpo(avglogp_w=-0.5,avglogp_l=-1.2,nll=0.5,lambda=0.1)': 'a loss of training',
  'orpo_d/d(avglogp_w)_of_log_odds': 'a loss of training',
  'orpo(avglogp_w=-1e-6,avglogp_l=-3,nll=1e-6)': 'a loss of training',
  'dpo(pi_w=-12,pi_l=-15,ref_w=-13,ref_l=-14,beta=0.1)': 'a loss of training',
  'simpo(avg_w=-0.5,avg_l=-1.2,beta=2,gamma=0.5)': 'a loss of training',
  'refusal_score(p=0.8)=log(p/(1-p))': 'behaviour',
  shapley_game: 'shares of interventions',
  shapley: 'shares of interventions',
};

it('each key of science.json is in a test, or in the list of those without one', () => {
  const sources = readdirSync(new URL('.', import.meta.url))
    .filter((file) => file.endsWith('.test.ts') && file !== 'oracleKeys.test.ts')
    .map((file) => readFileSync(new URL(file, import.meta.url), 'utf8'));
  const isNamed = (key: string): boolean =>
    sources.some(
      (text) =>
        text.includes(`'${key}'`) || (/^\w+$/.test(key) && new RegExp(`\\.${key}\\b`).test(text)),
    );
  const keys = Object.keys(readGolden('oracles/science.json'));
  expect(keys.filter((key) => !isNamed(key) && !Object.hasOwn(without, key))).toEqual([]);
  expect(Object.keys(without).filter((key) => !keys.includes(key))).toEqual([]);
});

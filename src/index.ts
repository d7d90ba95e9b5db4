/**
 * The library's public names; everything else may change without notice.
 *
 * The command line is a thin layer over these: a run is planned, carried out, opened again, and
 * studied.
 */

export { UserError, type ErrorCode } from './base/errors.ts';
export type { Progress, ShouldStop } from './base/progress.ts';
export type { Manifest, RowRecord } from './contract/manifest.ts';
export type { Finding, ProbeCurve, Projection, Report, ShiftCurve } from './contract/report.ts';
export { openCheckpoint, type Checkpoint } from './files/checkpoint.ts';
export { rowsOf, type Rows } from './math/rows.ts';
export { openModel, type Model } from '../models/model.ts';
export { evaluateProbe, type Evaluation } from '../probes/evaluate.ts';
export { fitPca, project } from '../probes/pca.ts';
export { score, type LinearProbe } from '../probes/probe.ts';
export { extract, type ExtractOptions, type ExtractResult } from './record/extract.ts';
export { generate, type AnswerRecord, type GenerateOptions } from './record/generate.ts';
export { readGolden, readNoiseFloor } from './record/golden.ts';
export { compareWithGolden, type ParityResult } from './record/parity.ts';
export { planExtraction, type ExtractRequest, type Plan } from './record/plan.ts';
export { planAnswers, type AnswersPlan, type AnswersRequest } from './record/planAnswers.ts';
export { openRun, type Run } from './record/run.ts';
export { probeCurve, type CurveRequest } from './study/curves.ts';
export { projection, type ProjectionRequest } from './study/projections.ts';
export { lintPrompts, type LintOptions, type LintResult } from './study/lint/lint.ts';
export { readReport } from './study/report.ts';
export { shiftCurve, type ShiftRequest } from './study/shifts.ts';
export { readDesign, type Design } from './text/design.ts';
export { designRows, type DesignRow } from './text/designRows.ts';
export { readPrompts, type Prompt, type PromptSet } from './text/prompts.ts';

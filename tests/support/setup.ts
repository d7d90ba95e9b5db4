/** Runs before each test file: the same random cases everywhere, and no telemetry from onnxruntime. */

import fc from 'fast-check';

// onnxruntime reads this from the process environment when it is loaded, and only then.
process.env['ORT_DISABLE_TELEMETRY'] = '1';

fc.configureGlobal({ seed: 20261121, numRuns: 100 });

/** Loaded into a measured process by `NODE_OPTIONS`; writes down at its end what it used. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

process.on('exit', () => {
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage();
  const usage = { peak: maxRSS / 1024, cpu: (userCPUTime + systemCPUTime) / 1e6 };
  writeFileSync(join(process.env.BENCH_WITNESS, `${process.pid}.json`), JSON.stringify(usage));
});

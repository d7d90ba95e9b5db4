/** What the program starts for heavy commands: the same commands, run here; see child.ts. */

import { abandonDigests } from '../files/digest.ts';
import { consoleHost, main } from './main.ts';
import { stopOnParent } from './signals.ts';

process.exitCode = await main(process.argv.slice(2), consoleHost({ stop: stopOnParent }));

// A command that was refused waits for no weights to be hashed.
abandonDigests();
// The channel to the parent would keep this process alive after its work is done.
if (process.connected) process.disconnect();

/**
 * `npm run test:vm [-- KERNEL...]`: the checks of guest.ts on Debian's own kernels, one machine after the other. Takes
 * about a minute each on an idle machine, so it is no part of `npm test`.
 */
import { join } from 'node:path';
import { REPOSITORY } from '../support/repository.js';
import { KERNELS } from './kernel-image.js';
import { runInMachine } from './machine.js';

const TIMEOUT_MS = 600_000;
const GUEST = join(REPOSITORY, 'dist', 'test', 'vm', 'guest.js');

const asked = process.argv.slice(2);
let failed = false;
for (const kernel of asked.length > 0 ? asked : Object.keys(KERNELS)) {
  process.stdout.write(`== Debian's ${kernel} ==\n`);
  const result = await runInMachine({
    kernel,
    command: `exec ${process.execPath} ${GUEST}`,
    timeoutMs: TIMEOUT_MS,
    onLine: (line) => process.stdout.write(`${line}\n`),
  });
  const { release, status, seconds } = result;
  const how = status === 0 ? 'all checks passed' : status === null ? 'no answer' : 'checks failed';
  process.stdout.write(`${release}: ${how}, ${seconds.toFixed(0)} s\n`);
  failed ||= status !== 0;
}
process.exitCode = failed ? 1 : 0;

/** `margay node checksystem`: by capability, not by the names of modules (spec/cli.md 9.3). */
import { release } from 'node:os';
import { CodedError } from '../../../base/error.js';
import { probeFeatures } from '../../../kernel/features.js';
import { Exit, type Session } from '../session.js';

const KERNEL_MIN = [5, 17] as const;

export async function checkSystem(session: Session, output: string): Promise<void> {
  if (output !== 'table' && output !== 'json') {
    throw new CodedError(
      'ERR_OUTPUT_FORMAT',
      `unrecognized output format '${output}', expected table or json`,
    );
  }
  const [major = 0, minor = 0] = release().split(/[.-]/).map(Number);
  const isNew = major > KERNEL_MIN[0] || (major === KERNEL_MIN[0] && minor >= KERNEL_MIN[1]);
  const features = probeFeatures();
  const fits = isNew && features.every(({ present, required }) => present || !required);
  if (output === 'json') {
    session.out(`${JSON.stringify({ kernel: release(), fits, features }, null, 2)}\n`);
  } else {
    const width = Math.max(...features.map(({ name }) => name.length), release().length) + 2;
    session.out(`Checking kernel version...\n${release().padEnd(width)}${isNew ? 'OK' : 'FAIL'}\n`);
    session.out('Checking kernel features...\n');
    for (const { name, present, required, consequence } of features) {
      const verdict = present ? 'OK' : required ? `FAIL  ${consequence}` : `WARN  ${consequence}`;
      session.out(`${name.padEnd(width)}${verdict}\n`);
    }
    session.out(
      fits
        ? 'System meets minimum system requirements to run Calico!\n'
        : "System doesn't meet one or more minimum systems requirements to run Calico\n",
    );
  }
  if (!fits) throw new Exit(1);
}

/**
 * `margay cni`, which container runtimes start under the names calico, margay, calico-ipam and margay-ipam. Standard
 * output has the result or the error, as JSON, and nothing else.
 */
import { basename } from 'node:path';
import { errorMessage } from '../../base/error.js';
import { productVersion } from '../../base/version.js';
import { CniError, errorDocument } from './cni-error.js';
import { type CniRequest, commandOf, parseRequest, VERSIONS, versionOf } from './request.js';

/** In answers to VERSION. */
const NEWEST = '1.1.0';

const HELP = `Usage: margay cni [--ipam | -v | -t]

The CNI plugin (versions ${VERSIONS.join(', ')}): started by a container runtime, which gives it CNI_COMMAND and others
in the environment and the network configuration on standard input. Linked under the name calico-ipam or margay-ipam,
or with --ipam, it only assigns addresses.

  -v   the version of this program
  -t   is the datastore reachable?

Example:
  echo '{"cniVersion":"1.0.0","name":"net"}' | CNI_COMMAND=VERSION margay cni
`;

export async function main(args: readonly string[]): Promise<void> {
  const [flag] = args;
  if (flag === '--help' || flag === '-h') process.stdout.write(HELP);
  else if (flag === '-v') process.stdout.write(`v${productVersion()}\n`);
  else if (flag === '-t') process.exitCode = await testStore();
  else if (flag !== undefined && flag !== '--ipam') {
    process.stderr.write(`margay cni: unknown option ${flag}\n${HELP}`);
    process.exitCode = 1;
  } else
    await serve({
      onlyIpam: flag === '--ipam' || basename(process.argv[1] ?? '').endsWith('-ipam'),
    });
}

async function testStore(): Promise<number> {
  const { openStore } = await import('./node.js');
  try {
    const environment = { ...process.env, CNI_COMMAND: 'STATUS' };
    const request = parseRequest(environment, JSON.stringify({ name: 'test' }));
    await using store = await openStore(request);
    await store.list({ kind: 'ClusterInformation' });
    return 0;
  } catch (error) {
    process.stderr.write(`${errorMessage(error)}\n`);
    return 1;
  }
}

async function serve({ onlyIpam }: { readonly onlyIpam: boolean }): Promise<void> {
  const stdin = await readInput();
  try {
    if (commandOf(process.env) === 'VERSION') {
      const answer = { cniVersion: NEWEST, supportedVersions: VERSIONS };
      process.stdout.write(`${JSON.stringify(answer)}\n`);
      return;
    }
    const request = parseRequest(process.env, stdin);
    process.stdout.write(await (onlyIpam ? serveIpam(request) : serveNetwork(request)));
  } catch (error) {
    process.stderr.write(`margay cni: ${errorMessage(error)}\n`);
    process.stdout.write(errorDocument(error, versionOf(stdin)));
    process.exitCode = 1;
  }
}

async function readInput(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

async function serveNetwork(request: CniRequest): Promise<string> {
  switch (request.command) {
    case 'ADD':
      return await (await import('./add.js')).add(request);
    case 'DEL':
      await (await import('./delete.js')).del(request);
      return '';
    case 'GC':
      await (await import('./delete.js')).collect(request);
      return '';
    case 'CHECK':
      await (await import('./check.js')).check(request);
      return '';
    case 'STATUS':
      await (await import('./check.js')).status(request);
      return '';
    case 'VERSION':
      throw new CniError('ERR_CNI_ENVIRONMENT', 'VERSION has been answered');
    default:
      return request.command satisfies never;
  }
}

async function serveIpam(request: CniRequest): Promise<string> {
  const { ipam } = await import('./ipam-plugin.js');
  return await ipam(request);
}

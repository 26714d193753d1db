/** `margay ipam configure` (spec/cli.md 8.5, ipam.md 3). */
import { CodedError } from '../../../base/error.js';
import { ResourceClient } from '../../../datastore/client.js';
import { found } from '../../../ipam/ipam-store.js';
import { Ipam } from '../../../ipam/ipam.js';
import { CONFIGURATION_KEY } from '../../../ipam/settings.js';
import { borrowedFrom } from '../../../ipam/usage.js';
import { API_VERSION } from '../../../model/api/registry.js';
import type { Session } from '../session.js';

export interface ConfigureFlags {
  readonly strictaffinity?: string;
  readonly maxBlocksPerHost?: string;
  readonly kubevirtIpPersistence?: string;
  readonly ipCooldownSeconds?: string;
}

interface Option {
  readonly flag: keyof ConfigureFlags;
  readonly name: string;
  readonly field: string;
  readonly parse: (text: string) => unknown;
  readonly wanted: string;
}

const whole = (text: string): number | undefined =>
  /^\d{1,9}$/.test(text) ? Number(text) : undefined;
const oneOf =
  (...values: readonly string[]) =>
  (text: string): string | undefined =>
    values.find((value) => value.toLowerCase() === text.toLowerCase());

const OPTIONS: readonly Option[] = [
  {
    flag: 'strictaffinity',
    name: 'StrictAffinity',
    field: 'strictAffinity',
    parse: (text) => ({ true: true, false: false })[text.toLowerCase()],
    wanted: 'true or false',
  },
  {
    flag: 'maxBlocksPerHost',
    name: 'MaxBlocksPerHost',
    field: 'maxBlocksPerHost',
    parse: whole,
    wanted: 'a whole number',
  },
  {
    flag: 'kubevirtIpPersistence',
    name: 'KubeVirtVMAddressPersistence',
    field: 'kubeVirtVMAddressPersistence',
    parse: oneOf('Enabled', 'Disabled'),
    wanted: 'Enabled or Disabled',
  },
  {
    flag: 'ipCooldownSeconds',
    name: 'IPCooldownSeconds',
    field: 'ipCooldownSeconds',
    parse: whole,
    wanted: 'a whole number of seconds',
  },
];

export async function configureIpam(session: Session, flags: ConfigureFlags): Promise<void> {
  const changes = OPTIONS.flatMap((option) => {
    const text = flags[option.flag];
    return text === undefined ? [] : [{ ...option, value: parsed(option, text) }];
  });
  if (changes.length === 0) {
    throw new CodedError('ERR_USAGE', 'at least one configuration option must be specified');
  }
  const store = await session.store();
  const current = await found(store.get(CONFIGURATION_KEY));
  const before = (current?.value.spec ?? {}) as Readonly<Record<string, unknown>>;
  const spec: Readonly<Record<string, unknown>> = {
    ...before,
    ...Object.fromEntries(changes.map(({ field, value }) => [field, value])),
  };
  if (Number(spec['maxBlocksPerHost'] ?? 0) > 0 && spec['strictAffinity'] !== true) {
    const reason = 'a host that has all its blocks would borrow from others';
    throw new CodedError(
      'ERR_IPAM_CONFIGURATION',
      `MaxBlocksPerHost above 0 needs StrictAffinity: ${reason}`,
    );
  }
  const metadata = { name: CONFIGURATION_KEY.name };
  const kind = CONFIGURATION_KEY.kind;
  const document = { apiVersion: API_VERSION, kind, metadata, spec } as const;
  // With what was read as the precondition: another writer's change is not undone.
  const revision = current && { resourceVersion: current.revision };
  const client = new ResourceClient(store);
  if (revision === null) await client.create(document);
  else await client.replace({ ...document, metadata: { ...metadata, ...revision } });
  for (const { name, value } of changes) session.out(`Successfully set ${name} to: ${value}\n`);
  if (spec['strictAffinity'] === true && before['strictAffinity'] !== true) {
    await warnOfBorrowed(session, new Ipam(store));
  }
}

function parsed({ parse, wanted, flag }: Option, text: string): unknown {
  const value = parse(text);
  if (value !== undefined) return value;
  const name = flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  throw new CodedError('ERR_USAGE', `--${name}: "${text}" is not ${wanted}`);
}

async function warnOfBorrowed(session: Session, ipam: Ipam): Promise<void> {
  const { blocks } = await ipam.store.listBlocks();
  const { borrowed } = borrowedFrom(blocks.map(({ value }) => value));
  if (borrowed.length === 0) return;
  session.err(
    `Warning: ${borrowed.length} addresses are borrowed from other hosts' blocks; they stay`,
  );
}

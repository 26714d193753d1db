/** `margay diff`: what apply would change, as a unified diff (spec/cli.md 13.7). Exit 0 same, 1 different, 2 error. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { errorMessage } from '../../../base/error.js';
import { runInteractive } from '../../../kernel/command.js';
import type { Resource, ResourceKey } from '../../../model/update.js';
import { storedOrNothing } from '../dry-run.js';
import { type LoadFlags, loadResources } from '../load.js';
import { readable } from '../output/print.js';
import { Exit, type Session } from '../session.js';
import { comparable, wouldBe } from '../would-be.js';
import { pruneItems, type WriteFlags } from '../write-items.js';
import { unifiedDiff } from './unified.js';

function asText(resource: Resource | undefined): string {
  if (resource === undefined) return '';
  const shown = readable(comparable(resource)) as Resource;
  const { creationTimestamp: _, ...metadata } = shown.metadata;
  return stringify({ ...shown, metadata }, { lineWidth: 0 });
}

const label = ({ kind, namespace, name }: ResourceKey): string =>
  [kind, ...(namespace === undefined ? [] : [namespace]), name].join('/');

interface Pair {
  readonly key: ResourceKey;
  readonly live: string;
  readonly wanted: string;
}

async function pairsOf(session: Session, flags: WriteFlags): Promise<readonly Pair[]> {
  const loaded = await loadResources(session, flags as LoadFlags, 'write');
  const store = await session.store();
  const pairs: Pair[] = [];
  for (const { key, resource } of loaded) {
    const current = (await storedOrNothing(store, key))?.value;
    pairs.push({ key, live: asText(current), wanted: asText(wouldBe(resource, current)) });
  }
  if (flags.prune !== true) return pairs;
  for (const { key } of await pruneItems(session, loaded, flags)) {
    const current = await storedOrNothing(store, key);
    pairs.push({ key, live: asText(current?.value), wanted: '' });
  }
  return pairs;
}

function painted(session: Session, text: string): string {
  return text
    .split('\n')
    .map((line) => {
      if (line.startsWith('@@')) return session.paint('cyan', line);
      if (line.startsWith('+')) return session.paint('green', line);
      return line.startsWith('-') ? session.paint('red', line) : line;
    })
    .join('\n');
}

/** The user's own program gets two folders with a file for each object. */
async function external(command: string, pairs: readonly Pair[]): Promise<number> {
  const [program = '', ...args] = command.trim().split(/\s+/);
  const folders = ['live', 'file'].map((name) => mkdtempSync(join(tmpdir(), `margay-${name}-`)));
  const [live = '', wanted = ''] = folders;
  try {
    for (const pair of pairs) {
      const file = `${label(pair.key).replaceAll('/', '.')}.yaml`;
      if (pair.live !== '') writeFileSync(join(live, file), pair.live);
      if (pair.wanted !== '') writeFileSync(join(wanted, file), pair.wanted);
    }
    return await runInteractive([program, ...args, live, wanted]);
  } finally {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  }
}

export async function diff(session: Session, flags: WriteFlags): Promise<void> {
  let differs = false;
  try {
    const pairs = await pairsOf(session, flags);
    const command = process.env['MARGAY_EXTERNAL_DIFF'] || process.env['KUBECTL_EXTERNAL_DIFF'];
    if (command) throw new Exit(await external(command, pairs));
    for (const { key, live, wanted } of pairs) {
      const body = unifiedDiff(live, wanted);
      if (body === '') continue;
      differs = true;
      const head = `--- live/${label(key)}\n+++ file/${label(key)}\n`;
      session.out(painted(session, `${head}${body}`));
    }
  } catch (error) {
    if (error instanceof Exit) throw error;
    for (const line of errorMessage(error).split('\n')) session.err(`Failed to diff: ${line}`);
    throw new Exit(2);
  }
  if (differs) throw new Exit(1);
}

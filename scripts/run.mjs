/** What the scripts share: running programs by argv, one line a step, and stamps of inputs. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const REPOSITORY = dirname(dirname(fileURLToPath(import.meta.url)));
export const CACHE = join(REPOSITORY, '.cache');
const LOG_HEAD_LINES = 15;
const LOG_TAIL_LINES = 30;

/** Stops a script with a message and no stack: the reader can act on it. */
export class Stop extends Error {}

/**
 * Runs a program without a shell and returns its standard output.
 * A failure throws Stop with the end of what it printed.
 */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, {
    cwd: REPOSITORY,
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
  });
  if (result.status === 0) return result.stdout ?? '';
  const reason = result.error?.message ?? `exit ${result.status ?? result.signal}`;
  const call = [command, ...args].join(' ');
  throw new Stop(`${call}: ${reason}\n${excerpt(`${result.stdout ?? ''}${result.stderr ?? ''}`)}`);
}

/** Compilers say it last, npm says it first: both ends of a long output. */
function excerpt(text) {
  const lines = text.trimEnd().split('\n');
  if (lines.length <= LOG_HEAD_LINES + LOG_TAIL_LINES) return lines.join('\n');
  return [...lines.slice(0, LOG_HEAD_LINES), '…', ...lines.slice(-LOG_TAIL_LINES)].join('\n');
}

/** As run(), but null instead of a failure: for questions. */
export function ask(command, args) {
  const result = spawnSync(command, args, { encoding: 'utf8' });
  return result.status === 0 ? result.stdout : null;
}

/** Runs `body` and prints one line: what was done, and how long it took. */
export function step(text, body) {
  const start = performance.now();
  const result = body();
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.error(`margay: ${text} (${seconds} s)`);
  return result;
}

/** Every file below a path, or the file itself; sorted, relative to the repository. */
export function filesBelow(path, keep = () => true) {
  const full = join(REPOSITORY, path);
  if (!existsSync(full)) return [];
  return readdirSync(full, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(REPOSITORY.length + 1))
    .filter(keep)
    .sort();
}

/** One hash over names and contents of files, and over further words. */
export function fingerprint(files, words = []) {
  const hash = createHash('sha256');
  for (const file of files) {
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(REPOSITORY, file)))
      .update('\0');
  }
  for (const word of words) hash.update(`${word}\0`);
  return hash.digest('hex');
}

export function readStamp(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null; // absent or cut short: as if never built
  }
}

export function writeStamp(path, value) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, JSON.stringify(value));
}

/**
 * True in the one process that may work under this lock. Otherwise this very script was run again under
 * flock(1), whose lock the kernel drops with the process, and its exit code is set: return at once.
 */
export function holdLock(name) {
  const mark = `MARGAY_LOCKED_${name.toUpperCase()}`;
  if (process.env[mark] || ask('flock', ['--version']) === null) return true;
  mkdirSync(CACHE, { recursive: true });
  const lock = join(CACHE, `${name}.lock`);
  const again = spawnSync('flock', [lock, process.execPath, ...process.argv.slice(1)], {
    stdio: 'inherit',
    env: { ...process.env, [mark]: '1' },
  });
  process.exitCode = again.status ?? 1;
  return false;
}

/** Runs a script's main function; Stop becomes a message and exit code 1. */
export function main(body) {
  try {
    body();
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    console.error(`margay: ${error.message}`);
    process.exitCode = 1;
  }
}

/** What `margay node status` says of sessions: a table for each family, to the letter as calicoctl draws it. */
import type { Session } from '../../../dataplane/routing/bird/control.js';

const TYPES = { Mesh: 'node-to-node mesh', Node: 'node specific', Global: 'global' } as const;
const HEADINGS = ['PEER ADDRESS', 'PEER TYPE', 'STATE', 'SINCE', 'INFO'] as const;

/** null: BIRD was not heard, and why. */
export function describeSessions(
  sessions: readonly Session[] | null,
  problem: string | null,
): string {
  if (sessions === null) {
    const isAbsent = problem?.includes('ENOENT') === true;
    return isAbsent
      ? '\nNone of the BGP backend processes (BIRD or GoBGP) are running.\n'
      : `\nError querying BIRD: ${problem}\n`;
  }
  return ([4, 6] as const)
    .map((family) => {
      const own = sessions.filter(({ ip }) => ip.includes(':') === (family === 6));
      const body = own.length === 0 ? `No IPv${family} peers found.\n` : table(own);
      return `\nIPv${family} BGP status\n${body}`;
    })
    .join('');
}

/** Borders and centred headings, as calicoctl draws them. */
function table(sessions: readonly Session[]): string {
  const rows = sessions.map(({ ip, kind, state, since, info }) => [
    ...[ip, TYPES[kind], state, since, info],
  ]);
  const widths = HEADINGS.map((heading, i) =>
    Math.max(heading.length, ...rows.map((row) => row[i]?.length ?? 0)),
  );
  const rule = `+${widths.map((width) => '-'.repeat(width + 2)).join('+')}+`;
  const line = (cells: readonly string[]): string =>
    `|${cells.map((cell, i) => ` ${cell.padEnd(widths[i] ?? 0)} `).join('|')}|`;
  const centred = HEADINGS.map((heading, i) => {
    const room = (widths[i] ?? 0) - heading.length;
    return `${' '.repeat(Math.floor(room / 2))}${heading}`;
  });
  return `${[rule, line(centred), rule, ...rows.map(line), rule].join('\n')}\n`;
}

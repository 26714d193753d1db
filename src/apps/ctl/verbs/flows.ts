/** `margay flows`: its arguments; the work is in ../flows/. */
import type { Command } from 'commander';
import { FILTER_FIELDS, type FilterTerm } from '../../../observe/flow-filter.js';
import { addExamples } from '../examples.js';
import type { FlowsFlags } from '../flows/command.js';
import type { Run } from '../verb.js';

const ABOUT: Readonly<Record<string, string>> = {
  verdict: 'Allow or Deny',
  type: 'verdict, drop or end',
  reason: 'policy, or why else a packet was dropped: spoofed, not-ready, ...',
  protocol: 'tcp, udp, icmp, icmp6, sctp or a number',
  direction: 'ingress or egress: whose policy decided',
  policy: 'part of [TIER|][KIND:][NAMESPACE/]NAME',
  port: 'number or range 8000-8080, at either end',
  ip: 'address or network, at either end',
  pod: '[NAMESPACE/]NAME-PREFIX of a workload, at either end',
  namespace: 'at either end',
};

function aboutOf(field: string): string {
  const base = ABOUT[field.replace(/^(from|to)-/, '')] ?? '';
  if (field.startsWith('from-')) return base.replace('at either end', 'of the source');
  if (field.startsWith('to-')) return base.replace('at either end', 'of the destination');
  return base;
}

export function define(command: Command, run: Run): void {
  const filter: FilterTerm[] = [];
  let negated = false;
  command
    .option('--last <n>', 'the newest N (default 20)')
    .option('--first <n>', 'the oldest N that are kept')
    .option('--all', 'all that are kept')
    .option('-f, --follow', 'go on with what comes')
    .option('--since <time>', 'RFC 3339, Unix seconds, or how long ago: 5m')
    .option('--until <time>', 'the same')
    .option('-o, --output <format>', 'compact, json (an object per line) or dict', 'compact')
    .option('--numeric', 'addresses in place of names')
    .option('--print-node-name', 'say which host told')
    .option('--fail-on <verdict>', 'deny: exit 3 if a denied packet was shown')
    .option('--not', 'the next filter must not hold');
  command.on('option:not', () => {
    negated = true;
  });
  for (const field of FILTER_FIELDS) {
    const short = field === 'namespace' ? '-n, ' : '';
    command.option(`${short}--${field} <value>`, aboutOf(field), (value: string) => {
      filter.push({ field, value, ...(negated ? { not: true } : {}) });
      negated = false;
      return value;
    });
  }
  command.addHelpText(
    'after',
    `
What this host's agent saw (MARGAY_RUN_DIR): connections when they begin and end, denied packets once a second.
A filter given several times means any of its values; different filters must all hold.`,
  );
  addExamples(command, 'margay flows --last 50 --namespace shop --verdict Deny');
  command.action(() =>
    run(async (session) => {
      const { flows } = await import('../flows/command.js');
      await flows(session, command.opts<FlowsFlags>(), filter);
    }),
  );
}

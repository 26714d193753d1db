/** `npm run demo`: three hosts, six workloads, plain Calico policies, and what really gets through. */
import { join } from 'node:path';
import { REPOSITORY } from '../../support/repository.js';
import { Capture } from '../capture.js';
import { Lab, workloadManifest } from '../lab.js';
import { LabRun } from '../lab-run.js';
import { allFlows, differences, drawMatrix, probeAll } from '../matrix.js';
import { OVERLAY, PLAN, SERVICES, STEPS, type Step } from './story.js';
import { compareEndToEnd, PLAIN_ROUTING, withMargay } from '../../../bench/end-to-end.js';

const say = (text = ''): void => {
  process.stdout.write(`${text}\n`);
};

const names = PLAN.workloads.map((workload) => workload.name);
const flows = allFlows(names, SERVICES);

/** Applies one step and probes; returns how many flows are not as expected. */
async function show(lab: Lab, step: Step): Promise<number> {
  say(`\n== ${step.title} ==`);
  say(`$ margay apply -f examples/${step.file} --wait`);
  say(
    (
      await lab.mustMargay(['apply', '-f', join(REPOSITORY, 'examples', step.file), '--wait'])
    ).trimEnd(),
  );
  const probed = await probeAll(lab, flows);
  say(drawMatrix(names, SERVICES, probed, step.expected));
  const wrong = differences(flows, probed, step.expected);
  for (const line of wrong) say(`  NOT AS EXPECTED ${line}`);
  say(
    `probed ${flows.length} flows: ${flows.length - wrong.length} as expected, ${wrong.length} not`,
  );
  return wrong.length;
}

async function showRestart(lab: Lab): Promise<number> {
  const last = STEPS.at(-1);
  if (!last) return 0;
  say('\n== agents killed with SIGKILL: the kernel keeps enforcing ==');
  for (const host of lab.hosts.keys()) await lab.stopAgent(host, 'SIGKILL');
  const probed = await probeAll(lab, flows);
  const wrong = differences(flows, probed, last.expected);
  say(`probed ${flows.length} flows without any agent: ${wrong.length} not as expected`);
  await lab.startAgents();
  const again = differences(flows, await probeAll(lab, flows), last.expected);
  say(`agents started again and adopted what was there: ${again.length} not as expected`);
  return wrong.length + again.length;
}

/** The same policies, while packets between hosts travel encapsulated. */
async function showOverlay(lab: Lab): Promise<number> {
  say('\n== overlay: the same again, with IP-in-IP between the hosts ==');
  say(`$ margay apply -f examples/${OVERLAY} --wait`);
  const example = (file: string): string => join(REPOSITORY, 'examples', file);
  say((await lab.mustMargay(['apply', '-f', example(OVERLAY), '--wait'])).trimEnd());
  const capture = await Capture.start(lab.run.netns('net'), 'h1', 'ip proto 4');
  await lab.reaches('admin', 'web1', 'tcp', 80);
  const [packet = 'NOTHING encapsulated was seen'] = await capture.stop();
  say(`On h1's link: ${packet}`);
  let wrong = packet.includes('10.65.') ? 0 : 1;
  const policies = STEPS.slice(1).map(({ file }) => example(file));
  await lab.mustMargay(['delete', ...policies.flatMap((file) => ['-f', file]), '--wait']);
  for (const [index, step] of STEPS.entries()) {
    if (index > 0) await lab.mustMargay(['apply', '-f', example(step.file), '--wait']);
    const different = differences(flows, await probeAll(lab, flows), step.expected);
    for (const line of different) say(`  NOT AS EXPECTED ${line}`);
    say(`${step.title.padEnd(50)} ${flows.length - different.length} as expected`);
    wrong += different.length;
  }
  return wrong;
}

async function showThroughput(): Promise<void> {
  const comparisons = await compareEndToEnd({
    configurations: [PLAIN_ROUTING, withMargay(10)],
    tests: ['rr', 'stream'],
    rounds: 12,
    seconds: 0.15,
  });
  for (const { test, configuration, rate, ratio, wins, rounds } of comparisons) {
    const unit = test === 'stream' ? 'Gbit/s' : 'round trips/s';
    const against =
      configuration === 'plain'
        ? ''
        : `, ${ratio.median.toFixed(2)} x plain, faster in ${wins} of ${rounds} rounds`;
    say(`${test.padEnd(7)} ${configuration.padEnd(10)} ${rate.toFixed(1)} ${unit}${against}`);
  }
}

function sayHints(lab: Lab): void {
  const host = lab.host('h1');
  say(`
The lab keeps running. Try (as root):
  export MARGAY_DATASTORE_PATH=${lab.storePath}
  bin/margay status
  bin/margay get networkpolicy -A -o wide
  bin/margay delete -f examples/10-default-deny.yaml --wait
  nsenter --net=/run/netns/${lab.workload('admin').netns} ping -c 3 ${lab.workload('web1').address}
  nsenter --net=/run/netns/${host.netns} ip route
Remove it:
  npm run demo -- --clean`);
}

async function demo(keep: boolean): Promise<number> {
  const started = Date.now();
  say(`Building ${PLAN.hosts.length} hosts and ${names.length} workloads ...`);
  await using lab = await Lab.build(PLAN);
  await lab.startAgents();
  say(`Agents are ready on ${[...lab.hosts.keys()].join(', ')}.`);
  for (const workload of lab.workloads.values()) {
    await lab.mustMargay(['apply', '-f', '-'], workloadManifest(workload));
  }
  say((await lab.mustMargay(['get', 'workloadendpoints', '-A'])).trimEnd());
  say(
    `\nRows are sources, columns destinations; marks: ${SERVICES.map((s) => (s.protocol === 'icmp' ? 'ICMP' : `${s.protocol.toUpperCase()} ${s.port}`)).join(', ')}.`,
  );
  say('+ passes as expected, . dropped as expected, ! not as expected');
  let wrong = 0;
  for (const step of STEPS) wrong += await show(lab, step);
  wrong += await showRestart(lab);
  wrong += await showOverlay(lab);
  say('\n== throughput: the same path with Margay and with plain routing, in turns ==');
  await showThroughput();
  say(`\n$ margay status\n${(await lab.mustMargay(['status'])).trimEnd()}`);
  say(
    `\n${wrong === 0 ? 'Everything as expected' : `${wrong} flows NOT as expected`}, in ${((Date.now() - started) / 1000).toFixed(0)} s.`,
  );
  if (keep) {
    lab.run.keep();
    sayHints(lab);
  }
  return wrong === 0 ? 0 : 1;
}

if (process.getuid?.() !== 0) {
  process.stderr.write(
    'The demo makes network namespaces and loads eBPF programs: run it as root.\n',
  );
  process.exitCode = 1;
} else if (process.argv.includes('--clean')) {
  const kept = LabRun.kept();
  for (const run of kept) run.remove();
  LabRun.sweep();
  say(`Removed ${kept.length} kept lab(s).`);
} else {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      LabRun.removeOwn();
      process.exit(130);
    });
  }
  process.exit(await demo(process.argv.includes('--keep')));
}

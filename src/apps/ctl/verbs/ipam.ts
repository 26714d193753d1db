/** `margay ipam`: its sub-commands; the work is in ../ipam/. */
import type { Command } from 'commander';
import { addExamples } from '../examples.js';
import type { CheckFlags } from '../ipam/check.js';
import type { ConfigureFlags } from '../ipam/configure.js';
import type { ReleaseFlags } from '../ipam/release.js';
import type { ShowFlags } from '../ipam/show.js';
import type { SplitFlags } from '../ipam/split.js';
import type { Run } from '../verb.js';

const collect = (value: string, all: readonly string[] = []): readonly string[] => [...all, value];

export function define(command: Command, run: Run): void {
  defineShow(command.command('show'), run);
  defineCheck(command.command('check'), run);
  defineRelease(command.command('release'), run);
  defineConfigure(command.command('configure'), run);
  defineSplit(command.command('split'), run);
}

function defineShow(command: Command, run: Run): void {
  command
    .description('Show how full pools are, who has an address, or the configuration.')
    .option('--ip <ip>', 'who has this address')
    .option('--show-blocks', 'the blocks of each pool as well')
    .option('--show-borrowed', 'addresses whose host does not own their block')
    .option('--show-configuration', 'the options of address management')
    .option('-o, --output <format>', 'table, json or yaml', 'table');
  addExamples(command, 'margay ipam show --show-blocks', 'margay ipam show --ip 10.65.1.2');
  command.action(() =>
    run(async (session) => {
      const { showIpam } = await import('../ipam/show.js');
      await showIpam(session, command.opts<ShowFlags>());
    }),
  );
}

function defineCheck(command: Command, run: Run): void {
  command
    .description('Compare what is allocated with what is in use. Changes nothing.')
    .option('--show-all-ips', 'name every allocated address')
    .option('--show-problem-ips', 'name the addresses and handles that are a problem')
    .option('-o, --output <file>', 'write a report for `ipam release --from-report`')
    .option('--exit-code', 'exit 3 when there are problems');
  addExamples(command, 'margay ipam check --show-problem-ips');
  command.action(() =>
    run(async (session) => {
      const { runCheck } = await import('../ipam/check.js');
      await runCheck(session, command.opts<CheckFlags>());
    }),
  );
}

function defineRelease(command: Command, run: Run): void {
  command
    .description('Release an address, or what reports of `ipam check` agree is leaked.')
    .option('--ip <ip>', 'release this address, whoever has it')
    .option('--from-report <file>', 'report of `ipam check -o`; may be repeated', collect)
    .option('--force', 'with --from-report: in spite of version, age or an unlocked datastore')
    .option('-y, --yes', 'do not ask, even if a workload uses the address');
  addExamples(command, 'margay ipam release --ip 10.65.1.2 --yes');
  command.action(() =>
    run(async (session) => {
      const { releaseAddresses } = await import('../ipam/release.js');
      await releaseAddresses(session, command.opts<ReleaseFlags>());
    }),
  );
}

function defineConfigure(command: Command, run: Run): void {
  command
    .description('Change options of address management; the others keep their values.')
    .option(
      '--strictaffinity <bool>',
      'true: hosts never borrow addresses from each other’s blocks',
    )
    .option(
      '--max-blocks-per-host <number>',
      'blocks a host may own per family; 0: the built-in 20',
    )
    .option('--kubevirt-ip-persistence <mode>', 'Enabled or Disabled')
    .option('--ip-cooldown-seconds <number>', 'how long a released address is not used again');
  addExamples(command, 'margay ipam configure --strictaffinity=true');
  command.action(() =>
    run(async (session) => {
      const { configureIpam } = await import('../ipam/configure.js');
      await configureIpam(session, command.opts<ConfigureFlags>());
    }),
  );
}

function defineSplit(command: Command, run: Run): void {
  command
    .description('Replace a pool by smaller ones; the datastore must be locked.')
    .argument('<number>', 'of parts, a power of two')
    .option('--cidr <cidr>', 'the pool by its range')
    .option('--name <pool>', 'the pool by its name');
  addExamples(command, 'margay ipam split 4 --name pods');
  command.action((parts: string) =>
    run(async (session) => {
      const { splitIpam } = await import('../ipam/split.js');
      await splitIpam(session, parts, command.opts<SplitFlags>());
    }),
  );
}

/** `margay node`: this host's agent and its sessions; the work is in ../node/. */
import type { Command } from 'commander';
import { addExamples } from '../examples.js';
import type { RunFlags } from '../node/run.js';
import type { Run } from '../verb.js';

export function define(command: Command, run: Run): void {
  defineRun(command.command('run'), run);
  defineStatus(command.command('status'), run);
  defineCheck(command.command('checksystem'), run);
  defineDiags(command.command('diags'), run);
}

function defineRun(command: Command, run: Run): void {
  command
    .description("Run this host's agent in the foreground, with what these options say.")
    .option('--name <name>', "this host's name (NODENAME)")
    .option('--ip <ip>', "this host's IPv4 address, or autodetect (IP)")
    .option('--ip6 <ip>', 'its IPv6 address, or autodetect (IP6)')
    .option('--as <number>', 'its AS number, also as a.b (AS)')
    .option('--ip-autodetection-method <method>', 'how --ip=autodetect finds it')
    .option('--ip6-autodetection-method <method>', 'how --ip6=autodetect finds it')
    .option('--backend <backend>', 'direct, bird, vxlan or none (CALICO_NETWORKING_BACKEND)')
    .option('--no-default-ippools', 'make no address pools (NO_DEFAULT_POOLS)')
    .option('--init-system', 'accepted for calicoctl: the agent is always in the foreground')
    .option('--dryrun', 'print the command only');
  addExamples(command, 'margay node run --ip=autodetect --backend=bird --dryrun');
  command.action(() =>
    run(async (session) => {
      const { runNode } = await import('../node/run.js');
      await runNode(session, command.opts<RunFlags>());
    }),
  );
}

function defineStatus(command: Command, run: Run): void {
  command
    .description("Show whether this host's agent runs, and its BGP sessions.")
    .option('-o, --output <format>', 'table or json', 'table');
  addExamples(command, 'margay node status');
  command.action(() =>
    run(async (session) => {
      const { showNodeStatus } = await import('../node/status.js');
      await showNodeStatus(session, command.opts<{ readonly output: string }>().output);
    }),
  );
}

function defineCheck(command: Command, run: Run): void {
  command
    .description('Check whether this system has what the agent needs.')
    .option('-o, --output <format>', 'table or json', 'table');
  addExamples(command, 'margay node checksystem');
  command.action(() =>
    run(async (session) => {
      const { checkSystem } = await import('../node/check-system.js');
      await checkSystem(session, command.opts<{ readonly output: string }>().output);
    }),
  );
}

function defineDiags(command: Command, run: Run): void {
  command
    .description('Collect what helps to find out what is wrong with this host.')
    .option('--log-dir <directory>', 'logs to add', '/var/log/calico')
    .option('-o, --output <file>', 'where to; default: a file in a new directory below /tmp');
  addExamples(command, 'margay node diags');
  command.action(() =>
    run(async (session) => {
      const { collectDiags } = await import('../node/diags.js');
      const { logDir, output } = command.opts<{
        readonly logDir: string;
        readonly output?: string;
      }>();
      await collectDiags(session, { logDir, ...(output === undefined ? {} : { output }) });
    }),
  );
}

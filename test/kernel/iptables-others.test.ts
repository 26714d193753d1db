/**
 * Rules and sets of others, before, while and after ours are written: theirs stay as they are, and ours come back when
 * somebody takes them away. Real tables of both kinds, both families.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { DesiredUpdate } from '../../src/model/desired.js';
import { type Backend, IptablesProcess } from './iptables.js';
import type { IptablesProcessOptions } from './iptables-process.js';
import { WorkloadWorld } from './workload-world.js';

const run = promisify(execFile);
const FAMILIES = ['ip', 'ip6'] as const;
const TABLES = ['raw', 'mangle', 'nat', 'filter'] as const;
type Program = (typeof FAMILIES)[number];

const RULES = [{ action: 'allow' as const, index: 0 }];
const TIER = { name: 'default', defaultAction: 'deny' as const };
const stage = (direction: 'ingress' | 'egress') => [
  { ...TIER, ingress: [], egress: [], [direction]: ['GlobalNetworkPolicy/p'] },
];

/** Something of ours in each table: a source check, a host endpoint with early policy, masquerading. */
const WANTED = [
  { type: 'ip-set', id: 's', kind: 'net', members: ['10.9.0.0/16', 'fd09::/64'] },
  {
    type: 'policy',
    id: 'GlobalNetworkPolicy/p',
    policy: {
      tier: 'default',
      ingress: [{ action: 'deny', protocol: 6, source: { ipSets: ['s'] }, index: 0 }, ...RULES],
      egress: RULES,
    },
  },
  { type: 'profile', id: 'open', profile: { ingress: RULES, egress: RULES } },
  {
    type: 'workload-endpoint',
    id: 'default/a',
    endpoint: {
      interfaceName: 'calia',
      addresses: ['10.65.0.1', 'fd65::1'],
      tiers: stage('ingress'),
      profiles: ['open'],
    },
  },
  {
    type: 'workload-endpoint',
    id: 'default/b',
    endpoint: { interfaceName: 'calib', addresses: ['10.65.0.2'], tiers: [], profiles: ['open'] },
  },
  {
    type: 'host-endpoint',
    id: 'h',
    endpoint: {
      interfaceName: 'eth0',
      expectedIPs: [],
      profiles: [],
      tiers: {
        untracked: stage('egress'),
        preDnat: stage('ingress'),
        normal: stage('ingress'),
        forward: stage('ingress'),
      },
    },
  },
  { type: 'pool', name: 'p', pool: { cidr: '10.65.0.0/16', natOutgoing: true } },
  { type: 'pool', name: 'p6', pool: { cidr: 'fd65::/64', natOutgoing: true } },
  { type: 'in-sync' },
] as unknown as readonly DesiredUpdate[];

/** A host firewall and a container runtime, as their rules look. */
const othersScript = (program: Program): string => {
  const net = program === 'ip' ? '172.30.0.0/16' : 'fd30::/64';
  const target = program === 'ip' ? '172.30.0.2:80' : '[fd30::2]:80';
  const hooked = ['PREROUTING', 'OUTPUT'].map((chain) => `-A ${chain} -j FIREWALL`);
  return [
    '*raw',
    ':FIREWALL - [0:0]',
    ...hooked,
    '-A FIREWALL -p tcp -m tcp --dport 9 -j DROP',
    'COMMIT',
    '*mangle',
    ':FIREWALL - [0:0]',
    '-A PREROUTING -j FIREWALL',
    '-A FIREWALL -p udp -j MARK --set-xmark 0x1/0x1',
    'COMMIT',
    '*nat',
    ':RUNTIME - [0:0]',
    '-A PREROUTING -m addrtype --dst-type LOCAL -j RUNTIME',
    `-A POSTROUTING -s ${net} ! -o docker0 -j MASQUERADE`,
    `-A RUNTIME ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination ${target}`,
    'COMMIT',
    '*filter',
    ':FIREWALL - [0:0]',
    ':RUNTIME - [0:0]',
    '-A INPUT -j FIREWALL',
    '-A FORWARD -j RUNTIME',
    '-A FIREWALL -p tcp -m tcp --dport 2222 -m comment --comment "a word about it" -j ACCEPT',
    `-A RUNTIME -d ${net} ! -i docker0 -o docker0 -j ACCEPT`,
    'COMMIT',
    '',
  ].join('\n');
};

class OthersWorld implements AsyncDisposable {
  readonly world: WorkloadWorld;
  readonly #backend: Backend;
  #process: IptablesProcess | undefined;

  constructor(backend: Backend) {
    this.#backend = backend;
    this.world = new WorkloadWorld(`o${backend[0]}`);
    this.world.addWorkload('a', '10.65.0.1', 'fd65::1');
    this.world.addWorkload('b', '10.65.0.2');
    this.world.ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0-far');
    this.world.ip('link', 'set', 'eth0', 'up');
  }

  start(options: IptablesProcessOptions = {}, environment: NodeJS.ProcessEnv = {}): void {
    this.#process = new IptablesProcess(this.world.path, this.#backend, {
      ...options,
      environment,
    });
  }

  async stop(): Promise<void> {
    await this.#process?.ask({ do: 'close' });
    await this.#process?.exited;
    this.#process = undefined;
  }

  async ask(request: Parameters<IptablesProcess['ask']>[0]): Promise<unknown> {
    return this.#process?.ask(request);
  }

  async apply(...updates: readonly DesiredUpdate[]): Promise<void> {
    expect(await this.ask({ do: 'apply', updates })).toBe('applied');
  }

  /** A program in the host's namespace. */
  inside(program: string, args: readonly string[], input = ''): string {
    const argv = [`--net=${this.world.path}`, program, ...args];
    return execFileSync('nsenter', argv, { encoding: 'utf8', input, stdio: 'pipe' });
  }

  iptables(program: Program, ...args: readonly string[]): void {
    this.inside(`${program}tables-${this.#backend}`, ['-w', ...args]);
  }

  restore(program: Program, script: string): void {
    const wait = this.#backend === 'legacy' ? ['--wait'] : [];
    this.inside(`${program}tables-${this.#backend}-restore`, ['--noflush', ...wait], script);
  }

  /** Every line of all tables but comments and counters; ours, or those of the others. */
  lines(whose: 'ours' | 'others'): readonly string[] {
    return FAMILIES.flatMap((program) =>
      TABLES.flatMap((table) => {
        const save = [`${program}tables-${this.#backend}-save`, ['-t', table]] as const;
        return this.inside(...save)
          .split('\n')
          .filter((line) => /^[:-]/.test(line) && line.includes('mgy-') === (whose === 'ours'))
          .map((line) => `${program} ${table} ${line.replace(/ \[\d+:\d+\]$/, '')}`);
      }),
    );
  }

  /** Our jump's place among the rules of one of the kernel's chains, and how many those are. */
  place(program: Program, table: string, chain: string): readonly [number, number] {
    const save = this.inside(`${program}tables-${this.#backend}-save`, ['-t', table]);
    const rules = save.split('\n').filter((line) => line.startsWith(`-A ${chain} `));
    return [rules.indexOf(`-A ${chain} -j mgy-${chain}`), rules.length];
  }

  sets(): readonly string[] {
    const saved = this.inside('ipset', ['save']).trim().split('\n');
    return saved.filter((line) => line.startsWith('add')).sort();
  }

  /** Does what the agent's loop does, until it holds. The test's time limit is the bound. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      await this.ask({ do: 'until-dirty' });
      // While somebody else interferes, an apply may fail; the next one follows.
      await this.ask({ do: 'apply', updates: [] });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process?.kill();
    this.world[Symbol.dispose]();
  }
}

describe.each(['legacy', 'nft'] as const)('beside the rules of others, %s', (backend) => {
  let others: OthersWorld;
  const open = (...options: Parameters<OthersWorld['start']>): OthersWorld => {
    others = new OthersWorld(backend);
    others.start(...options);
    return others;
  };
  afterEach(async () => others[Symbol.asyncDispose]());

  test('those that are there before, come meanwhile, and after, stay as they are', async () => {
    const host = open();
    for (const program of FAMILIES) host.restore(program, othersScript(program));
    const before = host.lines('others');
    await host.apply(...WANTED);
    expect(host.lines('others')).toEqual(before);
    expect(host.lines('ours').length).toBeGreaterThan(100);

    // Both write at the same time, each to the other's tables.
    const theirs = Array.from({ length: 20 }, (_, port) => port + 1).map(async (port) => {
      const rule = ['-p', 'tcp', '-m', 'tcp', '--dport', String(port), '-j', 'ACCEPT'];
      for (const program of FAMILIES) {
        const argv = [`${program}tables-${backend}`, '-w', '-A', 'FORWARD', ...rule];
        await run('nsenter', [`--net=${host.world.path}`, ...argv]);
      }
    });
    const updates = Array.from({ length: 10 }, (_, at) => ({
      ...WANTED[1],
      policy: {
        tier: 'default',
        ingress: [{ action: 'deny', protocol: at, index: 0 }],
        egress: [],
      },
    })) as unknown as readonly DesiredUpdate[];
    for (const update of updates) await host.ask({ do: 'apply', updates: [update] });
    await Promise.all(theirs);
    await host.apply(...WANTED.slice(1, 2));
    const added = host.lines('others').filter((line) => !before.includes(line));
    expect(new Set(added).size).toBe(40);
    const meanwhile = host.lines('others');
    expect(before.filter((line) => !meanwhile.includes(line))).toEqual([]);

    // Resync, another process, and the end: they are what they were.
    await host.ask({ do: 'writes' });
    expect(await host.ask({ do: 'resync' })).toBe('applied');
    expect(await host.ask({ do: 'writes' })).toBe(0);
    const ours = host.lines('ours');
    await host.stop();
    host.start();
    await host.apply(...WANTED);
    expect(await host.ask({ do: 'writes' })).toBe(0);
    expect(host.lines('ours')).toEqual(ours);
    expect(host.lines('others')).toEqual(meanwhile);
    await host.ask({ do: 'cleanup' });
    expect(host.lines('ours')).toEqual([]);
    expect(host.lines('others')).toEqual(meanwhile);
  });

  test.each(['insert', 'append'] as const)('%s: our jumps keep their place', async (insertMode) => {
    const host = open({ insertMode });
    for (const program of FAMILIES) host.restore(program, othersScript(program));
    await host.apply(...WANTED);
    const expectPlaces = (): void => {
      for (const [program, table, chain] of FAMILIES.flatMap((one) => [
        [one, 'filter', 'FORWARD'] as const,
        [one, 'raw', 'PREROUTING'] as const,
        [one, 'nat', 'POSTROUTING'] as const,
        [one, 'mangle', 'PREROUTING'] as const,
      ])) {
        const [at, count] = host.place(program, table, chain);
        expect([program, table, chain, at]).toEqual([
          ...[program, table, chain],
          insertMode === 'insert' ? 0 : count - 1,
        ]);
      }
    };
    expectPlaces();
    // Somebody else wants the same place.
    const flag = insertMode === 'insert' ? '-I' : '-A';
    for (const program of FAMILIES) {
      host.iptables(program, flag, 'FORWARD', '-p', 'tcp', '-j', 'ACCEPT');
      host.iptables(program, '-t', 'raw', flag, 'PREROUTING', '-p', 'tcp', '-j', 'ACCEPT');
    }
    const theirs = host.lines('others');
    expect(await host.ask({ do: 'resync' })).toBe('applied');
    expectPlaces();
    expect(host.lines('others')).toEqual(theirs);
  });

  test('what a hostile hand does to ours is undone within the refresh interval', async () => {
    const host = open({ refreshMs: 200 });
    for (const program of FAMILIES) host.restore(program, othersScript(program));
    await host.apply(...WANTED);
    const ours = host.lines('ours');
    const theirs = host.lines('others');
    const isBack = (): boolean => host.lines('ours').join('\n') === ours.join('\n');
    const hands: readonly (() => void)[] = [
      // All rules of one table, ours among them, and of all chains; they put theirs back themselves.
      () => {
        for (const program of FAMILIES) {
          for (const table of TABLES) host.iptables(program, '-t', table, '-F');
          for (const table of TABLES) host.iptables(program, '-t', table, '-X');
          host.restore(program, othersScript(program));
        }
      },
      // One jump; one rule of many; one rule in place of another, so that their number tells nothing.
      () => host.iptables('ip', '-D', 'FORWARD', '-j', 'mgy-FORWARD'),
      () => host.iptables('ip6', '-D', 'mgy-wl-to-host', '1'),
      () => host.iptables('ip', '-R', 'mgy-from-wl', '1', '-j', 'ACCEPT'),
      () => host.iptables('ip', '-t', 'raw', '-I', 'mgy-PREROUTING', '-j', 'ACCEPT'),
      // A chain that looks like one of ours.
      () => host.iptables('ip', '-N', 'mgy-stranger'),
    ];
    for (const hand of hands) {
      hand();
      expect(isBack()).toBe(false);
      await host.until(isBack);
      expect(new Set(host.lines('others'))).toEqual(new Set(theirs));
    }
  });

  test('once more after a write, where nobody reads back otherwise', async () => {
    const host = open({ postWriteCheckMs: 300 });
    await host.apply(...WANTED);
    const ours = host.lines('ours');
    host.iptables('ip', '-R', 'mgy-from-wl', '1', '-j', 'ACCEPT');
    await host.until(() => host.lines('ours').join('\n') === ours.join('\n'));
  });

  test('sets that others empty, fill, or destroy are put right; those of others stay', async () => {
    const host = open({ refreshMs: 200 });
    host.inside('ipset', ['restore'], 'create theirs hash:ip\nadd theirs 192.0.2.1\n');
    await host.apply(...WANTED);
    const sets = host.sets();
    const rules = host.lines('ours');
    expect(sets).toContain('add theirs 192.0.2.1');
    const isBack = (): boolean => host.sets().join('\n') === sets.join('\n');
    const own = [...new Set(sets.map((line) => line.split(' ')[1] ?? ''))].filter((name) =>
      name.startsWith('mgy'),
    );
    for (const name of own) host.inside('ipset', ['flush', name]);
    expect(isBack()).toBe(false);
    await host.until(isBack);

    host.inside('ipset', ['add', 'mgy4-pools', '192.0.2.0/24']);
    await host.until(isBack);

    // Without the rules that name it a set can be destroyed, and another one take its name.
    for (const program of FAMILIES) {
      for (const table of TABLES) host.iptables(program, '-t', table, '-F');
    }
    for (const name of own) host.inside('ipset', ['destroy', name]);
    host.inside('ipset', ['create', 'mgy4-pools', 'hash:ip']);
    await host.until(() => isBack() && host.lines('ours').join('\n') === rules.join('\n'));
  });
});

describe('the lock of the legacy tables', () => {
  let directory: string;
  let others: OthersWorld;
  /** In the middle of a change of its own, until it is released. */
  let holder: ChildProcess;
  const lock = (): string => join(directory, 'lock');
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'mgy-lock-'));
    others = new OthersWorld('legacy');
    // A file of its own: the real one is shared by everybody on this machine.
    others.start({ lockWaitSeconds: 1 }, { XTABLES_LOCKFILE: lock() });
    holder = spawn('flock', [lock(), 'sh', '-c', 'echo held; cat'], { stdio: 'pipe' });
    await new Promise((resolve) => holder.stdout?.once('data', resolve));
  });
  afterEach(async () => {
    holder.kill();
    await others[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });

  const release = async (): Promise<void> => {
    const ended = new Promise((resolve) => holder.once('exit', resolve));
    holder.stdin?.end();
    await ended;
  };

  /** '1: -> FLOCK  ADVISORY  WRITE 123 00:1a:4711 0 EOF': somebody waits for the file with this inode. */
  const isAwaited = (): boolean => {
    const inode = statSync(lock()).ino;
    const locks = readFileSync('/proc/locks', 'utf8').split('\n');
    return locks.some((line) => line.includes('->') && line.includes(`:${inode} `));
  };

  test('held by another: waits until it is free, and loses nothing', async () => {
    const applied = others.ask({ do: 'apply', updates: WANTED });
    while (!isAwaited()) await new Promise((resolve) => setImmediate(resolve));
    expect(others.lines('ours')).toEqual([]);
    await release();
    expect(await applied).toBe('applied');
    expect(others.lines('ours').length).toBeGreaterThan(100);
  });

  test('held for longer: says so, leaves nothing half done, and does it the next time', async () => {
    expect(JSON.stringify(await others.ask({ do: 'apply', updates: WANTED }))).toMatch(
      /iptables-legacy-restore.*xtables lock/s,
    );
    expect(others.lines('ours')).toEqual([]);
    await release();
    await others.apply();
    expect(others.lines('ours').length).toBeGreaterThan(100);
  });
});

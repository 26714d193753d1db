import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { cniConfiguration, leftoverChains, otherAgents, ports } from './conflicts.js';
import { mtuFinding, openFiles } from './kernel.js';

describe('what the doctor finds', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'margay-doctor-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  test('another CNI plugin that comes first by name', () => {
    expect(cniConfiguration(directory).level).toBe('OK');
    writeFileSync(join(directory, '10-calico.conflist'), '{"plugins":[{"type": "calico"}]}');
    expect(cniConfiguration(directory)).toMatchObject({ level: 'OK', found: '10-calico.conflist' });
    writeFileSync(join(directory, '05-cilium.conf'), '{"type": "cilium-cni"}');
    const finding = cniConfiguration(directory);
    expect(finding.level).toBe('WARN');
    expect(finding.fix).toContain('05-cilium.conf');
  });

  test('another agent', () => {
    expect(otherAgents(directory).level).toBe('OK');
    mkdirSync(join(directory, '42'));
    writeFileSync(join(directory, '42', 'comm'), 'calico-felix\n');
    expect(otherAgents(directory)).toMatchObject({ level: 'FAIL', found: 'calico-felix' });
  });

  test('chains of another agent', () => {
    expect(leftoverChains('*filter\n:INPUT ACCEPT [0:0]\n').level).toBe('OK');
    expect(leftoverChains('*filter\n:cali-FORWARD - [0:0]\n:cali-INPUT - [0:0]\n')).toMatchObject({
      level: 'WARN',
      found: '2 chains such as cali-FORWARD',
    });
  });

  test('a port that another program has', () => {
    const table = '  sl  local_address rem_address   st\n   0: 0100007F:238B 00000000:0000 0A 0\n';
    expect(ports(false, table)).toMatchObject({
      level: 'WARN',
      found: '9099 taken by another program',
    });
    expect(ports(true, table).level).toBe('OK');
    expect(ports(false, '').level).toBe('OK');
  });

  test('a tunnel that leaves no room', () => {
    const uplink = { name: 'eth0', mtu: 1500 };
    expect(mtuFinding([uplink, { name: 'tunl0', mtu: 1480 }]).level).toBe('OK');
    expect(mtuFinding([uplink, { name: 'tunl0', mtu: 1500 }]).fix).toContain(
      'ip link set tunl0 mtu 1480',
    );
  });

  test('too few open files', () => {
    expect(openFiles('Max open files            1024                 4096     files').level).toBe(
      'WARN',
    );
    expect(openFiles('Max open files            1024                 524288   files').level).toBe(
      'OK',
    );
  });
});

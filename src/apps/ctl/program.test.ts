import { describe, expect, test } from '@jest/globals';
import type { Command } from 'commander';
import { examplesOf } from './examples.js';
import { buildProgram } from './program.js';

const nothing = async (): Promise<void> => undefined;

const leaves = (command: Command): readonly Command[] =>
  command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);

describe('buildProgram', () => {
  test('loads only the verb that the command line names', async () => {
    const program = await buildProgram({ args: ['get', 'nodes'], run: nothing });
    const options = (name: string): number =>
      program.commands.find((command) => command.name() === name)?.options.length ?? -1;
    expect(options('get')).toBeGreaterThan(5);
    expect(options('apply')).toBe(0);
  });

  test('every verb says what it is for and shows an example', async () => {
    const program = await buildProgram({ run: nothing });
    const verbs = program.commands.filter((command) => !['agent', 'cni'].includes(command.name()));
    for (const command of verbs.flatMap(leaves)) {
      expect(command.description()).toMatch(/^[A-Z].*\.$/);
      expect([command.name(), examplesOf(command).length]).not.toEqual([command.name(), 0]);
    }
  });
});

import { describe, expect, test } from '@jest/globals';
import { wantsColor } from './color.js';
import { parseDurationMs } from './duration.js';
import { displayWidth } from './output/table.js';
import { Progress } from './progress.js';

describe('colour (spec/cli.md 13.2)', () => {
  const tty = { isTTY: true };
  test.each([
    ['auto', tty, {}, true],
    ['auto', {}, {}, false],
    ['auto', tty, { NO_COLOR: '1' }, false],
    ['auto', tty, { NO_COLOR: '' }, true],
    ['auto', tty, { TERM: 'dumb' }, false],
    ['auto', {}, { FORCE_COLOR: '1' }, true],
    ['auto', {}, { CLICOLOR_FORCE: '0' }, false],
    ['auto', tty, { NO_COLOR: '1', FORCE_COLOR: '1' }, false],
    ['always', {}, { NO_COLOR: '1' }, true],
    ['never', tty, { FORCE_COLOR: '1' }, false],
  ] as const)('--color=%s %j %j', (choice, stream, environment, wanted) => {
    expect(wantsColor(choice, stream, environment)).toBe(wanted);
  });
});

describe('progress', () => {
  function world(style: 'redraw' | 'plain' | 'none') {
    let [now, text] = [0, ''];
    const write = (part: string): void => {
      text += part;
    };
    const progress = new Progress({ style, write, now: () => now });
    const at = (ms: number, ...line: Parameters<Progress['update']>): string => {
      now = ms;
      text = '';
      progress.update(...line);
      return text;
    };
    return { progress, at, said: () => text };
  }

  test('says nothing within a second, then redraws one line and takes it away', () => {
    const { at, progress, said } = world('redraw');
    expect(at(900, 'reading', 1, 3)).toBe('');
    expect(at(1500, 'reading', 2, 3)).toBe('\r\x1b[Kreading 2/3 (2 s)');
    progress.end();
    expect(said()).toContain('\r\x1b[K');
  });

  test('without a terminal: one line a phase, and at most one in ten seconds', () => {
    const { at } = world('plain');
    expect(at(1000, 'reading', 1)).toBe('reading 1 (1 s)\n');
    expect(at(5000, 'reading', 2)).toBe('');
    expect(at(6000, 'writing')).toBe('writing (6 s)\n');
    expect(at(16_000, 'writing')).toBe('writing (16 s)\n');
    expect(world('none').at(9000, 'x')).toBe('');
  });
});

test.each([
  ['5', 5000],
  ['250ms', 250],
  ['1m30s', 90_000],
])('duration %s', (text, ms) => expect(parseDurationMs(text, '--wait')).toBe(ms));

test.each([
  ['plain', 5],
  ['日本', 4],
  ['e\u0301', 1],
])('width of %s', (text, width) => expect(displayWidth(text)).toBe(width));

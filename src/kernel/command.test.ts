import { describe, expect, test } from '@jest/globals';
import { runCommand } from './command.js';

describe('a command', () => {
  test('gets its input and arguments as they are, without a shell', async () => {
    expect(await runCommand({ argv: ['cat'], stdin: 'a\n' })).toEqual({
      stdout: 'a\n',
      stderr: '',
    });
    const { stdout } = await runCommand({ argv: ['echo', '$HOME', '*', 'a b'] });
    expect(stdout).toBe('$HOME * a b\n');
  });

  test('that fails says how, and what it complained of', async () => {
    const argv = ['sh', '-c', 'echo no >&2; exit 3'] as const;
    await expect(runCommand({ argv: [...argv] })).rejects.toMatchObject({
      code: 'ERR_KERNEL_COMMAND',
      exitCode: 3,
      stderr: 'no',
      message: expect.stringContaining('exited with 3: no'),
    });
  });

  test('that does not exist could not be started', async () => {
    const argv: [string] = ['/nonexistent/program'];
    await expect(runCommand({ argv })).rejects.toThrow('could not be started');
  });

  test('is bounded in time and in output', async () => {
    await expect(runCommand({ argv: ['sleep', '60'], timeoutMs: 20 })).rejects.toThrow('20 ms');
    const argv: [string, ...string[]] = ['sh', '-c', 'yes; true'];
    await expect(runCommand({ argv, outputBytesMax: 1000 })).rejects.toThrow('1000 bytes');
  });

  test('ends when it is aborted', async () => {
    const abort = new AbortController();
    const running = runCommand({ argv: ['sleep', '60'], signal: abort.signal });
    abort.abort(new Error('enough'));
    await expect(running).rejects.toThrow('enough');
  });
});

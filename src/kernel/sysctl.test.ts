import { describe, expect, test } from '@jest/globals';
import { readSysctl, type SysctlName, writeSysctl } from './sysctl.js';

const OSTYPE: SysctlName = ['kernel', 'ostype'];

describe('kernel settings', () => {
  test('are read without their line end', () => {
    expect(readSysctl(OSTYPE)).toBe('Linux');
  });

  test('one that does not exist is null', () => {
    expect(readSysctl(['net', 'ipv4', 'conf', 'no.such.interface', 'rp_filter'])).toBeNull();
  });

  test('what is so already is not written, even where nobody may write', () => {
    expect(writeSysctl(OSTYPE, 'Linux')).toBe(false);
  });

  test.each([
    ['read-only', OSTYPE],
    ['not there', ['net', 'ipv4', 'conf', 'nosuch', 'rp_filter'] as const],
  ])('writing one that is %s says which and what', (_, name) => {
    expect(() => writeSysctl(name, '1')).toThrow(
      expect.objectContaining({
        code: 'ERR_KERNEL_SYSCTL',
        message: expect.stringContaining(`${name.join('/')} could not be set to 1`),
      }),
    );
  });

  test.each(['', '.', '..', 'a/b', 'a\0b'])('"%s" is no name', (part) => {
    expect(() => readSysctl(['net', part])).toThrow(TypeError);
  });
});

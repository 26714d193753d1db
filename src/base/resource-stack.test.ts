import { describe, expect, test } from '@jest/globals';
import { ResourceStack } from './resource-stack.js';

const failing = (text: string) => () => Promise.reject(new Error(text));

describe('ResourceStack', () => {
  test('closes everything once, in reverse, waiting for each', async () => {
    const closed: string[] = [];
    const stack = new ResourceStack();
    const first = { [Symbol.dispose]: () => void closed.push('first') };
    expect(stack.own(first)).toBe(first);
    stack.own({
      [Symbol.asyncDispose]: async () => {
        await new Promise<void>((resolve) => setImmediate(resolve));
        closed.push('second');
      },
    });
    stack.defer(() => void closed.push('third'));
    await Promise.all([stack[Symbol.asyncDispose](), stack[Symbol.asyncDispose]()]);
    expect(closed).toEqual(['third', 'second', 'first']);
    expect(() => stack.own(first)).toThrow('closed');
    expect(() => stack.move()).toThrow('closed');
  });

  test('one that fails does not keep the others open, and every failure is reported', async () => {
    let isClosed = false;
    const stack = new ResourceStack();
    stack.defer(failing('a'));
    stack.defer(() => {
      isClosed = true;
    });
    stack.defer(() => {
      throw new Error('b');
    });
    const error: unknown = await stack[Symbol.asyncDispose]().catch((e: unknown) => e);
    expect(isClosed).toBe(true);
    expect(error).toBeInstanceOf(AggregateError);
    expect((error as AggregateError).errors.map(String)).toEqual(['Error: b', 'Error: a']);
    const one = new ResourceStack();
    one.defer(failing('alone'));
    await expect(one[Symbol.asyncDispose]()).rejects.toThrow('alone');
  });

  test('an open() that fails half-way closes what it has, one that succeeds hands it over', async () => {
    const closed: string[] = [];
    const open = async (fails: boolean): Promise<ResourceStack> => {
      await using opening = new ResourceStack();
      opening.defer(() => void closed.push('half'));
      if (fails) throw new Error('no luck');
      return opening.move();
    };
    await expect(open(true)).rejects.toThrow('no luck');
    expect(closed).toEqual(['half']);
    const owned = await open(false);
    expect(closed).toEqual(['half']);
    await owned[Symbol.asyncDispose]();
    expect(closed).toEqual(['half', 'half']);
  });
});

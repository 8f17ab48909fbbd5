import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Turns } from '../../../src/adapters/runtime/turns.ts';

/** Keeps the event loop busy. */
function work(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

it('a request works at once while the round is young, and waits when it is not', async () => {
  const turns = new Turns();
  expect(turns.enter('a')).toBeNull();
  expect(turns.enter('b')).toBeNull();
  work(30);
  const late = turns.enter('b');
  expect(late).toBeInstanceOf(Promise);
  await late;
  await setImmediate();
  expect(turns.enter('b')).toBeNull();
});

it('clients take turns, however many requests one of them has', async () => {
  const turns = new Turns();
  const order: string[] = [];
  const all = [...'aaaaaaaa', 'b', 'c', 'b'].map(async (client) => {
    await turns.next(client);
    order.push(client);
    work(12);
  });
  await Promise.all(all);
  expect(order.join('')).toBe('abcabaaaaaa');
});

it('work that is done in pieces ends, also when all wait again and again', async () => {
  const turns = new Turns();
  let pieces = 0;
  const clients = Array.from({ length: 50 }, async (_, i) => {
    for (let n = 0; n < 20; n++) {
      await turns.next(`c${i % 7}`);
      pieces++;
    }
  });
  await Promise.all(clients);
  expect(pieces).toBe(1000);
  await turns.next('again');
});

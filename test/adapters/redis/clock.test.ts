import { expect, test } from 'vitest';
import { ServerClock } from '../../../src/adapters/redis/clock.ts';

test('never guesses the time of the server too high, and takes the best sample', () => {
  const clock = new ServerClock();
  // The true difference is 1000; answers need from 3 to 50 ms.
  clock.sample(1000 + 100, 100 + 50);
  expect(clock.at(200)).toBe(1150);
  clock.sample(1000 + 200, 200 + 3);
  expect(clock.at(300)).toBe(1297);
  clock.sample(1000 + 300, 300 + 40);
  expect(clock.at(400)).toBe(1397);
});

test('follows a clock that is set forward at once, and back after a while', () => {
  const clock = new ServerClock();
  clock.sample(1000, 0);
  clock.sample(61_000, 1);
  expect(clock.at(100)).toBe(61_099);
  clock.sample(11_000, 5_001);
  expect(clock.at(5_001)).toBe(66_000);
  clock.sample(16_002, 10_002);
  expect(clock.at(10_002)).toBe(16_002);
});

test('forgets a server', () => {
  const clock = new ServerClock();
  clock.sample(61_000, 0);
  clock.reset();
  clock.sample(1_000, 10);
  expect(clock.at(10)).toBe(1_000);
});

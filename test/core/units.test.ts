import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatDuration, formatSize, parseDuration, parseSize } from '../../src/core/units.ts';

test('durations and sizes need a whole number and a known unit', () => {
  expect(['200ms', '10s', '5m', '24h', '7d'].map(parseDuration)).toEqual([200, 1e4, 3e5, 864e5, 6048e5]);
  expect(['512B', '256KiB', '1MiB', '1GiB', '5kB', '2MB', '1GB'].map(parseSize)).toEqual([
    512, 262144, 1048576, 1073741824, 5000, 2e6, 1e9,
  ]);
  for (const text of ['', '10', 's', '1.5s', '-1s', '1 s', '1S', '1s ', '10sec', '1e3s', '1constructor']) {
    expect(parseDuration(text)).toBeNull();
    expect(parseSize(text)).toBeNull();
  }
});

test('what is formatted reads back the same', () => {
  const value = fc.nat({ max: 2 ** 31 });
  fc.assert(fc.property(value, (number) => parseDuration(formatDuration(number)) === number));
  fc.assert(fc.property(value, (number) => parseSize(formatSize(number)) === number));
  expect([formatDuration(864e5), formatDuration(2 ** 31 - 1), formatSize(2 ** 20)]).toEqual([
    '1d',
    '2147483647ms',
    '1MiB',
  ]);
});

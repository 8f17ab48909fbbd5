import { describe, expect, test } from 'vitest';
import { flinkSql } from '../../src/streams/flink.ts';
import { streamConfig } from './samples.ts';

const export_ = (changes: Parameters<typeof streamConfig>[0] = {}) =>
  flinkSql(streamConfig({ lateness: 30_000, ...changes }), { brokers: 'kafka:9092' });

describe('flinkSql', () => {
  test.each([
    [
      { tumbling: 60_000 },
      "TUMBLE(TABLE `spend-keyed`, DESCRIPTOR(`time`), INTERVAL '0 00:01:00.000' DAY(3) TO SECOND(3))",
    ],
    [
      { sliding: 600_000, every: 60_000 },
      "HOP(TABLE `spend-keyed`, DESCRIPTOR(`time`), INTERVAL '0 00:01:00.000' DAY(3) TO SECOND(3), INTERVAL '0 00:10:00.000' DAY(3) TO SECOND(3))",
    ],
    [
      { session: 2 * 86_400_000 + 1_500 },
      "SESSION(TABLE `spend-keyed` PARTITION BY `window_key`, DESCRIPTOR(`time`), INTERVAL '2 00:00:01.500' DAY(3) TO SECOND(3))",
    ],
  ])('%o is its windowing function', (window, sql) => {
    expect(export_({ window })).toContain(sql);
  });

  test('names the topics, the time, the key and each result', () => {
    const sql = export_({
      topics: ['orders', 'returns'],
      key: '/customer/id',
      filter: 'event.type == "it\'s" && (event.data.total >= 10 || !(event.data.a.b == "x"))',
      aggregate: {
        n: 'count()',
        net: 'sum(event.data.total - event.data.tax * 2.0)',
        who: 'distinct(event.data.u)',
      },
      having: 'net > 100.5 || n > 3',
    });
    expect(sql).toContain("'topic' = 'orders;returns'");
    expect(sql).toContain("WATERMARK FOR `time` AS `time` - INTERVAL '0 00:00:30.000' DAY(3) TO SECOND(3)");
    expect(sql).toContain("JSON_VALUE(`data`, '$[''customer''][''id'']') AS `window_key`");
    expect(sql).toContain(
      "WHERE ((CAST(`headers`['ce_type'] AS STRING) = 'it''s') AND " +
        "((TRY_CAST(JSON_VALUE(`data`, '$[''total'']') AS DOUBLE) >= 10) OR " +
        "(NOT (JSON_VALUE(`data`, '$[''a''][''b'']') = 'x'))))",
    );
    expect(sql).toContain('COUNT(*) AS `n`');
    expect(sql).toContain("COUNT(DISTINCT JSON_VALUE(`data`, '$[''u'']')) AS `who`");
    expect(sql).toContain(
      "SUM((TRY_CAST(JSON_VALUE(`data`, '$[''total'']') AS DOUBLE) - " +
        "(TRY_CAST(JSON_VALUE(`data`, '$[''tax'']') AS DOUBLE) * CAST(2 AS DOUBLE)))) AS `net`",
    );
    expect(sql).toMatch(/HAVING \(\(SUM\(.*\) > CAST\(100\.5 AS DOUBLE\)\) OR \(COUNT\(\*\) > 3\)\)/);
    // Each quote that is opened is closed.
    expect((sql.match(/'/g) ?? []).length % 2).toBe(0);
  });

  test.each([
    [{ window: { count: 3 } }, 'windows of a count'],
    [{ emit: { on: 'threshold', topic: 't', type: 't' } as const }, 'emit.on threshold'],
    [{ time: 'arrival' as const }, 'time arrival'],
    [{ aggregate: { all: 'collect(event.data)' } }, 'collect'],
    [{ filter: 'event.type.startsWith("a")' }, 'rcall'],
  ])('%o is refused', (changes, message) => {
    expect(() => export_(changes)).toThrow(message);
  });
});

import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { type PrometheusOptions, prometheusReport } from '../../../src/adapters/telemetry/prometheus.ts';
import type { Verdict } from '../../../src/core/event.ts';
import type { DeliveryFact, GroupFact, RequestFact } from '../../../src/ports/report.ts';

const OPTIONS: PrometheusOptions = {
  sources: ['web', 'sensors'],
  subscriptions: ['print'],
  version: '1.2.3',
  bufferedBytes: () => 77,
  bufferedMax: 1000,
  spool: () => null,
  health: () => ({ ready: true, parts: { log: { state: 'ok' }, dedupe: { state: 'degraded' } } }),
  schemas: () => 4,
  schemaProblems: () => 0,
  inflight: () => [{ subscription: 'print', value: 3 }],
  lag: () => [{ subscription: 'print', topic: 'clicks', partition: 2, value: 9 }],
  oldest: () => [],
  open: () => [{ subscription: 'print', value: 1 }],
};

function request(facts: Partial<RequestFact> = {}): RequestFact {
  const verdicts = { accepted: 1, duplicate: 0, rejected: 0, retry: 0 };
  return { kind: 'request', source: 'web', who: null, status: 202, ms: 3, verdicts, error: null, ...facts };
}

const GROUP: GroupFact = {
  kind: 'group',
  topic: 'clicks',
  events: 3,
  accepted: 3,
  duplicate: 0,
  changed: 0,
  rejected: 0,
  retry: 0,
  unchecked: 2,
  bytes: 300,
  claimMs: 1,
  appendMs: 40,
  error: null,
};

const DELIVERY: DeliveryFact = {
  kind: 'delivery',
  subscription: 'print',
  outcome: 'delivered',
  events: 1,
  ms: 12,
  status: 200,
  reason: null,
};

/** Samples by name and labels; throws on a line that the text format (0.0.4) does not allow. */
function parse(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  const types = new Map<string, string>();
  const helped = new Set<string>();
  expect(text.endsWith('\n')).toBe(true);
  for (const line of text.split('\n').filter((line) => line !== '')) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line);
    if (comment) {
      const [, kind, name, rest] = comment as unknown as [string, string, string, string];
      if (kind === 'HELP' ? helped.has(name) : types.has(name)) throw new Error(`twice: ${line}`);
      if (kind === 'HELP') helped.add(name);
      else if (/^(counter|gauge|histogram|summary)$/.test(rest)) types.set(name, rest);
      else throw new Error(line);
      continue;
    }
    const label = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\]|\\\\[\\\\n"])*"';
    const sample = new RegExp(`^([a-zA-Z_:][a-zA-Z0-9_:]*)((?:\\{${label}(?:,${label})*\\})?) (\\S+)$`).exec(
      line,
    );
    // NaN and the infinities may be written in any case.
    const isNumber = /^(?:nan|[+-]?inf|[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/i.test(sample?.[3] ?? '');
    const value = Number(sample?.[3]);
    if (!sample || !isNumber) throw new Error(`not a sample: ${line}`);
    const [, name = '', labels = ''] = sample;
    const family = types.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '');
    if (!types.has(family) || !helped.has(family)) throw new Error(`no help or type: ${line}`);
    if (types.get(family) === 'counter' && !name.endsWith('_total'))
      throw new Error(`counter's name: ${line}`);
    if (samples.has(name + labels)) throw new Error(`twice: ${line}`);
    samples.set(name + labels, value);
  }
  return samples;
}

test('facts become the metrics that are promised', async () => {
  const { report, metrics, contentType } = prometheusReport(OPTIONS);
  report(request({ signature: 'secret-2' }));
  const verdicts = { accepted: 1, duplicate: 2, rejected: 3, retry: 4 };
  report(request({ status: 503, ms: 700, verdicts, error: 'log_unavailable' }));
  report(GROUP);
  report({ ...GROUP, events: 5000, claimMs: null, appendMs: null, unchecked: 0 });
  report(DELIVERY);
  report({ ...DELIVERY, outcome: 'dead_letter', events: 2, ms: null, reason: 'refused' });
  report({ kind: 'reply', subscription: 'print', outcome: 'stored', events: 3 });
  const samples = parse(await metrics());
  expect(contentType).toMatch(/^text\/plain; version=0\.0\.4/);
  expect(Object.fromEntries(samples)).toMatchObject({
    'postern_events_total{source="web",verdict="accepted"}': 2,
    'postern_events_total{source="web",verdict="duplicate"}': 2,
    'postern_events_total{source="web",verdict="rejected"}': 3,
    'postern_events_total{source="web",verdict="retry"}': 4,
    'postern_events_total{source="sensors",verdict="accepted"}': 0,
    'postern_requests_total{source="web",code="202"}': 1,
    'postern_requests_total{source="web",code="503"}': 1,
    'postern_signatures_total{source="web",result="secret-2"}': 1,
    'postern_ingest_seconds_bucket{le="0.0025"}': 0,
    'postern_ingest_seconds_bucket{le="0.005"}': 1,
    'postern_ingest_seconds_bucket{le="+Inf"}': 2,
    postern_ingest_seconds_count: 2,
    postern_ingest_seconds_sum: expect.closeTo(0.703),
    'postern_group_events_bucket{le="5"}': 1,
    'postern_group_events_bucket{le="2500"}': 1,
    'postern_group_events_bucket{le="+Inf"}': 2,
    postern_append_seconds_count: 1,
    postern_claim_seconds_count: 1,
    postern_buffered_bytes: 77,
    postern_buffered_max_bytes: 1000,
    postern_ready: 1,
    'postern_part_ok{part="log"}': 1,
    'postern_part_ok{part="dedupe"}': 0,
    postern_dedupe_unchecked_total: 2,
    'postern_deliveries_total{subscription="print",outcome="delivered"}': 1,
    'postern_deliveries_total{subscription="print",outcome="dead_letter"}': 2,
    postern_delivery_seconds_count: 1,
    'postern_inflight{subscription="print"}': 3,
    'postern_breaker_open{subscription="print"}': 1,
    'postern_lag_events{subscription="print",topic="clicks",partition="2"}': 9,
    'postern_dead_letters_total{subscription="print",reason="refused"}': 2,
    'postern_replies_total{subscription="print",outcome="stored"}': 3,
    postern_schemas: 4,
    postern_schema_problems: 0,
    'postern_build_info{version="1.2.3"}': 1,
    process_resident_memory_bytes: expect.any(Number),
  });
  expect([...samples.keys()].filter((name) => name.startsWith('postern_oldest_seconds'))).toEqual([]);
  // A second scrape does not count again.
  expect(parse(await metrics()).get('postern_requests_total{source="web",code="202"}')).toBe(1);
});

test('without a spool and without a limit of memory their gauges are absent, never 0', async () => {
  const names = async (options: PrometheusOptions) => [
    ...parse(await prometheusReport(options).metrics()).keys(),
  ];
  const spool = ['postern_spool_events', 'postern_spool_bytes', 'postern_spool_max_bytes'];
  expect(await names(OPTIONS)).not.toEqual(
    expect.arrayContaining([expect.stringContaining('postern_spool')]),
  );
  const spooled = { ...OPTIONS, spool: () => ({ events: 0, bytes: 0, max: 9 }) };
  expect(await names(spooled)).toEqual(expect.arrayContaining(spool));

  const { constrainedMemory } = process;
  onTestFinished(() => {
    process.constrainedMemory = constrainedMemory;
  });
  for (const [limit, isKnown] of [
    [0, false],
    [2 ** 64, false],
    [2 ** 29, true],
  ] as const) {
    process.constrainedMemory = () => limit;
    expect((await names(OPTIONS)).includes('postern_memory_max_bytes')).toBe(isKnown);
  }
});

test('an unknown lag is absent, never 0', async () => {
  const lag: ReturnType<PrometheusOptions['lag']> = [];
  const { metrics } = prometheusReport({ ...OPTIONS, lag: () => lag });
  const names = async () =>
    [...parse(await metrics()).keys()].filter((name) => name.startsWith('postern_lag'));
  expect(await names()).toEqual([]);
  lag.push({ subscription: 'print', topic: 't', partition: 0, value: 0 });
  expect(await names()).toHaveLength(1);
  lag.pop();
  expect(await names()).toEqual([]);
});

test('C64 clients cannot make series', async () => {
  const { report, metrics } = prometheusReport(OPTIONS);
  for (const source of ['web', 'sensors', 'unknown']) {
    for (let status = 0; status < 700; status++) report(request({ source, status }));
  }
  for (let reason = 0; reason < 32; reason++) {
    report({ ...DELIVERY, outcome: 'dead_letter', reason: `r${reason}` });
    report({ ...DELIVERY, subscription: 'x', outcome: 'dead_letter', reason: `r${reason}` });
  }
  report({ ...DELIVERY, outcome: 'dead_letter', reason: 'one more' });
  report({ ...DELIVERY, subscription: 'x', outcome: 'dead_letter', reason: 'one more' });
  const postern = async () => [...parse(await metrics()).keys()].filter((name) => name.startsWith('postern'));
  const before = await postern();
  const status = fc.oneof(fc.nat(1000), fc.constantFrom(Number.NaN, -1, 2.5, Number.POSITIVE_INFINITY));
  const word = fc.string({ maxLength: 40 });
  for (const [source, code, reason] of fc.sample(fc.tuple(word, status, word), 50_000)) {
    report(request({ source, status: code }));
    report({ ...DELIVERY, subscription: source, outcome: 'dead_letter', reason });
  }
  for (const name of ['__proto__', 'constructor', 'toString']) report(request({ source: name }));
  expect(await postern()).toEqual(before);
});

test('C64 help and type lines are as Prometheus wants them', async () => {
  const { report, metrics } = prometheusReport(OPTIONS);
  report(request());
  const text = await metrics();
  parse(text);
  const promtool = spawnSync('promtool', ['check', 'metrics'], { input: text });
  // Not on every machine; the parser above is as strict about the format.
  if (promtool.error === undefined) expect(promtool.stdout.toString() + promtool.stderr).toBe('');
});

test('C65 two reports in one process do not meet', async () => {
  const first = prometheusReport(OPTIONS);
  const second = prometheusReport(OPTIONS);
  first.report(request());
  const name = 'postern_requests_total{source="web",code="202"}';
  expect(parse(await first.metrics()).get(name)).toBe(1);
  expect(parse(await second.metrics()).get(name)).toBeUndefined();
});

test('received = accepted + duplicate + rejected + retry', async () => {
  const verdict = fc.nat(50);
  const verdicts = fc.record<Record<Verdict, number>>({
    accepted: verdict,
    duplicate: verdict,
    rejected: verdict,
    retry: verdict,
  });
  const source = fc.constantFrom('web', 'sensors', 'nobody');
  await fc.assert(
    fc.asyncProperty(fc.array(fc.record({ source, verdicts })), async (requests) => {
      const { report, metrics } = prometheusReport(OPTIONS);
      let received = 0;
      for (const facts of requests) {
        report(request(facts));
        received += Object.values(facts.verdicts).reduce((sum, count) => sum + count);
      }
      const samples = [...parse(await metrics())].filter(([name]) => name.startsWith('postern_events_total'));
      expect(samples.reduce((sum, [, value]) => sum + value, 0)).toBe(received);
    }),
    { numRuns: 20 },
  );
});

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { promtool } from '../services/prometheus.ts';

interface Rule {
  alert: string;
  labels: { severity: string };
  annotations: Record<string, string>;
}

/** Values of a series, one a minute, as promtool writes them: `0+5` starts at 0 and grows by 5; `1x5 0` is 0 after six 1. */
type Series = Record<string, string | null>;

const RULES = join(import.meta.dirname, '..', '..', 'helm', 'files', 'alerts.yaml');
const MINUTES = 45;

const GATEWAY = 'job="postern-gateway",instance="g:8081"';
const DISPATCHER = 'job="postern-dispatcher",instance="d:8081"';

/** Series of a healthy gateway and dispatcher. Their few errors are no reason for an alert. */
const HEALTHY: Series = {
  [`up{${GATEWAY}}`]: '1',
  [`up{${DISPATCHER}}`]: '1',
  'up{job="other",instance="o:1"}': '0',
  [`postern_build_info{${GATEWAY},version="1"}`]: '1',
  [`postern_build_info{${DISPATCHER},version="1"}`]: '1',
  [`postern_ready{${GATEWAY}}`]: '1',
  [`postern_ready{${DISPATCHER}}`]: '1',
  [`postern_part_ok{${GATEWAY},part="log"}`]: '1',
  [`postern_part_ok{${GATEWAY},part="dedupe"}`]: '1',
  [`postern_part_ok{${GATEWAY},part="schemas"}`]: '1',
  [`postern_part_ok{${DISPATCHER},part="dispatcher"}`]: '1',
  [`postern_events_total{${GATEWAY},source="web",verdict="accepted"}`]: '0+6000',
  [`postern_events_total{${GATEWAY},source="web",verdict="duplicate"}`]: '0+500',
  [`postern_events_total{${GATEWAY},source="web",verdict="rejected"}`]: '0+60',
  [`postern_events_total{${GATEWAY},source="web",verdict="retry"}`]: '0+6',
  [`postern_events_total{${GATEWAY},source="idle",verdict="accepted"}`]: '0',
  [`postern_events_total{${GATEWAY},source="idle",verdict="rejected"}`]: '0',
  [`postern_events_total{${GATEWAY},source="idle",verdict="retry"}`]: '0',
  [`postern_requests_total{${GATEWAY},source="web",code="202"}`]: '0+6000',
  [`postern_requests_total{${GATEWAY},source="web",code="503"}`]: '0+6',
  ...buckets('append', 0.05, 0.5),
  ...buckets('claim', 0.005, 0.05),
  [`postern_spool_events{${GATEWAY}}`]: '0',
  [`postern_spool_bytes{${GATEWAY}}`]: '0',
  [`postern_spool_max_bytes{${GATEWAY}}`]: '1000000000',
  [`postern_dedupe_unchecked_total{${GATEWAY}}`]: '7',
  [`postern_buffered_bytes{${GATEWAY}}`]: '9000000',
  [`postern_buffered_max_bytes{${GATEWAY}}`]: '64000000',
  [`process_resident_memory_bytes{${GATEWAY}}`]: '390000000',
  [`postern_memory_max_bytes{${GATEWAY}}`]: '512000000',
  [`nodejs_eventloop_lag_p99_seconds{${GATEWAY}}`]: '0.012',
  'nodejs_eventloop_lag_p99_seconds{job="other",instance="o:1"}': '5',
  [`postern_lag_events{${DISPATCHER},subscription="fn",topic="t",partition="0"}`]: '1900',
  [`postern_lag_events{${DISPATCHER},subscription="fn",topic="t",partition="1"}`]: '20',
  [`postern_oldest_seconds{${DISPATCHER},subscription="fn"}`]: '64',
  [`postern_breaker_open{${DISPATCHER},subscription="fn"}`]: '0',
  [`postern_remembered_total{${DISPATCHER},subscription="fn",result="delivered_before"}`]: '0+10',
  [`postern_remembered_total{${DISPATCHER},subscription="fn",result="not_remembered"}`]: '5',
  [`postern_deliveries_total{${DISPATCHER},subscription="fn",outcome="delivered"}`]: '0+6000',
  [`postern_deliveries_total{${DISPATCHER},subscription="fn",outcome="retry"}`]: '0+100',
  [`postern_deliveries_total{${DISPATCHER},subscription="fn",outcome="dead_letter"}`]: '3',
  [stream('state_total', ',state="lost"')]: '0',
  [stream('watermark_seconds')]: '1800',
  [stream('lag_events', ',topic="t",partition="0"')]: '0',
  [stream('events_total')]: '0+6000',
  [stream('late_total')]: '0+30',
  [stream('full_total')]: '7',
  [stream('too_many_hops_total')]: '0',
  [stream('too_large_total')]: '0',
  [stream('filter_errors_total')]: '0+60',
  [workflow('instances', ',status="running"')]: '50',
  [workflow('instances', ',status="failed"')]: '0',
  [workflow('oldest_seconds')]: '90000',
  [workflow('lag_events', ',topic="t",partition="0"')]: '1500',
};

/** By alert: what makes it fire, and nothing else. */
const FAULTS: Record<string, Series> = {
  PosternAbsent: {
    [`postern_build_info{${GATEWAY},version="1"}`]: null,
    [`postern_build_info{${DISPATCHER},version="1"}`]: null,
  },
  PosternDown: { [`up{${DISPATCHER}}`]: '0' },
  PosternNotReady: { [`postern_ready{${GATEWAY}}`]: '0' },
  PosternEventsRefused: {
    [`postern_events_total{${GATEWAY},source="idle",verdict="retry"}`]: '0+10',
  },
  PosternRequestsFail: { [`postern_requests_total{${GATEWAY},source="web",code="503"}`]: '0+600' },
  PosternAppendSlow: buckets('append', 0.5, 5),
  PosternClaimSlow: buckets('claim', 0.05, 1),
  PosternSpoolNotEmpty: { [`postern_spool_events{${GATEWAY}}`]: '12' },
  PosternSpoolFilling: { [`postern_spool_bytes{${GATEWAY}}`]: '800000000' },
  PosternDedupeDown: { [`postern_part_ok{${GATEWAY},part="dedupe"}`]: '0' },
  PosternEventsUnchecked: { [`postern_dedupe_unchecked_total{${GATEWAY}}`]: '0+30' },
  PosternRejectedShare: {
    [`postern_events_total{${GATEWAY},source="web",verdict="rejected"}`]: '0+3000',
  },
  PosternSchemaProblems: { [`postern_part_ok{${GATEWAY},part="schemas"}`]: '0' },
  PosternBufferedHigh: { [`postern_buffered_bytes{${GATEWAY}}`]: '60000000' },
  PosternMemoryHigh: { [`process_resident_memory_bytes{${GATEWAY}}`]: '500000000' },
  PosternEventLoopSlow: { [`nodejs_eventloop_lag_p99_seconds{${GATEWAY}}`]: '0.9' },
  PosternDeliveriesUnchecked: {
    [`postern_remembered_total{${DISPATCHER},subscription="fn",result="not_remembered"}`]: '0+20',
  },
  PosternLagGrowing: {
    [`postern_lag_events{${DISPATCHER},subscription="fn",topic="t",partition="1"}`]: '0+500',
  },
  PosternOldestEventOld: { [`postern_oldest_seconds{${DISPATCHER},subscription="fn"}`]: '0+60' },
  PosternBreakerOpen: { [`postern_breaker_open{${DISPATCHER},subscription="fn"}`]: '1' },
  PosternDeadLetters: {
    [`postern_deliveries_total{${DISPATCHER},subscription="fn",outcome="dead_letter"}`]: '3+2',
  },
  PosternStreamStateLost: { [stream('state_total', ',state="lost"')]: `0x${MINUTES - 2} 2 2 2` },
  PosternStreamBehind: { [stream('lag_events', ',topic="t",partition="0"')]: '90' },
  PosternStreamEventsLate: { [stream('late_total')]: '0+600' },
  PosternStreamEventsLeftOut: { [stream('full_total')]: '7+1' },
  PosternStreamFilterErrors: { [stream('filter_errors_total')]: '0+6000' },
  PosternWorkflowFailed: { [workflow('instances', ',status="failed"')]: '1' },
  PosternWorkflowOldest: { [workflow('oldest_seconds')]: '180000' },
  PosternWorkflowLagGrowing: { [workflow('lag_events', ',topic="t",partition="0"')]: '1500+10' },
};

function stream(name: string, labels = ''): string {
  return `postern_stream_${name}{${DISPATCHER},stream="spend"${labels}}`;
}

function workflow(name: string, labels = ''): string {
  return `postern_workflow_${name}{${DISPATCHER},workflow="order"${labels}}`;
}

/** A histogram: half of the observations at most `half` seconds, the others at most `rest`. */
function buckets(name: string, half: number, rest: number): Series {
  const of = (le: string) => `postern_${name}_seconds_bucket{${GATEWAY},le="${le}"}`;
  const bounds = [0.005, 0.05, 0.5, 1, 5];
  const counts = bounds.map((bound) => [
    of(String(bound)),
    bound >= rest ? '0+60' : bound >= half ? '0+30' : '0',
  ]);
  return { ...(Object.fromEntries(counts) as Series), [of('+Inf')]: '0+60' };
}

const rules = (parse(await readFile(RULES, 'utf8')) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
);

/** Fails unless exactly these alerts fire at each of these minutes. */
async function expectAlerts(series: Series, expected: Record<number, string[]>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-rules-'));
  const unit = {
    rule_files: [RULES],
    evaluation_interval: '1m',
    tests: [
      {
        interval: '1m',
        input_series: Object.entries(series)
          .filter(([, values]) => values !== null)
          .map(([name, values]) => ({
            series: name,
            values: /[x ]/.test(values!)
              ? values
              : `${values}${values!.includes('+') ? '' : '+0'}x${MINUTES}`,
          })),
        promql_expr_test: Object.entries(expected).map(([minute, alerts]) => ({
          expr: 'count by (alertname, severity) (ALERTS{alertstate="firing"})',
          eval_time: `${minute}m`,
          exp_samples: alerts.map((alertname) => ({
            labels: `{alertname="${alertname}",severity="${rules.find(({ alert }) => alert === alertname)?.labels.severity}"}`,
            value: 1,
          })),
        })),
      },
    ],
  };
  try {
    await writeFile(join(folder, 'unit.json'), JSON.stringify(unit));
    expect(await promtool(['test', 'rules', join(folder, 'unit.json')])).toMatchObject({
      code: 0,
      output: expect.stringContaining('SUCCESS'),
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test('promtool finds no fault with the rules', async () => {
  expect(await promtool(['check', 'rules', RULES])).toMatchObject({
    code: 0,
    output: expect.stringContaining(`SUCCESS: ${rules.length} rules found`),
  });
});

test('each alert has a fault here, a severity, and says what is wrong and what to do', () => {
  expect(Object.keys(FAULTS)).toEqual(rules.map(({ alert }) => alert));
  for (const { labels, annotations } of rules) {
    expect(labels.severity).toMatch(/^(critical|warning)$/);
    expect(Object.keys(annotations)).toEqual(['summary', 'description', 'action']);
  }
});

test('all is quiet while all is well', async () => {
  await expectAlerts(HEALTHY, { 1: [], 5: [], 15: [], 30: [], [MINUTES]: [] });
});

test.each(Object.entries(FAULTS))('%s fires', async (alert, fault) => {
  for (const name of Object.keys(fault)) expect(Object.keys(HEALTHY)).toContain(name);
  await expectAlerts({ ...HEALTHY, ...fault }, { [MINUTES]: [alert] });
});

test('open windows that are lost at the start of a new process are told of, for a while', async () => {
  const { [stream('state_total', ',state="lost"')]: _, ...others } = HEALTHY;
  const lost = { [stream('state_total', ',state="lost"')]: `_x20 3x${MINUTES}` };
  await expectAlerts({ ...others, ...lost }, { 15: [], 25: ['PosternStreamStateLost'], 40: [] });
});

test('what lasts a minute calls nobody', async () => {
  const short = {
    [`up{${GATEWAY}}`]: `1x5 0 1x${MINUTES}`,
    [`postern_ready{${GATEWAY}}`]: `1x5 0 1x${MINUTES}`,
    [`postern_breaker_open{${DISPATCHER},subscription="fn"}`]: `0x5 1 0x${MINUTES}`,
    [`postern_spool_events{${GATEWAY}}`]: `0x5 900 0x${MINUTES}`,
  };
  await expectAlerts({ ...HEALTHY, ...short }, { 5: [], 6: [], 7: [], 10: [] });
});

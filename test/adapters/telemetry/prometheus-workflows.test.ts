import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { workflowMetrics } from '../../../src/adapters/telemetry/prometheus-workflows.ts';

test('steps and instances are counted by what came of them, and those under way are asked for', async () => {
  const registry = new Registry();
  let failed = 1;
  const report = workflowMetrics(registry, {
    instances: () => [
      { workflow: 'order', status: 'running', value: 3 },
      ...(failed > 0 ? [{ workflow: 'order', status: 'failed', value: failed }] : []),
    ],
    oldest: () => [{ workflow: 'order', value: 12.5 }],
    lag: () => [{ workflow: 'order', topic: 'orders', partition: 1, value: 7 }],
  });
  const step = {
    kind: 'step' as const,
    workflow: 'order',
    step: 'charge',
    attempts: 2,
    ms: 40,
    status: 200,
    reason: null,
  };
  report({ ...step, outcome: 'done' });
  report({ ...step, outcome: 'undo_failed', status: 400, reason: 'refused' });
  report({ kind: 'instance', workflow: 'order', outcome: 'failed', step: 'charge', reason: 'undo_failed' });
  const text = await registry.metrics();
  for (const line of [
    'postern_workflow_steps_total{workflow="order",step="charge",outcome="done"} 1',
    'postern_workflow_steps_total{workflow="order",step="charge",outcome="undo_failed"} 1',
    'postern_workflow_step_seconds_bucket{le="0.05",workflow="order",step="charge"} 2',
    'postern_workflow_step_seconds_count{workflow="order",step="charge"} 2',
    'postern_workflow_outcomes_total{workflow="order",outcome="failed"} 1',
    'postern_workflow_instances{workflow="order",status="running"} 3',
    'postern_workflow_instances{workflow="order",status="failed"} 1',
    'postern_workflow_lag_events{workflow="order",topic="orders",partition="1"} 7',
    'postern_workflow_oldest_seconds{workflow="order"} 12.5',
  ])
    expect(text.split('\n')).toContain(line);
  failed = 0;
  expect(await registry.metrics()).not.toContain('status="failed"');
});

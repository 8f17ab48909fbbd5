import { Counter, Histogram, type Registry } from 'prom-client';
import type { Report } from '../../ports/report.ts';
import { type Sample, scrapedGauge } from './scraped.ts';

export interface WorkflowGauges {
  /** Instances held by this process that have not ended. */
  instances(): Sample<'workflow' | 'status'>[];
  /** Age in seconds of the oldest of them. */
  oldest(): Sample<'workflow'>[];
  /** Only partitions whose lag is known. */
  lag(): Sample<'workflow' | 'topic' | 'partition'>[];
}

const SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** Adds the metrics of workflows; labels come from the config only. */
export function workflowMetrics(registry: Registry, gauges: WorkflowGauges): Report {
  const registers = [registry];
  const steps = new Counter({
    name: 'postern_workflow_steps_total',
    help: 'Steps of workflows by outcome.',
    labelNames: ['workflow', 'step', 'outcome'] as const,
    registers,
  });
  const seconds = new Histogram({
    name: 'postern_workflow_step_seconds',
    help: 'Time of a step, over all attempts of its call.',
    labelNames: ['workflow', 'step'] as const,
    buckets: SECONDS,
    registers,
  });
  const outcomes = new Counter({
    name: 'postern_workflow_outcomes_total',
    help: 'Instances of workflows by outcome.',
    labelNames: ['workflow', 'outcome'] as const,
    registers,
  });
  scrapedGauge(
    registry,
    'workflow_instances',
    'Instances of workflows that have not ended, by status.',
    ['workflow', 'status'],
    gauges.instances,
  );
  scrapedGauge(
    registry,
    'workflow_oldest_seconds',
    'Age of the oldest instance that has not ended.',
    ['workflow'],
    gauges.oldest,
  );
  scrapedGauge(
    registry,
    'workflow_lag_events',
    'Events of a partition that workflows have not read yet.',
    ['workflow', 'topic', 'partition'],
    gauges.lag,
  );
  return (fact) => {
    if (fact.kind === 'step') {
      const { workflow, step, outcome, ms } = fact;
      steps.inc({ workflow, step, outcome });
      seconds.observe({ workflow, step }, ms / 1000);
    } else if (fact.kind === 'instance') {
      outcomes.inc({ workflow: fact.workflow, outcome: fact.outcome });
    }
  };
}

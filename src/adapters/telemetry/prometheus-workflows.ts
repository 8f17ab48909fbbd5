import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { InstanceFacts, Report, StepFacts } from '../../ports/report.ts';

export interface WorkflowGauges {
  /** Instances held by this process, without those that are over. */
  instances(): { workflow: string; status: string; value: number }[];
  /** Age in seconds of the oldest of them. */
  oldest(): { workflow: string; value: number }[];
  /** Only partitions whose lag is known. */
  lag(): { workflow: string; topic: string; partition: number; value: number }[];
}

const SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** Metrics of workflows, in a registry that is there; labels come from the config only. */
export function workflowMetrics(registry: Registry, gauges: WorkflowGauges): Report {
  const registers = [registry];
  const steps = new Counter({
    name: 'postern_workflow_steps_total',
    help: 'Steps of workflows by what came of their calls.',
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
  const ends = new Counter({
    name: 'postern_workflow_outcomes_total',
    help: 'Instances of workflows by what became of them.',
    labelNames: ['workflow', 'outcome'] as const,
    registers,
  });
  new Gauge({
    name: 'postern_workflow_instances',
    help: 'Instances of workflows that are not over, by status.',
    labelNames: ['workflow', 'status'] as const,
    registers,
    collect() {
      this.reset();
      for (const { workflow, status, value } of gauges.instances()) this.set({ workflow, status }, value);
    },
  });
  new Gauge({
    name: 'postern_workflow_oldest_seconds',
    help: 'Age of the oldest instance that is not over.',
    labelNames: ['workflow'] as const,
    registers,
    collect() {
      this.reset();
      for (const { workflow, value } of gauges.oldest()) this.set({ workflow }, value);
    },
  });
  new Gauge({
    name: 'postern_workflow_lag_events',
    help: 'Events of a partition that no instance was told of yet.',
    labelNames: ['workflow', 'topic', 'partition'] as const,
    registers,
    collect() {
      this.reset();
      for (const { value, ...labels } of gauges.lag()) this.set(labels, value);
    },
  });
  return {
    group() {},
    request() {},
    delivery() {},
    step({ workflow, step, outcome, ms }: StepFacts) {
      steps.inc({ workflow, step, outcome });
      seconds.observe({ workflow, step }, ms / 1000);
    },
    instance({ workflow, outcome }: InstanceFacts) {
      ends.inc({ workflow, outcome });
    },
  };
}

import type { WorkflowConfig } from '../config/workflow/types.ts';
import type { StoredRecord } from '../ports/event-log.ts';
import { compileWorkflow } from './compile.ts';

/** The effect that a record would have in a workflow, in words for people: begin an instance, or end a wait. */
export function matchWorkflow(config: WorkflowConfig, record: StoredRecord): string[] {
  const { starts, waiting } = compileWorkflow(config);
  const found: string[] = [];
  if (config.on.topics.includes(record.topic) && (starts?.match(record) ?? true))
    found.push(`workflow ${config.name}`);
  for (const { step, topics, filter } of waiting) {
    const id = topics.includes(record.topic) ? filter.idOf(record) : null;
    if (id !== null) found.push(`workflow ${config.name}, step ${step} of ${id}`);
  }
  return found;
}

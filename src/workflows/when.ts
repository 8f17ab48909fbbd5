import { compileFilter } from '../filter/filter.ts';
import { withMaps } from '../filter/seen-event.ts';
import { jsonOf, structuredRecord } from './event-text.ts';
import type { State } from './state.ts';

/** The value of `workflow` in expressions: `id`, the event that began it as `input`, and the `results` of its steps. */
export function seenWorkflow({ id, input, results }: State): object {
  const seen = new Map<string, unknown>();
  for (const name in results) seen.set(name, withMaps(jsonOf(results[name]!)));
  const event = withMaps(jsonOf(input));
  return new Map<string, unknown>([
    ['id', id],
    ['input', event],
    ['results', seen],
  ]);
}

/**
 * Compiles a step's `when`: CEL over `workflow`, and `event`, the event that began it. It returns null when the
 * expression fails. Throws an Error whose message says what is wrong.
 */
export function compileWhen(text: string): (state: State) => boolean | null {
  let workflow: object = {};
  const filter = compileFilter(text, { workflow: () => workflow });
  return (state) => {
    workflow = seenWorkflow(state);
    const errors = filter.errors;
    const wanted = filter.match(structuredRecord(state.input));
    return filter.errors === errors ? wanted : null;
  };
}

import { type ASTNode, Environment, serialize } from '@marcbachmann/cel-js';
import { compileFilter, compileValue } from '../filter/filter.ts';
import { membersOf } from '../filter/members.ts';
import type { StoredRecord } from '../ports/event-log.ts';
import { structuredRecord } from './event-text.ts';
import type { State } from './state.ts';
import { seenWorkflow } from './when.ts';

/** Characters: as for the id of an event. */
const MAX_ID = 4096;

/** The filter of a step that waits. */
export interface WaitFilter {
  /** The id of the instance that waits for this event; null: none does. */
  idOf(record: StoredRecord): string | null;
  /** Whether an instance waits for this event, in the JSON format. */
  matches(state: State, event: string): boolean;
}

/**
 * Compiles the filter of a step that waits: CEL over `event` and `workflow`. One part, joined to the others by `&&`, must
 * be `… == workflow.id`, so that an event finds its instance. Throws an Error whose message says what is wrong.
 */
export function compileWait(text: string): WaitFilter {
  let workflow: object = {};
  const filter = compileFilter(text, { workflow: () => workflow });
  const ast = new Environment()
    .registerVariable('event', 'map')
    .registerVariable('workflow', 'map')
    .parse(text).ast;
  const key = conjuncts(ast)
    .map(idSide)
    .find((side) => side !== null);
  if (key === undefined)
    throw new Error('it must have a part `… == workflow.id` that is joined to the others by &&');
  const keyOf = compileValue(serialize(key));
  // A filter that reads more than the id can be evaluated only where the instance is known.
  const members = membersOf(ast, 'workflow');
  const isPlain = members !== null && [...members].every((name) => name === 'id');
  return {
    idOf(record) {
      const id = asId(keyOf, record);
      if (id === null || !isPlain) return id;
      workflow = { id };
      return filter.match(record) ? id : null;
    },
    matches(state, event) {
      workflow = seenWorkflow(state);
      return filter.match(structuredRecord(event));
    },
  };
}

function conjuncts(node: ASTNode): ASTNode[] {
  return node.op === '&&' ? node.args.flatMap(conjuncts) : [node];
}

/** The other side of a comparison with `workflow.id`, or null. */
function idSide(node: ASTNode): ASTNode | null {
  if (node.op !== '==') return null;
  const [left, right] = node.args;
  if (isId(right)) return usesWorkflow(left) ? null : left;
  return isId(left) && !usesWorkflow(right) ? right : null;
}

function isId(node: ASTNode): boolean {
  return (
    node.op === '.' && node.args[1] === 'id' && node.args[0].op === 'id' && node.args[0].args === 'workflow'
  );
}

function usesWorkflow(node: ASTNode): boolean {
  const members = membersOf(node, 'workflow');
  return members === null || members.size > 0;
}

function asId(keyOf: (record: StoredRecord) => unknown, record: StoredRecord): string | null {
  try {
    const id = keyOf(record);
    // In CEL no other value is equal to a string.
    return typeof id === 'string' && id !== '' && id.length <= MAX_ID ? id : null;
  } catch {
    // The event has no such field: no instance waits for it.
    return null;
  }
}

import { type ASTNode, parse } from '@marcbachmann/cel-js';
import type { AttributeFilter, SubscriptionConfig } from '../config/subscription/types.ts';
import { memberOf } from './members.ts';

/** What a subscription says of the events that it wants. */
export type Wanted = Pick<SubscriptionConfig, 'filter' | 'filters'>;

/** A test of one attribute. The prefix '' holds for each event that has the attribute; `absent` for each that has not. */
export interface AttributeCondition {
  attribute: string;
  kind: 'exact' | 'prefix' | 'absent';
  /** '' for `absent`. */
  value: string;
}

/** Null says nothing: any event may meet it. */
export type Condition = AttributeCondition | { all: Condition[] } | { any: Condition[] } | null;

/**
 * A condition that each event meets which the filter matches, and each on which its expression fails: for all other
 * events the filter is false, and no error is counted. Throws where the expression cannot be parsed.
 */
export function necessaryCondition({ filter, filters }: Wanted): Condition {
  const all = filters.map((one) => ofFilter(one, true));
  if (filter !== null) all.push(ofExpression(parse(filter).ast, true));
  return { all };
}

/**
 * Necessary for the filter to give `answer`. The values are Unicode text, as the config's check demands: then equal
 * bytes are equal text.
 */
function ofFilter(filter: AttributeFilter, answer: boolean): Condition {
  const inner = (one: AttributeFilter) => ofFilter(one, answer);
  if ('not' in filter) return ofFilter(filter.not, !answer);
  if ('all' in filter) return allOrAny(answer, filter.all.map(inner));
  if ('any' in filter) return allOrAny(!answer, filter.any.map(inner));
  if (!answer) return null;
  if ('exact' in filter)
    return { all: Object.entries(filter.exact).map(([name, text]) => exact(name, text)) };
  if ('prefix' in filter)
    return { all: Object.entries(filter.prefix).map(([name, text]) => prefix(name, text)) };
  return { all: Object.keys(filter.suffix).map((name) => prefix(name, '')) };
}

/**
 * Necessary for the expression to give `answer`, or to fail. `&&` and `||` forgive a side that fails when the other one
 * decides, so each of their sides tells as much as it does alone.
 */
function ofExpression(node: ASTNode, answer: boolean): Condition {
  switch (node.op) {
    case '!_':
      return ofExpression(node.args, !answer);
    case '&&':
    case '||': {
      const sides = node.args.map((side) => ofExpression(side, answer));
      return allOrAny((node.op === '&&') === answer, sides);
    }
    case '==':
    case '!=': {
      if ((node.op === '==') !== answer) return null;
      const [left, right] = node.args;
      return oneOf(left, [right]) ?? oneOf(right, [left]);
    }
    case 'in': {
      const [member, list] = node.args;
      return answer && list.op === 'list' ? oneOf(member, list.args) : null;
    }
    case 'rcall': {
      const [method, receiver, [text]] = node.args;
      const name = attributeOf(receiver);
      if (!answer || method !== 'startsWith' || name === null) return null;
      return text?.op === 'value' && typeof text.args === 'string'
        ? { any: [prefix(name, text.args), absent(name)] }
        : null;
    }
    case 'call': {
      const [method, [member]] = node.args;
      const name = member === undefined ? null : attributeOf(member);
      if (method !== 'has' || name === null) return null;
      return answer ? prefix(name, '') : absent(name);
    }
    default:
      return null;
  }
}

/** An attribute is compared with these. It is text, so no other literal is ever equal; without it the expression fails. */
function oneOf(member: ASTNode, literals: readonly ASTNode[]): Condition {
  const name = attributeOf(member);
  if (name === null) return null;
  const any = [absent(name)];
  for (const { op, args } of literals) {
    if (op !== 'value') return null;
    if (typeof args === 'string') any.push(exact(name, args));
  }
  return { any };
}

function attributeOf(node: ASTNode): string | null {
  const name = memberOf(node, 'event');
  return name === 'data' ? null : name;
}

const allOrAny = (isAll: boolean, parts: Condition[]): Condition => (isAll ? { all: parts } : { any: parts });

const exact = (attribute: string, value: string): AttributeCondition => ({ attribute, kind: 'exact', value });
const prefix = (attribute: string, value: string): AttributeCondition => ({
  attribute,
  kind: 'prefix',
  value,
});
const absent = (attribute: string): AttributeCondition => ({ attribute, kind: 'absent', value: '' });

import type { ASTNode } from '@marcbachmann/cel-js';

/** The members of a variable that an expression names; null when it may read any of them. */
export function membersOf(node: ASTNode, variable: string): ReadonlySet<string> | null {
  const members = new Set<string>();
  return collect(node, variable, members) ? members : null;
}

/** False when the variable is used as a whole. */
function collect(part: unknown, variable: string, members: Set<string>): boolean {
  if (Array.isArray(part)) return part.every((inner) => collect(inner, variable, members));
  if (!isNode(part)) return true;
  if (part.op === 'id') return part.args !== variable;
  const member = memberOf(part, variable);
  if (member === null) return collect(part.args, variable, members);
  members.add(member);
  return true;
}

/** `name` of `variable.name` and `variable["name"]`; null for all else. */
export function memberOf({ op, args }: ASTNode, variable: string): string | null {
  if ((op !== '.' && op !== '[]') || !isNode(args[0]) || args[0].op !== 'id' || args[0].args !== variable)
    return null;
  if (op === '.') return args[1];
  return args[1].op === 'value' && typeof args[1].args === 'string' ? args[1].args : null;
}

function isNode(value: unknown): value is ASTNode {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value;
}

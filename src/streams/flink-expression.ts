import type { ASTNode } from '@marcbachmann/cel-js';
import { compileExpression } from '../filter/expression.ts';

const COMPARISONS: Record<string, string> = {
  '==': '=',
  '!=': '<>',
  '<': '<',
  '<=': '<=',
  '>': '>',
  '>=': '>=',
};
const ARITHMETIC = new Set(['+', '-', '*', '/']);

/** The SQL of a path of members; `isNumber`: as a number. */
type PathSql = (path: string[], isNumber: boolean) => string;

/** The SQL of a CEL expression of comparisons, arithmetic, `&&`, `||` and `!` over members. Throws an Error for any other. */
export function expression(written: string, variables: Record<string, string>, pathSql: PathSql): string {
  const { program } = compileExpression(written, variables);
  return sqlOf(program.ast, pathSql, false);
}

function sqlOf(node: ASTNode, pathSql: PathSql, isNumber: boolean): string {
  const { op } = node;
  if (op === '&&' || op === '||') {
    const [left, right] = node.args as [ASTNode, ASTNode];
    return `(${sqlOf(left, pathSql, false)} ${op === '&&' ? 'AND' : 'OR'} ${sqlOf(right, pathSql, false)})`;
  }
  if (op === '!_') return `(NOT ${sqlOf(node.args as ASTNode, pathSql, false)})`;
  if (op === '-_') return `(- ${sqlOf(node.args as ASTNode, pathSql, true)})`;
  const isArithmetic = ARITHMETIC.has(op);
  if (isArithmetic || op in COMPARISONS) {
    const [left, right] = node.args as [ASTNode, ASTNode];
    const hasNumber = isArithmetic || [left, right].some((side) => isNumeric(side));
    return `(${sqlOf(left, pathSql, hasNumber)} ${COMPARISONS[op] ?? op} ${sqlOf(right, pathSql, hasNumber)})`;
  }
  if (op === 'value') return literal(node.args);
  const path = pathOf(node);
  if (path === null) throw new Error(`${op} has no counterpart that is exported to Flink SQL`);
  return pathSql(path, isNumber);
}

function isNumeric(node: ASTNode): boolean {
  if (node.op === 'value') return typeof node.args === 'number' || typeof node.args === 'bigint';
  return ARITHMETIC.has(node.op) || node.op === '-_';
}

function literal(value: unknown): string {
  if (typeof value === 'string') return text(value);
  if (typeof value === 'number') return `CAST(${value} AS DOUBLE)`;
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'boolean') return value ? 'TRUE' : 'FALSE';
  throw new Error('only texts, numbers and truth values are exported to Flink SQL');
}

function pathOf(node: ASTNode): string[] | null {
  if (node.op === 'id') return [node.args as string];
  if (node.op !== '.') return null;
  const [inner, name] = node.args as [ASTNode, string];
  const path = pathOf(inner);
  return path === null ? null : [...path, name];
}

/** A text as SQL. */
export function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

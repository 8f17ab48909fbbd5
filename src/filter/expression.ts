import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import { LinearMatcher } from '../schema/pattern/linear.ts';

/** Compiled patterns that an environment keeps. */
const MAX_PATTERNS = 100;

/** Compiles a CEL expression over variables of these types. Throws an Error whose message says what is wrong with it. */
export function compileExpression(
  text: string,
  variables: Record<string, string>,
): { program: { (values: Record<string, unknown>): unknown; readonly ast: ASTNode }; type: string } {
  const environment = makeEnvironment();
  for (const [name, type] of Object.entries(variables)) environment.registerVariable(name, type);
  const program = environment.parse(text);
  useSafePatterns(program.ast);
  const { valid, type, error } = program.check();
  if (!valid) throw error ?? new Error('the expression is not valid');
  return { program, type: type ?? 'dyn' };
}

/** With operators that mix `double`, the type of all JSON numbers, and `int`, the type of `1` in an expression. */
function makeEnvironment(): Environment {
  const environment = new Environment({ limits: { maxDepth: 100 } });
  const operators: [string, (a: number, b: number) => number][] = [
    ['+', (a, b) => a + b],
    ['-', (a, b) => a - b],
    ['*', (a, b) => a * b],
    ['/', (a, b) => a / b],
    ['%', (a, b) => a % b],
  ];
  for (const [sign, run] of operators) {
    const mixed = (a: unknown, b: unknown) => run(Number(a), Number(b));
    environment.registerOperator(`double ${sign} int: double`, mixed);
    environment.registerOperator(`int ${sign} double: double`, mixed);
  }
  environment.registerOperator('double % double: double', (a: number, b: number) => a % b);
  const patterns = new Map<string, LinearMatcher>();
  environment.registerFunction('string.matchesSafely(string): bool', (text: string, pattern: string) => {
    let compiled = patterns.get(pattern);
    if (compiled === undefined) {
      compiled = new LinearMatcher(pattern);
      if (patterns.size >= MAX_PATTERNS) patterns.clear();
      patterns.set(pattern, compiled);
    }
    return compiled.test(text);
  });
  return environment;
}

/** CEL's patterns are RE2's, which need linear time. The library's `matches` backtracks: one event could hold up all. */
function useSafePatterns(node: ASTNode): void {
  const args: unknown[] = Array.isArray(node.args) ? node.args : [node.args];
  if (node.op === 'rcall' && args[0] === 'matches') args[0] = 'matchesSafely';
  for (const inner of args.flat(3)) {
    if (typeof inner === 'object' && inner !== null && 'op' in inner) useSafePatterns(inner as ASTNode);
  }
}

/** What is wrong with one `${...}` of a text: it is no variable, or the environment has none of its name. */
export type VariableFault = { whole: string; name: string | null };

/**
 * Fills in `${NAME}` and `${NAME:-default}`; `$${` stands for `${`. As in a shell, the default also replaces an
 * empty value. What is faulty becomes empty.
 */
export function fillVariables(
  text: string,
  env: Readonly<Record<string, unknown>>,
  told: { fault(fault: VariableFault): void; variable?(name: string): void },
): string {
  return text.replace(/\$?\$\{(?:([^}]*)\})?/g, (whole, inside: string | undefined) => {
    if (whole.startsWith('$$')) return whole.slice(1);
    const match = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(inside ?? '');
    if (!match) {
      told.fault({ whole, name: null });
      return '';
    }
    const [, name = '', fallback] = match;
    told.variable?.(name);
    const found = Object.hasOwn(env, name) ? env[name] : undefined;
    const value = typeof found === 'string' ? found : undefined;
    if (fallback !== undefined) return value || fallback;
    if (value === undefined) told.fault({ whole, name });
    return value ?? '';
  });
}

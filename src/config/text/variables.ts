/** A faulty `${...}`, as it stands in the text. `name` is null when it names no variable, else that variable is not set. */
export type VariableFault = { whole: string; name: string | null };

/**
 * Fills in `${NAME}` and `${NAME:-default}`; `$${` stands for `${`. As in a shell, the default also replaces an
 * empty value. A faulty `${...}` becomes an empty text.
 */
export function fillVariables(
  text: string,
  env: Readonly<Record<string, unknown>>,
  on: { fault(fault: VariableFault): void; variable?(): void },
): string {
  return text.replace(/\$?\$\{(?:([^}]*)\})?/g, (whole, inside: string | undefined) => {
    if (whole.startsWith('$$')) return whole.slice(1);
    const match = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(inside ?? '');
    if (!match) {
      on.fault({ whole, name: null });
      return '';
    }
    const [, name = '', fallback] = match;
    on.variable?.();
    const found = Object.hasOwn(env, name) ? env[name] : undefined;
    const value = typeof found === 'string' ? found : undefined;
    if (fallback !== undefined) return value || fallback;
    if (value === undefined) on.fault({ whole, name });
    return value ?? '';
  });
}

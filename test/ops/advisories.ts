/** A fault of a package that its advisory has made known: which versions have it, such as `<1.2.3 || >=2.0.0 <2.1.0`. */
export interface Advisory {
  package: string;
  vulnerable: string;
  id: string;
  note: string;
}

/** The parts of a package-lock.json that are read here. */
export interface Lock {
  packages: Record<string, { version?: string; dev?: boolean; devOptional?: boolean }>;
}

/** The packages that `npm ci --omit=dev` installs: names and versions, each once. */
export function shipped({ packages }: Lock): { name: string; version: string }[] {
  const found = new Map<string, { name: string; version: string }>();
  for (const [path, { version, dev, devOptional }] of Object.entries(packages)) {
    if (path === '' || version === undefined || dev || devOptional) continue;
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    found.set(`${name}@${version}`, { name, version });
  }
  return [...found.values()];
}

/** The advisories that concern a shipped package, one line each. */
export function concerned(lock: Lock, advisories: readonly Advisory[]): string[] {
  return shipped(lock).flatMap(({ name, version }) =>
    advisories
      .filter((one) => one.package === name && isIn(version, one.vulnerable))
      .map(({ id, vulnerable, note }) => `${name} ${version}: ${id} (${vulnerable}): ${note}`),
  );
}

/** Whether a version is in a range. A pre-release counts as its release. */
export function isIn(version: string, range: string): boolean {
  return range.split('||').some((part) =>
    part
      .trim()
      .split(/\s+/)
      .every((comparator) => {
        const match = /^(<=|>=|<|>|=)(\d+\.\d+\.\d+)$/.exec(comparator);
        if (match === null) throw new Error(`${comparator} of ${range} is no comparator`);
        const order = compare(version, match[2]!);
        const sign = match[1]!;
        return (
          (order === 0 && sign.includes('=')) ||
          (order < 0 && sign[0] === '<') ||
          (order > 0 && sign[0] === '>')
        );
      }),
  );
}

function compare(a: string, b: string): number {
  const parts = (version: string) =>
    version
      .replace(/[-+].*$/s, '')
      .split('.')
      .map(Number);
  const [x, y] = [parts(a), parts(b)];
  for (const place of [0, 1, 2]) {
    const difference = x[place]! - y[place]!;
    if (difference !== 0) return difference;
  }
  return 0;
}

import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
/** Folders whose modules start programs: servers and browsers, and our own process. */
const STARTERS = /^test\/(services|e2e)\//;
const STARTS = /from '(node:child_process|playwright-core)';$/m;

/** What a test file needs: nothing but Node; programs that it starts itself; servers that the whole run shares. */
export type Needs = 'quick' | 'own' | 'kafka' | 'redis' | 'kafka-redis';

/** The test files (paths from the root of the repository) by what they need, as their text and imports say. */
export function testsByNeeds(): Record<Needs, string[]> {
  const found: Record<Needs, string[]> = { quick: [], own: [], kafka: [], redis: [], 'kafka-redis': [] };
  const modules = new Modules();
  for (const file of globSync('test/**/*.test.ts', { cwd: ROOT }).sort())
    found[needsOf(file, modules)].push(file);
  return found;
}

function needsOf(file: string, modules: Modules): Needs {
  const text = modules.textOf(file);
  const [kafka, redis] = [text.includes("inject('kafkaBrokers')"), text.includes("inject('redisUrl')")];
  if (kafka && redis) return 'kafka-redis';
  if (kafka) return 'kafka';
  if (redis) return 'redis';
  return modules.loadedWith(file).some((path) => STARTERS.test(path) && STARTS.test(modules.textOf(path)))
    ? 'own'
    : 'quick';
}

class Modules {
  readonly #texts = new Map<string, string>();

  textOf(path: string): string {
    const text = this.#texts.get(path) ?? readFileSync(join(ROOT, path), 'utf8');
    this.#texts.set(path, text);
    return text;
  }

  /** A file, and every module of test/ that it imports, directly or not. */
  loadedWith(file: string): string[] {
    const seen = new Set([file]);
    for (const path of seen) {
      for (const [, name] of this.textOf(path).matchAll(/ from '(\.[^']+\.ts)';$/gm)) {
        const imported = normalize(join(dirname(path), name!));
        if (imported.startsWith('test/') && existsSync(join(ROOT, imported))) seen.add(imported);
      }
    }
    return [...seen];
  }
}

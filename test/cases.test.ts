import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

/** One or more numbers at the beginning of a quoted text, as in a title. */
const TITLE = /(['"`])((?:C\d{2}:? )+)/g;
const NUMBER = /C\d{2}/g;

/** Every case that a title, or a message of the tests on Kubernetes, names. */
function named(): string[] {
  const texts = globSync('**/*.ts', { cwd: import.meta.dirname }).map((file) =>
    readFileSync(join(import.meta.dirname, file), 'utf8'),
  );
  const titles = texts.flatMap((text) => [...text.matchAll(TITLE)].map(([, , numbers]) => numbers!));
  return [...new Set(titles.flatMap((numbers) => numbers.match(NUMBER)!))].sort();
}

/** Every case of cases.md, as often as it stands there. */
function explained(): string[] {
  const text = readFileSync(join(import.meta.dirname, 'cases.md'), 'utf8');
  return [...text.matchAll(/^- \*\*(C\d{2})\*\* \S/gm)].map(([, number]) => number!);
}

test('each case that a title names is explained once in cases.md, and no other', () => {
  expect(named().length).toBeGreaterThan(50);
  expect(explained()).toEqual(named());
});

import { execFileSync } from 'node:child_process';
import { cpus, totalmem } from 'node:os';

/** One figure, and the figure it is compared with. */
export interface Row {
  name: string;
  unit: string;
  /** Median of the rounds. */
  value: number;
  /** The figure that `value` is compared with, median of the rounds; null when the target stands alone. */
  against: { name: string; value: number } | null;
  /** `value` divided by it, median of the rounds' own ratios. */
  ratio: number | null;
  /** The most that the ratio may be, or the value where there is no ratio. */
  target: number;
  holds: boolean;
  /** Further figures, by name with unit. */
  more: Record<string, number>;
}

/** Makes a row of the figures of all rounds. `pairs`: the value of each round, and the one it is compared with. */
export function rowOf(
  name: string,
  unit: string,
  pairs: readonly (readonly [value: number, against: number | null])[],
  { target, against, more = {} }: { target: number; against?: string; more?: Record<string, number> },
): Row {
  const value = median(pairs.map(([one]) => one));
  if (against === undefined) {
    return { name, unit, value, against: null, ratio: null, target, holds: value <= target, more };
  }
  const ratio = median(pairs.map(([one, other]) => one / other!));
  const beside = { name: against, value: median(pairs.map(([, other]) => other!)) };
  return { name, unit, value, against: beside, ratio, target, holds: ratio <= target, more };
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value that a share `q` of all values does not exceed; 0 without values. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
}

/** The machine and the commit of the figures. */
export function setting(): Record<string, string> {
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  return {
    date: new Date().toISOString().slice(0, 10),
    commit,
    node: process.version,
    machine: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
  };
}

const HEAD = ['row', 'value', 'against', 'ratio', 'target', 'holds', 'more'];

/** A Markdown table. */
export function tableOf(rows: readonly Row[]): string {
  return markdown([HEAD, ...rows.map(cellsOf)]);
}

function cellsOf({ name, unit, value, against, ratio, target, holds, more }: Row): string[] {
  return [
    name,
    `${short(value)} ${unit}`,
    against === null ? '' : `${against.name} ${short(against.value)}`,
    ratio === null ? '' : ratio.toFixed(2),
    `<= ${Number(target.toFixed(3))}`,
    holds ? 'yes' : 'no',
    Object.entries(more)
      .map(([what, figure]) => `${what} ${short(figure)}`)
      .join(', '),
  ];
}

/** Lines of cells as a Markdown table with even columns. The first line is the head. */
export function markdown(lines: readonly string[][]): string {
  const widths = lines[0]!.map((_, i) => Math.max(3, ...lines.map((line) => line[i]!.length)));
  const text = (line: readonly string[]) =>
    `| ${line.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`;
  const rule = text(widths.map((width) => '-'.repeat(width)));
  return [text(lines[0]!), rule, ...lines.slice(1).map(text)].join('\n');
}

export function short(figure: number): string {
  return figure >= 100 ? Math.round(figure).toLocaleString('en') : figure.toFixed(figure < 10 ? 2 : 1);
}

/** Replaces the text between the marks of a section of a document. Throws when there is no such section. */
export function writeSection(document: string, name: string, text: string): string {
  const [from, to] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`];
  const [start, end] = [document.indexOf(from), document.indexOf(to)];
  if (start < 0 || end < start) throw new Error(`no section between ${from} and ${to}`);
  return `${document.slice(0, start)}${from}\n\n${text}\n\n${document.slice(end)}`;
}

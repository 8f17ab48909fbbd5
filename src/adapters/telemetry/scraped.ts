import { Counter, Gauge, type Registry } from 'prom-client';

/** One value of a metric, with its labels. */
export type Sample<L extends string> = Record<L, string | number> & { value: number };

/** Adds a counter `postern_{name}` whose samples are asked for at each scrape. */
export function scrapedCounter<L extends string = never>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: L[],
  samples: () => Iterable<Sample<L>>,
): void {
  new Counter<L>({
    name: `postern_${name}`,
    help,
    labelNames,
    registers: [registry],
    collect() {
      this.reset();
      for (const sample of samples()) this.inc(labelsOf(sample, labelNames), sample.value);
    },
  });
}

/** Adds a gauge `postern_{name}` whose samples are asked for at each scrape; without samples it has no line. */
export function scrapedGauge<L extends string = never>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: L[],
  samples: () => Iterable<Sample<L>>,
): void {
  new Gauge<L>({
    name: `postern_${name}`,
    help,
    labelNames,
    registers: [registry],
    collect() {
      this.reset();
      // `reset` gives a gauge without labels the value 0.
      if (labelNames.length === 0) this.remove();
      for (const sample of samples()) this.set(labelsOf(sample, labelNames), sample.value);
    },
  });
}

function labelsOf<L extends string>(sample: Sample<L>, names: L[]): Partial<Record<L, string | number>> {
  const labels: Partial<Record<L, string | number>> = {};
  for (const name of names) labels[name] = sample[name];
  return labels;
}

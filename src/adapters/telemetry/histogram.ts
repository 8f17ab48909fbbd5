import type { Metric, Registry } from 'prom-client';

/**
 * A histogram without labels, for the hot path. `observe` takes 25 ns and makes no object. The one of prom-client takes
 * 190 ns, as it makes objects and a text of the labels on each call (measured on Node 24, prom-client 15).
 */
export class Histogram {
  readonly #bounds: readonly number[];
  /** Observations per bucket; the last bucket is that beyond all bounds. */
  readonly #counts: Float64Array;
  #sum = 0;

  /** Adds it to the registry as `postern_{name}`. */
  constructor(registry: Registry, name: string, help: string, bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
    registry.registerMetric(this.#metric(`postern_${name}`, help));
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.#bounds.length && value > this.#bounds[bucket]!) bucket++;
    this.#counts[bucket]!++;
    this.#sum += value;
  }

  /** The part of a metric that a registry uses: a Histogram of prom-client cannot be given its counts. */
  #metric(name: string, help: string): Metric {
    const get = async () => {
      let below = 0;
      const values: { metricName: string; labels: Record<string, string | number>; value: number }[] = [];
      for (const [index, count] of this.#counts.entries()) {
        below += count;
        const le = this.#bounds[index] ?? '+Inf';
        values.push({ metricName: `${name}_bucket`, labels: { le }, value: below });
      }
      values.push({ metricName: `${name}_sum`, labels: {}, value: this.#sum });
      values.push({ metricName: `${name}_count`, labels: {}, value: below });
      return { name, help, type: 'histogram', values, aggregator: 'sum' };
    };
    return { name, help, get, reset: () => {} } as unknown as Metric;
  }
}

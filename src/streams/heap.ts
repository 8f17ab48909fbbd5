/** The smallest first: a binary heap of numbers that carry something. */
export class Heap<T> {
  readonly #items: { at: number; item: T }[] = [];

  get length(): number {
    return this.#items.length;
  }

  /** The smallest number; infinite when there is none. */
  get first(): number {
    return this.#items[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  push(at: number, item: T): void {
    const items = this.#items;
    const added = { at, item };
    let i = items.length;
    items.push(added);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (items[parent]!.at <= at) break;
      items[i] = items[parent]!;
      i = parent;
    }
    items[i] = added;
  }

  /** Takes the smallest; there must be one. */
  pop(): T {
    const items = this.#items;
    const { item } = items[0]!;
    const last = items.pop()!;
    if (items.length === 0) return item;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && items[child + 1]!.at < items[child]!.at) child++;
      if (items[child]!.at >= last.at) break;
      items[i] = items[child]!;
      i = child;
    }
    items[i] = last;
    return item;
  }
}

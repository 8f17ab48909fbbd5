/**
 * The contiguous finished prefix of one partition. Offsets are begun in rising order (with gaps where the
 * log has none: compaction, transaction markers) and finished in any order.
 */
export class OffsetTracker {
  /** Begun and not known to be part of the prefix, in order. */
  readonly #begun: number[] = [];
  #head = 0;
  readonly #finished = new Set<number>();
  #next: number | null = null;

  /** Notes that `offset` is in work. */
  begin(offset: number): void {
    this.#begun.push(offset);
  }

  /** Notes that `offset` needs no more work. */
  finish(offset: number): void {
    this.#finished.add(offset);
    while (this.#head < this.#begun.length && this.#finished.delete(this.#begun[this.#head]!)) {
      this.#next = this.#begun[this.#head]! + 1;
      this.#head++;
    }
    // Half of the array is spent: copy the rest down, so that each offset is moved once on average.
    if (this.#head > 1024 && this.#head * 2 > this.#begun.length) {
      this.#begun.splice(0, this.#head);
      this.#head = 0;
    }
  }

  /** The offset to commit (the next one to read), or null when nothing is finished yet. */
  get next(): number | null {
    return this.#next;
  }

  /** How many are in work or wait behind one that is. */
  get open(): number {
    return this.#begun.length - this.#head;
  }

  /** The lowest offset in work, or null. */
  get oldest(): number | null {
    return this.#begun[this.#head] ?? null;
  }
}

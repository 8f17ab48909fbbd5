/**
 * Knows up to which offset all records of a partition are finished. Offsets are begun in rising order and finished in
 * any order. There are gaps where the log has no record (compaction, transaction markers).
 */
export class OffsetTracker {
  /** From `#head` on: offsets that were begun and are not before `next`, in order. */
  #begun: number[] = [];
  #head = 0;
  #last = -1;
  readonly #finished = new Set<number>();
  #next: number | null = null;

  /** Notes that `offset` is in work. False, and without effect, when it or a later one was begun before. */
  begin(offset: number): boolean {
    if (offset <= this.#last) return false;
    this.#last = offset;
    this.#begun.push(offset);
    return true;
  }

  /** Notes that `offset` is finished. Does nothing when it is not in work. */
  finish(offset: number): void {
    if (offset !== this.#begun[this.#head]) {
      if (this.#isOpen(offset)) this.#finished.add(offset);
      return;
    }
    this.#head++;
    this.#advance(offset + 1);
  }

  /** Notes that all offsets before `offset` are finished, also those that were never begun. */
  finishBefore(offset: number): void {
    while (this.#head < this.#begun.length && this.#begun[this.#head]! < offset)
      this.#finished.delete(this.#begun[this.#head++]!);
    if (offset > (this.#next ?? -1)) this.#advance(offset);
  }

  /** Moves on to `next`, and over what was finished behind it. */
  #advance(next: number): void {
    this.#next = next;
    while (this.#head < this.#begun.length && this.#finished.delete(this.#begun[this.#head]!))
      this.#next = this.#begun[this.#head++]! + 1;
    // Half of the array is spent. Copying the rest now moves each offset once on average.
    if (this.#head > 1024 && this.#head * 2 > this.#begun.length) {
      this.#begun = this.#begun.slice(this.#head);
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

  #isOpen(offset: number): boolean {
    let low = this.#head;
    let high = this.#begun.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const found = this.#begun[middle]!;
      if (found === offset) return true;
      if (found < offset) low = middle + 1;
      else high = middle - 1;
    }
    return false;
  }
}

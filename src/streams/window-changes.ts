import type { Window } from './windows/windows.ts';

/** Notes which windows the store must write or remove. */
export class WindowChanges {
  #dirty: Window[] = [];
  #gone: string[] = [];

  touched(window: Window): void {
    if (window.dirty) return;
    window.dirty = true;
    this.#dirty.push(window);
  }

  removed(window: Window): void {
    window.dirty = false;
    this.#gone.push(window.name);
  }

  /** Removes an entry of the store that is no window here. */
  drop(name: string): void {
    this.#gone.push(name);
  }

  /** The entries of the store that changed since the last call; null: the entry is removed. */
  take(write: (window: Window) => string): Map<string, string | null> {
    const entries = new Map<string, string | null>();
    for (const name of this.#gone) entries.set(name, null);
    for (const window of this.#dirty) {
      if (!window.dirty) continue;
      window.dirty = false;
      entries.set(window.name, write(window));
    }
    this.#gone = [];
    this.#dirty = [];
    return entries;
  }
}

/** Gives the time at which a request came. */
export class ReceiptClock {
  #second = 0;
  #start = '';

  /** RFC 3339 text. All of it but the milliseconds is made once a second. */
  now(): string {
    const now = Date.now();
    const ms = now % 1000;
    if (now - ms !== this.#second) {
      this.#second = now - ms;
      this.#start = new Date(now).toISOString().slice(0, 20);
    }
    return `${this.#start}${ms < 10 ? '00' : ms < 100 ? '0' : ''}${ms}Z`;
  }
}

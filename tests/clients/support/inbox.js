import { within } from "./within.js";

/** What an operation tells, one after the other. It is an observer, and a sink. */
export class Inbox {
  #told = [];
  #waiting = [];

  next = (value) => this.#put({ value });
  error = (error) => this.#put({ error });
  complete = () => this.#put({ complete: true });

  /** The next value, error or completion, as soon as it is there. */
  take() {
    if (this.#told.length) return Promise.resolve(this.#told.shift());
    return within(new Promise((taken) => this.#waiting.push(taken)), "an event");
  }

  /** The next value. Fails if it is an error or the end. */
  async value() {
    const told = await this.take();
    if (!("value" in told)) throw told.error ?? new Error("It was complete already.");
    return told.value;
  }

  #put(told) {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(told);
    else this.#told.push(told);
  }
}

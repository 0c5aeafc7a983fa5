import { within } from "./within.js";

/** Queue of the events of an operation. Works as an observer and as a sink. */
export class Inbox {
  #events = [];
  #waiting = [];

  next = (value) => this.#put({ value });
  error = (error) => this.#put({ error });
  complete = () => this.#put({ complete: true });

  /** Waits for the next value, error or completion. */
  take() {
    if (this.#events.length) return Promise.resolve(this.#events.shift());
    return within(new Promise((resolve) => this.#waiting.push(resolve)), "an event");
  }

  /** Waits for the next value. Fails on an error or completion. */
  async value() {
    const event = await this.take();
    if (!("value" in event)) throw event.error ?? new Error("It was complete already.");
    return event.value;
  }

  #put(event) {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(event);
    else this.#events.push(event);
  }
}

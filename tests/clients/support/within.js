// Timeout for promises, so that a missing result fails at the line that awaits it.

const LONGEST = 15_000;

/** Resolves like the promise, or rejects after a timeout. */
export function within(promise, what) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error(`Nothing came: ${what}`)), LONGEST);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

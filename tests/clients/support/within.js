// Bounds what a test waits for, so that what never comes is told where it was awaited.

const LONGEST = 15_000;

/** The promise, or an error when it takes far too long. */
export function within(promise, what) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error(`Nothing came: ${what}`)), LONGEST);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

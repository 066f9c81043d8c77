// Asking again and again while a view is shown and the page can be seen.

/** Runs `ask` at once and `everyMs` after each end, until the signal aborts; `failed` is told of errors. */
export function again(ask, everyMs, signal, failed) {
  let timer = 0;
  const run = async () => {
    try {
      if (!document.hidden) await ask();
    } catch (error) {
      if (!signal.aborted) failed(error);
    }
    if (!signal.aborted) timer = setTimeout(run, everyMs);
  };
  signal.addEventListener("abort", () => clearTimeout(timer));
  run();
}

/** Waits for `condition`, however slow the machine, but no more than a minute; returns whether it came. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<boolean> {
  const end = Date.now() + 60_000;
  while (!(await condition())) {
    if (Date.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return true;
}

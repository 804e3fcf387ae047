/** Prints what a test with a seed has done, which `tools/faults.ts` adds up over many seeds. */
export function counted(suite: string, counts: Readonly<Record<string, number>>): void {
  console.log(`counted ${suite}: ${JSON.stringify(counts)}`);
}

/** Every byte of a value that is sent, names and all, in the order in which they are found. */
export function bytesIn(value: unknown): Uint8Array {
  const parts: Uint8Array[] = [];
  collect(value, parts);
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length + 1, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length + 1;
  }
  return all;
}

function collect(value: unknown, parts: Uint8Array[]): void {
  if (value instanceof Uint8Array) parts.push(value);
  else if (value instanceof ArrayBuffer) parts.push(new Uint8Array(value));
  else if (value instanceof Date) collect(value.toISOString(), parts);
  else if (Array.isArray(value)) for (const item of value) collect(item, parts);
  else if (typeof value === 'object' && value !== null)
    for (const entry of Object.entries(value)) collect(entry, parts);
  else parts.push(new TextEncoder().encode(String(value)));
}

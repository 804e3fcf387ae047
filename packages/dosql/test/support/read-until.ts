/** What a body brings until `text` has come. */
export async function readUntil(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  text: string,
): Promise<string> {
  let received = '';
  for (const decoder = new TextDecoder(); !received.includes(text);) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`it ended after ${JSON.stringify(received)}`);
    received += decoder.decode(value, { stream: true });
  }
  return received;
}

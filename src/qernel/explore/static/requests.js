// What is asked of the server on this machine.

async function checked(url, signal) {
  const response = await fetch(url, { signal });
  if (!response.ok) {
    const text = await response.text();
    let message = text;
    try {
      message = JSON.parse(text).error ?? text;
    } catch {} // plain text
    throw new Error(message);
  }
  return response;
}

/** One JSON object. */
export async function ask(url, signal) {
  return (await checked(url, signal)).json();
}

/** The objects of a stream of JSON lines, as they come; ends quietly when aborted. */
export async function* lines(url, signal) {
  const reader = (await checked(url, signal)).body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    for (const part of parts) yield JSON.parse(part);
  }
}

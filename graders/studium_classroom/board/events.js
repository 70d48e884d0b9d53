// Server-sent events over fetch, because an EventSource can send no token.
const SILENCE = 40_000; // ms without a sign of life, after which the connection counts as lost: the server gives one each 15 s
const [SHORTEST, LONGEST] = [1000, 30_000]; // ms until the next try

/**
 * Connects with `connect(signal)` again and again, and calls `told(data)` for each event and `lost(error)` where a try fails.
 * Ends with the error for which `isEnd(error)` holds.
 */
export async function follow({ connect, told, lost, isEnd }) {
  for (let wait = SHORTEST; ; await pause(wait)) {
    try {
      await listen(connect, (data) => {
        wait = SHORTEST;
        told(data);
      });
    } catch (error) {
      if (isEnd(error)) throw error;
      lost(error);
      wait = Math.min(2 * wait, LONGEST);
    }
  }
}

async function listen(connect, told) {
  const end = new AbortController();
  let timer = 0;
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => end.abort(), SILENCE);
  };
  try {
    alive();
    const { body } = await connect(end.signal);
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      alive();
      const events = (text + part.value).split("\n\n");
      text = events.pop();
      for (const event of events) if (event.startsWith("data: ")) told(event.slice("data: ".length));
    }
  } finally {
    clearTimeout(timer);
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Where a picture's code comes from: what is installed on the server. The notebook gives a name and nothing else.

const NAME = /^[A-Za-z_]\w*(\/[A-Za-z_]\w*)+$/;
const LONGEST = 200; // characters
const OPENED = /\/(?:tree|notebooks)\/(.+\.ipynb)$/; // the address of a page that opens with a notebook

/** load(name) → the widget's module, {render, show}. Rejects with one sentence. Each is fetched once a page. */
export function moduleLoader(ServerConnection) {
  const known = new Map();
  return (name) => {
    if (typeof name !== "string" || name.length > LONGEST || !NAME.test(name)) {
      return Promise.reject(
        new Error("it needs the name of a widget, such as studium_widgets/attention, got another text"),
      );
    }
    if (!known.has(name)) {
      known.set(name, fetchModule(ServerConnection, name));
      known.get(name).catch(() => known.delete(name)); // it may be installed by the next try
    }
    return known.get(name);
  };
}

/** Loads the code of the first picture in the notebook that the page opens with, while the application still starts. */
export async function loadFirst(ServerConnection, load) {
  const path = OPENED.exec(location.pathname)?.[1];
  if (!path) return;
  const answer = await ask(ServerConnection, `first-widget/${path}`);
  const { widget } = await answer.json();
  if (widget) await load(widget);
}

async function fetchModule(ServerConnection, name) {
  const answer = await ask(ServerConnection, `widgets/${name}`);
  if (!answer.ok) throw new Error(await reason(answer));
  const url = URL.createObjectURL(new Blob([await answer.text()], { type: "text/javascript" }));
  try {
    return (await import(url)).default;
  } finally {
    URL.revokeObjectURL(url);
  }
}

function ask(ServerConnection, path) {
  const settings = ServerConnection.makeSettings();
  return ServerConnection.makeRequest(`${settings.baseUrl}studium/${path}`, {}, settings);
}

// A server without our extension answers with a page.
async function reason(answer) {
  try {
    return (await answer.json()).message;
  } catch {
    return `it needs a server on which Studium is installed, got status ${answer.status}`;
  }
}

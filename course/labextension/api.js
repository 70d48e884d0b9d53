// The server's side of the desk: requests and the stream of events, as docs/desk-api.md has them.

/** What the server said no to, in its own sentence. */
export class ApiError extends Error {}

export class Api {
  #connection;
  #settings;

  constructor(ServerConnection) {
    this.#connection = ServerConnection;
    this.#settings = ServerConnection.makeSettings();
  }

  /** The answer to `method` on `path` (with its query); raises ApiError with one sentence. */
  async request(method, path, body) {
    const url = new URL(`studium/api/${path}`, this.#settings.baseUrl).href;
    const options = { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    let response;
    try {
      response = await this.#connection.makeRequest(url, options, this.#settings);
    } catch {
      throw new ApiError("the server does not answer; is it still running?");
    }
    const answer = await response.json().catch(() => ({ message: `the server said ${response.status}` }));
    if (!response.ok) throw new ApiError(answer.message ?? `the server said ${response.status}`);
    return answer;
  }

  /** The address of one of the application's own pages. */
  page = (path) => new URL(path, new URL(this.#settings.baseUrl, location.href)).href;

  get = (path, query = {}) => this.request("GET", `${path}?${new URLSearchParams(query)}`);
  post = (path, body) => this.request("POST", path, body);

  /** Calls `heard(name, data)` for each event until `signal` aborts; the browser connects again by itself. */
  events(names, heard, signal) {
    const url = new URL("studium/api/events", this.#settings.baseUrl);
    if (this.#settings.token) url.searchParams.set("token", this.#settings.token);
    const source = new EventSource(url);
    for (const name of names) source.addEventListener(name, (event) => heard(name, JSON.parse(event.data)));
    signal.addEventListener("abort", () => source.close(), { once: true });
  }
}

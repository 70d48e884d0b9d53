// The session of a page. The secret of the link is changed into a token once; the token stays in this tab, and no cookie is set.

/** There is no session, or it has ended: only another link helps. */
export class EndedError extends Error {}

const [, prefix, kind, course, assignment] = /^(.*)\/(board|mark)\/([^/]+)\/([^/]+)$/.exec(location.pathname);
const KEY = `studium-${kind} ${prefix} ${course}`;

/** The course and the assignment of this page, as its address names them. */
export const place = { course: decodeURIComponent(course), assignment: decodeURIComponent(assignment) };

/** Gives `ask(path, options)`, which fetches what is below the assignment. Raises EndedError without a session. */
export async function openSession() {
  const secret = location.hash.slice(1);
  if (secret) {
    history.replaceState(null, "", location.pathname); // it works once: nobody shall copy it from here
    sessionStorage.setItem(KEY, (await exchanged(secret)).token);
  }
  const token = sessionStorage.getItem(KEY);
  if (!token) throw new EndedError("this page opens with a link that works once");
  return (path, options = {}) => ask(path, token, options);
}

async function exchanged(secret) {
  return (await fetched(kind, { method: "POST", body: JSON.stringify({ secret }) })).json();
}

function ask(path, token, options) {
  const headers = { Authorization: `${kind} ${token}` };
  return fetched(`courses/${course}/assignments/${assignment}/${path}`, { ...options, headers });
}

async function fetched(path, options) {
  const answer = await fetch(`${prefix}/api/${path}`, {
    credentials: "omit",
    cache: "no-store",
    redirect: "error",
    ...options,
  });
  if (answer.ok) return answer;
  const { message } = await answer
    .json()
    .catch(() => ({ message: `the server answered with the error ${answer.status}` }));
  throw new ([401, 403].includes(answer.status) ? EndedError : Error)(message);
}

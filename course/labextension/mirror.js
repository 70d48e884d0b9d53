// A copy of the progress in this browser: a Binder forgets, the browser does not.

const KEY = "studium-progress";

/** Keeps the copy after each change, and offers it to a server that has no progress. */
export async function keepMirror(desk) {
  const wanted = () => desk.settings.get("mirror");
  const kept = wanted() && read();
  if (kept?.entries?.length && isFresh(desk.syllabus)) await offer(desk, kept);
  let waiting = 0;
  desk.on("syllabus", () => {
    clearTimeout(waiting);
    if (wanted() && !isFresh(desk.syllabus)) waiting = setTimeout(() => save(desk), 1000);
  });
}

const isFresh = (syllabus) =>
  Boolean(syllabus) && syllabus.totals.untouched === syllabus.totals.exercises && !syllabus.totals.optional_right;

function read() {
  try {
    return JSON.parse(localStorage.getItem(KEY));
  } catch {
    return null; // not ours, or cut off: there is nothing to offer
  }
}

async function save(desk) {
  const file = await desk.api.get("progress", { folder: desk.folder }).catch(() => null);
  if (!file) return;
  try {
    localStorage.setItem(KEY, JSON.stringify(file));
  } catch {
    desk.say("this browser has no room left for a copy of your progress; save it as a file");
  }
}

async function offer(desk, file) {
  const take = async () => {
    const answer = await desk.tried(desk.api.post("progress", { folder: desk.folder, file }));
    if (answer) await desk.load();
  };
  const actions = [{ label: "Take it over", callback: take }];
  desk.Notification?.info("This browser has progress from another session.", { autoClose: false, actions });
}

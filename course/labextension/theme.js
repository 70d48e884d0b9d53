// JupyterLab takes the colours of the system (lab_settings/overrides.json) until the learner chooses a theme.
const THEMES = "@jupyterlab/apputils-extension:themes";
const FOLLOWS = "adaptive-theme";

/** Let the learner's choice win, earlier or now. JupyterLab itself ignores it while it follows the system. */
export async function keepChosenTheme(app, registry) {
  const settings = await registry?.load(THEMES).catch(() => null);
  if (!settings) return;
  const set = async (name, value) => {
    await uncovered();
    await settings.set(name, value);
  };
  const stay = () => settings.composite[FOLLOWS] && set(FOLLOWS, false);
  if (settings.user.theme !== undefined && settings.user[FOLLOWS] === undefined) await stay();
  app.commands.commandExecuted.connect(async (_, { id, args, result }) => {
    if (id !== "apputils:change-theme") return;
    await result;
    await stay();
    if (settings.user.theme !== args.theme) await set("theme", args.theme);
  });
}

// JupyterLab covers itself while it loads a theme, and takes the cover away a moment later: twice, with an error, where
// another theme was loaded in this moment.
async function uncovered() {
  do await new Promise((resolve) => setTimeout(resolve, 50));
  while (document.getElementById("jupyterlab-splash"));
}

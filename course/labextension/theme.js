// JupyterLab takes the colours of the system (lab_settings/overrides.json) until the learner chooses a theme.
const THEMES = "@jupyterlab/apputils-extension:themes";
const FOLLOWS = "adaptive-theme";

/** Let the learner's choice win, earlier or now. JupyterLab itself ignores it while it follows the system. */
export async function keepChosenTheme(app, registry) {
  const settings = await registry?.load(THEMES).catch(() => null);
  if (!settings) return;
  const stay = () => settings.composite[FOLLOWS] && settings.set(FOLLOWS, false);
  if (settings.user.theme !== undefined && settings.user[FOLLOWS] === undefined) await stay();
  app.commands.commandExecuted.connect(async (_, { id, args, result }) => {
    if (id !== "apputils:change-theme") return;
    await result;
    await stay();
    if (settings.user.theme !== args.theme) await settings.set("theme", args.theme);
  });
}

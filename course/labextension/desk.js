// The desk as a plugin: one panel, commands, and what it hangs on the applications' own parts where they are there.
import { Api } from "./api.js";
import { addCards } from "./card.js";
import { addCommands, isFresh } from "./commands.js";
import { coverTab } from "./cover.js";
import { h } from "./element.js";
import { catchUp } from "./fresh.js";
import { watchIdle } from "./idle.js";
import { markNotebooks } from "./marks.js";
import { keepMirror } from "./mirror.js";
import { Desk } from "./state.js";
import { buildPanel } from "./panel.js";
import { keepChosenTheme } from "./theme.js";

const ID = "studium-desk:plugin";
const ICON =
  '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><path class="jp-icon3" fill="#616161" ' +
  'd="M12 3 1 9l11 6 9-4.91V17h2V9zM5 13.18v4L12 21l7-3.82v-4L12 17z"/></svg>';
const RANK = 620; // third parties have 501 to 899 in the left area

/** The plugin that JupyterLab and Notebook take. `shared(name)` gives one of their modules, or null. */
export async function extension(shared, here) {
  const modules = {
    notebook: await shared("@jupyterlab/notebook"),
    apputils: await shared("@jupyterlab/apputils"),
    launcher: await shared("@jupyterlab/launcher"),
    statusbar: await shared("@jupyterlab/statusbar"),
    settings: await shared("@jupyterlab/settingregistry"),
    rendermime: await shared("@jupyterlab/rendermime"),
    components: await shared("@jupyterlab/ui-components"),
    services: await shared("@jupyterlab/services"),
    widgets: await shared("@lumino/widgets"),
  };
  const { INotebookTracker } = modules.notebook;
  const optional = [
    modules.apputils?.ICommandPalette,
    modules.launcher?.ILauncher,
    modules.statusbar?.IStatusBar,
    modules.settings?.ISettingRegistry,
    modules.rendermime?.IRenderMimeRegistry,
  ];
  const activate = (app, tracker, ...found) => {
    const given = {};
    ["palette", "launcher", "statusBar", "registry", "rendermime"]
      .filter((_, i) => optional[i])
      .forEach((name, i) => (given[name] = found[i]));
    return start(app, tracker, given, modules, here);
  };
  const wanted = { requires: [INotebookTracker], optional: optional.filter(Boolean) };
  return { id: ID, description: "Studium's side panel", autoStart: true, ...wanted, activate };
}

async function start(app, tracker, { palette, launcher, statusBar, registry, rendermime }, modules, here) {
  const { services, widgets, apputils, components } = modules;
  const looks = document.head.appendChild(h("link", { rel: "stylesheet", href: new URL("desk.css", here).href }));
  const api = new Api(services.ServerConnection);
  const desk = new Desk(api, app, tracker, {
    Notification: apputils?.Notification,
    NotebookActions: modules.notebook.NotebookActions,
  });
  desk.shared = location.hash.startsWith("#studium1.") ? location.hash.slice(1) : null; // read before Lab changes it
  desk.settings = settingsOf(registry, app.restored);
  desk.rendermime = rendermime ?? null;
  addCards(desk, widgets);
  const icon = new components.LabIcon({ name: "studium-desk:studium", svgstr: ICON });
  const widget = new widgets.Widget();
  widget.id = "studium-desk";
  widget.title.caption = "Studium";
  widget.title.icon = icon;
  widget.addClass("studium-desk");
  widget.node.append(buildPanel(desk));
  desk.panelIsShown = () => widget.isVisible;
  app.shell.add(widget, "left", { rank: RANK });
  looks.addEventListener("load", () => widget.parent?.fit()); // its least width is known only now
  const show = () => {
    app.shell.expandLeft?.(widget.id); // in Notebook this shows the panel; in JupyterLab the next line does
    app.shell.activateById(widget.id);
  };
  const cover = coverTab(desk, widgets.Widget, icon, show);
  desk.openMap = cover.openMap;
  addCommands(app, desk, show, cover.open, { palette, launcher, icon });
  markNotebooks(desk, tracker);
  catchUp(desk);
  if (statusBar)
    statusBar.registerStatusItem("studium-progress", {
      align: "left",
      rank: 50,
      item: statusItem(desk, widgets.Widget, show),
    });
  widget.disposed.connect(() => desk.end.abort());
  app.restored.then(() => keepChosenTheme(app, registry));
  app.restored.then(() => begin(desk, show, cover)); // not awaited: the application is restored once every plugin is there
}

async function begin(desk, show, cover) {
  desk.makeRoom(); // JupyterLab opens its list of files
  cover.takePlaceOf("START.md");
  await desk.load();
  if (desk.shared) {
    show();
    desk.tell("shared");
  }
  desk.listen();
  keepMirror(desk);
  watchIdle(desk);
}

// Read once all plugins are there: Notebook's own shortcuts stumble over settings that come earlier.
function settingsOf(registry, restored) {
  const found = { badges: true, mirror: true, idleMinutes: 8 };
  const settings = { get: (name) => found[name], changed: () => {} };
  restored.then(async () => {
    const loaded = await registry?.load(ID).catch(() => null);
    const read = () => Object.assign(found, loaded.composite) && settings.changed();
    if (!loaded) return;
    loaded.changed.connect(read);
    read();
  });
  return settings;
}

function statusItem(desk, Widget, show) {
  const item = new Widget({ node: h("button", { type: "button", class: "studium-status" }) });
  item.node.addEventListener("click", show);
  const draw = () => {
    const { right, exercises } = desk.syllabus.totals;
    item.node.textContent = isFresh(desk.syllabus) ? "Studium" : `Studium: ${right} of ${exercises} right`;
  };
  desk.on("syllabus", draw);
  return item;
}

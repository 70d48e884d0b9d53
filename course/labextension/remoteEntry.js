// What JupyterLab and Notebook load first: the container that a bundler would write, which imports plain modules.
(() => {
  const here = document.currentScript.src; // known only while this script runs
  let scope;

  // One of Lab's own modules, such as "@lumino/widgets"; null where this application has none of that name.
  async function shared(name) {
    if (!scope[name]) return null;
    const versions = Object.keys(scope[name]).sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
    return (await scope[name][versions.at(-1)].get())();
  }

  window._JUPYTERLAB ??= {};
  window._JUPYTERLAB["studium-desk"] = {
    init(given) {
      scope = given;
    },
    async get() {
      const { extension } = await import(new URL("desk.js", here));
      const made = { __esModule: true, default: await extension(shared, here) };
      return () => made;
    },
  };
})();

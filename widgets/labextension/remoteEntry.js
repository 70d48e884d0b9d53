// What JupyterLab and Notebook load first: the container that a bundler would write, which imports plain modules.
(() => {
  const here = document.currentScript.src; // known only while this script runs
  let scope;

  // One of Lab's own modules, such as "@lumino/widgets".
  async function shared(name) {
    const versions = Object.keys(scope[name]).sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
    return (await scope[name][versions.at(-1)].get())();
  }

  window._JUPYTERLAB ??= {};
  window._JUPYTERLAB["studium-widgets"] = {
    init(given) {
      scope = given;
    },
    async get() {
      const { extension } = await import(new URL("renderer.js", here));
      const { Panel } = await shared("@lumino/widgets");
      const { ServerConnection } = await shared("@jupyterlab/services");
      const made = { __esModule: true, default: extension({ Panel, ServerConnection }) };
      return () => made;
    },
  };
})();

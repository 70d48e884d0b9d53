// The invitation stands behind the # and is sent to no server: only this page can put it into the command.
const { href, hash } = window.location;
if (/^#[A-Za-z0-9_-]+$/.test(hash)) {
  document.getElementById("command").textContent = `studium courses --join '${href}'`;
}

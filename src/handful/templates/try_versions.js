"use strict";
// What the served model was before, and the way back: an earlier version answers again at the press of a button.
const versionsOf = (model) => `/models/${encodeURIComponent(model.name)}`;

async function showVersions(model) {
  document.getElementById("versions").hidden = true;
  document.getElementById("gone-back").textContent = "";
  if (model.followed) await listVersions(model);
}

// Runs that lie in the folder beside the one that answers, then what that one was and is; the newest stands first.
async function listVersions(model) {
  const told = await (await fetch(`${versionsOf(model)}/versions`)).json();
  if (told.error || model.name !== chosen().name) return;
  const versions = [...(told.runs || []).filter((run) => !run.current), ...told.versions].reverse();
  document.getElementById("versions").hidden = versions.length < 2;
  document.getElementById("lines").replaceChildren(...versions.map((one) => versionLine(model, one)));
}

function versionLine(model, one) {
  const item = document.createElement("li"), text = document.createElement("span");
  const when = one.made ? `, ${new Date(one.made).toLocaleString()}` : "";
  text.textContent = `Version ${one.version} (${one.reason}${when})`;
  item.append(text);
  if (one.answers_now) {
    const mark = document.createElement("b");
    mark.textContent = "answers now";
    item.append(mark);
    return item;
  }
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Go back to it";
  button.setAttribute("aria-label", `Go back to version ${one.version}`);
  button.addEventListener("click", () => goBack(model, one.version, button));
  item.append(button);
  return item;
}

async function goBack(model, version, button) {
  const said = document.getElementById("gone-back");
  button.disabled = true;
  said.textContent = "…";
  try {
    const head = { "Content-Type": "application/json" }, body = JSON.stringify({ version });
    const told = await (await fetch(`${versionsOf(model)}/rollback`, { method: "POST", headers: head, body })).json();
    if (!told.error) await renew();
    said.textContent = told.error ? told.error.message : `Version ${version} answers again, as version ${told.version}. Ask again to see what it says.`;
  } catch (error) {
    said.textContent = "The server does not answer. Is it still running?";
  } finally {
    button.disabled = false;
  }
}

"use strict";
// The token is typed, or stands behind # in the address, which browsers send to nobody; the server answers with a cookie.
const at = (id) => document.getElementById(id);

async function signIn(token) {
  try {
    const response = await fetch("/sign-in", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token }),
    });
    if (response.ok) return location.reload();
    at("state").textContent = (await response.json()).error.message;
  } catch (error) {
    at("state").textContent = "The server does not answer. Is it still running?";
  }
  at("token").focus();
}

at("form").addEventListener("submit", (event) => { event.preventDefault(); signIn(at("token").value); });
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  history.replaceState(null, "", location.pathname);  // not to be read over a shoulder, nor kept
  signIn(given);
} else at("token").focus();

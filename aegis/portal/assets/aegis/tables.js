/* The grid of a routing table: findings follow what is typed, replay comes without leaving the page, arrow keys move between
   rows, and typed cells are not lost by leaving. Without this file every button still works. */
(function () {
  "use strict";
  const form = document.querySelector("form[data-grid]");
  if (!form) return;
  const findings = document.getElementById("grid-findings");
  const replay = document.getElementById("grid-replay");
  let timer = 0, turn = 0, sending = false, isChanged = false;

  async function ask(what, into) {
    const mine = (turn += 1);
    const body = new FormData(form);
    body.delete("sheet");
    body.set("do", what);
    try {
      const answer = await fetch(location.href, { method: "POST", body, headers: { "X-Requested-With": "fetch" }, redirect: "manual" });
      if (answer.type === "opaqueredirect" || !/^text\/html/.test(answer.headers.get("Content-Type") || "")) return;
      const html = await answer.text();
      if (what === "findings" && mine !== turn) return; // an older answer to an older draft
      if (/<html/i.test(html)) return; // a page of its own: signed out, or refused
      into.innerHTML = html; // from our own origin, autoescaped by the server
      if (window.Aegis) window.Aegis.refresh(into);
    } catch (e) { /* the Check button still works */ }
  }
  form.addEventListener("input", (e) => {
    isChanged = true;
    if (!e.target.matches("[data-live-field]")) return;
    e.target.removeAttribute("aria-invalid");
    clearTimeout(timer);
    timer = setTimeout(() => ask("findings", findings), 400);
  });
  form.addEventListener("submit", (e) => {
    if (e.submitter && e.submitter.value === "replay") {
      e.preventDefault();
      replay.textContent = "Asking…";
      ask("replay", replay);
      return;
    }
    sending = true;
  });
  form.addEventListener("keydown", (e) => { // up and down within a column, as in a sheet
    if ((e.key !== "ArrowUp" && e.key !== "ArrowDown") || !e.target.matches("input[data-live-field]")) return;
    const cell = e.target.closest("td");
    const row = cell.parentElement;
    const next = e.key === "ArrowUp" ? row.previousElementSibling : row.nextElementSibling;
    const field = next && next.children[cell.cellIndex] && next.children[cell.cellIndex].querySelector("input");
    if (field) { field.focus(); field.select(); e.preventDefault(); }
  });
  addEventListener("beforeunload", (e) => { if (!sending && isChanged) e.preventDefault(); });
}());

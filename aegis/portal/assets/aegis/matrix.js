/* The access matrix: one tab stop, arrows move, Enter opens why (a dialog fetched from the server), Escape closes it; where the
   reader may edit, Space gives a cell its next state and E opens its form. What is changed is kept by the server until applied.
   Filter by name and the one role shown on a phone also work without this file (the form submits). */
(function () {
  "use strict";
  const { $, $$, refresh, toast } = window.Aegis;
  const table = $("#mx-table");
  if (!table) return;
  const rows = () => $$("tr[data-capability]", table).filter((r) => !r.hidden);
  const cellsOf = (row) => $$(".mx-cell", row).filter((a) => a.offsetParent !== null);
  let current = null;

  function hold(cell, focus) {
    if (!cell) return;
    if (current) current.tabIndex = -1;
    current = cell; current.tabIndex = 0;
    if (focus) { current.focus({ preventScroll: true }); reveal(current.closest("td")); }
  }
  function reveal(td) { // below the sticky head, right of the sticky column
    const box = $(".mx-scroll"); const head = $("thead", table).offsetHeight; const left = $(".mx-rh", table).offsetWidth;
    if (td.offsetTop - head < box.scrollTop) box.scrollTop = td.offsetTop - head;
    else if (td.offsetTop + td.offsetHeight > box.scrollTop + box.clientHeight) box.scrollTop = td.offsetTop + td.offsetHeight - box.clientHeight;
    if (td.offsetLeft - left < box.scrollLeft) box.scrollLeft = td.offsetLeft - left;
    else if (td.offsetLeft + td.offsetWidth > box.scrollLeft + box.clientWidth) box.scrollLeft = td.offsetLeft + td.offsetWidth - box.clientWidth;
    td.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  function move(down, right) {
    const list = rows(); const at = list.indexOf(current.closest("tr"));
    const column = cellsOf(list[at]).indexOf(current);
    const row = list[Math.min(list.length - 1, Math.max(0, at + down))];
    const cells = cellsOf(row);
    hold(cells[Math.min(cells.length - 1, Math.max(0, column + right))], true);
  }
  const KEYS = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1], Home: [0, -999], End: [0, 999], PageDown: [8, 0], PageUp: [-8, 0] };
  table.addEventListener("keydown", (e) => {
    if (!e.target.matches(".mx-cell") || e.altKey || e.metaKey) return;
    if (e.ctrlKey && (e.key === "Home" || e.key === "End")) { e.preventDefault(); move(e.key === "Home" ? -9999 : 9999, e.key === "Home" ? -9999 : 9999); return; }
    const step = !e.ctrlKey && KEYS[e.key];
    if (step) { e.preventDefault(); move(step[0], step[1]); }
    else if (e.key === " ") { e.preventDefault(); if (mayEdit(e.target)) next(e.target); else why(e.target); }
    else if (e.key.toLowerCase() === "e" && !e.ctrlKey && mayEdit(e.target)) { e.preventDefault(); edit(e.target); }
  });
  table.addEventListener("focusin", (e) => { if (e.target.matches(".mx-cell")) hold(e.target, false); });

  /* ---- why ---- */
  const pop = $("#mx-pop");
  async function why(link) {
    try {
      const answer = await fetch(link.href, { headers: { "X-Requested-With": "fetch" } });
      if (!answer.ok || answer.redirected) { location.href = link.href; return; }
      pop.innerHTML = await answer.text();
    } catch (e) { location.href = link.href; return; }
    refresh(pop);
    pop.setAttribute("aria-labelledby", "mx-why-t");
    pop.showModal();
    const td = link.closest("td").getBoundingClientRect();
    const box = pop.getBoundingClientRect();
    if (innerWidth > 719) { // beside the cell, inside the window; set through the CSSOM, which the policy allows
      const below = td.bottom + 6 + box.height < innerHeight;
      pop.style.top = Math.max(8, below ? td.bottom + 6 : td.top - box.height - 6) + "px";
      pop.style.left = Math.min(Math.max(8, td.left), innerWidth - box.width - 8) + "px";
    }
    const first = $("footer a, a, button", pop);
    if (first) first.focus();
  }
  table.addEventListener("click", (e) => {
    const link = e.target.closest(".mx-cell");
    if (!link || e.ctrlKey || e.metaKey || e.shiftKey || e.button) return;
    e.preventDefault(); hold(link, false); why(link);
  });
  pop.addEventListener("click", (e) => {
    if (e.target === pop) pop.close();
    if (e.target.closest("[data-edit-cell]") && !e.ctrlKey && !e.metaKey) { e.preventDefault(); pop.close(); edit(current); }
  });

  /* ---- change a cell ---- */
  const editor = $("#mx-editor"); const address = table.dataset.cellUrl;
  const roleOf = (link) => link.closest("td").dataset.role;
  const capabilityOf = (link) => link.closest("tr").dataset.capability;
  function mayEdit(link) { return $$("th[data-editable]", table).some((th) => th.dataset.role === roleOf(link)); }
  async function post(data) {
    return fetch(address, { method: "POST", body: data, headers: { "X-Requested-With": "fetch" } });
  }
  function show(link, cell) {
    const td = link.closest("td");
    td.className = td.className.replace(/\bmx-(allow_if|allow|gate|deny|empty)\b/, "mx-" + cell.label);
    td.classList.toggle("is-unsaved", Boolean(cell.was));
    const sign = $(".mx-legend .mx-" + cell.label + " svg").cloneNode(true);
    $(".mx-st svg", link).replaceWith(sign);
    $(".mx-w", link).textContent = cell.word;
    $$(".mx-d, .mx-st ~ .ag-vh", link).forEach((el) => el.remove());
    if (cell.detail) { const d = document.createElement("span"); d.className = "mx-d"; d.textContent = cell.detail; link.append(d); }
    if (cell.was) { const v = document.createElement("span"); v.className = "ag-vh"; v.textContent = ", changed, not applied"; link.append(v); }
    $("#mx-bar").hidden = !cell.unsaved;
    $("#mx-unsaved").textContent = cell.unsaved + (cell.unsaved === 1 ? " change" : " changes");
  }
  let turn = Promise.resolve(); // one after the other: the session that keeps them is read and written whole
  function next(link) {
    turn = turn.then(async () => {
      const data = new FormData($("#mx-discard"));
      data.set("role", roleOf(link)); data.set("capability", capabilityOf(link)); data.set("do", "next");
      try {
        const answer = await post(data);
        if (answer.ok && !answer.redirected) { show(link, await answer.json()); return; }
        const said = await answer.text();
        toast(answer.redirected ? "Sign in again to change cells" : said.length < 200 ? said : "This cell could not be changed");
      } catch (e) { toast("The server cannot be reached; the cell is as it was"); }
    });
  }
  async function edit(link) {
    const where = address + "?" + new URLSearchParams({ role: roleOf(link), capability: capabilityOf(link) });
    try {
      await turn;
      const answer = await fetch(where, { headers: { "X-Requested-With": "fetch" } });
      if (!answer.ok || answer.redirected) { location.href = where; return; }
      fill(await answer.text(), link);
    } catch (e) { location.href = where; return; }
    if (!editor.open) editor.showModal();
    const state = $("[name=effect]:checked", editor);
    if (state) state.focus();
  }
  function fill(text, link) {
    editor.innerHTML = text;
    refresh(editor);
    const form = $("form", editor);
    window.AegisCell.ready(form);
    form.addEventListener("submit", async (e) => {
      e.preventDefault();
      try {
        const answer = await post(new FormData(form, e.submitter));
        if (answer.status === 422) { fill(await answer.text(), link); const fault = $(".ag-faults", editor); if (fault) fault.scrollIntoView({ block: "nearest" }); return; }
        if (!answer.ok || answer.redirected) { toast("Not kept. Your form is as you typed it"); return; }
        show(link, await answer.json());
      } catch (x) { toast("The server cannot be reached; your form is as you typed it"); return; }
      window.AegisCell.forget(form);
      editor.close();
    });
  }
  editor.addEventListener("click", (e) => { if (e.target === editor) editor.close(); });
  editor.addEventListener("close", () => { if (current) current.focus({ preventScroll: true }); });
  pop.addEventListener("close", () => { if (current) current.focus({ preventScroll: true }); });

  /* ---- find, and one role on a phone; both stay in the address ---- */
  const find = $("#mx-find"); const phone = $("#mx-phone"); const shown = $("#mx-shown");
  function remember(key, value) {
    const u = new URL(location.href);
    if (value) u.searchParams.set(key, value); else u.searchParams.delete(key);
    history.replaceState(null, "", u);
    $$("[data-same]").forEach((a) => { a.href = a.href.split("?")[0] + u.search; }); // sheet and print hold what the page shows
  }
  function filter() {
    const q = find.value.trim().toLowerCase(); let n = 0;
    $$("tbody", table).forEach((body) => {
      let any = false;
      $$("tr[data-capability]", body).forEach((r) => { r.hidden = !r.dataset.capability.toLowerCase().includes(q); if (!r.hidden) { any = true; n += 1; } });
      body.hidden = !any;
    });
    shown.textContent = q ? n + (n === 1 ? " capability" : " capabilities") : "";
    if (!current || current.closest("tr").hidden) { const first = rows()[0]; hold(first && cellsOf(first)[0], false); }
  }
  find.addEventListener("input", () => { filter(); remember("find", find.value.trim()); });
  const roles = $("#mx-roles");
  find.addEventListener("keydown", (e) => { if (e.key === "Enter" && (!roles || roles.value !== "granted")) { e.preventDefault(); filter(); } });
  if (roles) roles.addEventListener("change", () => find.form.submit());
  phone.addEventListener("change", () => {
    $$("[data-role]", table).forEach((c) => c.classList.toggle("is-picked", c.dataset.role === phone.value));
    remember("role", phone.value);
    const first = rows()[0]; hold(first && cellsOf(first)[0], false);
  });
  filter();
  const first = rows()[0];
  if (!current && first) hold(cellsOf(first)[0], false);
  const answer = $("#answer");
  if (answer) answer.focus({ preventScroll: true });
}());

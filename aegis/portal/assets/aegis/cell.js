/* The form of one cell: checked while it is typed, and what is typed survives a reload until it is kept or given up. Works on
   form.mx-form, wherever it stands, and on textarea[data-typed]. Without this file the form posts and is checked on the server.
   window.AegisCell: {ready(form), forget(form)}. */
(function () {
  "use strict";
  const { $, $$ } = window.Aegis;
  const store = {
    get: (k) => { try { return sessionStorage.getItem(k); } catch (e) { return null; } },
    set: (k, v) => { try { sessionStorage.setItem(k, v); } catch (e) { /* private window */ } },
    drop: (k) => { try { sessionStorage.removeItem(k); } catch (e) { /* private window */ } },
  };
  const key = (form) => "cell:" + form.dataset.cell;
  const typed = (form) => $$("input:not([type=hidden]), select, textarea", form).map((el) => (el.type === "radio" || el.type === "checkbox" ? el.checked : el.value));
  function retake(form) {
    const kept = store.get(key(form));
    if (!kept) return;
    const values = JSON.parse(kept);
    $$("input:not([type=hidden]), select, textarea", form).forEach((el, i) => {
      if (typeof values[i] === "boolean") el.checked = values[i]; else if (typeof values[i] === "string") el.value = values[i];
    });
  }
  async function check(form) {
    const data = new FormData(form);
    data.set("do", "check");
    try {
      const answer = await fetch(form.action, { method: "POST", body: data, headers: { "X-Requested-With": "fetch" } });
      if (answer.ok && !answer.redirected) $("#mx-check", form).innerHTML = await answer.text();
    } catch (e) { $("#mx-check", form).textContent = "Cannot be checked right now."; }
  }
  function ready(form) {
    let timer = 0;
    retake(form);
    form.addEventListener("input", () => {
      store.set(key(form), JSON.stringify(typed(form)));
      clearTimeout(timer); timer = setTimeout(() => check(form), 250);
    });
    if (!$("#mx-check .ag-faults", form)) check(form);
  }
  window.AegisCell = { ready, forget: (form) => store.drop(key(form)) };
  $$(".mx-editor--page .mx-form").forEach((form) => { ready(form); form.addEventListener("submit", () => store.drop(key(form))); });
  $$("textarea[data-typed]").forEach((area) => {
    const name = "typed:" + area.dataset.typed;
    if (!area.value) area.value = store.get(name) || "";
    area.addEventListener("input", () => store.set(name, area.value));
    area.form.addEventListener("submit", () => store.drop(name)); // the server gives it back when it refuses
  });
}());

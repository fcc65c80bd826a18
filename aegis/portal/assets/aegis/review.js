/* Review item: what is typed survives a reload (sessionStorage, per item) until it is sent. */
(function () {
  "use strict";
  const { $, $$ } = window.Aegis;
  const form = $(".rv-form[data-draft]");
  if (!form) return;
  const key = "ag-review:" + form.dataset.draft;
  const fields = () => $$("input:not([type=hidden]),textarea,select", form).filter((f) => f.name);
  const id = (f) => f.name + (f.type === "checkbox" || f.type === "radio" ? "=" + f.value : "");
  const value = (f) => (f.type === "checkbox" || f.type === "radio" ? f.checked : f.value);
  function read() { try { return JSON.parse(sessionStorage.getItem(key) || "{}"); } catch (e) { return {}; } }
  function write(data) { try { if (data) sessionStorage.setItem(key, JSON.stringify(data)); else sessionStorage.removeItem(key); } catch (e) { /* private window */ } }

  if (!$("[aria-invalid=true],.ag-error,[role=alert]", document)) { // after a fault the server's copy is the newest
    const kept = read();
    fields().forEach((f) => { if (id(f) in kept) { if (f.type === "checkbox" || f.type === "radio") f.checked = kept[id(f)]; else f.value = kept[id(f)]; } });
  } else {
    const first = $("[aria-invalid=true]", form);
    if (first) first.focus();
  }
  form.addEventListener("input", () => { const data = {}; fields().forEach((f) => { data[id(f)] = value(f); }); write(data); });
  form.addEventListener("submit", () => write(null));
}());

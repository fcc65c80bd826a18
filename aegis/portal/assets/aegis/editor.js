/* The document editor: jump to the line of a fault, find a cell named in the address, warn before typed text is left. */
(function () {
  "use strict";
  const form = document.querySelector("form[data-guard]");
  const area = document.getElementById("document-text");
  if (!form || !area) return;
  function select(from, to) {
    area.focus();
    area.setSelectionRange(from, to);
    const line = area.value.slice(0, from).split("\n").length - 1;
    area.scrollTop = Math.max(0, line * parseFloat(getComputedStyle(area).lineHeight) - area.clientHeight / 3);
  }
  function go(number) {
    const lines = area.value.split("\n");
    const from = lines.slice(0, number - 1).join("\n").length + (number > 1 ? 1 : 0);
    select(from, from + (lines[number - 1] || "").length);
  }
  document.addEventListener("click", (e) => {
    const b = e.target.closest("[data-goto-line]");
    if (b) go(Number(b.dataset.gotoLine));
  });
  if (area.dataset.find) {
    const at = area.value.indexOf(area.dataset.find);
    if (at >= 0) select(at, at + area.dataset.find.length);
  }
  let sending = false;
  const fields = Array.from(form.querySelectorAll("textarea"));
  form.addEventListener("submit", () => { sending = true; });
  addEventListener("beforeunload", (e) => {
    if (!sending && fields.some((f) => f.value !== f.defaultValue)) e.preventDefault();
  });
}());

/* Run page: the linked event opens, "Now" stays in sight, the polled part brings its tags and actions along. */
(function () {
  "use strict";
  const { $, $$, refresh } = window.Aegis;
  const part = $("#run-live");
  if (!part) return;

  function reveal(scroll) {
    const id = decodeURIComponent(location.hash.slice(1));
    let at = id && document.getElementById(id);
    if (at && at.classList.contains("rn-anchor")) at = at.closest(".rn-ev");
    if (!at || !at.classList.contains("rn-ev")) return;
    $("details", at).open = true;
    if (scroll) { at.scrollIntoView({ block: "start" }); $("summary", at).focus({ preventScroll: true }); }
  }
  let watch = null;
  function pin() {
    const bar = $("[data-pin]", part);
    const now = $("[data-now]", part);
    if (watch) watch.disconnect();
    if (!bar || !now || !("IntersectionObserver" in window)) return;
    watch = new IntersectionObserver((seen) => { bar.hidden = seen[0].isIntersecting || seen[0].boundingClientRect.top > 0; }, { rootMargin: "-60px 0px 0px 0px" });
    watch.observe(now);
  }
  function mirror() {
    $$("template[data-mirror]", part).forEach((source) => {
      const target = $("[data-mirrored='" + source.dataset.mirror + "']");
      if (!target || target.contains(document.activeElement) || $("details[open]", target)) return; // never under somebody's hands
      target.replaceChildren(source.content.cloneNode(true));
      refresh(target);
    });
  }
  let all = false;
  function fold() {
    const button = $("[data-fold-all]", part);
    if (!button) return;
    button.setAttribute("aria-pressed", String(all));
    $("span", button).textContent = all ? "Fold all" : "Open all";
  }
  part.addEventListener("click", (e) => {
    if (!e.target.closest("[data-fold-all]")) return;
    all = !all; fold();
    $$(".rn-ev details", part).forEach((d) => { d.open = all; });
  });
  part.addEventListener("aegis:live", () => { mirror(); pin(); fold(); });
  addEventListener("hashchange", () => reveal(true));
  pin(); reveal(true);
}());

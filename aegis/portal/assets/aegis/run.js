/* Run page: the linked event opens, "Now" stays in sight, the polled part brings its tags and actions along. What the run is
   at is said aloud once, when its sentence has changed. */
(function () {
  "use strict";
  const { $, $$, refresh } = window.Aegis;
  const part = $("#run-live");
  if (!part) return;

  const filter = new URLSearchParams(location.search);
  function reveal(scroll) {
    const id = decodeURIComponent(location.hash.slice(1));
    let at = id && document.getElementById(id);
    $$(".rn-ev.is-here", part).forEach((e) => { if (e !== at) e.classList.remove("is-here"); });
    if (!at && scroll && /^(e|[a-z]+-[0-9a-f]{8}-)\d+$/.test(id) && (filter.has("lane") || filter.has("agent"))) {
      location.replace(location.pathname + "#" + id); // the filter hides it; the link to an event is worth more
      return;
    }
    if (at && at.classList.contains("rn-anchor")) at = at.closest(".rn-ev");
    if (!at || !at.classList.contains("rn-ev")) return;
    at.classList.add("is-here");
    if (scroll) { $("details", at).open = true; at.scrollIntoView({ block: "start" }); $("summary", at).focus({ preventScroll: true }); }
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
      const typed = $$("textarea[id]", target).filter((f) => f.value);
      const next = source.content.cloneNode(true);
      if (typed.some((f) => !$("#" + f.id, next))) return; // the form is gone: what was typed stays until it is sent or emptied
      typed.forEach((f) => { $("#" + f.id, next).value = f.value; });
      target.replaceChildren(next);
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
  let said = ($("[data-said]", part) || {}).textContent;
  function tell() {
    const now = ($("[data-said]", part) || {}).textContent;
    const aloud = document.getElementById("ag-live-status");
    if (aloud && now !== said) aloud.textContent = now;
    said = now;
  }
  part.addEventListener("aegis:live", () => { mirror(); pin(); fold(); reveal(false); tell(); });
  $$("[data-mirrored]").forEach((target) => target.addEventListener("focusout", () => setTimeout(mirror, 200))); // what waited for the hands
  addEventListener("hashchange", () => reveal(true));
  pin(); reveal(true);
}());

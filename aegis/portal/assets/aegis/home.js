/* Greeting and date in the reader's zone; the server does not know it. */
(function () {
  "use strict";
  const now = new Date();
  const hour = now.getHours();
  const hello = document.querySelector("[data-greeting]");
  if (hello) hello.textContent = hour < 5 ? "Good night" : hour < 12 ? "Good morning" : hour < 18 ? "Good afternoon" : "Good evening";
  const today = document.querySelector("[data-today]");
  if (today) today.textContent = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long" }).format(now) + " · ";
}());

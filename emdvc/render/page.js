"use strict";
// before and after stand side by side until this runs; then one range, native, moves the seam between them
for (const figure of document.querySelectorAll("figure.compare")) {
  const range = figure.querySelector("input[type=range]");
  const show = () => {
    figure.style.setProperty("--at", range.value + "%");
    range.setAttribute("aria-valuetext", range.value + " % before, " + (100 - range.value) + " % after");
  };
  range.addEventListener("input", show);
  range.disabled = false;
  figure.classList.add("together");
  show();
}
// on paper nothing can be opened
const opened = [];
window.addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details:not([open])")) {
    part.open = true;
    opened.push(part);
  }
});
window.addEventListener("afterprint", () => {
  for (const part of opened.splice(0)) part.open = false;
});

// Keys for the buttons and links that name one in data-key; the page works without this file.
"use strict";

function walk(step) {
  const links = [...document.querySelectorAll("a.open")];
  if (!links.length) return;
  const at = links.indexOf(document.activeElement);
  links[Math.min(Math.max(at + step, 0), links.length - 1)].focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.closest("input, select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (target) target.click();
  else if (event.key === "ArrowDown" && document.querySelector("a.open")) walk(1);
  else if (event.key === "ArrowUp" && document.querySelector("a.open")) walk(-1);
  else if (event.key === "Enter" && document.activeElement === document.body) document.querySelector("a.open")?.click();
  else return;
  event.preventDefault();
});

for (const select of document.querySelectorAll(".filters select"))
  select.addEventListener("change", () => select.form.submit());

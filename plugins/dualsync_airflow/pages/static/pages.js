"use strict";
// Airflow keeps the theme that was chosen in its user menu here; without a choice the system decides.
function theme() {
  const chosen = localStorage.getItem("theme");
  const root = document.documentElement;
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  else delete root.dataset.theme;
}
theme();
window.addEventListener("storage", theme);

// Airflow shows these pages in a frame that may neither leave it nor open windows. Links that lead out are followed by
// the page around, which has the same origin.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-top], a[data-out]");
  if (link === null || window.parent === window || event.ctrlKey || event.metaKey || event.shiftKey) return;
  let outside;
  try {
    outside = window.parent.document.createElement("a");
  } catch {
    return;
  }
  event.preventDefault();
  outside.href = link.href;
  if ("out" in link.dataset) {
    outside.target = "_blank";
    outside.rel = "noopener noreferrer";
  }
  outside.click();
});

// An action that cannot be undone needs a second press. The frame shows no dialogs, so the button itself asks.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (button === null || !button.dataset.confirm || "sure" in button.dataset) return;
  event.preventDefault();
  button.dataset.sure = "";
  const question = document.createElement("p");
  question.className = "note";
  question.setAttribute("role", "alert");
  question.textContent = `${button.dataset.confirm} Press the button again to do it.`;
  button.form.append(question);
});

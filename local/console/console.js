// What the pages do beyond HTML and htmx. Each page works without it.
document.documentElement.classList.add("scripts"); // shows what needs a script

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const text = document.getElementById(button.dataset.copy).textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(document.getElementById(button.dataset.copy)); // the clipboard needs HTTPS or this machine
  }
});

// The page of an error says what is wrong, so htmx shows its part, too. Pages that poll keep the last answer.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (!document.getElementById("old") && event.detail.xhr.getResponseHeader("Content-Type")?.startsWith("text/html")) event.detail.shouldSwap = true;
});

// The checkbox stops polls. A request by a person has a triggering event, and goes out. The checkbox itself asks for nothing.
document.addEventListener("htmx:beforeRequest", (event) => {
  const by = event.detail.requestConfig.triggeringEvent;
  if (by?.target?.id === "pause" || (!by && document.querySelector("#pause:checked"))) event.preventDefault();
});

// Pages that poll say if what they show is old.
for (const [event, isOld] of [["htmx:sendError", true], ["htmx:responseError", true], ["htmx:timeout", true], ["htmx:afterSwap", false]]) {
  document.addEventListener(event, () => {
    const note = document.getElementById("old");
    if (note) note.hidden = !isOld;
  });
}

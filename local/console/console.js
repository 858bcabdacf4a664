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

// The page of an error says what is wrong, so htmx shows its part, too. The page State is an exception: it keeps the last answer.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (!["now", "live"].includes(event.detail.target.id) && event.detail.xhr.getResponseHeader("Content-Type")?.startsWith("text/html")) event.detail.shouldSwap = true;
});

// The checkbox stops polls. A request by a person has a triggering event, and goes out.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.querySelector("#pause:checked") && !event.detail.requestConfig.triggeringEvent) event.preventDefault();
});

// The page State says if its figures are old.
for (const [event, isOld] of [["htmx:sendError", true], ["htmx:responseError", true], ["htmx:afterSwap", false]]) {
  document.addEventListener(event, () => {
    const note = document.getElementById("old");
    if (note) note.hidden = !isOld;
  });
}

// Does in Chromium what support staff do, with the mouse and by keyboard:
//   node support.mjs CHROMIUM CONSOLE NAME ...
// KEY is the API key. Each NAME is a character that was deleted. It exits with 1 if something is wrong.
import { check, openTab, withBrowser, wrong } from "./browser.mjs";

const [chromium, url, byMouse, byKeyboard] = process.argv.slice(2);

async function logIn(tab) {
  await tab.goto(url);
  await check(tab, "the login", tab.locator("#key"));
  await tab.fill("#key", process.env.KEY);
  await tab.getByRole("button", { name: "Log in" }).click();
  await tab.waitForURL(/players/);
}

const back = (tab) => tab.getByRole("status").filter({ hasText: "The character is back." });

/** From the search to a character that is back there are three clicks. */
async function restore(tab) {
  let clicks = 0;
  const click = (what) => (clicks++, what.click());
  await tab.fill("#q", byMouse.slice(0, 5));
  await click(tab.getByRole("button", { name: "Search" }));
  const link = tab.getByRole("link", { name: `Bring ${byMouse} back` });
  await check(tab, "players", link);
  await click(link);
  await check(tab, "the change", tab.locator("#reason"));
  await tab.fill("#reason", "ticket 4711");
  await click(tab.getByRole("button", { name: "Bring back" }));
  await check(tab, "the player", back(tab));
  if (clicks > 3) wrong("bring back", `${clicks} clicks`);
}

/** Without a mouse: the list appears while the name is typed. */
async function restoreByKeyboard(tab) {
  await tab.goto(url);
  await tab.keyboard.type(byKeyboard.slice(0, 5)); // the search has the focus
  const link = tab.getByRole("link", { name: `Bring ${byKeyboard} back` });
  await link.waitFor();
  while (!(await link.evaluate((e) => e === document.activeElement))) await tab.keyboard.press("Tab");
  await tab.keyboard.press("Enter");
  await tab.locator("#reason").waitFor();
  while (!(await tab.locator("#reason").evaluate((e) => e === document.activeElement))) await tab.keyboard.press("Tab");
  await tab.keyboard.type("ticket 4712");
  await tab.keyboard.press("Enter");
  await back(tab).waitFor();
}

/** A change of the name is shown before it is made. */
async function rename(tab) {
  await tab.getByRole("link", { name: `Rename ${byMouse}` }).click();
  await tab.fill("#new_name", `${byMouse}X`);
  await tab.getByRole("button", { name: "Show the change" }).click();
  await tab.locator("ins", { hasText: `${byMouse}X` }).waitFor();
  await tab.fill("#reason", "ticket 4713");
  await tab.getByRole("button", { name: "Rename" }).click();
  await tab.getByRole("link", { name: `${byMouse}X`, exact: true }).click();
  await check(tab, "the character", tab.getByRole("heading", { name: "Inventory" }));
}

async function note(tab) {
  await tab.getByRole("link", { name: "The player" }).click();
  await tab.fill("#text", "Was polite.");
  await tab.getByRole("button", { name: "Add the note" }).click();
  await tab.getByText("Was polite.").waitFor();
  await tab.getByRole("link", { name: "Audit", exact: true }).click();
  await tab.getByRole("cell", { name: "ticket 4713" }).first().waitFor();
  await tab.getByRole("button", { name: "Log out" }).click();
  await tab.locator("#key").waitFor();
}

await withBrowser(chromium, async (browser) => {
  const tab = await openTab(browser, "light", { url, now: "support" });
  tab.setDefaultTimeout(60_000);
  await logIn(tab);
  await restore(tab);
  await rename(tab);
  await restoreByKeyboard(tab);
  await tab.getByRole("link", { name: byKeyboard, exact: true }).click();
  await note(tab);
});

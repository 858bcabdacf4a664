// Does in Chromium what a developer does with the emulator:
//   node developer.mjs CHROMIUM CONSOLE
// It exits with 1 if something is wrong.
import { check, openTab, withBrowser, wrong } from "./browser.mjs";

const [chromium, url] = process.argv.slice(2);

/** Calls an rpc by its form, through a gateway. */
async function call(tab) {
  await tab.goto(`${url}/calls`);
  await tab.getByRole("link", { name: "Call an rpc" }).click();
  await tab.getByLabel("Rpc").selectOption("SessionService/GetSession");
  await tab.getByRole("button", { name: "Show its form" }).click();
  await tab.getByLabel("token").fill("no-such-token");
  await tab.getByLabel("Protocol").selectOption("protobuf");
  await tab.getByLabel("Gateway").selectOption("v1");
  await tab.getByRole("button", { name: "Send" }).click();
  await check(tab, "the form with its answer", tab.getByRole("status").filter({ hasText: "SESSION_NOT_FOUND" }));
}

/** Finds the call in the list, which shows it without a click, and learns why it was refused. */
async function explain(tab) {
  await tab.getByRole("link", { name: "All calls" }).click();
  await tab.getByLabel("the console's own").check();
  await tab.getByRole("link", { name: "1", exact: true }).click();
  await check(tab, "the call", tab.getByText("unknown, revoked, of a removed user, or with a wrong signature"));
  await tab.getByRole("button", { name: "Copy" }).first().click();
  await tab.getByRole("button", { name: "Copied" }).waitFor();
  const copied = await tab.evaluate(() => navigator.clipboard.readText());
  if (!copied.startsWith("curl ")) wrong("copy as curl", copied);
  await tab.getByRole("link", { name: "Send it again" }).click();
  await tab.getByRole("button", { name: "Send" }).click();
  await tab.getByRole("status").filter({ hasText: "SESSION_NOT_FOUND" }).waitFor();
}

/** Replays an event. */
async function replay(tab) {
  await tab.getByRole("link", { name: "Emulator", exact: true }).click();
  const row = tab.getByRole("row").filter({ hasText: "SESSION_NOT_FOUND" }).first();
  await row.getByRole("link").click();
  const again = tab.getByRole("button", { name: "Replay the event" });
  await check(tab, "the event", again);
  await again.click();
  await tab.getByText(/replay of/).waitFor();
  await tab.getByRole("link", { name: "SessionFunction" }).click();
  await check(tab, "the function", tab.getByRole("heading", { name: "Environment" }));
}

/** The list of calls changes by itself, until a person stops it. */
async function watch(tab, other) {
  const rows = () => tab.locator("#rows tr").count();
  await tab.goto(`${url}/calls?own=1`);
  const before = await rows();
  await call(other);
  await tab.locator(`#rows tr:nth-child(${before + 1})`).waitFor();
  await tab.getByLabel("pause").check();
  const paused = await rows();
  await call(other);
  await tab.getByLabel("Code").fill("not_found"); // what a person asks for comes, also during the pause
  await tab.locator(`#rows tr:nth-child(${paused + 1})`).waitFor();
}

await withBrowser(chromium, async (browser) => {
  const tab = await openTab(browser, "light", { url, now: "developer" });
  await tab.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  tab.setDefaultTimeout(60_000);
  await call(tab);
  await explain(tab);
  await replay(tab);
  await watch(tab, await openTab(browser, "light", { url, now: "another developer" }));
});

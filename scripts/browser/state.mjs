// Finds the slowest rpc on the page State, while its figures change:
//   node state.mjs CHROMIUM CONSOLE RPC
// KEY is the API key. RPC is the slowest one. It exits with 1 if something is wrong.
import { check, openTab, withBrowser, wrong } from "./browser.mjs";

const [chromium, url, slowest] = process.argv.slice(2);

await withBrowser(chromium, async (browser) => {
  const tab = await openTab(browser, "light", { url, now: "state" });
  tab.setDefaultTimeout(60_000);
  await tab.goto(`${url}/login?next=state`);
  await tab.fill("#key", process.env.KEY);
  await tab.getByRole("button", { name: "Log in" }).click();
  await tab.getByText("Calls can succeed.").waitFor();
  await tab.locator("#charts li", { hasText: /Requests per second\s*[\d.]+/ }).waitFor(); // a rate needs two samples
  const first = await tab.locator("#rpcs tr").first().innerText();
  if (!first.startsWith(slowest)) wrong("the slowest rpc", first);
  await check(tab, "state, with figures", tab.locator("#charts"));
});

// Opens pages in Chromium, as people with different screens see them, and says what is wrong with each:
//   node pages.mjs CHROMIUM NAME=URL ...
// With KEY it logs in to the console first. With SCREENSHOTS=DIR it writes pictures there (of all but the enlarged pages). It exits with 1 if
// something is wrong.
import { check, keyboard, openTab, picture, screens, withBrowser, wrong } from "./browser.mjs";

const maxBytes = 150_000; // of a page's first load, with its scripts

const [chromium, ...pages] = process.argv.slice(2);

async function logIn(tab, url) {
  await tab.goto(`${new URL(url).origin}/console/login`);
  await tab.fill("#key", process.env.KEY);
  await tab.click("button");
  await tab.waitForURL(/players|state/);
}

async function open(browser, name, url, screen) {
  const where = `${name}, ${screen}`;
  const tab = await openTab(browser, screen, url, where);
  if (process.env.KEY) await logIn(tab, url);
  const parts = [];
  tab.on("response", (r) => parts.push(r));
  const answer = await tab.goto(url);
  if (answer.status() !== 200) wrong(where, `HTTP ${answer.status()}`);
  const size = (await Promise.all(parts.map((r) => r.body()))).reduce((sum, body) => sum + body.length, 0);
  if (size > maxBytes) wrong(where, `${size} bytes, at most ${maxBytes}`);
  if (screen !== "zoomed") await picture(tab, `${name}-${screen}`);
  await check(tab, where);
  if (screen === "light") await keyboard(tab, where);
  await tab.context().close();
}

await withBrowser(chromium, async (browser) => {
  for (const page of pages) {
    const [name, url] = [page.slice(0, page.indexOf("=")), page.slice(page.indexOf("=") + 1)];
    for (const screen of Object.keys(screens)) await open(browser, name, url, screen);
  }
});

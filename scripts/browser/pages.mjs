// Opens pages in Chromium, as people with different screens see them, and says what is wrong with each:
//   node pages.mjs CHROMIUM NAME=URL ...
// With KEY it logs in to the console first. With SCREENSHOTS=DIR it writes a picture of each page there, and of the first one also those of
// the dark page and of the phone. It exits with 1 if something is wrong.
import { check, keyboard, openTab, picture, screens, withBrowser, wrong } from "./browser.mjs";

const maxBytes = 150_000; // of a page's first load, with its scripts

const [chromium, ...args] = process.argv.slice(2);
const pages = args.map((arg) => [arg.slice(0, arg.indexOf("=")), arg.slice(arg.indexOf("=") + 1)]);

async function logIn(tab, url) {
  await tab.goto(`${new URL(url).origin}/console/login`);
  await tab.fill("#key", process.env.KEY);
  await tab.click("button");
  await tab.waitForURL(/players|state/);
}

/** Opens a page as a browser does that has not seen the console yet. */
async function open(tab, url, where) {
  const parts = [];
  const collect = (r) => parts.push(r.body().catch(() => "")); // a poll that the page before began has no body any more
  tab.on("response", collect);
  const answer = await tab.goto(url);
  tab.off("response", collect);
  if (answer.status() !== 200) wrong(where, `HTTP ${answer.status()}`);
  const size = (await Promise.all(parts)).reduce((sum, body) => sum + body.length, 0);
  if (size > maxBytes) wrong(where, `${size} bytes, at most ${maxBytes}`);
}

async function openAll(browser, screen) {
  const where = { url: pages[0][1], now: screen };
  const tab = await openTab(browser, screen, where);
  if (process.env.KEY) await logIn(tab, pages[0][1]);
  for (const [name, url] of pages) {
    where.url = url;
    where.now = `${name}, ${screen}`;
    await open(tab, url, where.now);
    if (screen === "light" || (screen !== "zoomed" && url === pages[0][1])) await picture(tab, `${name}-${screen}`);
    await check(tab, where.now, tab.locator("body"), screen);
    if (screen === "light") await keyboard(tab, where.now);
  }
}

await withBrowser(chromium, async (browser) => {
  await Promise.all(Object.keys(screens).map((screen) => openAll(browser, screen)));
});

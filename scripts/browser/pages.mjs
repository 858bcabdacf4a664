// Opens pages in Chromium, as people with different screens see them, and says what is wrong with each:
//   node pages.mjs CHROMIUM NAME=URL ...
// With SCREENSHOTS=DIR it writes pictures there (of all but the enlarged pages). It exits with 1 if something is wrong.
import AxeBuilder from "@axe-core/playwright";
import { chromium } from "playwright-core";

const [executablePath, ...pages] = process.argv.slice(2);
const screens = {
  light: { viewport: { width: 1280, height: 800 }, colorScheme: "light" },
  dark: { viewport: { width: 1280, height: 800 }, colorScheme: "dark" },
  phone: { viewport: { width: 375, height: 700 }, colorScheme: "light" },
  zoomed: { viewport: { width: 640, height: 400 }, deviceScaleFactor: 2, colorScheme: "light" }, // 1280 x 800 at 200 %
};
let failed = false;
const wrong = (where, what) => {
  failed = true;
  console.error(`${where}: ${what}`);
};

/** Lists what the page logs, and what it asks of another address. */
function listen(page, url, where) {
  page.on("console", (m) => wrong(where, `the console says ${m.type()}: ${m.text()}`));
  page.on("pageerror", (e) => wrong(where, e.message));
  page.on("request", (r) => {
    if (new URL(r.url()).origin !== new URL(url).origin) wrong(where, `it asks for ${r.url()}`);
  });
}

/** Tab reaches each link, and the focus is visible. */
async function keyboard(page, where) {
  const links = await page.locator("a[href], summary, [tabindex='0']").filter({ visible: true }).count();
  for (let i = 0; i < links; i++) {
    await page.keyboard.press("Tab");
    const seen = await page.evaluate(() => {
      const e = document.activeElement;
      return e !== document.body && getComputedStyle(e).outlineStyle !== "none";
    });
    if (!seen) return wrong(where, `the focus cannot be seen after ${i + 1} times Tab`);
  }
}

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] }); // the sandbox refuses root
for (const page of pages) {
  const [name, url] = [page.slice(0, page.indexOf("=")), page.slice(page.indexOf("=") + 1)];
  for (const [screen, options] of Object.entries(screens)) {
    const where = `${name}, ${screen}`;
    const context = await browser.newContext(options);
    const tab = await context.newPage();
    listen(tab, url, where);
    const answer = await tab.goto(url);
    if (answer.status() !== 200) wrong(where, `HTTP ${answer.status()}`);
    const size = (await answer.body()).length;
    if (size > 150_000) wrong(where, `${size} bytes, at most 150,000`);
    if (await tab.evaluate(() => document.scrollingElement.scrollWidth > document.scrollingElement.clientWidth)) wrong(where, "it is wider than the screen");
    if (await tab.evaluate(() => getComputedStyle(document.body).maxWidth === "none")) wrong(where, "it has no style");
    for (const link of await tab.evaluate(() => [...document.querySelectorAll('a[href^="#"]')].map((a) => a.getAttribute("href").slice(1)).filter((id) => !document.getElementById(id)))) {
      wrong(where, `a link to #${link}, which is not there`);
    }
    if (process.env.SCREENSHOTS && screen !== "zoomed") await tab.screenshot({ path: `${process.env.SCREENSHOTS}/${name}-${screen}.png` });
    for (const v of (await new AxeBuilder({ page: tab }).analyze()).violations) wrong(where, `axe: ${v.id}: ${v.help}: ${v.nodes[0].target}`);
    if (screen === "light") await keyboard(tab, where);
    await context.close();
  }
}
await browser.close();
process.exit(failed ? 1 : 0);

// What the scripts of this folder share: Chromium, the screens of different people, and what is wrong with a page.
import AxeBuilder from "@axe-core/playwright";
import { chromium } from "playwright-core";

export const screens = {
  light: { viewport: { width: 1280, height: 800 }, colorScheme: "light" },
  dark: { viewport: { width: 1280, height: 800 }, colorScheme: "dark" },
  phone: { viewport: { width: 375, height: 700 }, colorScheme: "light" },
  zoomed: { viewport: { width: 640, height: 400 }, deviceScaleFactor: 2, colorScheme: "light" }, // 1280 x 800 at 200 %
};

let failed = false;
export const wrong = (where, what) => {
  failed = true;
  console.error(`${where}: ${what}`);
};

/** Runs f with a browser, and ends the program: with 1 if something is wrong. */
export async function withBrowser(executablePath, f) {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] }); // the sandbox refuses root
  try {
    await f(browser);
  } finally {
    await browser.close();
  }
  process.exit(failed ? 1 : 0);
}

/** Opens a tab that reports what the page logs, and what it asks of another address. where has the page's url and name now. */
export async function openTab(browser, screen, where) {
  const context = await browser.newContext(screens[screen]);
  const tab = await context.newPage();
  tab.on("console", (m) => wrong(where.now, `the console says ${m.type()}: ${m.text()}`));
  tab.on("pageerror", (e) => wrong(where.now, e.message));
  tab.on("request", (r) => {
    if (new URL(r.url()).origin !== new URL(where.url).origin) wrong(where.now, `it asks for ${r.url()}`);
  });
  return tab;
}

/** Says what is wrong with the page in a tab. sign is something that only this page has: a click does not wait for the next page. */
export async function check(tab, where, sign, screen = "light") {
  await sign.waitFor();
  await tab.waitForLoadState();
  if (await tab.evaluate(() => document.scrollingElement.scrollWidth > document.scrollingElement.clientWidth)) wrong(where, "it is wider than the screen");
  if (await tab.evaluate(() => getComputedStyle(document.body).maxWidth === "none")) wrong(where, "it has no style");
  for (const link of await tab.evaluate(() => [...document.querySelectorAll('a[href^="#"]')].map((a) => a.getAttribute("href").slice(1)).filter((id) => !document.getElementById(id)))) {
    wrong(where, `a link to #${link}, which is not there`);
  }
  if (screen === "zoomed") return; // the width is what matters: axe has seen the page on the other screens
  for (const v of (await new AxeBuilder({ page: tab }).analyze()).violations) wrong(where, `axe: ${v.id}: ${v.help}: ${v.nodes[0].target}`);
}

/** Writes a picture if SCREENSHOTS names a folder. */
export async function picture(tab, name) {
  if (process.env.SCREENSHOTS) await tab.screenshot({ path: `${process.env.SCREENSHOTS}/${name}.png` });
}

/** Tab reaches each control, and the focus is visible. */
export async function keyboard(tab, where) {
  const controls = "a[href], summary, button, input:not([type=hidden]), select, textarea, [tabindex='0']";
  const count = await tab.locator(controls).filter({ visible: true }).count();
  await tab.locator(controls).first().focus(); // the page may have put the focus elsewhere
  for (let i = 1; i < count; i++) {
    await tab.keyboard.press("Tab");
    const seen = await tab.evaluate(() => {
      const e = document.activeElement;
      return e !== document.body && getComputedStyle(e).outlineStyle !== "none";
    });
    if (!seen) return wrong(where, `the focus cannot be seen after ${i} times Tab`);
  }
}

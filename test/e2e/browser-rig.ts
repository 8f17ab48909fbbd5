import type { Browser, BrowserContext, Page } from 'playwright-core';
import { startChromium } from '../services/chromium.ts';
import { type Pages, startPages } from './pages.ts';
import { makeProject, type Postern, type PosternOptions, type Project, startPostern } from './postern.ts';

/** Pages on an origin of their own, a gateway that may list it, and a browser. */
export class BrowserRig {
  readonly pages: Pages;
  postern: Postern;
  /** Cookies, cache and storage of the pages that `open` opens. */
  context!: BrowserContext;
  readonly #project: Project;
  readonly #browser: Browser;

  private constructor(pages: Pages, project: Project, postern: Postern, browser: Browser) {
    this.pages = pages;
    this.postern = postern;
    this.#project = project;
    this.#browser = browser;
  }

  /** `options` gives the config for the origin of the pages. */
  static async start(options: (origin: string) => PosternOptions): Promise<BrowserRig> {
    const pages = await startPages();
    const project = await makeProject(options(pages.origin));
    const [postern, browser] = await Promise.all([startPostern(project), startChromium()]);
    const rig = new BrowserRig(pages, project, postern, browser);
    await rig.forget();
    return rig;
  }

  /** Closes all pages; the next ones know nothing of them. */
  async forget(): Promise<void> {
    await this.context?.close();
    this.context = await this.#browser.newContext();
    this.context.setDefaultTimeout(90_000);
  }

  async open(url: string): Promise<Page> {
    const page = await this.context.newPage();
    await page.goto(url);
    return page;
  }

  /** Starts the gateway anew, after its end. */
  async restart(): Promise<void> {
    await this.postern.exited;
    this.postern = await startPostern(this.#project);
  }

  /** Resolves with the gateway's exit code, or the signal that ended it. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | NodeJS.Signals | null> {
    await this.#browser.close();
    this.postern.kill(signal);
    const code = await this.postern.exited;
    await Promise.all([this.#project.remove(), this.pages.close()]);
    return code;
  }
}

/** Closes a page as its user would, so that it learns of it. */
export async function closeAsPeopleDo(page: Page): Promise<void> {
  const closed = page.waitForEvent('close');
  await page.close({ runBeforeUnload: true });
  await closed;
}

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { listViews } from "../../../client/src/react-native.ts";

/** A list of React Native, as far as it tells what is on the screen: its own helper, of two releases, over made-up cells. */
export interface List {
  /** Its items from now on, each with its height; 0 where it was not laid out, or shows nothing. */
  items: readonly Cell[];
  /** Scrolls so far, and lets the list look. */
  scrollTo(offset: number): void;
  /** Lets the list look, as after a layout. */
  update(): void;
}

export interface Cell {
  readonly item: unknown;
  readonly key: string;
  readonly height: number;
}

type Pairs = ReturnType<typeof listViews>["viewabilityConfigCallbackPairs"];
type Told = Parameters<Pairs[number]["onViewableItemsChanged"]>[0];

interface Helper {
  onUpdate(
    props: object,
    offset: number,
    viewportHeight: number,
    metrics: object,
    createViewToken: (index: number, isViewable: boolean) => object,
    tell: (told: Told) => void,
  ): void;
}

export const RELEASES = ["virtualized-lists-079", "virtualized-lists-088"] as const;

const MODULES = join(import.meta.dirname, "../../../node_modules");
const require = createRequire(import.meta.url);
const removeTypes = require("flow-remove-types") as (source: string, options: { pretty: boolean }) => string;

/** The helper's class, whose source is written in Flow. */
function loadHelper(release: (typeof RELEASES)[number]): new (config: object) => Helper {
  const source = readFileSync(join(MODULES, release, "Lists/ViewabilityHelper.js"), "utf8");
  const script = String(removeTypes(source, { pretty: true }))
    .replace(/^import .*$/gm, "")
    .replace("export default", "return");
  return new Function("require", script)(require) as new (
    config: object,
  ) => Helper;
}

/** @param tokenOf what a list that is built on another one makes of its tokens. */
export function createList(
  release: (typeof RELEASES)[number],
  pairs: Pairs,
  viewportHeight: number,
  tokenOf: (token: { readonly key: string }) => object = (token) => token,
): List {
  const ViewabilityHelper = loadHelper(release);
  const tuples = pairs.map(({ viewabilityConfig, onViewableItemsChanged }) => ({
    helper: new ViewabilityHelper(viewabilityConfig),
    tell: ({ changed }: Told) =>
      onViewableItemsChanged({ changed: changed.map((token) => tokenOf(token as never)) } as never),
  }));
  let offset = 0;
  const list: List = {
    items: [],
    scrollTo(to) {
      offset = to;
      list.update();
    },
    update() {
      const { items } = list;
      const props = { data: items, getItemCount: () => items.length };
      const metrics = {
        getCellMetrics(index: number) {
          const before = items.slice(0, index).reduce((sum, { height }) => sum + height, 0);
          const cell = items[index];
          return cell === undefined ? null : { offset: before, length: cell.height };
        },
      };
      const token = (index: number, isViewable: boolean) => ({
        index,
        isViewable,
        item: items[index]?.item,
        key: items[index]?.key,
      });
      for (const { helper, tell } of tuples)
        helper.onUpdate(props, offset, viewportHeight, metrics, token, tell);
    },
  };
  return list;
}

import { bytesOf, type Entry } from "./entry.ts";
import { isSameSelection, isSelected } from "./vary.ts";

/** What is to be purged. */
export type Purge =
  | { readonly tag: string }
  /** The beginning of a path (with its query), of whatever host. */
  | { readonly prefix: string }
  | { readonly all: true };

/** Told of what the store takes and lets go of. */
export interface StoreListener {
  kept(entry: Entry): void;
  dropped(entry: Entry): void;
}

/** An entry in its place in the order of use. */
interface Place {
  readonly entry: Entry;
  readonly bytes: number;
  older: Place | undefined;
  newer: Place | undefined;
}

/** Places of one URL by caller, "" for all; the latest first. */
type Resource = Map<string, Place[]>;

/** Answers of one URL to one caller that differ by what `Vary` names; one more, and the oldest goes. */
const maxVariants = 32;

/** A body that clients are reading. */
interface Loan {
  readers: number;
  /** Of an entry that is stored no more. */
  isDropped: boolean;
}

/** Shorter bodies are in nobody's way, however slowly they are read: as much is held for any answer. */
const shortBytes = 65_536;

/**
 * Entries in memory, within a number of bytes: what was not used for longest goes first. What clients are reading counts
 * until they have it, stored or not: clients that do not read cannot have more held for them than there is room.
 */
export class MemoryStore {
  readonly maxEntryBytes: number;
  readonly #maxBytes: number;
  readonly #listener: StoreListener | undefined;
  readonly #resources = new Map<string, Resource>();
  readonly #byTag = new Map<string, Set<Place>>();
  #oldest: Place | undefined;
  #newest: Place | undefined;
  #bytes = 0;
  #count = 0;
  /** By body, which an entry that was renewed shares with the one before. */
  readonly #loans = new Map<Buffer, Loan>();
  /** Bodies that are read and stored no more. */
  #lentBytes = 0;

  constructor(maxBytes: number, maxEntryBytes: number, listener?: StoreListener) {
    this.#maxBytes = maxBytes;
    this.maxEntryBytes = maxEntryBytes;
    this.#listener = listener;
  }

  /** Of its room, what is taken. */
  get bytes(): number {
    return this.#bytes + this.#lentBytes;
  }

  get count(): number {
    return this.#count;
  }

  /** The latest answer that fits a request of `caller` with these fields as they came. */
  find(url: string, caller: string | undefined, raw: readonly string[]): Entry | undefined {
    const resource = this.#resources.get(url);
    if (resource === undefined) return undefined;
    const shared = selected(resource.get(""), raw);
    const own = caller === undefined ? undefined : selected(resource.get(caller), raw);
    const found = later(own, shared);
    if (found === undefined) return undefined;
    this.#use(found);
    return found.entry;
  }

  /** True when something is stored under this URL, whatever request it fits. */
  knows(url: string): boolean {
    return this.#resources.has(url);
  }

  /** Takes an entry in, in the place of the one for the same requests. Nothing for one that is too large. */
  put(entry: Entry): void {
    this.remove(entry);
    const bytes = bytesOf(entry);
    if (bytes > this.#maxBytes) return;
    const place: Place = { entry, bytes, older: undefined, newer: undefined };
    const places = this.#placesOf(entry);
    places.unshift(place);
    this.#append(place);
    for (const tag of entry.tags) this.#tagged(tag).add(place);
    this.#bytes += bytes;
    this.#count += 1;
    this.#takeBack(entry);
    this.#listener?.kept(entry);
    const last = places.length > maxVariants ? places.at(-1) : undefined;
    if (last !== undefined) this.#drop(last);
    this.#makeRoom();
  }

  /** The body of an entry is on its way to a client. Call what is answered when it has it, or is gone; undefined for a short one. */
  lend({ body }: Entry): (() => void) | undefined {
    if (body.length <= shortBytes) return undefined;
    const loan = this.#loans.get(body) ?? { readers: 0, isDropped: false };
    this.#loans.set(body, loan);
    loan.readers += 1;
    return () => {
      loan.readers -= 1;
      if (loan.readers > 0) return;
      this.#loans.delete(body);
      if (loan.isDropped) this.#lentBytes -= body.length;
    };
  }

  /** Takes out what answers the same requests as `entry`. */
  remove({ url, caller, selection }: Entry): void {
    const places = this.#resources.get(url)?.get(caller ?? "") ?? [];
    const same = places.find((place) => isSameSelection(place.entry.selection, selection));
    if (same !== undefined) this.#drop(same);
  }

  /** Takes out all answers of a URL. */
  invalidate(url: string): void {
    const resource = this.#resources.get(url);
    if (resource !== undefined)
      for (const place of [...resource.values()].flat()) this.#drop(place);
  }

  /** Takes out what `purge` names, of entries that were asked for before it. */
  purge(purge: Purge, epoch: number): void {
    const places = "tag" in purge ? [...(this.#byTag.get(purge.tag) ?? [])] : this.#all();
    for (const place of places) {
      if (place.entry.epoch < epoch && isPurged(place.entry, purge)) this.#drop(place);
    }
  }

  /** All entries, the least recently used first. */
  *entries(): Generator<Entry> {
    for (const { entry } of this.#all()) yield entry;
  }

  #all(): Place[] {
    const places: Place[] = [];
    for (let place = this.#oldest; place !== undefined; place = place.newer) places.push(place);
    return places;
  }

  #placesOf({ url, caller = "" }: Entry): Place[] {
    const resource: Resource = this.#resources.get(url) ?? new Map<string, Place[]>();
    this.#resources.set(url, resource);
    const places = resource.get(caller) ?? [];
    resource.set(caller, places);
    return places;
  }

  #tagged(tag: string): Set<Place> {
    const places = this.#byTag.get(tag) ?? new Set<Place>();
    this.#byTag.set(tag, places);
    return places;
  }

  #use(place: Place): void {
    if (place === this.#newest) return;
    this.#unlink(place);
    this.#append(place);
  }

  #append(place: Place): void {
    place.older = this.#newest;
    place.newer = undefined;
    if (this.#newest === undefined) this.#oldest = place;
    else this.#newest.newer = place;
    this.#newest = place;
  }

  #unlink(place: Place): void {
    if (place.older === undefined) this.#oldest = place.newer;
    else place.older.newer = place.newer;
    if (place.newer === undefined) this.#newest = place.older;
    else place.newer.older = place.older;
  }

  /** Drops what nobody reads, the least recently used first; at last what has just come. */
  #makeRoom(): void {
    let next = this.#oldest;
    while (next !== undefined && this.bytes > this.#maxBytes) {
      const place = next;
      next = place.newer;
      // To drop it would free nothing.
      if (!this.#loans.has(place.entry.body)) this.#drop(place);
    }
  }

  /** A body that was read on is stored again. */
  #takeBack({ body }: Entry): void {
    const loan = this.#loans.get(body);
    if (loan?.isDropped !== true) return;
    loan.isDropped = false;
    this.#lentBytes -= body.length;
  }

  #drop(place: Place): void {
    const { entry, bytes } = place;
    const { url, caller = "", tags } = entry;
    const resource = this.#resources.get(url);
    const left = resource?.get(caller)?.filter((other) => other !== place) ?? [];
    if (left.length > 0) resource?.set(caller, left);
    else resource?.delete(caller);
    if (resource?.size === 0) this.#resources.delete(url);
    for (const tag of tags) {
      const places = this.#byTag.get(tag);
      places?.delete(place);
      if (places?.size === 0) this.#byTag.delete(tag);
    }
    this.#unlink(place);
    this.#bytes -= bytes;
    this.#count -= 1;
    const loan = this.#loans.get(entry.body);
    if (loan?.isDropped === false) {
      loan.isDropped = true;
      this.#lentBytes += entry.body.length;
    }
    this.#listener?.dropped(entry);
  }
}

/** True for an entry that `purge` names. */
export function isPurged({ tags, url }: Entry, purge: Purge): boolean {
  if ("all" in purge) return true;
  if ("tag" in purge) return tags.includes(purge.tag);
  return url.startsWith(purge.prefix, url.indexOf("/", url.indexOf("://") + 3));
}

function selected(places: readonly Place[] | undefined, raw: readonly string[]): Place | undefined {
  return places?.find(({ entry }) => isSelected(entry.selection, raw));
}

function later(one: Place | undefined, other: Place | undefined): Place | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return one.entry.receivedAt >= other.entry.receivedAt ? one : other;
}

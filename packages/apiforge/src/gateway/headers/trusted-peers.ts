import { BlockList, isIP, isIPv6 } from "node:net";

/** Addresses whose word about the client counts. */
export class TrustedPeers {
  readonly #list = new BlockList();
  readonly #isEmpty: boolean;

  /**
   * @param ranges CIDR ranges such as `10.0.0.0/8` or `fd00::/8`, or single addresses.
   * @throws {TypeError} for what is neither.
   */
  constructor(ranges: readonly string[]) {
    this.#isEmpty = ranges.length === 0;
    for (const range of ranges) this.#add(range);
  }

  has(address: string | undefined): boolean {
    if (this.#isEmpty || address === undefined) return false;
    return this.#list.check(address, isIPv6(address) ? "ipv6" : "ipv4");
  }

  #add(range: string): void {
    const [address = "", prefix] = range.split("/");
    const version = isIP(address);
    const bits = version === 6 ? 128 : 32;
    const length = Number(prefix ?? bits);
    if (version === 0 || !/^\d{1,3}$/.test(prefix ?? "0") || length > bits) {
      throw new TypeError(`${range} is no address range such as 10.0.0.0/8`);
    }
    this.#list.addSubnet(address, length, version === 6 ? "ipv6" : "ipv4");
  }
}

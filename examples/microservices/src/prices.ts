import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { create } from "@bufbuild/protobuf";
import { Int32ValueSchema, type StringValue } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";

import type { Identity, RunningService } from "./identity.ts";
import { pricesService } from "./shop-proto.ts";
import { served } from "./spans.ts";

const cents: Readonly<Record<string, number>> = { tea: 450, coffee: 620 };
const ofHeaders = {
  keys: (headers: Headers) => [...headers.keys()],
  get: (headers: Headers, name: string) => headers.get(name) ?? undefined,
};

/** The service that knows prices. It speaks Connect, and to callers that its authority vouches for alone. */
export async function startPrices({ key, cert, ca }: Identity): Promise<RunningService> {
  const answer = connectNodeAdapter({
    routes: (router) =>
      router.service(pricesService, {
        quote: (message: StringValue, { requestHeader }: HandlerContext) =>
          served("prices.quote", requestHeader, ofHeaders, async () => quote(message.value)),
      }),
  });
  const server = createServer({ key, cert, ca, requestCert: true }, answer);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `https://127.0.0.1:${port}`,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

function quote(sku: string) {
  const value = cents[sku];
  if (value === undefined) throw new ConnectError("There is no such article", Code.NotFound);
  return create(Int32ValueSchema, { value });
}

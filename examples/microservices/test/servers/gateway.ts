// The shop's gateway with nothing behind it: who is refused never gets there.
import { createForge, runForge, upstream } from "apiforge";

import { shop } from "../../src/index.ts";

const nowhere = ["http://127.0.0.1:9"];

await runForge(
  await createForge(
    shop({
      stock: upstream({ name: "stock", endpoints: nowhere }),
      prices: upstream({ name: "prices", endpoints: nowhere }),
    }),
  ),
);

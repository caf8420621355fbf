import { create, createFileRegistry } from "@bufbuild/protobuf";
import type { GenService, GenServiceMethods } from "@bufbuild/protobuf/codegenv2";
import {
  file_google_protobuf_wrappers,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  type Int32ValueSchema,
  type StringValueSchema,
} from "@bufbuild/protobuf/wkt";

const text = ".google.protobuf.StringValue";
const number = ".google.protobuf.Int32Value";

/** What `shop.proto` would say; without a compiler there is nothing to generate, and nothing that is out of date. */
const shopProto = create(FileDescriptorProtoSchema, {
  name: "shop.proto",
  package: "shop.v1",
  syntax: "proto3",
  dependency: ["google/protobuf/wrappers.proto"],
  service: [
    // rpc Reserve(StringValue sku) returns (StringValue receipt)
    { name: "Stock", method: [{ name: "Reserve", inputType: text, outputType: text }] },
    // rpc Quote(StringValue sku) returns (Int32Value cents)
    { name: "Prices", method: [{ name: "Quote", inputType: text, outputType: number }] },
  ],
});

/** `shop.v1.Prices`. */
export const pricesService = serviceOf<{
  quote: {
    methodKind: "unary";
    input: typeof StringValueSchema;
    output: typeof Int32ValueSchema;
  };
}>("shop.v1.Prices");

/** `Methods` says of the service what its descriptor does. */
function serviceOf<Methods extends GenServiceMethods>(name: string): GenService<Methods> {
  const file = [file_google_protobuf_wrappers.proto, shopProto];
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file }));
  const service = registry.getService(name);
  if (service === undefined) throw new TypeError(`There is no ${name}`);
  return service as GenService<Methods>;
}

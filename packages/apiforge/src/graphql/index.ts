export {
  defineGraphqlProxy,
  type GraphqlLimits,
  type GraphqlProxyOptions,
} from "./define-graphql-proxy.ts";
export { documentLimits, type DocumentLimits } from "./document-limits.ts";
export { graphqlErrors } from "./errors.ts";

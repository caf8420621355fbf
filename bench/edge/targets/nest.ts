// oxlint-disable-next-line import/no-unassigned-import -- NestJS asks for it by its name.
import "reflect-metadata";
import {
  Controller,
  Get,
  Inject,
  Module,
  Param,
  Query,
  UnauthorizedException,
  ValidationPipe,
  type CanActivate,
  type ExecutionContext,
} from "@nestjs/common";
import { APP_GUARD, NestFactory } from "@nestjs/core";
import { JwtModule, JwtService } from "@nestjs/jwt";
import { ThrottlerGuard, ThrottlerModule } from "@nestjs/throttler";
import { IsIn, IsOptional } from "class-validator";
import type { IncomingMessage } from "node:http";
import { pinoHttp } from "pino-http";
import { productOf } from "../product.ts";
import { announceServer, readSettings, requestsPerMinute } from "../settings.ts";

/*
 * NestJS on its default platform, as its documentation puts it together: JwtModule behind a guard,
 * ThrottlerModule, ValidationPipe, CORS, pino. Decorators cannot be stripped, so they are called.
 */
const { secret, origin } = readSettings();

class DetailQuery {
  detail: "full" | "short" = "short";
}
IsOptional()(DetailQuery.prototype, "detail");
IsIn(["full", "short"])(DetailQuery.prototype, "detail");

class TokenGuard implements CanActivate {
  readonly #tokens: JwtService;

  constructor(tokens: JwtService) {
    this.#tokens = tokens;
  }

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<IncomingMessage>();
    const [scheme, token] = request.headers.authorization?.split(" ") ?? [];
    if (scheme !== "Bearer" || token === undefined) throw new UnauthorizedException();
    await this.#tokens.verifyAsync(token);
    return true;
  }
}
Inject(JwtService)(TokenGuard, undefined, 0);

class Products {
  read(id: string, { detail }: DetailQuery) {
    return productOf(id, detail);
  }
}
const read = Object.getOwnPropertyDescriptor(Products.prototype, "read");
if (read === undefined) throw new TypeError("No such method.");
Controller("products")(Products);
Get(":id")(Products.prototype, "read", read);
Param("id")(Products.prototype, "read", 0);
Query()(Products.prototype, "read", 1);
Reflect.defineMetadata("design:paramtypes", [String, DetailQuery], Products.prototype, "read");

class App {
  readonly name = "bench";
}
Module({
  imports: [
    JwtModule.register({ secret }),
    ThrottlerModule.forRoot([{ ttl: 60_000, limit: requestsPerMinute }]),
  ],
  controllers: [Products],
  providers: [
    { provide: APP_GUARD, useClass: TokenGuard },
    { provide: APP_GUARD, useClass: ThrottlerGuard },
  ],
})(App);

const app = await NestFactory.create(App, { logger: ["error"] });
app.use(pinoHttp());
app.enableCors({ origin: [origin] });
app.useGlobalPipes(
  new ValidationPipe({ transform: true, whitelist: true, forbidNonWhitelisted: true }),
);
await app.listen(0, "127.0.0.1");
await announceServer(app.getHttpServer());

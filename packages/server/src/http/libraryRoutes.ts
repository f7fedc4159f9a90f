import { operations, SnugError, TitleId } from "@snug/protocol";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { type Library, mediaRoutes } from "../library/index.ts";
import type { Room } from "../room.ts";
import { holderOf } from "./accountRoutes.ts";

/** The library's list, a title's details, and the media themselves. Who is not signed in learns nothing of what there is. */
export function libraryRoutes(app: FastifyInstance, room: Room, library: Library): void {
  const signedIn = async (request: FastifyRequest): Promise<void> => {
    if (!(await holderOf(room, request))) throw new SnugError("unauthenticated", "sign in first");
  };
  app.get(operations["library-read"].transport.path, async (request, reply) => {
    await signedIn(request);
    return reply.header("cache-control", "no-store").send(library.view());
  });
  app.get<{ Params: { title: string } }>(operations["title-read"].transport.path, async (request, reply) => {
    await signedIn(request);
    const title = TitleId.safeParse(request.params.title);
    if (!title.success) throw new SnugError("not-found", "there is no such title");
    return reply.header("cache-control", "no-store").send(await library.detail(title.data));
  });
  mediaRoutes(app, {
    library,
    authorize: async (request, grant, title) => {
      if (grant === "me") return (await holderOf(room, request)) !== undefined;
      return room.passes.opens(grant, title, library.duration(title) ?? 0);
    },
  });
}

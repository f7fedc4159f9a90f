export { type Library, openLibrary } from "./library.ts";
export { mediaRoutes } from "./routes.ts";

/** Why the server did not start, in one line for a person. The data folder is as it was found. */
export class StartError extends Error {
  override readonly name = "StartError";
}

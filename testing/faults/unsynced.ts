// Loaded before a server, makes it promise what it does not keep: commits that no fsync follows. It shows that the
// judge of a trace sees such a server.
import { DatabaseSync } from "node:sqlite";

const exec = DatabaseSync.prototype.exec;
DatabaseSync.prototype.exec = function (sql) {
  return exec.call(this, sql.replaceAll("synchronous=FULL", "synchronous=OFF"));
};

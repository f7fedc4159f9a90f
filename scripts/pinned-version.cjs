// Preloaded into npm. npm leaves out optional packages (native parts of the bundler) that don't run on the Node that it
// runs on itself; ours run on the pinned one, so that is the version it must judge by.
const { optionalDependencies } = require("../package.json");

const version = optionalDependencies[`node-${process.platform}-${process.arch}`];
if (version) Object.defineProperty(process, "version", { value: `v${version}` });

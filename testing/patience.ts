/** ms until something that must come counts as missing: it only ends a test that has failed, however busy the machine. */
export const patience = 180_000;

"""The forms in which the ledger's events are taken away, a module each; `audit.exports.formats.known` has them all."""

package cloudtrailtest

// HexSum is the payload hash of a signature.
var HexSum = hexSum

package indicator

// LoadAtMost is Load for so many indicators at most.
var LoadAtMost = load

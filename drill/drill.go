// Package drill proves that a snapshot comes back: it brings it back, into scratch space, looks at everything that can be looked at, and says
// what came of it in a record that is kept as evidence.
package drill

package plan

import "github.com/tocsin-sec/tocsin/internal/expr"

// Resolver says what the field names of a query mean in the streams that it reads. Lowering takes one; it must not
// change while a program made with it lives.
type Resolver interface {
	// Field returns how the field at path is read, multi-fields and keys of flattened fields included. A field that
	// nothing declares is a keyword, and false.
	Field(path string) (expr.Field, bool)
	// Expand returns the declared fields whose paths fit pattern, sorted by path, at most a few thousand.
	Expand(pattern expr.Pattern) []expr.Field
}

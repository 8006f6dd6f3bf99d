package eql

import "github.com/tocsin-sec/tocsin/internal/expr"

// LowerValue returns the value that an expression means. Fields give their least value.
func LowerValue(text string, o Options) (expr.Value, error) {
	n, err := ParseExpr(text)
	if err != nil {
		return nil, err
	}
	b := binder{Options: o, text: text}
	v := b.value(n)
	if err := b.found.Err(); err != nil {
		return nil, err
	}
	return v.x, nil
}

package detect

import (
	"time"

	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/kql"
	"github.com/tocsin-sec/tocsin/internal/lang/lucene"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// readText reads a query in KQL or Lucene; usesNow says that it holds date math. Errors have their places in text.
func readText(language, text string, resolver plan.Resolver) (lower func(now time.Time) (expr.Cond, error), usesNow bool, err error) {
	if language == rule.LanguageLucene {
		n, err := lucene.Parse(text)
		if err != nil {
			return nil, false, err
		}
		return func(now time.Time) (expr.Cond, error) {
			return lucene.Lower(n, lucene.Options{Resolver: resolver, Now: now})
		}, lucene.UsesNow(n), nil
	}
	n, err := kql.Parse(text)
	if err != nil {
		return nil, false, err
	}
	return func(now time.Time) (expr.Cond, error) {
		return kql.Lower(n, kql.Options{Resolver: resolver, Now: now})
	}, kql.UsesNow(n), nil
}

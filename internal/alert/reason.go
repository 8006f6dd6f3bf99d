package alert

import (
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// reason is the sentence that says what the alert is about (§4.5).
func reason(source *event.Event, severity, name string) string {
	text := func(path string) string {
		var parts []string
		for _, v := range source.Values(path) {
			parts = append(parts, v.Text())
		}
		return strings.Join(parts, ", ")
	}
	endpoint := func(side string) string {
		address, port := text(side+".ip"), text(side+".port")
		if address != "" && port != "" {
			return address + ":" + port
		}
		return address
	}
	var what strings.Builder
	part := func(before, value, after string) {
		if value != "" {
			what.WriteString(before + value + after)
		}
	}
	part(" process ", text("process.name"), ",")
	part(" parent process ", text("process.parent.name"), ",")
	part(" file ", text("file.name"), ",")
	part(" source ", endpoint("source"), ",")
	part(" destination ", endpoint("destination"), ",")
	part(" by ", text("user.name"), "")

	var b strings.Builder
	if category := text("event.category"); category != "" {
		b.WriteString(category + " ")
	}
	b.WriteString("event")
	if what.Len() > 0 {
		b.WriteString(" with" + what.String())
	}
	if host := text("host.name"); host != "" {
		b.WriteString(" on " + host)
	}
	b.WriteString(" created " + severity + " alert " + name + ".")
	return b.String()
}

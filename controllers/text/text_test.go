package text

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	. "github.com/onsi/gomega"
)

func TestPrintable(t *testing.T) {
	t.Parallel()
	const symbols = "Größe, 監査, аудит, é, 🔒 …"
	for name, c := range map[string]struct{ text, printable string }{
		"nothing":                        {"", ""},
		"a message of AWS":               {`arn:aws:iam::1:user/a may "not"!`, `arn:aws:iam::1:user/a may "not"!`},
		"other languages and symbols":    {symbols, symbols},
		"a backslash":                    {`C:\new`, `C:\new`},
		"lines":                          {"one\ntwo\r\nthree\tfour", "one two  three four"},
		"a form feed and a vertical tab": {"one\ftwo\vthree", "one two three"},
		"the next line of C1":            {"one\u0085two", "one two"},
		"line and paragraph separators":  {"one\u2028two\u2029three", "one two three"},
		"spaces of all widths":           {"a\u00a0b\u2003c\u3000d", "a b c d"},
		"the end of a C string":          {"audit\x00", `audit\x00`},
		"bell and backspace":             {"\aaudit\b\b", `\aaudit\b\b`},
		"delete":                         {"audit\x7f", `audit\x7f`},
		"a color":                        {"\x1b[31mred\x1b[0m", `\x1b[31mred\x1b[0m`},
		"a title of the window":          {"\x1b]0;owned\x07", `\x1b]0;owned\a`},
		"a link of a terminal":           {"\x1b]8;;evil\x1b\\here\x1b]8;;\x1b\\", `\x1b]8;;evil\x1b\here\x1b]8;;\x1b\`},
		"a sequence of one C1 control":   {"\u009b31mred", `\u009b31mred`},
		"a command of one C1 control":    {"\u009d0;owned\u009c", `\u009d0;owned\u009c`},
		"right to left":                  {"gnp\u202efdp.exe", `gnp\u202efdp.exe`},
		"isolates of direction":          {"\u2066audit\u2069", `\u2066audit\u2069`},
		"marks of direction":             {"\u200eaudit\u200f\u061c", `\u200eaudit\u200f\u061c`},
		"what has no width":              {"au\u200bdit\ufeff", `au\u200bdit\ufeff`},
		"a hyphen that is not seen":      {"au\u00addit", `au\u00addit`},
		"tags":                           {"audit\U000e0041", `audit\U000e0041`},
		"for private use":                {"\ue000", `\ue000`},
		"bytes that are not UTF-8":       {"au\xffdit\xc3", "au\ufffddit\ufffd"},
		"a control in too many bytes":    {"\xc0\x9b", "\ufffd\ufffd"},
		"C1 controls as bytes":           {"\x9b31mred", "\ufffd31mred"},
		"half a surrogate":               {"\xed\xa0\x80", "\ufffd\ufffd\ufffd"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			g.Expect(Printable(c.text)).To(Equal(c.printable))
			g.Expect(Printable(c.printable)).To(Equal(c.printable), "what is printable stays")
		})
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text  string
		limit int
		cut   string
	}{
		"nothing":                          {"", 8, ""},
		"short":                            {"audit", 8, "audit"},
		"just short enough":                {"auditing", 8, "auditing"},
		"too long by one":                  {"auditings", 8, "audit…"},
		"a character of two bytes":         {"audiäöüß", 8, "audi…"},
		"a character of three bytes":       {"audi監査", 8, "audi…"},
		"a character of four bytes":        {"au🔒🔒", 8, "au…"},
		"characters that fit":              {"auäöüß", 9, "auäö…"},
		"an ellipsis and no more":          {"audit", 3, "…"},
		"bytes that continue no character": {strings.Repeat("\x80", 9), 8, "…"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			NewWithT(t).Expect(Cut(c.text, c.limit)).To(Equal(c.cut))
		})
	}
}

// TestAnyText holds what both functions promise for texts of any bytes and characters.
func TestAnyText(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	random := rand.New(rand.NewPCG(1, 1))
	for range 10_000 {
		var b strings.Builder
		for range random.IntN(40) {
			switch random.IntN(3) {
			case 0:
				b.WriteByte(byte(random.Uint32()))
			case 1:
				b.WriteRune(rune(random.IntN(0x3000)))
			default:
				b.WriteRune(rune(random.IntN(unicode.MaxRune + 1)))
			}
		}

		printable := Printable(b.String())
		g.Expect(utf8.ValidString(printable)).To(BeTrue(), "%q", b.String())
		g.Expect(strings.IndexFunc(printable, unprintable)).To(Equal(-1), "%q", b.String())
		g.Expect(Printable(printable)).To(Equal(printable), "%q", b.String())

		limit := len(ellipsis) + random.IntN(40)
		cut := Cut(printable, limit)
		g.Expect(len(cut)).To(BeNumerically("<=", limit), "%q", printable)
		g.Expect(utf8.ValidString(cut)).To(BeTrue(), "%q", printable)
		g.Expect(printable).To(HavePrefix(strings.TrimSuffix(cut, ellipsis)))
	}
}

package text

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	. "github.com/onsi/gomega"
)

func TestEscape(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"nothing":                     {"", ""},
		"plain":                       {"AccessDenied: no, 'never' \"ever\"", "AccessDenied: no, 'never' \"ever\""},
		"letters of any script":       {"größe 大きさ 😀", "größe 大きさ 😀"},
		"backslashes stay":            {`\n`, `\n`},
		"line breaks":                 {"a\nb\rc\vd\fe", `a\nb\rc\vd\fe`},
		"line breaks of Unicode":      {"a\u0085b\u2028c\u2029d", `a\u0085b\u2028c\u2029d`},
		"terminal escapes":            {"\x1b[31mred\u009b0m\a\b", `\x1b[31mred\u009b0m\a\b`},
		"what reorders text":          {"a\u202eb\u2066c\u200fd", `a\u202eb\u2066c\u200fd`},
		"what cannot be seen":         {"a\u200bb\ufeffc\u00add\u00a0e\U000e0041", `a\u200bb\ufeffc\u00add\u00a0e\U000e0041`},
		"NUL, DEL and private use":    {"\x00\x7f\ue000", `\x00\x7f\ue000`},
		"bytes that are no UTF-8":     {"a\xffb\xc3", `a\xffb\xc3`},
		"the replacement for no text": {"a\ufffdb", "a\ufffdb"},
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); NewWithT(t).Expect(Escape(c.text)).To(Equal(c.want)) })
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("a\u2028b\xff")
	f.Fuzz(func(t *testing.T, text string) {
		g := NewWithT(t)
		got := Escape(text)
		g.Expect(utf8.ValidString(got)).To(BeTrue())
		g.Expect(strings.IndexFunc(got, func(r rune) bool { return !unicode.IsPrint(r) })).To(Equal(-1))
		g.Expect(Escape(got)).To(Equal(got), "what is escaped stays as it is")
	})
}

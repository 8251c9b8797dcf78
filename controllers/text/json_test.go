package text

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	. "github.com/onsi/gomega"
)

func TestJSON(t *testing.T) {
	t.Parallel()
	type object struct {
		A string `json:"a"`
		B []int  `json:"b,omitempty"`
	}
	for name, c := range map[string]struct {
		value        any
		indent, want string
	}{
		"one line":          {object{A: "größe <&> 😀"}, "", `{"a":"größe <&> 😀"}` + "\n"},
		"indented":          {object{A: "a\nb", B: []int{1}}, "  ", "{\n  \"a\": \"a\\nb\",\n  \"b\": [\n    1\n  ]\n}\n"},
		"terminal escapes":  {object{A: "\x1b[2J\u009b0m\u202e"}, "", `{"a":"\u001b[2J\u009b0m\u202e"}` + "\n"},
		"beyond 16 bits":    {object{A: "\U000e0041"}, "", `{"a":"\udb40\udc41"}` + "\n"},
		"not UTF-8":         {object{A: "a\xffb"}, "", `{"a":"a\ufffdb"}` + "\n"},
		"no-break space":    {"\u00a0", "", `"\u00a0"` + "\n"},
		"quotes stay valid": {`"\`, "", `"\"\\"` + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := JSON(c.value, c.indent)
			NewWithT(t).Expect(err).NotTo(HaveOccurred())
			NewWithT(t).Expect(got).To(Equal(c.want))
		})
	}

	_, err := JSON(make(chan int), "")
	NewWithT(t).Expect(err).To(HaveOccurred())
}

func FuzzJSON(f *testing.F) {
	f.Add("a\u2028b\U000e0041")
	f.Fuzz(func(t *testing.T, text string) {
		g := NewWithT(t)
		got, err := JSON([]string{text}, " ")
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(strings.IndexFunc(got, func(r rune) bool { return !unicode.IsPrint(r) && r != '\n' })).To(Equal(-1))

		var back []string
		g.Expect(json.Unmarshal([]byte(got), &back)).To(Succeed())
		g.Expect(back).To(Equal([]string{strings.ToValidUTF8(text, "\ufffd")}))
	})
}

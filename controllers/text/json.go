package text

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
)

// JSON returns a value as JSON without anything that a terminal would act on: what is not printable is escaped, as JSON
// does it. With an indent each field has a line of its own. It ends in a line break.
func JSON(value any, indent string) (string, error) {
	var encoded strings.Builder
	encoder := json.NewEncoder(&encoded)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	if err := encoder.Encode(value); err != nil {
		return "", err
	}

	var printable strings.Builder
	for _, r := range encoded.String() {
		switch high, low := utf16.EncodeRune(r); {
		case unicode.IsPrint(r), r == '\n':
			// A line break is between fields: within a string it is escaped already.
			printable.WriteRune(r)
		case high != unicode.ReplacementChar:
			fmt.Fprintf(&printable, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&printable, `\u%04x`, r)
		}
	}
	return printable.String(), nil
}
